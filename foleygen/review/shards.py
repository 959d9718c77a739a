"""The summaries of a farm -> its clips as the page tells of them, failures first."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from foleygen.batch.summary import Summary
from foleygen.record import sidecar
from foleygen.review import clip
from foleygen.review.clip import Facts

_ORDER = {"failed": 0, "stale": 1, "done": 2}


def clips(summaries: Sequence[Summary], folder: Path) -> list[Facts]:
    """All clips of all shards, each once, with its shard; ``folder`` is where the summaries and the page lie."""
    found = {facts.id: facts for summary in summaries for facts in _of(summary, folder)}
    return sorted(found.values(), key=lambda facts: (_ORDER[facts.state], facts.output))


def _of(summary: Summary, folder: Path) -> Iterator[Facts]:
    for name in (*summary.done, *summary.skipped):
        output = _located(name, folder)
        document = sidecar.read(output)
        if document is not None:
            yield replace(clip.finished(output, folder, document), shard=summary.shard)
        else:
            yield replace(clip.lost(output, folder), shard=summary.shard)
    for failure in summary.failed:
        output = _located(failure.output, folder)
        yield replace(clip.failed(output, folder, failure.message, failure.remedy), shard=summary.shard)


def _located(name: str, folder: Path) -> Path:
    """The path that a shard has told, which was meant from the folder in which that ran.

    Where that leads nowhere, the longest end of it that is in ``folder`` counts.
    """
    path = Path(name)
    ends = [folder.joinpath(*path.parts[first:]) for first in range(len(path.parts))]
    near = (Path(os.path.abspath(path)), *(ends[1:] if path.is_absolute() else ends))
    there = next((one for one in near if os.path.lexists(one) or sidecar.read(one) is not None), None)
    return there or next((one for one in near if one.parent.is_dir()), near[0])
