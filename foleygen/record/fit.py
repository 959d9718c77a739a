"""A finished clip and what a run asks for -> whether it stays; the rules are in docs/batches.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foleygen import __version__, regular
from foleygen.errors import ClipError
from foleygen.facts import MARK, bed_file, stamp, take_file
from foleygen.record import sidecar
from foleygen.record.schema import SCHEMA, Sidecar, SoundSettings
from foleygen.settings import AS_THE_RUN, ClipSettings
from foleygen.strict import plain

if TYPE_CHECKING:
    from foleygen.pipeline.voices.shelf import Shelf
    from foleygen.settings import Settings
    from foleygen.weights.ambience import AmbienceBundle
    from foleygen.weights.bundle import Bundle

IDENTITY = {
    "content_id": "the picture is another one",
    "bundle": "the model is another one",
    "settings": "the settings are other ones",
    "own": "its own settings are other ones",
    "version": "it was made by another version of foleygen",
}
"""What must be equal for a finished clip to stay, and what is said when it is not."""
DIGESTS = {
    "cues": "its cues are other ones",
    "spotted": "its cues are other ones",
    "library": "the recordings in the library are other ones",
}
"""What is told by its hash, or follows from it, and what is said when nothing else has changed."""
MOST_CHARACTERS = 60
"""Of a value in a message."""


@dataclass(frozen=True)
class Fit:
    """What a finished clip is to a run."""

    reason: str | None
    """Why it is made again; None if it stays."""
    is_own: bool
    """Whether foleygen made it, as its sidecar or its name says."""
    source_stamp: str | None = None
    """Of the clip that it was made from, as the sidecar has it."""
    content_id: str | None = None
    """The same of the picture."""

    def stays(self, source: Path) -> bool:
        """Whether it is done, and the clip ``source`` has not been touched since: nobody has to read it again."""
        return self.reason is None and self.source_stamp is not None and self.source_stamp == stamp(source)

    def reason_for(self, content_id: str) -> str | None:
        """Why it is made again for a picture that was read; None if it stays."""
        return self.reason or (IDENTITY["content_id"] if self.content_id != content_id else None)


def identity(
    settings: Settings,
    bundle: Bundle,
    ambience: AmbienceBundle | None = None,
    own: ClipSettings = AS_THE_RUN,
    shelf: Shelf | None = None,
) -> dict[str, Any]:
    """What decides the sound and the file besides the picture: keys of IDENTITY, and the takes and wavs asked for."""
    return {
        "bundle": bundle.hash,
        "settings": plain(sound_settings(settings, bundle, ambience, shelf)),
        "own": _decisive(plain(own.chosen())),
        "version": __version__,
        "takes": settings.takes,
        "wavs": settings.stems_format if settings.stems or settings.takes > 1 else None,
    }


def judge(output: Path, expected: Mapping[str, Any]) -> Fit:
    """Whether ``output``, which is there, is done and is what is ``expected`` (see ``identity``), whatever it shows."""
    return fit_of(output, sidecar.read(output), expected)


def fit_of(output: Path, document: Mapping[str, Any] | None, expected: Mapping[str, Any]) -> Fit:
    """The same, from what the sidecar says, which is None without one."""
    if document is None:
        return Fit("it has no sidecar, so it was interrupted", is_own=output.stem.endswith(MARK))
    claimed = (document.get(key) for key in ("source_stamp", "content_id"))
    known = (value if isinstance(value, str) else None for value in claimed)
    return Fit(_difference(output, document, expected), True, *known)


def _difference(output: Path, document: Mapping[str, Any], expected: Mapping[str, Any]) -> str | None:
    """Why the finished ``output`` is another one than ``expected``; None if it is not."""
    if document.get("schema") != SCHEMA:
        return "its sidecar has another schema"
    for key, reason in IDENTITY.items():
        if key not in expected:
            continue
        old = _decisive(document.get(key)) if key == "own" else document.get(key)
        if old != expected[key]:
            return _told(old, expected[key], reason)
    if not is_sealed(output, document):
        return "it changed since it was made"
    try:
        found = sidecar.checked(output, document)
    except ClipError:
        return "its sidecar is damaged"
    return _lacking(output, found, expected["takes"], expected["wavs"])


def is_sealed(output: Path, document: Mapping[str, Any]) -> bool:
    """Whether ``output`` is the file that its sidecar is about, to the byte; read only if it was copied or touched.

    Raises OSError.
    """
    if document.get("output_bytes") != output.stat().st_size:
        return False
    known = document.get("output_stamp")
    if known is not None and known == stamp(output):
        return True
    return document.get("output_sha256") == regular.seal(output).sha256


def _lacking(output: Path, found: Sidecar, count: int, wavs: str | None) -> str | None:
    """Which of ``count`` takes, or of the ``wavs`` beside the clip, is not there; None if nothing is missing."""
    takes = found.takes
    if len(takes) < count:
        return f"it has {len(takes)} of {count} takes"
    if wavs is not None and found.stems_format not in (None, wavs):
        return f"its wavs are {found.stems_format}"
    for take in takes[:count] if wavs else ():
        if take.file is None:
            return f"take {take.number} has no wav"
        if not take_file(output, take.number).is_file():
            return f"take {take.number} is missing"
    if wavs and found.bed is not None and (found.bed.file is None or not bed_file(output).is_file()):
        return "the wav of its ambience is missing"
    return None


def sound_settings(
    settings: Settings, bundle: Bundle, ambience: AmbienceBundle | None, shelf: Shelf | None = None
) -> SoundSettings:
    """The part of ``settings`` that decides the sound: fields of one name as they are, the others resolved."""
    from foleygen.audio.level import target
    from foleygen.pipeline.channels import delivered

    level = target(settings.loudness, settings.true_peak)
    named = {item.name: getattr(settings, item.name) for item in fields(SoundSettings) if hasattr(settings, item.name)}
    resolved = {
        "steps": _steps(settings, bundle),
        "guidance": bundle.sampling.guidance_scale if settings.guidance is None else settings.guidance,
        "classifier_guidance": bundle.classifier_scale(settings.classifier_guidance) or None,
        "duck_db": settings.duck if settings.audio == "mix" else None,
        "loudness_lufs": None if level is None else level.lufs,
        "true_peak_dbtp": None if level is None else level.true_peak_dbtp,
        "ambience_level_db": settings.ambience_level if settings.ambience is not None else None,
        "handles": settings.handles if settings.has_wavs else 0.0,
        "composer": None if ambience is None else ambience.hash,
        "channels": delivered(settings.channels, shelf),
        "library": None if shelf is None else shelf.digest,
    }
    return SoundSettings(**{**named, **resolved})


def _steps(settings: Settings, bundle: Bundle) -> int:
    """How many evaluations, or pairs of them, a window that is told nothing has."""
    if settings.steps is not None:
        return settings.steps
    times = bundle.student_times(None, settings.guidance, settings.classifier_guidance)
    return bundle.sampling.num_inference_steps if times is None else len(times)


def _decisive(own: object) -> object:
    """What of a clip's own settings decides its sound: of its cues that is their digest, and not who wrote them.

    Cues that were seen in the picture follow from all else.
    """
    if not isinstance(own, Mapping) or not isinstance(own.get("cues"), Mapping):
        return own or None
    if own.get("spotted") is True:
        return {name: value for name, value in own.items() if name != "cues"}
    return {**own, "cues": own["cues"].get("digest")}


def _told(old: object, new: object, reason: str) -> str:
    """As ``_detail``, but a digest tells nobody how its cues or the library have changed."""
    before, after = ({**one} if isinstance(one, Mapping) else {} for one in (old, new))
    for name, alone in DIGESTS.items():
        was, now = before.pop(name, None), after.pop(name, None)
        if was != now and before == after:
            return alone
    return _detail(old, new, reason) if before == after else _detail(before, after, reason)


def _detail(old: object, new: object, reason: str) -> str:
    """``reason``, with what has changed; the old values come from a file, and may be anything."""
    old, new = old or {}, new or {}
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return reason
    keys = [key for key in {**new, **old} if old.get(key) != new.get(key)]
    changed = ", ".join(f"{_short(key)} {_short(old.get(key))} -> {_short(new.get(key))}" for key in keys)
    return f"{reason} ({changed})"


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 1]}…"
