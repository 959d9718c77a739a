"""Pictures at the times a model wants them: one streaming decode serves all windows of a clip."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from itertools import chain, pairwise

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from foleygen.errors import ClipError, printable
from foleygen.media.orientation import UPRIGHT, Orientation, orientation_of
from foleygen.media.probe import ClipInfo
from foleygen.media.source import opened

Picture = NDArray[np.uint8]
Warn = Callable[[str], None]

SEEK_BEYOND = Fraction(10)
"""Seconds of unwanted picture at the head of the clip above which a seek is tried."""
_SEEK_MARGIN = Fraction(2)
_MANY_AT_ONCE = 2**25
"""Pixels (8K) above which a decoder works on one picture at a time, instead of one per processor."""

# Antialiased like PIL's bilinear filter (mean difference 0.1 to 0.4 of 255), and the same bits on every processor.
_SCALING = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.BITEXACT


class FrameRule(Enum):
    """Which picture stands at a wanted time."""

    FPS_FILTER = "fps_filter"
    """The last frame that begins less than half a period after it (ffmpeg's ``fps`` filter, round=near)."""
    LINEAR = "linear"
    """The two neighbours in presentation time, blended by their distance."""


@dataclass(frozen=True)
class FrameRequest:
    """Frames of one window: frame n stands at ``start_s + n / rate`` seconds after the clip's first picture."""

    index: int
    start_s: Fraction
    count: int


def read(
    info: ClipInfo,
    requests: Sequence[FrameRequest],
    rate: Fraction,
    size: int,
    rule: FrameRule,
    on_warning: Warn | None = None,
    among: Iterable[Shot] | None = None,
) -> Iterator[tuple[int, Picture]]:
    """Yield ``(index, frames)`` per request, in order; frames is uint8 RGB, (count, size, size, 3).

    Requests come sorted by ``start_s`` and may overlap; only windows under way are held in memory. Both sides are
    squashed to ``size`` pixels, upright, alpha over black. Past its end the clip holds its last picture. Damaged
    packets are skipped and reported once to ``on_warning``. ``among`` are the clip's ``shots`` from its first one on,
    where they are decoded elsewhere. Raises ClipError when nothing decodes.
    """
    if any(later.start_s < earlier.start_s for earlier, later in pairwise(requests)):
        raise ValueError("requests must be sorted by start_s")
    windows = _Windows(requests, Fraction(rate), size, rule)
    before: Shot | None = None
    for shot in _shots(info, windows.first_time, size, on_warning) if among is None else among:
        windows.advance(before, shot)
        yield from windows.finished()
        if windows.done:
            return
        before = shot
    if before is None:
        raise _nothing(info)
    windows.advance(before, None)
    yield from windows.finished()


def _nothing(info: ClipInfo) -> ClipError:
    return ClipError(f"{printable(info.path)}: none of its pictures can be decoded", "export it again")


def shots(info: ClipInfo, size: int, on_warning: Warn | None = None) -> Generator[Shot, None, None]:
    """All pictures of a clip in order of time, as ``read`` sees them. Raises ClipError when nothing decodes."""
    shot: Shot | None = None
    for shot in _shots(info, Fraction(0), size, on_warning):
        yield shot
    if shot is None:
        raise _nothing(info)


def filmed(among: Iterable[Shot], request: FrameRequest, rate: Fraction, size: int, rule: FrameRule) -> Picture:
    """The frames of one request, as ``read`` gives them, from the ``shots`` that it spans.

    These are all from the last one that begins no later than it does, to the first one after its end.
    """
    windows = _Windows([request], Fraction(rate), size, rule)
    before: Shot | None = None
    for shot in among:
        windows.advance(before, shot)
        for _, pictures in windows.finished():
            return pictures
        before = shot
    windows.advance(before, None)
    ((_, pictures),) = windows.finished()
    return pictures


class Shot:
    """A decoded frame and the time in seconds at which it begins, scaled when first wanted."""

    def __init__(self, time: Fraction, frame: VideoFrame, scaler: Scaler) -> None:
        self.time = time
        self._frame: VideoFrame | None = frame
        self._scaler = scaler
        self._picture: Picture | None = None

    @property
    def picture(self) -> Picture:
        if self._picture is None:
            assert self._frame is not None
            self._picture = self._scaler.squashed(self._frame)
            self._frame = None
        return self._picture


@dataclass
class _Window:
    request: FrameRequest
    pictures: Picture
    filled: int = 0


@dataclass
class _Windows:
    """The requests, filled in order of time while shots go by."""

    requests: Sequence[FrameRequest]
    rate: Fraction
    size: int
    rule: FrameRule
    _open: deque[_Window] = field(default_factory=deque)
    _waiting: deque[FrameRequest] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._waiting.extend(self.requests)

    @property
    def first_time(self) -> Fraction:
        return self.requests[0].start_s if self.requests else Fraction(0)

    @property
    def done(self) -> bool:
        return not self._open and not self._waiting

    def advance(self, before: Shot | None, after: Shot | None) -> None:
        """Fill every frame that is decided once ``after`` follows ``before``; without ``after``, all that is left."""
        while self._waiting and self._decided(self._waiting[0], 0, after):
            request = self._waiting.popleft()
            self._open.append(_Window(request, np.empty((request.count, self.size, self.size, 3), np.uint8)))
        for window in self._open:
            request = window.request
            while window.filled < request.count and self._decided(request, window.filled, after):
                window.pictures[window.filled] = self._picture(request, window.filled, before, after)
                window.filled += 1

    def finished(self) -> Iterator[tuple[int, Picture]]:
        while self._open and self._open[0].filled == self._open[0].request.count:
            window = self._open.popleft()
            yield window.request.index, window.pictures

    def _decided(self, request: FrameRequest, n: int, after: Shot | None) -> bool:
        if after is None:
            return True
        if self.rule is FrameRule.FPS_FILTER:
            # ffmpeg's rule floor((t - start) * rate + 1/2) <= n, solved for t.
            return after.time >= request.start_s + (n + Fraction(1, 2)) / self.rate
        return after.time >= request.start_s + n / self.rate

    def _picture(self, request: FrameRequest, n: int, before: Shot | None, after: Shot | None) -> Picture:
        if before is None:
            assert after is not None
            return after.picture
        if after is None or self.rule is FrameRule.FPS_FILTER:
            return before.picture
        weight = float((request.start_s + n / self.rate - before.time) / (after.time - before.time))
        return _blended(before, after, weight)


def _blended(before: Shot, after: Shot, weight: float) -> Picture:
    if weight <= 0:
        return before.picture
    if weight >= 1:
        return after.picture
    first = before.picture.astype(np.float32)
    mixed = first + np.float32(weight) * (after.picture.astype(np.float32) - first)
    return np.rint(mixed).astype(np.uint8)


class Scaler:
    """Whole pictures as (size, size, 3) RGB, antialiased, upright, alpha over black.

    One for all frames of a stream: what is computed for a filter as long as a picture is wide takes three times as long
    as applying it. Not for two threads at once.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._reformatter = VideoReformatter()
        self._rotation: int | None = None
        self._orientation = UPRIGHT

    def squashed(self, frame: VideoFrame) -> Picture:
        """``frame`` of any size and format; uint8."""
        has_alpha = any(component.is_alpha for component in frame.format.components)
        size, form = self._size, "rgba" if has_alpha else "rgb24"
        scaled = self._reformatter.reformat(frame, size, size, form, interpolation=_SCALING, threads=1)
        picture = np.asarray(scaled.to_ndarray(), dtype=np.uint8)
        if has_alpha:
            colour, alpha = picture[..., :3].astype(np.uint16), picture[..., 3:].astype(np.uint16)
            picture = ((colour * alpha + 127) // 255).astype(np.uint8)
        return self._oriented(frame).applied(picture)

    def _oriented(self, frame: VideoFrame) -> Orientation:
        """The frame's orientation, looked up again when its angle changes.

        PyAV's frame and its side data refer to each other, so that a frame whose side data was looked at, with its
        pixels, waits for the collector of cycles: half a gigabyte of 1080p.
        """
        if frame.rotation != self._rotation:
            self._rotation, self._orientation = frame.rotation, orientation_of(frame)
        return self._orientation


def _shots(info: ClipInfo, first_time: Fraction, size: int, on_warning: Warn | None) -> Iterator[Shot]:
    """Decoded frames in order of strictly rising time, in seconds after the clip's first picture."""
    if first_time > SEEK_BEYOND and not info.clock:
        with opened(info.path, info.max_pixels) as container:
            stream = _prepared(container, info)
            if _sought(container, stream, info.start + first_time - _SEEK_MARGIN):
                shots = _decoded(container, stream, info, size, on_warning)
                landed = next(shots, None)
                if landed is not None and landed.time <= first_time - _SEEK_MARGIN / 2:
                    yield landed
                    yield from shots
                    return
    with opened(info.path, info.max_pixels) as container:
        yield from _decoded(container, _prepared(container, info), info, size, on_warning)


def _prepared(container: InputContainer, info: ClipInfo) -> VideoStream:
    stream = container.streams[info.video_index]
    assert isinstance(stream, VideoStream)
    area = stream.codec_context.width * stream.codec_context.height
    stream.thread_type = "AUTO" if area <= _MANY_AT_ONCE else "SLICE"
    stream.codec_context.options = {"max_pixels": str(info.max_pixels)}
    return stream


def _sought(container: InputContainer, stream: VideoStream, time: Fraction) -> bool:
    assert stream.time_base is not None
    try:
        container.seek(int(time / stream.time_base), stream=stream)
    except av.FFmpegError:
        return False
    return True


def _decoded(
    container: InputContainer, stream: VideoStream, info: ClipInfo, size: int, on_warning: Warn | None
) -> Iterator[Shot]:
    assert stream.time_base is not None
    time_base = Fraction(stream.time_base)
    scaler = Scaler(size)
    latest: Fraction | None = None
    for place, frame in enumerate(_frames(container, stream, info, on_warning)):
        ticks = frame.pts if frame.pts is not None else frame.dts
        time = ticks * time_base - info.start if ticks is not None else place / info.average_rate
        if latest is not None and time <= latest:
            continue
        latest = time
        yield Shot(time, frame, scaler)


def _frames(
    container: InputContainer, stream: VideoStream, info: ClipInfo, on_warning: Warn | None
) -> Iterator[VideoFrame]:
    def tell_once() -> None:
        nonlocal on_warning
        if on_warning:
            on_warning("damaged pictures are passed over")
        on_warning = None

    try:
        for packet in chain(info.clock.corrected(_read(container, stream)), [None]):
            try:
                frames = stream.codec_context.decode(packet)
            except av.FFmpegError:
                tell_once()
                continue
            for frame in frames:
                if frame.is_corrupt:
                    tell_once()
                yield frame
    except av.FFmpegError:
        tell_once()


def _read(container: InputContainer, stream: Stream) -> Iterator[Packet[Stream]]:
    """The packets that hold data; unlike ``source.packets``, what cannot be read is an error."""
    return (packet for packet in container.demux(stream) if packet.size)
