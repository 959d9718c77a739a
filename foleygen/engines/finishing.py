"""From what a model decoded to what the vocoder gets: detail along frequency, hits where and as hard as they are
told, and the level that suits the window.

N windows, M token columns, D the transformer's width, B mel bands, L mel frames, F frames, X channels of what is told.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from foleygen.audio.ceiling import lowered
from foleygen.audio.contrast import contrasted
from foleygen.audio.mel import DB_PER_UNIT
from foleygen.audio.mel_loudness import MelLoudness
from foleygen.audio.restrike import bared, restruck
from foleygen.audio.strikes import RAISED_DB, balance, strikes_of, with_free
from foleygen.engines.building import level_head_of, mel_config
from foleygen.models.cue_layout import CueLayout
from foleygen.models.diffusion import Condition
from foleygen.models.level import LevelHead, unfelt
from foleygen.weights.bundle import Bundle

QUIET = 0.005
"""Values of a mel up to this are the floor of its scale, which no level moves."""
SILENCE_LUFS = -90.0
"""Below which a mel frame is not quieter."""


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

    def __call__(self, mels: Tensor, condition: Condition, given: bool = True) -> Tensor:
        """Mels (N, B, L) as the vocoder gets them; all rows are told something beside their picture, or none is.

        ``given`` says that somebody gave what they are told; else it was seen in the picture.

        Hits that did not come are struck again, and all get the distances from each other that their strengths have.
        Windows are brought to the loudness that suits them and the strengths. Lowered are then the moments that are
        louder than any true sound, which a sampler of few steps overshoots with, and the whole to where its loudest
        frame may be. Bundles that say nothing of finishing leave them as they are.
        """
        if condition.told is not None:
            mels = contrasted(mels, self._told_contrast)
        if self._head is None:
            return mels
        wanted = self._usual_level(condition, self._head)
        if condition.told is None:
            mels = _lowered(mels, wanted - self._loudness.integrated(mels))
        else:
            mels = self._struck(mels, wanted, condition.told, self._head.layout, given)
        mels = lowered(mels)
        return _lowered(mels, self._loudest_frame - self._loudness.frames(mels).amax(dim=1))

    def levelled(self, mels: Tensor, condition: Condition, most_lufs: float, steady: bool) -> Tensor:
        """Finished mels (N, B, L) no louder than ``most_lufs``; what is ``steady`` is raised to that, too, or to what
        suits it, so that it is as loud in every window. As they are where the bundle says nothing of levels."""
        if self._head is None:
            return mels
        wanted = self._usual_level(condition, self._head).clamp(max=most_lufs)
        gain = (wanted if steady else most_lufs) - self._loudness.integrated(mels)
        return _moved(mels, gain.clamp(max=RAISED_DB if steady else 0)[:, None, None])

    def _usual_level(self, condition: Condition, head: LevelHead) -> Tensor:
        """Loudness (N,) in LUFS, with hits of the usual strength."""
        behind = self._behind(condition, head.layout)
        told = None if condition.told is None else behind
        loudness: Tensor = head(self._hears(Condition(condition.features, told)), behind)
        return loudness.double()

    def _struck(self, mels: Tensor, wanted: Tensor, told: Tensor, layout: CueLayout, given: bool) -> Tensor:
        """Mels (N, B, L) whose hits are where and as hard as told, where usual ones would make them as loud as
        ``wanted`` (N,) in LUFS.

        Those with told strengths are raised to that, too: how soft their hits are meant to be is known.
        """
        tracks = told.float().cpu().numpy()
        rows = [strikes_of(track, layout, mels.shape[2]) for track in tracks]
        struck = [restruck(mel, strikes) for mel, strikes in zip(mels.float().cpu().numpy(), rows, strict=True)]
        made, again = [mel for mel, _ in struck], [numbers for _, numbers in struck]
        mels = torch.from_numpy(np.stack(made)).to(mels)
        levels = self._loudness.frames(mels).clamp_min(SILENCE_LUFS).cpu().numpy()
        heard = zip(rows, tracks, made, strict=True)
        hits = [with_free(strikes, track, layout, mel) for strikes, track, mel in heard] if given else rows
        found = [balance(level, strikes) for level, strikes in zip(levels, hits, strict=True)]
        gains = torch.from_numpy(np.stack([one.gains for one in found]))[:, None]
        alike = torch.from_numpy(np.stack([one.alike for one in found]))[:, None]
        harder = torch.tensor([one.harder_db for one in found]).to(wanted)
        most = torch.tensor([RAISED_DB if strikes.told else 0.0 for strikes in rows]).to(wanted)
        whole = torch.minimum(wanted + harder - self._loudness.integrated(_moved(mels, alike)), most)
        mels = _moved(mels, gains.to(wanted) + whole[:, None, None])
        levelled = zip(mels.float().cpu().numpy(), rows, again, strict=True)
        bare = [bared(mel, strikes, numbers) if len(numbers) else mel for mel, strikes, numbers in levelled]
        return torch.from_numpy(np.stack(bare)).to(mels)

    @staticmethod
    def _behind(condition: Condition, layout: CueLayout) -> Tensor:
        """What rows are told (N, F, X), without strengths; that there is a picture, where nothing else is."""
        if condition.told is not None:
            return unfelt(condition.told, layout)
        behind = condition.features.new_zeros(*condition.features.shape[:2], layout.width)
        behind[..., layout.picture] = 1
        return behind


def _lowered(mels: Tensor, gain: Tensor) -> Tensor:
    """Mels (N, B, L) by gains (N,) in LU, if those lower them."""
    return _moved(mels, gain.clamp(max=0)[:, None, None])


def _moved(mels: Tensor, gain: Tensor) -> Tensor:
    """Mels (N, B, L) by gains in dB, (N, 1, L) or (N, 1, 1); what is on the floor of the scale stays there."""
    moved = mels + gain.to(mels) / DB_PER_UNIT
    return torch.where(mels > QUIET, moved.clamp_min(0), mels)
