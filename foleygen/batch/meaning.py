"""``--sound`` in any words -> in words that are known, where CLAP is installed."""

from __future__ import annotations

from dataclasses import replace

from foleygen.cues.words import has_unknown
from foleygen.errors import printable
from foleygen.settings import Settings, is_list


def understood(settings: Settings) -> tuple[Settings, str | None]:
    """The same with known words for those that are not, and how they were understood; as they are where none are near.

    Raises BundleError for a CLAP that cannot be read.
    """
    sound = settings.sound
    if sound is None or is_list(sound) or not has_unknown(sound):
        return settings, None
    from foleygen.engines.meaning import nearest

    found = nearest(sound)
    if found is None:
        return settings, None
    return replace(settings, sound=found), f"--sound '{printable(sound)}': understood as {found}, nearest in meaning"
