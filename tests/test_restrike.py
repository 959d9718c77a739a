"""Hits that were told and did not come are struck again."""

from __future__ import annotations

import numpy as np

from foleygen.audio.onsets import detect, match
from foleygen.audio.restrike import APART, CHOKED, restruck
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


def onsets_near(mel: np.ndarray, strikes: Strikes) -> int:
    return match(detect(mel, RATE), (strikes.frames + 0.5) / RATE, 0.030).hits


def test_a_hit_that_is_hidden_by_the_one_before_is_heard() -> None:
    mel, strikes = struck(100, 200), told(100, 108, 200)
    assert onsets_near(mel, strikes) == 2
    made = restruck(mel, strikes)
    assert onsets_near(made, strikes) == 3
    changed = np.flatnonzero((made != mel).any(axis=0))
    assert changed.min() >= 108 - AHEAD - CHOKED - 1
    assert changed.max() < 140


def test_a_hit_that_is_not_there_gets_the_attack_of_another() -> None:
    mel, strikes = struck(100, 300), told(100, 200, 300)
    made = restruck(mel, strikes)
    assert onsets_near(made, strikes) == 3
    assert np.allclose(made[:, 200:204].max(axis=0), mel[:, 100:104].max(axis=0), atol=0.02)


def test_what_came_stays_to_the_bit() -> None:
    mel, strikes = struck(100, 200), told(100, 200)
    assert restruck(mel, strikes) is mel
    assert restruck(mel, told()) is mel
    assert restruck(np.zeros_like(mel), strikes) is not None
    assert not restruck(np.zeros_like(mel), strikes).any()


def test_a_hit_of_other_words_is_not_laid_in() -> None:
    mel = np.maximum(struck(100, band=slice(0, 40)), struck(300, band=slice(80, 128)))
    made = restruck(mel, told(100, 200, 300, 350, words=(1, 2, 2, 1)))
    assert not (made[:40, 190:260] > mel[:40, 190:260]).any()
    assert (made[80:, 200:205] > 0.5).all()
    assert (made[:40, 350:353] > mel[:40, 350:353]).all()
    alone = restruck(mel, told(100, 200, 300, words=(1, 3, 2)))
    assert np.array_equal(alone, mel)


def test_two_hits_that_are_heard_as_one_are_left_so() -> None:
    mel = struck(100, 300)
    assert np.array_equal(restruck(mel, told(100, 100 + APART - 1, 300)), mel)


def test_a_hit_at_either_end_of_the_window() -> None:
    mel = struck(200)
    made = restruck(mel, told(0, 200, 399))
    assert made.shape == mel.shape
    assert (made[:, 0] > 0.3).all()
    assert (made[:, 399] > 0.3).all()
