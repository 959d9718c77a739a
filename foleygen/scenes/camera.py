"""The camera: where it looks over time, and what it does to the picture (blur, grain, exposure, compression)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from foleygen.scenes.motion import Times, ease, wander
from foleygen.scenes.render import View
from foleygen.scenes.shapes import TRACK_RATE, Array, Rng, sample

RATES = (12.0, 15.0, 18.0, 20.0, 23.976, 24.0, 25.0, 29.97, 30.0, 48.0, 50.0, 60.0)
_RATE_WEIGHTS = (0.04, 0.09, 0.04, 0.07, 0.1, 0.14, 0.19, 0.1, 0.13, 0.02, 0.04, 0.04)


@dataclass(frozen=True)
class Camera:
    """``x``, ``y`` (units) and ``zoom`` are tracks; ``shake`` (units) is fresh for every shot frame.

    ``blur`` is the defocus (units, standard deviation), ``shutter`` the exposure as a share of the frame interval
    (0: none), ``grain`` the noise's standard deviation (0..1), ``block`` the strength of compression damage (0: none),
    ``grade`` (3, 2) gain and lift per channel, ``gamma`` the tone curve, ``mirror`` flips left and right.
    """

    x: Array
    y: Array
    zoom: Array
    flicker: Array
    rate: float
    shake: float = 0.0
    blur: float = 0.0
    shutter: float = 0.0
    grain: float = 0.0
    block: float = 0.0
    saturation: float = 1.0
    gamma: float = 1.0
    vignette: float = 0.0
    mirror: bool = False
    seed: int = 0
    grade: tuple[tuple[float, float], ...] = ((1.0, 0.0), (1.0, 0.0), (1.0, 0.0))

    def view(self, times: NDArray[np.float64]) -> View:
        """The framing at ``times`` (s); shake depends on the shot frame, so equal instants look equal."""
        x, y = sample(self.x, times), sample(self.y, times)
        if self.shake:
            jolt = self.shake * _per_frame_normal(self.seed, np.round(times * self.rate).astype(np.int64), 2)
            x, y = x + jolt[:, 0], y + jolt[:, 1]
        return View(x, y, sample(self.zoom, times))


def _per_frame_normal(seed: int, frames: NDArray[np.int64], count: int) -> Array:
    """Standard normal numbers that depend on nothing but ``seed`` and the frame number: (T, count)."""
    table = np.random.default_rng([seed, 77]).standard_normal((4096, count)).astype(np.float32)
    picked: Array = table[frames % 4096]
    return picked


def still(duration_s: float, rate: float, seed: int) -> Camera:
    """A camera on a tripod, in focus."""
    flat = np.zeros(int(duration_s * TRACK_RATE) + 2, np.float32)
    return Camera(flat, flat, flat + 1, flat + 1, rate, seed=seed)


def handheld(rng: Rng, times: Times, focus: tuple[float, float] | None) -> Camera:
    """A camera as films have them: pans, drift, zoom, shake, cuts, blur, grain, grading; close-ups of ``focus``."""
    near = rng.uniform(0.68, 1.08) if focus is None or rng.random() < 0.5 else rng.uniform(1.0, 1.7)
    aim = np.array(focus if focus is not None else (0.0, 0.0)) * np.clip((near - 0.8) / 0.5, 0, 1)
    x: Array = np.full(len(times), aim[0] + rng.normal(0, 0.08), np.float32)
    y: Array = np.full(len(times), aim[1] + rng.normal(0, 0.06), np.float32)
    zoom: Array = np.full(len(times), near, np.float32)
    kind = rng.choice(["tripod", "drift", "pan", "zoom", "all"], p=[0.35, 0.28, 0.12, 0.1, 0.15])
    if kind in ("drift", "all"):
        size = rng.uniform(0.01, 0.06)
        x, y = x + wander(rng, times, size), y + wander(rng, times, size)
    if kind in ("pan", "all"):
        travel = (times / times[-1] - 0.5) * rng.normal(0, 0.3)
        x = x + (travel if rng.random() < 0.5 else ease(times / times[-1]) * rng.normal(0, 0.3)).astype(np.float32)
    if kind in ("zoom", "all"):
        zoom = zoom * np.exp(rng.normal(0, 0.2) * (ease(times / times[-1]) - 0.5)).astype(np.float32)
    if rng.random() < 0.16:
        for _ in range(int(rng.integers(1, 4))):
            later = times >= rng.uniform(0.06, 0.96) * times[-1]
            x = x + (later * rng.normal(0, 0.15)).astype(np.float32)
            y = y + (later * rng.normal(0, 0.1)).astype(np.float32)
            zoom = np.clip(zoom * np.where(later, rng.uniform(0.75, 1.3), 1), 0.6, 1.8).astype(np.float32)
    flicker = np.ones(len(times), np.float32)
    if rng.random() < 0.2:
        flicker += wander(rng, times, rng.uniform(0.02, 0.1), 2.0)
    chosen = float(rng.choice(RATES, p=np.array(_RATE_WEIGHTS) / sum(_RATE_WEIGHTS)))
    tint = rng.normal(0, 0.06, 3) * (rng.random() < 0.6)
    gain, lift = rng.uniform(0.9, 1.35), rng.uniform(-0.03, 0.08)
    return Camera(
        x, y, zoom, flicker, chosen,
        shake=float(rng.choice([0, 1], p=[0.55, 0.45]) * rng.uniform(0.005, 0.05)),
        blur=float(rng.choice([0, 1], p=[0.65, 0.35]) * rng.uniform(0.008, 0.035)),
        shutter=float(rng.choice([0, 1], p=[0.75, 0.25]) * rng.uniform(0.3, 1.0)),
        grain=float(rng.choice([0, 1], p=[0.4, 0.6]) * rng.uniform(0.005, 0.06)),
        block=float(rng.choice([0, 1], p=[0.6, 0.4]) * rng.uniform(0.2, 1.0)),
        saturation=float(rng.choice([1.0, 0.0, rng.uniform(0.3, 1.3)], p=[0.4, 0.1, 0.5])),
        gamma=float(np.exp(rng.normal(-0.05, 0.18))),
        vignette=float((rng.random() < 0.3) * rng.uniform(0.1, 0.5)),
        mirror=bool(rng.random() < 0.5),
        seed=int(rng.integers(2**31)),
        grade=tuple((float(gain + t), float(lift)) for t in tint),
    )  # fmt: skip


def develop(camera: Camera, pixels: Array, times: NDArray[np.float64]) -> NDArray[np.uint8]:
    """What the sensor and the codec make of linear pictures (T, H, W, 3): uint8 of the same shape."""
    height, width = pixels.shape[1:3]
    if camera.blur * min(height, width) / 2 > 0.25:
        sigma = camera.blur * min(height, width) / 2
        for axis in (1, 2):
            pixels = gaussian_filter1d(pixels, sigma, axis=axis, mode="nearest", truncate=2.0)
    if camera.saturation != 1.0:
        grey = _luma(pixels)
        pixels = grey[..., None] + np.float32(camera.saturation) * (pixels - grey[..., None])
    gain = np.array([g for g, _ in camera.grade], np.float32)
    lift = np.array([bias for _, bias in camera.grade], np.float32)
    pixels = pixels * (sample(camera.flicker, times)[:, None, None, None] * gain) + lift
    if camera.vignette:
        y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None]
        pixels *= (1 - camera.vignette * np.clip(x * x + y * y - 0.4, 0, 1.5)).astype(np.float32)[None, :, :, None]
    if camera.gamma != 1.0:
        levels = np.linspace(0, 1, 1024) ** camera.gamma
        pixels = levels.astype(np.float32)[(np.clip(pixels, 0, 1) * 1023).astype(np.int16)]
    if camera.block:
        pixels = _compress(pixels, camera.block)
    if camera.grain:
        pixels = pixels + camera.grain * _grain(camera.seed, times, pixels.shape[1:])
    pixels *= np.float32(255.0)
    pixels += np.float32(0.5)
    developed = np.clip(pixels, 0, 255, out=pixels).astype(np.uint8)
    return developed[:, :, ::-1] if camera.mirror else developed


def _luma(pixels: Array) -> Array:
    """Brightness (T, H, W). No matrix product: its rounding would depend on the number of frames."""
    red, green, blue = (pixels[..., channel] for channel in range(3))
    return np.asarray(np.float32(0.3) * red + np.float32(0.59) * green + np.float32(0.11) * blue, np.float32)


def _grain(seed: int, times: NDArray[np.float64], shape: tuple[int, ...]) -> Array:
    """Film grain that depends on nothing but ``seed`` and the instant (to the microsecond): (T, H, W, 3)."""
    size = int(np.prod(shape))
    pool = np.random.default_rng([seed, 99]).standard_normal(size + 32768, dtype=np.float32)
    starts = (np.round(times * 1e6).astype(np.uint64) * np.uint64(2654435761)) % np.uint64(32768)
    return np.stack([pool[int(start) : int(start) + size].reshape(shape) for start in starts])


_k, _n = np.arange(8)[:, None], np.arange(8)[None, :]
_DCT = (np.cos(np.pi * (2 * _n + 1) * _k / 16) * np.where(_k == 0, np.sqrt(1 / 8), 0.5)).astype(np.float32)


def _compress(pixels: Array, strength: float) -> Array:
    """Quantise 8 x 8 blocks of brightness in the cosine domain, halve the colour's resolution (as JPEG and MPEG do)."""
    count, height, width = pixels.shape[:3]
    if height % 8 or width % 8:
        return pixels
    grey = _luma(pixels)
    colour = pixels - grey[..., None]
    colour = colour.reshape(count, height // 2, 2, width // 2, 2, 3).mean((2, 4))
    colour = np.repeat(np.repeat(colour, 2, 1), 2, 2)
    rows = np.matmul(_DCT, grey.reshape(count, height // 8, 8, width))
    blocks = np.matmul(rows.reshape(count, height, width // 8, 8), _DCT.T)
    step = strength * (0.03 + 0.02 * (np.arange(8)[:, None] + np.arange(8)[None]))
    step = np.tile(step.astype(np.float32), (height // 8, 1)).reshape(height, 1, 8)
    blocks = np.round(blocks / step) * step
    rows = np.matmul(blocks, _DCT).reshape(count, height // 8, 8, width)
    damaged: Array = np.matmul(_DCT.T, rows).reshape(count, height, width)
    return colour + damaged[..., None]
