"""Procedural clips with sound and exact event times: training set, test set and ``foleygen demo``."""

from __future__ import annotations

from foleygen.scenes.catalogue import (
    CONTINUOUS,
    FAMILIES,
    FAMILY_MATERIALS,
    HELD_OUT_FAMILY,
    HELD_OUT_MATERIAL,
    MATERIALS,
    TEST_SEEDS,
    VERSION,
)
from foleygen.scenes.compose import Event, Scene, compose
from foleygen.scenes.footage import Footage
from foleygen.scenes.recordings import RecordingBank

__all__ = [
    "CONTINUOUS",
    "FAMILIES",
    "FAMILY_MATERIALS",
    "HELD_OUT_FAMILY",
    "HELD_OUT_MATERIAL",
    "MATERIALS",
    "TEST_SEEDS",
    "VERSION",
    "Event",
    "Footage",
    "RecordingBank",
    "Scene",
    "compose",
]
