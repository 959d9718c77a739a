"""From what a model decoded to what the vocoder gets: detail along frequency, and the level that suits the window.

N windows, M token columns, D the transformer's width, B mel bands, L mel frames, F frames, X channels of what is told.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from foleygen.audio.ceiling import lowered
from foleygen.audio.contrast import contrasted
from foleygen.audio.mel import DB_PER_UNIT
from foleygen.audio.mel_loudness import MelLoudness
from foleygen.engines.building import level_head_of, mel_config
from foleygen.models.cue_layout import CueLayout
from foleygen.models.diffusion import Condition
from foleygen.weights.bundle import Bundle

QUIET = 0.005
"""Values of a mel up to this are the floor of its scale, which no level moves."""


class Finish:
    """What a bundle says of finishing: a contrast for windows that are told something, and a head of levels."""

    def __init__(self, bundle: Bundle, hears: Callable[[Condition], Tensor], device: str) -> None:
        """``hears`` gives what the bundle's transformer hears of a condition, (N, M, D), for the head of levels."""
        self._told_contrast = 1.0 if bundle.cues is None else bundle.cues.contrast
        self._head, self._hears = level_head_of(bundle), hears
        if bundle.level is not None and self._head is not None:
            self._head.to(device)
            self._loudness, self._loudest_frame = MelLoudness(mel_config(bundle)), bundle.level.loudest_frame

    @property
    def changes(self) -> bool:
        """Whether the bundle says anything of it."""
        return self._head is not None or self._told_contrast != 1

    def __call__(self, mels: Tensor, condition: Condition) -> Tensor:
        """Mels (N, B, L) as the vocoder gets them; all rows are told something beside their picture, or none is.

        They are lowered to the loudness that suits them; then the moments that are louder than any true sound, which a
        sampler of few steps overshoots with; then as a whole to where their loudest frame may be. Bundles that say
        nothing of finishing leave them as they are.
        """
        if condition.told is not None:
            mels = contrasted(mels, self._told_contrast)
        if self._head is None:
            return mels
        wanted = self._head(self._hears(condition), self._behind(condition, self._head.layout)).double()
        mels = _moved(mels, wanted - self._loudness.integrated(mels))
        mels = lowered(mels)
        return _moved(mels, self._loudest_frame - self._loudness.frames(mels).amax(dim=1))

    @staticmethod
    def _behind(condition: Condition, layout: CueLayout) -> Tensor:
        """What rows are told (N, F, X): that there is a picture, where nothing else is."""
        if condition.told is not None:
            return condition.told
        behind = condition.features.new_zeros(*condition.features.shape[:2], layout.width)
        behind[..., layout.picture] = 1
        return behind


def _moved(mels: Tensor, gain: Tensor) -> Tensor:
    """Mels (N, B, L) by gains (N,) in LU, if those lower them; what is on the floor of the scale stays there."""
    moved = mels + gain.clamp(max=0)[:, None, None].to(mels) / DB_PER_UNIT
    return torch.where(mels > QUIET, moved.clamp_min(0), mels)
