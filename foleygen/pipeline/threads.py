"""What the threads of a running batch share: room for work in flight, what they have done, and when to stop.

Three threads work on a batch. One reads and decodes clips ahead, the caller's runs the models, one measures and muxes.
All torch stays in the caller's thread, and in those that it waits for: its sums, and so the sound, do not know of the
others.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from foleygen.pipeline.pictures import View
from foleygen.pipeline.tracks import Stopped, Track


class Room:
    """How much work may be in flight between two threads, in windows."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._closed = False
        self._condition = threading.Condition()

    def take(self, count: int = 1) -> None:
        """Wait until ``count`` more fit, or until all is free for what is larger. Raises Stopped once closed."""
        with self._condition:
            self._condition.wait_for(lambda: self._closed or not self._taken or self._taken + count <= self._limit)
            if self._closed:
                raise Stopped
            self._taken += count

    def give_back(self, count: int = 1) -> None:
        with self._condition:
            self._taken -= count
            self._condition.notify_all()

    def close(self) -> None:
        """Whoever waits, or comes later, leaves with Stopped."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()


@dataclass(frozen=True)
class Begun:
    """The windows of a track will follow."""

    track: Track


@dataclass(frozen=True)
class Ended:
    """A track is delivered, or failed where it was."""

    track: Track


class AllRead:
    """There are no more clips."""


Message = Begun | View | Ended | AllRead


class Inbox:
    """What the other threads tell the caller's, in order; what has ended need not wait for windows that came before."""

    def __init__(self) -> None:
        self._ended: deque[Message] = deque()
        self._messages: deque[Message] = deque()
        self._closed = False
        self._condition = threading.Condition()

    def put(self, message: Message, urgent: bool = False) -> None:
        with self._condition:
            (self._ended if urgent else self._messages).append(message)
            self._condition.notify_all()

    def get(self) -> Message:
        """Wait for the next message. Raises Stopped once closed."""
        with self._condition:
            self._condition.wait_for(lambda: self._closed or self._ended or self._messages)
            if self._closed:
                raise Stopped
            return (self._ended or self._messages).popleft()

    def close(self) -> None:
        with self._condition:
            self._closed = True
            self._condition.notify_all()
