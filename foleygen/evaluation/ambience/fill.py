"""Holes in true sounds: what is put there against what was there, and how much its edges stand out.

What is composed stands beside what an editor has without it: silence, the neighbours mirrored into each other, and
the left side over and over. S samples at the composer's rate; mels (M, T) are normalised, 0.01 is 1 dB.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from foleygen.ambience import fill
from foleygen.ambience.inpaint import FADE_S, Ask, ramp, spliced
from foleygen.atomic import publish
from foleygen.audio import seams
from foleygen.evaluation.ambience.sounds import Floats, Sound, Told
from foleygen.evaluation.report import Cell, figure, text_table
from foleygen.sampling.parallel_decode import DecodeConfig

if TYPE_CHECKING:
    from foleygen.engines.composer import Composer

GAPS_S = (0.2, 0.5, 1.0, 2.0)

Frames = NDArray[np.float64]
Method = Callable[[Floats, int, int], Floats]
"""(samples (S,), first, last of the hole) -> what goes there, (last - first,); it does not look into the hole."""


@dataclass(frozen=True)
class FillScore:
    """Means over sounds.

    Distances are between the mel in the hole and the true one, in dB: ``mean_db`` and ``deviation_db`` are L1 over
    bands of the mean and the standard deviation in time, ``energy_db`` is the energy distance of the frames, which is
    0 for the same frames in whatever order. ``prominence_db`` is how much the two edges stand out
    (audio.seams.prominence_db).
    """

    mean_db: float
    deviation_db: float
    energy_db: float
    prominence_db: float


@dataclass(frozen=True)
class FillReport:
    """A score by method, for holes of ``gap_s`` in the middle of sounds."""

    sounds: int
    gap_s: float
    scores: Mapping[str, FillScore]

    def table(self) -> str:
        """The report as text, a row per method."""
        rows: list[list[Cell]] = [
            [name, score.mean_db, score.deviation_db, score.energy_db, score.prominence_db]
            for name, score in self.scores.items()
        ]
        head = [f"{self.sounds} holes of {self.gap_s:g} s", "mean dB", "deviation dB", "energy dB", "edges dB"]
        return text_table(head, rows, digits=2)


def evaluate(
    composer: Composer,
    sounds: Sequence[Sound],
    gap_s: float,
    seed: int = 0,
    decoding: DecodeConfig | None = None,
    candidates: int = fill.CANDIDATES,
    told: Told | None = None,
) -> FillReport:
    """Fill a hole in the middle of every sound that is long enough, in each way."""

    def composed(samples: Floats, first: int, last: int) -> Floats:
        hole = fill.plan(composer, composer.sample_rate, len(samples), first, last)
        ask = Ask((seed,), None, decoding or composer.defaults, candidates)
        stretch = samples[None, hole.begin : hole.end]
        filled: Floats = fill.fill(composer, stretch, composer.sample_rate, hole, ask).samples[0]
        return filled

    fade = round(FADE_S * composer.sample_rate)
    methods: dict[str, Method] = {"composed": composed, **nulls(fade)}
    return compare(composer, sounds, gap_s, methods, told)


def compare(
    composer: Composer, sounds: Sequence[Sound], gap_s: float, methods: Mapping[str, Method], told: Told | None = None
) -> FillReport:
    """The report on several ways to fill the same holes, beside the ``true`` sounds."""
    gap = round(gap_s * composer.sample_rate)
    scores: dict[str, list[FillScore]] = {name: [] for name in ("true", *methods)}
    chosen = [sound.samples for sound in sounds if len(sound.samples) >= 2 * gap]
    for number, own in enumerate(chosen, 1):
        first = (len(own) - gap) // 2
        torn = own.copy()
        torn[first : first + gap] = 0
        scores["true"].append(measure(composer, own, own, first, first + gap))
        for name, method in methods.items():
            found = torn.copy()
            found[first : first + gap] = method(torn, first, first + gap)
            scores[name].append(measure(composer, found, own, first, first + gap))
        if told is not None:
            told(number, len(chosen))
    return FillReport(len(chosen), gap_s, {name: _mean(each) for name, each in scores.items()})


def measure(composer: Composer, found: Floats, true: Floats, first: int, last: int) -> FillScore:
    """How two sounds (S,) differ between two samples, and how the edges of the first one stand out."""
    mels = composer.hear(np.stack([found, true])).cpu().numpy().astype(np.float64)
    hop, rate = composer.mel_config.hop_length, composer.sample_rate
    inside = slice(ceil(first / hop), last // hop)
    ours, theirs = 100 * mels[:, :, inside]  # dB
    half = min(FADE_S, (last - first) / rate / 3) / 2
    joints = [(first / rate + half, half), (last / rate - half, half)]
    return FillScore(
        mean_db=float(np.abs(ours.mean(1) - theirs.mean(1)).mean()),
        deviation_db=float(np.abs(ours.std(1) - theirs.std(1)).mean()),
        energy_db=energy_distance(ours.T, theirs.T),
        prominence_db=seams.prominence_db(found, rate, mels[0], composer.mel_config.frame_rate, joints),
    )


def energy_distance(found: Frames, true: Frames) -> float:
    """Half the energy distance (Szekely and Rizzo, 2013) of two sets of frames, (T, M) and (T', M), by band.

    Scaled so that frames which are alike but for one difference in all bands are that difference apart.
    """
    from scipy.spatial.distance import cdist

    between = cdist(found, true).mean()
    within = (cdist(found, found).mean() + cdist(true, true).mean()) / 2
    return float(max(0.0, between - within) / np.sqrt(found.shape[1]))


def silence(samples: Floats, first: int, last: int) -> Floats:
    """Nothing."""
    return np.zeros(last - first, np.float32)


def mirrored(samples: Floats, first: int, last: int) -> Floats:
    """Both sides, backwards from the hole, faded into each other in constant power."""
    length = last - first
    before, after = samples[:first][::-1], samples[last:][::-1]
    rising = ramp(length)
    return np.resize(before, length) * rising[::-1] + np.resize(after[::-1], length)[::-1] * rising


def nulls(fade: int) -> dict[str, Method]:
    """What there is without a model, by name; the loop is faded in and out over ``fade`` samples, as a fill is."""

    def looped(samples: Floats, first: int, last: int) -> Floats:
        length = last - first
        left = samples[max(0, first - length) : first]
        whole = samples.copy()
        whole[first:last] = np.resize(left, length)
        filled: Floats = spliced(samples[None], whole[None], first, last, min(fade, length // 3))[0]
        return filled

    return {"silence": silence, "neighbours": mirrored, "loop": looped}


def plot(reports: Sequence[FillReport], destination: Path) -> None:
    """A PNG of the energy distance by method and length of hole. Raises SetupError without matplotlib."""
    with figure(width=6, height=4) as (drawing, axes):
        for name in reports[0].scores:
            axes.plot(
                [report.gap_s for report in reports],
                [report.scores[name].energy_db for report in reports],
                marker="o",
                label=name,
            )
        axes.set_xscale("log")
        axes.set_xlabel("hole, s")
        axes.set_ylabel("energy distance to what was there, dB")
        axes.legend(fontsize="small")
        with publish(destination) as temporary:
            drawing.savefig(temporary, dpi=120, format="png")


def _mean(scores: Sequence[FillScore]) -> FillScore:
    values = np.array([[s.mean_db, s.deviation_db, s.energy_db, s.prominence_db] for s in scores]).reshape(-1, 4)
    return FillScore(*(values.mean(axis=0).tolist() if len(values) else [float("nan")] * 4))
