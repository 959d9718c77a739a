"""What a library plays in a reel -> locators in an AAF: which recording is heard, at each hit."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from foleygen.errors import printable
from foleygen.record.timeline.reel import Reel

if TYPE_CHECKING:
    from aaf2.file import AAFFile

NAME = "Library"


def locate(file: AAFFile, composition: Any, reel: Reel, described: Any) -> None:
    """Put a locator for each recording into the ``composition``, about its slot ``described``; none without any.

    They are as Media Composer writes its own: on a picture, with the file's name and the exact time as text.
    """
    found = list(_locators(reel))
    if not found:
        return
    create = file.create
    slot = create.EventMobSlot()
    slot.slot_id = max(one.slot_id for one in composition.slots) + 1
    slot.name = NAME
    slot.edit_rate = f"{reel.rate.numerator}/{reel.rate.denominator}"
    slot["PhysicalTrackNumber"].value = 1
    slot.segment = create.Sequence("DescriptiveMetadata")
    composition.slots.append(slot)
    for picture, text in found:
        marker = create.DescriptiveMarker()
        marker["Position"].value = picture
        marker["Comment"].value = text
        marker["DescribedSlots"].value = [described.slot_id]
        slot.segment.components.append(marker)


def _locators(reel: Reel) -> Iterator[tuple[int, str]]:
    """Pictures of the sequence, and what is said there."""
    for one in reel.placed:
        for onset in one.shot.onsets:
            picture = math.floor(onset.seconds * reel.rate)
            if onset.played and picture < one.frames:
                yield one.place + picture, f"{printable(onset.played)} ({onset.seconds:.3f} s)"
