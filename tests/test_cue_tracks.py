"""Cues and words of one window, written on the grid of its features."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foleygen.errors import UsageError
from foleygen.features.cues import CueGrid, ToldCue, Words, pack, told_strength, track_of, unpack, without_cues

GRID = CueGrid(frames=32, frame_s=0.064)
WORDS = Words(("hammer", "door", "rain"), ("wood", "metal"))


def test_a_cue_is_a_bump_at_its_time() -> None:
    track = track_of([ToldCue(0.5)], GRID, WORDS)
    peak = int(track.presence.argmax())
    assert abs((peak + 0.5) * 0.016 - 0.5) <= 0.008
    assert 0.85 <= track.presence.max() <= 1
    assert track.presence.reshape(-1)[peak + 6 :].max() < 1e-6


def test_a_window_sees_the_cues_of_its_own_stretch_of_the_clip() -> None:
    here = track_of([ToldCue(0.5)], GRID, WORDS)
    later = track_of([ToldCue(7.5), ToldCue(100.0), ToldCue(-3.0)], GRID, WORDS, start_s=7.0)
    assert np.allclose(here.presence, later.presence)


def test_not_known_and_none_here_differ() -> None:
    none_here, not_known = track_of((), GRID, WORDS), without_cues(GRID, WORDS)
    assert none_here.known.all()
    assert not not_known.known.any()
    assert not none_here.presence.any()


def test_stretches_are_known_and_so_is_what_surrounds_a_cue_beyond_them() -> None:
    track = track_of([ToldCue(1.8)], GRID, WORDS, known=[(0.2, 0.5)])
    centres = (np.arange(32) + 0.5) * 0.064
    assert track.known[(centres > 0.2) & (centres < 0.5)].all()
    assert track.known[(centres > 1.75) & (centres < 1.85)].all()
    assert not track.known[(centres > 0.6) & (centres < 1.6)].any()


def test_a_strength_is_told_as_its_level() -> None:
    loud, quiet, silent = (track_of([ToldCue(0.5, strength)], GRID, WORDS) for strength in (1.0, 0.15, None))
    assert loud.strength.max() > 0.8
    assert quiet.strength.min() < -0.8
    assert not silent.strength.any()
    assert 0 < loud.strength_known.sum() < 10
    assert not silent.strength_known.any()
    assert float(told_strength(0.4)) == pytest.approx(0, abs=0.01)


def test_each_of_two_things_keeps_its_word_from_its_token_column_on() -> None:
    cues = [ToldCue(0.3, family="hammer"), ToldCue(1.2, family="door")]
    family = track_of(cues, GRID, WORDS).family
    assert set(family[:16].tolist()) == {1}  # the door's column begins at frame 16, 1.024 s
    assert set(family[16:].tolist()) == {2}


def test_two_words_in_one_column_share_it() -> None:
    family = track_of([ToldCue(0.30, family="hammer"), ToldCue(0.45, family="door")], GRID, WORDS).family
    assert family[4:8].tolist() == [1, 1, 1, 2]  # frames of 0.256 to 0.512 s


def test_the_words_of_the_clip_hold_where_no_cue_says_otherwise() -> None:
    cues = [ToldCue(0.1), ToldCue(0.6, material="metal"), ToldCue(1.3)]
    track = track_of(cues, GRID, WORDS, family="hammer", material="wood")
    assert set(track.family.tolist()) == {1}
    assert track.material[4] == 1
    assert track.material[10] == 2
    assert track.material[-1] == 1
    assert set(without_cues(GRID, WORDS, family="rain").family.tolist()) == {3}


def test_packing_and_unpacking_give_the_same_back() -> None:
    track = track_of([ToldCue(0.5, 0.3, "door", "metal")], GRID, WORDS, known=[(0.0, 1.0)], picture=False)
    told = unpack(pack(track))
    for name in ("presence", "strength", "known", "strength_known", "family", "material", "picture"):
        assert np.array_equal(getattr(told, name), getattr(track, name)), name


@pytest.mark.parametrize(
    ("cue", "said"),
    [
        (ToldCue(0.5, family="hamer"), "hammer"),
        (ToldCue(0.5, material="cheese"), "wood"),
        (ToldCue(math.nan), "seconds"),
        (ToldCue(math.inf), "seconds"),
        (ToldCue(0.5, 1.5), "0 to 1"),
        (ToldCue(0.5, math.nan), "0 to 1"),
    ],
)
def test_what_cannot_be_told_is_one_sentence(cue: ToldCue, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        track_of([cue], GRID, WORDS)
    assert said in caught.value.remedy


def test_a_word_for_the_clip_is_checked_too() -> None:
    WORDS.check("rain", None)
    with pytest.raises(UsageError, match="no such material"):
        WORDS.check("rain", "rain")


def test_the_order_of_cues_does_not_matter() -> None:
    cues = [ToldCue(1.2, 0.4, "door"), ToldCue(0.3, 0.9, "hammer"), ToldCue(1.9)]
    first, second = track_of(cues, GRID, WORDS), track_of(cues[::-1], GRID, WORDS)
    assert np.array_equal(first.presence, second.presence)
    assert np.array_equal(first.family, second.family)


@given(st.floats(0.2, 1.7), st.floats(-0.1, 0.1))
def test_a_cue_that_moves_takes_its_peak_along(time_s: float, by: float) -> None:
    here, there = (
        track_of([ToldCue(at)], GRID, WORDS).presence.ravel().astype(np.float64) for at in (time_s, time_s + by)
    )
    step = GRID.frame_s / GRID.sub_steps
    moved = (np.arange(len(there)) * (there / there.sum() - here / here.sum())).sum() * step
    assert moved == pytest.approx(by, abs=0.002)
