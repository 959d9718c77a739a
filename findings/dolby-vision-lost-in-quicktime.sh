#!/usr/bin/env bash
# libavformat 62.12 (PyAV 18.1.0): the box that says that HEVC is Dolby Vision (dvvC) is written to MP4 when strict is
# "unofficial", but never to QuickTime, which is what iPhones record in. The same copy of the same clip is Dolby Vision as
# .mp4 and plain HEVC as .mov, without a warning. (The demuxer reads the box from either.)
# Exits 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
cat > "$folder/look.py" <<'PYTHON'
import os
import struct
import sys
from fractions import Fraction

import av
import numpy as np
from av.bitstream import BitStreamFilterContext

# Version 1.0, profile 8, level 3, metadata and base layer present, compatible with HLG (4).
RECORD = struct.pack(">I4sBBHB19x", 32, b"dvvC", 1, 0, 8 << 9 | 3 << 3 | 0b101, 4 << 4)


def written(path):
    options = {"x265-params": "log-level=none"}
    with av.open(path, "w") as container:
        stream = container.add_stream("libx265", rate=25, width=96, height=64, options=options)
        stream.pix_fmt, stream.codec_context.codec_tag = "yuv420p", "hvc1"
        for number in range(5):
            frame = av.VideoFrame.from_ndarray(np.full((64, 96, 3), 40 * number, np.uint8), format="rgb24")
            frame = frame.reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def described(path):
    """Put the box at the end of the sample description; the index is behind the pictures, so nothing else moves."""
    content = bytearray(open(path, "rb").read())
    entry = content.index(b"hvc1", content.index(b"stsd")) - 4
    size = struct.unpack_from(">I", content, entry)[0]
    content[entry + size : entry + size] = RECORD
    struct.pack_into(">I", content, entry, size + len(RECORD))
    place = 0
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"):
        place = content.index(kind, place) - 4
        struct.pack_into(">I", content, place, struct.unpack_from(">I", content, place)[0] + len(RECORD))
    open(path, "wb").write(content)


def copied(source, target):
    with av.open(source) as before, av.open(target, "w", container_options={"strict": "unofficial"}) as after:
        stream = before.streams.video[0]
        copy = after.add_mux_stream("hevc", rate=25)
        BitStreamFilterContext("null", stream, copy)  # all parameters, as ffmpeg's "-c copy" has them
        copy.time_base = stream.time_base
        for packet in before.demux(stream):
            if packet.size:
                packet.stream = copy
                after.mux(packet)
    kept = RECORD in open(target, "rb").read()
    print(f"{os.path.basename(source)} copied to {os.path.basename(target)}: dvvC {'kept' if kept else 'lost'}")
    return kept


print("PyAV", av.__version__, "libavformat", av.library_versions["libavformat"])
found = []
for kind in ("mp4", "mov"):
    clip = os.path.join(sys.argv[1], f"clip.{kind}")
    written(clip)
    described(clip)
    found += [copied(clip, os.path.join(sys.argv[1], f"copy-of-{kind}.{other}")) for other in ("mp4", "mov")]
sys.exit(0 if found == [True, False, True, False] else 1)
PYTHON
"$folder/venv/bin/python" "$folder/look.py" "$folder"
