"""Cues on their way through the models: the track of a window, and what becomes of a sound that does not keep to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from foleygen.audio.obedience import judged
from foleygen.cues.cue import filled, sheet
from foleygen.engines.foley import Engine
from foleygen.errors import BundleError, UsageError
from foleygen.facts import UNMEASURED, Cue, Lasting, Loudness, Obedience, Stretch, Take
from foleygen.features import cues as features
from foleygen.media.probe import probe
from foleygen.pipeline import Job, Outcome, render, render_window, sound, window
from foleygen.pipeline.cueing import ATTEMPTS, begins, obedience, told
from foleygen.pipeline.remarks import remarks
from foleygen.sampling.noise import WindowKey
from foleygen.settings import AS_THE_RUN, ClipSettings, RenderSettings, Seams
from foleygen.weights import store
from foleygen.weights.bundle import Bundle

MakeClip = Callable[..., Path]
CUES = sheet([Cue(0.2, 0.5, None, "wooden door"), Cue(0.6)])


@pytest.fixture(scope="module")
def engine(told_bundle: Path) -> Engine:
    return Engine.load(store.load(told_bundle, Bundle), "cpu", "fp32")


def peaks(track: features.CueTrack | None) -> list[float]:
    """When a track has its cues, in seconds of its window."""
    assert track is not None
    values = track.presence.ravel()
    step = 1.024 / len(values)
    summits = np.flatnonzero((values > 0.5) & (values >= np.roll(values, 1)) & (values > np.roll(values, -1)))
    return [round((index + 0.5) * step, 3) for index in summits]


# What a window is told


def test_nothing_said_is_no_track(engine: Engine) -> None:
    assert told(AS_THE_RUN, 0.0, engine) is None


def test_cues_are_told_in_the_time_of_the_window(engine: Engine) -> None:
    assert peaks(told(ClipSettings(CUES), 0.0, engine)) == pytest.approx([0.2, 0.6], abs=0.009)
    assert peaks(told(ClipSettings(CUES), 0.3, engine)) == pytest.approx([0.3], abs=0.009)


def test_a_delay_of_the_sound_does_not_move_the_cues(engine: Engine) -> None:
    """The whole track comes 50 ms later afterwards, so that the models are told of a cue 50 ms before it."""
    assert peaks(told(ClipSettings(CUES), 0.0, engine, 0.05)) == pytest.approx([0.15, 0.55], abs=0.009)


def test_known_words_and_picture(engine: Engine) -> None:
    words = engine.words
    assert words is not None
    track = told(ClipSettings(CUES, "rain", False), 0.0, engine)
    assert track is not None
    assert track.known.all()
    assert not track.picture
    door, rain = words.families.index("door") + 1, words.families.index("rain") + 1
    assert set(track.family.tolist()) == {door, rain}, "the second cue has the clip's word"
    alone = told(ClipSettings(None, "rain"), 0.0, engine)
    assert alone is not None
    assert not alone.known.any()
    assert set(alone.family.tolist()) == {rain}
    none_here = told(ClipSettings(sheet([])), 0.0, engine)
    assert none_here is not None
    assert none_here.known.all()
    assert not none_here.presence.any()
    some = told(ClipSettings(sheet([Cue(0.2)], [Stretch(0.0, 0.5)])), 0.0, engine)
    around = told(ClipSettings(filled(sheet([Cue(0.2)]))), 0.0, engine)
    assert some is not None
    assert around is not None
    assert 0 < around.known.sum() < some.known.sum() < len(some.known)


def test_what_a_model_has_not_learnt(engine: Engine, random_bundle: Path) -> None:
    with pytest.raises(UsageError, match="the model has not learnt ceramic"):
        told(ClipSettings(None, "ceramic"), 0.0, engine)
    deaf = Engine.load(store.load(random_bundle, Bundle), "cpu", "fp32")
    with pytest.raises(BundleError, match="noise: cannot be told when or what sounds; use --model tiny"):
        told(ClipSettings(CUES), 0.0, deaf)


# Whether a sound keeps to its cues


def everywhere(seconds: float) -> bool:
    return True


@pytest.mark.parametrize(
    ("cues", "onsets", "missed", "extra"),
    [
        ([], [], (), ()),
        ([], [1.0], (), (1.0,)),
        ([1.0], [], (1.0,), ()),
        ([1.0], [1.029], (), ()),
        ([1.0], [1.031], (1.0,), (1.031,)),
        ([1.0, 2.0], [0.99, 1.5, 2.01], (), (1.5,)),
        # Two within 64 ms are heard as one.
        ([1.0, 1.05], [1.01], (), ()),
        ([1.0, 1.07], [1.01], (1.07,), ()),
    ],
)
def test_judged(cues: list[float], onsets: list[float], missed: tuple[float, ...], extra: tuple[float, ...]) -> None:
    assert judged(cues, onsets, everywhere) == Obedience(len(cues), missed, extra)
    assert judged(cues, onsets, lambda seconds: False).extra == ()


def test_a_cue_at_the_first_frame_is_kept_by_what_is_there(make_clip: MakeClip, tmp_path: Path) -> None:
    own = ClipSettings(sheet([Cue(0.0, None, None, "wooden knock"), Cue(1.5, None, None, "wooden knock")]))
    assert begins(own, 0.0, 0.0)
    assert begins(own, 1.48, 0.0)
    assert begins(own, 1.45, 0.05)
    assert not begins(own, 1.46, 0.0)
    assert not begins(own, 1.51, 0.0)
    assert not begins(AS_THE_RUN, 0.0, 0.0)
    job = Job(probe(make_clip(tmp_path / "a.mp4", seconds=3.0)), tmp_path / "a.foley.mov", own)
    tiny = Engine.load(store.load("tiny", Bundle), "cpu", "fp32")
    (found,) = render([job], tiny, RenderSettings(), None, lambda progress: None)
    (take,) = found.takes
    assert take.obedience == Obedience(2)
    assert take.onsets[0] < 0.03


@given(st.lists(st.integers(0, 60), unique=True, max_size=20), st.lists(st.floats(-0.029, 0.029), min_size=20))
def test_what_is_near_its_cue_is_kept(places: list[int], errors: list[float]) -> None:
    cues = sorted(place / 4 for place in places)
    found = judged(cues, sorted(cue + error for cue, error in zip(cues, errors, strict=False)), everywhere)
    assert (found.kept, found.faults) == (len(cues), 0)


def test_a_window_is_judged_before_the_delay() -> None:
    own = ClipSettings(sheet([Cue(0.2), Cue(3.0)]))
    assert obedience(own, [0.15], 0.0, 1.0, 0.05) == Obedience(1)
    assert obedience(own, [0.2], 0.0, 1.0, 0.05).faults == 2
    assert obedience(AS_THE_RUN, [0.2], 0.0, 1.0, 0.0) == Obedience()


# Windows that are made again


def made(path: Path, engine: Engine, seams: Seams, batch: int = 1, *others: Path) -> Outcome:
    """The outcome of the clip ``path``, told CUES, in a batch with ``others``."""
    jobs = [Job(probe(clip), clip.with_suffix(f".{batch}.mov"), ClipSettings(CUES)) for clip in (path, *others)]
    settings = RenderSettings(batch_size=batch, seams=seams, overlap=0.256, stems=True)
    outcomes = list(render(jobs, engine, settings, None, lambda progress: None))
    (found,) = [outcome for outcome in outcomes if outcome.job.info.path == path]
    assert found.error is None
    return found


def heard(outcome: Outcome) -> bytes:
    (take,) = outcome.takes
    assert take.stem is not None
    content = take.stem.read_bytes()
    return content[content.index(b"data") :]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The attempts whose sounds were judged; the second one is found without a fault, the others are not."""
    attempts: list[int] = []
    current: list[int] = [0]
    faults = sound.Sampler._faults

    def counted(self: sound.Sampler, sounding: sound.Sounding) -> int:
        current[0] = sounding.row.attempt
        attempts.append(sounding.row.attempt)
        return faults(self, sounding)

    monkeypatch.setattr(sound.Sampler, "_faults", counted)
    monkeypatch.setattr(sound, "obedience", lambda *_: Obedience(1) if current[0] == 2 else Obedience(1, (0.1,)))
    return attempts


@pytest.mark.parametrize("seams", ["crossfade", "joint"])
def test_a_window_at_fault_is_made_again_from_other_noise(
    engine: Engine, make_clip: MakeClip, tmp_path: Path, asked: list[int], seams: Seams
) -> None:
    clip = make_clip(tmp_path / "a.mp4", seconds=1.6)
    found = made(clip, engine, seams)
    assert set(asked) == {0, 1, 2}
    first = [fact.seed for fact in found.window_facts]
    again = made(clip, engine, seams)
    assert [fact.seed for fact in again.window_facts] == first
    assert heard(again) == heard(found)
    assert not set(first) & {fact.seed for fact in made_without_cues(clip, engine, seams).window_facts}


def made_without_cues(path: Path, engine: Engine, seams: Seams) -> Outcome:
    settings = RenderSettings(seams=seams, overlap=0.256, stems=True)
    job = Job(probe(path), path.with_suffix(".plain.mov"))
    (found,) = render([job], engine, settings, None, lambda progress: None)
    return found


def test_a_clip_sounds_the_same_whoever_shares_its_batch(
    engine: Engine, make_clip: MakeClip, tmp_path: Path, asked: list[int]
) -> None:
    clips = [make_clip(tmp_path / f"{name}.mp4", seconds=1.6, shade=40 * n) for n, name in enumerate("abc")]
    alone = made(clips[0], engine, "crossfade", 4)
    assert heard(made(clips[0], engine, "crossfade", 4, *clips[1:])) == heard(alone)


def test_attempts_end(engine: Engine, make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    sounds = sound.Sampler._sounds

    def counted(self: sound.Sampler, batch: Any) -> list[sound.Sounding]:
        calls.append(batch[0].attempt)
        return sounds(self, batch)

    monkeypatch.setattr(sound.Sampler, "_sounds", counted)
    monkeypatch.setattr(sound, "obedience", lambda *_: Obedience(1, (0.1,)))
    found = made(make_clip(tmp_path / "a.mp4"), engine, "joint")
    assert calls == list(range(ATTEMPTS + 1))
    assert found.window_facts[0].seed == made_without_cues(tmp_path / "a.mp4", engine, "joint").window_facts[0].seed


def test_a_thousand_a_minute_end_like_a_few(engine: Engine, make_clip: MakeClip, tmp_path: Path) -> None:
    many = ClipSettings(sheet([Cue(0.06 * number) for number in range(8)] * 2))
    clip = make_clip(tmp_path / "a.mp4")
    job = Job(probe(clip), tmp_path / "a.foley.mov", many)
    (found,) = render([job], engine, RenderSettings(), None, lambda progress: None)
    assert found.error is None
    assert found.takes[0].obedience is not None
    assert found.takes[0].obedience.given == 8


def test_a_preview_makes_the_attempts_of_a_finished_clip(
    engine: Engine, make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = make_clip(tmp_path / "a.mp4")
    (finished,) = made(clip, engine, "crossfade").window_facts
    keys: list[WindowKey] = []
    sounds = engine.sounds

    def noted(mels: torch.Tensor, chosen: list[WindowKey]) -> torch.Tensor:
        keys.extend(chosen)
        return sounds(mels, chosen)

    monkeypatch.setattr(engine, "sounds", noted)
    render_window(probe(clip), engine, RenderSettings(), 0.0, 9.0, ClipSettings(CUES))
    assert [key.noise_seed for key in keys] == [finished.seed]
    faults = iter([2, 1, 1, 3])
    monkeypatch.setattr(window, "_faults", lambda *_: next(faults))
    render_window(probe(clip), engine, RenderSettings(), 0.0, 9.0, ClipSettings(CUES))
    assert keys[1] == WindowKey(0, probe(clip).content_id, 0, 1).again(1), "of two that are alike the first"
    assert next(faults, None) is None


# What is said of it


def said(own: ClipSettings, loudness: Loudness, kept: Obedience | None) -> list[str]:
    take = Take(1, loudness, 0.0, 0.0, (), (), None, obedience=kept)
    return list(remarks(own, take))


LOUD = Loudness(-20.0, 1.0, -3.0)


@pytest.mark.parametrize(
    ("own", "loudness", "kept", "words"),
    [
        (AS_THE_RUN, LOUD, None, None),
        (ClipSettings(CUES), LOUD, Obedience(2), None),
        (
            ClipSettings(CUES),
            LOUD,
            Obedience(14, tuple(map(float, range(7))), (0.5,)),
            "7 of 14 cues are kept, nothing begins at 0.000, 1.000, 2.000, 3.000, 4.000 s and 2 more, something that "
            "nobody asked for begins at 0.500 s; move those cues, or try another --seed",
        ),
        (
            ClipSettings(CUES),
            LOUD,
            Obedience(2, (), (0.5,)),
            "2 of 2 cues are kept, something that nobody asked for begins at 0.500 s; try another --seed",
        ),
        (
            ClipSettings(CUES),
            LOUD,
            Obedience(0, (), (0.5,), lasting=2),
            "something that nobody asked for begins at 0.500 s; try another --seed",
        ),
        (
            ClipSettings(sheet([Cue(1.0), Cue(1.066), Cue(1.132), Cue(3.0)])),
            LOUD,
            Obedience(4, (1.066,)),
            "3 of 4 cues are kept, nothing begins at 1.066 s, nearer than 90 ms to another cue and not told from it; "
            "leave 90 ms between cues",
        ),
        (
            ClipSettings(sheet([Cue(1.0), Cue(1.066), Cue(1.166), Cue(3.0)])),
            LOUD,
            Obedience(4, (1.066, 1.166, 3.0)),
            "1 of 4 cues are kept, nothing begins at 1.066, 1.166, 3.000 s, 1 of them nearer than 90 ms to another cue "
            "and not told from it; leave 90 ms between cues, or move those cues, or try another --seed",
        ),
        (
            ClipSettings(CUES),
            LOUD,
            Obedience(2, lasting=1, silent=(Lasting(2.0, 3.5, "rain"),)),
            "2 of 2 cues are kept, nothing is heard of rain from 2.000 to 3.500 s; try another --seed",
        ),
        (
            ClipSettings(CUES),
            UNMEASURED,
            Obedience(0, lasting=2, silent=(Lasting(2.0, 3.5, "rain"), Lasting(4.0, 5.0, "footsteps"))),
            "nothing is heard of rain from 2.000 to 3.500 s (nor of 1 more stretch); give cues in place of the "
            "stretch, or try another --seed",
        ),
        (
            ClipSettings(CUES),
            LOUD,
            Obedience(0, lasting=3, silent=(Lasting(2.0, 3.5, "rain"),) * 3),
            "nothing is heard of rain from 2.000 to 3.500 s (nor of 2 more stretches); try another --seed",
        ),
        (ClipSettings(CUES, spotted=True), LOUD, Obedience(2, (0.6,), (0.1,), spotted=True), None),
        (
            ClipSettings(CUES, spotted=True),
            UNMEASURED,
            Obedience(2, (0.6,), spotted=True),
            "is silent: nothing is seen",
        ),
        (
            ClipSettings(CUES, picture=False),
            Loudness(-63.0, None, -42.0),
            Obedience(2),
            "is all but silent (-63 LUFS), though it keeps to its cues; say what sounds with --sound",
        ),
        (AS_THE_RUN, UNMEASURED, None, "is silent: nothing is seen in it that would sound; say when and what"),
        (AS_THE_RUN, Loudness(-100.0, None, -80.0), None, "is all but silent (-100 LUFS): nothing is seen in it"),
        (ClipSettings(sheet([])), UNMEASURED, Obedience(), "is silent, as its cues ask for nothing"),
        (
            ClipSettings(sheet([], [Stretch(2.0, 5.5)])),
            UNMEASURED,
            Obedience(),
            "is silent: its cues ask for nothing from 2.000 to 5.500 s, and nothing is seen elsewhere that would "
            "sound; add cues, or make the stretch shorter",
        ),
        (
            ClipSettings(sheet([], [Stretch(2.0, 3.0), Stretch(4.0, 5.0)])),
            Loudness(-80.0, None, -70.0),
            Obedience(),
            "is all but silent (-80 LUFS): its cues ask for nothing from 2.000 to 3.000 s (and 1 more), and nothing",
        ),
        (ClipSettings(sheet([])), Loudness(None, None, -117.5), Obedience(), "is silent, as its cues ask for nothing"),
        (AS_THE_RUN, Loudness(None, None, -3.0), None, None),
    ],
)
def test_remarks(own: ClipSettings, loudness: Loudness, kept: Obedience | None, words: str | None) -> None:
    found = said(own, loudness, kept)
    assert len(found) == (0 if words is None else 1)
    assert words is None or found[0].startswith(words)


def test_a_remedy_that_does_not_help_is_not_given() -> None:
    near = ClipSettings(sheet([Cue(1.0), Cue(1.066)]))
    assert said(near, LOUD, Obedience(2, (1.066,)))[0].endswith("; leave 90 ms between cues")
    assert said(near, LOUD, Obedience(2, (1.066,), (3.0,)))[0].endswith("between cues, or try another --seed")
