"""Sync of filmed clips, whose own sound is the reference: onset F1 over chance, and a wrong-picture test.

A signal (T,) says at every frame how much seems to happen: of a picture's events, or the flux of a generated sound.
It is given as many peaks as the clip's sound has onsets, so that no threshold is tuned on films. Times are seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import maximum_filter1d

from foleygen.audio.onsets import PEAK_RADIUS_S, f1
from foleygen.errors import UsageError
from foleygen.evaluation.report import Cell, text_table
from foleygen.evaluation.sync import NARROW_S, WIDE_S, null_shifts

MIN_ONSETS = 3
"""Clips whose sound has fewer onsets are not scored."""
PERMUTATIONS = 4000

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FilmedClip:
    """One scored clip: F1 with its own signal, the mean F1 of circular shifts, and the difference."""

    name: str
    onsets: int
    f1_100ms: float
    null_100ms: float
    f1_50ms: float
    null_50ms: float

    @property
    def over_null_100ms(self) -> float:
        return self.f1_100ms - self.null_100ms

    @property
    def over_null_50ms(self) -> float:
        return self.f1_50ms - self.null_50ms


@dataclass(frozen=True)
class LeftOut:
    """A clip that is not scored, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class FilmedReport:
    """Means over the scored clips; ``left_out`` is why others are not. ``wrong_picture_100ms`` pairs every sound with
    the signals of all other clips.

    ``p_value`` is the share of random assignments of signals to sounds that do at least as well at 100 ms.
    """

    clips: tuple[FilmedClip, ...]
    unscored: tuple[str, ...]
    over_null_100ms: float
    standard_error_100ms: float | None
    over_null_50ms: float
    standard_error_50ms: float | None
    wrong_picture_100ms: float | None
    wrong_picture_50ms: float | None
    p_value: float | None
    left_out: tuple[LeftOut, ...] = ()

    def table(self) -> str:
        """The report as text: a line per clip, then the means."""
        rows: list[list[Cell]] = [
            [c.name, c.onsets, c.f1_100ms, c.null_100ms, c.over_null_100ms, c.f1_50ms, c.null_50ms, c.over_null_50ms]
            for c in self.clips
        ]
        rows.append(["mean", None, None, None, self.over_null_100ms, None, None, self.over_null_50ms])
        rows.append(["standard error", *[None] * 3, self.standard_error_100ms, *[None] * 2, self.standard_error_50ms])
        rows.append(["wrong picture", *[None] * 3, self.wrong_picture_100ms, *[None] * 2, self.wrong_picture_50ms])
        header = ["", "onsets", "F1@100", "null", "over null", "F1@50", "null", "over null"]
        text = text_table(header, rows)
        lines = [] if self.p_value is None else [f"p = {self.p_value:.4f} ({PERMUTATIONS} permutations)"]
        return "\n".join([text, *lines, *(f"left out: {clip.name}: {clip.reason}" for clip in self.left_out)])


def strongest_peaks(signal: ArrayLike, frame_rate: float, count: int) -> Floats:
    """Times of the ``count`` highest local maxima of a signal (T,), ascending; fewer if it has fewer."""
    values = np.asarray(signal, dtype=np.float64)
    if values.size == 0 or count < 1:
        return np.zeros(0)
    radius = max(1, round(PEAK_RADIUS_S * frame_rate))
    summit = (values == maximum_filter1d(values, 2 * radius + 1, mode="nearest")) & (values > values.min())
    frames = np.flatnonzero(summit)
    frames = frames[np.diff(frames, prepend=-radius - 1) > radius]  # a plateau counts once
    chosen = frames[np.argsort(-values[frames], kind="stable")[:count]]
    times: Floats = np.sort(chosen) / frame_rate
    return times


def score_clips(
    names: Sequence[str],
    signals: Sequence[ArrayLike],
    onsets: Sequence[ArrayLike],
    durations: Sequence[float],
    frame_rate: float,
    lag_s: float = 0.0,
    seed: int = 0,
) -> FilmedReport:
    """Score clips by their own sound; the i-th entries belong together.

    ``lag_s`` is added to every peak: how much later the sound comes than the signal shows it. A wrong signal that is
    shorter than the clip is repeated. Raises UsageError if the lists differ in length or no clip has MIN_ONSETS.
    """
    if len({len(names), len(signals), len(onsets), len(durations)}) != 1:
        raise UsageError("sync of filmed clips was given lists of different lengths", "give one of each per clip")
    scored = [i for i, times in enumerate(onsets) if np.size(times) >= MIN_ONSETS]
    if not scored:
        raise UsageError(f"none of {len(names)} clips has {MIN_ONSETS} onsets in its own sound", "give other clips")
    table = np.zeros((len(scored), len(scored), 4))  # (sound, signal, [F1 and null at 100 ms, the same at 50 ms])
    for row, sound in enumerate(scored):
        for column, picture in enumerate(scored):
            fitted = np.resize(np.asarray(signals[picture]), max(1, round(durations[sound] * frame_rate)))
            own = np.asarray(signals[sound]) if row == column else fitted
            found = strongest_peaks(own, frame_rate, np.size(onsets[sound])) + lag_s
            table[row, column] = _over_chance(found, np.asarray(onsets[sound]), durations[sound])
    own_scores = np.diagonal(table).T
    clips = tuple(
        FilmedClip(names[i], int(np.size(onsets[i])), *map(float, values))
        for i, values in zip(scored, own_scores, strict=True)
    )
    few = tuple(LeftOut(name, few_onsets(np.size(onsets[i]))) for i, name in enumerate(names) if i not in scored)
    return replace(_report(clips, tuple(clip.name for clip in few), table, seed), left_out=few)


def few_onsets(count: int) -> str:
    """Why a clip whose own sound has ``count`` onsets is not scored."""
    return f"its own sound has {count} {'onset' if count == 1 else 'onsets'}, {MIN_ONSETS} are needed"


def _report(clips: tuple[FilmedClip, ...], unscored: tuple[str, ...], table: Floats, seed: int) -> FilmedReport:
    count = len(clips)
    wide, narrow = table[..., 0] - table[..., 1], table[..., 2] - table[..., 3]
    wrong = ~np.eye(count, dtype=bool)
    several = count > 1
    p_value = None
    if several:
        generator = np.random.default_rng(seed)
        draws = np.array([wide[np.arange(count), generator.permutation(count)].mean() for _ in range(PERMUTATIONS)])
        p_value = float((1 + np.sum(draws >= np.trace(wide) / count - 1e-12)) / (1 + PERMUTATIONS))
    return FilmedReport(
        clips=clips,
        unscored=unscored,
        over_null_100ms=float(np.trace(wide) / count),
        standard_error_100ms=float(np.std(np.diagonal(wide), ddof=1) / count**0.5) if several else None,
        over_null_50ms=float(np.trace(narrow) / count),
        standard_error_50ms=float(np.std(np.diagonal(narrow), ddof=1) / count**0.5) if several else None,
        wrong_picture_100ms=float(wide[wrong].mean()) if several else None,
        wrong_picture_50ms=float(narrow[wrong].mean()) if several else None,
        p_value=p_value,
    )


def _over_chance(found: Floats, true: Floats, duration: float) -> tuple[float, float, float, float]:
    """F1 and the mean F1 of circular shifts at 100 ms, and at 50 ms."""
    turned = [np.sort((found + by) % duration) for by in null_shifts(duration)]
    wide, narrow = (
        (f1(found, true, tolerance), float(np.mean([f1(times, true, tolerance) for times in turned])))
        for tolerance in (WIDE_S, NARROW_S)
    )
    return *wide, *narrow
