"""Where a clip changes from one shot to the next, found on the small pictures that the encoder wants anyway.

A change is a picture whose hue, saturation and value lie, on the mean over all pixels and the three, CONTENT_THRESHOLD
or more from the picture before, after a while without: the measure of PySceneDetect's ContentDetector. The extra
``cuts`` brings that package, which is asked if it is there; without it the same is computed here. Letters: H height,
W width.
"""

from __future__ import annotations

import importlib
from collections import deque
from collections.abc import Generator
from fractions import Fraction
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from foleygen.media.frames import FrameRequest, FrameRule, Picture, Shot, Warn, filmed, shots
from foleygen.media.probe import ClipInfo

CONTENT_THRESHOLD = 27.0
"""Of 255."""
DETECTION_VERSION = 1
"""Raise it when the same pictures would give other changes."""
STEADY_S = Fraction(2, 5)
"""Flicker and flashes are no cuts: nothing so large has happened for this long before one, in seconds."""
_COMPARED_SIZE = 32
"""Pictures are thinned out to about this many rows before they are compared."""


class Detector(Protocol):
    """Looks at the pictures of a clip in order."""

    def is_cut(self, picture: Picture) -> bool:
        """A new shot begins with this picture (H, W, 3), uint8 RGB; never with the first one."""
        ...


class ContentDetector:
    """Content score without any other package."""

    def __init__(self) -> None:
        self._before: NDArray[np.float32] | None = None

    def is_cut(self, picture: Picture) -> bool:
        before, self._before = self._before, hue_saturation_value(picture)
        return before is not None and float(np.abs(self._before - before).mean()) >= CONTENT_THRESHOLD


class SceneDetectDetector:
    """PySceneDetect's ContentDetector. Raises ImportError where it is not installed."""

    def __init__(self) -> None:
        scenedetect = importlib.import_module("scenedetect")
        detectors = importlib.import_module("scenedetect.detectors")
        self._detector = detectors.ContentDetector(threshold=CONTENT_THRESHOLD, min_scene_len=0)
        self._timecode = scenedetect.FrameTimecode
        self._seen = 0

    def is_cut(self, picture: Picture) -> bool:
        place = self._timecode(self._seen, fps=25.0)  # only its order counts
        self._seen += 1
        return bool(self._detector.process_frame(place, np.ascontiguousarray(picture[..., ::-1])))


def detector() -> Detector:
    """The best detector that is installed."""
    try:
        return SceneDetectDetector()
    except ImportError:
        return ContentDetector()


class Reel:
    """The pictures of a clip as they run by, kept as long as windows may want them, and the shot changes among them."""

    def __init__(
        self,
        info: ClipInfo,
        size: int,
        on_warning: Warn | None = None,
        among: Generator[Shot, None, None] | None = None,
    ) -> None:
        """``among`` are the clip's ``frames.shots``, where they are decoded elsewhere."""
        self.cuts: list[Fraction] = []
        """Times of the first pictures of new shots, ascending, s after the clip's first picture; so far."""
        self._size = size
        self._source = shots(info, size, on_warning) if among is None else among
        self._kept: deque[Shot] = deque()
        self._detector = detector()
        self._unsteady: Fraction | None = None
        self._ended = False

    def advance(self, until_s: Fraction) -> None:
        """Look at all pictures up to the first one that begins at ``until_s`` or later. Raises ClipError."""
        step = max(1, self._size // _COMPARED_SIZE)
        while not self._ended and not (self._kept and self._kept[-1].time >= until_s):
            shot = next(self._source, None)
            if shot is None:
                self._ended = True
                return
            if self._detector.is_cut(shot.picture[::step, ::step]):
                if self._unsteady is None or shot.time - self._unsteady >= STEADY_S:
                    self.cuts.append(shot.time)
                self._unsteady = shot.time
            self._kept.append(shot)

    def frames(self, request: FrameRequest, rate: Fraction, rule: FrameRule) -> Picture:
        """What ``frames.read`` gives for a request, (count, size, size, 3), that ends at or before the last advance."""
        return filmed(self._kept, request, rate, self._size, rule)

    def forget(self, before_s: Fraction) -> None:
        """Let go of the pictures that no request from ``before_s`` on needs."""
        while len(self._kept) > 1 and self._kept[1].time <= before_s:
            self._kept.popleft()

    def close(self) -> None:
        """Close the clip."""
        self._source.close()


def hue_saturation_value(picture: Picture) -> NDArray[np.float32]:
    """Hue 0..180, saturation and value 0..255 of (H, W, 3) uint8 RGB, whole numbers as OpenCV has them."""
    colour = picture.astype(np.float32)
    value = colour.max(axis=2)
    spread = value - colour.min(axis=2)
    red, green, blue = np.moveaxis(colour, 2, 0)
    scale = 1 / np.maximum(spread, 1)
    hue = np.where(value == green, 2 + (blue - red) * scale, 4 + (red - green) * scale)
    hue = np.where(value == red, (green - blue) * scale, hue)
    saturation = 255 * spread / np.maximum(value, 1)
    planes: NDArray[np.float32] = np.rint(np.stack([30 * hue, saturation, value]))
    planes[0] %= 180
    return planes
