"""The embedded bundle obeys: what it is told is heard there, and nowhere else."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from foleygen import scenes
from foleygen.audio.mel import MelSpectrogram
from foleygen.audio.onsets import detect
from foleygen.engines.building import mel_config
from foleygen.engines.foley import Engine
from foleygen.evaluation.sync import pooled
from foleygen.features.cues import CueTrack, ToldCue, track_of, without_cues
from foleygen.sampling.noise import WindowKey
from foleygen.weights import store
from foleygen.weights.bundle import Bundle

HITS = (("hammer", "wood"), ("knock", "wood"), ("drum", "skin"), ("chop", "wood"), ("clap", "wood"), ("drop", "metal"))
STEPS = 6
"""Fewer than the default, which takes longer and places onsets no better."""


@cache
def engine() -> Engine:
    torch.set_num_threads(1)
    return Engine.load(store.load("tiny", Bundle), "cpu", "fp32")


def told(*cues: ToldCue, picture: bool = False) -> CueTrack:
    grid, words = engine().cue_grid, engine().words
    assert grid is not None
    assert words is not None
    return track_of(cues, grid, words, picture=picture)


def mels(*tracks: CueTrack | None, features: torch.Tensor | None = None) -> NDArray[np.float32]:
    """As heard, (N, M, T); row i has the noise of row i in every call."""
    keys = [WindowKey(0, f"row {row}", 0, 1) for row in range(len(tracks))]
    shown = torch.zeros(len(tracks), 128, 128) if features is None else features
    return heard(engine().mels(engine().latents(shown, keys, STEPS, tracks=tracks), shown, tracks), keys)


def heard(made: torch.Tensor, keys: list[WindowKey]) -> NDArray[np.float32]:
    """The mels (N, M, T) of the sounds that the vocoder makes of mels."""
    with torch.inference_mode():
        found: NDArray[np.float32] = MelSpectrogram(mel_config(engine().bundle).in_decibels)(
            engine().sounds(made, keys)
        ).numpy()
    return found


def test_twelve_windows_obey_their_cues() -> None:
    rng = np.random.default_rng(7)
    wanted, tracks = [], []
    for row in range(12):
        times = np.cumsum(rng.uniform(0.35, 1.2, 9)) + 0.2
        family, material = HITS[row % len(HITS)]
        wanted.append(times[times < 7.8])
        tracks.append(told(*(ToldCue(float(time), 0.8, family, material) for time in wanted[-1])))
    found = [detect(mel, 62.5) for mel in mels(*tracks)]
    score = pooled(zip(found, wanted, strict=True))
    turned = pooled((np.sort((times + 4.1) % 8.192), true) for times, true in zip(found, wanted, strict=True))
    assert score.f1_50ms is not None
    assert turned.f1_50ms is not None
    assert score.f1_50ms > 0.9
    assert turned.f1_50ms < 0.5


def test_the_sound_moves_when_a_cue_moves_by_40_ms() -> None:
    rows = range(6)
    here, there = (
        mels(*(told(ToldCue(2.0 + by, 0.9, "hammer", "wood"), ToldCue(5.0, 0.9, "hammer", "wood")) for _ in rows))
        for by in (0.0, 0.04)
    )
    moved = np.mean([nearest(late, 2.04) - nearest(early, 2.0) for early, late in zip(here, there, strict=True)])
    stayed = np.mean([nearest(late, 5.0) - nearest(early, 5.0) for early, late in zip(here, there, strict=True)])
    assert moved == pytest.approx(0.04, abs=0.03)
    assert stayed == pytest.approx(0.0, abs=0.016)


def nearest(mel: NDArray[np.float32], time_s: float) -> float:
    """The onset next to a time."""
    onsets = detect(mel, 62.5)
    return float(onsets[np.abs(onsets - time_s).argmin()])


def test_none_here_is_silence_and_not_known_is_the_picture() -> None:
    grid, words = engine().cue_grid, engine().words
    assert grid is not None
    assert words is not None
    scene = scenes.compose(scenes.TEST_SEEDS.start + 1, family="drum", style="clean")
    frames = torch.from_numpy(scene.frames(np.arange(256) / 31.25, 64, 64))
    features, keys = engine().encode(frames[None]), [WindowKey(0, "row 0", 0, 1)]
    unknown = engine().latents(features, keys, STEPS, 1.0, tracks=[without_cues(grid, words)])
    assert torch.equal(unknown, engine().latents(features, keys, STEPS, 1.0))
    nothing, silence = (
        heard(engine().decode(engine().latents(features, keys, STEPS, tracks=[track])), keys)
        for track in (without_cues(grid, words), told(picture=True))
    )
    assert silence.mean() < 0.75 * nothing.mean()
    silence = mels(told(picture=True), features=features)[0]
    hits = mels(told(*(ToldCue(0.5 + 0.8 * number, 0.9, "knock", "wood") for number in range(9))))[0]
    assert np.quantile(silence.mean(axis=0), 0.95) < np.quantile(hits.mean(axis=0), 0.95) - 0.1


def test_a_window_sounds_the_same_whatever_is_beside_it() -> None:
    tracks = [told(ToldCue(1.0, 0.9, "drum", "skin")), None, told(ToldCue(3.0)), told()]
    features = torch.randn(4, 128, 128)
    keys = [WindowKey(0, f"row {row}", 0, 1) for row in range(4)]
    together = engine().latents(features, keys, 2, tracks=tracks)
    for row, track in enumerate(tracks):
        alone = engine().latents(features[row : row + 1], keys[row : row + 1], 2, tracks=[track])
        assert torch.allclose(together[row], alone[0], atol=1e-4)


def test_a_weak_cue_is_quieter_than_a_strong_one() -> None:
    cues = [ToldCue(0.6 + 0.9 * number, 1.0 if number % 2 else 0.2, "hammer", "wood") for number in range(8)]
    heard = mels(*[told(*cues)] * 3)
    levels = np.array([
        [10 * np.log10(np.mean(10 ** (10 * mel[:, int(cue.time_s * 62.5) :][:, :6]))) for cue in cues] for mel in heard
    ])  # fmt: skip
    assert levels[:, 1::2].mean() - levels[:, ::2].mean() > 2
