"""What everybody may hold costs nobody anything: the facts of a clip, and the events that tell of them."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from foleygen.batch.events import ClipDone
from foleygen.facts import UNMEASURED, Loudness, Take

HEAVY = {"torch", "av", "numpy", "scipy", "yaml", "rich", "click", "safetensors"}


def loaded_by(module: str) -> set[str]:
    """The modules of a fresh process that imports one."""
    code = f"import {module}, json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_events_import_next_to_nothing() -> None:
    loaded = loaded_by("foleygen.batch.events")
    own = {name for name in loaded if name.startswith("foleygen")}
    assert own == {"foleygen", "foleygen.batch", "foleygen.batch.events", "foleygen.errors", "foleygen.facts"}
    assert not HEAVY & loaded


@pytest.mark.parametrize(
    "module",
    [
        "foleygen.record.fit",
        "foleygen.record.takes",
        "foleygen.record.claims",
        "foleygen.record.remaking",
        "foleygen.record.making",
    ],
)
def test_the_record_of_a_clip_is_read_without_models_and_codecs(module: str) -> None:
    assert not {"torch", "av", "numpy"} & loaded_by(module)


def test_a_finished_clip_is_told_in_its_own_facts() -> None:
    take = Take(1, Loudness(-23.0, 2.0, -3.0), 0.0, 4.5, (0.5, 1.25), (0.25,) * 64, Path("a.foley.t01.wav"))
    told = ClipDone(
        Path("a.mp4"), Path("a.foley.mp4"), Path("a.foley.json"), 2.0, 1.0, {}, 1, 0, "aac", UNMEASURED, (), (take,)
    )
    assert pickle.loads(pickle.dumps(told)) == told


def test_a_level_follows_a_gain_where_there_is_one() -> None:
    assert Loudness(-23.0, 2.0, -3.0).after(4.5) == Loudness(-18.5, 2.0, 1.5)
    assert UNMEASURED.after(4.5) == UNMEASURED
