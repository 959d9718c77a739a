"""A hole in a sound of any rate, composed anew from both sides.

N channels, S samples at the sound's own rate, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from foleygen.ambience.inpaint import FADE_S, Ask, candidates, level, spliced
from foleygen.audio import seams
from foleygen.engines.composer import Composer, Samples
from foleygen.errors import UsageError
from foleygen.media.resample import resampled

CONTEXT = 16
"""Columns of a window that a hole leaves at least."""
LEAST = 2
"""Columns of sound around a hole without which there is nothing to go on from."""
CANDIDATES = 4


@dataclass(frozen=True)
class Hole:
    """Where a hole is, and which stretch around it is listened to; in samples of the sound."""

    first: int
    last: int
    begin: int
    end: int
    mask: NDArray[np.bool_]
    """(W,): the columns of the stretch that hold something of the hole."""


@dataclass(frozen=True)
class Filled:
    """What goes into the hole, (N, last - first), and how much its edges stand out (seams.prominence_db)."""

    samples: Samples
    prominence_db: float


def plan(composer: Composer, rate: int, total: int, first: int, last: int) -> Hole:
    """The stretch for a hole from sample ``first`` to ``last`` of ``total``. Raises UsageError, without a file's name,
    where the hole is too long or there is no sound around it."""
    column = composer.column / composer.sample_rate
    # Frames whose analysis reaches into the hole are composed too.
    reach = composer.mel_config.n_fft / 2 / composer.sample_rate
    start, stop, duration = first / rate, last / rate, total / rate
    width = ceil((stop - start + 2 * reach) / column)
    if width > composer.columns - CONTEXT:
        most = (composer.columns - CONTEXT) * column - 2 * reach
        fact = f"the hole lasts {stop - start:.2f} s, and at most {floor(100 * most) / 100:.2f} s can be filled"
        raise UsageError(fact, "fill a part of it, or make ambience with 'foleygen ambience'")
    begin = (start + stop - width * column) / 2
    if begin < 0:
        begin, width = 0.0, ceil((stop + reach) / column)
    before = floor(begin / column + 1e-9)
    after = max(0, floor((duration - begin) / column + 1e-9) - width)
    spare = composer.columns - width
    right = min(after, spare // 2)
    left = min(before, spare - right)
    right = min(after, spare - left)
    if left + right < LEAST:
        around = LEAST * column
        raise UsageError(
            f"there is less than {around:.1f} s of sound around the hole", "name a shorter hole, or use another file"
        )
    mask = np.zeros(left + width + right, bool)
    mask[left : left + width] = True
    origin = round((begin - left * column) * rate)
    return Hole(first, last, origin, origin + ceil(len(mask) * column * rate), mask)


def fill(composer: Composer, samples: Samples, rate: int, hole: Hole, ask: Ask) -> Filled:
    """The best of several ways to fill a hole; ``samples`` (N, S) is the stretch from ``hole.begin`` on.

    It may end before ``hole.end``, where the file ends. What is in the hole is not listened to, and what is no number
    counts as silence. Silence around a hole is filled with silence.
    """
    heard = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32)
    first, last = hole.first - hole.begin, hole.last - hole.begin
    heard[:, first:last] = 0
    gain = level(heard)
    if not heard.any():
        return Filled(np.zeros((len(samples), last - first), np.float32), 0.0)
    length = len(hole.mask) * composer.column
    stretch = resampled_rows(heard * gain, rate, composer.sample_rate, length)
    scale = composer.sample_rate / rate
    edges = round(first * scale), round(last * scale)
    stands: list[tuple[float, Samples]] = []
    for found in candidates(composer, stretch, hole.mask, ask, edges):
        found[~heard.any(axis=1)] = 0
        stands.append((_prominence(composer, stretch, found, edges), found))
    best, chosen = min(stands, key=lambda pair: pair[0])
    back = resampled_rows(chosen, composer.sample_rate, rate, hole.end - hole.begin)[:, : max(last, heard.shape[1])]
    fade = min(round(FADE_S * rate), (last - first) // 3)
    return Filled(spliced(heard, back / gain, first, last, fade), best)


def _prominence(composer: Composer, stretch: Samples, found: Samples, edges: tuple[int, int]) -> float:
    """How much the edges of a hole (samples of the stretch) stand out, over all channels."""
    first, last = edges
    rate = composer.sample_rate
    fade = min(round(FADE_S * rate), (last - first) // 3)
    whole = stretch.copy()
    whole[:, first:last] = spliced(stretch, found, first, last, fade)
    half = fade / rate / 2
    joints = [(first / rate + half, half), (last / rate - half, half)]
    mels = composer.hear(whole).cpu().numpy()
    frame_rate = composer.mel_config.frame_rate
    return sum(seams.prominence_db(row, rate, mel, frame_rate, joints) for row, mel in zip(whole, mels, strict=True))


def resampled_rows(samples: Samples, rate_in: int, rate_out: int, total: int) -> Samples:
    """(N, total): the channels at another rate."""
    rows = [np.concatenate(list(resampled([row], rate_in, rate_out, total))) for row in samples]
    return np.stack(rows).astype(np.float32)
