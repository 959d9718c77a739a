"""The feature cache: right or absent, never wrong, never in the way; and what fills it."""

from __future__ import annotations

import logging
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from foleygen.atomic import PART_MARK
from foleygen.errors import SetupError
from foleygen.features.cache import FeatureCache, default_root, feature_key
from foleygen.features.extract import extract

KEY = feature_key("content", Fraction(0), Fraction(1024, 125), "encoder", 1)


def key(number: int) -> str:
    return feature_key(f"clip {number}", Fraction(0), Fraction(8), "encoder", 1)


def features(number: int, length: int = 64) -> np.ndarray:
    return np.random.default_rng(number).standard_normal((32, length)).astype(np.float32)


def entry_of(root: Path) -> Path:
    (path,) = root.rglob("*.npy")
    return path


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(array=arrays.arrays(np.float32, arrays.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=20)))
def test_what_is_put_is_got(tmp_path: Path, array: np.ndarray) -> None:
    cache = FeatureCache(tmp_path)
    cache.put(KEY, array)
    found = cache.get(KEY)
    assert found is not None
    assert found.dtype == np.float32
    assert found.shape == array.shape
    assert found.tobytes() == array.tobytes()


def test_views_are_stored_as_they_read(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path)
    array = features(1)[::2, ::-1]
    cache.put(KEY, array)
    np.testing.assert_array_equal(cache.get(KEY), array)


def test_entries_open_with_numpy_alone(tmp_path: Path) -> None:
    FeatureCache(tmp_path).put(KEY, features(3))
    np.testing.assert_array_equal(np.load(entry_of(tmp_path)), features(3))


parts = st.tuples(st.text(max_size=5), st.fractions(), st.fractions(), st.text(max_size=5), st.integers(0, 99))


@given(first=parts, second=parts)
def test_keys_differ_exactly_when_a_part_differs(first: tuple, second: tuple) -> None:
    assert (feature_key(*first) == feature_key(*second)) == (first == second)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_anywhere_is_a_miss_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, data: st.DataObject
) -> None:
    cache = FeatureCache(tmp_path)
    cache.put(KEY, features(1, length=4))
    path = entry_of(tmp_path)
    content = bytearray(path.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans(), label="cut"):
        content = content[:position]
    else:
        content[position] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        assert cache.get(KEY) is None
    assert "damaged" in caplog.text
    assert not path.exists()
    cache.put(KEY, features(1, length=4))
    np.testing.assert_array_equal(cache.get(KEY), features(1, length=4))


def test_a_pickle_in_the_cache_is_not_opened(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path)
    cache.put(KEY, features(1))
    with open(entry_of(tmp_path), "wb") as handle:
        np.save(handle, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert cache.get(KEY) is None


def test_least_recently_used_entries_leave_first(tmp_path: Path) -> None:
    size = FeatureCache(tmp_path / "probe")
    size.put(KEY, features(0))
    one = size.info().bytes
    cache = FeatureCache(tmp_path / "cache", max_bytes=10 * one)
    for number in range(10):
        cache.put(key(number), features(number))
        path = tmp_path / "cache" / key(number)[:2] / f"{key(number)}.npy"
        os.utime(path, (1000 + number, 1000 + number))
    assert cache.info().entries == 10
    assert cache.get(key(0)) is not None  # used now: the oldest but one leaves instead
    cache.put(key(10), features(10))
    info = cache.info()
    assert info.bytes <= 10 * one
    assert cache.get(key(1)) is None
    assert cache.get(key(0)) is not None
    assert cache.get(key(10)) is not None


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(numbers=st.lists(st.integers(0, 30), max_size=60), cap=st.integers(0, 60_000))
def test_the_cap_holds_after_every_put(tmp_path: Path, numbers: list[int], cap: int) -> None:
    cache = FeatureCache(tmp_path, max_bytes=cap)
    cache.clear()
    for number in numbers:
        cache.put(key(number), features(number))
        assert cache.info().bytes <= cap
    for number in numbers:
        found = cache.get(key(number))
        assert found is None or np.array_equal(found, features(number))


def test_clear_removes_entries_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "ab").mkdir()
    (tmp_path / "ab" / "thesis.odt").write_text("mine too")
    cache = FeatureCache(tmp_path, max_bytes=123_456)
    for number in range(5):
        cache.put(key(number), features(number))
    held = cache.clear()
    assert (held.entries, held.cap, held.root) == (5, 123_456, tmp_path)
    assert cache.info().entries == cache.info().bytes == 0
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["ab", "notes.txt", "thesis.odt"]


def test_leftovers_of_a_killed_writer_do_not_count_and_go_when_old(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path)
    cache.put(KEY, features(1))
    shard = entry_of(tmp_path).parent
    young, old = shard / f".{PART_MARK}host-1-aa.npy", shard / f".{PART_MARK}host-2-bb.npy"
    for path in (young, old):
        path.write_bytes(b"half")
    os.utime(old, (1000, 1000))
    assert cache.info().entries == 1
    assert cache.get(KEY) is not None
    assert (young.exists(), old.exists()) == (True, False)


def test_an_unusable_folder_warns_once_and_never_raises(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("not a folder")
    cache = FeatureCache(tmp_path / "file" / "cache")
    with caplog.at_level(logging.WARNING):
        for number in range(5):
            cache.put(key(number), features(number))
            assert cache.get(key(number)) is None
    assert caplog.text.count("going on without the feature cache") == 1
    assert cache.info().entries == 0


FULL_DISK = """
import logging, resource, signal, sys
from pathlib import Path
import numpy as np
from foleygen.features.cache import FeatureCache
logging.basicConfig(stream=sys.stdout)
cache = FeatureCache(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
for number in range(3):
    cache.put("aa%062d" % number, np.ones((32, 512), np.float32))
print("entries", cache.info().entries)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX")
def test_a_write_that_hits_the_end_of_the_disk_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    assert result.stdout.count("going on without the feature cache") == 1
    assert "entries 0" in result.stdout
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def hammer(root: str, worker: int) -> int:
    """Put and get shared keys under a cap that forces eviction; returns the number of wrong answers."""
    cache = FeatureCache(Path(root), max_bytes=60_000)
    wrong = 0
    for step in range(60):
        number = (worker * 7 + step) % 12
        found = cache.get(key(number))
        if found is not None and not np.array_equal(found, features(number)):
            wrong += 1
        cache.put(key(number), features(number))
    return wrong


def test_many_processes_share_a_cache(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with multiprocessing.get_context("fork" if hasattr(os, "fork") else "spawn").Pool(4) as pool:
        assert pool.starmap(hammer, [(str(tmp_path), worker) for worker in range(4)]) == [0, 0, 0, 0]
    assert not list(tmp_path.rglob(f"*{PART_MARK}*"))
    for number in range(12):
        found = FeatureCache(tmp_path).get(key(number))
        assert found is None or np.array_equal(found, features(number))
    assert "damaged" not in caplog.text


def test_the_root_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOLEYGEN_CACHE_DIR", str(tmp_path))
    assert tmp_path in default_root().parents
    monkeypatch.delenv("FOLEYGEN_CACHE_DIR")
    assert "foleygen" in default_root().parts


def mean_colour(pixels: torch.Tensor) -> torch.Tensor:
    """(1, T, S, S, 3) uint8 -> (1, T, 3)."""
    return pixels.float().mean(dim=(2, 3))


def test_extract_keeps_order_and_gives_arrays() -> None:
    frames = [np.full((4, 8, 8, 3), value, np.uint8) for value in (3, 200, 90)]
    for window in frames:
        window.flags.writeable = False
    found = list(extract(zip((5, 2, 9), frames, strict=True), mean_colour))
    assert [index for index, _ in found] == [5, 2, 9]
    for (_, array), window in zip(found, frames, strict=True):
        assert array.dtype == np.float32
        assert array.shape == (4, 3)
        np.testing.assert_allclose(array, window.mean(axis=(1, 2)))


def test_extract_is_lazy_and_leaves_gradients_alone() -> None:
    seen: list[int] = []

    def windows():
        for index in range(3):
            seen.append(index)
            yield index, np.zeros((2, 4, 4, 3), np.uint8)

    layer = torch.nn.Linear(3, 3)
    stream = extract(windows(), lambda pixels: layer(mean_colour(pixels)))
    next(stream)
    assert seen == [0]
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()
    layer(torch.ones(1, 3)).sum().backward()
    assert layer.weight.grad is not None


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_extract_gives_float32_for_encoders_of_other_precisions(precision: torch.dtype) -> None:
    encoder: Callable[[torch.Tensor], torch.Tensor] = lambda pixels: mean_colour(pixels).to(precision)  # noqa: E731
    ((_, array),) = extract([(0, np.full((2, 4, 4, 3), 7, np.uint8))], encoder)
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, 7)


def test_extract_refuses_values_that_are_not_finite() -> None:
    with pytest.raises(SetupError, match="not finite"):
        next(extract([(0, np.zeros((2, 4, 4, 3), np.uint8))], lambda pixels: mean_colour(pixels) / 0))
