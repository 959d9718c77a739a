"""The Ray cluster that a batch runs on: joined, or started here and taken down again."""

from __future__ import annotations

import logging
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from foleygen.errors import SetupError, UsageError

log = logging.getLogger(__name__)

AUTO = "auto"
LOCAL = "local"
ANSWER_S = 5.0
"""Within what time the head of a cluster takes a connection."""
LOCAL_ANSWER_S = 2.0
"""The same for one on this machine."""
JOIN_S = 60.0
"""Within what time a cluster that takes connections is joined."""
STEP_S = 0.1
"""How soon a signal is heard while Ray waits."""
QUIET = {"log_to_driver": False, "logging_level": "ERROR"}
OBJECT_STORE_BYTES = 100 * 2**20
"""Of a cluster that is started here: clips go from disk to disk, and only events through Ray."""
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing leaves the machine
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # else 'uv run' sends the working folder, clips and all, to every machine
}
"""What Ray does unless it is told otherwise, and the user has not."""


@contextmanager
def joined(address: str) -> Iterator[Any]:
    """The module ``ray``, connected to the cluster at ``address``.

    ``auto`` is the one that RAY_ADDRESS names, or that runs on this machine and answers; else one is started, for as
    long as the context lasts. Raises SetupError where Ray is missing or the cluster does not answer, UsageError for an
    address that is none.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise SetupError("--ray: Ray is not installed", "pip install 'foleygen[ray]'") from error
    if address == AUTO:
        address = os.environ.get("RAY_ADDRESS") or AUTO
    if address == AUTO:
        address = _answering(_known(ray)) or LOCAL
    elif address != LOCAL:
        _knock(address)
    is_over = False
    try:
        with _own_signals():
            if address == LOCAL:
                _start(ray)
            else:
                _join(ray, address)
        # Else Ray prints what happens to its workers on stdout, where the results go.
        ray._private.worker._worker_logs_enabled = False
        yield ray
    except _UnansweredError as error:
        is_over = True
        raise error.told from error
    finally:
        # A connection that never came about would be waited for.
        if not is_over and ray.is_initialized():
            ray.shutdown()


class _UnansweredError(Exception):
    """Something takes connections, but no cluster answers."""

    def __init__(self, told: SetupError) -> None:
        super().__init__(str(told))
        self.told = told


def _start(ray: Any) -> None:
    """A cluster of this process. In the thread that lasts: what Ray starts ends with the thread that started it."""
    own = {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
    log.debug("--ray: a cluster is started on this machine")
    try:
        ray.init(address=LOCAL, **QUIET, **own)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise _refused(LOCAL, error) from error


def _join(ray: Any, address: str) -> None:
    """Connect in a thread of its own, since Ray hears no signal while it waits for an answer."""
    failed: list[BaseException] = []

    def connect() -> None:
        try:
            ray.init(address=address, **QUIET)
        except BaseException as error:
            failed.append(error)

    log.debug("--ray: joining the cluster at %s", address)
    thread = threading.Thread(target=connect, name="foleygen ray", daemon=True)
    thread.start()
    end = time.monotonic() + JOIN_S
    while thread.is_alive():
        thread.join(STEP_S)
        if time.monotonic() > end:
            fact = f"--ray {address}: takes connections, but no cluster has answered for {JOIN_S:.0f} s"
            raise _UnansweredError(SetupError(fact, "stop what listens there, or start one with 'ray start --head'"))
    if failed and isinstance(failed[0], OSError | RuntimeError | ValueError | ray.exceptions.RayError):
        raise _refused(address, failed[0]) from failed[0]
    if failed:
        raise failed[0]


def _refused(address: str, error: BaseException) -> SetupError:
    reason = str(error).strip().split("\n", 1)[0]
    fact = f"--ray {address}: the cluster cannot be used ({reason})"
    return SetupError(fact, "use its version of Ray, and RAY_AUTH_MODE=token if it asks for one")


def _known(ray: Any) -> list[str]:
    """Addresses of clusters that ran or run on this machine, the one that was started last first.

    Ray leaves the first in a file, also when the head was stopped by a signal; the others are processes.
    """
    found: list[str] = []
    folder = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir())
    with suppress(OSError):
        found.append((folder / "ray" / "ray_current_cluster").read_text(encoding="ascii", errors="replace").strip())
    with suppress(Exception):  # Ray's own way to look for them, which no version promises
        found.extend(ray._private.services.find_gcs_addresses())
    return [address for address in dict.fromkeys(found) if address]


def _answering(addresses: Iterable[str]) -> str | None:
    """The first address that takes a connection; the others are told."""
    for address in addresses:
        try:
            _reach(address, LOCAL_ANSWER_S)
        except (OSError, ValueError, OverflowError):
            log.warning("--ray auto: no cluster answers at %s any more; one is started for this batch", address)
        else:
            return address
    return None


def _knock(address: str) -> None:
    """A head that is not there is told at once; Ray itself goes on asking."""
    host, _, port = address.rpartition(":")
    if "/" in address or not host or not port.isdecimal():
        raise UsageError(
            f"--ray: {address!r} is neither auto nor HOST:PORT", "give the address that 'ray start --head' printed"
        )
    try:
        _reach(address, ANSWER_S)
    except (OSError, OverflowError) as error:
        fact = f"--ray {address}: no cluster answers there ({error})"
        raise SetupError(fact, "start one with 'ray start --head', or use --ray auto") from error


def _reach(address: str, seconds: float) -> None:
    """Open a connection and close it again. Raises OSError, OverflowError or ValueError."""
    host, _, port = address.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), seconds).close()


@contextmanager
def _own_signals() -> Iterator[None]:
    """Ray takes SIGTERM for itself; it stays ours."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if before is not None and signal.getsignal(signal.SIGTERM) is not before:
            signal.signal(signal.SIGTERM, before)
