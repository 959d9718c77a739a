"""Small clips made from arrays, for the demonstration and the tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from threading import Event, Thread

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from foleygen.atomic import publish
from foleygen.media.channels import LAYOUTS
from foleygen.media.containers import container_for, disk_errors

CRF = 20
"""H.264's rate factor."""
_X264 = {"preset": "veryfast", "x264-params": "cpu-independent=1"}
"""The same bits from the same pictures in each run: what x264 does fast and roughly differs by processor, and at times
from run to run, and then so do the pictures, and the sound that is made for them."""
_SOUND_RATES = (48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)


def write(
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    rate: Fraction | int,
    size: tuple[int, int],
    sound: NDArray[np.float32] | None = None,
    sample_rate: int | None = None,
    crf: int = CRF,
) -> int:
    """Write uint8 RGB frames, (height, width, 3), at ``rate`` frames per second; return how many there were.

    ``size`` is (width, height) of the movie, made even; frames of another size are scaled. ``sound`` is (n,) or (2, n),
    float32 at ``sample_rate`` Hz. H.264 at the rate factor ``crf`` where the encoder exists, else MPEG-4 part 2.
    """
    with (
        publish(path) as temporary,
        disk_errors(),
        av.open(str(temporary), "w", format=container_for(path).muxer) as container,
    ):
        video = _video_stream(container, Fraction(rate), size, crf)
        audio = None if sound is None else _audio_stream(container, sample_rate, sound.ndim)
        count = _add_pictures(container, video, frames, Fraction(rate))
        if audio is not None and sound is not None:
            _add_sound(container, audio, sound)
    return count


class Filming:
    """A movie as ``write`` makes it, whose pictures are encoded in a thread from now on; its sound comes last.

    It is in memory until then: for short ones. Used in a ``with``, which ends the thread.
    """

    def __init__(
        self,
        frames: Iterable[NDArray[np.uint8]],
        rate: Fraction | int,
        size: tuple[int, int],
        sample_rate: int,
        channels: int = 1,
    ) -> None:
        """As for ``write``; the sound will have ``channels``."""
        self._file = BytesIO()
        self._container = av.open(self._file, "w", format="mp4")
        self._video = _video_stream(self._container, Fraction(rate), size, CRF)
        self._audio = _audio_stream(self._container, sample_rate, channels)
        self._frames, self._rate = frames, Fraction(rate)
        self._stopped = Event()
        self._error: Exception | None = None
        self._thread = Thread(target=self._encode, name="foleygen filming", daemon=True)

    def __enter__(self) -> Filming:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        self._container.close()

    def finish(self, path: Path, sound: NDArray[np.float32]) -> None:
        """Write it to ``path``, an MP4, with ``sound``, (n,) or (2, n). Raises what went wrong with its pictures."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        _add_sound(self._container, self._audio, sound)
        self._container.close()
        with publish(path) as temporary:
            temporary.write_bytes(self._file.getbuffer())

    def _encode(self) -> None:
        try:
            _add_pictures(self._container, self._video, self._wanted(), self._rate)
        except Exception as error:
            self._error = error

    def _wanted(self) -> Iterator[NDArray[np.uint8]]:
        for pixels in self._frames:
            if self._stopped.is_set():
                return
            yield pixels


def _add_pictures(
    container: OutputContainer, video: VideoStream, frames: Iterable[NDArray[np.uint8]], rate: Fraction
) -> int:
    """All of them; how many there were."""
    count = 0
    for count, pixels in enumerate(frames, start=1):
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        frame = frame.reformat(video.width, video.height, "yuv420p")
        frame.pts, frame.time_base = count - 1, 1 / rate
        container.mux(video.encode(frame))
    container.mux(video.encode(None))
    return count


def _add_sound(container: OutputContainer, audio: AudioStream, sound: NDArray[np.float32]) -> None:
    planes = np.ascontiguousarray(np.atleast_2d(sound), np.float32)
    samples = AudioFrame.from_ndarray(planes, format="fltp", layout=LAYOUTS[sound.ndim])
    samples.sample_rate, samples.pts, samples.time_base = audio.rate, 0, Fraction(1, audio.rate)
    container.mux(audio.encode(samples))
    container.mux(audio.encode(None))


def _audio_stream(container: OutputContainer, sample_rate: int | None, channels: int) -> AudioStream:
    if sample_rate not in _SOUND_RATES:
        raise ValueError(f"sample_rate must be one of {_SOUND_RATES}, not {sample_rate}")
    stream = container.add_stream("aac", rate=sample_rate, layout=LAYOUTS[channels])
    assert isinstance(stream, AudioStream)
    return stream


def _video_stream(container: OutputContainer, rate: Fraction, size: tuple[int, int], crf: int) -> VideoStream:
    width, height = (max(2, side + side % 2) for side in size)
    codec, options = ("libx264", {"crf": str(crf), **_X264}) if _has_x264() else ("mpeg4", {"qscale": "3"})
    stream = container.add_stream(codec, rate=rate, options=options, width=width, height=height)
    assert isinstance(stream, VideoStream)
    stream.pix_fmt = "yuv420p"
    stream.codec_context.time_base = 1 / rate
    return stream


def _has_x264() -> bool:
    return "libx264" in av.codecs_available
