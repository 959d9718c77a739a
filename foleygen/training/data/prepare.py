"""``train prepare``: a folder of clips with sound becomes features and latents, with the encoders of a bundle.

A folder of shards holds ``shards.json`` (geometry, and which bundle made it) and a folder per shard: ``features.f2``
(windows, K, C) and ``latents.f2`` (windows, Z, H, W), float16, and ``clips.jsonl``, a line per clip with its windows
or its error. A window counts once its clip's line is there, so a killed run goes on behind the last line.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from foleygen.atomic import publish
from foleygen.audio.mel import MelSpectrogram
from foleygen.engines.building import autoencoder_of, encoder_of, mel_config
from foleygen.engines.device import explained
from foleygen.errors import BundleError, ClipError, FoleygenError, UsageError, printable
from foleygen.features.extract import Encoder, extract
from foleygen.media import frames, own_sound, probe
from foleygen.models.autoencoder import KLAutoencoder
from foleygen.models.patch_autoencoder import PatchAutoencoder
from foleygen.settings import MAX_PIXELS
from foleygen.training import journal, outputs, stored
from foleygen.training.data.split import held_out
from foleygen.training.loop import Batch, DrawBatch
from foleygen.weights.bundle import Bundle

Halves = NDArray[np.float16]

META = "shards.json"
SILENCE = 1e-4
"""Peak below which a track is no sound to learn from."""


@dataclass(frozen=True)
class ShardsMeta:
    """What the arrays hold: shapes of a row, how latents were standardised (per channel), and the bundle's hashes;
    that of the autoencoder is of its settings and its mel too."""

    bundle: str
    encoder_hash: str
    autoencoder_hash: str
    features: tuple[int, int]
    latents: tuple[int, int, int]
    latent_mean: tuple[float, ...]
    latent_std: tuple[float, ...]


@dataclass(frozen=True)
class Prepared:
    """What became of one clip: its windows, or the error that left it out."""

    clip: Path
    windows: int
    error: FoleygenError | None = None
    skipped: bool = False


@dataclass(frozen=True)
class Encoders:
    """The frozen parts of a bundle that training needs."""

    bundle: Bundle
    encoder: Encoder
    autoencoder: PatchAutoencoder | KLAutoencoder
    mel: MelSpectrogram
    device: str

    @classmethod
    def load(cls, bundle: Bundle, device: str) -> Encoders:
        """The encoders on ``device``. Raises BundleError."""
        encoder, autoencoder = encoder_of(bundle, device), autoencoder_of(bundle).to(device)
        return cls(bundle, encoder, autoencoder, MelSpectrogram(mel_config(bundle)), device)


def prepare(
    clips: Sequence[Path],
    folder: Path,
    encoders: Encoders,
    shard: tuple[int, int] = (1, 1),
    max_pixels: int = MAX_PIXELS,
) -> Iterator[Prepared]:
    """Encode the clips of shard I of N (dealt round-robin) that ``folder`` does not hold yet; yields one result each.

    A clip is cut into windows side by side; one shorter than a window is padded with its last picture and silence, and
    so is the rest of a longer one if it fills half a window. Bad clips are reported and tried again next time; clips
    with pictures of more than ``max_pixels`` are bad. One window of sound and one of pictures are in memory at a time.
    Raises RetryableError when memory or space runs out, UsageError and BundleError.
    """
    index, count = shard
    if not 1 <= index <= count:
        raise UsageError(f"shard {index}/{count} does not exist", f"use 1/{count} to {count}/{count}")
    part = folder / f"shard-{index:03d}-of-{count:03d}"
    part.mkdir(parents=True, exist_ok=True)
    writer = _Writer(part, _meta_of(folder, encoders))
    for clip in clips[index - 1 :: count]:
        identity = _identity(clip)
        if writer.holds(identity):
            yield Prepared(clip, 0, skipped=True)
            continue
        try:
            windows = _encode(clip, encoders, max_pixels)
        except Exception as failure:
            error = explained(failure, clip)
            if not isinstance(error, ClipError):
                raise error from error.__cause__
            writer.refuse(identity, error)
            yield Prepared(clip, 0, error)
            continue
        writer.add(identity, windows)
        yield Prepared(clip, len(windows))


class Shards:
    """Read access to all shards of a folder, memory-mapped; the newest line of a clip counts."""

    def __init__(self, folder: Path) -> None:
        self.meta = read_meta(folder)
        self._features: list[Halves] = []
        self._latents: list[Halves] = []
        rows: list[tuple[int, int]] = []
        self._names: list[str] = []
        for number, part in enumerate(sorted(folder.glob("shard-*-of-*"))):
            newest = {line["clip"]: line for line in journal.read(part / "clips.jsonl", "clip")}
            kept = [line for line in newest.values() if "row" in line]
            own = [(number, line["row"] + offset) for line in kept for offset in range(line.get("windows", 0))]
            rows += own
            self._names += [_named(line) for line in kept for _ in range(line.get("windows", 0))]
            for name, shape, arrays in (
                ("features.f2", self.meta.features, self._features),
                ("latents.f2", self.meta.latents, self._latents),
            ):
                arrays.append(_mapped(part / name, shape))
                if own and len(arrays[-1]) <= max(row for _, row in own):
                    raise UsageError(f"{part / name}: is shorter than its clips.jsonl says", stored.AGAIN)
        if not rows:
            raise UsageError(f"{folder}: holds no finished clip", "run foleygen train prepare first")
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def split(self, share: float) -> tuple[Shards, Shards]:
        """What to learn from, and about ``share`` of the clips, all their windows together, to validate on.

        Raises UsageError for a single clip.
        """
        held = held_out(self._names, share)
        return self._part(~held), self._part(held)

    def _part(self, mask: NDArray[np.bool_]) -> Shards:
        part, rows = copy.copy(self), np.flatnonzero(mask)
        part._rows, part._names = [self._rows[row] for row in rows], [self._names[row] for row in rows]
        return part

    def window(self, index: int) -> tuple[Halves, Halves]:
        """(latents (Z, H, W), features (K, C)) of one window."""
        part, row = self._rows[index]
        return self._latents[part][row], self._features[part][row]


def make_draw(shards: Shards, device: str = "cpu") -> DrawBatch:
    """(latents, features) of random windows."""

    def draw(generator: torch.Generator, count: int) -> Batch:
        picked = torch.randint(len(shards), (count,), generator=generator).tolist()
        latents, features = zip(*(shards.window(index) for index in picked), strict=True)
        columns = (torch.from_numpy(np.stack(column).astype(np.float32)) for column in (latents, features))
        return tuple(column.to(device) for column in columns)

    return draw


def read_meta(folder: Path) -> ShardsMeta:
    """The geometry of a folder of shards. Raises UsageError."""
    if not (folder / META).exists():
        raise outputs.not_held(folder, "clips", "holds no prepared clips")
    return stored.settings(folder / META, ShardsMeta, outputs.OUTPUTS["clips"].made)


class _Writer:
    """Appends windows to one shard; what a killed run left behind its last line is cut off."""

    def __init__(self, part: Path, meta: ShardsMeta) -> None:
        self.part, self.log = part, part / "clips.jsonl"
        journal.repair(self.log)
        lines = journal.read(self.log, "clip")
        self.rows = max((line["row"] + line["windows"] for line in lines if "row" in line), default=0)
        self.done = {line["clip"]: line for line in lines}
        for name, shape in (("features.f2", meta.features), ("latents.f2", meta.latents)):
            with open(part / name, "ab") as handle:
                handle.truncate(self.rows * int(np.prod(shape)) * 2)

    def holds(self, identity: dict[str, Any]) -> bool:
        line = self.done.get(identity["clip"])
        return line is not None and "row" in line and all(line[name] == identity[name] for name in identity)

    def refuse(self, identity: dict[str, Any], error: ClipError) -> None:
        line = {**identity, "error": str(error)}
        if self.done.get(identity["clip"]) != line:
            journal.append(self.log, line)

    def add(self, identity: dict[str, Any], windows: Sequence[tuple[Halves, Halves]]) -> None:
        for name, index in (("features.f2", 0), ("latents.f2", 1)):
            path = self.part / name
            with journal.room_for(path), open(path, "ab") as handle:
                for window in windows:
                    handle.write(np.ascontiguousarray(window[index]).tobytes())
                handle.flush()
                os.fsync(handle.fileno())
        journal.append(self.log, {**identity, "row": self.rows, "windows": len(windows)})
        self.rows += len(windows)


def _encode(clip: Path, encoders: Encoders, max_pixels: int) -> list[tuple[Halves, Halves]]:
    """(features, standardised latents) of every window."""
    bundle, spec = encoders.bundle, encoders.bundle.encoder
    info = probe.probe(clip, max_pixels)
    if all(np.abs(block).max() < SILENCE for block in own_sound.blocks(info, bundle.sample_rate, 1)):
        raise ClipError(f"{printable(clip)}: its sound is silent", "give a clip with its sound")
    latents = [_latents(sound, encoders) for sound in _sounds(info, bundle.sample_rate, bundle.window_samples)]
    starts = (Fraction(index * bundle.window_samples, bundle.sample_rate) for index in range(len(latents)))
    requests = [frames.FrameRequest(index, start, spec.num_frames) for index, start in enumerate(starts)]
    pictures = frames.read(info, requests, spec.frame_rate, spec.frame_size, frames.FrameRule(spec.frame_rule))
    features = [found.astype(np.float16) for _, found in extract(pictures, encoders.encoder, encoders.device)]
    return list(zip(features, latents, strict=True))


def _sounds(info: probe.ClipInfo, sample_rate: int, length: int) -> Iterator[NDArray[np.float32]]:
    """The clip's sound in windows (S,) side by side.

    Silence fills the last one; it is left out where it would be more than half of it, unless it is the only one.
    """
    window, filled, whole = np.zeros(length, np.float32), 0, 0
    for block in own_sound.blocks(info, sample_rate, 1):
        samples = block[0]
        while samples.size:
            part = samples[: length - filled]
            window[filled : filled + part.size] = part
            filled, samples = filled + part.size, samples[part.size :]
            if filled == length:
                yield window
                window, filled, whole = np.zeros(length, np.float32), 0, whole + 1
    if not whole or filled >= length / 2:
        yield window


@torch.inference_mode()
def _latents(sound: NDArray[np.float32], encoders: Encoders) -> Halves:
    """Standardised latents (Z, H, W) of one window (S,): what the engine decodes to the window's mel."""
    bundle = encoders.bundle
    mel = encoders.mel(torch.from_numpy(sound)[None])
    found = encoders.autoencoder.encode(mel.to(encoders.device))[0].float().cpu().numpy()
    if list(found.shape) != list(bundle.transformer["latent_shape"]):
        fact = f"{bundle.path}: a window's latents are {found.shape}, its transformer is for others"
        raise BundleError(fact, "export it again")
    mean, std = _standard(bundle)
    standardised: Halves = ((found - mean[:, None, None]) / std[:, None, None]).astype(np.float16)
    return standardised


def _standard(bundle: Bundle) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    spec, channels = bundle.autoencoder, int(bundle.transformer["latent_shape"][0])
    mean = np.zeros(channels, np.float32) if spec.latent_mean is None else np.asarray(spec.latent_mean, np.float32)
    std = np.ones(channels, np.float32) if spec.latent_std is None else np.asarray(spec.latent_std, np.float32)
    return mean, std


def _meta_of(folder: Path, encoders: Encoders) -> ShardsMeta:
    """Write ``shards.json``, or see that it is of this bundle. Raises UsageError."""
    bundle = encoders.bundle
    mean, std = _standard(bundle)
    channels, height, width = (int(size) for size in bundle.transformer["latent_shape"])
    meta = ShardsMeta(
        bundle=bundle.name,
        encoder_hash=bundle.encoder_hash,
        autoencoder_hash=bundle.autoencoder_hash,
        features=(bundle.encoder.num_features, bundle.encoder.feature_dim),
        latents=(channels, height, width),
        latent_mean=tuple(mean.tolist()),
        latent_std=tuple(std.tolist()),
    )
    if (folder / META).exists():
        if read_meta(folder) != meta:
            raise UsageError(f"{folder}: was prepared with another bundle", "choose another folder with -o")
    else:
        with publish(folder / META) as temporary:
            temporary.write_text(json.dumps(asdict(meta)), encoding="utf-8")
    return meta


def _identity(clip: Path) -> dict[str, Any]:
    try:
        status = clip.stat()
        return {"clip": str(clip.absolute()), "bytes": status.st_size, "changed_ns": status.st_mtime_ns}
    except OSError:
        return {"clip": str(clip.absolute())}


def _named(line: dict[str, Any]) -> str:
    """A clip's name and size: what stays when its folder is moved."""
    return f"{os.path.basename(line['clip'])} {line.get('bytes')}"


def _mapped(path: Path, shape: tuple[int, ...]) -> Halves:
    row = int(np.prod(shape)) * 2
    count = path.stat().st_size // row if path.is_file() else 0
    if not count:
        return np.zeros((0, *shape), np.float16)
    mapped: Halves = np.memmap(path, np.float16, "r", shape=(count, *shape))
    return mapped
