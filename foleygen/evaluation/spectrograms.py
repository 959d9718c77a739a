"""Sounds side by side as a picture: a row per clip, a column per way to make its sound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from foleygen.atomic import publish
from foleygen.evaluation.report import figure

COLOURS = 48
"""Noise does not compress: a small palette does half of what can be done."""
CELL = (3.2, 1.4)
"""Inches of one spectrogram, less wide where WIDEST would not hold all of them."""
WIDEST = 16.0
"""Inches of a picture."""
DPI = 80


def draw(
    rows: Mapping[str, Mapping[str, NDArray[np.float32]]],
    path: Path,
    marks: Mapping[str, Sequence[float]] | None = None,
) -> None:
    """Named mels (M, T) in [0, 1] of each named row, as PNG; all rows have the same columns.

    ``marks`` of a row are places in its width, 0 to 1, that get a dotted line. Raises SetupError without matplotlib.
    """
    columns = list(next(iter(rows.values())))
    width, height = min(CELL[0], WIDEST / len(columns)), CELL[1]
    with figure(width * len(columns), height * len(rows)) as (drawing, spare):
        spare.remove()
        axes = drawing.subplots(len(rows), len(columns), squeeze=False)
        for row, (name, mels) in enumerate(rows.items()):
            for column, title in enumerate(columns):
                cell, mel = axes[row][column], mels[title]
                cell.imshow(mel, origin="lower", aspect="auto", vmin=0, vmax=1, cmap="magma")
                for place in (marks or {}).get(name, ()):
                    cell.axvline(place * mel.shape[1] - 0.5, color="white", linewidth=0.5, linestyle=":")
                cell.set(xticks=[], yticks=[])
                if row == 0:
                    cell.set_title(title, fontsize=9)
                if column == 0:
                    cell.set_ylabel(name, fontsize=8)
        drawing.set_dpi(DPI)
        drawing.canvas.draw()
        from PIL import Image  # matplotlib stands on it

        picture = Image.fromarray(np.asarray(drawing.canvas.buffer_rgba())[..., :3])
        with publish(path) as temporary:
            picture.quantize(COLOURS).save(temporary, format="PNG", optimize=True)
