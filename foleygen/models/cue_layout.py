"""How cues and words are told to a model, frame by frame: what each channel means.

Presence (S sub-steps), strength (S), and one channel each for: the cues here are known, their strength is known, the
number of the family's word, that of the material's, the picture is there.
"""

from __future__ import annotations

from dataclasses import dataclass

SUB_STEPS = 4
FELT = 0.05
"""Presence from which on a frame belongs to a cue."""
MIDDLE_DB, SPAN_DB = -8.0, 8.0
"""A strength of 0.4 is told as 0, one of 1 as 1."""


@dataclass(frozen=True)
class CueLayout:
    """Channels by name; ``sub_steps`` instants of a frame are told apart."""

    sub_steps: int = SUB_STEPS

    @property
    def presence(self) -> slice:
        return slice(0, self.sub_steps)

    @property
    def strength(self) -> slice:
        return slice(self.sub_steps, 2 * self.sub_steps)

    @property
    def known(self) -> int:
        return 2 * self.sub_steps

    @property
    def strength_known(self) -> int:
        return 2 * self.sub_steps + 1

    @property
    def family(self) -> int:
        return 2 * self.sub_steps + 2

    @property
    def material(self) -> int:
        return 2 * self.sub_steps + 3

    @property
    def picture(self) -> int:
        return 2 * self.sub_steps + 4

    @property
    def cues(self) -> int:
        """How many leading channels are about when and how hard: all but the words and the picture."""
        return 2 * self.sub_steps + 2

    @property
    def width(self) -> int:
        return 2 * self.sub_steps + 5
