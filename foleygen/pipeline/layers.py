"""What goes on in stretches of a clip, such as rain, made by itself and laid into the windows of its hits.

The hits are made and levelled as if it were not there, so that they are as loud as they are without it; a picture that
shows something else does not come between it and its words, and what the picture has there is no part of it.

N windows, F frames, C features, M mel bands, L mel columns.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from foleygen.audio.mel import denormalise, normalise
from foleygen.audio.runs import runs
from foleygen.engines.foley import Engine
from foleygen.features.cues import CueTrack
from foleygen.pipeline.cueing import FADE_S, ToldLayer, layers
from foleygen.sampling.joint import Tie
from foleygen.sampling.noise import WindowKey
from foleygen.settings import ClipSettings, RenderSettings


@dataclass(frozen=True)
class Asked:
    """A window that may have layers, before it is made."""

    own: ClipSettings
    start_s: float
    end_s: float
    """Of its clip."""
    features: NDArray[np.float32]
    key: WindowKey


@dataclass(frozen=True)
class LayerRun:
    """What ties the layers of windows that follow each other to those of the next ones."""

    ties: Mapping[str, Tie] = field(default_factory=dict)
    """By the words of what goes on in the last one."""


NO_LAYERS = LayerRun()


def laid(mels: Tensor, rows: Sequence[Sequence[Tensor]]) -> Tensor:
    """Mels (N, M, L) with what goes on in each: ``rows`` are its layers (M, L)."""
    return torch.stack([_over(mel, heard) for mel, heard in zip(mels, rows, strict=True)]) if any(rows) else mels


def _over(mel: Tensor, heard: Sequence[Tensor]) -> Tensor:
    for layer in heard:
        mel = torch.maximum(mel, layer)
    return mel


class Layers:
    """Makes them, ``rows`` windows at a time."""

    def __init__(self, engine: Engine, settings: RenderSettings) -> None:
        self._engine, self._settings = engine, settings

    def apart(self, windows: Sequence[Asked], rows: int) -> list[list[Tensor]]:
        """The layers (M, L) of each window, -inf where they are not heard."""
        found: list[list[Tensor]] = [[] for _ in windows]
        jobs = [(number, told) for number, one in enumerate(windows) for told in self._told(one)]
        for part in (jobs[first : first + rows] for first in range(0, len(jobs), rows)):
            filled = [*part, *[part[-1]] * (rows - len(part))]
            features, keys, tracks = _inputs([windows[number] for number, _ in filled], [told for _, told in filled])
            settings = self._settings
            made = self._engine.latents(
                features,
                keys,
                settings.steps,
                settings.guidance,
                classifier_guidance=settings.classifier_guidance,
                tracks=tracks,
            )
            mels = self._engine.mels(made, features, tracks)
            for (number, told), mel in zip(part, mels, strict=False):
                found[number].append(self._heard(mel, windows[number], told))
        return found

    def jointly(
        self, windows: Sequence[Asked], shared: int, run: LayerRun, rows: int
    ) -> tuple[list[list[Tensor]], LayerRun]:
        """The same of windows that follow each other, ``shared`` samples into the one before, and agree there; and what
        ties the next ones."""
        found: list[list[Tensor]] = [[] for _ in windows]
        told = [{one.words: one for one in self._told(window)} for window in windows]
        ties = {}
        for words in dict.fromkeys(words for each in told for words in each):
            for first, end in runs([words in each for each in told]):
                some, same = windows[first:end], [each[words] for each in told[first:end]]
                mels, tie = self._tied(some, same, shared, None if first else run.ties.get(words), rows)
                for heard, window, one, mel in zip(found[first:end], some, same, mels, strict=True):
                    heard.append(self._heard(mel, window, one))
                if end == len(windows):
                    ties[words] = tie
        return found, LayerRun(ties)

    def _tied(
        self, windows: Sequence[Asked], told: Sequence[ToldLayer], shared: int, tie: Tie | None, rows: int
    ) -> tuple[Tensor, Tie]:
        """Mels (N, M, L) of one layer in windows that follow each other, and what ties the next ones."""
        engine, settings = self._engine, self._settings
        features, keys, tracks = _inputs(windows, told)
        latents, left = engine.joint_latents(
            features,
            keys,
            shared // engine.column_samples,
            tie,
            rows,
            settings.steps,
            settings.guidance,
            None,
            settings.classifier_guidance,
            tracks,
        )
        return engine.joint_mels(latents, features, tracks, rows), left

    def _told(self, window: Asked) -> list[ToldLayer]:
        return layers(window.own, window.start_s, self._engine, self._settings.audio_delay, window.end_s)

    def _heard(self, mel: Tensor, window: Asked, told: ToldLayer) -> Tensor:
        """A layer (M, L) with its fades, -inf where it is not heard."""
        features = torch.from_numpy(window.features)[None]
        mel = self._engine.levelled(mel[None], features, told.track, told.most_lufs, told.is_steady)[0]
        bundle = self._engine.bundle
        times = np.arange(mel.shape[-1]) * bundle.mel.hop_length / bundle.sample_rate
        weights = torch.from_numpy(np.max([_weights(times, *span) for span in told.spans], axis=0)).to(mel)
        faded = normalise(denormalise(mel, bundle.mel.scaling) * weights, bundle.mel.scaling)
        return torch.where(weights >= 1, mel, torch.where(weights > 0, faded, -math.inf))


def _inputs(windows: Sequence[Asked], told: Sequence[ToldLayer]) -> tuple[Tensor, list[WindowKey], list[CueTrack]]:
    """Features (N, F, C), noise and tracks."""
    features = torch.from_numpy(np.stack([window.features for window in windows]))
    return features, [window.key for window in windows], [one.track for one in told]


def _weights(times: NDArray[np.float64], begin: float, end: float) -> NDArray[np.float64]:
    """The factor on a magnitude at each of ``times``: 0 outside, 1 inside but for the fades."""
    fade = min(FADE_S, (end - begin) / 2)
    weights: NDArray[np.float64] = np.sin(np.clip(np.minimum(times - begin, end - times) / fade, 0, 1) * (math.pi / 2))
    return weights
