"""``NAME.foley.json`` beside each finished clip: what it was made of, and whether that still holds.

The fields are documented in docs/batches.md, their types in docs/sidecar.schema.json. The sidecar is written after the
clip, so that a clip without one was interrupted. Whatever it says is checked before it is used: it may come from a
stranger.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foleygen import __version__, atomic
from foleygen.errors import ClipError, printable
from foleygen.facts import MARK, bed_file, take_file
from foleygen.record.schema import SCHEMA, BedRecord, Sidecar, SoundSettings, TakeRecord
from foleygen.strict import Reader, plain

if TYPE_CHECKING:
    from foleygen.facts import Bed, Take
    from foleygen.pipeline import Outcome
    from foleygen.settings import Settings
    from foleygen.weights.ambience import AmbienceBundle
    from foleygen.weights.bundle import Bundle

MAX_BYTES = 16 * 2**20

IDENTITY = {
    "content_id": "the picture is another one",
    "bundle": "the model is another one",
    "settings": "the settings are other ones",
    "version": "it was made by another version of foleygen",
}
"""What must be equal for a finished clip to stay, and what is said when it is not."""
_FILE_KEYS = ("schema", "output", "output_bytes")
"""Written by ``write``, whatever the document."""


def path_for(output: Path) -> Path:
    """Where the sidecar of ``output`` is or goes.

    ``NAME.foley.json``, unless that is the sidecar of another container's ``NAME.foley.*`` (or no sidecar at all);
    then ``NAME.foley.EXT.json``.
    """
    short = output.with_name(output.stem.removesuffix(MARK) + f"{MARK}.json")
    full = output.with_name(f"{output.name}.json")
    # Path.exists raises for names that are too long.
    if os.path.exists(full):
        return full
    try:
        taken = os.path.exists(short) and raw(short).get("output") != output.name
    except ValueError:
        taken = False
    return full if taken else short


def read(output: Path) -> dict[str, Any] | None:
    """The sidecar of ``output``, unchecked; None where there is none, or none that can be read."""
    path = path_for(output)
    try:
        document = raw(path)
    except (OSError, ValueError):
        return None
    return document if document.get("output") == output.name else None


def load(output: Path) -> Sidecar:
    """The sidecar of ``output``, checked. Raises ClipError."""

    document, again = read(output), "run 'foleygen add-sound' again"
    if document is None:
        fact = f"{printable(output)}: has no sidecar that says how it was made"
        raise ClipError(fact, "make it with 'foleygen add-sound'")
    if document.get("schema") != SCHEMA:
        raise ClipError(f"{printable(output)}: its sidecar has another schema", again)
    content = {key: value for key, value in document.items() if key not in _FILE_KEYS}
    where = printable(path_for(output))
    found = Reader(ClipError).section(Sidecar, content, where)
    if [take.number for take in found.takes] != list(range(1, len(found.takes) + 1)):
        raise ClipError(f"{where}: its takes are not numbered from 1", again)
    if not 1 <= found.picked <= len(found.takes):
        raise ClipError(f"{where}: its take {found.picked} is none of its takes", again)
    if any(take.file not in (None, take_file(output, take.number).name) for take in found.takes):
        raise ClipError(f"{where}: names a wav that is not the clip's", again)
    if found.bed is not None and found.bed.file not in (None, bed_file(output).name):
        raise ClipError(f"{where}: names a wav that is not the clip's", again)
    return found


def write(output: Path, document: Mapping[str, Any]) -> Path:
    """Publish ``document`` as the sidecar of the finished ``output``; returns its path."""
    path = path_for(output)
    own = {"schema": SCHEMA, "output": output.name, "output_bytes": output.stat().st_size}
    with atomic.publish(path) as temporary:
        temporary.write_text(_text({**own, **document}), encoding="utf-8")
    return path


def document(
    outcome: Outcome, source: Path, settings: Settings, bundle: Bundle, ambience: AmbienceBundle | None = None
) -> dict[str, Any]:
    """What ``write`` gets for the finished ``outcome`` of the clip ``source``."""
    info = outcome.job.info
    warnings = outcome.warnings
    if not bundle.commercial:
        warnings += (f"these weights are for non-commercial use only ({bundle.licence}), and so is this sound",)
    elif ambience is not None and not ambience.commercial:
        warnings += (f"the ambience's weights are for non-commercial use only ({ambience.licence})",)
    found: dict[str, Any] = plain(
        Sidecar(
            source=_relative(source, outcome.job.output.parent),
            content_id=info.content_id,
            duration_s=outcome.duration,
            frame_rate=info.average_rate,
            timecode=info.timecode,
            width=info.width,
            height=info.height,
            windows=outcome.window_facts,
            takes=tuple(take_record(take) for take in outcome.takes),
            bed=_bed_record(outcome.bed, ambience) if outcome.bed is not None and ambience is not None else None,
            repaired_joints=outcome.repaired_joints,
            picked=1,
            bundle=bundle.hash,
            model=bundle.name,
            licence=bundle.licence,
            commercial=bundle.commercial,
            settings=_settings(settings, bundle, ambience),
            version=__version__,
            audio_codec=outcome.audio_codec,
            cached_windows=outcome.cached_windows,
            seconds=round(outcome.seconds, 3),
            stages_s={stage: round(seconds, 3) for stage, seconds in outcome.stages.items()},
            warnings=warnings,
        )
    )
    return found


def take_record(take: Take) -> TakeRecord:
    """A take as the sidecar keeps it: levels to 0.01 dB, onsets to 10 µs."""
    loudness = take.loudness
    return TakeRecord(
        number=take.number,
        file=None if take.stem is None else take.stem.name,
        loudness_lufs=_rounded(loudness.integrated_lufs),
        loudness_range_lu=_rounded(loudness.range_lu),
        true_peak_dbtp=_rounded(loudness.true_peak_dbtp),
        gain_db=round(take.gain_db, 3),
        onsets_s=tuple(round(onset, 5) for onset in take.onsets),
        peaks=tuple(round(peak, 4) for peak in take.peaks),
    )


def _bed_record(bed: Bed, ambience: AmbienceBundle) -> BedRecord:
    return BedRecord(
        prompt=bed.prompt,
        tags=bed.tags,
        file=None if bed.stem is None else bed.stem.name,
        loudness_lufs=_rounded(bed.loudness.integrated_lufs),
        true_peak_dbtp=_rounded(bed.loudness.true_peak_dbtp),
        gain_db=round(bed.gain_db, 3),
        model=ambience.name,
        licence=ambience.licence,
        commercial=ambience.commercial,
    )


def identity(
    content_id: str, settings: Settings, bundle: Bundle, ambience: AmbienceBundle | None = None
) -> dict[str, Any]:
    """What decides the sound and the file: the keys of IDENTITY, and the takes and wavs that are asked for."""
    return {
        "content_id": content_id,
        "bundle": bundle.hash,
        "settings": plain(_settings(settings, bundle, ambience)),
        "version": __version__,
        "takes": settings.takes,
        "wavs": settings.stems or settings.takes > 1,
    }


def difference(output: Path, expected: Mapping[str, Any]) -> str | None:
    """Why the finished ``output`` does not fit ``expected`` (see ``identity``); None if it does."""
    document = read(output)
    if document is None:
        return "it has no sidecar, so it was interrupted"
    if document.get("schema") != SCHEMA:
        return "its sidecar has another schema"
    for key, reason in IDENTITY.items():
        if document.get(key) != expected[key]:
            return _detail(document.get(key), expected[key], reason)
    if document.get("output_bytes") != output.stat().st_size:
        return "it changed since it was made"
    try:
        found = load(output)
    except ClipError:
        return "its sidecar is damaged"
    takes = found.takes
    if len(takes) < expected["takes"]:
        return f"it has {len(takes)} of {expected['takes']} takes"
    for take in takes[: expected["takes"]] if expected["wavs"] else ():
        if take.file is None:
            return f"take {take.number} has no wav"
        if not take_file(output, take.number).is_file():
            return f"take {take.number} is missing"
    if expected["wavs"] and found.bed is not None and (found.bed.file is None or not bed_file(output).is_file()):
        return "the wav of its ambience is missing"
    return None


def _settings(settings: Settings, bundle: Bundle, ambience: AmbienceBundle | None) -> SoundSettings:
    from foleygen.audio.level import target

    level = target(settings.loudness, settings.true_peak)
    return SoundSettings(
        seed=settings.seed,
        steps=bundle.sampling.num_inference_steps if settings.steps is None else settings.steps,
        guidance=bundle.sampling.guidance_scale if settings.guidance is None else settings.guidance,
        overlap=settings.overlap,
        seams=settings.seams,
        cuts=settings.cuts,
        audio_delay=settings.audio_delay,
        precision=settings.precision,
        audio=settings.audio,
        duck_db=settings.duck if settings.audio == "mix" else None,
        loudness_lufs=None if level is None else level.lufs,
        true_peak_dbtp=None if level is None else level.true_peak_dbtp,
        bandwidth=settings.bandwidth,
        ambience=settings.ambience,
        ambience_level_db=settings.ambience_level if settings.ambience is not None else None,
        composer=None if ambience is None else ambience.hash,
    )


def _detail(old: object, new: object, reason: str) -> str:
    if isinstance(old, dict) and isinstance(new, dict):
        changed = [f"{key} {old.get(key)} -> {new[key]}" for key in new if old.get(key) != new[key]]
        return f"{reason} ({', '.join(changed)})"
    return reason


def _rounded(level: float | None) -> float | None:
    return None if level is None else round(level, 2)


def _relative(source: Path, folder: Path) -> str:
    """``source`` as seen from ``folder``, past symbolic links to either's folder."""
    place = os.path.join(os.path.realpath(source.parent), source.name)
    return os.path.relpath(place, os.path.realpath(folder))


def _text(document: Mapping[str, Any]) -> str:
    """JSON with a line per key, and one per window and take."""
    lines = []
    for key, value in document.items():
        rows = [json.dumps(entry, allow_nan=False) for entry in value] if isinstance(value, list) else []
        text = "[\n    " + ",\n    ".join(rows) + "\n  ]" if rows else json.dumps(value, allow_nan=False)
        lines.append(f"  {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def raw(path: Path) -> dict[str, Any]:
    """The JSON object in ``path``; raises ValueError for anything else, OSError for what cannot be read."""
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path}: too large for a sidecar")
    try:
        document = json.loads(path.read_bytes())
    except RecursionError as error:
        raise ValueError(f"{path}: nested too deeply") from error
    if not isinstance(document, dict):
        raise ValueError(f"{path}: not an object")
    return document
