"""Does the sound fall on the picture? Onset F1 of scenes with known events, and of filmed clips.

All times are seconds. Dense events are hit by chance, so that every score comes with its nulls: the same sounds
against the events of another clip of the family, and against circular shifts of their own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foleygen.atomic import publish
from foleygen.audio.onsets import match
from foleygen.errors import UsageError
from foleygen.evaluation.report import figure, text_table

WIDE_S, NARROW_S = 0.100, 0.050
"""The two tolerances at which F1 is reported."""
MISSED_S = 1.0
"""Error of an event in a clip without any found onset, and the largest error counted."""
NULL_SHIFTS = 20
NULL_MARGIN_S = 0.5
"""Circular shifts stay this far from zero and from a whole turn."""
NULL_ROTATIONS = 4
"""With how many other clips of its family a clip is compared."""

Times = NDArray[np.float64]
Pair = tuple[Times, Times]


@dataclass(frozen=True)
class SyncScore:
    """Agreement of found onsets with true events, pooled over clips; None where nothing could be measured.

    Precision and recall hold at 100 ms. ``median_error_ms`` is the distance from a true event to the nearest found
    onset (at most 1000), ``bias_ms`` the median of found minus true over the pairs matched at 100 ms.
    """

    clips: int
    events: int
    found: int
    f1_100ms: float | None
    f1_50ms: float | None
    precision: float | None
    recall: float | None
    median_error_ms: float | None
    bias_ms: float | None


@dataclass(frozen=True)
class SyncReport:
    """Scores of a set of clips, their nulls, and the scores by family; ``other_clip`` is None if no family has two."""

    score: SyncScore
    other_clip: SyncScore | None
    shifted: SyncScore
    families: dict[str, SyncScore]

    def table(self) -> str:
        """The report as text, a line per score."""
        named = [("all clips", self.score), ("null: other clip", self.other_clip), ("null: shifted", self.shifted)]
        rows = [
            [name, s.clips, s.events, s.found, s.f1_100ms, s.f1_50ms, s.precision, s.recall, s.median_error_ms]
            for name, s in [*named, *self.families.items()]
            if s is not None
        ]
        return text_table(["", "clips", "events", "found", "F1@100", "F1@50", "P@100", "R@100", "median ms"], rows)


def pooled(pairs: Iterable[tuple[ArrayLike, ArrayLike]]) -> SyncScore:
    """Score of (found, true) pairs, one a clip, with hits and errors pooled over all of them."""
    clips = events = found_total = wide = narrow = 0
    errors: list[Times] = []
    signed: list[Times] = []
    for found_times, true_times in pairs:
        found, true = np.asarray(found_times, dtype=np.float64), np.asarray(true_times, dtype=np.float64)
        matching = match(found, true, WIDE_S)
        clips, events, found_total = clips + 1, events + true.size, found_total + found.size
        wide, narrow = wide + matching.hits, narrow + match(found, true, NARROW_S).hits
        errors.append(_nearest(found, true))
        signed.append(matching.errors_s)
    all_errors, all_signed = np.concatenate([*errors, np.zeros(0)]), np.concatenate([*signed, np.zeros(0)])
    return SyncScore(
        clips=clips,
        events=events,
        found=found_total,
        f1_100ms=_ratio(2 * wide, events + found_total),
        f1_50ms=_ratio(2 * narrow, events + found_total),
        precision=_ratio(wide, found_total),
        recall=_ratio(wide, events),
        median_error_ms=1000 * float(np.median(all_errors)) if all_errors.size else None,
        bias_ms=1000 * float(np.median(all_signed)) if all_signed.size else None,
    )


def score(
    found: Sequence[ArrayLike],
    true: Sequence[ArrayLike],
    families: Sequence[str],
    durations: float | Sequence[float],
) -> SyncReport:
    """Score clips whose events are known; the i-th entries belong together, ``durations`` are the clips' lengths in s.

    Raises UsageError when there are no clips or the lists differ in length.
    """
    lengths = [float(durations)] * len(true) if isinstance(durations, int | float) else [float(d) for d in durations]
    if not true or len({len(found), len(true), len(families), len(lengths)}) != 1:
        raise UsageError(
            f"sync was given {len(found)} sounds, {len(true)} lists of events, {len(families)} families and "
            f"{len(lengths)} durations",
            "give one of each for every clip, and at least one clip",
        )
    pairs: list[Pair] = [
        (np.asarray(f, dtype=np.float64), np.asarray(t, dtype=np.float64)) for f, t in zip(found, true, strict=True)
    ]
    by_family: dict[str, list[Pair]] = defaultdict(list)
    for family, pair in zip(families, pairs, strict=True):
        by_family[family].append(pair)
    others = [(pairs[i][0], pairs[j][1]) for i, j in other_clips(families)]
    shifted = ((_turned(f, d, by), t) for (f, t), d in zip(pairs, lengths, strict=True) for by in null_shifts(d))
    return SyncReport(
        score=pooled(pairs),
        other_clip=pooled(others) if others else None,
        shifted=pooled(shifted),
        families={family: pooled(by_family[family]) for family in sorted(by_family)},
    )


def other_clips(families: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Pairs (clip, another clip of its family): each clip with up to NULL_ROTATIONS that follow it, cyclically."""
    members: dict[Hashable, list[int]] = defaultdict(list)
    for index, family in enumerate(families):
        members[family].append(index)
    return [
        (clip, clips[(place + step) % len(clips)])
        for clips in members.values()
        for place, clip in enumerate(clips)
        for step in range(1, min(NULL_ROTATIONS, len(clips) - 1) + 1)
    ]


def null_shifts(duration: float) -> Times:
    """NULL_SHIFTS circular shifts of a clip, s; spread by the golden ratio so that no rhythm meets all of them."""
    margin = min(NULL_MARGIN_S, duration / 4)
    spread = np.arange(1, NULL_SHIFTS + 1) * (np.sqrt(5) - 1) / 2 % 1
    shifts: Times = margin + (duration - 2 * margin) * spread
    return shifts


def loudness_correlation(envelope: ArrayLike, intensity: ArrayLike) -> float:
    """Pearson correlation of a sound's envelope with a scene's intensity over the same time; 0 if one is constant.

    Both are one-dimensional; the coarser one is interpolated to the length of the finer one.
    """
    first, second = np.asarray(envelope, dtype=np.float64), np.asarray(intensity, dtype=np.float64)
    length = max(first.size, second.size)
    if min(first.size, second.size) < 2:
        return 0.0
    grid = np.linspace(0, 1, length)
    centred = [row - row.mean() for row in (np.interp(grid, np.linspace(0, 1, x.size), x) for x in (first, second))]
    norm = float(np.linalg.norm(centred[0]) * np.linalg.norm(centred[1]))
    scale = length * float(np.abs(first).max() * np.abs(second).max())
    return float(centred[0] @ centred[1]) / norm if norm > 1e-12 * scale else 0.0


@dataclass(frozen=True)
class LoudnessReport:
    """Mean correlation of loudness with intensity, the same against another clip of the family, and by family."""

    clips: int
    correlation: float
    other_clip: float | None
    families: dict[str, float]

    def table(self) -> str:
        """The report as text, a line per score."""
        rows: list[list[str | float | None]] = [["all clips", self.correlation], ["null: other clip", self.other_clip]]
        rows += [[family, correlation] for family, correlation in self.families.items()]
        return text_table([f"loudness, {self.clips} clips", "correlation"], rows)


def loudness(
    envelopes: Sequence[ArrayLike], intensities: Sequence[ArrayLike], families: Sequence[str]
) -> LoudnessReport:
    """Correlations of continuous scenes; the i-th entries belong together. Raises UsageError without clips."""
    if not envelopes or len({len(envelopes), len(intensities), len(families)}) != 1:
        raise UsageError("loudness was given lists of different lengths or no clips", "give one of each per clip")
    each = [loudness_correlation(e, i) for e, i in zip(envelopes, intensities, strict=True)]
    others = [loudness_correlation(envelopes[i], intensities[j]) for i, j in other_clips(families)]
    return LoudnessReport(
        clips=len(each),
        correlation=float(np.mean(each)),
        other_clip=float(np.mean(others)) if others else None,
        families={
            name: float(np.mean([r for r, family in zip(each, families, strict=True) if family == name]))
            for name in sorted(set(families))
        },
    )


def plot(report: SyncReport, destination: Path) -> None:
    """A PNG of F1 at both tolerances by family, with the nulls as lines. Raises SetupError without matplotlib."""
    names = ["all clips", *report.families]
    scores = [report.score, *report.families.values()]
    with figure(width=2 + 0.6 * len(names), height=4) as (drawing, axes):
        places = np.arange(len(names))
        for offset, label, values in (
            (-0.2, "F1 at 100 ms", [s.f1_100ms for s in scores]),
            (0.2, "F1 at 50 ms", [s.f1_50ms for s in scores]),
        ):
            bars = axes.bar(places + offset, [value or 0.0 for value in values], width=0.4, label=label)
            null = report.other_clip or report.shifted
            level = null.f1_100ms if offset < 0 else null.f1_50ms
            axes.axhline(level or 0.0, linestyle="--", color=bars[0].get_facecolor(), label=f"null, {label}")
        axes.set_xticks(places, names, rotation=60, ha="right")
        axes.set_ylim(0, 1)
        axes.legend(fontsize="small")
        with publish(destination) as temporary:
            drawing.savefig(temporary, dpi=120)


def _nearest(found: Times, true: Times) -> Times:
    if found.size == 0:
        return np.full(true.size, MISSED_S)
    nearest: Times = np.abs(true[:, None] - found[None, :]).min(axis=1, initial=MISSED_S)
    return nearest


def _turned(times: Times, duration: float, by: float) -> Times:
    turned: Times = np.sort((times + by) % duration) if duration > 0 else times
    return turned


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
