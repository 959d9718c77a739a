"""What spoils pictures in practice, applied to the encoder's frames: how much sync survives each is reported.

Every perturbation takes and gives uint8 frames (T, S, S, 3) at ``frame_rate`` and is seeded.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from foleygen.media import movie
from foleygen.media.frames import FrameRequest, FrameRule, read
from foleygen.media.probe import probe

Frames = NDArray[np.uint8]
Perturbation = Callable[[Frames, float, np.random.Generator], Frames]


def clean(frames: Frames, frame_rate: float, rng: np.random.Generator) -> Frames:
    """As rendered."""
    return frames


def shake(frames: Frames, frame_rate: float, rng: np.random.Generator) -> Frames:
    """Each frame is off by up to one pixel either way, independently."""
    return _moved(frames, rng.integers(-1, 2, (len(frames), 2)).astype(float))


def drift(frames: Frames, frame_rate: float, rng: np.random.Generator) -> Frames:
    """A hand-held camera: a smooth path of about two pixels."""
    knots = rng.standard_normal((max(4, round(len(frames) / frame_rate / 0.5)), 2)) * 2
    return _moved(frames, ndimage.zoom(knots, (len(frames) / len(knots), 1), order=3)[: len(frames)])


def zoomed(frames: Frames, frame_rate: float, rng: np.random.Generator, factor: float = 0.8) -> Frames:
    """The scene fills ``factor`` of the frame; its edge is repeated around it."""
    side = frames.shape[1]
    inner = round(side * factor)
    rows = np.clip(((np.arange(side) - (side - inner) / 2) / factor).round().astype(int), 0, side - 1)
    return np.ascontiguousarray(frames[:, rows][:, :, rows])


def noisy(frames: Frames, frame_rate: float, rng: np.random.Generator, deviation: float = 12) -> Frames:
    """Gaussian noise of the given standard deviation (of 255)."""
    return _byte(frames + rng.standard_normal(frames.shape, dtype=np.float32) * deviation)


def grey(frames: Frames, frame_rate: float, rng: np.random.Generator) -> Frames:
    """No colour."""
    luma = frames.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    return _byte(np.repeat(luma[..., None], 3, axis=3))


def slow(frames: Frames, frame_rate: float, rng: np.random.Generator, source_rate: float = 12.5) -> Frames:
    """A source of ``source_rate`` frames per second, interpolated in time as the pipeline does."""
    position = np.arange(len(frames)) * source_rate / frame_rate
    index = np.floor(position)
    weight = (position - index).astype(np.float32)[:, None, None, None]
    before, after = (
        np.clip(np.round((index + step) * frame_rate / source_rate), 0, len(frames) - 1).astype(int) for step in (0, 1)
    )
    return _byte(frames[before] * (1 - weight) + frames[after] * weight)


def compressed(frames: Frames, frame_rate: float, rng: np.random.Generator, crf: int = 35) -> Frames:
    """Through H.264 at the given rate factor and back."""
    rate, side = Fraction(frame_rate).limit_denominator(1000), frames.shape[1]
    with tempfile.TemporaryDirectory(prefix="foleygen-") as folder:
        path = Path(folder) / "compressed.mp4"
        movie.write(path, frames, rate, (side, side), crf=crf)
        request = FrameRequest(0, Fraction(0), len(frames))
        ((_, decoded),) = read(probe(path), [request], rate, side, FrameRule.LINEAR)
    return decoded


PERTURBATIONS: dict[str, Perturbation] = {
    "clean": clean,
    "shake 1 px": shake,
    "hand-held drift": drift,
    "zoom 0.8": zoomed,
    "noise 12/255": noisy,
    "grey": grey,
    "12.5 fps": slow,
    "8 fps": partial(slow, source_rate=8.0),
    "H.264 crf 35": compressed,
}


def _moved(frames: Frames, offsets: NDArray[np.float64]) -> Frames:
    """Frames shifted by (T, 2) pixels, edges repeated."""
    pairs = zip(frames, offsets, strict=True)
    return np.stack([ndimage.shift(frame, (*offset, 0), order=1, mode="nearest") for frame, offset in pairs])


def _byte(frames: NDArray[np.float32]) -> Frames:
    return np.clip(np.round(frames), 0, 255).astype(np.uint8)
