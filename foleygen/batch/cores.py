"""How many processors this process should use: those it may, less those that are busy."""

from __future__ import annotations

import os
import time
from collections.abc import MutableMapping
from pathlib import Path

PASSIVE = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0"}
"""Threads of OpenMP that have nothing to do sleep, instead of keeping a processor from another task."""
_CGROUPS = Path("/sys/fs/cgroup")
_LOAD = Path("/proc/loadavg")
_LOOKS, _LOOK_S = 3, 0.02


def usable() -> int:
    """Processors that this process may use, by its affinity and its cgroups; at least one."""
    try:
        count = len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        count = os.cpu_count() or 1
    quota = cgroup_quota()
    return max(1, count if quota is None else min(count, round(quota + 0.25)))


def free() -> int:
    """Usable processors that nothing keeps busy now; at least one."""
    count = usable()
    try:
        idle = (os.cpu_count() or 1) - busy()
    except (AttributeError, OSError):
        return count
    return max(1, min(count, round(idle)))


def busy(told: Path = _LOAD) -> float:
    """Processors that others keep busy at this moment, the least of three looks; where that is not told, the load of
    the last minute, in which a run that has just ended still counts. Raises OSError where nothing is told."""
    looks = []
    for number in range(_LOOKS):
        time.sleep(_LOOK_S if number else 0)
        try:
            running = int(told.read_text(encoding="ascii").split()[3].partition("/")[0])
        except (OSError, ValueError, IndexError):
            return os.getloadavg()[0]
        looks.append(max(0, running - 1))  # less this process
    return min(looks)


def threads(asked: int | None, environ: MutableMapping[str, str] = os.environ) -> int | None:
    """Threads of the models: as asked; else None, which leaves it to ``OMP_NUM_THREADS``, or those that are free."""
    if asked is not None:
        return asked
    return None if environ.get("OMP_NUM_THREADS") else free()


def cgroup_quota(root: Path = _CGROUPS, membership: Path = Path("/proc/self/cgroup")) -> float | None:
    """Processors that the cgroups of this process grant it, of version 2 or 1; None without a limit."""
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    quotas = []
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if not controllers:
            quotas += _quotas(root, path, "cpu.max")
        elif "cpu" in controllers.split(","):
            quotas += _quotas(root / controllers, path, "cpu.cfs_quota_us")
            quotas += _quotas(root / "cpu", path, "cpu.cfs_quota_us")
    return min(quotas, default=None)


def _quotas(root: Path, path: str, name: str) -> list[float]:
    """Of a group and all that it is in."""
    found = []
    folder = root / path.lstrip("/")
    for level in (folder, *folder.parents):
        if not level.is_relative_to(root):
            break
        try:
            quota, _, period = (level / name).read_text(encoding="ascii").strip().partition(" ")
            if name == "cpu.cfs_quota_us":
                period = (level / "cpu.cfs_period_us").read_text(encoding="ascii").strip()
            if quota != "max" and int(quota) > 0 and int(period) > 0:
                found.append(int(quota) / int(period))
        except (OSError, ValueError):
            continue
    return found
