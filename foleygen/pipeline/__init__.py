"""Clips in, clips with sound out. The names are imported when they are first used: Outcome needs no torch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from foleygen.engines.foley import Engine
    from foleygen.pipeline.jobs import Job, Outcome, Progress
    from foleygen.pipeline.rendering import render
    from foleygen.pipeline.window import WindowResult, render_window, soundtrack

_HOMES = {
    "Engine": "foleygen.engines.foley",
    "Job": "foleygen.pipeline.jobs",
    "Outcome": "foleygen.pipeline.jobs",
    "Progress": "foleygen.pipeline.jobs",
    "WindowResult": "foleygen.pipeline.window",
    "render": "foleygen.pipeline.rendering",
    "render_window": "foleygen.pipeline.window",
    "soundtrack": "foleygen.pipeline.window",
}

__all__ = [
    "Engine",
    "Job",
    "Outcome",
    "Progress",
    "WindowResult",
    "render",
    "render_window",
    "soundtrack",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
