"""How far a clip's sound reaches. No torch here, nor in what this imports: it is asked while that is imported."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

from foleygen.media.probe import ClipInfo
from foleygen.media.timecode import nominal_rate
from foleygen.settings import RenderSettings
from foleygen.weights.bundle import Bundle


def track_samples(info: ClipInfo, sample_rate: int) -> int:
    """Length of a clip's sound."""
    return max(1, round(info.duration * sample_rate))


def start_of(at_s: float, bundle: Bundle) -> Fraction:
    """The sample nearest to ``at_s``, in seconds."""
    return Fraction(round(at_s * bundle.sample_rate), bundle.sample_rate)


def window_seconds(info: ClipInfo, bundle: Bundle, start_s: Fraction, seconds: float) -> float:
    """Of one window that begins ``start_s`` into the clip, ``seconds`` at most."""
    return min(seconds, float(info.duration - start_s), bundle.window_samples / bundle.sample_rate)


def handle_pictures(info: ClipInfo, settings: RenderSettings) -> int:
    """Whole pictures for at least ``settings.handles`` seconds; none without wavs, which alone have them."""
    if not settings.stems and settings.takes == 1:
        return 0
    return ceil(Fraction(settings.handles).limit_denominator(10**6) * nominal_rate(info.average_rate))


def handle_samples(info: ClipInfo, settings: RenderSettings, sample_rate: int) -> int:
    """Samples before the first picture, and as many after the last."""
    return round(handle_pictures(info, settings) / nominal_rate(info.average_rate) * sample_rate)
