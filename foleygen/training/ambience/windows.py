"""Windows of sound for the ambience models, on disk: recordings, mixtures of them, and made-up scenes, with tags.

A folder holds ``mels.f2`` (windows, mels, frames), ``windows.jsonl`` (a line a finished window), ``windows.json`` (the
configuration) and, if a listener is given, ``heard.f4`` (windows, 512). Making one is resumable; a window depends on
(seed, row) alone. Training windows are random; those of the fold ``test`` are the held-out recordings one by one as
they are, then scenes from seeds that training never uses.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import lfilter, resample_poly

from foleygen import scenes
from foleygen.atomic import publish
from foleygen.audio.mel import MelConfig, MelSpectrogram
from foleygen.errors import UsageError
from foleygen.strict import json_document
from foleygen.training import journal, outputs, stored
from foleygen.training.data.recordings import Manifest, read
from foleygen.weights import tags

if TYPE_CHECKING:
    from foleygen.models.clap import Clap

Samples = NDArray[np.float32]
Listen = Callable[[Samples, int], NDArray[np.float32]]
"""(samples at a rate in Hz) -> the embedding of the sound, (512,)."""

FULL_BAND = MelConfig(44100, 2048, 512, 128, 0.0, 22050.0)
PUBLISHED = MelConfig(22050, 1024, 256, 80, 0.0, 8000.0)
META = "windows.json"
FRAMES = 848
"""Frames of a window, 9.845 s, in the published mel and the full-band one."""

_MAKE = outputs.OUTPUTS["windows"].made
_LONG_S = 2.5
"""A shorter recording is one event, and is repeated; a longer one is looped."""
_FADE_S = 0.05
_SPEEDS = ((1, 1), (1, 1), (20, 19), (19, 20), (11, 10), (10, 11))


@dataclass(frozen=True)
class WindowsConfig:
    """``count`` windows; ``mix_share`` of them have two tags, ``scene_share`` of a tag's that has both are scenes."""

    count: int
    seed: int = 0
    fold: Literal["train", "test"] = "train"
    recordings: str | None = None
    mel: MelConfig = FULL_BAND
    frames: int = FRAMES
    mix_share: float = 0.2
    scene_share: float = 0.35


@dataclass(frozen=True)
class WindowRecord:
    """What is known of one window: its tags, and the recordings or scenes it was made of."""

    row: int
    tags: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)


class Windows:
    """Read access to a finished folder. Raises UsageError when there is none, or it is not finished."""

    def __init__(self, folder: Path) -> None:
        if not (folder / META).exists():
            raise outputs.not_held(folder, "windows", "holds no windows of sound")
        self.folder = folder
        self.config = stored.settings(folder / META, WindowsConfig, _MAKE)
        self.records = sorted(journal.read_as(WindowRecord, folder / "windows.jsonl"), key=lambda record: record.row)
        if len(self.records) < self.config.count:
            fact = f"{folder}: holds {len(self.records)} of its {self.config.count} windows"
            raise UsageError(fact, "run the same foleygen train windows again to finish it")
        shape = (self.config.count, self.config.mel.num_mels, self.config.frames)
        self.mels: NDArray[np.float16] = stored.mapped(folder / "mels.f2", np.float16, shape)
        heard = folder / "heard.f4"
        self.heard = _embeddings(heard, self.config.count) if heard.exists() else None

    def __len__(self) -> int:
        return self.config.count

    def tag_weights(self, names: Sequence[str]) -> NDArray[np.float32]:
        """(windows, tags): the tags of each window, of sum 1, or 0 for one without."""
        weights = np.zeros((len(self), len(names)), np.float32)
        for record in self.records:
            for tag in record.tags:
                weights[record.row, list(names).index(tag)] = 1 / len(record.tags)
        return weights


def make(
    folder: Path,
    config: WindowsConfig,
    on_window: Callable[[int, int], None] | None = None,
    listen: Listen | None = None,
) -> Windows:
    """Make the windows that ``folder`` does not hold yet. Raises UsageError if it holds another configuration's."""
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder, config)
    log = folder / "windows.jsonl"
    journal.repair(log)
    done = {int(line["row"]) for line in journal.read(log, "row")}
    shape = (config.count, config.mel.num_mels, config.frames)
    mels = np.memmap(folder / "mels.f2", np.float16, "r+" if (folder / "mels.f2").exists() else "w+", shape=shape)
    studio, mel = Studio(config), MelSpectrogram(config.mel)
    for row in (row for row in range(config.count) if row not in done):
        samples, record = studio.window(row)
        with torch.inference_mode():
            mels[row] = mel(torch.from_numpy(samples)[None])[0].numpy().astype(np.float16)
        if listen is not None:
            _keep(folder / "heard.f4", row, listen(samples, config.mel.sample_rate), config.count)
        journal.append(log, asdict(record))
        done.add(row)
        if on_window is not None:
            on_window(len(done), config.count)
    mels.flush()
    return Windows(folder)


def listener(clap: Clap) -> Listen:
    """CLAP as ``make`` wants it: it hears 48 kHz."""
    from foleygen.models.clap import SAMPLE_RATE

    def listen(samples: Samples, rate: int) -> NDArray[np.float32]:
        ratio = Fraction(SAMPLE_RATE, rate)
        heard = resample_poly(samples, ratio.numerator, ratio.denominator).astype(np.float32)
        embedding: NDArray[np.float32] = clap.audio(heard)[0].numpy()
        return embedding

    return listen


class Studio:
    """Draws windows of samples from the recordings of one fold and from scenes."""

    def __init__(self, config: WindowsConfig) -> None:
        self.config = config
        self.length = config.frames * config.mel.hop_length
        self._table = tags.table()
        self._files = Manifest(Path(config.recordings)).files(config.fold) if config.recordings else {}
        self._takes: dict[Path, Samples] = {}
        self._tags = [name for name, tag in self._table.items() if self._paths(name) or tag.scenes]

    def window(self, row: int) -> tuple[Samples, WindowRecord]:
        """Samples (S,) of a window, peak below 1, and what they are."""
        rng = np.random.default_rng((self.config.seed, row))
        if self.config.fold == "test":
            return self._held_out(row, rng)
        names = rng.choice(self._tags, 1 + int(rng.random() < self.config.mix_share), replace=False).tolist()
        drawn = [self._draw(name, rng) for name in names]
        total = np.zeros(self.length, np.float32)
        for sound, _ in drawn:
            total += sound / max(1e-3, float(np.abs(sound).max())) * 10 ** (-rng.uniform(0, 12) / 20)
        total = _tilted(total, rng)
        total *= 10 ** (-rng.uniform(1, 24) / 20) / max(1e-3, float(np.abs(total).max()))
        return total, WindowRecord(row, names, [source for _, source in drawn])

    def _held_out(self, row: int, rng: np.random.Generator) -> tuple[Samples, WindowRecord]:
        tagged = [(path, name) for name in self._tags for path in self._paths(name)]
        if row < len(tagged):
            path, name = tagged[row]
            sound = self._looped(self._take(path), 0)
            return 0.7 * sound / max(1e-3, float(np.abs(sound).max())), WindowRecord(row, [name], [path.name])
        made = [name for name in self._tags if self._table[name].scenes]
        name = made[(row - len(tagged)) % len(made)]
        sound, source = self._scene(name, rng, scenes.TEST_SEEDS.start + row)
        return sound, WindowRecord(row, [name], [source])

    def _draw(self, name: str, rng: np.random.Generator) -> tuple[Samples, str]:
        paths = self._paths(name)
        if self._table[name].scenes and (not paths or rng.random() < self.config.scene_share):
            return self._scene(name, rng, int(rng.integers(scenes.TEST_SEEDS.start)))
        path = paths[int(rng.integers(len(paths)))]
        take = self._take(path)
        if len(take) < _LONG_S * self.config.mel.sample_rate:
            return self._repeated(paths, rng), f"{path.name} and its like"
        up, down = _SPEEDS[int(rng.integers(len(_SPEEDS)))]
        take = resample_poly(take, up, down).astype(np.float32) if up != down else take
        return self._looped(take, int(rng.integers(len(take)))), path.name

    def _scene(self, name: str, rng: np.random.Generator, seed: int) -> tuple[Samples, str]:
        families = self._table[name].scenes
        family = families[int(rng.integers(len(families)))]
        seconds = (self.length + 1) / self.config.mel.sample_rate
        sound = scenes.compose(seed, family=family, duration_s=seconds).sound(self.config.mel.sample_rate)
        return np.resize(sound, self.length), f"scene {family} {seed}"

    def _looped(self, take: Samples, start: int) -> Samples:
        """A window of ``take`` from sample ``start`` on, over and over, the ends faded into each other."""
        fade = min(len(take) // 4, int(_FADE_S * self.config.mel.sample_rate))
        ramp = np.sin(np.linspace(0, np.pi / 2, fade, dtype=np.float32))
        loop = take[: len(take) - fade].copy()
        loop[:fade] = take[:fade] * ramp + take[len(take) - fade :] * ramp[::-1]
        return np.resize(np.roll(loop, -start), self.length)

    def _repeated(self, paths: Sequence[Path], rng: np.random.Generator) -> Samples:
        """Events of one kind, like steps: about evenly spaced, no two alike."""
        shorts = [path for path in paths if len(self._take(path)) < _LONG_S * self.config.mel.sample_rate]
        kind = re.sub(r"[-_\d]*\.\w+$", "", shorts[int(rng.integers(len(shorts)))].name)
        alike = [path for path in shorts if path.name.startswith(kind)]
        total = np.zeros(self.length, np.float32)
        period = rng.uniform(0.3, 1.6) * self.config.mel.sample_rate
        place = rng.uniform(0, period)
        while place < self.length:
            take = self._take(alike[int(rng.integers(len(alike)))])
            begin = int(place)
            piece = take[: self.length - begin]
            total[begin : begin + len(piece)] += piece * float(rng.uniform(0.6, 1.0))
            place += period * rng.uniform(0.85, 1.15)
        return total

    def _paths(self, name: str) -> list[Path]:
        pattern = self._table[name].recordings
        return [path for file, path in self._files.items() if pattern and re.search(pattern, file)]

    def _take(self, path: Path) -> Samples:
        if path not in self._takes:
            samples, rate = read(path)
            ratio = Fraction(self.config.mel.sample_rate, rate)
            self._takes[path] = resample_poly(samples, ratio.numerator, ratio.denominator).astype(np.float32)
        return self._takes[path]


def _tilted(sound: Samples, rng: np.random.Generator) -> Samples:
    """Half of the time brighter or darker, by at most about 6 dB at the ends of the band."""
    zero = rng.uniform(-0.35, 0.5) if rng.random() < 0.5 else 0.0
    return np.asarray(lfilter([1.0, -zero], [1.0], sound), np.float32)


def _claim(folder: Path, config: WindowsConfig) -> None:
    path = folder / META
    meta = json.loads(json.dumps(asdict(config)))
    if path.exists():
        if json_document(path, UsageError) != meta:
            raise UsageError(f"{folder}: holds windows of another configuration", "choose an empty folder")
        return
    with publish(path) as temporary:
        temporary.write_text(json.dumps(meta), encoding="utf-8")


def _embeddings(path: Path, count: int) -> NDArray[np.float32]:
    """(count, dimensions) of what was heard."""
    numbers = path.stat().st_size // 4 if path.is_file() else 0
    return stored.mapped(path, np.float32, (count, max(1, numbers // count)))


def _keep(path: Path, row: int, embedding: NDArray[np.float32], count: int) -> None:
    fresh = not path.exists()
    kept = np.memmap(path, np.float32, "w+" if fresh else "r+", shape=(count, len(embedding)))
    kept[row] = embedding
    kept.flush()


def tags_of(windows: Windows) -> tuple[str, ...]:
    """The tags that occur, in the order of the table."""
    named = {tag for record in windows.records for tag in record.tags}
    return tuple(tag for tag in tags.table() if tag in named)
