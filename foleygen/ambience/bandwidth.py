"""The band that a sound lacks above its cut-off, composed from what is below it.

Everything below the cut-off stays the input's own, twice over: in the mel that the vocoder hears, and in the sound,
to which only what lies above is added (low-frequency replacement, as in SpecMaskGIT's demonstration of 2024).
M mel bands, T frames, R rows and W columns of tokens; samples at the composer's rate.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool1d

from foleygen.ambience.inpaint import Ask, ramp
from foleygen.audio.mel import MelConfig, mel_basis
from foleygen.audio.vocos import guess_of
from foleygen.engines.composer import Composer, Samples
from foleygen.models.vqgan import PATCH
from foleygen.sampling.noise import generator
from foleygen.sampling.parallel_decode import DecodeConfig, rows_mask

OVERLAP = 8
"""Columns (1.5 s) that a window shares with the one before it."""
CROSSOVER_HZ = 200.0
"""Width of the transition above the cut-off."""
EASE = 1024
"""Samples in which what is added begins and ends with the sound."""
STOPBAND_DB = 80.0
"""What is added is below the cut-off by this much less."""
MOST_GAIN_DB = 12.0
DRAWS = 4
"""Bands that are composed for a window: one is heard, as loud as the median of them."""
_LEVEL_FRAMES = 33
"""Frames (0.4 s) over which that is taken."""
_SILENT = 0.03
"""Mels below this (3 dB above all that they can tell) fade away."""
_SILENT_DB = 60.0
"""How far, where they are 0."""
_KNOWN_SHARE = 0.75
"""A row with fewer of its bands below the cut-off is composed as a whole."""


def widened(composer: Composer, chunks: Iterable[Samples], total: int, cutoff_hz: float, ask: Ask) -> Iterator[Samples]:
    """The mono chunks (n,), ``total`` samples in all, with a band above ``cutoff_hz``; in memory are two windows.

    Silence stays silence. A cut-off above all bands leaves the sound as it is.
    """
    feed = _Feed(chunks)
    bands = _Bands(composer.mel_config, cutoff_hz)
    if bands.first_row >= composer.grid[0]:
        yield from feed.rest(total)
        return
    taps = high_pass(cutoff_hz, composer.sample_rate)
    hop = (composer.columns - OVERLAP) * composer.column
    fade = slice((OVERLAP // 2) * composer.column, (OVERLAP // 2 + 1) * composer.column)
    share = ((np.arange(composer.column) + 0.5) / composer.column).astype(np.float32)
    tail = np.zeros(0, np.float32)
    before: Tensor | None = None
    for number, start in enumerate(range(0, max(1, total - OVERLAP * composer.column), hop)):
        left = -(-(total - start) // composer.column)
        columns = min(composer.columns, left)
        stop = start + columns * composer.column
        heard = feed.take(start - composer.column, stop + composer.column)
        high, before = _high(composer, heard, bands, taps, before, ask, number)
        begin = 0
        if number:
            begin = fade.start
            high[fade] = high[fade] * share + tail * (1 - share)
        is_last = left <= composer.columns
        end = total - start if is_last else hop + fade.start
        added = high[begin:end].copy()
        if not number:
            _eased(added)
        if is_last:
            _eased(added[::-1])
        yield heard[composer.column :][begin:end] + added
        tail = high[hop + fade.start : hop + fade.stop].copy()
        feed.forget(start + hop - composer.column)
        if is_last:
            return


class _Bands:
    """Which bands are the input's own, and the first row of tokens that is composed."""

    def __init__(self, config: MelConfig, cutoff_hz: float) -> None:
        basis = mel_basis(config) > 0
        bins = np.linspace(0.0, config.sample_rate / 2, config.num_bins)
        highest = np.where(basis.any(axis=1), (basis * bins).max(axis=1), 0.0)
        known = highest <= cutoff_hz
        shares = known.reshape(-1, PATCH).mean(axis=1)
        self.first_row = int(np.argmax(shares < _KNOWN_SHARE)) if (shares < _KNOWN_SHARE).any() else len(shares)
        self.composed = self.first_row * PATCH
        self.known = min(int(np.argmin(known)) if not known.all() else len(known), self.composed)
        self.cutoff_hz = cutoff_hz

    def joined(self, own: Tensor, found: Tensor) -> Tensor:
        """The input's mel below, what was composed above, a straight line between; (N, M, T)."""
        mel = found.clone()
        mel[:, : self.known] = own[:, : self.known]
        # Nothing above is louder than the loudest below, so that pauses stay pauses.
        loudest = own[:, : self.known].amax(dim=1, keepdim=True) if self.known else torch.zeros_like(own[:, :1])
        mel[:, self.composed :] = torch.minimum(mel[:, self.composed :], loudest)
        gap = self.composed - self.known
        if gap and self.known:
            share = (torch.arange(1, gap + 1, device=mel.device) / (gap + 1))[None, :, None]
            below = mel[:, self.known - 1 : self.known]
            above = mel[:, self.composed : self.composed + 1]
            mel[:, self.known : self.composed] = below + (above - below) * share
        return mel


class _Feed:
    """Chunks as one array that is read forwards, with silence on both sides."""

    def __init__(self, chunks: Iterable[Samples]) -> None:
        self._chunks = iter(chunks)
        self._held = np.zeros(0, np.float32)
        self._origin = 0

    def take(self, begin: int, end: int) -> Samples:
        """The samples from ``begin`` (not before what was forgotten) to ``end``, (end - begin,)."""
        parts = [self._held]
        length = self._origin + len(self._held)
        while length < end and (chunk := next(self._chunks, None)) is not None:
            parts.append(np.asarray(chunk, np.float32))
            length += len(chunk)
        self._held = np.concatenate(parts)
        taken = np.zeros(end - begin, np.float32)
        there = self._held[max(0, begin - self._origin) : max(0, end - self._origin)]
        first = max(0, self._origin - begin)
        taken[first : first + len(there)] = there
        return taken

    def forget(self, before: int) -> None:
        """Let go of what is before a sample."""
        dropped = min(len(self._held), max(0, before - self._origin))
        self._held = self._held[dropped:].copy()
        self._origin += dropped

    def rest(self, total: int) -> Iterator[Samples]:
        for chunk in self._chunks:
            yield chunk[:total]
            total -= min(total, len(chunk))


def _high(
    composer: Composer,
    heard: Samples,
    bands: _Bands,
    taps: NDArray[np.float64],
    before: Tensor | None,
    ask: Ask,
    number: int,
) -> tuple[Samples, Tensor | None]:
    """What is to be added to the samples, (S - 2 columns,), and the tokens of the window.

    ``heard`` (S,) has a column more on each side; ``before`` are the tokens of the window before.
    """
    column = composer.column
    length = len(heard) - 2 * column
    if not heard.any():
        return np.zeros(length, np.float32), None
    own = composer.hear(heard[None])[..., PATCH:-PATCH]
    tokens = composer.encode(own).repeat(DRAWS, 1, 1)
    mask = rows_mask((tokens.shape[1], tokens.shape[2]), bands.first_row).to(tokens.device).repeat(DRAWS, 1, 1)
    if before is not None:
        shared = min(OVERLAP, tokens.shape[2])
        tokens[:, bands.first_row :, :shared] = before[:, bands.first_row :, -OVERLAP:][..., :shared]
        mask[:, :, :shared] = False
    rows = [generator("band", *ask.key, number, draw) for draw in range(DRAWS)]
    found = composer.compose(tokens, mask, rows, ask.condition, _hurried(ask.decoding))
    mel = bands.joined(own, _settled(composer.decode(found)))
    sound = _silenced(composer.sound(mel)[0], mel[0], composer.mel_config)
    gain = _matched(heard[column:-column], sound, bands.cutoff_hz, composer.sample_rate)
    from scipy.signal import oaconvolve

    high = oaconvolve(sound * gain, taps, mode="same")
    return np.asarray(high, np.float32), found


def _hurried(decoding: DecodeConfig) -> DecodeConfig:
    """The steps of one decoding, dealt out to all draws."""
    return replace(decoding, steps=ceil(decoding.steps / DRAWS))


def _settled(made: Tensor) -> Tensor:
    """The first of several mels (N, M, T), (1, M, T), as loud in each band as their (lower) median is.

    How loud a band is can only be guessed, and a median is nearer than a guess; but the median of noises is no noise.
    """
    missing = made.median(0, keepdim=True).values - made[:1]
    frames = min(_LEVEL_FRAMES, made.shape[-1] // 2 * 2 - 1)
    return made[:1] + avg_pool1d(missing, frames, 1, frames // 2, count_include_pad=False)


def _silenced(sound: Samples, mel: Tensor, config: MelConfig) -> Samples:
    """A sound (S,) without what its mel (M, T) has nothing of: a vocoder hisses where a mel can tell no lower level."""
    shares, _ = guess_of(config)  # bins by bands
    missing = (1 - mel / _SILENT).clamp_min(0)
    gain = 10 ** (-_SILENT_DB / 20 * (shares.to(mel.device) @ missing))
    window = torch.hann_window(config.n_fft, device=mel.device)
    samples = torch.from_numpy(sound).to(mel.device)
    spectrum = torch.stft(samples, config.n_fft, config.hop_length, window=window, return_complex=True)
    gain = torch.cat([gain, gain[:, -1:]], dim=1)
    quiet = torch.istft(spectrum * gain, config.n_fft, config.hop_length, window=window, length=len(sound))
    silenced: Samples = quiet.cpu().numpy()
    return silenced


def _eased(added: Samples) -> None:
    """Let a sound begin softly: cut off sharply it would be heard in all bands."""
    length = min(EASE, len(added))
    added[:length] *= ramp(length) ** 2


def _matched(own: Samples, made: Samples, cutoff_hz: float, rate: int) -> float:
    """The gain that makes both equally loud in the octave under the cut-off."""
    low, high = (round(hz / rate * len(own)) for hz in (cutoff_hz / 2, cutoff_hz))
    powers = [float(np.square(np.abs(np.fft.rfft(samples)[low:high])).sum()) for samples in (own, made)]
    if min(powers) <= 0:
        return 1.0
    most = 10 ** (MOST_GAIN_DB / 20)
    return float(np.clip(np.sqrt(powers[0] / powers[1]), 1 / most, most))


def high_pass(cutoff_hz: float, rate: int) -> NDArray[np.float64]:
    """A linear-phase filter (Kaiser) that is down by STOPBAND_DB at the cut-off."""
    from scipy.signal import firwin, kaiserord

    count, beta = kaiserord(STOPBAND_DB, CROSSOVER_HZ / (rate / 2))
    taps: NDArray[np.float64] = firwin(
        count | 1, cutoff_hz + CROSSOVER_HZ / 2, window=("kaiser", beta), pass_zero=False, fs=rate
    )
    return taps
