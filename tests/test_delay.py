"""Sound that follows its picture, or runs ahead of it: as long as before, moved by exactly what was asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from bundles import SAMPLE_RATE
from clips import write_clip
from hypothesis import given
from hypothesis import strategies as st

from foleygen.audio.delay import delayed
from foleygen.engines.foley import Engine
from foleygen.media.probe import probe
from foleygen.pipeline import Job, Outcome, render, render_window, soundtrack
from foleygen.settings import RenderSettings


@given(
    total=st.integers(0, 300),
    late=st.integers(-400, 400),
    cuts=st.lists(st.integers(0, 300), max_size=5),
)
def test_every_sample_moves_by_as_much_whatever_the_chunks(total: int, late: int, cuts: list[int]) -> None:
    sound = np.arange(1, total + 1, dtype=np.float32)
    moved = np.concatenate([*delayed(np.split(sound, sorted(min(cut, total) for cut in cuts)), late, total), sound[:0]])
    expected = [sound[place - late] if 0 <= place - late < total else 0 for place in range(total)]
    assert moved.tolist() == expected


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1.6 s: two windows."""
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mov", count=40)


def settings(**changes: Any) -> RenderSettings:
    return RenderSettings(**{"overlap": 0.25, "seams": "crossfade", "cuts": False, "stems": True, **changes})


def finished(clip: Path, folder: Path, engine: Engine, delay: float) -> Outcome:
    folder.mkdir()
    job = Job(probe(clip), folder / "out.mov")
    (outcome,) = render([job], engine, settings(audio_delay=delay), None, lambda progress: None)
    assert outcome.error is None, outcome.error
    return outcome


def stem(outcome: Outcome) -> np.ndarray:
    path = outcome.takes[0].stem
    assert path is not None
    return soundfile.read(path, dtype="float32")[0]


@pytest.mark.parametrize("delay", [0.25, -0.25])
def test_the_delivered_sound_and_its_onsets_are_moved(clip: Path, tmp_path: Path, engine: Engine, delay: float) -> None:
    there = finished(clip, tmp_path / "there", engine, 0.0)
    moved = finished(clip, tmp_path / "moved", engine, delay)
    before, after = stem(there), stem(moved)
    late = round(delay * 48000)
    assert len(after) == len(before)
    # Where the track is cut the resampler rings: a few milliseconds are left out.
    kept = before[max(0, -late) : len(before) - max(0, late)][400:-400]
    ours = after[max(0, late) : len(before) - max(0, -late)][400:-400]
    assert np.abs(kept).max() > 1e-2
    assert np.abs(ours - kept).max() < 1e-3 * np.abs(kept).max()
    silent = after[: late - 400] if late > 0 else after[late + 400 :]
    assert np.abs(silent).max() < 1e-3 * np.abs(kept).max()
    wanted = [onset + delay for onset in there.takes[0].onsets if 0 <= onset + delay < float(there.job.info.duration)]
    assert moved.takes[0].onsets == pytest.approx(wanted)


def test_preview_and_track_are_moved_alike(clip: Path, engine: Engine) -> None:
    info, late = probe(clip), round(0.1 * SAMPLE_RATE)
    plain, moved = (render_window(info, engine, settings(audio_delay=delay), 0.0, 1.0) for delay in (0.0, 0.1))
    assert np.array_equal(moved.samples[late:], plain.samples[:-late])
    assert not moved.samples[:late].any()
    assert moved.mel.shape == plain.mel.shape
    assert not np.array_equal(moved.mel, plain.mel)
    whole, shifted = (soundtrack(info, engine, settings(audio_delay=delay)) for delay in (0.0, -0.1))
    assert np.array_equal(shifted[:-late], whole[late:])
    assert not shifted[-late:].any()
