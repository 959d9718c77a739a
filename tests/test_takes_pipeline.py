"""Takes, levels and stems of the pipeline, and its threads: what they may hold, and that they leave nothing."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from fractions import Fraction
from itertools import pairwise
from math import ceil
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import hypothesis
import numpy as np
import pytest
import soundfile
import torch
from bundles import SAMPLE_RATE, WINDOW, load_engine, write_bundle
from clips import decoded_sound, write_clip
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor
from wavinfo import WavInfoReader

from foleygen.audio import onsets
from foleygen.engines.foley import Engine
from foleygen.errors import ClipError, Interrupted, UsageError
from foleygen.facts import UNMEASURED, Loudness, Take
from foleygen.features.cache import FeatureCache
from foleygen.media import bwf
from foleygen.media.loudness import measure
from foleygen.media.probe import probe
from foleygen.pipeline import Job, Outcome, Progress, pictures, render, rendering, soundtrack, stems
from foleygen.pipeline.deliver import deliver
from foleygen.pipeline.sound import Row, Sounding, joined
from foleygen.pipeline.threads import Room
from foleygen.pipeline.tracks import Stopped, Track
from foleygen.sampling.noise import WindowKey
from foleygen.settings import ClipSettings, RenderSettings

OVERLAP_S = 0.25
HOP = WINDOW - round(OVERLAP_S * SAMPLE_RATE)


class Watched(Engine):
    """Counts what it does; may be silent, run out of memory above ``most_rows``, or stop at the window ``stop_at``."""

    encoded = 0
    sounded = 0
    most_rows = 1 << 30
    stop_at = 1 << 30
    is_silent = False
    tried: list[int]
    seen_from: set[str]

    def encode(self, frames: Tensor) -> Tensor:
        self.encoded += 1
        self.seen_from.add(threading.current_thread().name)
        return super().encode(frames)

    def latents(self, features: Tensor, keys: Sequence[WindowKey], *rest: Any) -> Tensor:
        self.tried.append(len(keys))
        self.seen_from.add(threading.current_thread().name)
        if len(keys) > self.most_rows:
            torch.empty(1 << 55, dtype=torch.uint8)  # more than any machine's address space
        self.sounded += len(keys)
        if self.sounded > self.stop_at:
            raise Interrupted(15)
        return super().latents(features, keys, *rest)

    def sounds(self, mels: Tensor, keys: Sequence[WindowKey]) -> Tensor:
        return super().sounds(mels, keys) * (0 if self.is_silent else 1)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    folder = tmp_path_factory.mktemp("bundles") / "small"
    write_bundle(folder)
    return load_engine(folder)


@pytest.fixture
def engine(loaded: Engine) -> Iterator[Watched]:
    made = Watched(loaded.bundle, "cpu", "fp32")
    made.tried, made.seen_from = [], set()
    yield made
    assert not running(), "a thread outlives its batch"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1.6 s: two windows, with a timecode."""
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mov", count=40, metadata={"timecode": "01:00:00:00"})


@pytest.fixture(scope="module")
def dozen(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Twelve clips of 0.4 to 1.28 s; the sixth is no clip when its turn comes."""
    folder = tmp_path_factory.mktemp("dozen")
    return [write_clip(folder / f"{number:02}.mp4", count=10 + 2 * number) for number in range(12)]


def running() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("foleygen")]


def settings(**changes: Any) -> RenderSettings:
    return RenderSettings(**{"overlap": OVERLAP_S, "seams": "crossfade", "cuts": False, **changes})


def job(clip: Path, folder: Path) -> Job:
    return Job(probe(clip), folder / f"{clip.stem}.foley.mov")


def unheard(progress: Progress) -> None:
    pass


def run(jobs: Sequence[Job], engine: Engine, cache: FeatureCache | None = None, **changes: Any) -> list[Outcome]:
    return list(render(jobs, engine, settings(**changes), cache, unheard))


def run_one(clip: Path, folder: Path, engine: Engine, **changes: Any) -> Outcome:
    (outcome,) = run([job(clip, folder)], engine, **changes)
    assert outcome.error is None, outcome.error
    return outcome


def words(path: Path) -> NDArray[np.int32]:
    """The samples of a wav file to the last bit."""
    samples: NDArray[np.int32] = soundfile.read(path, dtype="int32")[0]
    return samples


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


# Takes


@pytest.mark.parametrize("seams", ["crossfade", "joint"])
def test_takes_come_from_one_pass_over_the_pictures_and_the_first_is_as_without(
    tmp_path: Path, engine: Watched, clip: Path, seams: str
) -> None:
    alone = run_one(clip, tmp_path / "alone", engine, seams=seams)
    assert names(tmp_path / "alone") == ["clip.foley.mov"]
    engine.encoded = 0
    outcome = run_one(clip, tmp_path / "three", engine, takes=3, seams=seams)
    assert engine.encoded == 2
    assert names(tmp_path / "three") == ["clip.foley.mov", *(f"clip.foley.t0{n}.wav" for n in (1, 2, 3))]
    heard = [decoded_sound(found.job.output)[0] for found in (alone, outcome)]
    assert np.array_equal(*heard)
    assert [take.number for take in outcome.takes] == [1, 2, 3]
    assert outcome.takes[0].onsets == alone.takes[0].onsets
    assert outcome.takes[0].peaks == alone.takes[0].peaks
    assert alone.takes[0].stem is None
    assert outcome.window_facts == alone.window_facts


def test_a_take_is_what_it_is_by_itself_and_has_its_stem(tmp_path: Path, engine: Watched, clip: Path) -> None:
    info = probe(clip)
    outcome = run_one(clip, tmp_path, engine, takes=2, batch_size=3)
    assert len({words(take.stem).tobytes() for take in outcome.takes if take.stem}) == 2
    single = run_one(clip, tmp_path / "second", engine, take=2, stems=True, batch_size=3)
    assert single.takes[0].stem is not None
    assert single.takes[0].stem.name == "clip.foley.t02.wav"
    assert np.array_equal(words(single.takes[0].stem), words(tmp_path / "clip.foley.t02.wav"))
    samples = words(single.takes[0].stem)
    assert len(samples) == round(info.duration * 48000)
    assert np.array_equal(samples / 2**31, decoded_sound(single.job.output)[0]), "the track is the stem, bit for bit"


def test_a_stem_is_the_track_before_any_gain(tmp_path: Path, engine: Watched, clip: Path) -> None:
    info = probe(clip)
    outcome = run_one(clip, tmp_path, engine, stems=True, loudness="-40")
    track = [soundtrack(info, engine, settings())]
    expected = tmp_path / "expected.wav"
    total = round(info.duration * 48000)
    filed, _ = bwf.filed(track, SAMPLE_RATE, total)
    bwf.write(expected, filed, time_reference=0, originator="", description="", coding_history="")
    stem = outcome.takes[0].stem
    assert stem is not None
    assert np.array_equal(words(stem), words(expected))
    assert soundfile.info(stem).subtype == "PCM_24"
    assert outcome.takes[0].gain_db < 0


def test_a_stem_says_where_it_belongs_and_what_made_it(tmp_path: Path, engine: Watched, clip: Path) -> None:
    run_one(clip, tmp_path, engine, stems=True, seed=7)
    bext = WavInfoReader(str(tmp_path / "clip.foley.t01.wav")).bext
    assert bext.time_reference == 3600 * 48000
    assert bext.originator == "foleygen"
    for fact in ("model small", "seed 7", "take 1"):
        assert fact in bext.coding_history
    assert "commercial" not in bext.coding_history


def test_stems_go_with_the_clip_that_fails(tmp_path: Path, engine: Watched, clip: Path) -> None:
    (outcome,) = run([Job(probe(clip), tmp_path / "clip.foley.webm")], engine, takes=2)
    assert isinstance(outcome.error, ClipError)
    assert outcome.takes == ()
    assert names(tmp_path) == []


# Levels


def test_the_loudness_asked_for_is_reached_where_the_ceiling_allows(
    tmp_path: Path, engine: Watched, clip: Path
) -> None:
    outcome = run_one(clip, tmp_path, engine, loudness="-30")
    found = measure([decoded_sound(outcome.job.output)[0]], 48000)
    assert found.integrated_lufs == pytest.approx(-30, abs=0.1)
    before = outcome.takes[0].loudness.integrated_lufs
    assert before is not None
    assert before + outcome.takes[0].gain_db == pytest.approx(-30, abs=1e-6)
    assert outcome.loudness.integrated_lufs is not None
    assert outcome.loudness.integrated_lufs == pytest.approx(-30, abs=0.1)


def test_the_ceiling_is_kept_and_what_it_costs_is_told(tmp_path: Path, engine: Watched, clip: Path) -> None:
    outcome = run_one(clip, tmp_path, engine, loudness="-3", true_peak=-6.0)
    found = measure([decoded_sound(outcome.job.output)[0]], 48000)
    assert found.true_peak_dbtp == pytest.approx(-6, abs=0.1)
    assert found.integrated_lufs is not None
    assert found.integrated_lufs < -5
    assert any("instead of -3" in warning for warning in outcome.warnings)


def test_a_loudness_that_is_none_stops_before_any_clip(tmp_path: Path, engine: Watched, clip: Path) -> None:
    with pytest.raises(UsageError, match="loud"):
        run([job(clip, tmp_path)], engine, loudness="deafening")
    assert engine.tried == []


def test_silence_has_no_level_and_stays_silent(tmp_path: Path, engine: Watched, clip: Path) -> None:
    engine.is_silent = True
    outcome = run_one(clip, tmp_path, engine, loudness="ebu", takes=2)
    take = outcome.takes[0]
    assert take.loudness == Loudness(None, None, None)
    assert (take.gain_db, set(take.peaks)) == (0, {0})
    assert not decoded_sound(outcome.job.output)[0].any()
    assert any("silent" in warning for warning in outcome.warnings)


@pytest.mark.parametrize("count", [1, 5])
def test_a_clip_too_short_to_measure_works(tmp_path: Path, engine: Watched, count: int) -> None:
    clip = write_clip(tmp_path / "short.mp4", count=count)
    outcome = run_one(clip, tmp_path, engine, loudness="streaming", stems=True)
    (take,) = outcome.takes
    assert take.loudness.integrated_lufs is None
    assert take.loudness.true_peak_dbtp is not None
    assert len(take.peaks) == 64
    assert take.stem is not None
    assert len(words(take.stem)) == round(probe(clip).duration * 48000)


def test_mix_is_one_track_with_the_clips_own_sound(tmp_path: Path, engine: Watched) -> None:
    clip = write_clip(tmp_path / "loud.mov", count=40, sound=(48000,))
    plain, mixed = (
        decoded_sound(run_one(clip, tmp_path / audio, engine, audio=audio, duck=20.0).job.output)[0]
        for audio in ("replace", "mix")
    )
    tone = np.sin(2 * np.pi * 440 * np.arange(len(plain)) / 48000)
    assert abs(np.dot(mixed[: len(tone)], tone)) > 10 * abs(np.dot(plain, tone))


# What an outcome says


def test_peaks_and_windows_are_told(tmp_path: Path, engine: Watched, clip: Path) -> None:
    outcome = run_one(clip, tmp_path, engine)
    track = soundtrack(probe(clip), engine, settings())
    edges = np.arange(65) * len(track) // 64
    expected = [np.abs(track[first:last]).max() for first, last in pairwise(edges)]
    assert outcome.takes[0].peaks == pytest.approx(expected)
    assert [fact.start_s for fact in outcome.window_facts] == [0, HOP / SAMPLE_RATE]
    assert {fact.seconds for fact in outcome.window_facts} == {WINDOW / SAMPLE_RATE}
    assert len({fact.seed for fact in outcome.window_facts}) == 2


def test_an_outcome_crosses_to_a_process_without_torch(tmp_path: Path, engine: Watched, clip: Path) -> None:
    outcome = run_one(clip, tmp_path, engine, takes=2)
    parcel = tmp_path / "parcel"
    parcel.write_bytes(pickle.dumps(outcome))
    code = (
        "import pickle, sys; outcome = pickle.load(open(sys.argv[1], 'rb'));"
        "print(outcome.takes[1].number, outcome.loudness.integrated_lufs is not None, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(parcel)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "True", "False"]


def sounding_with_bursts(track: Track, index: int, times_s: Sequence[float]) -> Sounding:
    """A window that is quiet but for bursts at these seconds of the clip."""
    rate = SAMPLE_RATE / 256
    mel = np.full((128, WINDOW // 256), 0.2, np.float32)
    window = track.windows[index]
    for time_s in times_s:
        column = round((time_s - window.start / SAMPLE_RATE) * rate)
        if 0 <= column < mel.shape[1]:
            mel[:, column : column + 3] = 0.9
    row = Row(track, window, track.takes[0], np.zeros((16, 16), np.float32))
    return Sounding(row, np.zeros(WINDOW, np.float32), mel, rate)


@pytest.mark.parametrize("jitter_s", [-0.03, 0.0, 0.03])
def test_an_onset_in_an_overlap_is_counted_once(engine: Watched, clip: Path, jitter_s: float) -> None:
    track = Track(job(clip, clip.parent), SAMPLE_RATE)
    track.plan(pictures.choose_windows(track.job.info, engine, settings()), settings())
    middle = (HOP + WINDOW) / 2 / SAMPLE_RATE
    events = [0.3, middle, 1.3]
    joined(sounding_with_bursts(track, 0, events))
    joined(sounding_with_bursts(track, 1, [time_s + jitter_s for time_s in events]))
    assert onsets.match(track.takes[0].onsets, events, 0.08).hits == len(track.takes[0].onsets) == 3
    track.close()


# Threads


@pytest.mark.parametrize(
    "how", [{"batch_size": 1}, {"batch_size": 4}, {"seams": "joint", "cuts": True}], ids=["one", "four", "joint"]
)
def test_twelve_clips_sound_as_they_do_one_by_one_and_a_bad_one_is_alone(
    tmp_path: Path, engine: Watched, dozen: list[Path], how: dict[str, Any]
) -> None:
    jobs = [job(clip, tmp_path / "all") for clip in dozen]
    spoilt = tmp_path / "05.mp4"
    spoilt.write_text("no clip")
    jobs[5] = Job(probe(dozen[5]).__class__(**{**vars(jobs[5].info), "path": spoilt}), jobs[5].output)
    outcomes = {outcome.job.output.name: outcome for outcome in run(jobs, engine, **how, stems=True)}
    assert len(outcomes) == 12
    failed = [name for name, outcome in outcomes.items() if outcome.error is not None]
    assert failed == ["05.foley.mov"]
    assert engine.seen_from == {"MainThread"}
    for clip in (dozen[0], dozen[4], dozen[6], dozen[11]):
        alone = run_one(clip, tmp_path / "alone", engine, **how, stems=True)
        together = outcomes[alone.job.output.name]
        for found, expected in zip(together.takes, alone.takes, strict=True):
            assert found.stem is not None
            assert expected.stem is not None
            assert found.stem.read_bytes() == expected.stem.read_bytes()
        assert np.array_equal(*(decoded_sound(outcome.job.output)[0] for outcome in (together, alone)))


def whole(folder: Path) -> int:
    """How many finished clips there are; anything else in the folder is a failure."""
    for path in folder.iterdir() if folder.exists() else ():
        assert path.name.endswith(".foley.mov"), path.name
        assert len(decoded_sound(path)[0]) == round(probe(path).duration * 48000)
    return len(names(folder))


def test_an_iterator_that_is_closed_leaves_whole_files_only(tmp_path: Path, engine: Watched, dozen: list[Path]) -> None:
    jobs = (job(clip, tmp_path / "out") for clip in dozen)
    with closing(render(jobs, engine, settings(), None, unheard)) as outcomes:
        for outcome, _ in zip(outcomes, range(3), strict=False):
            assert outcome.error is None
        assert running()
    assert not running()
    assert 3 <= whole(tmp_path / "out") < 12


@pytest.mark.parametrize("stop_at", [0, 1, 5])
def test_a_signal_leaves_whole_files_only(tmp_path: Path, engine: Watched, dozen: list[Path], stop_at: int) -> None:
    engine.stop_at = stop_at
    with pytest.raises(Interrupted):
        run([job(clip, tmp_path / "out") for clip in dozen], engine)
    assert not running()
    assert whole(tmp_path / "out") <= stop_at


@pytest.mark.parametrize("stage", ["features", "sampling", "muxing"])
def test_a_listener_that_has_left_ends_every_thread(
    tmp_path: Path, engine: Watched, dozen: list[Path], stage: str
) -> None:
    def listen(progress: Progress) -> None:
        if progress.stage == stage and progress.clip == dozen[2]:
            raise BrokenPipeError

    jobs = [job(clip, tmp_path / "out") for clip in dozen]
    with pytest.raises(BrokenPipeError):
        list(render(jobs, engine, settings(), None, listen))
    assert not running()
    assert whole(tmp_path / "out") < 12


class Countdown(threading.Event):
    """Is set when it has been asked ``count`` times."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def is_set(self) -> bool:
        self.count -= 1
        return self.count < 0


@pytest.mark.parametrize("count", range(7))
def test_a_stop_in_the_middle_of_a_delivery_leaves_nothing(
    tmp_path: Path, engine: Watched, clip: Path, count: int
) -> None:
    """Two takes are measured and drawn, then two stems and the clip written: seven passes over a sound of one chunk."""
    track = Track(job(clip, tmp_path / "out"), SAMPLE_RATE)
    asked = settings(takes=2)
    track.plan(pictures.choose_windows(track.job.info, engine, asked), asked)
    for take in track.takes:
        take.spool.write(np.zeros(25600, np.float32).tobytes())
    with pytest.raises(Stopped):
        deliver(track, engine, asked, Countdown(count), unheard)
    assert names(tmp_path / "out") == []
    deliver(track, engine, asked, Countdown(7), unheard)
    assert len(names(tmp_path / "out")) == 3
    track.close()


def test_what_the_jobs_raise_comes_out(tmp_path: Path, engine: Watched, dozen: list[Path]) -> None:
    def jobs() -> Iterator[Job]:
        yield job(dozen[0], tmp_path / "out")
        raise UsageError("no more of this", "stop")

    with pytest.raises(UsageError, match="no more"):
        list(render(jobs(), engine, settings(), None, unheard))
    assert not running()


def test_progress_is_told_by_one_thread_at_a_time(tmp_path: Path, engine: Watched, dozen: list[Path]) -> None:
    inside = threading.Lock()
    told = set()

    def listen(progress: Progress) -> None:
        assert inside.acquire(blocking=False)
        told.add((progress.stage, threading.current_thread().name))
        inside.release()

    outcomes = list(render([job(clip, tmp_path) for clip in dozen], engine, settings(), None, listen))
    assert [outcome.error for outcome in outcomes] == [None] * 12
    assert len({name for _, name in told}) == 3


class Counted(FeatureCache):
    """Knows how many features have been looked up."""

    looked_up = 0

    def get(self, key: str) -> NDArray[np.float32] | None:
        self.looked_up += 1
        return super().get(key)


def test_what_is_read_ahead_has_its_bound(tmp_path: Path, engine: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = write_clip(tmp_path / "long.mp4", count=160)
    cache = Counted(tmp_path / "cache")
    (first,) = run([job(clip, tmp_path)], engine, cache)
    engine.sounded = cache.looked_up = 0
    ahead = []

    def listen(progress: Progress) -> None:
        if progress.stage == "sampling":
            ahead.append(cache.looked_up - first.windows - engine.sounded)

    (second,) = list(render([job(clip, tmp_path)], engine, settings(seed=1), cache, listen))
    assert second.cached_windows == first.windows == 8
    assert 1 <= max(ahead) <= rendering.READ_AHEAD + 2


def test_clips_are_asked_for_as_they_are_needed(tmp_path: Path, engine: Watched, dozen: list[Path]) -> None:
    infos = [probe(clip) for clip in dozen]
    asked = []

    def jobs() -> Iterator[Job]:
        for number, info in enumerate(infos):
            asked.append(number - engine.sounded)
            yield Job(info, tmp_path / f"{number}.mov")

    with closing(render(jobs(), engine, settings(), None, unheard)) as outcomes:
        assert next(outcomes).error is None
        # Nobody asks for the next outcome: the reading thread fills what room there is, and no more.
        assert len(asked) <= engine.sounded + rendering.READ_AHEAD + 2
        assert sum(1 for _ in outcomes) == 11
    assert max(asked) <= rendering.READ_AHEAD + 2


@given(st.integers(1, 6), st.lists(st.integers(1, 8), min_size=1, max_size=20))
@hypothesis.settings(max_examples=30, deadline=None)
def test_room_is_never_overfilled_but_by_one_that_is_larger(limit: int, sizes: list[int]) -> None:
    room, taken = Room(limit), SimpleQueue[int]()
    inside: list[int] = []
    seen: list[list[int]] = []

    def fill() -> None:
        for size in sizes:
            room.take(size)
            inside.append(size)
            seen.append(list(inside))
            taken.put(size)

    thread = threading.Thread(target=fill, daemon=True)
    thread.start()
    for _ in sizes:
        size = taken.get()
        inside.remove(size)
        room.give_back(size)
    thread.join()
    assert all(sum(held) <= limit or len(held) == 1 for held in seen)


def test_closed_room_lets_nobody_wait() -> None:
    room = Room(1)
    room.take()
    left = []

    def wait() -> None:
        with pytest.raises(Stopped):
            room.take()
        left.append(True)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    room.close()
    thread.join()
    assert left
    with pytest.raises(Stopped):
        room.take()


def test_memory_that_ran_out_is_remembered_for_the_rest_of_the_run(
    tmp_path: Path, engine: Watched, dozen: list[Path]
) -> None:
    engine.most_rows = 2
    outcomes = run([job(clip, tmp_path) for clip in dozen[:6]], engine, batch_size=8)
    assert [outcome.error for outcome in outcomes] == [None] * 6
    assert engine.tried == [8, 4, 2, 2, 2]
    assert sum(outcome.windows for outcome in outcomes) == 6
    lengths = {len(decoded_sound(outcome.job.output)[0]) for outcome in outcomes}
    assert lengths == {round(Fraction(10 + 2 * number, 25) * 48000) for number in range(6)}


# Handles


def test_wavs_have_sound_before_and_after_the_shot_and_the_clip_has_not(
    tmp_path: Path, engine: Watched, clip: Path
) -> None:
    info = probe(clip)
    outcome = run_one(clip, tmp_path, engine, takes=2, handles=0.5)
    assert outcome.handle_pictures == ceil(Fraction(1, 2) * info.average_rate)
    handle = round(outcome.handle_pictures / info.average_rate * 48000)
    total = round(info.duration * 48000)
    for take in outcome.takes:
        assert take.stem is not None
        samples = words(take.stem)
        assert len(samples) == total + 2 * handle
        assert np.abs(samples[:handle]).max() > 0
        assert np.abs(samples[-handle:]).max() > 0
        assert WavInfoReader(str(take.stem)).bext.time_reference == 3600 * 48000 - handle
        assert all(0 <= onset < info.duration for onset in take.onsets)
        cues = WavInfoReader(str(take.stem)).cues
        assert [cue.position for cue in cues.cues] == [handle + round(onset * 48000) for onset in take.onsets]
    first = words(tmp_path / "clip.foley.t01.wav")
    heard, _ = decoded_sound(outcome.job.output)
    assert np.array_equal(first[handle : handle + total] / 2**31, heard), "the clip has what lies under its picture"
    assert outcome.window_facts[0].start_s == pytest.approx(-handle / 48000, abs=1e-4)


def test_handles_are_nothing_without_wavs(tmp_path: Path, engine: Watched, clip: Path) -> None:
    plain = run_one(clip, tmp_path / "plain", engine)
    asked = run_one(clip, tmp_path / "asked", engine, handles=0.5)
    assert asked.handle_pictures == 0
    assert np.array_equal(decoded_sound(plain.job.output)[0], decoded_sound(asked.job.output)[0])


@pytest.mark.parametrize(("words", "category"), [("footsteps on wood", "FOLYFeet"), (None, "FOLYMisc")])
def test_a_wav_says_which_category_its_sound_has(
    tmp_path: Path, engine: Watched, clip: Path, words: str | None, category: str
) -> None:
    info, path = probe(clip), tmp_path / "a.wav"
    sound = bwf.Filed([np.zeros(480, np.float32)], 48000, 480)
    take = Take(1, UNMEASURED, 0.0, 0.0, (), (), path)
    one = stems.TakeSound(take, sound, bwf.Part(sound, 0, 480))
    job = Job(info, tmp_path / "a.foley.mp4", ClipSettings(sound=words))
    ((written, _),) = stems.written(job, [one], None, engine.bundle, settings())
    assert written == path
    assert f"<catId>{category}</catId>".encode() in path.read_bytes()
