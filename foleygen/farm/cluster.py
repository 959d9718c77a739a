"""The Ray cluster that a batch runs on: joined, or started here and taken down again."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from foleygen.errors import SetupError, UsageError

AUTO = "auto"
LOCAL = "local"
ANSWER_S = 5.0
"""Within what time the head of a cluster takes a connection."""
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

    ``auto`` is the one that RAY_ADDRESS names, or that runs on this machine; else one is started, for as long as the
    context lasts. Raises SetupError where Ray is missing or the cluster does not answer, UsageError for an address
    that is none.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise SetupError("--ray: Ray is not installed", "pip install 'foleygen[ray]'") from error
    if address == AUTO:
        address = os.environ.get("RAY_ADDRESS") or AUTO
    if address not in (AUTO, LOCAL):
        _knock(address)
    try:
        with _own_signals():
            _connect(ray, address)
        # Else Ray prints what happens to its workers on stdout, where the results go.
        ray._private.worker._worker_logs_enabled = False
        yield ray
    finally:
        ray.shutdown()


def _connect(ray: Any, address: str) -> None:
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    own = {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
    try:
        if address == AUTO:
            try:
                ray.init(address=AUTO, **quiet)
                return
            except ConnectionError:
                address = LOCAL
        ray.init(address=address, **quiet, **(own if address == LOCAL else {}))
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        reason = str(error).strip().split("\n", 1)[0]
        fact = f"--ray {address}: the cluster cannot be used ({reason})"
        raise SetupError(fact, "use its version of Ray, and RAY_AUTH_MODE=token if it asks for one") from error


def _knock(address: str) -> None:
    """A head that is not there is told at once; Ray itself goes on asking."""
    host, _, port = address.rpartition(":")
    if "/" in address or not host or not port.isdecimal():
        raise UsageError(
            f"--ray: {address!r} is neither auto nor HOST:PORT", "give the address that 'ray start --head' printed"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_S).close()
    except (OSError, OverflowError) as error:
        fact = f"--ray {address}: no cluster answers there ({error})"
        raise SetupError(fact, "start one with 'ray start --head', or use --ray auto") from error


@contextmanager
def _own_signals() -> Iterator[None]:
    """Ray takes SIGTERM for itself; it stays ours."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if before is not None and signal.getsignal(signal.SIGTERM) is not before:
            signal.signal(signal.SIGTERM, before)
