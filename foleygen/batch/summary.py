"""``run-I-of-N.json``: how one shard of a batch ended, and what all of them come to.

docs/batches.md describes the file.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from foleygen import __version__, atomic
from foleygen.batch.events import Report
from foleygen.batch.shard import Shard
from foleygen.errors import ExitCode, UsageError
from foleygen.strict import Reader, json_document, plain

SCHEMA = 1
NAME = re.compile(r"run-([1-9]\d{0,8})-of-([1-9]\d{0,8})\.json")
MAX_BYTES = 2**28

READER = Reader(UsageError)


@dataclass(frozen=True)
class Failure:
    """A clip that has no output, and why."""

    clip: str
    output: str
    type: str
    message: str
    remedy: str


@dataclass(frozen=True)
class Summary:
    """How one shard ended."""

    shard: int
    shards: int
    list_hash: str
    """Of the whole list of clips that was dealt."""
    found: int
    """Clips in that list."""
    total: int
    """Clips of this shard that it was to work on."""
    done: tuple[str, ...]
    skipped: tuple[str, ...]
    failed: tuple[Failure, ...]
    clip_seconds: float
    wall_seconds: float
    non_commercial: str | None
    interrupted: bool
    exit_code: int
    version: str


def path_for(folder: Path, shard: Shard) -> Path:
    """Where the summary of ``shard`` goes."""
    return folder / f"run-{shard.index}-of-{shard.count}.json"


def of_report(report: Report, shard: Shard, list_hash: str) -> Summary:
    """What the finished or interrupted ``report`` comes to."""
    return Summary(
        shard=shard.index,
        shards=shard.count,
        list_hash=list_hash,
        found=report.total + report.elsewhere,
        total=report.total,
        done=tuple(map(str, report.done)),
        skipped=tuple(map(str, report.skipped)),
        failed=tuple(
            Failure(
                str(failure.clip),
                str(failure.output),
                type(failure.error).__name__,
                failure.error.message,
                failure.error.remedy,
            )
            for failure in report.failed
        ),
        clip_seconds=round(report.clip_seconds, 3),
        wall_seconds=round(report.wall_seconds, 3),
        non_commercial=report.non_commercial,
        interrupted=report.interrupted,
        exit_code=int(ExitCode.TRY_AGAIN if report.interrupted else report.exit_code),
        version=__version__,
    )


def forget(folder: Path, shard: Shard, overwrite: bool = False) -> None:
    """Remove the summary of an earlier run, so that a shard that dies now is missing.

    Raises UsageError for another file of that name, unless that may be overwritten.
    """
    path = path_for(folder, shard)
    if os.path.lexists(path) and not overwrite:
        try:
            _load(path)
        except UsageError as error:
            fact = f"{path}: exists and was not made by foleygen"
            raise UsageError(fact, "move it, or allow it to be lost with --overwrite") from error
    with suppress(OSError):
        path.unlink(missing_ok=True)


def write(folder: Path, summary: Summary) -> Path:
    """Publish ``summary`` in ``folder``; returns its path."""
    path = path_for(folder, Shard(summary.shard, summary.shards))
    with atomic.publish(path) as temporary:
        temporary.write_text(json.dumps({"schema": SCHEMA, **plain(summary)}, indent=2) + "\n", encoding="utf-8")
    return path


def read(folder: Path) -> list[Summary]:
    """The summaries in ``folder``, by shard.

    Raises UsageError where there is none, one is damaged, or they are not of one batch.
    """
    try:
        names = sorted(path for path in folder.iterdir() if NAME.fullmatch(path.name))
    except OSError as error:
        raise UsageError(f"{folder}: cannot be read ({error.strerror})", "name the folder of the summaries") from error
    if not names:
        raise UsageError(f"{folder}: holds no run-I-of-N.json", "run 'foleygen add-sound' with --shard first")
    found = sorted((_load(path) for path in names), key=lambda summary: summary.shard)
    if len({(summary.shards, summary.list_hash) for summary in found}) > 1:
        raise UsageError(
            f"{folder}: its summaries are of different lists or numbers of shards",
            "delete those of the earlier batch",
        )
    return found


@dataclass(frozen=True)
class Merged:
    """All shards of a batch as one."""

    summaries: Sequence[Summary]

    @property
    def missing(self) -> list[int]:
        """Shards that left no summary."""
        present = {summary.shard for summary in self.summaries}
        return [number for number in range(1, self.summaries[0].shards + 1) if number not in present]

    @property
    def failed(self) -> list[Failure]:
        return [failure for summary in self.summaries for failure in summary.failed]

    @property
    def exit_code(self) -> ExitCode:
        """As one process would have ended: TRY_AGAIN while shards are missing or were interrupted."""
        codes = {summary.exit_code for summary in self.summaries}
        total = sum(summary.total for summary in self.summaries)
        if ExitCode.BUG in codes:
            return ExitCode.BUG
        if any(summary.exit_code == ExitCode.ENVIRONMENT and not summary.failed for summary in self.summaries):
            return ExitCode.ENVIRONMENT
        if self.missing or ExitCode.TRY_AGAIN in codes:
            return ExitCode.TRY_AGAIN
        if not self.failed:
            return ExitCode.OK
        if len(self.failed) < total:
            return ExitCode.SOME_FAILED
        failing = {summary.exit_code for summary in self.summaries if summary.failed}
        return ExitCode.ENVIRONMENT if failing == {ExitCode.ENVIRONMENT} else ExitCode.ALL_FAILED


def _load(path: Path) -> Summary:
    damaged = UsageError(f"{path}: not a summary that this version reads", "run its shard again")
    document = json_document(path, UsageError, "run its shard again", MAX_BYTES)
    if not isinstance(document, dict) or document.pop("schema", None) != SCHEMA:
        raise damaged
    summary = READER.section(Summary, document, str(path))
    named = NAME.fullmatch(path.name)
    assert named is not None
    return replace(summary, shard=int(named[1]), shards=int(named[2]))
