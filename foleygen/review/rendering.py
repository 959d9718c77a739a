"""One clip made again in the background, through the same code as ``add-sound``: in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from foleygen.batch.discover import Clip
from foleygen.batch.events import ClipFailed, ClipProgress, ClipSkipped, Event
from foleygen.cues.spotting import SPOT
from foleygen.errors import FoleygenError, Interrupted
from foleygen.record.schema import Sidecar, SoundSettings
from foleygen.settings import Settings

_CONTAINERS = (".mp4", ".mov", ".mkv", ".webm")
_PATIENCE_S = 0.1
_DECIDED = ("seed", "steps", "guidance", "overlap", "seams", "cuts", "audio_delay", "audio", "bandwidth", "ambience")
"""Settings of the clip's last run that this one keeps, by their names."""


@dataclass(frozen=True)
class Progress:
    """What a page shows of it."""

    state: Literal["idle", "running", "done", "failed"] = "idle"
    stage: str = ""
    done: float = 0.0
    """Share of the work, 0 to 1."""
    message: str = ""
    remedy: str = ""


class Rendering:
    """At most one clip at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._progress = Progress()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def begin(self, output: Path, record: Sidecar, source: Path, cues: Path | None) -> bool:
        """Make ``output`` again, with ``cues`` or without any; False where another one is not done yet."""
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return False
            settings = settings_for(self._settings, output, record, cues)
            self._progress = Progress("running", "starting")
            self._thread = threading.Thread(target=self._work, args=(settings, source, output), name="foleygen render")
            self._thread.start()
            return True

    def progress(self) -> Progress:
        """How far it is."""
        return self._progress

    def stop(self) -> None:
        """End what is under way, and wait until nothing half-written is left."""
        while self._thread is not None and self._thread.is_alive():
            for child in multiprocessing.active_children():
                if child.name == "foleygen worker":
                    child.terminate()
            self._thread.join(_PATIENCE_S)

    def _work(self, settings: Settings, source: Path, output: Path) -> None:
        from foleygen.batch import isolate, run
        from foleygen.record import markers, sidecar

        try:
            before = sidecar.load(output) if output.is_file() else None
            report = run.run([Clip(source)], settings, self._hear, isolate.work)
            if not report.failed and before is not None:
                markers.refresh(output, before, sidecar.load(output))
        except FoleygenError as error:
            self._progress = Progress("failed", message=error.message, remedy=error.remedy)
        except Interrupted:
            self._progress = Progress("failed", message="stopped", remedy="render again")
        except Exception as error:
            self._progress = Progress("failed", message=f"internal error ({error})", remedy="see the terminal")
            raise
        else:
            if not report.failed:
                self._progress = Progress("done", done=1.0)

    def _hear(self, event: Event) -> None:
        if isinstance(event, ClipProgress):
            self._progress = replace(self._progress, stage=event.stage, done=event.done)
        elif isinstance(event, ClipFailed):
            self._progress = Progress("failed", message=event.error.message, remedy=event.error.remedy)
        elif isinstance(event, ClipSkipped):
            self._progress = replace(self._progress, stage=event.reason, done=1.0)


def settings_for(base: Settings, output: Path, record: Sidecar, cues: Path | None) -> Settings:
    """``base`` with what decided the sound of ``output``, and with other cues."""
    kept: SoundSettings = record.settings
    values: dict[str, Any] = {name: getattr(kept, name) for name in _DECIDED}
    if kept.loudness_lufs is not None:
        values["loudness"] = str(kept.loudness_lufs)
    values["channels"] = "stereo" if kept.channels == 2 else "mono"
    if kept.duck_db is not None:
        values["duck"] = kept.duck_db
    if kept.ambience_level_db is not None:
        values["ambience_level"] = kept.ambience_level_db
    return replace(
        base,
        **values,
        **_voice(base, output, record),
        true_peak=kept.true_peak_dbtp,
        classifier_guidance=kept.classifier_guidance or 0.0,
        output=output.parent,
        name=output.stem.replace("{", "{{").replace("}", "}}"),
        container=output.suffix.removeprefix(".") if output.suffix in _CONTAINERS else "auto",
        model=_model(base, record),
        takes=len(record.takes),
        stems_format=record.stems_format or base.stems_format,
        stems=any(take.file is not None for take in record.takes),
        cues=str(cues) if cues is not None else SPOT if record.own.spotted else None,
        cues_start=None,
        fill=record.own.cues is not None and record.own.cues.known == (),
        sound=record.own.sound,
        picture=record.own.picture,
        overwrite=False,
        dry_run=False,
        shard=None,
        retry_failed=False,
        timeline=None,
        ray=None,
    )


def _voice(base: Settings, output: Path, record: Sidecar) -> dict[str, Any]:
    """Who played the hits: the library of ``base``, or the one that the clip names."""
    if record.settings.voice == "model" or record.library is None:
        return {"voice": "model", "library": None, "library_index": None}
    named = Path(os.path.normpath(os.path.realpath(output.parent) / Path(record.library)))
    return {"voice": record.settings.voice, "library": base.library or named}


def _model(base: Settings, record: Sidecar) -> str:
    """The bundle that made the clip, where it can be found by its name; else that of ``base``."""
    from foleygen.weights import store

    try:
        store.resolve(record.model)
    except FoleygenError:
        return base.model
    return record.model
