"""Arrays -> lines of text: motion, waveform and mel spectrogram on one time axis. Nothing is written here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

LEVELS = " ▁▂▃▄▅▆▇█"
SHADES = " ░▒▓█"
LABEL_WIDTH = 9
TICKS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 600, 3600)


def pooled(values: Array, width: int) -> Array:
    """The largest of ``values`` (..., n) in each of ``width`` equal parts: (..., width)."""
    count = values.shape[-1]
    edges = np.linspace(0, count, width + 1)
    starts = np.minimum(np.floor(edges[:-1]).astype(int), count - 1)
    stops = np.maximum(np.ceil(edges[1:]).astype(int), starts + 1)
    columns = [values[..., start:stop].max(axis=-1) for start, stop in zip(starts, stops, strict=True)]
    result: Array = np.stack(columns, axis=-1)
    return result


def bar_rows(values: Array, rows: int) -> list[str]:
    """Columns of height ``values`` (width,) in [0, 1], on ``rows`` lines from the top."""
    eighths = np.rint(np.clip(values, 0, 1) * rows * 8).astype(int)
    lines = []
    for row in reversed(range(rows)):
        filled = np.clip(eighths - row * 8, 0, 8)
        lines.append("".join(LEVELS[level] for level in filled))
    return lines


def waveform_rows(samples: Array, width: int, rows: int) -> list[str]:
    """The peaks of ``samples`` (n,) around a middle line, on ``rows`` lines; full height is the loudest sample."""
    peaks = _to_unit(pooled(np.abs(samples), width))
    upper = bar_rows(peaks, rows - rows // 2)
    lower = ["".join("█" if peak >= (line + 0.5) / (rows // 2) else " " for peak in peaks) for line in range(rows // 2)]
    return upper + lower


def mel_rows(mel: Array, width: int, rows: int) -> list[str]:
    """A mel spectrogram (mels, frames) in [0, 1] as ``rows`` lines of shades, high frequencies first."""
    picture = pooled(pooled(mel, width).T, rows).T[::-1]
    low, high = float(picture.min()), float(picture.max())
    scaled = (picture - low) / (high - low) if high > low else np.zeros_like(picture)
    shades = np.rint(scaled * (len(SHADES) - 1)).astype(int)
    return ["".join(SHADES[shade] for shade in line) for line in shades]


def time_axis(start_s: float, seconds: float, width: int) -> str:
    """Ticks with their times (s) under a plot of ``width`` columns; as many as fit."""
    step = next(
        size for size in (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 600, 3600) if seconds / size <= width / 9 or size == 3600
    )
    axis = [" "] * width
    tick = np.ceil(start_s / step) * step
    while tick < start_s + seconds:
        column = int((tick - start_s) / seconds * width)
        label = f"╵{tick:g}s"
        if column + len(label) <= width:
            axis[column : column + len(label)] = label
        tick = round(tick + step, 6)
    return "".join(axis)


def preview_rows(
    motion: Array, samples: Array, mel: Array, start_s: float, seconds: float, width: int, cues: Sequence[float] = ()
) -> list[str]:
    """The whole drawing: motion of the shot, cues (s from the start), waveform and spectrogram above a time axis."""
    inner = max(10, width - LABEL_WIDTH)
    groups = [
        ("motion", bar_rows(_to_unit(pooled(motion, inner)), 3)),
        *([("cues", [_marks(cues, seconds, inner)])] if cues else []),
        ("waveform", waveform_rows(samples, inner, 6)),
        ("mel", mel_rows(mel, inner, 8)),
        ("", [time_axis(start_s, seconds, inner)]),
    ]
    return _labelled(groups)


def spotting_rows(motion: Array, cues: Sequence[float], seconds: float, width: int) -> list[str]:
    """The motion of a clip (n,) with a mark under it at each of ``cues`` (s), above a time axis."""
    inner = max(10, width - LABEL_WIDTH)
    return _labelled(
        [
            ("motion", bar_rows(_to_unit(pooled(motion, inner)), 3)),
            ("cues", [_marks(cues, seconds, inner)]),
            ("", [time_axis(0.0, seconds, inner)]),
        ]
    )


def _marks(cues: Sequence[float], seconds: float, width: int) -> str:
    """A line with a mark at each of ``cues``."""
    marks = [" "] * width
    for cue in cues:
        marks[min(width - 1, int(cue / seconds * width))] = "▲"
    return "".join(marks)


def _labelled(groups: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """The rows of each group under each other, its label before the first."""
    lines = []
    for label, rows in groups:
        for number, row in enumerate(rows):
            lines.append(f"{(label if number == 0 else '').ljust(LABEL_WIDTH)}{row}".rstrip())
    return lines


def _to_unit(values: Array) -> Array:
    """Scaled so that the largest is 1; all zeros stay."""
    top = float(values.max())
    return values / top if top > 0 else values
