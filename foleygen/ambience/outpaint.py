"""Sound without an end: each window begins with the last columns of the one before it.

N channels, R rows and P columns of tokens; samples at the composer's rate.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from foleygen.ambience.inpaint import MOST_CHANGE, Ask
from foleygen.engines.composer import Composer, Samples
from foleygen.models.vqgan import PATCH
from foleygen.sampling.noise import generator

PREFIX = 16
"""Columns (3.0 s) that a window shares with the one before it."""


def continued(
    composer: Composer, ask: Ask, channels: int = 1, prefix: Tensor | None = None, level: Tensor | None = None
) -> Iterator[Samples]:
    """Chunks (N, n) without an end, which begin with the first column of ``prefix`` (N, R, P), if there is one.

    The bands of each window are as loud, on the whole, as ``level`` (N, M, 1) says. Windows are faded within one column
    of what they share.
    """
    known = prefix
    tail: Samples | None = None
    number = 0
    while True:
        found = _window(composer, ask, channels, known, number)
        mel = composer.decode(found)
        if level is not None:
            new = mel[..., PATCH * (known.shape[-1] if known is not None else 0) :]
            change = (level - new.mean(-1, keepdim=True)).clamp(-MOST_CHANGE, MOST_CHANGE)
            mel = (mel + change).clamp(0, 1)
        sound = composer.sound(mel)
        begin, end = PREFIX // 2 * composer.column, (composer.columns - PREFIX // 2) * composer.column
        if tail is None:
            begin = 0
        else:
            share = ((np.arange(composer.column) + 0.5) / composer.column).astype(np.float32)
            fade = slice(begin, begin + composer.column)
            sound[:, fade] = sound[:, fade] * share + tail * (1 - share)
        yield sound[:, begin:end]
        tail = sound[:, end : end + composer.column].copy()
        known = found[..., -PREFIX:]
        number += 1


def _window(composer: Composer, ask: Ask, channels: int, known: Tensor | None, number: int) -> Tensor:
    """Tokens (N, R, W) that begin with ``known``; channels that are alike stay alike."""
    tokens = torch.zeros(channels, *composer.grid, dtype=torch.long, device=composer.device)
    mask = torch.ones_like(tokens, dtype=torch.bool)
    if known is not None:
        tokens[..., : known.shape[-1]] = known
        mask[..., : known.shape[-1]] = False
    rows = [generator("extend", *ask.key, number) for _ in range(channels)]
    return composer.compose(tokens, mask, rows, ask.condition, ask.decoding)
