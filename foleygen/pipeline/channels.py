"""How many channels the new sound of a run has."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from foleygen.pipeline.voices.shelf import Shelf
    from foleygen.settings import Channels


def delivered(channels: Channels, shelf: Shelf | None) -> int:
    """1 or 2, the same for every clip whatever is played in it; ``shelf`` is the library that plays."""
    is_stereo = channels == "stereo" or (channels == "auto" and shelf is not None and shelf.is_stereo)
    return 2 if is_stereo else 1
