"""What is set for one clip alone reaches the pipeline and the sidecar, through every process that works on clips."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from finished import finish
from own_settings import Spoken

from foleygen.batch import events, isolate, run
from foleygen.batch.discover import Clip
from foleygen.batch.events import Event
from foleygen.batch.plan import Planned, plan
from foleygen.batch.shard import Shard, deal, timed
from foleygen.farm.actor import ClipActor
from foleygen.record import schema, sidecar, takes
from foleygen.settings import AS_THE_RUN, ClipSettings, Settings

MakeClip = Callable[..., Path]
RAIN = Spoken("rain", (0.5, 1.0))


def go(clip: Clip, bundle: Path, work: run.Work | None = None) -> list[Event]:
    heard: list[Event] = []
    run.run([clip], Settings(model=str(bundle), device="cpu"), heard.append, work)
    return heard


def of(heard: list[Event], kind: type[Any]) -> list[Any]:
    return [event for event in heard if isinstance(event, kind)]


def own_of(output: Path) -> object:
    return json.loads(sidecar.path_for(output).read_bytes()).get("own")


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sidecars may hold the settings of these tests."""
    monkeypatch.setattr(schema, "ClipSettings", Spoken)


def test_only_what_is_set_counts() -> None:
    assert ClipSettings() == AS_THE_RUN
    assert AS_THE_RUN.chosen() == {} == Spoken().chosen()
    assert Spoken("rain").chosen() == {"words": "rain"}
    assert len({RAIN, Spoken("rain", (0.5, 1.0)), Spoken()}) == 2
    assert pickle.loads(pickle.dumps(RAIN)) == RAIN


def test_it_stays_with_the_clip_while_clips_are_planned_and_dealt(make_clip: MakeClip, tmp_path: Path) -> None:
    clips = [Clip(make_clip(tmp_path / f"{name}.mp4"), own=Spoken(name)) for name in "abc"]
    planned = timed(plan(clips, Settings()))
    dealt = [item for index in (1, 2) for item in deal(planned, Shard(index, 2), by_seconds=True)]
    assert {item.clip.path.stem: item.clip.own for item in dealt} == {name: Spoken(name) for name in "abc"}


@pytest.mark.usefixtures("known")
def test_it_reaches_the_sidecar_and_decides_what_is_done_again(
    tmp_path: Path, random_bundle: Path, make_clip: MakeClip
) -> None:
    path, output = make_clip(tmp_path / "a.mp4"), tmp_path / "a.foley.mp4"
    assert len(of(go(Clip(path, own=RAIN), random_bundle), events.ClipDone)) == 1
    assert own_of(output) == {"words": "rain", "lines": [0.5, 1.0]}
    assert len(of(go(Clip(path, own=RAIN), random_bundle), events.ClipSkipped)) == 1
    (started,) = of(go(Clip(path, own=Spoken("hail")), random_bundle), events.ClipStarted)
    assert started.reason == "its own settings are other ones (words rain -> hail, lines [0.5, 1.0] -> None)"
    (started,) = of(go(Clip(path), random_bundle), events.ClipStarted)
    assert started.reason == "its own settings are other ones (words hail -> None)"
    assert own_of(output) is None
    assert len(of(go(Clip(path), random_bundle), events.ClipSkipped)) == 1


def test_it_crosses_to_the_worker_process(tmp_path: Path, random_bundle: Path, make_clip: MakeClip) -> None:
    clip = Clip(make_clip(tmp_path / "a.mp4"), own=RAIN)
    assert len(of(go(clip, random_bundle, isolate.work), events.ClipDone)) == 1
    assert own_of(tmp_path / "a.foley.mp4") == {"words": "rain", "lines": [0.5, 1.0]}


def test_it_crosses_to_an_actor(tmp_path: Path, random_bundle: Path, make_clip: MakeClip) -> None:
    item = Planned(Clip(make_clip(tmp_path / "a.mp4"), own=RAIN), tmp_path / "a.foley.mp4")
    settings = pickle.loads(pickle.dumps(Settings(model=str(random_bundle), device="cpu")))
    told = list(ClipActor(settings, 30).work(pickle.loads(pickle.dumps(item))))
    assert isinstance(told[-1], events.ClipDone)
    assert own_of(item.output) == {"words": "rain", "lines": [0.5, 1.0]}


@pytest.mark.usefixtures("known")
def test_another_take_keeps_it(tmp_path: Path, random_bundle: Path) -> None:
    made = finish(tmp_path, random_bundle, takes=2)
    path = sidecar.path_for(made.output)
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "own": {"words": "rain"}}))
    assert sidecar.load(made.output).own == Spoken("rain")
    takes.pick(made.output, 2)
    assert own_of(made.output) == {"words": "rain"}
    assert sidecar.load(made.output).picked == 2


def test_a_clip_without_any_says_nothing_of_it(tmp_path: Path, random_bundle: Path) -> None:
    made = finish(tmp_path, random_bundle, takes=1)
    assert "own" not in json.loads(sidecar.path_for(made.output).read_bytes())
    assert sidecar.load(made.output).own == AS_THE_RUN
