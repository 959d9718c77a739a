"""Holes: what is outside stays, to the bit, in every format; what is inside is new; bad holes are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from ambience_bundles import MEL, load_composer, write_ambience
from hypothesis import given, settings
from hypothesis import strategies as st

from foleygen.ambience import fill
from foleygen.ambience.inpaint import Ask, _likened, _reached
from foleygen.engines.composer import Composer
from foleygen.errors import ClipError, FoleygenError, UsageError
from foleygen.media.sound_file import extended, opened, replaced


@pytest.fixture(scope="module")
def composer(tmp_path_factory: pytest.TempPathFactory) -> Composer:
    folder = tmp_path_factory.mktemp("bundles") / "noises"
    write_ambience(folder)
    return load_composer(folder)


def noise(frames: int, channels: int, seed: int = 0) -> np.ndarray:
    return 0.2 * np.random.default_rng(seed).standard_normal((frames, channels))


def filled(
    composer: Composer, samples: np.ndarray, rate: int, first: int, last: int, candidates: int = 1
) -> np.ndarray:
    hole = fill.plan(composer, rate, samples.shape[1], first, last)
    ask = Ask((0,), None, composer.defaults, candidates)
    return fill.fill(composer, samples[:, hole.begin : hole.end], rate, hole, ask).samples


@pytest.mark.parametrize(("rate", "channels"), [(48000, 1), (8000, 2), (192000, 6)])
def test_a_hole_is_filled_at_any_rate(composer: Composer, rate: int, channels: int) -> None:
    samples = noise(5 * rate, channels).T.astype(np.float32)
    samples[-1] = samples[0]
    first, last = 2 * rate, round(2.4 * rate)
    made = filled(composer, samples, rate, first, last)
    assert made.shape == (channels, last - first)
    assert np.isfinite(made).all()
    assert made.any(axis=1).all()
    assert np.array_equal(made[0], made[-1])


def test_what_is_in_the_hole_does_not_matter(composer: Composer) -> None:
    rate = MEL.sample_rate
    samples = noise(6 * rate, 1).T.astype(np.float32)
    first, last = 3 * rate, round(3.5 * rate)
    torn = samples.copy()
    torn[:, first:last] = np.nan
    assert np.array_equal(filled(composer, samples, rate, first, last), filled(composer, torn, rate, first, last))


def test_the_best_of_several_is_taken(composer: Composer) -> None:
    rate = MEL.sample_rate
    samples = noise(6 * rate, 1).T.astype(np.float32)
    hole = fill.plan(composer, rate, samples.shape[1], 3 * rate, round(3.5 * rate))
    stretch = samples[:, hole.begin : hole.end]
    one, three = (fill.fill(composer, stretch, rate, hole, Ask((0,), None, composer.defaults, n)) for n in (1, 3))
    assert three.prominence_db <= one.prominence_db


def test_silence_is_filled_with_silence(composer: Composer) -> None:
    samples = np.zeros((2, 200000), np.float32)
    samples[0] = noise(200000, 1)[:, 0]
    made = filled(composer, samples, 44100, 90000, 100000)
    assert made[0].any()
    assert not made[1].any()


@given(st.integers(0, 200000), st.integers(1, 200000), st.integers(0, 400000), st.sampled_from((8000, 44100, 48000)))
@settings(max_examples=60, deadline=None)
def test_a_planned_stretch_holds_the_hole(composer: Composer, first: int, length: int, after: int, rate: int) -> None:
    total = first + length + after
    try:
        hole = fill.plan(composer, rate, total, first, first + length)
    except UsageError:
        # Longer than what leaves some of a window, or nearly all that there is: two columns are needed around it,
        # a part of one may be lost at either end of the sound, and the hole takes up to two more than it lasts.
        assert length / rate > 6.5 or total - length < 6 * composer.column / MEL.sample_rate * rate
        return
    column = composer.column / MEL.sample_rate * rate
    masked = np.flatnonzero(hole.mask)
    assert hole.begin >= 0
    assert len(hole.mask) <= composer.columns
    assert hole.begin + masked[0] * column <= first + 1
    assert hole.begin + (masked[-1] + 1) * column >= first + length - 1
    # Context is whole columns of real sound.
    if masked[-1] + 1 < len(hole.mask):
        assert hole.begin + len(hole.mask) * column <= total + 1


def test_holes_too_long_or_without_surroundings_are_refused(composer: Composer) -> None:
    with pytest.raises(UsageError, match=r"lasts 9\.00 s, and at most 6\.8\d s"):
        fill.plan(composer, 48000, 48000 * 60, 48000, 48000 * 10)
    with pytest.raises(UsageError, match="sound around the hole"):
        fill.plan(composer, 48000, 48000, 100, 47900)


def test_a_hole_is_as_loud_and_as_varied_as_what_is_beside_it() -> None:
    rng = np.random.default_rng(0)
    beside = torch.from_numpy(0.4 + 0.05 * rng.standard_normal((1, 8, 400)))
    flat = torch.from_numpy(0.2 + 0.02 * rng.standard_normal((1, 8, 400)))
    masked = torch.zeros(400, dtype=torch.bool)
    masked[150:250] = True
    likened = _likened(beside, flat, masked)
    assert torch.equal(likened[..., ~masked], flat[..., ~masked])
    inside = likened[..., masked]
    assert float(inside.mean()) == pytest.approx(0.4, abs=0.01)
    assert float(inside.std()) == pytest.approx(0.05, rel=0.1)


def test_frames_out_of_reach_of_the_hole_keep_their_own_mel(composer: Composer) -> None:
    mask = np.array([False, True, True, False])
    hop, half = MEL.hop_length, MEL.n_fft // 2
    assert np.array_equal(_reached(composer, mask, None), np.repeat(mask, 16))
    reached = np.flatnonzero(_reached(composer, mask, (20 * hop, 30 * hop)))
    assert reached[0] == 20 - half // hop + 1
    assert reached[-1] == 30 + half // hop - 1


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_a_wav_changes_only_where_it_is_filled(tmp_path: Path, subtype: str) -> None:
    path, output = tmp_path / "a.wav", tmp_path / "b.wav"
    soundfile.write(path, noise(5000, 3), 48000, subtype)
    path.write_bytes(_with_chunk(path.read_bytes()))
    sound = opened(path)
    replaced(sound, output, 2000, np.full((3, 500), 0.25, np.float32))
    before, after = path.read_bytes(), output.read_bytes()
    width = {"PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}[subtype] * 3
    data = before.index(b"data") + 8
    first, last = data + 2000 * width, data + 2500 * width
    assert before[:first] == after[:first]
    assert before[last:] == after[last:]
    found, rate = soundfile.read(output)
    assert rate == 48000
    assert np.allclose(found[2000:2500], 0.25, atol=1 / 100)


def _with_chunk(content: bytes) -> bytes:
    """A WAV with a chunk before its samples that no library knows."""
    place = content.index(b"data")
    size = int.from_bytes(content[4:8], "little") + 14
    return content[:4] + size.to_bytes(4, "little") + content[8:place] + b"note\x05\0\0\0hello\0" + content[place:]


@pytest.mark.parametrize(("suffix", "subtype"), [(".flac", "PCM_24"), (".aiff", "PCM_16"), (".caf", "FLOAT")])
def test_other_formats_keep_their_samples(tmp_path: Path, suffix: str, subtype: str) -> None:
    path, output = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    soundfile.write(path, noise(70000, 2), 44100, subtype)
    replaced(opened(path), output, 100, np.zeros((2, 50), np.float32))
    before, after = (soundfile.read(each, dtype="float64")[0] for each in (path, output))
    assert soundfile.info(path).subtype == soundfile.info(output).subtype
    assert np.array_equal(before[:100], after[:100])
    assert np.array_equal(before[150:], after[150:])
    assert not after[100:150].any()


@given(st.integers(0, 99), st.integers(0, 40))
@settings(max_examples=25, deadline=None)
def test_an_extended_file_keeps_what_it_was(tmp_path_factory: pytest.TempPathFactory, last: int, more: int) -> None:
    folder = tmp_path_factory.mktemp("extended")
    path, output = folder / "a.wav", folder / "b.wav"
    soundfile.write(path, noise(100, 2), 22050, "PCM_16")
    chunks = [np.full((2, more), 0.5, np.float32), np.full((2, 3), -0.5, np.float32)]
    assert extended(opened(path), output, last, chunks) == last + more + 3
    before, after = (soundfile.read(each, dtype="int16")[0] for each in (path, output))
    assert np.array_equal(before[:last], after[:last])
    assert len(after) == last + more + 3


def test_files_that_cannot_be_filled_are_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.wav"
    text.write_text("no sound")
    empty = tmp_path / "empty.wav"
    soundfile.write(empty, np.zeros((0, 1)), 48000, "PCM_16")
    lossy = tmp_path / "lossy.ogg"
    soundfile.write(lossy, noise(5000, 1), 44100, format="OGG", subtype="VORBIS")
    for path, said in (
        (text, "not a sound file"),
        (empty, "holds no sound"),
        (lossy, "compressed"),
        (tmp_path / "none.wav", "no such file"),
        (tmp_path, "not a sound file"),
    ):
        with pytest.raises(ClipError, match=said) as caught:
            opened(path)
        assert "\n" not in str(caught.value)


@given(st.binary(max_size=200))
@settings(max_examples=50, deadline=None)
def test_any_bytes_after_a_header_are_sound_or_an_error(tmp_path_factory: pytest.TempPathFactory, rest: bytes) -> None:
    folder = tmp_path_factory.mktemp("bytes")
    path = folder / "a.wav"
    soundfile.write(path, noise(50, 1), 48000, "PCM_16")
    path.write_bytes(path.read_bytes()[:20] + rest)
    said = "sound"
    try:
        sound = opened(path)
        replaced(sound, folder / "b.wav", 0, np.zeros((sound.channels, 1), np.float32))
    except FoleygenError as error:
        said = str(error)
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_what_is_too_loud_for_a_file_is_lowered_not_cut(
    tmp_path: Path, subtype: str, caplog: pytest.LogCaptureFixture
) -> None:
    quiet = np.random.default_rng(0).uniform(-0.1, 0.1, (48000, 2)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", quiet, 48000, subtype)
    times = np.arange(9600) / 48000
    loud = np.stack([2 * np.sin(2 * np.pi * 440 * times) * np.hanning(9600)] * 2).astype(np.float32)
    source = opened(tmp_path / "a.wav")
    replaced(source, tmp_path / "b.wav", 1000, loud)
    extended(source, tmp_path / "c.wav", 48000, [loud[:, :5000], loud[:, 5000:]])
    for name, first in (("b.wav", 1000), ("c.wav", 48000)):
        found, _ = soundfile.read(tmp_path / name, dtype="float32")
        new = found[first : first + 9600]
        assert np.abs(new).max() == pytest.approx(2.0 if subtype == "FLOAT" else 1.0, abs=0.01)
        assert np.corrcoef(new[:, 0], loud[0])[0, 1] > 0.9999, "nothing is flat"
    assert ("was lowered by 6.0 dB" in caplog.text) == (subtype != "FLOAT")
