"""The sound that a clip already has comes back where the picture is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from foleygen.errors import ClipError
from foleygen.media import movie, own_sound
from foleygen.media.probe import probe

RATE = 48000


def _clip(path: Path, sound: np.ndarray | None) -> Path:
    frames = [np.full((32, 48, 3), 8 * number, np.uint8) for number in range(25)]
    movie.write(path, frames, 25, (48, 32), sound, RATE)
    return path


def test_clicks_come_back_at_their_times(tmp_path: Path) -> None:
    sound = np.zeros(RATE, np.float32)
    clicks = [4800, 24000, 40000]
    for click in clicks:
        sound[click : click + 96] = 0.8
    read = own_sound.read(probe(_clip(tmp_path / "clip.mp4", sound)), 16000)
    assert read.shape == (16000,)
    for click in clicks:
        near = np.abs(read[click // 3 - 80 : click // 3 + 112])
        assert near.max() > 0.3
    assert np.abs(read[9000:12000]).max() < 0.05


def test_a_clip_without_sound_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ClipError, match="has no sound of its own"):
        own_sound.read(probe(_clip(tmp_path / "silent.mp4", None)), 16000)
