"""What is set for one clip alone reaches the pipeline and the sidecar, through every process that works on clips."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

from finished import finish

from foleygen.batch import events, isolate, run
from foleygen.batch.discover import Clip
from foleygen.batch.events import Event
from foleygen.batch.plan import Planned, plan
from foleygen.batch.shard import Shard, deal, lengths_of
from foleygen.cues.cue import sheet
from foleygen.facts import Cue
from foleygen.farm.actor import ClipActor
from foleygen.record import sidecar, takes
from foleygen.settings import AS_THE_RUN, ClipSettings, Settings

MakeClip = Callable[..., Path]
CUES = sheet([Cue(0.25, 0.5, None, "door"), Cue(0.4)], source="a.cues.csv")
RAIN = ClipSettings(CUES, "rain")
KEPT = {
    "cues": {
        "cues": [
            {"seconds": 0.25, "strength": 0.5, "confidence": None, "sound": "door", "name": ""},
            {"seconds": 0.4, "strength": None, "confidence": None, "sound": None, "name": ""},
        ],
        "known": None,
        "source": "a.cues.csv",
        "digest": CUES.digest,
        "lasting": [],
    },
    "sound": "rain",
}


def go(clip: Clip, bundle: Path, work: run.Work | None = None) -> list[Event]:
    heard: list[Event] = []
    run.run([clip], Settings(model=str(bundle), device="cpu"), heard.append, work)
    return heard


def of(heard: list[Event], kind: type[Any]) -> list[Any]:
    return [event for event in heard if isinstance(event, kind)]


def own_of(output: Path) -> object:
    return json.loads(sidecar.path_for(output).read_bytes()).get("own")


def test_only_what_is_set_counts() -> None:
    assert ClipSettings() == AS_THE_RUN
    assert AS_THE_RUN.chosen() == {}
    assert ClipSettings(sound="rain").chosen() == {"sound": "rain"}
    assert len({RAIN, ClipSettings(CUES, "rain"), ClipSettings()}) == 2
    assert pickle.loads(pickle.dumps(RAIN)) == RAIN


def test_it_stays_with_the_clip_while_clips_are_planned_and_dealt(make_clip: MakeClip, tmp_path: Path) -> None:
    clips = [Clip(make_clip(tmp_path / f"{name}.mp4"), own=ClipSettings(sound=name)) for name in "abc"]
    lengths = lengths_of(clips)
    dealt = [item for index in (1, 2) for item in plan(clips, Settings(), deal(3, Shard(index, 2), lengths))]
    assert {item.clip.path.stem: item.clip.own for item in dealt} == {name: ClipSettings(sound=name) for name in "abc"}


def test_it_reaches_the_sidecar_and_decides_what_is_done_again(
    tmp_path: Path, told_bundle: Path, make_clip: MakeClip
) -> None:
    path, output = make_clip(tmp_path / "a.mp4"), tmp_path / "a.foley.mp4"
    assert len(of(go(Clip(path, own=RAIN), told_bundle), events.ClipDone)) == 1
    assert own_of(output) == KEPT
    assert len(of(go(Clip(path, own=RAIN), told_bundle), events.ClipSkipped)) == 1
    (started,) = of(go(Clip(path, own=ClipSettings(CUES, "wind")), told_bundle), events.ClipStarted)
    assert started.reason == "its own settings are other ones (sound rain -> wind)"
    (started,) = of(go(Clip(path, own=ClipSettings(sheet([Cue(0.3)]), "wind")), told_bundle), events.ClipStarted)
    assert started.reason == "its cues are other ones"
    (started,) = of(go(Clip(path), told_bundle), events.ClipStarted)
    assert started.reason == "its own settings are other ones (sound wind -> None)"
    found = own_of(output)
    assert isinstance(found, dict)
    assert found["spotted"] is True
    assert set(found) <= {"cues", "spotted"}
    assert len(of(go(Clip(path), told_bundle), events.ClipSkipped)) == 1


def test_who_wrote_the_cues_and_how_sure_they_were_changes_nothing(
    tmp_path: Path, told_bundle: Path, make_clip: MakeClip
) -> None:
    clip = make_clip(tmp_path / "a.mp4")
    go(Clip(clip, own=ClipSettings(CUES)), told_bundle)
    renamed = sheet([Cue(0.4, None, 0.3, None, "x"), Cue(0.25, 0.5, 0.9, "door")], source="b.edl")
    assert len(of(go(Clip(clip, own=ClipSettings(renamed)), told_bundle), events.ClipSkipped)) == 1


def test_it_crosses_to_the_worker_process(tmp_path: Path, told_bundle: Path, make_clip: MakeClip) -> None:
    clip = Clip(make_clip(tmp_path / "a.mp4"), own=RAIN)
    assert len(of(go(clip, told_bundle, isolate.work), events.ClipDone)) == 1
    assert own_of(tmp_path / "a.foley.mp4") == KEPT


def test_it_crosses_to_an_actor(tmp_path: Path, told_bundle: Path, make_clip: MakeClip) -> None:
    item = Planned(Clip(make_clip(tmp_path / "a.mp4"), own=RAIN), tmp_path / "a.foley.mp4")
    settings = pickle.loads(pickle.dumps(Settings(model=str(told_bundle), device="cpu")))
    told = list(ClipActor(settings, 30).work(pickle.loads(pickle.dumps(item))))
    assert isinstance(told[-1], events.ClipDone)
    assert own_of(item.output) == KEPT


def test_another_take_keeps_it(tmp_path: Path, random_bundle: Path) -> None:
    made = finish(tmp_path, random_bundle, takes=2)
    path = sidecar.path_for(made.output)
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "own": KEPT}))
    assert sidecar.load(made.output).own == RAIN
    takes.pick(made.output, 2)
    assert own_of(made.output) == KEPT
    assert sidecar.load(made.output).picked == 2


def test_a_clip_without_any_says_nothing_of_it(tmp_path: Path, random_bundle: Path) -> None:
    made = finish(tmp_path, random_bundle, takes=1)
    assert "own" not in json.loads(sidecar.path_for(made.output).read_bytes())
    assert sidecar.load(made.output).own == AS_THE_RUN
