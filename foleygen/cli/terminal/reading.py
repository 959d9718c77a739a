"""Times, sizes and speeds as a person reads them."""

from __future__ import annotations


def clock_time(seconds: float) -> str:
    """``8.2 s``, ``3 min 05 s`` or ``1 h 02 min``."""
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def byte_size(count: float) -> str:
    """``17 B``, ``1.5 GB``: decimal units."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def real_time(clip_seconds: float, wall_seconds: float) -> str:
    """``4.1x real time``."""
    return f"{clip_seconds / max(wall_seconds, 1e-9):.1f}x real time"


def speed(done: float, clip_seconds: float, elapsed: float) -> str:
    """``, 4.1x real time, 12.0 s left``, or nothing while it is too early to tell; ``done`` is a share (0..1)."""
    if done <= 0 or elapsed <= 0:
        return ""
    left = elapsed * (1 - done) / done
    told = f", {clock_time(left)} left" if left >= 0.05 else ""
    return f", {real_time(done * clip_seconds, elapsed)}{told}"
