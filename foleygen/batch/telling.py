"""What is said of clips -> what a model can be told: words that it knows, and cues only where it has learnt any."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from foleygen.cues.spotting import SPOT, check_learnt
from foleygen.cues.words import has_unknown, understand
from foleygen.errors import BundleError, printable
from foleygen.settings import AS_THE_RUN, ClipSettings, Settings, is_list

if TYPE_CHECKING:
    from foleygen.weights.bundle import Bundle


def understood(settings: Settings) -> tuple[Settings, str | None]:
    """``settings`` with known words for those of ``--sound`` that are not, and how they were understood.

    They stay as they are where none are near, or CLAP is not installed.
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


def check_sound(settings: Settings, bundle: Bundle) -> None:
    """Raises UsageError for words in ``--sound`` that the bundle has not learnt."""
    if settings.sound is not None and not is_list(settings.sound) and bundle.cues is not None:
        understand(settings.sound, {*bundle.cues.families, *bundle.cues.materials})


def check_told(own: ClipSettings, bundle: Bundle, clip: Path) -> None:
    """Raises BundleError for a bundle that cannot be told anything, ClipError for words that it has not learnt."""
    if own == AS_THE_RUN:
        return
    if bundle.cues is None:
        fact = f"{clip}: the model {bundle.name} cannot be told when or what sounds"
        raise BundleError(fact, "use --model tiny, or --cues none and no --sound")
    check_learnt(own, {*bundle.cues.families, *bundle.cues.materials}, clip.name)


def as_told(own: ClipSettings, bundle: Bundle, settings: Settings, clip: Path) -> ClipSettings:
    """What is set for a clip alone, without cues from its picture where the bundle sees none or cannot be told them.

    Raises as ``check_told`` does, also where ``settings`` ask for such cues by name.
    """
    can_spot = bundle.cues is not None and bundle.encoder.kind == "motion"
    if own.spotted and not can_spot and settings.cues != SPOT:
        own = replace(own, spotted=False)
    check_told(own, bundle, clip)
    return own
