"""Hits that were told and did not come are struck again."""

from __future__ import annotations

import numpy as np
import pytest

from foleygen.audio.onsets import detect, flux, least_flux, match
from foleygen.audio.restrike import APART, FADING, LENGTH, MARGIN, STEP_DB, bared, restruck
from foleygen.audio.strikes import AHEAD, Strikes

RATE = 62.5


def told(*frames: int, words: tuple[int, ...] = ()) -> Strikes:
    places, numbers = np.array(frames, np.int64), np.array(words or (1,) * len(frames), np.int64)
    return Strikes(places, np.full(len(frames), np.nan), numbers)


def struck(*frames: int, columns: int = 400, band: slice = slice(0, 128), ring: float = 0.01) -> np.ndarray:
    """A mel (128, columns) of hits that rise a frame before ``frames``, as the analysis window sees them, and ring."""
    mel = np.zeros((128, columns), np.float32)
    for frame in frames:
        tail = 0.7 - ring * np.arange(columns - frame + AHEAD, dtype=np.float32)
        mel[band, frame - AHEAD :] = np.maximum(mel[band, frame - AHEAD :], tail)
    return mel


def again(mel: np.ndarray, strikes: Strikes) -> np.ndarray:
    """The mel with its missing hits."""
    return restruck(mel, strikes)[0]


def onsets_near(mel: np.ndarray, strikes: Strikes) -> int:
    return match(detect(mel, RATE), (strikes.frames + 0.5) / RATE, 0.030).hits


def test_a_hit_that_is_hidden_by_the_one_before_is_heard() -> None:
    mel, strikes = struck(100, 200), told(100, 108, 200)
    assert onsets_near(mel, strikes) == 2
    made, hits = restruck(mel, strikes)
    assert hits.tolist() == [1]
    assert onsets_near(made, strikes) == 3
    changed = np.flatnonzero((made != mel).any(axis=0))
    assert changed.min() >= 108 - AHEAD - FADING
    assert changed.max() < 140


def test_nothing_comes_back_before_a_hit_and_it_rises_at_its_cue() -> None:
    """Damped for as long as it takes to the hit, with no hump in between; also one that rises slowly."""
    for slow in (0, 1):
        mel, strikes = struck(100, 300), told(100, 110, 118, 300)
        for step in range(slow):
            mel[:, [99 + step, 299 + step]] = 0.25
        made = again(mel, strikes)
        for frame in (110, 118):
            level, before = made.mean(axis=0), slice(frame - AHEAD - FADING - 1, frame - AHEAD)
            assert (np.diff(level[before]) <= 0).all()
            ringing, rising = level[frame - AHEAD - 1 : frame - AHEAD + 1]
            assert rising <= ringing or rising > 0.65, "it is the hit, or what rings is damped there too"
        assert match(detect(made, RATE), (strikes.frames + 0.5) / RATE, 0.020).hits == 4


def test_what_rings_is_damped_as_little_as_a_hit_needs() -> None:
    mel, strikes = struck(100, 200), told(100, 108, 200)
    rise, needed = flux(again(mel, strikes))[108 - AHEAD], MARGIN * least_flux(flux(mel))
    assert needed <= rise < needed + 2 * STEP_DB / 100
    quiet = np.maximum(0, mel - 0.3 * (np.arange(400) == 106))  # it is low enough there
    low = again(quiet, told(100, 108, 200))
    assert np.array_equal(low[:, :106], quiet[:, :106])


def test_a_hit_fades_to_its_end_whatever_its_donor_has() -> None:
    """The donor is alone for seven frames, and rings as loud as ever when the next one comes."""
    mel = struck(100, 107, ring=0.0)
    mel[:, 150:] = 0
    level = again(mel, told(100, 107, 200)).mean(axis=0)
    after = level[200 : 200 + LENGTH]
    assert after[:4] == pytest.approx(0.7)
    assert np.diff(after[:-1]).min() > -0.03
    assert 0.3 < after[-2] < 0.35
    assert after[-1] == 0


def test_hits_are_heard_with_the_levels_that_they_get() -> None:
    """A soft one is lowered after it was struck; what rings gives way to it by what it lacks and no more."""
    strikes = told(100, 110, 200)
    made, hits = restruck(struck(100, 200), strikes)
    soft = made.copy()
    soft[:, 110:] -= 0.1
    bare = bared(soft, strikes, hits)
    near, needed = slice(110 - AHEAD - 1, 110 - AHEAD + 2), MARGIN * least_flux(flux(soft))
    assert flux(soft)[near].max() < needed <= flux(bare)[near].max()
    changed = np.flatnonzero((bare != soft).any(axis=0))
    assert changed.min() >= 110 - AHEAD - FADING
    assert changed.max() < 110 - AHEAD
    assert (bare <= soft).all()
    assert np.array_equal(bared(made, strikes, hits), made)
    assert np.array_equal(bared(soft, strikes, hits[:0]), soft)


def test_a_hit_that_is_not_there_gets_the_attack_of_another() -> None:
    mel, strikes = struck(100, 300), told(100, 200, 300)
    made = again(mel, strikes)
    assert onsets_near(made, strikes) == 3
    assert np.allclose(made[:, 200:204].max(axis=0), mel[:, 100:104].max(axis=0), atol=0.02)


def test_what_came_stays_to_the_bit() -> None:
    mel, strikes = struck(100, 200), told(100, 200)
    silence = np.zeros_like(mel)
    for one, hits in ((mel, strikes), (mel, told()), (silence, strikes)):
        made, none = restruck(one, hits)
        assert made is one
        assert not len(none)


def test_a_hit_of_other_words_is_not_laid_in() -> None:
    mel = np.maximum(struck(100, band=slice(0, 40)), struck(300, band=slice(80, 128)))
    made = again(mel, told(100, 200, 300, 350, words=(1, 2, 2, 1)))
    assert not (made[:40, 190:260] > mel[:40, 190:260]).any()
    assert (made[80:, 200:205] > 0.5).all()
    assert (made[:40, 350:353] > mel[:40, 350:353]).all()
    alone = again(mel, told(100, 200, 300, words=(1, 3, 2)))
    assert np.array_equal(alone, mel)


def test_two_hits_that_are_heard_as_one_are_left_so() -> None:
    mel = struck(100, 300)
    assert np.array_equal(again(mel, told(100, 100 + APART - 1, 300)), mel)


def test_a_hit_at_either_end_of_the_window() -> None:
    mel = struck(200)
    made = again(mel, told(0, 200, 399))
    assert made.shape == mel.shape
    assert (made[:, 0] > 0.3).all()
    assert (made[:, 399] > 0.3).all()
