"""Recordings cut into events: attacks where the hits are, at any rate; tails; what is steady is no event."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from foleygen.errors import ClipError
from foleygen.library import mono
from foleygen.library.cutting import Cut, cut
from foleygen.library.mono import Mono

HITS_S = (0.31, 0.8571, 1.4, 1.9503, 2.6)
RATES = (8000, 11025, 16000, 22050, 44100, 48000, 96000, 192000)


def hits(
    rate: int, seconds: float, moments: Sequence[float], noise_db: float = -60, decay_s: float = 0.04
) -> NDArray[np.float64]:
    """Noise with decaying bursts of noise and tone that begin at ``moments``, each softer than the one before."""
    random = np.random.default_rng(7)
    sound = 10 ** (noise_db / 20) * random.standard_normal(round(seconds * rate))
    for number, moment in enumerate(moments):
        first = round(moment * rate)
        time = np.arange(len(sound) - first) / rate
        tone = np.sin(2 * np.pi * 700 * time + number)
        sound[first:] += 0.5 * 0.7**number * np.exp(-time / decay_s) * (tone + 0.5 * random.standard_normal(len(time)))
    return 0.4 * sound


def cut_of(path: Path, samples: NDArray[np.float64], rate: int, subtype: str = "FLOAT") -> Cut:
    soundfile.write(path, samples, rate, subtype, format="WAV")
    return cut(Mono(path))


@pytest.mark.parametrize("rate", RATES)
def test_attacks_are_where_the_hits_are(rate: int, tmp_path: Path) -> None:
    found = cut_of(tmp_path / "hits.wav", hits(rate, 3.2, HITS_S), rate)
    assert found.events["attack"] / rate == pytest.approx(HITS_S, abs=0.002)
    assert found.likenesses.shape == (5, 32)


@pytest.mark.parametrize("moment", [0.0, 0.0007, 0.01])
def test_a_recording_may_begin_with_its_hit(moment: float, tmp_path: Path) -> None:
    rate = 48000
    events = cut_of(tmp_path / "hit.wav", hits(rate, 0.5, (moment,)), rate).events
    assert events["attack"] / rate == pytest.approx([moment], abs=0.002)
    assert events["start"][0] >= 0


def test_noise_that_begins_with_a_recording_hides_no_hit_soon_after(tmp_path: Path) -> None:
    rate = 48000
    events = cut_of(tmp_path / "hit.wav", hits(rate, 0.4, (0.03,), -45), rate).events
    assert events["attack"] / rate == pytest.approx([0.03], abs=0.003)


def test_a_slow_swing_under_a_hit_does_not_move_it(tmp_path: Path) -> None:
    rate = 48000
    time = np.arange(3 * rate) / rate
    sound = 0.1 * hits(rate, 3, (1.0, 2.0)) + 0.02 * np.sin(2 * np.pi * 31 * time)
    assert cut_of(tmp_path / "swing.wav", sound, rate).events["attack"] / rate == pytest.approx([1, 2], abs=0.002)


def test_an_attack_is_found_in_any_noise_that_it_clears(tmp_path: Path) -> None:
    rate = 44100
    for noise_db in (-100, -50, -36):
        events = cut_of(tmp_path / "noise.wav", hits(rate, 3, (0.5, 1.5), noise_db), rate).events
        assert events["attack"] / rate == pytest.approx([0.5, 1.5], abs=0.003)


def test_a_tail_ends_in_the_noise_or_at_the_next_event(tmp_path: Path) -> None:
    rate = 48000
    events = cut_of(tmp_path / "tails.wav", hits(rate, 4, (0.5, 0.7, 2.5), -60, 0.1), rate).events
    assert events["end"][0] == events["start"][1]
    assert 0.5 < events["end"][1] / rate - 0.7 < 1.0  # -60 dB after 0.69 s
    assert (events["start"] <= events["attack"]).all()
    assert (events["attack"] < events["end"]).all()


def test_what_is_near_is_one_event(tmp_path: Path) -> None:
    rate = 48000
    step = hits(rate, 2, (0.5, 0.54), decay_s=0.01)
    assert cut_of(tmp_path / "step.wav", step, rate).events["attack"] / rate == pytest.approx([0.5], abs=0.002)


def test_levels_are_of_the_loudest_50_ms(tmp_path: Path) -> None:
    rate = 48000
    sound = np.zeros(2 * rate)
    sound[rate : rate + 9600] = 0.1 * np.sqrt(2) * np.sin(2 * np.pi * 1000 * np.arange(9600) / rate)
    events = cut_of(tmp_path / "tone.wav", np.stack([sound, sound], axis=1), rate).events
    assert events["level_db"] == pytest.approx([-20], abs=0.1)
    assert events["brightness_hz"] == pytest.approx([1000], rel=0.05)


def test_steady_sound_has_no_event_and_is_told(tmp_path: Path) -> None:
    rate = 44100
    rain = 0.1 * np.random.default_rng(3).standard_normal(5 * rate)
    found = cut_of(tmp_path / "rain.wav", rain, rate)
    assert not len(found.events)
    assert len(found.steady) == 1
    assert found.steady[0].start == 0
    assert found.steady[0].end == pytest.approx(len(rain), abs=0.02 * rate)
    assert found.noise_db == pytest.approx(-20, abs=2)


@pytest.mark.parametrize("moment", [0.0, 1.0])
def test_what_rings_for_long_is_one_event(moment: float, tmp_path: Path) -> None:
    rate = 44100
    events = cut_of(tmp_path / "gong.wav", hits(rate, 12, (moment,), -80, 2.0), rate).events
    assert events["attack"] / rate == pytest.approx([moment], abs=0.002)
    assert events["end"][0] / rate > moment + 9


def test_a_recording_that_begins_in_the_middle_of_a_sound_has_no_hit_there(tmp_path: Path) -> None:
    rate = 44100
    swells = 0.1 * (1 + 0.6 * np.sin(2 * np.pi * 3 * np.arange(5 * rate) / rate + 1.5))
    sound = swells * np.random.default_rng(5).standard_normal(5 * rate)
    assert not len(cut_of(tmp_path / "engine.wav", sound, rate).events)


@pytest.mark.parametrize("samples", [0, 1, 100, 48000])
def test_silence_of_any_length(samples: int, tmp_path: Path) -> None:
    found = cut_of(tmp_path / "silence.wav", np.zeros(samples), 48000, "PCM_16")
    assert not len(found.events)
    assert found.steady == ()
    assert found.noise_db is None


@pytest.mark.parametrize("last", [2006, 3000, 8507, 11999])
def test_where_a_recording_stops_short_is_no_hit(last: int, tmp_path: Path) -> None:
    sound = hits(48000, 0.25, (0.02,), decay_s=0.2)[:last]
    events = cut_of(tmp_path / "cut.wav", sound, 48000).events
    assert events["attack"] / 48000 == pytest.approx([0.02], abs=0.002)
    assert events["end"][0] == last


@pytest.mark.parametrize("samples", [48, 480, 4800])
def test_a_recording_of_one_short_click(samples: int, tmp_path: Path) -> None:
    click = 0.5 * np.exp(-np.arange(samples) / 100) * np.random.default_rng(1).standard_normal(samples)
    events = cut_of(tmp_path / "click.wav", click, 48000).events
    assert events["attack"].tolist() == [0]
    assert 0 < events["end"][0] <= samples


def test_floats_far_above_full_scale_are_bounded(tmp_path: Path) -> None:
    sound = hits(48000, 1, (0.5,))
    sound[100] = 1e38
    found = cut_of(tmp_path / "huge.wav", np.stack([sound, -sound], axis=1), 48000)
    assert np.isfinite(found.events["level_db"]).all()


@pytest.mark.parametrize(("rate", "channels"), [(1, 1), (3999, 1), (48000, 129)])
def test_what_no_sound_has_is_refused(rate: int, channels: int, tmp_path: Path) -> None:
    with pytest.raises(ClipError, match="says that it has"):
        cut_of(tmp_path / "odd.wav", np.zeros((100, channels)), rate)


def test_samples_that_are_no_numbers_are_silence(tmp_path: Path) -> None:
    sound = hits(48000, 2, (0.5, 1.5))
    sound[48000:48010] = np.nan, np.inf, -np.inf, *np.zeros(7)
    events = cut_of(tmp_path / "nan.wav", sound, 48000).events
    assert events["attack"] / 48000 == pytest.approx([0.5, 1.5], abs=0.002)
    assert np.isfinite(events["level_db"]).all()


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_any_depth_and_channels(subtype: str, channels: int, tmp_path: Path) -> None:
    sound = np.tile(hits(48000, 2, (0.5, 1.5))[:, None], channels)
    events = cut_of(tmp_path / "any.wav", sound, 48000, subtype).events
    assert events["attack"] / 48000 == pytest.approx([0.5, 1.5], abs=0.002)


def test_a_recording_that_does_not_fit_in_memory_is_cut_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = hits(48000, 12, np.arange(0.5, 11.5, 0.73).tolist())
    known = cut_of(tmp_path / "long.wav", sound, 48000)
    monkeypatch.setattr(mono, "_KEPT", 1000)
    found = cut(Mono(tmp_path / "long.wav"))
    assert len(found.events) == 15
    assert np.array_equal(found.events, known.events)
    assert np.array_equal(found.likenesses, known.likenesses)
