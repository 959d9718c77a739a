#!/usr/bin/env bash
# otio-cmx3600-adapter 1.0.0: a comment (a line that begins with *) is read after an event, and ends the whole reading
# before the first one: EDLParseError, "Unknown event type". Nothing in CMX3600 forbids it there, and it is where a
# program would say who made the list. A blank line in the same place is fine.
# Exits 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  otio-cmx3600-adapter==1.0.0 OpenTimelineIO==0.18.1
cat > "$folder/look.py" <<'PYTHON'
import sys

import opentimelineio as otio

HEAD = "TITLE: reel\nFCM: NON-DROP FRAME\n"
EVENT = "001  A001     V     C        01:00:00:00 01:00:02:00 01:00:00:00 01:00:02:00\n"
LISTS = {
    "after the event": HEAD + "\n" + EVENT + "* made by a program\n",
    "before the event": HEAD + "* made by a program\n\n" + EVENT,
}


def read(text):
    try:
        timeline = otio.adapters.read_from_string(text, "cmx_3600", rate=25)
    except otio.exceptions.OTIOError as error:
        return f"{type(error).__name__} ({error})"
    return f"{len(timeline.find_clips())} clip"


print("otio-cmx3600-adapter 1.0.0, OpenTimelineIO", otio.__version__)
found = {where: read(text) for where, text in LISTS.items()}
for where, said in found.items():
    print(f"comment {where}: {said}")
sys.exit(0 if found["after the event"] == "1 clip" and "Unknown event type" in found["before the event"] else 1)
PYTHON
"$folder/venv/bin/python" "$folder/look.py"
