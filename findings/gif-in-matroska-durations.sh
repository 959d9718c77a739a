#!/usr/bin/env bash
# libavformat 62.12 (PyAV 18.1.0): a GIF of ten pictures per second, copied into Matroska packet by packet, is read back
# with pictures of a hundredth of a second each. Their beginnings are right, so it is the last one that counts: a clip of
# 0.5 s ends at 0.41 s by its packets, though the file's header says 0.5 s. The same copy in QuickTime is right.
# Exits 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
cat > "$folder/look.py" <<'PYTHON'
import os
import sys
from fractions import Fraction

import av
import numpy as np
from av.bitstream import BitStreamFilterContext


def picture(number):
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[:, 8 * number : 8 * number + 8] = 255
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="rgb8")
    frame.pts, frame.time_base = number, Fraction(1, 10)
    return frame


def copied(source, target):
    with av.open(source) as before, av.open(target, "w") as after:
        stream = before.streams.video[0]
        copy = after.add_mux_stream("h264", rate=stream.average_rate)
        BitStreamFilterContext("null", stream, copy)  # all parameters, as ffmpeg's "-c copy" has them
        copy.time_base = stream.time_base
        for packet in before.demux(stream):
            if packet.size:
                packet.stream = copy
                after.mux(packet)


def end(path):
    with av.open(path) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        last = packets[-1]
        seconds = float((last.pts + last.duration) * stream.time_base)
        print(f"{os.path.basename(path)}: {len(packets)} pictures, the last one ends at {seconds:.2f} s, header {container.duration / 1e6:.2f} s")
        return round(seconds, 2)


print("PyAV", av.__version__, "libavformat", av.library_versions["libavformat"])
gif = os.path.join(sys.argv[1], "clip.gif")
with av.open(gif, "w") as container:
    stream = container.add_stream("gif", rate=10, width=64, height=48)
    stream.pix_fmt = "rgb8"
    for number in range(5):
        container.mux(stream.encode(picture(number)))
    container.mux(stream.encode(None))
ends = [end(gif)]
for suffix in ("mkv", "mov"):
    copied(gif, os.path.join(sys.argv[1], f"clip.{suffix}"))
    ends.append(end(os.path.join(sys.argv[1], f"clip.{suffix}")))
sys.exit(0 if ends == [0.5, 0.41, 0.5] else 1)
PYTHON
"$folder/venv/bin/python" "$folder/look.py" "$folder"
