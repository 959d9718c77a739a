"""Events as JSON objects; docs/events.schema.json is their schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from foleygen import __version__
from foleygen.batch import events
from foleygen.facts import Loudness, Obedience

if TYPE_CHECKING:
    from foleygen.batch.events import Event, Report

VERSION = 1


def document_of(event: Event) -> dict[str, Any] | None:
    """The JSON object that tells ``event``; None for what stays between the processes."""
    fields = _fields(event)
    return None if fields is None else {"v": VERSION, "event": fields[0], **fields[1]}


def _fields(event: Event) -> tuple[str, dict[str, Any]] | None:
    if isinstance(event, events.Started):
        return "start", {"total": event.total, "model": event.model, "version": __version__}
    if isinstance(event, events.ClipProgress):
        return "progress", {"clip": str(event.clip), "stage": event.stage, "done": round(event.done, 4)}
    if isinstance(event, events.Finished):
        return "summary", _summary_fields(event.report)
    if isinstance(event, events.Opened | events.Loading | events.Remark):
        return None
    base = {"clip": str(event.clip), "output": str(event.output)}
    if isinstance(event, events.ClipStarted):
        return "clip_start", {**base, "duration_s": event.seconds, "reason": event.reason}
    if isinstance(event, events.ClipDone):
        return "clip_done", {**base, **_done_fields(event)}
    if isinstance(event, events.ClipFailed):
        error = event.error
        return "clip_error", {**base, "type": type(error).__name__, "message": error.message, "remedy": error.remedy}
    if isinstance(event, events.ClipPlanned):
        return "clip_plan", {**base, "reason": event.reason, "overwrites": list(map(str, event.overwrites))}
    return "clip_skip", {**base, "reason": event.reason, "kept": event.is_kept}


def _done_fields(event: events.ClipDone) -> dict[str, Any]:
    return {
        "sidecar": str(event.sidecar),
        "duration_s": event.duration,
        "seconds": round(event.seconds, 3),
        "stages_s": {stage: round(seconds, 3) for stage, seconds in event.stages.items()},
        "windows": event.windows,
        "cached_windows": event.cached_windows,
        "audio_codec": event.audio_codec,
        **_level_fields(event.loudness),
        "takes": [
            {
                "number": take.number,
                **_level_fields(take.loudness),
                "file_gain_db": round(take.file_gain_db, 3),
                "gain_db": round(take.gain_db, 3),
                "stem": None if take.stem is None else str(take.stem),
                "cues": None if take.obedience is None else _cue_fields(take.obedience),
            }
            for take in event.takes
        ],
        "warnings": list(event.warnings),
    }


def _cue_fields(found: Obedience) -> dict[str, Any]:
    missed, extra = ([round(time, 5) for time in times] for times in (found.missed, found.extra))
    silent = [{"start_s": one.start_s, "end_s": one.end_s, "sound": one.sound} for one in found.silent]
    return {
        "given": found.given, "kept": found.kept, "missed_s": missed, "extra_s": extra, "spotted": found.spotted,
        "stretches": found.lasting, "silent": silent,
    }  # fmt: skip


def _level_fields(found: Loudness) -> dict[str, float | None]:
    named = {
        "loudness_lufs": found.integrated_lufs,
        "loudness_range_lu": found.range_lu,
        "true_peak_dbtp": found.true_peak_dbtp,
    }
    return {name: None if level is None else round(level, 2) for name, level in named.items()}


def _summary_fields(report: Report) -> dict[str, Any]:
    counts = {name: len(getattr(report, name)) for name in ("done", "planned", "skipped", "kept", "failed")}
    return {
        "total": report.total,
        "elsewhere": report.elsewhere,
        **counts,
        "clip_seconds": report.clip_seconds,
        "wall_seconds": round(report.wall_seconds, 3),
        "non_commercial": report.non_commercial,
        "timeline": None if report.timeline is None else str(report.timeline),
        "untried": report.untried,
        "interrupted": report.interrupted,
        "exit_code": None if report.interrupted else int(report.exit_code),
    }
