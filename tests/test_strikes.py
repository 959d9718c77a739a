"""Hits as they are told, and gains that make the hits of a mel as hard as that."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from foleygen.audio.mel_loudness import MelLoudness
from foleygen.audio.strikes import (
    HELD,
    LOWERED_DB,
    RAISED_DB,
    RETURN,
    USUAL_DB,
    Strikes,
    balance,
    strikes_of,
    with_free,
)
from foleygen.engines.building import mel_config
from foleygen.engines.cues import grid_of, words_of
from foleygen.engines.foley import Engine
from foleygen.features.cues import CueTrack, ToldCue, pack, track_of
from foleygen.models.cue_layout import CueLayout
from foleygen.models.level import unfelt
from foleygen.sampling.noise import WindowKey
from foleygen.weights import store
from foleygen.weights.bundle import Bundle

COLUMNS = 512


@cache
def engine() -> Engine:
    return Engine.load(store.load("tiny", Bundle), "cpu", "fp32")


def track(*cues: ToldCue, start_s: float = 0.0) -> CueTrack:
    words = words_of(engine().bundle)
    assert words is not None
    return track_of(cues, grid_of(engine().bundle), words, picture=False, start_s=start_s)


def strikes(*cues: ToldCue, start_s: float = 0.0) -> Strikes:
    packed = pack(track(*cues, start_s=start_s))
    return strikes_of(packed, CueLayout(grid_of(engine().bundle).sub_steps), COLUMNS)


def test_hits_are_read_off_a_track_as_they_were_told() -> None:
    found = strikes(ToldCue(1.0, 0.5), ToldCue(2.003, None), ToldCue(2.1, 1.0), ToldCue(8.1, 0.05))
    rate = COLUMNS / grid_of(engine().bundle).seconds
    assert np.abs(found.frames + 0.5 - np.array([1.0, 2.003, 2.1, 8.1]) * rate).max() <= 1.0
    assert found.decibels[[0, 2, 3]] == pytest.approx([-6.02, 0.0, -26.02], abs=0.01)
    assert np.isnan(found.decibels[1])


def test_a_hit_of_the_window_beside_is_not_one_of_this() -> None:
    assert len(strikes(ToldCue(4.0, 0.5), start_s=4.1).frames) == 0
    assert len(strikes(ToldCue(4.0, 0.5), start_s=3.9).frames) == 1
    assert strikes().hardness_db == 0


def test_how_hard_hits_are_together() -> None:
    usual = 10 ** (USUAL_DB / 20)
    assert strikes(ToldCue(1.0, usual), ToldCue(3.0)).hardness_db == pytest.approx(0, abs=0.01)
    assert strikes(ToldCue(1.0), ToldCue(3.0)).hardness_db == 0
    assert strikes(ToldCue(1.0, 1.0)).hardness_db == pytest.approx(-USUAL_DB, abs=0.01)
    half, full = strikes(ToldCue(1.0, 0.4), ToldCue(2.0, 0.2)), strikes(ToldCue(1.0, 0.8), ToldCue(2.0, 0.4))
    assert full.hardness_db - half.hardness_db == pytest.approx(6.02, abs=0.01)


def told(frames: np.ndarray, *decibels: float, words: tuple[int, ...] = ()) -> Strikes:
    return Strikes(frames, np.array(decibels), np.array(words or (0,) * len(decibels)))


def hits_at(*levels: float) -> tuple[np.ndarray, np.ndarray]:
    """Levels of columns with a hit each 150 frames, which rings for 10, and where the hits are."""
    frames = 50 + 150 * np.arange(len(levels))
    made = np.full(150 * len(levels) + 50, -80.0)
    for frame, level in zip(frames, levels, strict=True):
        made[frame : frame + 10] = level
    return made, frames


def gains_of(levels: np.ndarray, strikes: Strikes) -> np.ndarray:
    return balance(levels, strikes).gains


def test_hits_come_to_the_distances_that_were_told() -> None:
    levels, frames = hits_at(-20, -20, -26)
    gains = gains_of(levels, told(frames, -6.0, 0.0, -12.0))
    assert (levels + gains)[frames] == pytest.approx([-20, -14, -26])
    assert gains[frames[1] : frames[1] + HELD] == pytest.approx(np.full(HELD, 6.0))
    assert gains[frames[1] + HELD + RETURN] == 0
    assert not gains[: frames[0] - 2].any()


def test_hits_without_strengths_stay_and_beside_others_are_usual() -> None:
    levels, frames = hits_at(-20, -20)
    found = balance(levels, told(frames, np.nan, np.nan))
    assert not found.gains.any()
    assert not found.alike.any()
    assert found.harder_db == 0
    assert not balance(levels, told(frames[:0])).gains.any()
    beside = levels + gains_of(levels, told(frames, 0.0, np.nan))
    assert beside[frames[0]] - beside[frames[1]] == pytest.approx(-USUAL_DB)


def test_how_loud_hits_are_does_not_depend_on_those_beside_them() -> None:
    levels, frames = hits_at(-20, -26, -14, -20)
    for strengths in ((0, -12, -12, -12), (0, 0, 0, -12), (0, -3, -6, -9)):
        found = balance(levels, told(frames, *strengths))
        alike = (levels + found.alike)[frames]
        assert np.ptp(alike) < 0.01
        of_full_strength = (levels + found.gains)[frames[0]] + found.harder_db - alike[0]
        assert of_full_strength == pytest.approx(-USUAL_DB, abs=0.01)


def free(frames: np.ndarray, which: tuple[int, ...], *decibels: float) -> Strikes:
    """Hits of which some are nobody's."""
    return replace(told(frames, *decibels), free=np.isin(np.arange(len(frames)), which))


def test_hits_that_nobody_told_are_no_louder_than_usual_and_change_nothing_of_the_others() -> None:
    levels, frames = hits_at(-20, -2, -26, -60)
    strengths = (0.0, np.nan, -12.0, np.nan)
    found = balance(levels, free(frames, (1, 3), *strengths))
    alone = balance(levels, told(frames[[0, 2]], 0.0, -12.0))
    after = levels + found.gains
    assert after[frames[[0, 2]]] == pytest.approx((levels + alone.gains)[frames[[0, 2]]])
    assert found.harder_db == alone.harder_db
    assert after[frames[1]] - after[frames[0]] == pytest.approx(USUAL_DB)
    assert after[frames[3]] == -60, "a soft one stays soft"
    assert (levels + found.alike)[frames[:3]] == pytest.approx(np.full(3, -23.0))


def test_beside_hits_without_strengths_those_that_nobody_told_are_no_louder_than_they() -> None:
    levels, frames = hits_at(-20, -2, -26, -60)
    found = balance(levels, free(frames, (1, 3), *[np.nan] * 4))
    assert np.array_equal(found.gains, found.alike)
    assert (levels + found.gains)[frames] == pytest.approx([-20, -23, -26, -60])
    assert found.harder_db == 0
    assert not balance(levels, free(frames, (0, 1, 2, 3), *[np.nan] * 4)).gains.any()


def test_free_hits_are_found_where_the_picture_may_add() -> None:
    layout = CueLayout(grid_of(engine().bundle).sub_steps)
    words = words_of(engine().bundle)
    assert words is not None
    cues, mel = [ToldCue(1.0, 0.5), ToldCue(6.0)], np.zeros((128, COLUMNS), np.float32)
    for second, height in ((1.0, 0.5), (3.0, 0.7), (5.0, 0.6), (6.05, 0.6), (7.0, 0.7)):
        place = round(second * COLUMNS / grid_of(engine().bundle).seconds)
        mel[:, place:] = np.maximum(mel[:, place:], height - 0.01 * np.arange(COLUMNS - place))
    for known, seconds in (([(4.0, 8.0)], [1.0, 3.0, 6.0]), (None, [1.0, 6.0]), ([], [1.0, 3.0, 5.0, 6.0, 7.0])):
        packed = pack(track_of(cues, grid_of(engine().bundle), words, known=known))
        found = with_free(strikes_of(packed, layout, COLUMNS), packed, layout, mel)
        times = (found.frames + 0.5) * grid_of(engine().bundle).seconds / COLUMNS
        assert times == pytest.approx(seconds, abs=0.04)
        assert found.free is not None
        assert np.array_equal(found.free, [second not in (1.0, 6.0) for second in seconds])
        assert np.isnan(found.decibels[found.free]).all()
        assert found.told
    none = pack(track_of([], grid_of(engine().bundle), words, known=[]))
    assert not len(with_free(strikes_of(none, layout, COLUMNS), none, layout, mel).frames)


@pytest.mark.parametrize("given", [True, False])
def test_what_the_picture_adds_does_not_push_told_hits_down(given: bool) -> None:
    """Nor is it touched where the cues themselves were seen in the picture."""
    words = words_of(engine().bundle)
    assert words is not None
    mel = torch.zeros(1, 128, COLUMNS)
    for second, height in ((1.0, 0.5), (4.0, 0.8), (6.0, 0.5)):
        place = round(second * COLUMNS / grid_of(engine().bundle).seconds)
        mel[0, :, place : place + 40] = height - 0.01 * torch.arange(40)
    cues = [ToldCue(1.0), ToldCue(6.0)]
    meter, grid = MelLoudness(mel_config(engine().bundle)), grid_of(engine().bundle)
    levels = {}
    for name, known in (("all", None), ("some", [(0.0, 2.0), (5.0, 7.0)])):
        one = replace(track_of(cues, grid, words, known=known, picture=False), given=given)
        sounding = mel if known else mel * (torch.arange(COLUMNS) // 64 != 3)
        condition = engine()._condition(torch.zeros(1, 128, 128), [one])
        with torch.inference_mode():
            made = meter.frames(engine()._finish(sounding.clone(), condition, given))[0]
        levels[name] = [float(made[round(second * COLUMNS / grid.seconds) + 1]) for second in (1.0, 4.0, 6.0)]
    told_down = levels["all"][0] - levels["some"][0]
    assert levels["some"][0] == pytest.approx(levels["some"][2], abs=0.1)
    if given:
        assert levels["some"][1] < levels["some"][0] + 1
        assert told_down < 8
    else:
        assert levels["some"][1] > levels["some"][0] + 25


def test_what_is_not_there_is_not_raised_without_end() -> None:
    levels, frames = hits_at(-20, -20, -70)
    gains = gains_of(levels, told(frames, 0, 0, 0))
    assert gains[frames[2]] == RAISED_DB
    assert gains[frames[0]] == 0


def test_what_is_far_too_loud_is_lowered_as_far_as_it_takes() -> None:
    levels, frames = hits_at(-40, -40, -15, -5)
    gains = gains_of(levels, told(frames, 0, 0, 0, 0))
    middle = (-40 - 15) / 2
    assert (levels + gains)[frames] == pytest.approx([middle - 0.5, middle - 0.5, middle, middle], abs=0.6)
    assert -LOWERED_DB < gains[frames[3]] < -RAISED_DB


def test_a_soft_hit_is_not_lowered_below_what_rings_into_it() -> None:
    levels, frames = hits_at(-20, -20, -20)
    levels[frames[1] : frames[2]] = -24.0
    levels[frames[1] : frames[1] + 10] = -20.0
    gains = gains_of(levels, told(frames, 0.0, 0.0, -26.0))
    assert gains[frames[2]] == pytest.approx(-4.0, abs=0.5)


def test_strengths_can_be_taken_out_of_a_track() -> None:
    layout = CueLayout(grid_of(engine().bundle).sub_steps)
    told = torch.from_numpy(pack(track(ToldCue(1.0, 0.3), ToldCue(2.0, 0.9))))[None]
    bare = torch.from_numpy(pack(track(ToldCue(1.0), ToldCue(2.0))))[None]
    assert torch.equal(unfelt(told, layout), bare)


def made(*cues: ToldCue, seed: int = 0) -> tuple[float, list[float]]:
    """Loudness of a window of the embedded bundle, and of its hits."""
    features, told = torch.zeros(1, 128, 128), [track(*cues)]
    latents = engine().latents(features, [WindowKey(seed, "strikes", 0, 1)], tracks=told)
    mels = engine().mels(latents, features, told)
    meter = MelLoudness(mel_config(engine().bundle))
    power = 10 ** (meter.frames(mels)[0].numpy() / 10)
    rate = len(power) / grid_of(engine().bundle).seconds
    places = [round(cue.time_s * rate) for cue in cues]
    levels = [float(10 * np.log10(power[place - 1 : place + 6].mean())) for place in places]
    return meter.integrated(mels).item(), levels


@pytest.mark.parametrize("seed", [0, 1])
def test_a_ladder_of_strengths_is_a_ladder_of_levels(seed: int) -> None:
    strengths = (0.1, 0.25, 0.5, 0.75, 1.0)
    _, levels = made(*(ToldCue(0.7 + 0.9 * place, one) for place, one in enumerate(strengths)), seed=seed)
    assert np.diff(levels) == pytest.approx(np.diff(20 * np.log10(strengths)), abs=1.5)


def test_hits_that_are_all_soft_make_a_soft_clip() -> None:
    soft, usual, hard = (made(*(ToldCue(time, one) for time in (1.0, 3.0, 5.0)))[0] for one in (0.2, 0.6, 1.0))
    assert soft < usual - 7
    assert usual < hard - 3
