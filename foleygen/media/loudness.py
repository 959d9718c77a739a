"""How loud a sound is: integrated loudness, loudness range and true peak, measured as it streams by.

Loudness and gating are ITU-R BS.1770, the range is EBU Tech 3342, both by libavfilter's ``ebur128``. A mono track
counts as one channel. The true peak is the highest sample at 192 kHz (BS.1770 annex 2: four times 48 kHz), taken here
because the filter tells it with three decimals of a linear value, too few for quiet sounds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.filter.context import FilterContext
from av.filter.graph import Graph
from numpy.typing import NDArray

from foleygen.facts import Loudness
from foleygen.media.channels import LAYOUTS

Samples = NDArray[np.float32]

ABSOLUTE_GATE_LUFS = -70.0
"""Blocks below it do not count (BS.1770); the integrated loudness of a sound without any other block."""
RANGE_S = 3.4
"""Seconds below which there is no loudness range: a block of it is of 3 s (EBU Tech 3342), and while the filter has
fewer than five of them it gives 20 LU for a steady tone."""
_RATE = 48000
"""Hz at which BS.1770 gives its filters, whatever is delivered."""
_PEAK_RATE = 192000
_BLOCK = 1 << 15


class Meter:
    """Measures a sound of any length in the memory of a few blocks."""

    def __init__(self, sample_rate: int, channels: int = 1) -> None:
        """``sample_rate`` in Hz; ``channels``: 1 or 2."""
        self._rate, self._channels = sample_rate, channels
        self._pushed = 0
        self._peak = 0.0
        self._read: dict[str, str] = {}
        # The graph lives as long as what it is made of: PyAV's filters do not keep it.
        self._graph = Graph()
        time_base = Fraction(1, sample_rate)
        self._source = self._graph.add_abuffer(
            sample_rate=sample_rate, format="fltp", layout=LAYOUTS[channels], time_base=time_base
        )
        both = self._graph.add("asplit", "2")
        self._source.link_to(both)
        self._levels = self._chain(both, 0, ("aresample", str(_RATE)), ("ebur128", "metadata=1:framelog=quiet"))
        self._peaks = self._chain(both, 1, ("aresample", str(_PEAK_RATE)))
        self._graph.configure()

    def push(self, samples: Samples) -> None:
        """Listen to the next samples, (n,) or (channels, n) float32; chunks of any size give the same result."""
        samples = np.atleast_2d(np.asarray(samples, np.float32))
        for first in range(0, samples.shape[1], _BLOCK):
            block = np.ascontiguousarray(samples[:, first : first + _BLOCK])
            frame = AudioFrame.from_ndarray(block, "fltp", LAYOUTS[self._channels])
            frame.sample_rate, frame.pts, frame.time_base = self._rate, self._pushed, Fraction(1, self._rate)
            self._pushed += block.shape[1]
            self._hear_peak(block)
            self._source.push(frame)
            self._listen()

    def result(self) -> Loudness:
        """The level of all that was pushed; the meter is done with that."""
        if not self._pushed:
            return Loudness(None, None, None)
        self._source.push(None)
        self._listen()
        integrated = float(self._read.get("lavfi.r128.I", ABSOLUTE_GATE_LUFS))
        is_heard = math.isfinite(integrated) and integrated > ABSOLUTE_GATE_LUFS
        has_range = is_heard and self._pushed >= RANGE_S * self._rate
        return Loudness(
            integrated if is_heard else None,
            float(self._read["lavfi.r128.LRA"]) if has_range else None,
            20 * math.log10(self._peak) if self._peak > 0 else None,
        )

    def _chain(self, start: FilterContext, output: int, *filters: tuple[str, str]) -> FilterContext:
        for name, arguments in filters:
            following = self._graph.add(name, arguments)
            start.link_to(following, output_idx=output)
            start, output = following, 0
        sink = self._graph.add("abuffersink")
        start.link_to(sink, output_idx=output)
        return sink

    def _listen(self) -> None:
        for frame in _frames(self._levels):
            # The last frame, shorter than the filter's step of 100 ms, says nothing.
            self._read = dict(frame.metadata) or self._read
        for frame in _frames(self._peaks):
            self._hear_peak(frame.to_ndarray())

    def _hear_peak(self, samples: NDArray[np.generic]) -> None:
        self._peak = max(self._peak, float(np.abs(samples).max(initial=0)))


def measure(chunks: Iterable[Samples], sample_rate: int, channels: int = 1) -> Loudness:
    """The level of chunks, (n,) or (channels, n) float32 at ``sample_rate`` Hz."""
    meter = Meter(sample_rate, channels)
    for chunk in chunks:
        meter.push(chunk)
    return meter.result()


def _frames(sink: FilterContext) -> Iterator[AudioFrame]:
    while True:
        try:
            frame = sink.pull()
        except (av.BlockingIOError, av.EOFError):
            return
        assert isinstance(frame, AudioFrame)
        yield frame
