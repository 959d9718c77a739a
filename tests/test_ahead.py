"""The first clip is decoded while the models are loaded; its sound does not know of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from foleygen.batch import loading, run, worker
from foleygen.batch.discover import Clip, discover
from foleygen.batch.plan import Planned
from foleygen.cli.app import run as cli
from foleygen.errors import ClipError
from foleygen.media import ahead, movie
from foleygen.media.ahead import Ahead
from foleygen.media.frames import FrameRequest, FrameRule, read, shots
from foleygen.media.probe import probe
from foleygen.settings import Settings

MakeClip = Callable[..., Path]
RATE = Fraction(125, 4)


def decoding() -> bool:
    return any(thread.name == "foleygen ahead" for thread in threading.enumerate())


@pytest.fixture
def at_loading(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether a clip was being decoded, each time that the models were loaded."""
    found: list[bool] = []

    def load(settings, bundle):
        found.append(decoding())
        return loading.load_engine(settings, bundle)

    monkeypatch.setattr(worker, "load_engine", load)
    return found


@pytest.fixture
def is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """No clip is so short that it is decoded before the next line runs: one picture may wait."""
    monkeypatch.setattr(ahead, "MAX_BYTES", 0)


def go(folder: Path, bundle: Path, output: str, **settings: object) -> dict[str, bytes]:
    chosen = Settings(model=str(bundle), device="cpu", output=folder / output, **settings)
    report = run.run(discover([folder / "clips"]), chosen, lambda event: None)
    assert not report.failed
    assert not decoding()
    return {path.name: path.read_bytes() for path in report.done}


@pytest.mark.usefixtures("is_slow")
def test_only_a_clip_that_nobody_has_seen_is_decoded_while_models_are_loaded(
    tmp_path: Path, random_bundle: Path, make_clip: MakeClip, at_loading: list[bool]
) -> None:
    make_clip(tmp_path / "clips" / "a.mp4", seconds=3)
    make_clip(tmp_path / "clips" / "b.mp4", seconds=0.5)
    first = go(tmp_path, random_bundle, "first")
    assert at_loading == [True]
    assert go(tmp_path, random_bundle, "again") == first
    assert at_loading == [True, False], "its features are known"
    assert go(tmp_path, random_bundle, "uncached", cache=False) == first
    assert at_loading == [True, False, True]


@pytest.mark.usefixtures("is_slow")
def test_a_clip_that_is_tried_alone_is_not_decoded_meanwhile(
    tmp_path: Path, random_bundle: Path, make_clip: MakeClip, at_loading: list[bool]
) -> None:
    clip = make_clip(tmp_path / "a.mp4", seconds=3)
    settings = Settings(model=str(random_bundle), device="cpu")
    for alone in (True, False):
        item = Planned(Clip(clip), tmp_path / f"{alone}.mp4", alone=alone)
        worker.Worker(settings, loading.load_bundle(settings)).work([item], lambda event: None)
        loading.feature_cache(settings).clear()
    assert at_loading == [False, True]
    assert not decoding()


@pytest.mark.parametrize("options", [{"cuts": False}, {"stems": True, "handles": 0.5}, {"takes": 2}])
@pytest.mark.usefixtures("is_slow")
def test_the_sound_is_that_of_a_clip_that_is_decoded_later(
    tmp_path: Path,
    random_bundle: Path,
    make_clip: MakeClip,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, object],
) -> None:
    make_clip(tmp_path / "clips" / "a.mp4", seconds=3)
    early = go(tmp_path, random_bundle, "early", cache=False, **options)
    monkeypatch.setattr(Ahead, "take", lambda self, size: False)
    assert go(tmp_path, random_bundle, "late", cache=False, **options) == early


@pytest.mark.usefixtures("is_slow")
def test_models_that_cannot_be_loaded_end_the_decoding(
    tmp_path: Path, random_bundle: Path, make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_clip(tmp_path / "clips" / "a.mp4", seconds=3)

    def fail(settings, bundle):
        assert decoding()
        raise MemoryError("no room")

    monkeypatch.setattr(worker, "load_engine", fail)
    with pytest.raises(MemoryError):
        go(tmp_path, random_bundle, "out")
    assert not decoding()


def test_its_pictures_are_those_of_the_clip_and_few_of_them_wait(
    tmp_path: Path, make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = probe(make_clip(tmp_path / "a.mp4", seconds=2))
    monkeypatch.setattr(ahead, "MAX_BYTES", 3 * 3 * 64**2)
    early = Ahead(info, 64)
    assert not early.take(32), "of another size"
    assert early._ready.maxsize == 3
    for one, other in zip(early.shots(), shots(info, 64), strict=True):
        assert one.time == other.time
        np.testing.assert_array_equal(one.picture, other.picture)
    early.close()
    requests = [FrameRequest(0, Fraction(0), 40), FrameRequest(1, Fraction(1), 40)]
    again = Ahead(info, 64)
    among = dict(read(info, requests, RATE, 64, FrameRule.LINEAR, among=again.shots()))
    again.close()
    for index, pictures in read(info, requests, RATE, 64, FrameRule.LINEAR):
        np.testing.assert_array_equal(among[index], pictures)


def test_it_is_given_to_one_caller_and_can_be_left_at_any_time(tmp_path: Path, make_clip: MakeClip) -> None:
    early = Ahead(probe(make_clip(tmp_path / "a.mp4", seconds=2)), 64)
    assert early._ready.maxsize == ahead.MAX_BYTES // (3 * 64**2)
    assert [early.take(64), early.take(64)] == [True, False]
    assert early._ready.maxsize == ahead.FEW_BYTES // (3 * 64**2), "the models are there, and take what is decoded"
    next(early.shots())
    early.close()
    assert not decoding()


def test_what_cannot_be_decoded_is_told_to_who_asks(tmp_path: Path, make_clip: MakeClip) -> None:
    path = make_clip(tmp_path / "a.mp4", seconds=1)
    info = probe(path)
    data = path.read_bytes()
    begin = data.index(b"mdat") + 4
    end = data.find(b"moov", begin) - 4 if b"moov" in data[begin:] else len(data)
    path.write_bytes(data[:begin] + bytes(end - begin) + data[end:])
    early = Ahead(info, 64)
    told: list[str] = []
    with pytest.raises(ClipError, match="none of its pictures"):
        next(early.shots(told.append))
    early.close()
    assert told == ["damaged pictures are passed over"]


@pytest.mark.usefixtures("is_slow")
def test_a_preview_films_and_decodes_while_models_are_loaded_and_looks_once(
    tmp_path: Path,
    told_bundle: Path,
    make_clip: MakeClip,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from foleygen.engines.foley import Engine

    clip = make_clip(tmp_path / "a.mp4", seconds=3)
    found: list[bool] = []
    encoded: list[int] = []
    load, encode = loading.load_engine, Engine.encode

    def loaded(settings, bundle):
        found.extend((decoding(), "foleygen filming" in {thread.name for thread in threading.enumerate()}))
        return load(settings, bundle)

    def counted(self, frames, **known):
        encoded.append(len(frames))
        return encode(self, frames, **known)

    monkeypatch.setattr(loading, "load_engine", loaded)
    monkeypatch.setattr(Engine, "encode", counted)
    monkeypatch.setattr(movie.Filming, "_encode", lambda self: self._stopped.wait(60))
    monkeypatch.setattr(movie.Filming, "finish", lambda self, path, sound: path.write_bytes(sound))
    assert cli(["preview", str(clip), "--model", str(told_bundle), "--cues", "spot"]) == 0
    assert found == [True, True]
    windows = len(encoded)
    assert windows > 1
    assert cli(["preview", str(clip), "--model", str(told_bundle), "--cues", "spot", "--at", "0.5"]) == 0
    assert len(encoded) == windows + 1, "all but its own window are known by now"
    assert not decoding()
