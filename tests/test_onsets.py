"""Onsets are found where sounds begin, without bias, and lists of them are matched one to one, optimally."""

from itertools import combinations, permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from foleygen.audio import onsets
from foleygen.audio.mel import MelConfig, MelSpectrogram

CONFIG = MelConfig()


def synthesise(kind, seed, seconds=8.192):
    """Events of one kind over a faint noise floor; returns samples (S,) and the true times."""
    generator = np.random.default_rng(seed)
    rate = CONFIG.sample_rate
    samples = 10 ** generator.uniform(-4, -2.5) * generator.standard_normal(int(seconds * rate))
    times = np.cumsum(generator.uniform(0.15, 1.0, 60))
    times = times[times < seconds - 0.3]
    for onset in times:
        first = int(np.ceil(onset * rate))
        age = (np.arange(first, len(samples)) / rate) - onset
        samples[first:] += 10 ** generator.uniform(-0.8, 0) * SOUNDS[kind](age, generator)
    return samples.astype(np.float32), times


def click(age, generator):
    return np.where(age < 0.0005, generator.standard_normal(age.size), 0.0)


def tone(age, generator):
    partials = generator.uniform(150, 4000, 4)[:, None]
    decays = generator.uniform(0.05, 0.4, 4)[:, None]
    return 0.2 * (np.sin(2 * np.pi * partials * age) * np.exp(-age / decays)).sum(axis=0)


def knock(age, generator):
    body = np.sin(2 * np.pi * generator.uniform(100, 900) * age) * np.exp(-age / 0.2)
    return 0.3 * generator.standard_normal(age.size) * np.exp(-age / 0.01) + body * (1 - np.exp(-age / 0.003))


def burst(age, generator):
    return 0.3 * generator.standard_normal(age.size) * np.exp(-age / generator.uniform(0.02, 0.15))


SOUNDS = {"click": click, "tone": tone, "knock": knock, "burst": burst}


def detect_in(samples):
    mel = MelSpectrogram(CONFIG)(torch.from_numpy(samples)[None])[0].numpy()
    return onsets.detect(mel, CONFIG.frame_rate)


def test_onsets_are_found_without_bias():
    medians, matched, total = [], 0, 0
    for kind in SOUNDS:
        errors = []
        for seed in range(6):
            samples, times = synthesise(kind, seed)
            found = detect_in(samples)
            matching = onsets.match(found, times, 0.05)
            errors.extend(matching.errors_s)
            matched, total = matched + 2 * matching.hits, total + len(found) + len(times)
        medians.append(np.median(errors))
        assert np.median(np.abs(errors)) < 0.006
    assert abs(np.mean(medians)) < 0.002
    assert matched / total > 0.95


@given(st.floats(0.3, 7.5))
@settings(deadline=None)
def test_a_single_click_is_found_at_any_phase_of_the_frames(onset):
    samples = np.full(131072, 0.0, dtype=np.float32)
    samples[round(onset * CONFIG.sample_rate)] = 0.5
    found = detect_in(samples)
    assert len(found) == 1
    assert abs(found[0] - onset) < 0.010


def test_silence_and_steady_sound_have_no_onsets():
    steady = 0.3 * np.sin(2 * np.pi * 440 * np.arange(131072) / 16000)
    mel = MelSpectrogram(CONFIG)(torch.tensor(steady[None], dtype=torch.float32))[0].numpy()
    assert onsets.detect(mel[:, 4:-4], CONFIG.frame_rate).size == 0
    assert onsets.detect(np.zeros((128, 512)), CONFIG.frame_rate).size == 0
    assert onsets.detect(np.zeros((128, 0)), CONFIG.frame_rate).size == 0


times = st.lists(st.floats(0, 1), max_size=5)


def best_pairing(found, true, tolerance):
    """Exhaustive search: most pairs, then smallest error."""
    for size in range(min(len(found), len(true)), 0, -1):
        costs = [
            sum(abs(found[i] - true[j]) for i, j in zip(rows, columns, strict=True))
            for rows in combinations(range(len(found)), size)
            for columns in permutations(range(len(true)), size)
            if all(abs(found[i] - true[j]) <= tolerance for i, j in zip(rows, columns, strict=True))
        ]
        if costs:
            return size, min(costs)
    return 0, 0.0


@given(times, times, st.floats(0, 0.5))
@settings(deadline=None)
def test_the_matching_is_optimal_and_one_to_one(found, true, tolerance):
    matching = onsets.match(found, true, tolerance)
    hits, cost = best_pairing(found, true, tolerance)
    assert matching.hits == hits
    assert np.abs(matching.errors_s).sum() == pytest.approx(cost, abs=1e-9)
    assert len(set(matching.found_index)) == len(set(matching.true_index)) == hits
    assert (np.abs(matching.errors_s) <= tolerance).all()


def test_an_hour_is_matched_stretch_by_stretch(monkeypatch):
    largest = []
    aligned = onsets._aligned

    def measured(distances, most):
        largest.append(max(distances.shape))
        return aligned(distances, most)

    monkeypatch.setattr(onsets, "_aligned", measured)
    true = np.arange(4000) * 0.9
    matching = onsets.match(true[::-1] + 0.02, true, 0.03)
    assert matching.hits == 4000
    assert max(largest) == 1
    np.testing.assert_array_equal(matching.true_index, np.arange(4000))
    np.testing.assert_array_equal(matching.found_index, np.arange(4000)[::-1])


def test_f1_counts_misses_and_false_alarms():
    assert onsets.f1([1.0, 2.0, 3.0], [1.01, 2.02], 0.05) == pytest.approx(0.8)
    assert onsets.f1([], [], 0.05) == 1.0
    assert onsets.f1([], [1.0], 0.05) == onsets.f1([1.0], [], 0.05) == 0.0


@given(st.integers(0, 5000), st.floats(10, 200))
@settings(deadline=None)
def test_the_envelope_of_a_constant_is_that_constant(length, frame_rate):
    envelope = onsets.rms_envelope(np.full(length, -0.5), 16000, frame_rate)
    assert abs(len(envelope) - length * frame_rate / 16000) <= 1
    np.testing.assert_allclose(envelope, 0.5)


def test_the_envelope_keeps_its_clock_at_rates_that_do_not_divide():
    samples = np.zeros(44100 * 60)
    samples[-1000:] = 1.0
    envelope = onsets.rms_envelope(samples, 44100, 62.5)
    assert np.flatnonzero(envelope)[0] == pytest.approx((60 - 1000 / 44100) * 62.5, abs=1)


def test_a_sound_that_is_there_from_the_first_frame_has_an_onset_there_if_nothing_was_before():
    samples, _ = synthesise("burst", 3, 2.0)
    samples *= 1e-3
    age = np.arange(len(samples) - 16000) / 16000
    sudden = samples.copy()
    sudden[: len(age)] += knock(age, np.random.default_rng(0)).astype(np.float32)
    sudden[16000:] += knock(age, np.random.default_rng(1)).astype(np.float32)[: len(samples) - 16000]
    mel = MelSpectrogram(CONFIG)(torch.from_numpy(sudden)[None])[0].numpy()
    assert onsets.detect(mel, CONFIG.frame_rate) == pytest.approx([1.0], abs=0.01)
    assert onsets.detect(mel, CONFIG.frame_rate, begins=True) == pytest.approx([0.0, 1.0], abs=0.03)
    late = np.roll(sudden, 800)
    mel = MelSpectrogram(CONFIG)(torch.from_numpy(late)[None])[0].numpy()
    assert np.array_equal(onsets.detect(mel, CONFIG.frame_rate), onsets.detect(mel, CONFIG.frame_rate, begins=True)), (
        "what rises is where it rises"
    )
    assert onsets.detect(np.zeros((128, 100)), CONFIG.frame_rate, begins=True).size == 0
