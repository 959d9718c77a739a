#!/usr/bin/env bash
# libavformat 62.12 (PyAV 18.1.0): the timecode track of a QuickTime file counts in units of the picture's own clock, and
# rounds the length of a label to whole ones. With the clock 1/12800, which many tools take for any rate, clips of
# exactly 30 and of 29.97 pictures per second get the same track: 12800/427, that is 29.9766 labels per second. Which of
# the two was meant cannot be read from the track again; an hour of labels is off by 2.8 s or by 0.8 s.
# Exits 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
cat > "$folder/look.py" <<'PYTHON'
import struct
import sys
from fractions import Fraction

import av
import numpy as np


def label_length(rate, unit):
    """Units per second and units per label, as the sample description of the timecode track has them."""
    with av.open(sys.argv[1], "w") as container:
        container.metadata["timecode"] = "01:00:00:00"
        stream = container.add_stream("mpeg4", rate=rate, width=64, height=48)
        stream.pix_fmt = "yuv420p"
        packets = []
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 * number, np.uint8), format="rgb24")
            packets += stream.encode(frame.reformat(format="yuv420p"))
        packets += stream.encode(None)
        stream.time_base = unit
        for number, packet in enumerate(packets):
            packet.time_base, packet.pts, packet.dts = unit, round(number / rate / unit), round(number / rate / unit)
            packet.duration = round(1 / rate / unit)
            container.mux(packet)
    content = open(sys.argv[1], "rb").read()
    place = content.rindex(b"tmcd\0\0\0\0\0\0\0\1")
    return struct.unpack(">II", content[place + 20 : place + 28])


print("PyAV", av.__version__, "libavformat", av.library_versions["libavformat"])
found = []
for rate in (Fraction(30), Fraction(30000, 1001)):
    for unit in (Fraction(1, 12800), 1 / rate):
        scale, duration = label_length(rate, unit)
        found.append((scale, duration))
        print(f"{float(rate):.4f} pictures/s, clock {unit}: {scale}/{duration} = {scale / duration:.4f} labels/s")
coarse_30, fine_30, coarse_29, fine_29 = (Fraction(*pair) for pair in found)
sys.exit(0 if coarse_30 == coarse_29 == Fraction(12800, 427) and (fine_30, fine_29) == (30, Fraction(30000, 1001)) else 1)
PYTHON
"$folder/venv/bin/python" "$folder/look.py" "$folder/clip.mov"
