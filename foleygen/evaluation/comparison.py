"""Two bundles on the same clips with the same noise: clip by clip, so that what the clips differ in drops out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from foleygen.errors import UsageError
from foleygen.evaluation import reconstruction, sync
from foleygen.evaluation.generated import Generated
from foleygen.evaluation.report import Cell, text_table

Numbers = dict[str, float | None]


@dataclass(frozen=True)
class Difference:
    """One number of both bundles, means over the ``clips`` that have it in both.

    ``difference`` is the mean of second less first over clips, ``standard_error`` that of this mean; None for one clip.
    """

    clips: int
    first: float
    second: float
    difference: float
    standard_error: float | None


@dataclass(frozen=True)
class ComparisonReport:
    """``first`` and ``second`` name the bundles; without ``same_noise`` their latents have different shapes."""

    first: str
    second: str
    same_noise: bool
    differences: Mapping[str, Difference]

    def table(self) -> str:
        """The report as text, a line per number."""
        rows: list[list[Cell]] = [
            [name, d.clips, d.first, d.second, d.difference, d.standard_error] for name, d in self.differences.items()
        ]
        text = text_table(["mean over clips", "clips", "A", "B", "B less A", "s.e."], rows, digits=4)
        noise = "the same noise" if self.same_noise else "not the same noise, since their latents differ in shape"
        return f"{text}\nA is {self.first}, B is {self.second}; {noise}"


def compare(
    names: tuple[str, str], first: Sequence[Generated], second: Sequence[Generated], duration: float, same_noise: bool
) -> ComparisonReport:
    """Differences of what two bundles made of the same clips of ``duration`` s; the i-th entries belong together.

    Raises UsageError for other clips or none.
    """
    if not first or [result.record for result in first] != [result.record for result in second]:
        raise UsageError("the sounds that are compared are not of the same clips", "give both the same scenes")
    pairs = [(numbers(a, duration), numbers(b, duration)) for a, b in zip(first, second, strict=True)]
    found: dict[str, Difference] = {}
    for name in dict.fromkeys(name for ours, _ in pairs for name in ours):
        both = [(ours.get(name), theirs.get(name)) for ours, theirs in pairs]
        kept = [(a, b) for a, b in both if a is not None and b is not None]
        if kept:
            found[name] = difference(kept)
    return ComparisonReport(*names, same_noise, found)


def difference(pairs: Sequence[tuple[float, float]]) -> Difference:
    """Of the numbers of (first, second), one pair a clip."""
    table = np.array(pairs, dtype=np.float64)
    apart, count = table[:, 1] - table[:, 0], len(table)
    error = float(apart.std(ddof=1)) / math.sqrt(count) if count > 1 else None
    return Difference(count, float(table[:, 0].mean()), float(table[:, 1].mean()), float(apart.mean()), error)


def numbers(result: Generated, duration: float) -> Numbers:
    """What ``evaluate scenes`` measures, of one clip alone; None where the clip does not have it."""
    found, true = np.asarray(result.mel, np.float64), np.asarray(result.true_mel, np.float64)
    if found.shape != true.shape:
        raise UsageError(f"the mels are {found.shape} and {true.shape}", "name bundles with the dataset's window")
    own = _sync(result, duration) if result.events.size else _loudness(result)
    slope = reconstruction.frequency_gradient(true)
    return {
        **own,
        "log-spectral distance, dB": reconstruction.log_spectral_distance(found, true),
        "mean spectrum L1": reconstruction.spectrum_l1(found, true),
        "gradient along frequency": reconstruction.frequency_gradient(found) / slope if slope > 0 else None,
    }


def _sync(result: Generated, duration: float) -> Numbers:
    score = sync.pooled([(result.onsets, result.events)])
    turned = [np.sort((result.onsets + by) % duration) for by in sync.null_shifts(duration)]
    null = sync.pooled([(onsets, result.events) for onsets in turned])
    over = None if score.f1_100ms is None or null.f1_100ms is None else score.f1_100ms - null.f1_100ms
    return {
        "F1@100": score.f1_100ms,
        "F1@100 over shifts": over,
        "F1@50": score.f1_50ms,
        "P@100": score.precision,
        "R@100": score.recall,
        "median error, ms": score.median_error_ms,
    }


def _loudness(result: Generated) -> Numbers:
    return {"loudness correlation": sync.loudness_correlation(result.mel.mean(axis=0), result.record.intensity)}
