"""Can one hear where the windows of a long clip were joined?

Every measure is taken at the joints and, as its null, everywhere else in the same sound: a joint that cannot be heard
ranks at the 50th percentile of its own clip, and one in twenty lies above the 95th. Joints on shot changes are left
out, since there the sound is meant to change. N windows, F features of C numbers; times are seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from foleygen.atomic import publish
from foleygen.audio.mel import MelSpectrogram
from foleygen.audio.onsets import detect, flux, match
from foleygen.audio.seams import SHARP_S, SIDE_S, STEP_S, dip_db, rise
from foleygen.audio.stitch import Stitcher, Window, joint
from foleygen.engines.building import mel_config
from foleygen.engines.foley import Engine
from foleygen.evaluation.report import figure, text_table
from foleygen.sampling.joint import GROUP
from foleygen.sampling.noise import WindowKey

if TYPE_CHECKING:
    from foleygen.engines.composer import Composer

Seam = Literal["crossfade", "joint", "hard", "repair"]
SEAMS: tuple[Seam, ...] = get_args(Seam)
"""Windows made alone and faded, made jointly and faded, made alone and cut in the middle of what they share, and made
alone and faded with the joints composed anew."""
TOLERANCE_S = 0.1

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LongClip:
    """A clip of more than one window: ``total`` samples, features (N, F, C), and its events if they are known."""

    content_id: str
    total: int
    windows: tuple[Window, ...]
    features: torch.Tensor
    events: Array | None


@dataclass(frozen=True)
class Seams:
    """What one clip's sound is like at its joints and away from them: level, rise and sharp rise at each place.

    Onsets near the joints (within the fade and TOLERANCE_S) and away from them: hits, found, true; None without events.
    """

    at: Array
    away: Array
    on_cuts: int
    onsets_at: tuple[int, int, int] | None
    onsets_away: tuple[int, int, int] | None


@dataclass(frozen=True)
class SeamScore:
    """Pooled over clips; None where nothing could be measured.

    ``dip_db``: level in the middle of the fade against that on both sides of it, median; ``dip_null_db``: the same away
    from the joints. ``..._rank``: mean percentile of the joints among the places away from them in the same clip, 50
    if they are like any other. ``rise_above_95``: share of joints whose largest rise of the spectrum in the fade lies
    above the clip's 95th percentile, 0.05 by chance; ``sharp_above_95``: the same within 50 ms of the joint.
    Onsets at 100 ms.
    """

    clips: int
    joints: int
    on_cuts: int
    dip_db: float | None
    dip_null_db: float | None
    dip_rank: float | None
    rise_rank: float | None
    rise_above_95: float | None
    sharp_above_95: float | None
    precision: float | None
    recall: float | None
    precision_away: float | None
    recall_away: float | None


@dataclass(frozen=True)
class SeamReport:
    """One score per way of joining."""

    scores: dict[str, SeamScore]

    def table(self) -> str:
        """The report as text, a line per way of joining."""
        head = ["", "clips", "joints", "on cuts", "dip dB", "null dB", "dip rank", "rise rank", ">95", "sharp >95"]
        rows = [
            [name, s.clips, s.joints, s.on_cuts, s.dip_db, s.dip_null_db, s.dip_rank, s.rise_rank, s.rise_above_95,
             s.sharp_above_95, s.precision, s.recall, s.precision_away, s.recall_away]
            for name, s in self.scores.items()
        ]  # fmt: skip
        return text_table([*head, "P", "R", "P away", "R away"], rows)


def evaluate(
    clips: Iterable[LongClip],
    engine: Engine,
    seed: int,
    on_clip: Callable[[int], None] | None = None,
    composer: Composer | None = None,
) -> SeamReport:
    """Make every clip's sound in each way and look at its joints; only ``composer`` can repair them.

    ``on_clip`` is told how many are done.
    """
    found: dict[Seam, list[Seams]] = {seam: [] for seam in SEAMS if seam != "repair" or composer is not None}
    for number, clip in enumerate(clips, 1):
        made = soundtracks(clip, engine, seed)
        if composer is not None:
            made["repair"] = _repaired(made["crossfade"], clip, engine, composer, seed)
        for seam, samples in made.items():
            found[seam].append(measure(samples, clip, engine))
        if on_clip is not None:
            on_clip(number)
    return SeamReport({seam: pooled(each) for seam, each in found.items()})


def soundtracks(clip: LongClip, engine: Engine, seed: int) -> dict[Seam, NDArray[np.float32]]:
    """The sound of a clip (total,) joined in each way that needs no second engine, from the same noise."""
    keys = [WindowKey(seed, clip.content_id, window.start, 1) for window in clip.windows]
    alone = list(_alone(clip, engine, keys))
    joint_sounds: list[torch.Tensor] = []
    for run in _runs(clip.windows):
        joint_sounds.extend(_jointly(clip, run, engine, keys))
    return {
        "crossfade": _stitched(clip, alone, correlated=False),
        "joint": _stitched(clip, joint_sounds, correlated=True),
        "hard": _cut(clip, alone),
    }


def measure(samples: NDArray[np.float32], clip: LongClip, engine: Engine) -> Seams:
    """Level, rise and onsets of a sound (total,) at the joints of its clip and away from them."""
    rate = engine.bundle.sample_rate
    mel = MelSpectrogram(mel_config(engine.bundle).in_decibels)
    with torch.inference_mode():
        picture = mel(torch.from_numpy(samples)[None])[0].numpy()
    parted = [(joint(a, b) / rate, (a.end - b.start) / 2 / rate) for a, b in pairwise(clip.windows) if not b.on_cut]
    on_cuts = [window.start / rate for window in clip.windows if window.on_cut]
    half = max((half for _, half in parted), default=0.0)
    reach = half + SIDE_S
    length = clip.total / rate
    joints = np.array([time for time, _ in parted if reach <= time <= length - reach])
    grid = np.arange(reach, length - reach, STEP_S)
    distance = np.abs(grid[:, None] - np.array([time for time, _ in parted] + on_cuts)[None]).min(axis=1)
    places = grid[distance > 2 * half + SIDE_S]
    strength, frame_rate = flux(picture), mel.config.frame_rate

    def look(times: Array) -> Array:
        return np.array(
            [
                (
                    dip_db(samples, time, half, rate),
                    rise(strength, time, half, frame_rate),
                    rise(strength, time, SHARP_S, frame_rate),
                )
                for time in times
            ]
        ).reshape(len(times), 3)

    near, away = None, None
    if clip.events is not None:
        onsets = detect(picture, frame_rate)
        near, away = _hits(onsets, clip.events, joints, half + TOLERANCE_S)
    return Seams(look(joints), look(places), len(on_cuts), near, away)


def pooled(each: Sequence[Seams]) -> SeamScore:
    """The score of several clips: ranks within each clip, means over all joints."""
    ranked = [seams for seams in each if len(seams.at) and len(seams.away)]
    at = np.concatenate([np.zeros((0, 3)), *(seams.at for seams in ranked)])
    away = np.concatenate([np.zeros((0, 3)), *(seams.away for seams in ranked)])
    ranks = np.concatenate([np.zeros((0, 3)), *(_ranks(seams.at, seams.away) for seams in ranked)])
    near = np.sum([seams.onsets_at or (0, 0, 0) for seams in each], axis=0) if each else (0, 0, 0)
    far = np.sum([seams.onsets_away or (0, 0, 0) for seams in each], axis=0) if each else (0, 0, 0)
    mean_ranks = 100 * ranks.mean(axis=0) if len(ranks) else None
    return SeamScore(
        clips=len(each),
        joints=len(at),
        on_cuts=sum(seams.on_cuts for seams in each),
        dip_db=float(np.median(at[:, 0])) if len(at) else None,
        dip_null_db=float(np.median(away[:, 0])) if len(away) else None,
        dip_rank=float(mean_ranks[0]) if mean_ranks is not None else None,
        rise_rank=float(mean_ranks[1]) if mean_ranks is not None else None,
        rise_above_95=float((ranks[:, 1] > 0.95).mean()) if len(ranks) else None,
        sharp_above_95=float((ranks[:, 2] > 0.95).mean()) if len(ranks) else None,
        precision=_ratio(near[0], near[1]),
        recall=_ratio(near[0], near[2]),
        precision_away=_ratio(far[0], far[1]),
        recall_away=_ratio(far[0], far[2]),
    )


def plot(report: SeamReport, destination: Path) -> None:
    """A PNG of the share of joints that stand out, by way of joining. Raises SetupError without matplotlib."""
    with figure(width=6, height=4) as (drawing, axes):
        places = np.arange(len(report.scores))
        for offset, label, shares in (
            (-0.2, "rise in the fade", [score.rise_above_95 for score in report.scores.values()]),
            (0.2, "rise within 50 ms", [score.sharp_above_95 for score in report.scores.values()]),
        ):
            axes.bar(places + offset, [share or 0.0 for share in shares], width=0.4, label=label)
        axes.axhline(0.05, linestyle="--", color="black", label="by chance")
        axes.set_xticks(places, list(report.scores))
        axes.set_ylabel("joints above the clip's 95th percentile")
        axes.legend(fontsize="small")
        with publish(destination) as temporary:
            drawing.savefig(temporary, dpi=120)


def _alone(clip: LongClip, engine: Engine, keys: Sequence[WindowKey]) -> Iterable[torch.Tensor]:
    """The sounds of windows that know nothing of each other."""
    for vectors, key in zip(clip.features, keys, strict=True):
        yield engine.sounds(engine.mels(engine.latents(vectors[None], [key]), vectors[None]), [key])[0]


def _jointly(clip: LongClip, run: Sequence[Window], engine: Engine, keys: Sequence[WindowKey]) -> list[torch.Tensor]:
    """The sounds of windows that no shot change parts."""
    shared = run[0].end - run[1].start if len(run) > 1 else 0
    sounds: list[torch.Tensor] = []
    tie = None
    for first in range(0, len(run), GROUP):
        rows = [window.index for window in run[first : first + GROUP]]
        chosen = [keys[row] for row in rows]
        latents, tie = engine.joint_latents(clip.features[rows], chosen, shared // engine.column_samples, tie, rows=1)
        mels = torch.cat(
            [engine.mels(row[None], clip.features[at][None]) for row, at in zip(latents, rows, strict=True)]
        )
        sounds.extend(engine.joint_sounds(mels, chosen, shared, sounds[-1] if sounds else None))
    return sounds


def _runs(windows: Sequence[Window]) -> list[list[Window]]:
    runs: list[list[Window]] = []
    for window in windows:
        if window.index == 0 or window.on_cut:
            runs.append([])
        runs[-1].append(window)
    return runs


def _stitched(clip: LongClip, sounds: Sequence[torch.Tensor], correlated: bool) -> NDArray[np.float32]:
    stitcher = Stitcher(clip.total, clip.windows, correlated)
    return np.concatenate([stitcher.push(window.index, sounds[window.index]) for window in clip.windows])


def _cut(clip: LongClip, sounds: Sequence[torch.Tensor]) -> NDArray[np.float32]:
    joints = [joint(before, after) for before, after in pairwise(clip.windows)]
    parts = [
        sounds[window.index].numpy()[begin - window.start : end - window.start]
        for window, begin, end in zip(clip.windows, [0, *joints], [*joints, clip.total], strict=True)
    ]
    return np.concatenate(parts)


def _repaired(
    samples: NDArray[np.float32], clip: LongClip, engine: Engine, composer: Composer, seed: int
) -> NDArray[np.float32]:
    """A faded sound (total,) with those of its joints composed anew that stand out less for it, as add-sound does."""
    from foleygen.ambience import repair
    from foleygen.ambience.inpaint import Ask

    listen = MelSpectrogram(mel_config(engine.bundle).in_decibels)
    with torch.inference_mode():
        onsets = detect(listen(torch.from_numpy(samples)[None])[0].numpy(), listen.config.frame_rate)
    rate, samples = engine.bundle.sample_rate, samples.copy()
    for before, after in pairwise(clip.windows):
        place = joint(before, after)
        found = repair.plan(composer, rate, clip.total, place, (before.end - after.start) // 2)
        if after.on_cut or found is None:
            continue
        ask = Ask((seed, clip.content_id, place, 1), None, composer.defaults, repair.CANDIDATES)
        stretch = slice(max(0, found.begin), found.end)
        events = [float(onset) - found.begin / rate for onset in onsets]
        better = repair.repaired(composer, samples[stretch], rate, found, events, ask)
        if better is not None:
            samples[stretch] = better
    return samples


def _hits(found: Array, true: Array, joints: Array, reach: float) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """(hits, found, true) near the joints and away from them; a pair belongs where its true onset is."""

    def near(times: Array) -> NDArray[np.bool_]:
        if not joints.size:
            return np.zeros(times.shape, bool)
        close: NDArray[np.bool_] = np.abs(times[:, None] - joints[None]).min(axis=1) <= reach
        return close

    matching = match(found, true, TOLERANCE_S)
    # A matched onset counts on the side of its event, or a pair astride the border would be half a hit.
    found_near = near(found)
    found_near[matching.found_index] = near(true[matching.true_index])
    hits, there, events = int(near(true[matching.true_index]).sum()), int(found_near.sum()), int(near(true).sum())
    return (hits, there, events), (matching.hits - hits, found.size - there, true.size - events)


def _ranks(at: Array, away: Array) -> Array:
    """Share of ``away`` (P, 3) below each of ``at`` (J, 3), ties by half."""
    below = (away[None] < at[:, None]).mean(axis=1)
    equal = (away[None] == at[:, None]).mean(axis=1)
    ranks: Array = below + equal / 2
    return ranks


def _ratio(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None
