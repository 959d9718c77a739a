"""Windows that do not keep to their cues made again with other noise, as in a finished clip.

N windows, F frames, C features, M mels, L mel frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from foleygen.audio.obedience import best_of, judged
from foleygen.audio.onsets import detect
from foleygen.engines.foley import Engine
from foleygen.features.cues import CueTrack
from foleygen.sampling.noise import WindowKey

_Window = tuple[Tensor, Sequence[float]]
"""Its mel (M, L) and the cues in it."""


@dataclass(frozen=True)
class Asked:
    """Windows by what they are made of: features (N, F, C), noise, what they are told, and the cues in it in seconds.

    Windows without cues are never made again.
    """

    features: Tensor
    keys: Sequence[WindowKey]
    tracks: Sequence[CueTrack | None]
    cues: Sequence[Sequence[float]]

    def again(self, rows: Sequence[int], attempt: int) -> Asked:
        """Some of them, with other noise."""
        return Asked(
            self.features[list(rows)],
            [self.keys[row].again(attempt) for row in rows],
            [self.tracks[row] for row in rows],
            [self.cues[row] for row in rows],
        )


def made(engine: Engine, asked: Asked, guidance: float | None, attempts: int = 0) -> Tensor:
    """Mels (N, M, L), each the best of up to ``attempts`` more where one does not keep to its cues."""

    def again(wrong: Sequence[int], _: Sequence[_Window], attempt: int) -> list[_Window]:
        return _windows(engine, asked.again(wrong, attempt), guidance)

    best = best_of(_windows(engine, asked, guidance), lambda one: faults(engine, *one), again, attempts)
    return torch.stack([mel for mel, _ in best])


def faults(engine: Engine, mel: Tensor, cues: Sequence[float]) -> int:
    """How many ``cues`` have no onset in a mel (M, L), and how many of its onsets no cue; 0 without cues."""
    if not cues:
        return 0
    onsets = detect(mel.cpu().numpy(), engine.bundle.sample_rate / engine.bundle.mel.hop_length)
    return judged(sorted(cues), onsets.tolist(), lambda _: True).faults


def _windows(engine: Engine, asked: Asked, guidance: float | None) -> list[_Window]:
    latents = engine.latents(asked.features, asked.keys, guidance=guidance, tracks=asked.tracks)
    return list(zip(engine.mels(latents, asked.features, asked.tracks), asked.cues, strict=True))
