"""The contracts of the pipeline, on real clips and with the random weights of ``bundles``."""

from __future__ import annotations

import logging
import os
import resource
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bundles import SAMPLE_RATE, WINDOW
from clips import decoded_sound, packets_of, remux, write_clip
from numpy.typing import NDArray
from torch import Tensor

from foleygen.engines.foley import Engine
from foleygen.errors import ClipError, ExitCode, FoleygenError, RetryableError, SetupError, UsageError
from foleygen.features.cache import FeatureCache
from foleygen.media.frames import FrameRequest, FrameRule, read
from foleygen.media.probe import ClipInfo, probe
from foleygen.pipeline import Job, Outcome, Progress, render, render_window, soundtrack, tracks
from foleygen.sampling.noise import WindowKey
from foleygen.settings import RenderSettings

OVERLAP_S = 0.25
HOP = WINDOW - round(OVERLAP_S * SAMPLE_RATE)


def settings(**changes: Any) -> RenderSettings:
    """Windows on their grid: the red of the clips starts anew after 40 pictures, which would be a shot change."""
    return RenderSettings(**{"overlap": OVERLAP_S, "seams": "crossfade", "cuts": False, **changes})


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2.4 s: three windows, the last one partly beyond the end."""
    return write_clip(tmp_path_factory.mktemp("clips") / "long.mp4", count=60)


@pytest.fixture(scope="module")
def short_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """0.4 s."""
    return write_clip(tmp_path_factory.mktemp("clips") / "short.mp4", count=12, rate=30)


def job(clip: Path, folder: Path, suffix: str = ".mov") -> Job:
    return Job(probe(clip), folder / f"{clip.stem}.foley{suffix}")


def run(
    jobs: Sequence[Job],
    engine: Engine,
    cache: FeatureCache | None = None,
    heard: list[Progress] | None = None,
    **changes: Any,
) -> list[Outcome]:
    listen = heard.append if heard is not None else lambda progress: None
    return list(render(jobs, engine, settings(**changes), cache, listen))


def sound_of(clip: Path, folder: Path, engine: Engine, **changes: Any) -> NDArray[np.float32]:
    """What is heard of the finished clip, 24 bits at 48 kHz."""
    (outcome,) = run([job(clip, folder)], engine, **changes)
    assert outcome.error is None, outcome.error
    return decoded_sound(outcome.job.output)[0]


def entries(cache: FeatureCache) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in cache.root.rglob("*.npy")}


def spoilt(clip: Path, share: slice = slice(None)) -> None:
    """Overwrite the picture data, which still can be copied but not decoded; the file looks as old as it was."""
    written = clip.stat().st_mtime_ns
    content = bytearray(clip.read_bytes())
    with_sizes = [(bytes(data), len(data)) for data, _, _ in packets_of(clip, 0)]
    for data, size in with_sizes[share]:
        place = content.index(data)
        content[place : place + size] = bytes(size)
    clip.write_bytes(content)
    os.utime(clip, ns=(written, written))


# Length and picture


@pytest.mark.parametrize(
    "clip",
    [
        {"count": 60},
        {"count": 1},
        {"count": 24, "rate": Fraction(24000, 1001)},
        {"count": 5, "times": [Fraction(0), Fraction(1, 25), Fraction(1, 3), Fraction(2, 5), Fraction(11, 10)]},
        {"count": 12, "shift": Fraction(1, 2)},
    ],
    ids=["three windows", "one frame", "ntsc", "variable rate", "late start"],
)
def test_the_sound_lasts_as_long_as_the_picture_which_stays_untouched(
    tmp_path: Path, engine: Engine, clip: dict[str, Any]
) -> None:
    source = write_clip(tmp_path / "clip.mp4", **clip)
    info = probe(source)
    before = source.read_bytes()
    sound = sound_of(source, tmp_path, engine)
    assert len(sound) == round(info.duration * 48000)
    assert np.abs(sound).mean() > 1e-3
    assert source.read_bytes() == before
    finished = probe(tmp_path / "clip.foley.mov")
    assert abs(decoded_sound(finished.path)[1] - finished.start) < Fraction(1, 48000)
    assert packets_of(finished.path, finished.video_index) == packets_of(source, info.video_index)


def test_the_soundtrack_is_counted_at_the_bundles_rate(engine: Engine, long_clip: Path) -> None:
    info = probe(long_clip)
    samples = soundtrack(info, engine, settings())
    assert samples.shape == (round(info.duration * SAMPLE_RATE),)
    assert samples.dtype == np.float32
    assert np.abs(samples).max() <= 1


# Same sound


def test_the_sound_knows_neither_name_nor_container_nor_order(
    tmp_path: Path, engine: Engine, long_clip: Path, short_clip: Path
) -> None:
    renamed = Path(shutil.copy(long_clip, tmp_path / "another name.mp4"))
    rewrapped = remux(long_clip, tmp_path / "rewrapped.mkv")
    assert probe(rewrapped).content_id == probe(long_clip).content_id
    orders = [[long_clip, short_clip, renamed], [rewrapped, short_clip], [short_clip, long_clip]]
    found, caches = {}, []
    for number, clips in enumerate(orders):
        folder = tmp_path / str(number)
        caches.append(FeatureCache(folder / "cache"))
        for outcome in run([job(clip, folder) for clip in clips], engine, caches[-1]):
            assert outcome.error is None
            found[number, outcome.job.info.path.stem] = decoded_sound(outcome.job.output)[0]
    expected = found.pop((2, "long"))
    assert np.array_equal(found.pop((0, "short")), found.pop((1, "short")))
    found.pop((2, "short"))
    assert len(found) == 3
    assert all(np.array_equal(expected, sound) for sound in found.values())
    assert entries(caches[0]) == entries(caches[1]) == entries(caches[2])
    assert len(entries(caches[0])) == 4


def test_partners_in_a_batch_are_not_heard(tmp_path: Path, engine: Engine, long_clip: Path, short_clip: Path) -> None:
    alone = sound_of(short_clip, tmp_path, engine, batch_size=4)
    outcomes = run([job(clip, tmp_path / "both") for clip in (short_clip, long_clip)], engine, batch_size=4)
    assert [outcome.error for outcome in outcomes] == [None, None]
    assert np.array_equal(decoded_sound(outcomes[0].job.output)[0], alone)


def test_batches_of_any_size_make_sounds_of_the_right_length(tmp_path: Path, engine: Engine, long_clip: Path) -> None:
    lengths = {len(sound_of(long_clip, tmp_path / str(size), engine, batch_size=size)) for size in (1, 2, 5)}
    assert lengths == {round(Fraction(12, 5) * 48000)}


def test_seed_and_take_are_other_sounds_and_come_back(tmp_path: Path, engine: Engine, short_clip: Path) -> None:
    changes = [{}, {"seed": 1}, {"take": 2}, {"seed": 1, "take": 2}, {"guidance": 1.0}, {"steps": 3}]
    sounds = [sound_of(short_clip, tmp_path / str(n), engine, **change) for n, change in enumerate(changes)]
    assert len({sound.tobytes() for sound in sounds}) == len(changes)
    again = sound_of(short_clip, tmp_path / "again", engine, seed=1)
    assert np.array_equal(again, sounds[1])


def test_other_pictures_sound_different_from_the_same_noise(engine: Engine) -> None:
    keys = [WindowKey(0, "the same", 0, 1)] * 2
    frames = torch.zeros(2, 1, 32, 64, 64, 3, dtype=torch.uint8)
    frames[1, :, 10:20] = 255
    with torch.inference_mode():
        features = torch.cat([engine.encode(window) for window in frames])
    first, second = engine.latents(features, keys)
    assert (first - second).abs().max() > 1e-3


# Windows


def test_features_are_those_of_the_windows_own_time(tmp_path: Path, engine: Engine, long_clip: Path) -> None:
    info, cache = probe(long_clip), FeatureCache(tmp_path / "cache")
    run([job(long_clip, tmp_path)], engine, cache)
    stored = {path.read_bytes()[-32 - 16 * 16 * 4 : -32] for path in cache.root.rglob("*.npy")}
    rate = engine.bundle.encoder.frame_rate
    for start in (0, HOP, 2 * HOP):
        request = FrameRequest(0, Fraction(start, SAMPLE_RATE), 32)
        ((_, frames),) = read(info, [request], rate, 64, FrameRule.LINEAR)
        with torch.inference_mode():
            expected = engine.encode(torch.from_numpy(frames)[None])[0].numpy()
        stored.remove(expected.tobytes())
    assert not stored


def test_a_preview_is_what_the_finished_clip_will_say(engine: Engine, long_clip: Path) -> None:
    info = probe(long_clip)
    whole = soundtrack(info, engine, settings())
    first = render_window(info, engine, settings(), at_s=0, seconds=5)
    assert (len(first.samples), first.sample_rate) == (WINDOW, SAMPLE_RATE)
    assert np.allclose(first.samples[:HOP], whole[:HOP], atol=1e-6)
    last = render_window(info, engine, settings(), at_s=2 * HOP / SAMPLE_RATE, seconds=5)
    assert len(last.samples) == len(whole) - 2 * HOP
    tail = WINDOW - HOP
    assert np.allclose(last.samples[tail:], whole[2 * HOP + tail :], atol=1e-6)
    assert last.mel.shape == (128, -(-len(last.samples) // 256))
    assert len(last.motion) == round(len(last.samples) / SAMPLE_RATE * 31.25)


def test_an_overlap_as_long_as_the_window_stops_before_any_clip(
    tmp_path: Path, engine: Engine, short_clip: Path
) -> None:
    asked = []

    def jobs() -> Iterator[Job]:
        asked.append(True)
        yield job(short_clip, tmp_path)

    with pytest.raises(UsageError, match="overlap"):
        list(render(jobs(), engine, settings(overlap=2), None, lambda progress: None))
    assert not asked


# Cache


def test_another_seed_decodes_no_picture(tmp_path: Path, engine: Engine, long_clip: Path) -> None:
    clip = Path(shutil.copy(long_clip, tmp_path / "clip.mp4"))
    cache = FeatureCache(tmp_path / "cache")
    known = job(clip, tmp_path, ".mp4")
    (first,) = run([known], engine, cache)
    assert (first.windows, first.cached_windows) == (3, 0)
    spoilt(clip)
    (second,) = run([known], engine, cache, seed=1)
    assert (second.error, second.cached_windows) == (None, 3)
    assert "frames" in first.stages
    assert "frames" not in second.stages
    (third,) = run([known], engine, None, seed=1)
    assert isinstance(third.error, ClipError)
    assert "can be decoded" in str(third.error)


def test_a_damaged_entry_is_computed_again(
    tmp_path: Path, engine: Engine, long_clip: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = FeatureCache(tmp_path / "cache")
    before = run([job(long_clip, tmp_path / "before")], engine, cache)
    kept = entries(cache)
    damaged = sorted(cache.root.rglob("*.npy"))[1]
    damaged.write_bytes(damaged.read_bytes()[:-40] + bytes(40))
    with caplog.at_level(logging.WARNING):
        after = run([job(long_clip, tmp_path / "after")], engine, cache)
    assert [outcome.cached_windows for outcome in after] == [2]
    assert f"{damaged}: the cached features are damaged" in caplog.text
    assert entries(cache) == kept
    assert np.array_equal(*(decoded_sound(outcome.job.output)[0] for outcome in (*before, *after)))


# Faults


class Faulty(Engine):
    """Fails where it is told to: with more than ``most_rows`` windows, on the clip ``bad``, or in the encoder, once."""

    most_rows = 1 << 30
    bad: str = ""
    tried: list[int]

    def encode(self, frames: Tensor) -> Tensor:
        if self.bad == "encoder":
            self.bad = ""
            raise KeyError("an unforeseen\nproblem")
        return super().encode(frames)

    def latents(self, features: Tensor, keys: Sequence[WindowKey], *rest: Any) -> Tensor:
        self.tried.append(len(keys))
        latents = super().latents(features, keys, *rest)
        if len(keys) > self.most_rows:
            torch.empty(1 << 55, dtype=torch.uint8)  # more than any machine's address space
        return latents

    def sounds(self, mels: Tensor, keys: Sequence[WindowKey]) -> Tensor:
        sounds = super().sounds(mels, keys).clone()
        rows = [row for row, key in enumerate(keys) if key.content_id == self.bad]
        sounds[rows] = torch.nan
        return sounds


@pytest.fixture
def faulty(engine: Engine) -> Faulty:
    made = Faulty(engine.bundle, "cpu", "fp32")
    made.tried = []
    return made


def failures(outcomes: Sequence[Outcome]) -> dict[str, FoleygenError | None]:
    return {outcome.job.info.path.stem: outcome.error for outcome in outcomes}


@pytest.mark.parametrize("batch_size", [1, 4])
def test_one_bad_clip_never_stops_the_others(
    tmp_path: Path, engine: Engine, short_clip: Path, long_clip: Path, batch_size: int
) -> None:
    (tmp_path / "in the way").write_text("a file, not a folder")
    gone, changed, refused = (
        Path(shutil.copy(long_clip, tmp_path / f"{name}.mp4")) for name in ("gone", "changed", "refused")
    )
    out = tmp_path / "out"
    jobs = [job(gone, out), job(short_clip, out), job(changed, out), job(refused, tmp_path / "in the way")]
    jobs.append(job(long_clip, out))
    gone.unlink()
    changed.write_text("no longer a clip")
    outcomes = run(jobs, engine, batch_size=batch_size)
    found = failures(outcomes)
    assert len(outcomes) == len(jobs)
    assert {name for name, error in found.items() if error is None} == {"short", "long"}
    for name in ("gone", "changed"):
        assert isinstance(found[name], ClipError)
        assert name in str(found[name])
    assert isinstance(found["refused"], FoleygenError)
    assert sorted(path.name for path in out.iterdir()) == ["long.foley.mov", "short.foley.mov"]


def test_a_bug_is_the_failure_of_its_clip_and_has_its_own_code(
    tmp_path: Path, faulty: Faulty, short_clip: Path, long_clip: Path
) -> None:
    faulty.bad = "encoder"
    outcomes = run([job(short_clip, tmp_path), job(long_clip, tmp_path)], faulty)
    bug = failures(outcomes)["short"]
    assert failures(outcomes)["long"] is None
    assert bug is not None
    assert bug.exit_code == ExitCode.BUG
    assert "short.mp4: internal error" in str(bug)
    assert "\n" not in str(bug)
    assert isinstance(bug.__cause__, KeyError)


def test_a_listener_that_has_left_ends_the_batch(tmp_path: Path, engine: Engine, short_clip: Path) -> None:
    def listen(progress: Progress) -> None:
        if progress.stage == "sampling":
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        list(render([job(short_clip, tmp_path)], engine, settings(), None, listen))


def test_values_that_are_not_finite_fail_their_clip_only(
    tmp_path: Path, faulty: Faulty, short_clip: Path, long_clip: Path
) -> None:
    faulty.bad = probe(short_clip).content_id
    found = failures(run([job(short_clip, tmp_path), job(long_clip, tmp_path)], faulty, batch_size=4))
    assert isinstance(found["short"], SetupError)
    assert "short.mp4" in str(found["short"])
    assert found["long"] is None


def test_pictures_that_do_not_decode_are_told(tmp_path: Path, engine: Engine, long_clip: Path) -> None:
    clip = Path(shutil.copy(long_clip, tmp_path / "clip.mp4"))
    known = job(clip, tmp_path)
    spoilt(clip, slice(20, 22))
    (outcome,) = run([known], engine)
    assert outcome.error is None
    assert any("damaged pictures" in warning for warning in outcome.warnings)


def test_memory_that_runs_out_halves_the_batch(tmp_path: Path, faulty: Faulty, long_clip: Path) -> None:
    expected = sound_of(long_clip, tmp_path / "one", faulty)
    faulty.most_rows, faulty.tried = 1, []
    heard: list[Progress] = []
    (outcome,) = run([job(long_clip, tmp_path)], faulty, heard=heard, batch_size=3)
    assert outcome.error is None
    assert faulty.tried == [3, 1, 1, 1]
    assert np.array_equal(decoded_sound(outcome.job.output)[0], expected)
    assert all(before.done <= after.done for before, after in pairwise(heard))


def test_memory_for_not_even_one_window_can_be_tried_again(tmp_path: Path, faulty: Faulty, long_clip: Path) -> None:
    faulty.most_rows = 0
    (outcome,) = run([job(long_clip, tmp_path / "out")], faulty, batch_size=2)
    assert isinstance(outcome.error, RetryableError)
    assert "long.mp4: memory ran out" in str(outcome.error)
    assert not (tmp_path / "out").exists()


@contextmanager
def small_disk(limit: int) -> Iterator[None]:
    """No file may grow beyond ``limit`` bytes: the write fails with EFBIG, as on a full disk with ENOSPC."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("in_memory", [tracks.IN_MEMORY_BYTES, 1000], ids=["output", "temporary sound"])
def test_a_full_disk_can_be_tried_again_and_leaves_nothing(
    tmp_path: Path, engine: Engine, long_clip: Path, monkeypatch: pytest.MonkeyPatch, in_memory: int
) -> None:
    monkeypatch.setattr(tracks, "IN_MEMORY_BYTES", in_memory)
    jobs = [job(long_clip, tmp_path)]
    with small_disk(60_000):
        (outcome,) = run(jobs, engine)
    assert isinstance(outcome.error, RetryableError)
    assert "no space left" in str(outcome.error)
    assert list(tmp_path.iterdir()) == []
    (again,) = run(jobs, engine)
    assert again.error is None


def test_a_long_soundtrack_waits_on_disk(
    tmp_path: Path, engine: Engine, long_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = sound_of(long_clip, tmp_path / "memory", engine)
    monkeypatch.setattr(tracks, "IN_MEMORY_BYTES", 1000)
    assert np.array_equal(sound_of(long_clip, tmp_path / "disk", engine), expected)


# Progress


@pytest.mark.parametrize("batch_size", [1, 3])
def test_progress_goes_from_nothing_to_all(
    tmp_path: Path, engine: Engine, long_clip: Path, short_clip: Path, batch_size: int
) -> None:
    heard: list[Progress] = []
    cache = FeatureCache(tmp_path / "cache")
    jobs = [job(clip, tmp_path) for clip in (short_clip, long_clip)]
    run(jobs, engine, cache, heard, batch_size=batch_size)
    run(jobs[1:], engine, cache, heard, batch_size=batch_size, seed=1)
    for clip, runs in ((short_clip, 1), (long_clip, 2)):
        told = [progress for progress in heard if progress.clip == clip]
        starts = [number for number, progress in enumerate(told) if progress.done == 0]
        assert len(starts) == runs
        for first, after in pairwise([*starts, len(told)]):
            done = [progress.done for progress in told[first:after]]
            assert done == sorted(done)
            assert done[-1] == 1
            assert list(dict.fromkeys(p.stage for p in told[first:after])) == ["features", "sampling", "muxing"]
        assert {progress.clip_seconds for progress in told} == {float(probe(clip).duration)}


def test_what_a_job_cost_is_told(tmp_path: Path, engine: Engine, long_clip: Path) -> None:
    info: ClipInfo = probe(long_clip)
    (outcome,) = run([Job(info, tmp_path / "a.mp4")], engine)
    assert list(outcome.stages) == ["frames", "features", "sampling", "decoding", "vocoding", "metering", "muxing"]
    # Frames are decoded while the models run: their sum may be more than the time it took.
    assert all(0 <= seconds <= outcome.seconds for seconds in outcome.stages.values())
    assert (outcome.windows, outcome.audio_codec, outcome.duration) == (3, "aac", 2.4)
