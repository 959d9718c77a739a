#!/usr/bin/env bash
# PyAV 18.1.0: whoever reads VideoFrame.side_data (to learn which way up a picture is, say) keeps that frame and its
# pixels until Python's collector of cycles comes by: the frame and its side data refer to each other. A loop that
# holds one frame at a time grows by hundreds of megabytes. VideoFrame.rotation has the angle without that.
# Exits 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
cat > "$folder/look.py" <<'PYTHON'
import gc
import resource
import sys

import av
import numpy as np

WIDTH, HEIGHT, COUNT = 1280, 720, 240


def written(path):
    with av.open(path, "w") as container:
        stream = container.add_stream("mpeg4", rate=24)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        for number in range(COUNT):
            picture[:, number : number + 8] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def grown(look):
    """MB by which the process is larger at its peak after decoding, one frame at a time."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with av.open(sys.argv[1]) as container:
        for frame in container.decode(video=0):
            look(frame)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


written(sys.argv[1])
gc.collect()
print("PyAV", av.__version__)
grown(lambda frame: None)
angle = grown(lambda frame: frame.rotation)
side_data = grown(lambda frame: frame.side_data)
frame = av.VideoFrame(16, 16, "yuv420p")
alone = sys.getrefcount(frame)
frame.side_data
tied = sys.getrefcount(frame)
print(f"references to a frame: {alone}, after reading side_data: {tied}")
print(f"{COUNT} pictures of {WIDTH}x{HEIGHT}, one at a time: +{angle:.0f} MB reading rotation, +{side_data:.0f} MB reading side_data")
sys.exit(0 if tied == alone + 1 and side_data > angle + 50 else 1)
PYTHON
"$folder/venv/bin/python" "$folder/look.py" "$folder/clip.mp4"
