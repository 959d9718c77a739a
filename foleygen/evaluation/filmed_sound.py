"""The sounds that an engine makes for filmed clips, against the sounds that the clips were shot with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from foleygen.audio.mel import MelSpectrogram
from foleygen.audio.onsets import OFFSET_S, detect, flux
from foleygen.engines.building import mel_config
from foleygen.engines.foley import Engine
from foleygen.errors import ClipError
from foleygen.evaluation.filmed import FilmedReport, LeftOut, score_clips
from foleygen.media import own_sound
from foleygen.media.probe import probe
from foleygen.pipeline import soundtrack
from foleygen.settings import RenderSettings


def evaluate(
    paths: Sequence[Path],
    engine: Engine,
    settings: RenderSettings,
    lag_s: float = 0.0,
    on_skip: Callable[[Path, ClipError], None] | None = None,
    on_clip: Callable[[int, int], None] | None = None,
) -> FilmedReport:
    """Generate sound for every clip and score its onsets by those of the clip's own sound.

    Clips without a readable picture or sound are told to ``on_skip`` and in the report. Raises UsageError if none is
    left.
    """
    mel = MelSpectrogram(mel_config(engine.bundle).in_decibels)
    names: list[str] = []
    skipped: list[LeftOut] = []
    signals: list[NDArray[np.float64]] = []
    onsets: list[NDArray[np.float64]] = []
    durations: list[float] = []
    for number, path in enumerate(paths, 1):
        try:
            info = probe(path)
            own = _mel(mel, own_sound.read(info, mel.config.sample_rate))
        except ClipError as error:
            skipped.append(LeftOut(path.name, error.message))
            if on_skip is not None:
                on_skip(path, error)
            continue
        made = _mel(mel, soundtrack(info, engine, settings))
        names.append(path.name)
        signals.append(flux(made))
        onsets.append(detect(own, mel.config.frame_rate))
        durations.append(float(info.duration))
        if on_clip is not None:
            on_clip(number, len(paths))
    lag = lag_s + OFFSET_S
    report = score_clips(names, signals, onsets, durations, mel.config.frame_rate, lag, settings.seed)
    return replace(report, left_out=(*skipped, *report.left_out))


@torch.inference_mode()
def _mel(mel: MelSpectrogram, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    array: NDArray[np.float32] = mel(torch.from_numpy(samples)[None])[0].numpy()
    return array
