"""Video features kept on disk, so that a clip's pictures are encoded once.

An entry is an ``.npy`` file followed by the SHA-256 of its bytes. Any number of processes may share a cache:
entries appear whole (``atomic.publish``), reading touches the modification time, and the least recently used
entries leave first when the cache outgrows its cap.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from foleygen import regular
from foleygen.atomic import is_part, publish
from foleygen.errors import FoleygenError

DEFAULT_MAX_BYTES = 2 * 1024**3
LOW_WATER = 0.9
"""Eviction goes down to this part of the cap, so that it does not run at every ``put``."""
PUTS_PER_SCAN = 64
"""Other processes fill the cache too: after this many puts the real size is looked up."""
STALE_PART_S = 3600.0
PREPROCESSING_VERSION = 1
"""Part of the key of features: raise it when the same frames would give others."""
DIGEST_BYTES = hashlib.sha256().digest_size

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CacheInfo:
    """What a cache holds; ``bytes`` and ``cap`` in bytes."""

    entries: int
    bytes: int
    root: Path
    cap: int


def default_root() -> Path:
    """``$FOLEYGEN_CACHE_DIR/features``, or the same below the platform's cache folder for the user."""
    chosen = os.environ.get("FOLEYGEN_CACHE_DIR")
    if chosen:
        return Path(os.path.expanduser(chosen)) / "features"
    from platformdirs import user_cache_path

    return user_cache_path("foleygen") / "features"


def feature_key(
    content_id: str,
    window_start: Fraction,
    window_length: Fraction,
    encoder_hash: str,
    preprocessing_version: int,
) -> str:
    """64 hex digits for one window of one clip; start and length in seconds of the picture's time."""
    parts = [content_id, str(window_start), str(window_length), encoder_hash, preprocessing_version]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class FeatureCache:
    """Arrays by key below ``root``, about ``max_bytes`` in all; trouble with the disk is logged, never raised."""

    def __init__(self, root: Path, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self.root = root
        self.max_bytes = max_bytes
        self._writable = True
        self._size: int | None = None
        self._puts_to_scan = PUTS_PER_SCAN

    def get(self, key: str) -> NDArray[np.float32] | None:
        """The array (T, C) of ``key``, or None; a damaged entry is removed with a warning."""
        path = self._path(key)
        try:
            with regular.opened(path) as file:
                content = file.read()
        except FileNotFoundError:
            return None
        except regular.NotRegularError:
            log.warning("%s: not a regular file; the features are computed again", path)
            return None
        except OSError as error:
            log.warning("%s: the cached features cannot be read (%s); they are computed again", path, error.strerror)
            return None
        array = _decoded(content)
        if array is None:
            log.warning("%s: the cached features are damaged; they are computed again", path)
            _remove(path)
            return None
        with contextlib.suppress(OSError):  # evicted meanwhile, or a cache that may only be read
            os.utime(path)
        return array

    def put(self, key: str, array: NDArray[np.float32]) -> None:
        """Keep ``array`` (T, C) under ``key``. When the disk is full or read-only: warn once, keep nothing more."""
        if not self._writable:
            return
        content = _encoded(array)
        try:
            with publish(self._path(key)) as temporary:
                temporary.write_bytes(content)
        except (FoleygenError, OSError) as error:
            fact = error.message if isinstance(error, FoleygenError) else str(error)
            log.warning("%s; going on without the feature cache", fact)
            self._writable = False
            return
        self._account(len(content))

    def info(self) -> CacheInfo:
        """Count the entries and their bytes."""
        sizes = [stat.st_size for _, stat in self._entries()]
        return CacheInfo(entries=len(sizes), bytes=sum(sizes), root=self.root, cap=self.max_bytes)

    def clear(self) -> CacheInfo:
        """Remove every entry and nothing else; returns what was held before."""
        before = self.info()
        for path, _ in self._entries():
            _remove(path)
        for shard in self._shards():
            with contextlib.suppress(OSError):  # it holds a file that is not ours, or one just written
                shard.rmdir()
        self._size = None
        return before

    def _path(self, key: str) -> Path:
        return self.root / key[:2] / f"{key}.npy"

    def _shards(self) -> Iterator[Path]:
        try:
            names = sorted(os.listdir(self.root))
        except OSError:
            return
        yield from (self.root / name for name in names if len(name) == 2)

    def _entries(self) -> Iterator[tuple[Path, os.stat_result]]:
        """Every entry with its stat; temporaries that a killed process left are removed on the way."""
        for shard in self._shards():
            try:
                found = [(Path(entry.path), entry.stat()) for entry in os.scandir(shard)]
            except OSError:
                continue  # removed meanwhile
            for path, stat in found:
                if is_part(path):
                    if time.time() - stat.st_mtime > STALE_PART_S:
                        _remove(path)
                elif path.suffix == ".npy":
                    yield path, stat

    def _account(self, added: int) -> None:
        self._puts_to_scan -= 1
        if self._size is None or self._puts_to_scan <= 0:
            self._size = sum(stat.st_size for _, stat in self._entries())
            self._puts_to_scan = PUTS_PER_SCAN
        else:
            self._size += added
        if self._size > self.max_bytes:
            self._size = self._evict()

    def _evict(self) -> int:
        """Remove the least recently used entries down to the low water mark; returns the bytes that stay."""
        entries = sorted(self._entries(), key=lambda entry: entry[1].st_mtime_ns)
        size = sum(stat.st_size for _, stat in entries)
        for path, stat in entries:
            if size <= self.max_bytes * LOW_WATER:
                break
            _remove(path)
            size -= stat.st_size
        return size


def _encoded(array: NDArray[np.float32]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(array, dtype=np.float32), allow_pickle=False)
    content = buffer.getvalue()
    return content + hashlib.sha256(content).digest()


def _decoded(content: bytes) -> NDArray[np.float32] | None:
    body, checksum = content[:-DIGEST_BYTES], content[-DIGEST_BYTES:]
    if len(content) <= DIGEST_BYTES or hashlib.sha256(body).digest() != checksum:
        return None
    array: NDArray[np.float32] = np.lib.format.read_array(io.BytesIO(body), allow_pickle=False)
    return array


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        log.debug("%s: cannot be removed", path)
