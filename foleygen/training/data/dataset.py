"""Scenes on disk: pictures and mels as memory-mapped arrays, what happens in them as JSON.

A dataset is a folder: ``frames.u8`` (clips, frames, size, size, 3), ``mels.f2`` (clips, mels, columns),
``clips.jsonl`` (one line a finished clip) and ``dataset.json`` (the shapes). Making one is resumable and uses all
cores; a clip depends on (seed, scenes' version) alone.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from foleygen import scenes
from foleygen.atomic import publish
from foleygen.audio.mel import MelConfig, MelSpectrogram
from foleygen.errors import UsageError
from foleygen.strict import json_document
from foleygen.training import journal, outputs, stored
from foleygen.training.data.recordings import Manifest

META = "dataset.json"


@dataclass(frozen=True)
class DatasetConfig:
    """What is drawn: ``count`` seeds from ``first_seed``; ``recordings`` and ``footage`` are folders or None.

    ``fold`` picks recordings.
    """

    count: int
    first_seed: int = 0
    style: str = "train"
    families: tuple[str, ...] | None = None
    material: str | None = None
    frame_rate: float = 31.25
    num_frames: int = 256
    frame_size: int = 64
    pictures: bool = True
    recordings: str | None = None
    footage: str | None = None
    fold: str = "train"


@dataclass(frozen=True)
class ClipRecord:
    """What is known of one clip."""

    row: int
    seed: int
    family: str
    material: str
    source_rate: float
    times: list[float] = field(default_factory=list)
    strengths: list[float] = field(default_factory=list)
    intensity: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class _Meta:
    """``dataset.json``: ``mel_shape`` is (mels, columns) of a clip, ``scenes`` the version of the composer."""

    config: DatasetConfig
    mel_shape: tuple[int, int]
    scenes: int


def _meta(folder: Path) -> _Meta:
    if not (folder / META).exists():
        raise outputs.not_held(folder, "scenes", "holds no dataset of scenes")
    return stored.settings(folder / META, _Meta, outputs.OUTPUTS["scenes"].made)


class SceneDataset:
    """Read access to a finished (or growing) dataset. Raises UsageError."""

    def __init__(self, folder: Path) -> None:
        meta = _meta(folder)
        config = meta.config
        self.folder, self.config = folder, asdict(config)
        shape = (config.count, *meta.mel_shape)
        self.mels: NDArray[np.float16] = stored.mapped(folder / "mels.f2", np.float16, shape)
        self.frames: NDArray[np.uint8] | None = None
        if config.pictures:
            pictures = (config.count, config.num_frames, config.frame_size, config.frame_size, 3)
            self.frames = stored.mapped(folder / "frames.u8", np.uint8, pictures)
        records = journal.read_as(ClipRecord, folder / "clips.jsonl")
        self.clips = sorted(records, key=lambda clip: clip.row)

    def __len__(self) -> int:
        return len(self.clips)


def geometry_for(purpose: Literal["tiny", "cavp"]) -> tuple[dict[str, Any], MelConfig]:
    """Fields of DatasetConfig and the mel: tiny's window, or CAVP's 10 s at 4 fps with a hop of 250 samples."""
    if purpose == "tiny":
        return {}, MelConfig()
    return {"frame_rate": 4.0, "num_frames": 40, "frame_size": 224}, MelConfig(hop_length=250)


def window_samples(config: DatasetConfig, mel: MelConfig) -> int:
    """Samples of a clip: as long as its frames."""
    return round(config.num_frames / config.frame_rate * mel.sample_rate)


def make(
    folder: Path,
    config: DatasetConfig,
    workers: int | None = None,
    on_clip: Callable[[int, int], None] | None = None,
    mel: MelConfig | None = None,
) -> SceneDataset:
    """Draw the clips that ``folder`` does not hold yet. Raises UsageError if it holds another configuration's, and
    for recordings and footage that cannot be used."""
    mel = mel or MelConfig()
    _check_material(config)
    folder.mkdir(parents=True, exist_ok=True)
    _prepare(folder, config, mel)
    log = folder / "clips.jsonl"
    journal.repair(log)
    done = {record["row"] for record in journal.read(log, "row")}
    rows = [row for row in range(config.count) if row not in done]
    context = multiprocessing.get_context("spawn")
    processes = min(workers or multiprocessing.cpu_count(), max(1, len(rows)))
    with context.Pool(processes, _start_worker, (folder, config, mel)) as pool:
        for number, record in enumerate(pool.imap_unordered(_make_clip, rows), len(done) + 1):
            journal.append(log, asdict(record))
            if on_clip is not None:
                on_clip(number, config.count)
    return SceneDataset(folder)


def _check_material(config: DatasetConfig) -> None:
    """Raises UsageError, before any process is started, where there is nothing to use."""
    from foleygen.training.data.material import filmed_in

    if config.recordings is not None:
        Manifest(Path(config.recordings)).files(config.fold)
    if config.footage is not None:
        filmed_in(config.footage)


def _prepare(folder: Path, config: DatasetConfig, mel: MelConfig) -> None:

    columns = window_samples(config, mel) // mel.hop_length
    meta = json.loads(
        json.dumps({"config": asdict(config), "mel_shape": [mel.num_mels, columns], "scenes": scenes.VERSION})
    )
    path = folder / META
    if path.exists():
        if json_document(path, UsageError) != meta:
            raise UsageError(f"{folder}: holds clips of another configuration", "choose an empty folder")
        return
    sizes = {"mels.f2": config.count * mel.num_mels * columns * 2}
    if config.pictures:
        sizes["frames.u8"] = config.count * config.num_frames * config.frame_size**2 * 3
    for name, size in sizes.items():
        with journal.room_for(folder / name), open(folder / name, "wb") as handle:
            _reserve(handle, size)
    with publish(path) as temporary:
        temporary.write_text(json.dumps(meta), encoding="utf-8")


def _reserve(handle: BinaryIO, size: int) -> None:
    """Take the space now: a memory map that runs out of it later kills its process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle.fileno(), 0, size)
    else:
        handle.truncate(size)


_worker: dict[str, Any] = {}


def _start_worker(folder: Path, config: DatasetConfig, mel: MelConfig) -> None:
    """An error is kept for the first clip: a pool whose workers cannot begin would start new ones for ever."""
    try:
        _prepare_worker(folder, config, mel)
    except Exception as error:
        _worker["error"] = error


def _prepare_worker(folder: Path, config: DatasetConfig, mel: MelConfig) -> None:
    from foleygen.training.data.material import footage_in, recordings_in

    torch.set_num_threads(1)
    columns = window_samples(config, mel) // mel.hop_length
    _worker.update(
        config=config,
        mel=MelSpectrogram(mel),
        mels=np.memmap(folder / "mels.f2", np.float16, "r+", shape=(config.count, mel.num_mels, columns)),
        bank=recordings_in(config.recordings, config.fold) if config.recordings else None,
        footage=footage_in(config.footage) if config.footage else None,
    )
    if config.pictures:
        shape = (config.count, config.num_frames, config.frame_size, config.frame_size, 3)
        _worker["frames"] = np.memmap(folder / "frames.u8", np.uint8, "r+", shape=shape)


def _make_clip(row: int) -> ClipRecord:

    if "error" in _worker:
        raise _worker["error"]
    config: DatasetConfig = _worker["config"]
    mel: MelSpectrogram = _worker["mel"]
    seconds = config.num_frames / config.frame_rate
    seed = config.first_seed + row
    family = _pick(config.families, seed)
    scene = scenes.compose(
        seed,
        family=family,
        material=config.material,
        duration_s=seconds,
        style=config.style,
        bank=_worker["bank"],
        footage=_worker["footage"],
    )
    samples = scene.sound(mel.config.sample_rate)
    with torch.inference_mode():
        _worker["mels"][row] = mel(torch.from_numpy(samples)[None])[0].numpy().astype(np.float16)
    if config.pictures:
        _worker["frames"][row] = scene.resampled_frames(config.frame_rate, config.num_frames, config.frame_size)
    centres = np.asarray((np.arange(config.num_frames // 2) + 0.5) * 2 / config.frame_rate, np.float64)
    return ClipRecord(
        row=row,
        seed=seed,
        family=scene.family,
        material=scene.material,
        source_rate=float(scene.source_rate),
        times=[round(float(event.time_s), 5) for event in scene.events],
        strengths=[round(float(event.strength), 4) for event in scene.events],
        intensity=[round(float(value), 4) for value in scene.intensity(centres)],
    )


def _pick(families: Sequence[str] | None, seed: int) -> str | None:
    return families[seed % len(families)] if families else None


def scene_config(folder: Path) -> DatasetConfig:
    """How the scenes of a dataset are drawn; it need not be finished. Raises UsageError when there is none."""
    return _meta(folder).config


def open_scenes(folder: Path) -> SceneDataset:
    """Raises UsageError when ``folder`` holds no dataset, or not one finished clip."""
    dataset = SceneDataset(folder)
    if not len(dataset):
        raise UsageError(f"{folder}: holds no finished clip", "let foleygen train scenes finish")
    if len(dataset) < int(dataset.config["count"]):
        fact = f"{folder}: holds {len(dataset)} of its {dataset.config['count']} clips"
        raise UsageError(fact, "run the same foleygen train scenes again to finish it")
    return dataset


def with_pictures(dataset: SceneDataset) -> SceneDataset:
    """Raises UsageError for a dataset of sounds alone."""
    if dataset.frames is None:
        raise UsageError(f"{dataset.folder}: was made without pictures", "make it again without --no-pictures")
    return dataset
