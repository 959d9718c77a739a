"""A batch on a Ray cluster: one actor per GPU, or per two cores, each with models that stay loaded.

Each actor has one clip at a time and gets the next when it is free, so uneven clips balance themselves. When an actor
dies, another takes its place and its clip is tried again. Files go from disk to disk: every machine of the cluster
sees the same folders. What the actors tell goes to the driver, which never loads a model.
"""

from __future__ import annotations

import logging
import os
import time
import traceback
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from foleygen import __version__, atomic
from foleygen.batch.events import ENDS, ClipFailed, Event, Listener, Loading, Opened
from foleygen.batch.outbox import Broke
from foleygen.batch.plan import Planned
from foleygen.errors import ClipError, Interrupted, SetupError, check_stop
from foleygen.farm.actor import ClipActor
from foleygen.farm.cluster import joined
from foleygen.settings import Settings

log = logging.getLogger(__name__)

CORES = 2
"""Per actor without a GPU: one computes, the other decodes and encodes."""
TRIES = 3
"""Of a clip whose actor dies, or of a start; machines of a cluster also go away for reasons of their own."""
CONTROL = "control"
"""What an actor hears while it works."""
STOP_GRACE_S = 20.0
"""How long actors may clean up after a signal."""


def work(settings: Settings, planned: Iterable[Planned], listen: Listener) -> None:
    """Like Worker.work, on the Ray cluster that ``settings.ray`` names.

    Raises what ends a worker as a whole, and SetupError for a cluster that cannot be used.
    """
    from foleygen.weights import store

    store.resolve(settings.model)  # a wrong name is told before a cluster is started
    assert settings.ray is not None
    with joined(settings.ray) as ray:
        _Pool(ray, settings).work(Desk(planned, listen))


class Desk:
    """Deals the clips to seats, knows which one has which, and tells what becomes of them."""

    def __init__(self, planned: Iterable[Planned], listen: Listener) -> None:
        self._waiting = iter(planned)
        self._listen = listen
        self._next: deque[Planned] = deque()
        self._held: dict[int, Planned] = {}
        self._loading: set[int] = set()
        self._deaths: Counter[Path] = Counter()
        self._false_starts = 0
        self._told: set[Opened | Loading] = set()
        self._is_empty = False
        self.left: set[Path] = set()
        """Folders that actors died on, in which half a file may lie."""

    @property
    def is_done(self) -> bool:
        """Every clip has come to its end."""
        return self._is_empty and not self._held and not self._next

    def read_ahead(self, count: int) -> int:
        """How many clips there are for ``count`` seats, up to that many."""
        self._next.extend(islice(self._waiting, count))
        self._is_empty = len(self._next) < count
        return len(self._next)

    def order(self, seat: int) -> Planned | None:
        """The next clip, which ``seat`` has from now on; None if there is none to be had now."""
        check_stop()
        item = self._next.popleft() if self._next else next(self._waiting, None)
        if item is None:
            self._is_empty = True
        else:
            self._held[seat] = item
        return item

    def hear(self, seat: int, event: Event) -> None:
        """Note what has ended, and tell it on; what each actor says of its model is told once."""
        if isinstance(event, Loading):
            (self._loading.discard if event.done else self._loading.add)(seat)
        if isinstance(event, ENDS):
            del self._held[seat]
            self._false_starts = 0
        if isinstance(event, Opened | Loading):
            if event in self._told:
                return
            self._told.add(event)
        self._listen(event)

    def bury(self, seat: int, reason: str) -> None:
        """The actor of ``seat`` has died: its clip is tried again, or given up.

        Raises SetupError when no actor gets going.
        """
        item = self._held.pop(seat, None)
        if item is None or seat in self._loading:
            self._false_starts += 1
            if self._false_starts >= TRIES:
                fact = f"--ray: {TRIES} actors in a row ended before they could work ({reason})"
                raise SetupError(fact, "see that every machine of the cluster has foleygen, and memory for the model")
        else:
            self._deaths[item.output] += 1
        if item is not None:
            self.left.add(item.output.parent)
        self._loading.discard(seat)
        if item is None:
            return
        if self._deaths[item.output] >= TRIES:
            fact = f"{item.clip.path}: {TRIES} Ray actors died on it ({reason})"
            error = ClipError(fact, "use --batch-size 1 if memory ran out, else export it again with another codec")
            self._listen(ClipFailed(item.clip.path, item.output, error))
        else:
            log.warning("%s: its Ray actor died (%s); it is tried again", item.clip.path, reason)
            self._next.append(item)


@dataclass(frozen=True)
class _Free:
    """From a seat: it can have a clip."""


@dataclass(frozen=True)
class _Dead:
    """From a seat: its actor is gone, as Ray tells it, and it will say no more."""

    story: str


class _Pool:
    """The seats, and the clips that they are given."""

    def __init__(self, ray: Any, settings: Settings) -> None:
        self._ray = ray
        self._settings = settings
        self._share = share_of(ray.cluster_resources(), settings.device)
        self._inbox: SimpleQueue[tuple[_Seat, Any]] = SimpleQueue()
        self._seats: list[_Seat] = []
        self._free: list[_Seat] = []
        self._busy: set[_Seat] = set()

    def work(self, desk: Desk) -> None:
        """Bring every clip of ``desk`` to its end."""
        try:
            for _ in range(desk.read_ahead(self._share.actors)):
                self._open()
            while not desk.is_done:
                seat, message = self._inbox.get()
                self._answer(seat, message, desk)
        except BaseException as error:
            self._stop(desk if isinstance(error, Interrupted | KeyboardInterrupt) else None)
            raise
        finally:
            for seat in self._seats:
                seat.end()
            for seat in self._seats:
                seat.join()
            for folder in desk.left:  # those that live have looked there before it was left
                atomic.sweep(folder)

    def _open(self) -> None:
        resources = {"num_cpus": self._share.cpus, "num_gpus": self._share.gpus}
        remote = self._ray.remote(concurrency_groups={CONTROL: 1}, **resources)(ClipActor)
        actor = remote.remote(self._settings, log.getEffectiveLevel())
        self._seats.append(_Seat(len(self._seats), self._ray, actor, self._inbox))

    def _answer(self, seat: _Seat, message: Any, desk: Desk) -> None:
        if isinstance(message, Event):
            desk.hear(seat.number, message)
        elif isinstance(message, logging.LogRecord):
            logging.getLogger(message.name).handle(message)
        elif isinstance(message, Broke):
            self._busy.discard(seat)
            message.error.add_note(message.trace)
            raise message.error
        else:
            self._busy.discard(seat)
            if isinstance(message, _Free):
                self._free.append(seat)
            else:
                log.debug("%s", message.story)
                desk.bury(seat.number, message.story.split("\n", 1)[0].rstrip("."))
                if not self._free:
                    self._open()
            self._deal(desk)

    def _deal(self, desk: Desk) -> None:
        while self._free and (item := desk.order(self._free[-1].number)) is not None:
            seat = self._free.pop()
            self._busy.add(seat)
            seat.give(item)

    def _stop(self, desk: Desk | None) -> None:
        """Let the actors give up their clips and clean up; what they still have to tell is for ``desk``."""
        deadline = time.monotonic() + STOP_GRACE_S
        for seat in self._busy:
            seat.stop()
        while self._busy:
            try:
                seat, message = self._inbox.get(timeout=max(0.0, deadline - time.monotonic()))
            except Empty:
                return
            if isinstance(message, _Free | _Dead | Broke):
                self._busy.discard(seat)
            elif desk is not None and isinstance(message, Event):
                desk.hear(seat.number, message)


@dataclass(frozen=True)
class Share:
    """How a cluster is divided: so many actors, with so many cores and GPUs each."""

    actors: int
    cpus: int
    gpus: int


def share_of(resources: Mapping[str, float], device: str) -> Share:
    """Actors for a cluster with these ``resources``, as Ray counts them. Raises SetupError without the ``device``."""
    cores, gpus = int(resources.get("CPU", 0)), int(resources.get("GPU", 0))
    if gpus and device in ("auto", "cuda"):
        return Share(gpus, 1, 1)
    if device == "cuda":
        raise SetupError("--device cuda: the Ray cluster has no GPU", "use --device auto")
    cpus = max(1, min(CORES, cores))
    return Share(max(1, cores // cpus), cpus, 0)


class _Seat:
    """An actor, and the thread that waits for it: Ray loses signals, and the driver's main thread must hear them."""

    def __init__(self, number: int, ray: Any, actor: Any, inbox: SimpleQueue[tuple[_Seat, Any]]) -> None:
        self.number = number
        self._ray = ray
        self._actor = actor
        self._inbox = inbox
        self._orders: SimpleQueue[Planned | None] = SimpleQueue()
        self._thread = Thread(target=self._live, name=f"foleygen actor {number}", daemon=True)
        self._thread.start()

    def give(self, item: Planned) -> None:
        """The actor's next clip."""
        self._orders.put(item)

    def stop(self) -> None:
        """Let the actor give up its clip."""
        self._actor.stop.options(concurrency_group=CONTROL).remote()

    def end(self) -> None:
        """End the actor, and the thread with it."""
        self._orders.put(None)
        self._ray.kill(self._actor)

    def join(self) -> None:
        """Wait for the thread: Ray must not go while it is in it."""
        self._thread.join(STOP_GRACE_S)

    def _live(self) -> None:
        try:
            self._work()
        except self._ray.exceptions.RayTaskError as error:
            self._tell(Broke(error.cause if isinstance(error.cause, Exception) else error, str(error)))
        except self._ray.exceptions.RayError as error:
            self._tell(_Dead(str(error).strip()))
        except BaseException as error:
            self._tell(Broke(error, traceback.format_exc()))

    def _work(self) -> None:
        self._ray.get(self._actor.ready.remote(os.getcwd(), __version__))
        self._tell(_Free())
        for item in iter(self._orders.get, None):
            for told in self._actor.work.options(num_returns="streaming").remote(item):
                self._tell(self._ray.get(told))
            self._tell(_Free())

    def _tell(self, message: Any) -> None:
        self._inbox.put((self, message))
