#!/usr/bin/env bash
# otio-aaf-adapter 2.0.0: an AAF mutes a clip by a Selector that selects nothing and has the clip as its alternative; the
# adapter reads such a clip as not enabled. Where the muted clip has a gain (an OperationGroup around it), the adapter
# sets "enabled" on a group that it then takes apart, and the clip comes out enabled: takes that were switched off play.
# Exits 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  otio-aaf-adapter==2.0.0 OpenTimelineIO==0.18.1 pyaaf2==1.7.1
cat > "$folder/look.py" <<'PYTHON'
import sys

import aaf2
import opentimelineio as otio
from aaf2.auid import AUID

GAIN = AUID("9d2ea894-0968-11d3-8a38-0050040ef7d2")
LENGTH = 48000


def source(file, name):
    master = file.create.MasterMob(name)
    file.content.mobs.append(master)
    physical = file.create.SourceMob(name)
    file.content.mobs.append(physical)
    physical.descriptor = file.create.TapeDescriptor()
    physical.create_empty_slot(48000, "sound", 1).segment.length = LENGTH
    slot = master.create_timeline_slot(48000)
    slot.segment = physical.create_source_clip(1, 0, LENGTH, "sound")
    return master.create_source_clip(1, 0, LENGTH, "sound")


def muted(file, segment):
    selector = file.create.Selector("sound", LENGTH)
    selector["Selected"].value = file.create.Filler("sound", LENGTH)
    selector["Alternates"].append(segment)
    return selector


def louder(file, operation, segment):
    group = file.create.OperationGroup(operation, LENGTH, "sound")
    group.segments.append(segment)
    return group


path = f"{sys.argv[1]}/muted.aaf"
with aaf2.open(path, "w") as file:
    operation = file.create.OperationDef(GAIN, "Mono Audio Gain", "")
    operation.media_kind = "sound"
    operation["IsTimeWarp"].value = False
    operation["Bypass"].value = 0
    operation.number_inputs = 1
    operation["OperationCategory"].value = "OperationCategory_Effect"
    file.dictionary.register_def(operation)
    composition = file.create.CompositionMob("reel")
    composition.usage = "Usage_TopLevel"
    file.content.mobs.append(composition)
    track = composition.create_sound_slot(48000)
    clips = [
        source(file, "heard"),
        muted(file, source(file, "muted")),
        muted(file, louder(file, operation, source(file, "muted, with a gain"))),
    ]
    for clip in clips:
        track.segment.components.append(clip)
    track.segment.length = LENGTH * len(clips)

print("otio-aaf-adapter 2.0.0, OpenTimelineIO", otio.__version__)
read = otio.adapters.read_from_file(path)
found = {clip.name: clip.enabled for clip in read.find_clips()}
for name, enabled in found.items():
    print(f"{name}: enabled {enabled}")
sys.exit(0 if found == {"heard": True, "muted": False, "muted, with a gain": True} else 1)
PYTHON
"$folder/venv/bin/python" "$folder/look.py" "$folder"
