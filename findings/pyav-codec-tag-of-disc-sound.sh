#!/usr/bin/env bash
# PyAV 18.1.0: reading codec_context.codec_tag raises UnicodeDecodeError for streams whose tag is a number above 127.
# Blu-ray's plain sound in .m2ts is stream type 0x80, AAC in .avi is wave format 0xFF: both decode well, and whoever
# loops over the streams of a file to list their tags stops there. The setter knows four ASCII characters only, so such
# a tag can be copied only with all other parameters (a BitStreamFilterContext "null" with in_stream and out_stream).
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


def written(path, codec, layout, sample_format, **options):
    with av.open(path, "w", **options) as container:
        stream = container.add_stream(codec, rate=48000, layout=layout)
        channels = len(stream.codec_context.layout.channels)
        silence = np.zeros((1, 4800 * channels), np.int16) if sample_format == "s16" else np.zeros((channels, 4800), np.float32)
        frame = av.AudioFrame.from_ndarray(silence, format=sample_format, layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
        container.mux([*stream.encode(frame), *stream.encode(None)])
    return path


def tag(path):
    with av.open(path) as container:
        decoded = sum(frame.samples for frame in container.decode(audio=0))
    with av.open(path) as container:
        context = container.streams.audio[0].codec_context
        try:
            said = repr(context.codec_tag)
        except UnicodeDecodeError as error:
            said = f"UnicodeDecodeError ({error.reason})"
        print(f"{os.path.basename(path)}: {context.name}, {decoded} samples decode; codec_tag: {said}")
        return said


print("PyAV", av.__version__)
disc = written(
    os.path.join(sys.argv[1], "disc.m2ts"), "pcm_bluray", "stereo", "s16",
    format="mpegts", container_options={"mpegts_m2ts_mode": "1"},
)
avi = written(os.path.join(sys.argv[1], "sound.avi"), "aac", "mono", "fltp")
plain = written(os.path.join(sys.argv[1], "sound.mov"), "aac", "mono", "fltp")
found = [tag(path).startswith("UnicodeDecodeError") for path in (disc, avi, plain)]
sys.exit(0 if found == [True, True, False] else 1)
PYTHON
"$folder/venv/bin/python" "$folder/look.py" "$folder"
