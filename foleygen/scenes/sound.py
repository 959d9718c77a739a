"""Sound of hits and of steady sources: damped modes and shaped noise with physical parameters, and a room."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from math import gcd

import numpy as np
from scipy.signal import fftconvolve, resample_poly

from foleygen.scenes.catalogue import ACOUSTICS, MEMBRANE
from foleygen.scenes.shapes import TRACK_RATE, Array, Rng

BANK_RATE = 16000


@dataclass(frozen=True)
class Voice:
    """One sounding body: ``kind`` of contact, ``material``, ``size_m`` (length; pitch goes with 1 / size)."""

    kind: str
    material: str
    size_m: float
    seed: int


@dataclass(frozen=True)
class Hit:
    """``voice`` (index) is excited at ``time_s`` with ``strength`` (0..1]; ``length_s`` is for strokes.

    ``recording`` (BANK_RATE, attack at sample 0) is played in place of the synthesis.
    """

    time_s: float
    strength: float
    voice: int
    length_s: float = 0.0
    recording: Array | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Bed:
    """A steady source: noise between ``low_hz`` and ``high_hz``, ``level`` over time (TRACK_RATE).

    ``kind``: ``noise``, ``crackle`` (random clicks, ``density_hz`` of them), ``motor`` (pulses at ``pulse_hz``, a
    track) or ``recording`` (looped).
    """

    kind: str
    level: Array
    seed: int
    low_hz: float = 50.0
    high_hz: float = 8000.0
    density_hz: float = 20.0
    pulse_hz: Array | None = None
    recording: Array | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Room:
    """Reverberation time (s to -60 dB), level of the room's answer and of its silence (0: dry, silent)."""

    decay_s: float = 0.0
    level: float = 0.0
    tone: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class SoundPlan:
    """All that sounds in a clip; ``peak`` is the clip's highest sample."""

    duration_s: float
    voices: tuple[Voice, ...]
    hits: tuple[Hit, ...]
    beds: tuple[Bed, ...]
    room: Room
    peak: float

    def render(self, sample_rate: int) -> Array:
        """The soundtrack: (round(duration * sample_rate),), float32, |x| <= ``peak``."""
        total = round(self.duration_s * sample_rate)
        track = np.zeros(total, np.float32)
        makers = [_maker(voice, sample_rate) for voice in self.voices]
        for number, hit in enumerate(self.hits):
            start = round(hit.time_s * sample_rate)
            if hit.recording is not None:
                burst = hit.strength * to_rate(hit.recording, sample_rate)
            else:
                burst = makers[hit.voice](hit, np.random.default_rng([self.voices[hit.voice].seed, number]))
            burst = burst[: max(0, total - start)]
            track[start : start + len(burst)] += burst
        for bed in self.beds:
            track += _bed(bed, total, sample_rate)
        if self.room.level:
            track = track + self.room.level * _reverberate(track, self.room, sample_rate)
        highest = float(np.abs(track).max())
        if highest > 0:
            track *= self.peak / highest
        if self.room.tone:
            rng = np.random.default_rng(self.room.seed)
            track = track + self.room.tone * _coloured(rng, total, sample_rate, 60, 900)
        return np.clip(track, -0.99, 0.99).astype(np.float32)


def to_rate(samples: Array, sample_rate: int) -> Array:
    """From BANK_RATE to ``sample_rate``."""
    if sample_rate == BANK_RATE:
        return samples
    shared = gcd(sample_rate, BANK_RATE)
    return np.asarray(resample_poly(samples, sample_rate // shared, BANK_RATE // shared), np.float32)


class _Modes:
    """Damped sinusoids of one body, computed once; a hit is a weighted sum of them."""

    def __init__(self, voice: Voice, sample_rate: int, ratios: tuple[float, ...], lowest_hz: float) -> None:
        rng = np.random.default_rng(voice.seed)
        nature = ACOUSTICS[voice.material]
        spread = np.array(ratios) * np.exp(rng.normal(0, 0.03, len(ratios)))
        twins = spread * (1 + rng.uniform(0.004, 0.03, len(ratios)))
        frequency = lowest_hz * np.concatenate([spread, twins])
        audible = frequency < 0.45 * sample_rate
        frequency = frequency[audible] if audible.any() else np.array([0.3 * sample_rate])
        decay = nature.decay_s * (frequency / 1000) ** -nature.slope * np.exp(rng.normal(0, 0.15, len(frequency)))
        self.frequency = frequency
        self.weight = rng.uniform(0.3, 1.0, len(frequency)) / np.sqrt(len(frequency))
        length = int(min(1.6, max(0.03, float(decay.max()))) * sample_rate)
        time = (np.arange(length) / sample_rate).astype(np.float32)
        phase = 2 * np.pi * frequency[:, None] * time[None]
        self.rows = np.sin(phase.astype(np.float32)) * np.exp(-6.9 / decay[:, None] * time[None]).astype(np.float32)

    def ring(self, rng: Rng, corner_hz: float) -> Array:
        """The answer to a blow whose spectrum falls off at ``corner_hz``, at a random place."""
        place = rng.uniform(0.55, 1.0, len(self.frequency)) * self.weight
        excited = place / (1 + (self.frequency / corner_hz) ** 2)
        answer: Array = (excited.astype(np.float32) @ self.rows) * np.float32(1.6)
        return answer


def _maker(voice: Voice, sample_rate: int) -> partial[Array]:
    nature = ACOUSTICS[voice.material]
    small = 0.1 / voice.size_m
    if voice.kind == "stroke":
        return partial(_stroke, voice, sample_rate)
    if voice.kind == "drop":
        return partial(_drop, voice, sample_rate)
    if voice.kind == "splash":
        return partial(_splash, voice, sample_rate)
    if voice.kind == "clap":
        return partial(_clap, voice, sample_rate)
    ratios = MEMBRANE if voice.kind == "drum" and voice.material == "skin" else nature.ratios
    modes = _Modes(voice, sample_rate, ratios, nature.pitch_hz * small)
    return partial(_blow, voice, sample_rate, modes)


def _blow(voice: Voice, sample_rate: int, modes: _Modes, hit: Hit, rng: Rng) -> Array:
    """A blow: the body's modes and the broadband burst of the contact; harder blows are brighter."""
    nature = ACOUSTICS[voice.material]
    corner = nature.hardness_hz * (0.25 + 0.75 * hit.strength)
    answer = modes.ring(rng, corner)
    burst_s = {"step": 0.06, "click": 0.012, "tick": 0.006}.get(voice.kind, 0.02) * (0.7 + voice.size_m * 2)
    noise = 0.5 * nature.noise * decaying_noise(rng, burst_s, sample_rate, 40.0, corner * 1.5)
    if voice.kind in ("slam", "step"):
        thump = decaying_noise(rng, 0.12, sample_rate, 40.0, 220.0)
        noise = _sum(noise, 0.8 * thump)
    if voice.kind == "drum" and voice.seed % 3 == 0:
        noise = _sum(noise, 0.35 * decaying_noise(rng, 0.16, sample_rate, 1200.0, 7000.0))
    return hit.strength * _sum(answer, noise)


def _sum(first: Array, second: Array) -> Array:
    longer, shorter = (first, second) if len(first) >= len(second) else (second, first)
    total = longer.copy()
    total[: len(shorter)] += shorter
    return total


def decaying_noise(rng: Rng, decay_s: float, sample_rate: int, low_hz: float, high_hz: float) -> Array:
    """Noise of unit peak order in a band, falling by 60 dB in ``2 * decay_s``, starting at full level."""
    length = max(16, int(2 * decay_s * sample_rate))
    noise = _coloured(rng, length + 64, sample_rate, low_hz, high_hz)[32 : 32 + length]
    envelope = np.exp(-6.9 * np.arange(length) / length).astype(np.float32)
    faded: Array = noise * envelope * np.float32(0.5)
    return faded


def _coloured(rng: Rng, length: int, sample_rate: int, low_hz: float, high_hz: float) -> Array:
    """Noise of unit variance in a band with soft slopes: (length,)."""
    spectrum = np.fft.rfft(rng.standard_normal(length))
    frequency = np.fft.rfftfreq(length, 1 / sample_rate) + 1e-3
    spectrum *= 1 / (1 + (frequency / high_hz) ** 3) / (1 + (low_hz / frequency) ** 2)
    noise = np.fft.irfft(spectrum, length)
    return np.asarray(noise / (noise.std() + 1e-9), np.float32)


def _stroke(voice: Voice, sample_rate: int, hit: Hit, rng: Rng) -> Array:
    """Teeth or grit on a surface: noise around the material's tone for as long as the stroke goes."""
    length = max(int(0.05 * sample_rate), int(hit.length_s * sample_rate))
    nature = ACOUSTICS[voice.material]
    centre = 900.0 + nature.hardness_hz * (0.2 + 0.4 * hit.strength)
    noise = _coloured(rng, length, sample_rate, 0.4 * centre, 1.6 * centre)
    part = np.linspace(0, 1, length)
    envelope = np.minimum(1, part * length / (0.008 * sample_rate)) * (1 - part**3) * (0.6 + 0.4 * np.sin(np.pi * part))
    if voice.seed % 2:
        rasp = 45 + 90 * np.sin(np.pi * part)
        envelope *= 0.6 + 0.4 * np.sign(np.sin(2 * np.pi * np.cumsum(rasp) / sample_rate))
    return (0.3 * hit.strength * noise * envelope).astype(np.float32)


def _drop(voice: Voice, sample_rate: int, hit: Hit, rng: Rng) -> Array:
    """A drop: a tick of the surface, then the bubble it leaves (pitch rises as it shrinks to the surface)."""
    time = np.arange(int(0.16 * sample_rate)) / sample_rate
    pitch = 500 + 1600 * min(1.5, 0.02 / voice.size_m) * rng.uniform(0.8, 1.25)
    phase = 2 * np.pi * pitch * (time + rng.uniform(1.0, 2.6) * time**2)
    bubble = np.sin(phase) * np.exp(-time * rng.uniform(25, 55)) * (1 - np.exp(-time * 1500))
    tick = decaying_noise(rng, 0.012, sample_rate, 800.0, 6000.0)
    return hit.strength * _sum(0.8 * bubble.astype(np.float32), 0.5 * tick)


def _splash(voice: Voice, sample_rate: int, hit: Hit, rng: Rng) -> Array:
    """A body falling into water: a slap, a spray and late bubbles; bigger is lower and longer."""
    length_s = 0.15 + 0.9 * min(1.0, voice.size_m / 0.3) * (0.4 + 0.6 * hit.strength)
    spray = 0.7 * decaying_noise(rng, length_s, sample_rate, 250.0, 2000 + 3500 * hit.strength)
    slap = decaying_noise(rng, 0.05, sample_rate, 60.0, 60.0 / voice.size_m + 400)
    total = _sum(spray, slap)
    for _ in range(int(rng.integers(3, 9))):
        late = _drop(voice, sample_rate, Hit(0, 1.0, 0), rng) * rng.uniform(0.05, 0.2)
        start = int(rng.uniform(0.05, 0.25 + length_s * 0.5) * sample_rate)
        total = _sum(total, np.concatenate([np.zeros(start, np.float32), late]))
    return hit.strength * total


def _clap(voice: Voice, sample_rate: int, hit: Hit, rng: Rng) -> Array:
    """Two palms (or blocks): two or three bursts within a few ms around the cavity's tone."""
    corner = ACOUSTICS[voice.material].hardness_hz
    centre = corner * rng.uniform(0.7, 1.1) * (0.7 + 0.3 * hit.strength)
    total = decaying_noise(rng, rng.uniform(0.02, 0.06), sample_rate, 0.5 * centre, 1.8 * centre)
    for _ in range(int(rng.integers(1, 3))):
        gap = np.zeros(int(rng.uniform(0.002, 0.007) * sample_rate), np.float32)
        echo = decaying_noise(rng, 0.03, sample_rate, 0.5 * centre, 1.8 * centre)
        total = _sum(total, np.concatenate([gap, rng.uniform(0.3, 0.8) * echo]))
    return hit.strength * total


def _bed(bed: Bed, total: int, sample_rate: int) -> Array:
    rng = np.random.default_rng(bed.seed)
    position = np.arange(total) / sample_rate * TRACK_RATE
    axis = np.arange(len(bed.level))
    level = np.interp(position, axis, bed.level).astype(np.float32)
    if bed.kind == "recording" and bed.recording is not None:
        loop = np.resize(to_rate(bed.recording, sample_rate), total)
        return np.asarray(0.25 * level * loop / (loop.std() + 1e-9), np.float32)
    if bed.kind == "crackle":
        count = rng.poisson(bed.density_hz * total / sample_rate)
        clicks = np.zeros(total, np.float32)
        at = rng.integers(0, total, count)
        clicks[at] = rng.standard_normal(count) * rng.exponential(1.0, count) * level[at]
        body = decaying_noise(rng, 0.008, sample_rate, bed.low_hz, bed.high_hz)
        return np.asarray(fftconvolve(clicks, body)[:total], np.float32)
    noise = _coloured(rng, total, sample_rate, bed.low_hz, bed.high_hz) * np.float32(0.25)
    if bed.kind == "motor" and bed.pulse_hz is not None:
        phase = np.cumsum(np.interp(position, axis, bed.pulse_hz)) / sample_rate
        saw = (phase % 1.0) ** 4
        turn = 2 * np.pi * phase
        harmonics = np.sin(turn) + 0.6 * np.sin(2 * turn + 1) + 0.4 * np.sin(3 * turn + 2)
        noise = 0.12 * harmonics + noise * (0.25 + saw)
    return (level * noise).astype(np.float32)


def _reverberate(track: Array, room: Room, sample_rate: int) -> Array:
    """An exponentially decaying noise tail, darker the later, 4 to 12 ms behind the direct sound."""
    rng = np.random.default_rng(room.seed)
    length = int(room.decay_s * sample_rate)
    tail = _coloured(rng, length, sample_rate, 150.0, 3000.0) * np.exp(-6.9 * np.arange(length) / length)
    tail[: int(rng.uniform(0.004, 0.012) * sample_rate)] = 0
    tail /= np.sqrt((tail**2).sum()) + 1e-9
    return np.asarray(fftconvolve(track, tail)[: len(track)], np.float32)
