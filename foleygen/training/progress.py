"""How a long job tells its caller where it stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping

Report = Callable[[int, int, Mapping[str, float], float], None]
"""(steps done, steps in all, mean losses since the last report, steps per second)"""
