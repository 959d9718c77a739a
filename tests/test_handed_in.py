"""Whatever file a user hands in may be empty, lost, a folder, not text, or lack a key: one sentence and the right code.

A row names a command, the file that it reads, and the exit code that its faults end in.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import save_random_bundle
from finished import finish
from test_recordings import folder_of
from tiny_training import write_dataset, write_pairs

from foleygen.audio.mel import MelConfig
from foleygen.cli.app import run
from foleygen.training import recipe
from foleygen.training.ambience.tokens import TokenSet
from foleygen.training.ambience.windows import WindowsConfig
from foleygen.training.data.prepare import ShardsMeta

CREDITED = "file\tfold\tseconds\tlicence\tauthor\tsource\trepository\ntap.wav\ttrain\t1\tCC0-1.0\tada\t\tpack\n"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One good file of each kind."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "options.yaml").write_text("seed: 1\n")
    (folder / "clips.txt").write_text("shot.mov\n")
    (folder / "cues.csv").write_text("time,name\n0.1,knock\n")
    (folder / "notes.yaml").write_text("36: kick\n")
    shutil.copy(recipe.FOLDER / "tiny-vae.yaml", folder / "vae.yaml")
    (folder / "terms.txt").write_text("public domain\n")
    folder_of(folder / "sounds")
    (folder / "sounds" / "by.tsv").write_text(CREDITED)
    save_random_bundle(folder / "bundle", commercial=True)
    write_dataset(folder / "data")
    (folder / "pairs").mkdir()
    write_pairs(folder / "pairs")
    _write_shards(folder / "shards")
    _write_windows(folder / "windows")
    nothing = np.zeros((1, 2), np.float32)
    TokenSet(nothing.astype(np.int16)[..., None], nothing, nothing, "tags", ("rain", "wind")).save(folder / "tokens")
    np.savez(folder / "true.npz", ids=np.arange(3), features=np.zeros((3, 2)), logits=np.zeros((3, 2)))
    (folder / "run").mkdir()
    shutil.copy(recipe.FOLDER / "alignment.yaml", folder / "run" / "recipe.yaml")
    (folder / "run" / "checkpoint.pt").write_bytes(b"")
    (folder / "part").mkdir()
    (folder / "part" / "config.yaml").write_text("kind: tokenizer\n")
    (folder / "clap").mkdir()
    (folder / "clap" / "config.json").write_text('{"model_type": "clap"}')
    _write_summary(folder / "shards-of-a-batch")
    finish(folder / "clips", folder / "bundle", takes=1, count=5)
    return folder


def _write_windows(folder: Path) -> None:
    folder.mkdir()
    config = WindowsConfig(count=1, mel=MelConfig(8000, 256, 128, 8, 0.0, 4000.0), frames=16)
    (folder / "windows.json").write_text(json.dumps(asdict(config)))
    (folder / "windows.jsonl").write_text('{"row": 0, "tags": ["rain"], "sources": []}\n')
    np.zeros((1, 8, 16), np.float16).tofile(folder / "mels.f2")


def _write_shards(folder: Path) -> None:
    part = folder / "shard-1-of-1"
    part.mkdir(parents=True)
    meta = ShardsMeta("tiny", "0" * 16, "0" * 16, (8, 8), (4, 4, 16), (0.0,) * 4, (1.0,) * 4)
    (folder / "shards.json").write_text(json.dumps(asdict(meta)))
    (part / "clips.jsonl").write_text('{"clip": "a.mov", "row": 0, "windows": 1}\n')
    np.zeros((1, 8, 8), np.float16).tofile(part / "features.f2")
    np.zeros((1, 4, 4, 16), np.float16).tofile(part / "latents.f2")


def _write_summary(folder: Path) -> None:
    from foleygen.batch import summary

    folder.mkdir()
    summary.write(
        folder,
        summary.Summary(
            shard=1, shards=1, list_hash="0", found=1, total=1, done=("a",), skipped=(), failed=(), clip_seconds=1.0,
            wall_seconds=1.0, non_commercial=None, interrupted=False, exit_code=0, version="0",
        ),
    )  # fmt: skip


@dataclass(frozen=True)
class Handed:
    """``command`` reads ``file``; words of it that name something of the world become paths.

    ``without`` is a key that is taken out of YAML or JSON, or a column. ``empty`` is the exit code of an empty file,
    where it differs from the others' ``code``; ``valid`` are no faults of this kind.
    """

    command: str
    file: str
    code: int = 2
    without: str | None = None
    empty: int | None = None
    valid: tuple[str, ...] = ()


TRAIN = "-o out --steps 1"
PACK = "-o out --name mine --licence CC0-1.0 --tokenizer run --specmaskgit run --vocoder run"
HANDED = {
    "configuration": Handed("plan clips --config options.yaml", "options.yaml", empty=0),
    "list": Handed("plan --from-file clips.txt", "clips.txt", empty=5),
    "cues": Handed("add-sound clips/shot.mov --dry-run --cues cues.csv", "cues.csv", without="time",
                   valid=("empty", "a folder")),
    "midi map": Handed("add-sound clips/shot.mov --dry-run --cues cues.csv --midi-map notes.yaml", "notes.yaml"),
    "recipe": Handed(f"train vae --data data --recipe vae.yaml {TRAIN}", "vae.yaml", without="loop"),
    "manifest": Handed("train windows --count 1 --recordings sounds -o out", "sounds/manifest.tsv", without="fold"),
    "credits": Handed(f"train ambience-bundle --credits sounds/by.tsv {PACK}", "sounds/by.tsv", without="author"),
    "licence": Handed(f"train ambience-bundle --licence-file terms.txt {PACK}", "terms.txt"),
    "card": Handed(f"train ambience-bundle --card terms.txt {PACK}", "terms.txt"),
    "bundle": Handed("preview clips/shot.mov --model bundle -o out", "bundle/bundle.yaml", 6, without="encoder"),
    "part": Handed("train tokens --data windows --tokenizer part -o out", "part/config.yaml", 2, without="kind"),
    "dataset": Handed(f"train vae --data data {TRAIN}", "data/dataset.json", without="mel_shape"),
    "dataset's log": Handed(f"train vae --data data {TRAIN}", "data/clips.jsonl", without="family"),
    "dataset's mels": Handed(f"train vae --data data {TRAIN}", "data/mels.f2"),
    "dataset's pictures": Handed(f"train encoder --data data {TRAIN}", "data/frames.u8"),
    "pairs": Handed(f"train mdsgen --data pairs {TRAIN}", "pairs/pairs.npz"),
    "shards": Handed(f"train mdsgen --data shards {TRAIN}", "shards/shards.json", without="features"),
    "shards' log": Handed(f"train mdsgen --data shards {TRAIN}", "shards/shard-1-of-1/clips.jsonl", without="clip"),
    "shards' features": Handed(f"train mdsgen --data shards {TRAIN}", "shards/shard-1-of-1/features.f2"),
    "windows": Handed(f"train tokenizer --data windows {TRAIN}", "windows/windows.json", without="count"),
    "windows' log": Handed(f"train tokenizer --data windows {TRAIN}", "windows/windows.jsonl", without="row"),
    "windows' mels": Handed(f"train tokenizer --data windows {TRAIN}", "windows/mels.f2"),
    "tokens": Handed(f"train specmaskgit --data tokens {TRAIN}", "tokens/tokens.npz"),
    "features": Handed("evaluate fidelity true.npz true.npz", "true.npz"),
    "run": Handed("evaluate alignment run --data data", "run/recipe.yaml", without="loop"),
    "checkpoint": Handed("evaluate alignment run --data data", "run/checkpoint.pt"),
    "footage": Handed("train scenes --count 1 --footage sounds -o out", "sounds"),
    "CLAP": Handed("train windows --count 1 --clap clap -o out", "clap/config.json", 6),
    "summary": Handed("report shards-of-a-batch", "shards-of-a-batch/run-1-of-1.json", without="total"),
    "sidecar": Handed("takes clips/shot.foley.mov", "clips/shot.foley.json", 4, without="takes"),
    "sidecar to pick from": Handed("pick clips/shot.foley.mov 1", "clips/shot.foley.json", 4, without="picked"),
}  # fmt: skip


def lost(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def empty(path: Path) -> None:
    lost(path)
    path.write_bytes(b"")


def a_folder(path: Path) -> None:
    lost(path)
    path.mkdir()


def not_text(path: Path) -> None:
    lost(path)
    path.write_bytes(b"\xff\xfe\x00\n")


def a_key_less(path: Path, key: str) -> None:
    """The file without ``key``: a column of a table, a field of each line, or a key of the whole."""
    text = path.read_text(encoding="utf-8")
    if path.suffix in (".tsv", ".csv"):
        path.write_text(text.replace(key, "other", 1))
    elif path.suffix == ".jsonl":
        lines = [{name: value for name, value in json.loads(line).items() if name != key} for line in text.splitlines()]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    else:
        content = yaml.safe_load(text)
        del content[key]
        path.write_text(json.dumps(content))


FAULTS: dict[str, Callable[[Path], None]] = {"empty": empty, "lost": lost, "a folder": a_folder, "not text": not_text}


def rows() -> list[tuple[str, str]]:
    keyed = [(name, "a key") for name, handed in HANDED.items() if handed.without]
    return [(name, fault) for name, handed in HANDED.items() for fault in FAULTS if fault not in handed.valid] + keyed


@pytest.mark.parametrize(("name", "fault"), rows())
def test_a_fault_is_one_sentence_and_its_exit_code(
    name: str,
    fault: str,
    world: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handed, place = HANDED[name], tmp_path / "world"
    shutil.copytree(world, place, copy_function=_linked)
    monkeypatch.chdir(place)
    if handed.without is not None and fault == "a key":
        a_key_less(_own(place / handed.file), handed.without)
    else:
        FAULTS[fault](place / handed.file)
    wanted = handed.empty if fault == "empty" and handed.empty is not None else handed.code
    assert run(handed.command.split()) == wanted
    printed = capsys.readouterr().err
    if wanted:
        *_, last = printed.splitlines()
        assert "Traceback" not in printed
        assert re.match(r"error: [^;]+; .+", last), last
        assert len(last) < 400


def _linked(source: str, target: str) -> None:
    """A hard link: what a test takes away or puts in its place changes no other's."""
    Path(target).hardlink_to(source)


def _own(path: Path) -> Path:
    """The file, no longer shared."""
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", ["configuration", "list", "manifest", "dataset", "summary", "sidecar"])
def test_the_good_world_is_read(
    name: str, world: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """So that no row above fails for another reason than its fault."""
    monkeypatch.chdir(world)
    command = HANDED[name].command.replace("-o out", f"-o {tmp_path / 'out'}")
    assert run(command.split()) == 0, capsys.readouterr().err
