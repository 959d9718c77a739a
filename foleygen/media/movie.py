"""Small clips made from arrays, for the demonstration and the tests."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from foleygen.atomic import publish
from foleygen.media.channels import LAYOUTS
from foleygen.media.containers import container_for, disk_errors

_SOUND_RATES = (48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)


def write(
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    rate: Fraction | int,
    size: tuple[int, int],
    sound: NDArray[np.float32] | None = None,
    sample_rate: int | None = None,
    crf: int = 20,
) -> int:
    """Write uint8 RGB frames, (height, width, 3), at ``rate`` frames per second; return how many there were.

    ``size`` is (width, height) of the movie, made even; frames of another size are scaled. ``sound`` is (n,) or (2, n),
    float32 at ``sample_rate`` Hz. H.264 at the rate factor ``crf`` where the encoder exists, else MPEG-4 part 2.
    """
    count = 0
    with (
        publish(path) as temporary,
        disk_errors(),
        av.open(str(temporary), "w", format=container_for(path).muxer) as container,
    ):
        video = _video_stream(container, Fraction(rate), size, crf)
        audio = None
        if sound is not None:
            if sample_rate not in _SOUND_RATES:
                raise ValueError(f"sample_rate must be one of {_SOUND_RATES}, not {sample_rate}")
            audio = container.add_stream("aac", rate=sample_rate, layout=LAYOUTS[sound.ndim])
        for count, pixels in enumerate(frames, start=1):
            frame = VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame = frame.reformat(video.width, video.height, "yuv420p")
            frame.pts, frame.time_base = count - 1, 1 / Fraction(rate)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None and sound is not None and sample_rate is not None:
            planes = np.ascontiguousarray(np.atleast_2d(sound), np.float32)
            samples = AudioFrame.from_ndarray(planes, format="fltp", layout=LAYOUTS[sound.ndim])
            samples.sample_rate, samples.pts, samples.time_base = sample_rate, 0, Fraction(1, sample_rate)
            container.mux(audio.encode(samples))
            container.mux(audio.encode(None))
    return count


def _video_stream(container: OutputContainer, rate: Fraction, size: tuple[int, int], crf: int) -> VideoStream:
    width, height = (max(2, side + side % 2) for side in size)
    codec, options = ("libx264", {"crf": str(crf), "preset": "veryfast"}) if _has_x264() else ("mpeg4", {"qscale": "3"})
    stream = container.add_stream(codec, rate=rate, options=options, width=width, height=height)
    assert isinstance(stream, VideoStream)
    stream.pix_fmt = "yuv420p"
    stream.codec_context.time_base = 1 / rate
    return stream


def _has_x264() -> bool:
    return "libx264" in av.codecs_available
