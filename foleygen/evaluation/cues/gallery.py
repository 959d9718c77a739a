"""The sounds of some scenes in every arm, as one picture of spectrograms."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from foleygen.evaluation import spectrograms
from foleygen.evaluation.cues.scenes import Heard
from foleygen.evaluation.generated import Generated

SCENES = 10


class Gallery:
    """Collects arms as ``scenes.evaluate`` makes them; a row per scene of ``seconds``, its events as dotted lines."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._rows: dict[str, dict[str, NDArray[np.float32]]] = {}
        self._marks: dict[str, list[float]] = {}

    def add(self, arm: str, heard: Sequence[Heard]) -> None:
        """The sounds of one arm, of the same scenes in the same order as those before."""
        self.add_sounds(arm, [one.generated for one in heard[:SCENES]])

    def add_sounds(self, arm: str, sounds: Sequence[Generated]) -> None:
        """The same, without anything that was measured of them."""
        for number, made in enumerate(sounds[:SCENES], 1):
            name = f"{number} {made.record.family}\n{made.record.material}"
            self._rows.setdefault(name, {})[arm] = made.mel
            self._marks[name] = (made.events / self._seconds).tolist()

    def draw(self, path: Path) -> None:
        """Write the picture as PNG. Raises SetupError without matplotlib."""
        spectrograms.draw(self._rows, path, self._marks)
