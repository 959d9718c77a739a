"""What a process that works on clips sends home besides events: its log, and what broke it."""

from __future__ import annotations

import logging
import pickle
import queue
import traceback
from dataclasses import dataclass
from typing import Any

LOGGER = "foleygen"


@dataclass(frozen=True)
class Broke:
    """No clip's fault ended the work; ``trace`` is where."""

    error: BaseException
    trace: str

    @classmethod
    def by(cls, error: BaseException) -> Broke:
        """What ``error``, which is being handled, did; as one that says the same where it cannot be sent."""
        return cls(_portable(error), traceback.format_exc())


def log_to(outbox: queue.SimpleQueue[Any], level: int) -> None:
    """Send the log from ``level`` on to ``outbox``, and nowhere else."""
    from logging.handlers import QueueHandler

    logger = logging.getLogger(LOGGER)
    logger.setLevel(level)
    logger.addHandler(QueueHandler(outbox))
    logger.propagate = False


def _portable(error: BaseException) -> BaseException:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
