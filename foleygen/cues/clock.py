"""The clock of one clip: between seconds of its picture and the timecode of its pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from foleygen.errors import ClipError, printable
from foleygen.media import timecode

if TYPE_CHECKING:
    from foleygen.media.probe import ClipInfo

_HOUR_S = 3600
_EPSILON_S = Fraction(1, 10**6)
"""Times are kept to the microsecond: one that was cut off there must not fall on the picture before."""


@dataclass(frozen=True)
class ClipClock:
    """What the times in a cue file are measured by."""

    name: str
    """The clip, for messages."""
    frame_rate: Fraction
    """Pictures per second, measured or exact."""
    duration_s: Fraction
    timecode: str | None = None
    """Label of the first picture; None, or one that cannot be at this rate: counted from zero."""

    @classmethod
    def of(cls, info: ClipInfo) -> ClipClock:
        """The clock of a clip that was probed."""
        return cls(info.path.name, info.average_rate, info.duration, info.timecode)

    @property
    def rate(self) -> Fraction:
        """The exact rate that ``frame_rate`` stands for."""
        return timecode.nominal_rate(self.frame_rate)

    @property
    def first(self) -> int:
        """Pictures from midnight to the clip's first one."""
        number = None if self.timecode is None else timecode.frame_number(self.timecode, self.frame_rate)
        return number or 0

    @property
    def drop_frame(self) -> bool:
        """Whether labels of this clip are dropped."""
        if self.timecode is None or timecode.frame_number(self.timecode, self.frame_rate) is None:
            return False
        return timecode.is_drop_frame(self.timecode)

    def starting_at(self, label: str) -> ClipClock:
        """The same clip, seen by a clock that reads ``label`` at its first picture. Raises ClipError."""
        self._number(label, "the start of its cues")
        return replace(self, timecode=label)

    def picture_at(self, seconds: float) -> int:
        """Number of the picture, from 0, on the screen ``seconds`` after the first one appeared."""
        return math.floor((Fraction(seconds).limit_denominator(10**6) + _EPSILON_S) * self.rate)

    def label_of(self, picture: int) -> str:
        """Timecode of a picture, numbered from 0 within the clip."""
        return timecode.label(self.first + picture, self.frame_rate, self.drop_frame)

    def label(self, seconds: float) -> str:
        """Timecode of the picture on the screen at ``seconds``."""
        return self.label_of(self.picture_at(seconds))

    def seconds_of(self, label: str, where: str) -> Fraction:
        """When the picture with that ``label`` appears, from the clip's first one; ``where`` opens messages.

        Raises ClipError for a label that is none at the clip's rate. The result may lie outside of the clip.
        """
        return (self._number(label, where) - self.first) / self.rate

    def hour_off(self, seconds: Fraction) -> int:
        """By how many whole hours ``seconds`` misses the clip; 0 where that is not the reason."""
        hours = round((seconds - self.duration_s / 2) / self._hour)
        return hours if hours and 0 <= seconds - hours * self._hour < self.duration_s else 0

    @property
    def _hour(self) -> Fraction:
        """Seconds between two labels an hour apart: 3603.6 at 29.97 without dropped labels."""
        number = timecode.frame_number(f"01:00:00{';' if self.drop_frame else ':'}00", self.frame_rate)
        return Fraction(_HOUR_S) if number is None else number / self.rate

    def _number(self, label: str, where: str) -> int:
        number = timecode.frame_number(label, self.frame_rate)
        if number is None:
            fact = f"{where}: the timecode {printable(label)} does not exist at {self._spoken_rate()}"
            raise ClipError(fact, f"export it at the rate of {printable(self.name)}")
        if self._counts_otherwise(label) and timecode.frame_number(self._flipped(label), self.frame_rate) != number:
            theirs, ours = ("non-drop-frame", "drop-frame") if self.drop_frame else ("drop-frame", "non-drop-frame")
            fact = f"{where}: the timecode {printable(label)} is {theirs}, that of {printable(self.name)} is {ours}"
            raise ClipError(fact, f"export it as {ours}")
        return number

    def _counts_otherwise(self, label: str) -> bool:
        """Whether ``label`` drops and the clip's timecode does not, or the other way round."""
        has_clock = self.timecode is not None and timecode.frame_number(self.timecode, self.frame_rate) is not None
        return has_clock and timecode.is_drop_frame(label) != self.drop_frame

    def _flipped(self, label: str) -> str:
        """The same digits, counted the other way."""
        text = label.strip()
        return text[:8] + (":" if timecode.is_drop_frame(text) else ";") + text[9:]

    def _spoken_rate(self) -> str:
        return f"{float(self.rate):.5g} pictures per second"
