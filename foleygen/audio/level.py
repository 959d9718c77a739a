"""From how loud a sound is to how loud it should be: one linear gain for a clip."""

from __future__ import annotations

import math
from dataclasses import dataclass

from foleygen.errors import UsageError
from foleygen.facts import Loudness
from foleygen.settings import LOUDNESS_PRESETS


@dataclass(frozen=True)
class LoudnessTarget:
    """Where a finished track is brought to."""

    lufs: float
    true_peak_dbtp: float
    """Ceiling: no true peak above it, whatever the loudness."""


PRESETS = {
    "ebu": LoudnessTarget(-23.0, -1.0),  # EBU R 128
    "atsc": LoudnessTarget(-24.0, -2.0),  # ATSC A/85
    "podcast": LoudnessTarget(-16.0, -2.0),  # Apple Podcasts asks for -16 +-1 and at most -1
    "streaming": LoudnessTarget(-14.0, -2.0),  # Spotify and YouTube play at -14
}
TRUE_PEAK_DBTP = -1.0
"""Ceiling for a target that is a number (EBU R 128's)."""
UNMEASURED_LUFS = -23.0
"""The Foley's loudness for the bed's level where it cannot be measured: silent, or shorter than 0.4 s."""
BED_PEAK_DBTP = -1.0
"""No bed is raised above this true peak."""
_SLACK_DB = 0.005
"""Differences that nobody is told of."""
_MARGIN_DB = 0.03
"""True peak meters differ by as much: a track that ends at its ceiling ends that far under it."""


def target(text: str | None, true_peak: float | None = None) -> LoudnessTarget | None:
    """What ``--loudness`` and ``--true-peak`` ask for: None, a preset's name, or LUFS as a number.

    ``true_peak`` (dBTP) takes the place of the preset's own. Raises UsageError for any other text.
    """
    if text is None or text == "off":
        return None
    preset = PRESETS.get(text)
    lufs = preset.lufs if preset else _number(text)
    ceiling = preset.true_peak_dbtp if preset else TRUE_PEAK_DBTP
    return LoudnessTarget(lufs, ceiling if true_peak is None else true_peak)


def gain_db(loudness: Loudness, target: LoudnessTarget) -> tuple[float, str | None]:
    """The gain that brings a sound to ``target``, as far as its true peak may go; and a note where it is not that.

    Silence keeps its level, and so does what is too short to measure, unless its true peak is above the ceiling.
    """
    integrated, peak = loudness.integrated_lufs, loudness.true_peak_dbtp
    if peak is None:
        return 0.0, "is silent, so its level was left as it is"
    headroom = told(target.true_peak_dbtp - peak - _MARGIN_DB)
    if integrated is None:
        gain = min(0.0, headroom)
        done = f"was lowered by {-gain:.1f} dB for its peaks" if gain < 0 else "was left as it is"
        return gain, f"is too short or too quiet to measure its loudness, so its level {done}"
    wanted = told(target.lufs - integrated)
    if wanted <= headroom + _SLACK_DB:
        return min(wanted, headroom), None
    reached = integrated + headroom
    return headroom, (
        f"is at {reached:.1f} LUFS instead of {target.lufs:g}: "
        f"more gain would lift its true peak above {target.true_peak_dbtp:g} dBTP"
    )


def bed_gain_db(bed: Loudness, foley: Loudness, above_db: float) -> float:
    """What puts a ``bed`` at ``above_db`` over the ``foley``, as that is in the clip; no bed comes near full scale."""
    if bed.integrated_lufs is None or bed.true_peak_dbtp is None:
        return 0.0
    own = UNMEASURED_LUFS if foley.integrated_lufs is None else foley.integrated_lufs
    return told(min(own + above_db - bed.integrated_lufs, BED_PEAK_DBTP - bed.true_peak_dbtp))


def told(gain_db: float) -> float:
    """A gain as it is told and applied: in thousandths of a dB, never upwards."""
    return math.floor(gain_db * 1000 + 1e-6) / 1000


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        known = ", ".join(("off", *LOUDNESS_PRESETS))
        raise UsageError(f"{text!r} is no loudness", f"give one of {known}, or LUFS as a number such as -23")
    return number
