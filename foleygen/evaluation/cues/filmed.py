"""Filmed clips that are told the onsets of their own sound: does the sound that is made fall there?

This measures obedience, not knowledge. What is found is judged as onsets of any sound are: by ``audio.onsets``, which
was not tuned on films. Times are seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from foleygen.audio.mel import MelSpectrogram
from foleygen.audio.onsets import detect, f1, match
from foleygen.audio.stitch import Stitcher, Window, plan_windows
from foleygen.engines.building import mel_config
from foleygen.engines.foley import Engine
from foleygen.errors import ClipError, UsageError, printable
from foleygen.evaluation.cues.scenes import OBEYED_S
from foleygen.evaluation.filmed import MIN_ONSETS, few_onsets
from foleygen.evaluation.report import Cell, text_table
from foleygen.evaluation.sync import NARROW_S, WIDE_S, null_shifts
from foleygen.features.cues import ToldCue, track_of
from foleygen.features.extract import extract
from foleygen.media import own_sound
from foleygen.media.frames import FrameRequest, FrameRule, read
from foleygen.media.probe import ClipInfo, probe
from foleygen.sampling.noise import WindowKey

Floats = NDArray[np.float64]
Kind = Literal["picture", "picture, cues", "cues", "picture, cues turned"]
KINDS: tuple[Kind, ...] = ("picture", "picture, cues", "cues", "picture, cues turned")
"""What clips are told; cues turned by half of the clip should not fall on its own onsets: a null."""
SHARED_S = 1.024
"""What windows of a clip share."""


@dataclass(frozen=True)
class FilmedCues:
    """Means over clips of one way to ask; ``null_*`` are circular shifts, ``obeyed`` the cues with an onset near."""

    kind: str
    clips: int
    cues: int
    f1_50ms: float
    null_50ms: float
    f1_100ms: float
    null_100ms: float
    over_null_100ms: float
    standard_error: float | None
    obeyed: float


@dataclass(frozen=True)
class FilmedCuesReport:
    """All ways to ask."""

    kinds: tuple[FilmedCues, ...]

    def table(self) -> str:
        """A line for each."""
        rows: list[list[Cell]] = [
            [k.kind, k.clips, k.cues, k.f1_50ms, k.null_50ms, k.f1_100ms, k.null_100ms, k.over_null_100ms,
             k.standard_error, k.obeyed]
            for k in self.kinds
        ]  # fmt: skip
        head = ["", "clips", "cues", "F1@50", "null", "F1@100", "null", "over null", "s.e.", "obeyed"]
        return text_table(head, rows)


@dataclass(frozen=True)
class _Clip:
    name: str
    onsets: Floats
    seconds: float
    features: torch.Tensor
    """(windows, F, C)"""


def evaluate(
    paths: Sequence[Path],
    engine: Engine,
    seed: int = 0,
    guidance: float | None = None,
    on_skip: Callable[[Path, ClipError], None] | None = None,
    on_clip: Callable[[int, int], None] | None = None,
) -> FilmedCuesReport:
    """Every way to ask of every clip whose own sound has MIN_ONSETS onsets and more.

    Raises UsageError if none has, or for a bundle that cannot be told anything.
    """
    if engine.cue_grid is None:
        raise UsageError(f"{engine.bundle.name}: cannot be told when or what", "name a bundle with cues, such as tiny")
    scores: dict[Kind, list[tuple[float, ...]]] = {kind: [] for kind in KINDS}
    for number, path in enumerate(paths, 1):
        try:
            clip = _opened(path, engine)
        except ClipError as error:
            if on_skip is not None:
                on_skip(path, error)
            continue
        for kind in KINDS:
            scores[kind].append(_scored(clip, kind, engine, seed, guidance))
        if on_clip is not None:
            on_clip(number, len(paths))
    if not scores["cues"]:
        raise UsageError(f"none of {len(paths)} clips has {MIN_ONSETS} onsets in its own sound", "give other clips")
    return FilmedCuesReport(tuple(_mean(kind, np.array(rows)) for kind, rows in scores.items()))


def _opened(path: Path, engine: Engine) -> _Clip:
    """The clip's onsets and features. Raises ClipError, also where it has too few onsets."""
    info = probe(path)
    mel = MelSpectrogram(mel_config(engine.bundle).in_decibels)
    own = own_sound.read(info, mel.config.sample_rate)
    with torch.inference_mode():
        onsets = detect(mel(torch.from_numpy(own)[None])[0].numpy(), mel.config.frame_rate)
    if len(onsets) < MIN_ONSETS:
        raise ClipError(f"{printable(path)}: {few_onsets(len(onsets))}", "give a clip whose sound has more")
    return _Clip(path.name, onsets, float(info.duration), _features(info, engine))


def _features(info: ClipInfo, engine: Engine) -> torch.Tensor:
    """Features (windows, F, C) of the clip."""
    spec, rate = engine.bundle.encoder, engine.bundle.sample_rate
    requests = [
        FrameRequest(window.index, Fraction(window.start, rate), spec.num_frames)
        for window in _windows(float(info.duration), engine)
    ]
    views = read(info, requests, spec.frame_rate, spec.frame_size, FrameRule(spec.frame_rule))
    return torch.stack([torch.from_numpy(found) for _, found in extract(views, engine.encode, engine.device)]).float()


def _windows(seconds: float, engine: Engine) -> list[Window]:
    rate, length = engine.bundle.sample_rate, engine.bundle.window_samples
    return plan_windows(round(seconds * rate), length, engine.joint_overlap(round(SHARED_S * rate)))


def _scored(clip: _Clip, kind: Kind, engine: Engine, seed: int, guidance: float | None) -> tuple[float, ...]:
    """Cues, F1 and null at 50 ms, the same at 100 ms, obeyed."""
    told = clip.onsets if kind != "picture, cues turned" else np.sort((clip.onsets + clip.seconds / 2) % clip.seconds)
    found = _found(clip, kind, [ToldCue(float(time)) for time in told], engine, seed, guidance)
    scores: list[float] = [len(clip.onsets)]
    for tolerance in (NARROW_S, WIDE_S):
        turned = [f1(np.sort((found + by) % clip.seconds), clip.onsets, tolerance) for by in null_shifts(clip.seconds)]
        scores += [f1(found, clip.onsets, tolerance), float(np.mean(turned))]
    return (*scores, match(found, told, OBEYED_S).hits / len(told))


def _found(
    clip: _Clip, kind: Kind, cues: Sequence[ToldCue], engine: Engine, seed: int, guidance: float | None
) -> Floats:
    """Onsets of the sound that is made."""
    assert engine.cue_grid is not None
    assert engine.words is not None
    rate, windows = engine.bundle.sample_rate, _windows(clip.seconds, engine)
    tracks = None
    if kind != "picture":
        tracks = [
            track_of(cues, engine.cue_grid, engine.words, start_s=window.start / rate, picture=kind != "cues")
            for window in windows
        ]
    keys = [WindowKey(seed, clip.name, window.start, 1) for window in windows]
    shared = engine.joint_overlap(round(SHARED_S * rate))
    latents, _ = engine.joint_latents(
        clip.features, keys, shared // engine.column_samples, guidance=guidance, tracks=tracks
    )
    sounds = engine.joint_sounds(engine.mels(latents, clip.features, tracks), keys, shared)
    total = round(clip.seconds * rate)
    stitcher = Stitcher(total, windows, correlated=True)
    sound = np.concatenate([stitcher.push(window.index, row) for window, row in zip(windows, sounds, strict=True)])
    mel = MelSpectrogram(mel_config(engine.bundle).in_decibels)
    with torch.inference_mode():
        return detect(mel(torch.from_numpy(sound)[None])[0].numpy(), mel.config.frame_rate)


def _mean(kind: str, rows: Floats) -> FilmedCues:
    over = rows[:, 3] - rows[:, 4]
    return FilmedCues(
        kind=kind,
        clips=len(rows),
        cues=int(rows[:, 0].sum()),
        f1_50ms=float(rows[:, 1].mean()),
        null_50ms=float(rows[:, 2].mean()),
        f1_100ms=float(rows[:, 3].mean()),
        null_100ms=float(rows[:, 4].mean()),
        over_null_100ms=float(over.mean()),
        standard_error=float(over.std(ddof=1) / np.sqrt(len(over))) if len(over) > 1 else None,
        obeyed=float(rows[:, 5].mean()),
    )
