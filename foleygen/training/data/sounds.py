"""Waveforms to learn from: recordings of one fold, and the sounds of a dataset's scenes composed again.

A dataset keeps mels only; a scene's sound is a function of its seed, at any rate. S samples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import resample_poly

from foleygen.atomic import publish
from foleygen.errors import UsageError
from foleygen.training.data.dataset import DatasetConfig
from foleygen.training.data.recordings import Manifest, read

Sound = NDArray[np.float16]

LEAST_LEVEL = 1e-3
"""Peak below which a crop counts as silent and another place is tried."""


def recording_sounds(folder: Path, fold: str, rate: int, without: str | None = None) -> list[Sound]:
    """The recordings of one ``fold`` in a folder with a ``manifest.tsv``, mono at ``rate`` Hz, peak 0.7.

    Recordings made at a lower rate than ``rate`` are left out, because they say nothing about the upper octaves; so
    are those whose name contains ``without``. Raises UsageError, also where nothing is left.
    """
    manifest = Manifest(folder)
    sounds = []
    for file, path in manifest.files(fold).items():
        if without is not None and without in file:
            continue
        samples, source_rate = read(path)
        if source_rate < rate:
            continue
        ratio = Fraction(rate, source_rate)
        sound = resample_poly(samples, ratio.numerator, ratio.denominator)
        sounds.append((sound * (0.7 / max(1e-3, float(np.abs(sound).max())))).astype(np.float16))
    if not sounds:
        raise UsageError(f"{manifest.path}: has no recording of the fold {fold!r} at {rate} Hz or more", "add some")
    return sounds


def scene_sounds(
    config: DatasetConfig, count: int, rate: int, cache: Path | None = None,
    on_clip: Callable[[int, int], None] | None = None,
) -> list[Sound]:  # fmt: skip
    """The sounds of the first ``count`` scenes that ``config`` draws, at ``rate`` Hz; kept in the file ``cache``.

    Above 16 kHz scenes are composed without recordings, whose takes end at 8 kHz.
    """
    count = min(count, config.count)
    if cache is not None and cache.is_file():
        kept = np.load(cache, mmap_mode="r")
        if kept.shape == (count, round(config.num_frames / config.frame_rate * rate)):
            return list(kept)
    from foleygen import scenes
    from foleygen.training.data.material import recordings_in

    seconds = config.num_frames / config.frame_rate
    bank = recordings_in(config.recordings, config.fold) if config.recordings and rate <= 16000 else None
    made = np.empty((count, round(seconds * rate)), np.float16)
    for row in range(count):
        seed = config.first_seed + row
        family = config.families[seed % len(config.families)] if config.families else None
        scene = scenes.compose(
            seed, family=family, material=config.material, duration_s=seconds, style=config.style, bank=bank
        )
        made[row] = scene.sound(rate)
        if on_clip is not None:
            on_clip(row + 1, count)
    if cache is not None:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with publish(cache) as temporary, open(temporary, "wb") as handle:
            np.save(handle, made)
    return list(made)


def sounds_of_scenes(
    configs: Sequence[DatasetConfig], count: int, rate: int, folder: Path,
    on_clip: Callable[[int, int], None] | None = None,
) -> list[list[Sound]]:  # fmt: skip
    """``scene_sounds`` of each dataset, kept in ``folder``; ``on_clip`` counts through all of them."""
    counts, sources = [min(count, config.count) for config in configs], []
    for index, config in enumerate(configs):

        def counted(done: int, _: int, before: int = sum(counts[:index])) -> None:
            if on_clip is not None:
                on_clip(before + done, sum(counts))

        cache = folder / (f"scenes-{rate}-{index + 1}.npy" if index else f"scenes-{rate}.npy")
        sources.append(scene_sounds(config, count, rate, cache, counted))
    return sources


def struck_sounds(count: int, rate: int, seed: int = 0, seconds: float = 3.0) -> list[Sound]:
    """Strikes of a few clean partials that ring on, at ``rate`` Hz: the steady tones that noises and clicks lack.

    Partials lie between 80 Hz and 0.45 of the rate, evenly on a logarithmic axis, and lose 60 dB in 0.2 to 8 s.
    """
    rng = np.random.default_rng([seed, 17])
    time_s = np.arange(round(seconds * rate)) / rate
    sounds = []
    for _ in range(count):
        total = np.zeros(len(time_s))
        for begin in np.sort(rng.uniform(0, seconds - 0.5, rng.integers(1, 4))):
            age = time_s - begin
            for _ in range(rng.integers(1, 9)):
                hertz = 80 * (0.45 * rate / 80) ** rng.random()
                decay = 6.9 / np.exp(rng.uniform(np.log(0.2), np.log(8.0)))
                wave = np.sin(2 * np.pi * hertz * age + rng.uniform(0, 2 * np.pi))
                total += np.where(age >= 0, rng.uniform(0.1, 1) * wave * np.exp(-decay * np.maximum(age, 0)), 0)
        sounds.append((0.7 * total / np.abs(total).max()).astype(np.float16))
    return sounds


@dataclass(frozen=True)
class Crops:
    """Random crops of ``length`` samples: the source by weight, the louder of two places, a gain, sometimes two mixed.

    ``sources`` are lists of sounds with one weight each; within a source long sounds are drawn more often.
    """

    sources: Sequence[Sequence[Sound]]
    weights: Sequence[float]
    length: int
    gain_db: tuple[float, float] = (-18.0, 3.0)
    mixed: float = 0.2

    def draw(self, generator: torch.Generator, count: int) -> torch.Tensor:
        """(count, length) float32 in [-1, 1], from the generator alone."""
        rows = []
        for _ in range(count):
            crop = self._one(generator)
            if float(torch.rand((), generator=generator)) < self.mixed:
                crop = crop + self._one(generator)
            rows.append(crop / max(1.0, float(np.abs(crop).max())))
        return torch.from_numpy(np.stack(rows).astype(np.float32))

    def _one(self, generator: torch.Generator) -> NDArray[np.float32]:
        source = self.sources[int(torch.multinomial(torch.tensor(self.weights), 1, generator=generator))]
        sizes = torch.tensor([float(max(len(sound), self.length)) for sound in source]).sqrt()
        sound = source[int(torch.multinomial(sizes, 1, generator=generator))]
        room = len(sound) - self.length
        if room <= 0:
            crop = np.zeros(self.length, np.float32)
            start = int(torch.randint(1 - room, (1,), generator=generator))
            crop[start : start + len(sound)] = sound
        else:
            starts = torch.randint(room + 1, (2,), generator=generator).tolist()
            crops = [np.asarray(sound[start : start + self.length], np.float32) for start in starts]
            crop = max(crops, key=lambda crop: float(np.square(crop).sum()))
        peak = float(np.abs(crop).max())
        low, high = self.gain_db
        gain = 10 ** ((low + (high - low) * float(torch.rand((), generator=generator))) / 20)
        return crop * np.float32(gain * (0.7 / peak if peak > LEAST_LEVEL else 1.0))
