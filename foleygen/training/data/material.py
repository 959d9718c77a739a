"""What scenes are made of besides mathematics: recordings to play and footage to put behind them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import resample_poly

from foleygen.audio.mel import MelSpectrogram
from foleygen.errors import ClipError, UsageError
from foleygen.training.data.recordings import Manifest, read

if TYPE_CHECKING:
    from foleygen.scenes import Footage, RecordingBank

VIDEO_SUFFIXES = (".mp4", ".mkv", ".webm", ".mov")
FOOTAGE_RATE = Fraction(25)
FOOTAGE_SIZE = 96
FOOTAGE_SECONDS = 10


def recordings_in(folder: str, fold: str) -> RecordingBank:
    """The recordings of one ``fold`` in a folder with a ``manifest.tsv``. Raises UsageError."""
    from foleygen import scenes

    return scenes.RecordingBank(Manifest(Path(folder)).files(fold), read)


def filmed_in(folder: str) -> list[Path]:
    """The clips under ``folder``, by name. Raises UsageError where there is none."""
    found = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES)
    if not found:
        raise UsageError(f"{folder}: holds no clip", f"name a folder with {', '.join(VIDEO_SUFFIXES)}")
    return found


def footage_in(folder: str) -> Footage:
    """The first seconds of every readable clip under ``folder``, small, as moving backgrounds."""
    from foleygen import scenes
    from foleygen.media import frames, probe

    clips = []
    for path in filmed_in(folder):
        try:
            info = probe.probe(path)
            count = min(int(info.duration * FOOTAGE_RATE), int(FOOTAGE_SECONDS * FOOTAGE_RATE))
            if count < FOOTAGE_RATE:
                continue
            request = frames.FrameRequest(0, Fraction(0), count)
            for _, pictures in frames.read(info, [request], FOOTAGE_RATE, FOOTAGE_SIZE, frames.FrameRule.LINEAR):
                clips.append(np.asarray(pictures))
        except ClipError:
            continue
    if not clips:
        raise UsageError(f"{folder}: holds no clip of a second or more", "name a folder with footage")
    return scenes.Footage(clips, [float(FOOTAGE_RATE)] * len(clips))


def recording_mels(folder: str, fold: str, columns: int, mel: MelSpectrogram) -> NDArray[np.float16]:
    """Mels (clips, M, columns) of the recordings of one fold, end to end in the manifest's order.

    Short recordings are repeated up to two seconds, so that hits are not drowned by ambiences; all of them together up
    to one clip. Raises UsageError.
    """
    rate, hop = mel.config.sample_rate, mel.config.hop_length
    sounds = []
    for path in Manifest(Path(folder)).files(fold).values():
        samples, source_rate = read(path)
        ratio = Fraction(rate, source_rate)
        sound = resample_poly(samples, ratio.numerator, ratio.denominator).astype(np.float32)
        gain = 0.7 / max(1e-3, float(np.abs(sound).max()))
        sounds.append(np.tile(sound * gain, max(1, round(2 * rate / len(sound)))))
    joined = np.concatenate(sounds)
    length = columns * hop
    joined = np.tile(joined, -(-length // len(joined))) if len(joined) < length else joined
    joined = joined[: len(joined) // length * length].reshape(-1, length)
    with torch.inference_mode():
        return np.concatenate([mel(torch.from_numpy(clip)[None]).numpy().astype(np.float16) for clip in joined])
