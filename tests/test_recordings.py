"""Manifests of recordings: one reader, one sentence for whatever is wrong, from every command that takes recordings."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import numpy as np
import pytest
import soundfile
from tiny_training import write_dataset

import foleygen
from foleygen.audio.mel import MelSpectrogram
from foleygen.cli.app import cli, run
from foleygen.cli.evaluate.shared import Chosen, open_dataset
from foleygen.errors import UsageError
from foleygen.training.data.material import recording_mels
from foleygen.training.data.recordings import Manifest, listed, read


def folder_of(path: Path, seconds: float = 0.4, fold: str = "train") -> Path:
    path.mkdir(exist_ok=True)
    samples = 0.3 * np.random.default_rng(0).standard_normal(round(seconds * 22050))
    soundfile.write(path / "tap.wav", samples, 22050)
    (path / "manifest.tsv").write_text(f"file\tclass\tfold\ntap.wav\ttap\t{fold}\n")
    return path


def text(content: str | bytes) -> Callable[[Path], None]:
    """A change of a folder of recordings: another manifest."""
    given = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / "manifest.tsv").write_bytes(given) and None


def without_file(folder: Path) -> None:
    (folder / "tap.wav").unlink()


def without_manifest(folder: Path) -> None:
    (folder / "manifest.tsv").unlink()


def folder_for_manifest(folder: Path) -> None:
    (folder / "manifest.tsv").unlink()
    (folder / "manifest.tsv").mkdir()


def two_of_a_name(folder: Path) -> None:
    for name in ("one", "two"):
        (folder / name).mkdir()
        (folder / "tap.wav").rename(folder / name / "tap.wav") if name == "one" else soundfile.write(
            folder / name / "tap.wav", np.zeros(9), 22050
        )


def not_a_sound(folder: Path) -> None:
    (folder / "tap.wav").write_bytes(b"RIFF")


def no_samples(folder: Path) -> None:
    soundfile.write(folder / "tap.wav", np.zeros(0), 22050)


FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "no fold": (text("file\tclass\ntap.wav\ttap\n"), "has no column 'fold'"),
    "no file": (text("name\tfold\ntap.wav\ttrain\n"), "has no column 'file'"),
    "no tabs": (text("file,fold\ntap.wav,train\n"), "has no column 'file'"),
    "a column twice": (text("file\tfold\tfold\ntap.wav\ttrain\ttest\n"), "has more than one column 'fold'"),
    "a short line": (text("file\tfold\ntap.wav\n"), "line 2 names no fold"),
    "a long line": (text("file\tfold\ntap.wav\ttrain\tmore\n"), "line 2 has more cells than there are columns"),
    "no name": (text("file\tfold\n\ttrain\n"), "line 2 names no file"),
    "outside": (text("file\tfold\n../tap.wav\ttrain\n"), "line 2 names a file outside its folder"),
    "from the root": (text("file\tfold\n/etc/passwd\ttrain\n"), "line 2 names a file outside its folder"),
    "twice": (text("file\tfold\ntap.wav\ttrain\ntap.wav\ttest\n"), "line 3 lists tap.wav again, after line 2"),
    "another fold": (text("file\tfold\ntap.wav\tspare\n"), "has no recording of the fold"),
    "only columns": (text("file\tfold\n"), "has no recording of the fold"),
    "empty": (text(""), "is empty"),
    "not UTF-8": (text(b"file\tfold\n\xff.wav\ttrain\n"), "is not UTF-8 text"),
    "a lost file": (without_file, "line 2 lists tap.wav, which is not there"),
    "two of a name": (two_of_a_name, "which may be one/tap.wav and two/tap.wav"),
    "no manifest": (without_manifest, "manifest.tsv: does not exist"),
    "a folder": (folder_for_manifest, "manifest.tsv: is a folder, not a file"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_may_be_wrong_is_one_sentence(fault: str, tmp_path: Path) -> None:
    change, fact = FAULTS[fault]
    folder = folder_of(tmp_path)
    change(folder)
    with pytest.raises(UsageError) as raised:
        Manifest(folder).files("train")
    assert fact in raised.value.message
    assert str(folder) in raised.value.message
    assert raised.value.remedy
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("change", "fact"), [(not_a_sound, "not a sound file"), (no_samples, "holds no sound")])
def test_what_may_be_wrong_with_a_recording(change: Callable[[Path], None], fact: str, tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    change(folder)
    with pytest.raises(UsageError, match=fact):
        read(folder / "tap.wav")


def test_files_are_listed_in_the_manifest_s_order_and_found_below_the_folder(tmp_path: Path) -> None:
    for name in ("b.wav", "deep/a.wav", "deep/down/c.wav", "other/c.wav", "unlisted.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    rows = ["\ufefffold\tfile\tnote", "train\tb.wav\t", "test\tx.wav\t", 'train\tdeep/a.wav\t"', "train\tother/c.wav\t"]
    (tmp_path / "manifest.tsv").write_text("\r\n".join(rows) + "\r\n\r\n", encoding="utf-8")
    assert Manifest(tmp_path).files("train") == {
        "b.wav": tmp_path / "b.wav", "deep/a.wav": tmp_path / "deep/a.wav", "other/c.wav": tmp_path / "other/c.wav"
    }  # fmt: skip
    assert [line.number for line in listed(tmp_path / "manifest.tsv", "train")] == [2, 4, 5]
    (tmp_path / "manifest.tsv").write_text("file\tfold\na.wav\ttrain\n", encoding="utf-8")
    assert Manifest(tmp_path).files("train") == {"a.wav": tmp_path / "deep/a.wav"}


@pytest.mark.parametrize("seconds", [0.05, 0.4, 5.0])
def test_short_recordings_fill_a_clip(tmp_path: Path, seconds: float) -> None:
    mels = recording_mels(str(folder_of(tmp_path, seconds)), "train", 256, MelSpectrogram())
    assert mels.shape == (1, 128, 256)
    assert mels[..., 8:-8].mean(1).min() > 0.1


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("datasets") / "data")


COMMANDS: dict[str, Sequence[str]] = {
    "train scenes": ("--count", "1", "-o", "OUT"),
    "train windows": ("--count", "1", "-o", "OUT"),
    "train vae": ("--data", "DATA", "-o", "OUT"),
    "train vocoder": ("--data", "DATA", "--decoder", "tiny", "--steps", "1", "-o", "OUT"),
    "evaluate scenes": ("--count", "1"),
    "evaluate sync": ("--count", "1"),
    "evaluate reconstruction": ("--count", "1"),
    "evaluate ablations": ("--count", "1"),
    "evaluate compare": ("tiny", "tiny", "--count", "1"),
    "evaluate ambience": ("--what", "roundtrip", "--count", "1"),
    "evaluate vocoder": ("--model", "tiny", "--count", "1"),
}
BY_THE_SAME_DOOR = {
    "evaluate alignment",
    "evaluate cues",
    "evaluate fidelity",
    "evaluate retrieval",
    "evaluate voices",
}
"""These want a trained network first, and then call ``open_dataset`` as the others of ``evaluate`` do."""


def commands_with(option: str) -> set[str]:
    """The commands of the program that have this option."""

    def walk(command: click.Command, path: str) -> set[str]:
        context = click.Context(command)
        has = any(option in parameter.opts for parameter in command.params)
        found = {path.strip()} if has else set()
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                child = command.get_command(context, name)
                assert child is not None
                found |= walk(child, f"{path} {name}")
        return found

    return walk(cli, "")


def test_every_command_that_takes_recordings_is_tried() -> None:
    assert commands_with("--recordings") == set(COMMANDS) | BY_THE_SAME_DOOR


@pytest.mark.parametrize("fault", ["no fold", "a lost file", "no manifest"])
@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_says_what_is_wrong(
    command: str, fault: str, tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, fact = FAULTS[fault]
    folder = folder_of(tmp_path / "sounds", fold="test" if command.startswith("evaluate") else "train")
    change(folder)
    given = [str({"OUT": tmp_path / "out", "DATA": data}.get(word, word)) for word in COMMANDS[command]]
    assert run([*command.split(), *given, "--recordings", str(folder)]) == 2
    *_, last = capsys.readouterr().err.splitlines()
    assert last.startswith("error: ")
    assert fact in last


def test_the_door_of_the_measures_says_what_is_wrong(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "sounds", fold="test")
    without_file(folder)
    chosen = Chosen(data=None, count=1, style="clean", family=None, material=None, recordings=folder)
    with click.Context(cli), pytest.raises(UsageError, match=r"lists tap\.wav, which is not there"):
        open_dataset(chosen)


@pytest.mark.parametrize("fault", FAULTS)
def test_no_fault_is_a_traceback(fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change, fact = FAULTS[fault]
    folder = folder_of(tmp_path / "sounds")
    change(folder)
    assert run(["train", "windows", "--count", "1", "--recordings", str(folder), "-o", str(tmp_path / "out")]) == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert fact in sentence


def test_only_one_file_reads_manifests() -> None:
    """Where recordings are used, nobody else reads tables, but for the loop its own losses."""
    package = Path(foleygen.__file__).parent
    readers = {
        str(path.relative_to(package))
        for room in ("training", "evaluation", "scenes", "cli")
        for path in (package / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "DictReader"
    }
    assert readers == {"training/data/recordings.py", "training/loop.py"}
