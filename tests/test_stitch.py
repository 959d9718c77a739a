"""Windows cover a clip of any length; the stitcher joins them in constant power and in exactly its length."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from foleygen.audio.stitch import CUT_FADE, CUT_REACH, Stitcher, Window, joint, plan_windows
from foleygen.errors import UsageError


@st.composite
def plans(draw):
    window = draw(st.integers(1, 80))
    return draw(st.integers(1, 400)), window, draw(st.integers(0, window - 1))


@st.composite
def plans_with_cuts(draw):
    window = draw(st.integers(4000, 8000))
    overlap = draw(st.integers(0, window - 2000))
    total = draw(st.integers(1, 60000))
    cuts = sorted(draw(st.sets(st.integers(1, 60000), max_size=12)))
    return total, window, overlap, cuts


def noise_windows(windows, seed=0):
    generator = np.random.default_rng(seed)
    return [generator.standard_normal(window.length).astype(np.float32) for window in windows]


def stitch(total, windows, chunks):
    stitcher = Stitcher(total, windows)
    return [stitcher.push(window.index, chunk) for window, chunk in zip(windows, chunks, strict=True)]


@given(plans())
@settings(deadline=None)
def test_windows_cover_the_clip_and_none_is_idle(plan):
    total, length, overlap = plan
    windows = plan_windows(total, length, overlap)
    assert windows[0].start == 0
    assert windows[-1].end >= total
    assert all(window.length == length and window.start < total for window in windows)
    assert [window.start for window in windows] == [index * (length - overlap) for index in range(len(windows))]
    assert len(windows) == 1 or windows[-2].end < total


@given(plans(), st.integers(1, 500))
@settings(deadline=None)
def test_a_longer_clip_keeps_the_windows_of_the_shorter(plan, more):
    total, length, overlap = plan
    shorter, longer = plan_windows(total, length, overlap), plan_windows(total + more, length, overlap)
    assert longer[: len(shorter)] == shorter


@given(plans(), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_samples_add_up_to_the_total_and_come_as_soon_as_final(plan, seed):
    total, length, overlap = plan
    windows = plan_windows(total, length, overlap)
    parts = stitch(total, windows, noise_windows(windows, seed))
    ends = np.cumsum([part.size for part in parts])
    assert ends[-1] == total
    assert list(ends[:-1]) == [window.start for window in windows[1:]]
    assert all(part.dtype == np.float32 for part in parts)


@given(plans(), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_squared_weights_add_up_to_one_everywhere(plan, seed):
    """A window of ones among zeros shows its own weights."""
    total, length, overlap = plan
    windows = plan_windows(total, length, overlap)[:6]
    total = min(total, windows[-1].end)
    power = np.zeros(total)
    for sounding in windows:
        chunks = [np.full(window.length, float(window is sounding), np.float32) for window in windows]
        power += np.concatenate(stitch(total, windows, chunks)) ** 2
    np.testing.assert_allclose(power, 1.0, atol=1e-5)


@given(plans())
@settings(deadline=None)
def test_what_is_not_shared_passes_untouched(plan):
    total, length, overlap = plan
    windows = plan_windows(total, length, overlap)
    chunks = noise_windows(windows)
    joined = np.concatenate(stitch(total, windows, chunks))
    counts = np.zeros(total, dtype=int)
    for window in windows:
        counts[window.start : window.end] += 1
    for window, chunk in zip(windows, chunks, strict=True):
        alone = np.flatnonzero(counts[window.start : window.end] == 1)
        np.testing.assert_array_equal(joined[window.start + alone], chunk[alone])


@pytest.mark.parametrize("overlap", [1600, 16000, 65536])
def test_uncorrelated_noise_keeps_its_power_through_a_joint(overlap):
    length = 131072
    total = 2 * length - overlap
    windows = plan_windows(total, length, overlap)
    joined = [np.concatenate(stitch(total, windows, noise_windows(windows, seed))) for seed in range(16)]
    shared = np.array(joined)[:, length - overlap : length]
    for stretch in np.array_split(shared, 4, axis=1):
        assert abs(10 * np.log10(np.mean(stretch**2))) < 0.5


def test_uneven_windows_and_a_short_last_one_need_no_special_case():
    windows = [Window(0, 0, 100), Window(1, 60, 90), Window(2, 130, 30)]
    power = np.zeros(155)
    for sounding in range(3):
        chunks = [np.full(window.length, float(window.index == sounding), np.float32) for window in windows]
        power += np.concatenate(stitch(155, windows, chunks)) ** 2
    np.testing.assert_allclose(power, 1.0, atol=1e-5)


def test_tensors_and_arrays_give_the_same_sound():
    windows = plan_windows(1000, 300, 50)
    chunks = noise_windows(windows)
    from_arrays = np.concatenate(stitch(1000, windows, chunks))
    from_tensors = np.concatenate(stitch(1000, windows, [torch.from_numpy(chunk) for chunk in chunks]))
    np.testing.assert_array_equal(from_arrays, from_tensors)


def test_the_pushed_window_is_not_changed():
    windows = plan_windows(500, 300, 100)
    chunks = noise_windows(windows)
    copies = [chunk.copy() for chunk in chunks]
    stitch(500, windows, chunks)
    assert all(np.array_equal(chunk, copy) for chunk, copy in zip(chunks, copies, strict=True))


def test_windows_out_of_order_or_of_another_length_are_refused():
    stitcher = Stitcher(500, plan_windows(500, 300, 100))
    with pytest.raises(ValueError, match="window 1 pushed where 0"):
        stitcher.push(1, np.zeros(300, np.float32))
    with pytest.raises(ValueError, match="planned"):
        stitcher.push(0, np.zeros(299, np.float32))


@pytest.mark.parametrize(
    "windows",
    [
        [],
        [Window(0, 0, 50)],
        [Window(0, 1, 200)],
        [Window(0, 0, 40), Window(1, 50, 60)],
        [Window(0, 0, 100), Window(1, 100, 10)],
        [Window(1, 0, 100)],
    ],
)
def test_plans_that_do_not_span_the_clip_are_refused(windows):
    with pytest.raises(ValueError):
        Stitcher(100, windows)


def test_an_overlap_of_a_whole_window_is_the_users_error():
    with pytest.raises(UsageError, match="choose an overlap from 0 to 99"):
        plan_windows(1000, 100, 100)


@given(plans_with_cuts())
@settings(deadline=None)
def test_no_joint_fades_across_a_shot_change(plan):
    total, length, overlap, cuts = plan
    windows = plan_windows(total, length, overlap, cuts)
    assert windows[0].start == 0
    assert windows[-1].end >= total
    for before, after in pairwise(windows):
        assert before.end < total
        assert after.length == length
        assert before.start < after.start <= before.end
        if after.on_cut:
            assert after.start in cuts
        else:
            assert after.start == before.end - overlap
            assert not any(after.start <= cut < before.end - CUT_REACH for cut in cuts)


@given(plans_with_cuts(), st.integers(0, 60000))
@settings(deadline=None)
def test_a_window_depends_on_no_cut_after_the_end_of_the_one_before(plan, horizon):
    total, length, overlap, cuts = plan
    full = plan_windows(total, length, overlap, cuts)
    known = plan_windows(total, length, overlap, [cut for cut in cuts if cut <= horizon])
    settled = 1 + sum(window.end <= horizon for window in full)
    assert known[:settled] == full[:settled]


@given(plans_with_cuts(), st.booleans())
@example((8009, 5795, 3794, [5774]), False)
@settings(deadline=None, max_examples=40)
def test_shot_changes_keep_the_power_or_the_sum(plan, correlated):
    total, length, overlap, cuts = plan
    windows = plan_windows(total, length, overlap, cuts)
    power = np.zeros(total)
    on_cut = [window.start for window in windows if window.on_cut]
    at_a_cut = np.zeros(total, bool)
    for cut in on_cut:
        at_a_cut[cut : cut + CUT_FADE] = True
    for sounding in windows:
        chunks = [np.full(window.length, float(window is sounding), np.float32) for window in windows]
        stitcher = Stitcher(total, windows, correlated)
        weights = np.concatenate(
            [stitcher.push(window.index, chunk) for window, chunk in zip(windows, chunks, strict=True)]
        )
        power += weights if correlated else weights**2
        gone = [cut + CUT_FADE for cut in on_cut if cut > sounding.start]
        assert not gone or not weights[min(gone) :].any()
    np.testing.assert_allclose(power[~at_a_cut] if correlated else power, 1.0, atol=1e-5)


def test_the_fade_of_correlated_windows_is_a_straight_ramp():
    windows = plan_windows(700, 400, 100)
    stitcher = Stitcher(700, windows, correlated=True)
    fading = np.concatenate([stitcher.push(0, np.ones(400, np.float32)), stitcher.push(1, np.zeros(400, np.float32))])
    np.testing.assert_allclose(fading[300:400], 1 - (np.arange(100) + 0.5) / 100, atol=1e-6)


def test_the_same_sound_passes_a_correlated_joint_untouched():
    sound = np.random.default_rng(3).standard_normal(700).astype(np.float32)
    windows = plan_windows(700, 400, 100)
    stitcher = Stitcher(700, windows, correlated=True)
    padded = np.pad(sound, (0, 400))
    joined = np.concatenate([stitcher.push(w.index, padded[w.start : w.end]) for w in windows])
    np.testing.assert_allclose(joined, sound, atol=1e-6)


def test_a_joint_is_in_the_middle_or_on_the_cut():
    assert joint(Window(0, 0, 400), Window(1, 300, 400)) == 350
    assert joint(Window(0, 0, 400), Window(1, 320, 400, on_cut=True)) == 320


def test_windows_that_are_not_reached_yet_can_be_planned_again():
    first = plan_windows(20000, 8000, 2000)
    later = plan_windows(20000, 8000, 2000, [12500])
    assert first[:2] == later[:2]
    chunks = noise_windows(later)
    stitcher = Stitcher(20000, first)
    parts = [stitcher.push(0, chunks[0])]
    stitcher.replan(later)
    parts += [stitcher.push(window.index, chunks[window.index]) for window in later[1:]]
    np.testing.assert_array_equal(np.concatenate(parts), np.concatenate(stitch(20000, later, chunks)))
