#!/usr/bin/env bash
# libavcodec 62.28 (PyAV 18.1.0): the bitstream filter dts2pts, made for elementary streams of H.264 that tell no times,
# loses count at the end. Of a stream with B-frames, one of the last pictures comes without a pts, or two come with the
# same one, or one stands half a picture beside the others. The decoder shows all of them, in even steps.
# Exits 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
cat > "$folder/look.py" <<'PYTHON'
import sys
from fractions import Fraction

import av
import numpy as np
from av.bitstream import BitStreamFilterContext

COUNT, TICKS = 50, 48000  # raw H.264 counts in 1/1200000 s: 48000 of them are a picture at 25 per second


def written(path):
    noise = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    options = {"bf": "2", "b-adapt": "0", "g": "250", "keyint": "250"}
    with av.open(path, "w", format="h264") as container:
        stream = container.add_stream("libx264", rate=25, width=96, height=64, options=options)
        stream.pix_fmt = "yuv420p"
        for number in range(COUNT):
            frame = av.VideoFrame.from_ndarray(np.roll(noise, number, axis=1), format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def places(path):
    """Where each packet's picture is shown, in pictures, by the filter."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        timing = BitStreamFilterContext(f"setts=ts=N*{TICKS},dts2pts", stream)
        packets = []
        for packet in container.demux(stream):
            packets += timing.filter(packet if packet.size else None)
        return [None if packet.pts is None else packet.pts / TICKS for packet in packets]


def shown(path):
    with av.open(path) as container:
        return sum(1 for _ in container.decode(video=0))


print("PyAV", av.__version__, "libavcodec", av.library_versions["libavcodec"])
written(sys.argv[1])
found = places(sys.argv[1])
print(f"{shown(sys.argv[1])} pictures decode; the filter says, of {len(found)}: ... {found[-8:]}")
known = sorted(place for place in found if place is not None)
steps = {later - earlier for earlier, later in zip(known, known[1:])}
is_even = len(known) == COUNT and steps == {1.0}
print("every picture has a place of its own:", is_even)
sys.exit(1 if is_even else 0)
PYTHON
"$folder/venv/bin/python" "$folder/look.py" "$folder/clip.h264"
