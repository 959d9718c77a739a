"""Reports: frozen dataclasses of numbers, as JSON and as text tables."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from foleygen.errors import SetupError

Cell = str | float | int | None


def to_json(report: Any) -> Any:
    """A report as values that ``json.dumps`` writes as standard JSON; numbers that are not finite become null."""
    if dataclasses.is_dataclass(report) and not isinstance(report, type):
        return {field.name: to_json(getattr(report, field.name)) for field in dataclasses.fields(report)}
    if isinstance(report, dict):
        return {str(key): to_json(value) for key, value in report.items()}
    if isinstance(report, list | tuple):
        return [to_json(value) for value in report]
    if isinstance(report, float) and not math.isfinite(report):
        return None
    return report


def text_table(header: Sequence[str], rows: Sequence[Sequence[Cell]], digits: int = 3) -> str:
    """Columns under a header: the first one to the left, numbers to the right, a dash for None."""
    cells = [list(header), *([_text(cell, digits) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def _text(cell: Cell, digits: int) -> str:
    if cell is None or (isinstance(cell, float) and not math.isfinite(cell)):
        return "-"
    return f"{cell:.{digits}f}" if isinstance(cell, float) else str(cell)


@contextmanager
def figure(width: float, height: float) -> Iterator[tuple[Any, Any]]:
    """A matplotlib figure and its axes, in inches, drawn without a display. Raises SetupError without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise SetupError(
            "plots need matplotlib, which is not installed", "install it with: pip install 'foleygen[train]'"
        ) from error
    drawing = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(drawing)
    yield drawing, drawing.add_subplot()
