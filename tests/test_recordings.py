"""Recordings as material for the autoencoder: however few and short, and what is said where there are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from foleygen.audio.mel import MelSpectrogram
from foleygen.errors import UsageError
from foleygen.training.data.material import recording_mels


def folder_of(path: Path, seconds: float, fold: str = "train") -> Path:
    samples = 0.3 * np.random.default_rng(0).standard_normal(round(seconds * 22050))
    soundfile.write(path / "tap.wav", samples, 22050)
    (path / "manifest.tsv").write_text(f"file\tclass\tfold\ntap.wav\ttap\t{fold}\n")
    return path


@pytest.mark.parametrize("seconds", [0.05, 0.4, 5.0])
def test_short_recordings_fill_a_clip(tmp_path: Path, seconds: float) -> None:
    mels = recording_mels(str(folder_of(tmp_path, seconds)), "train", 256, MelSpectrogram())
    assert mels.shape == (1, 128, 256)
    assert mels[..., 8:-8].mean(1).min() > 0.1


def test_a_fold_without_recordings_and_a_lost_file_are_said(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 0.4, "test")
    with pytest.raises(UsageError, match="no recording of the fold train"):
        recording_mels(str(folder), "train", 256, MelSpectrogram())
    (folder / "tap.wav").unlink()
    with pytest.raises(UsageError, match=r"tap\.wav is not there"):
        recording_mels(str(folder), "test", 256, MelSpectrogram())
