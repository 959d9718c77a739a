"""``ambience``, ``fill``, ``extend`` and what ``add-sound`` takes from the second engine, from the shell's side."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from ambience_bundles import TAGS, load_composer, write_ambience
from click.testing import CliRunner
from clips import packets_of

from foleygen.batch.discover import Clip
from foleygen.batch.run import run
from foleygen.cli.app import Invocation, cli
from foleygen.errors import ClipError, FoleygenError, UsageError
from foleygen.record import takes
from foleygen.settings import Settings
from foleygen.weights import catalogue, store
from foleygen.weights.published.presets import CLAP

MakeClip = Callable[..., Path]


@pytest.fixture(scope="module")
def beds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "noises"
    write_ambience(folder)
    return folder


def called(*arguments: object) -> tuple[str, str]:
    """What a command says on stdout and on stderr; its errors come through."""
    result = CliRunner().invoke(cli, [str(each) for each in arguments], obj=Invocation(), standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.stdout, result.stderr


def refused(*arguments: object) -> FoleygenError:
    with pytest.raises(FoleygenError) as caught:
        called(*arguments)
    assert len(str(caught.value).splitlines()) == 1
    return caught.value


def test_words_become_a_wav_of_the_length_asked_for(tmp_path: Path, beds: Path) -> None:
    output = tmp_path / "bed.wav"
    out, err = called("ambience", "Rain on a tin roof", "--seconds", "1.5", "-o", output, "--model", beds)
    assert out.strip() == str(output)
    assert "as rain" in err
    info = soundfile.info(output)
    assert (info.samplerate, info.subtype, info.channels, info.frames) == (48000, "PCM_24", 1, 72000)
    first = output.read_bytes()
    refusal = refused("ambience", "rain on a tin roof", "-o", output, "--model", beds)
    assert "--overwrite" in refusal.remedy
    called("ambience", "Rain on a tin roof", "--seconds", "1.5", "-o", output, "--model", beds, "--overwrite", "-q")
    assert output.read_bytes() == first


def test_bf16_is_another_sound_of_the_same_length(tmp_path: Path) -> None:
    exact, rounded = (tmp_path / f"{precision}.wav" for precision in ("fp32", "bf16"))
    for output in (exact, rounded):
        called("ambience", "rain", "--seconds", "1", "--steps", "3", "-o", output, "--precision", output.stem)
    first, second = (soundfile.read(output)[0] for output in (exact, rounded))
    assert len(first) == len(second) == 48000
    assert second.std() > 0
    assert not np.array_equal(first, second)


def test_the_tags_are_listed(beds: Path) -> None:
    out, _ = called("ambience", "--list", "--model", beds)
    assert [line.split()[0] for line in out.splitlines()[1:]] == list(TAGS)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("",), "prompt is empty"),
        (("ponies",), "--list"),
        (("rain", "--seconds", "0"), "--seconds"),
        (("rain", "--seconds", "100:00:00"), "--seconds"),
        ((), "no prompt"),
    ],
)
def test_what_cannot_be_made_is_said_in_one_sentence(
    tmp_path: Path, beds: Path, arguments: tuple[str, ...], said: str
) -> None:
    refusal = refused("ambience", *arguments, "-o", tmp_path / "x.wav", "--model", beds)
    assert isinstance(refusal, UsageError)
    assert said in str(refusal)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "FLOAT"])
def test_a_filled_file_is_the_same_outside_the_hole(tmp_path: Path, beds: Path, subtype: str) -> None:
    source = tmp_path / "a.wav"
    samples = 0.2 * np.random.default_rng(0).standard_normal((4 * 22050, 2))
    soundfile.write(source, samples, 22050, subtype)
    out, _ = called("fill", source, "--from", "1.5", "--to", "0:02.25", "--model", beds, "--candidates", 1)
    output = tmp_path / "a.filled.wav"
    assert out.strip() == str(output)
    before, after = (soundfile.read(each)[0] for each in (source, output))
    first, last = round(1.5 * 22050), round(2.25 * 22050)
    assert np.array_equal(before[:first], after[:first])
    assert np.array_equal(before[last:], after[last:])
    assert not np.array_equal(before[first:last], after[first:last])
    assert soundfile.info(source).subtype == soundfile.info(output).subtype


@pytest.mark.parametrize(
    ("start", "stop", "said"),
    [
        ("3", "2", "ends at 2 s"),
        ("1", "1", "ends at 1 s"),
        ("1", "9", "lasts 4.00 s"),
        ("0", "4", "sound around the hole"),
    ],
)
def test_holes_outside_the_file_are_refused(tmp_path: Path, beds: Path, start: str, stop: str, said: str) -> None:
    source = tmp_path / "a.wav"
    soundfile.write(source, np.zeros(4 * 8000), 8000)
    refusal = refused("fill", source, "--from", start, "--to", stop, "--model", beds)
    assert said in str(refusal)
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def test_a_sound_gets_longer_and_stays_what_it_was(tmp_path: Path, beds: Path) -> None:
    source = tmp_path / "a.wav"
    soundfile.write(source, 0.2 * np.random.default_rng(0).standard_normal((3 * 48000, 2)), 48000, "PCM_24")
    called("extend", source, "--seconds", "2", "--model", beds, "-q")
    before, after = (soundfile.read(tmp_path / name)[0] for name in ("a.wav", "a.extended.wav"))
    assert len(after) == len(before) + 2 * 48000
    assert np.array_equal(before[:-2400], after[: 3 * 48000 - 2400])
    assert np.abs(after[-48000:]).max() > 1e-4
    assert "format of the input" in str(
        refused("extend", source, "--seconds", 1, "-o", tmp_path / "b.flac", "--model", beds)
    )


@pytest.fixture(scope="module")
def finished(
    tmp_path_factory: pytest.TempPathFactory, random_bundle: Path, beds: Path, make_clip: MakeClip
) -> tuple[Path, Settings]:
    """A clip of three windows with all that the second engine adds."""
    source = make_clip(tmp_path_factory.mktemp("clips") / "a.mp4", seconds=2.0)
    settings = Settings(
        model=str(random_bundle),
        ambience="rain and wind",
        ambience_level=-9.0,
        ambience_model=str(beds),
        bandwidth="full",
        seams="repair",
        stems=True,
        overlap=0.3,
        cache=False,
    )
    report = run([Clip(source)], settings, lambda event: None)
    assert len(report.done) == 1
    return source.with_name("a.foley.mp4"), settings


def test_a_clip_gets_its_bed_on_a_track_of_its_own(finished: tuple[Path, Settings]) -> None:
    output, _ = finished
    with av.open(str(output)) as container:
        sounds = container.streams.audio
        assert [stream.metadata["handler_name"] for stream in sounds] == ["Foley", "Ambience"]
        assert [bool(stream.disposition) for stream in sounds] == [True, False]
        assert {stream.duration for stream in sounds} == {96000}
    assert packets_of(output, 0) == packets_of(output.with_name("a.mp4"), 0)
    told = json.loads(output.with_name("a.foley.json").read_text())
    bed, foley = told["bed"], told["takes"][0]
    assert bed["tags"] == ["rain", "wind"]
    assert bed["loudness_lufs"] + bed["gain_db"] == pytest.approx(foley["loudness_lufs"] - 9, abs=0.02)
    assert soundfile.info(output.with_name(bed["file"])).frames == 96000


def test_full_bandwidth_reaches_the_stem(finished: tuple[Path, Settings]) -> None:
    output, _ = finished
    samples, rate = soundfile.read(output.with_name("a.foley.t01.wav"))
    spectrum = np.abs(np.fft.rfft(samples)) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / rate)
    share = spectrum[hertz > 9000].sum() / spectrum.sum()
    assert share > 1e-6


def test_a_rerun_knows_that_it_is_done_and_another_level_is_another_clip(finished: tuple[Path, Settings]) -> None:
    output, settings = finished
    again = run([Clip(output.with_name("a.mp4"))], settings, lambda event: None)
    assert len(again.skipped) == 1
    planned = replace(settings, ambience_level=-6.0, dry_run=True)
    other = run([Clip(output.with_name("a.mp4"))], planned, lambda event: None)
    assert not other.skipped


def test_pick_keeps_the_bed_or_says_that_it_is_gone(finished: tuple[Path, Settings]) -> None:
    output, _ = finished
    takes.pick(output, 1)
    with av.open(str(output)) as container:
        assert len(container.streams.audio) == 2
    output.with_name("a.foley.bed.wav").unlink()
    with pytest.raises(ClipError, match="ambience is not there"):
        takes.pick(output, 1)


def test_the_engine_sounds_the_same_without_the_second(
    tmp_path: Path, random_bundle: Path, make_clip: MakeClip
) -> None:
    """Nothing of the second engine is loaded, or even there, where nothing asks for it."""
    source = make_clip(tmp_path / "a.mp4")
    settings = Settings(model=str(random_bundle), cache=False, ambience_model="no such bundle")
    report = run([Clip(source)], settings, lambda event: None)
    assert len(report.done) == 1


def test_words_that_nobody_knows_end_the_run_before_it_begins(
    tmp_path: Path, random_bundle: Path, beds: Path, make_clip: MakeClip
) -> None:
    source = make_clip(tmp_path / "a.mp4")
    settings = Settings(model=str(random_bundle), ambience="ponies", ambience_model=str(beds))
    with pytest.raises(UsageError, match="ponies"):
        run([Clip(source)], settings, lambda event: None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4"]


def test_clap_lies_where_ambience_looks_for_it(tmp_path: Path, beds: Path) -> None:
    """Files that are there are kept, so nothing is fetched here."""
    manifest = tmp_path / "free"
    shutil.copytree(beds, manifest)
    text = (manifest / "bundle.yaml").read_text()
    (manifest / "bundle.yaml").write_text(text.replace("conditioning: tags", "conditioning: clap"))
    output = tmp_path / "x.wav"
    refusal = refused("ambience", "ponies in the mist", "-o", output, "--model", manifest)
    assert "models fetch clap" in refusal.remedy
    with pytest.raises(UsageError, match="accept"):
        called("models", "fetch", "clap")
    for item in catalogue.model("clap").files:
        path = store.models_root() / item.folder / item.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    out, err = called("models", "fetch", "clap", "--accept-licence")
    assert Path(out.strip()) == store.folder_of(CLAP)
    assert "Apache-2.0" in err
    listed, _ = called("models", "list")
    assert any(line.split()[:2] == ["clap", "installed"] for line in listed.splitlines())
    # What is there is no CLAP model.
    assert "CLAP" in str(refused("ambience", "ponies in the mist", "-o", output, "--model", manifest))


def test_the_embedded_bundle_is_whole_small_and_makes_sound() -> None:
    folder = store.resolve("ambience")
    composer = load_composer(folder)
    assert sum(file.stat().st_size for file in folder.glob("*.safetensors")) <= 16 * 2**20
    assert composer.bundle.commercial
    assert {"rain", "wind", "footsteps"} <= set(composer.bundle.tags)
    assert (folder / "LICENSE").is_file()
