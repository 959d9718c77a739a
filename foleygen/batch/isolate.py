"""Work in a process of its own: a crash in a codec or a model takes one clip, not the batch.

The child asks for each clip, so the parent knows which ones it holds. When it dies, those are tried again, one at a
time, in a new child: the one that kills that too is at fault.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import queue
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import FrameType
from typing import Any

from foleygen.batch.events import ENDS, ClipFailed, Event, Listener, Loading
from foleygen.batch.outbox import LOGGER, Broke, log_to
from foleygen.batch.plan import Planned
from foleygen.errors import ClipError, FoleygenError, Interrupted, RetryableError, SetupError, check_stop, interrupt
from foleygen.settings import Settings

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM)
STOPPED = {-signal.SIGINT: signal.SIGINT, -signal.SIGTERM: signal.SIGTERM, 128 + signal.SIGTERM: signal.SIGTERM}
"""Exit codes of a child that somebody else has stopped, and by which signal."""
ORPHAN_GRACE_S = 30.0
"""How long a child whose parent is gone, or that was told to stop, may clean up."""


@dataclass(frozen=True)
class _Ask:
    """Child to parent: another clip, please."""


@dataclass(frozen=True)
class _Pause:
    """Parent to child: bring what you have to its end before you ask again."""


@dataclass(frozen=True)
class _Gone:
    """From the thread that listens to a child: it will say no more."""


def work(settings: Settings, planned: Iterable[Planned], listen: Listener) -> None:
    """Like Worker.work, in one child process after another until every clip has come to its end.

    Raises what ends a worker as a whole, and SetupError when one dies without any clip being at fault.
    """
    from foleygen.weights import store

    store.resolve(settings.model)  # a wrong name is told at once
    desk = _Desk(planned, listen)
    while not desk.is_done:
        desk.begin()
        code = _Child(settings).serve(desk)
        if not desk.is_done:
            desk.bury(code)


class _Desk:
    """Hands out the clips, and knows which ones are out."""

    def __init__(self, planned: Iterable[Planned], listen: Listener) -> None:
        self._waiting = iter(planned)
        self._listen = listen
        self._suspects: deque[Planned] = deque()
        self._out: dict[Path, Planned] = {}
        self._is_alone = self._is_loading = self._has_ended_one = self._is_empty = False

    @property
    def is_done(self) -> bool:
        return self._is_empty and not self._out and not self._suspects

    def begin(self) -> None:
        """A new child comes to the desk."""
        self._is_alone = self._is_loading = self._has_ended_one = False

    def order(self) -> Planned | _Pause | None:
        """What the child does next; None when there is nothing left."""
        check_stop()
        if self._is_alone and self._out:
            return _Pause()
        self._is_alone = bool(self._suspects)
        item = replace(self._suspects.popleft(), alone=True) if self._suspects else next(self._waiting, None)
        if item is None:
            self._is_empty = True
            return None
        self._out[item.output] = item
        return item

    def hear(self, event: Event) -> None:
        """Note what has ended, and tell it on."""
        if isinstance(event, Loading):
            self._is_loading = not event.done
        if isinstance(event, ENDS):
            self._out.pop(event.output, None)
            self._has_ended_one = True
        self._listen(event)

    def bury(self, code: int) -> None:
        """The child died with this exit code: find out whose fault it was, or what to try."""
        # While the models are loaded a clip may be decoded, but not one that is tried alone.
        if self._is_loading and (self._is_alone or not self._out):
            raise _fault(code)(f"the worker process {_end(code)} while it loaded the model", _remedy(code))
        guilty = list(self._out.values())
        self._out.clear()
        if not guilty and not self._has_ended_one:
            remedy = _remedy(code) if _has_little_memory(code) else "run 'foleygen doctor'"
            raise _fault(code)(f"the worker process {_end(code)} before it had a clip", remedy)
        if len(guilty) == 1 and self._is_alone:
            (item,) = guilty
            kind = RetryableError if _has_little_memory(code) else ClipError
            error = kind(f"{item.clip.path}: the worker process {_end(code)} on it", _remedy(code))
            self._listen(ClipFailed(item.clip.path, item.output, error))
        else:
            log.warning("the worker process %s; its clips are tried again one by one", _end(code))
            self._suspects.extendleft(reversed(guilty))


class _Child:
    """One worker process, seen from its parent."""

    def __init__(self, settings: Settings) -> None:
        context = multiprocessing.get_context("spawn")
        takes, self._orders = context.Pipe(duplex=False)
        self._reports, gives = context.Pipe(duplex=False)
        level = logging.getLogger(LOGGER).getEffectiveLevel()
        self._process = context.Process(target=_live, args=(settings, takes, gives, level), name="foleygen worker")
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._broke: Broke | None = None
        self._ends = takes, gives

    def serve(self, desk: _Desk) -> int:
        """Begin the child and give it its clips until it ends; its exit code. Raises what the child raised."""
        try:
            self._begin()
            for message in iter(self._inbox.get, _Gone()):
                self._answer(message, desk)
        except BaseException as error:
            if self._process.pid is not None:
                self._stop(desk if isinstance(error, Interrupted | KeyboardInterrupt) else None)
            raise
        self._process.join()
        if self._broke is not None:
            raise self._broke.error
        code = self._process.exitcode or 0
        if code in STOPPED:
            raise Interrupted(STOPPED[code])
        return code

    def _begin(self) -> None:
        """Start the child and listen to it. It is born with signals held back, until it knows what to do about them."""
        held = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            self._process.start()
            threading.Thread(target=self._read, daemon=True).start()
        finally:
            for end in self._ends:
                end.close()
            signal.pthread_sigmask(signal.SIG_SETMASK, held)

    def _answer(self, message: Any, desk: _Desk) -> None:
        if isinstance(message, _Ask):
            with suppress(OSError):  # it died meanwhile, and the inbox says so next
                self._orders.send(desk.order())
        elif isinstance(message, logging.LogRecord):
            logging.getLogger(message.name).handle(message)
        elif isinstance(message, Broke):
            message.error.add_note(message.trace)
            self._broke = message
        else:
            desk.hear(message)

    def _stop(self, desk: _Desk | None) -> None:
        """Let the child clean up and end; what it still has to tell is for ``desk``."""
        self._orders.close()
        self._process.terminate()
        if self._process.pid is not None and hasattr(signal, "SIGCONT"):
            with suppress(OSError):  # one that was stopped (SIGSTOP) hears nothing until it goes on
                os.kill(self._process.pid, signal.SIGCONT)
        last_call = threading.Timer(ORPHAN_GRACE_S, self._process.kill)
        last_call.daemon = True
        last_call.start()
        for message in iter(self._inbox.get, _Gone()):
            if desk is not None and isinstance(message, Event):
                desk.hear(message)
        self._process.join()
        last_call.cancel()

    def _read(self) -> None:
        """In a thread of its own, which no signal interrupts in the middle of a message."""
        try:
            while True:
                self._inbox.put(self._reports.recv())
        except (EOFError, OSError):
            self._inbox.put(_Gone())
        except Exception as error:
            self._inbox.put(Broke(error, "in what the worker process told"))
            self._inbox.put(_Gone())
            self._process.terminate()


def _live(settings: Settings, orders: Connection, reports: Connection, level: int) -> None:
    """A child's life and its end. What Python would do then, take torch apart piece by piece, takes 0.2 s, for which
    the parent would wait."""
    code = 0
    try:
        _serve(settings, orders, reports, level)
    except SystemExit as stop:
        code = int(stop.code or 0)
    sys.stderr.flush()
    os._exit(code)


def _serve(settings: Settings, orders: Connection, reports: Connection, level: int) -> None:
    """All that a child does."""
    outbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    sender = threading.Thread(target=_send, args=(outbox, reports), daemon=True)
    sender.start()
    try:
        _obey_signals()
        threading.Thread(target=_follow_parent, daemon=True).start()
        os.dup2(2, 1)  # results are the parent's
        log_to(outbox, level)
        _work(settings, orders, outbox)
    except Interrupted as stop:
        raise SystemExit(int(stop.exit_code)) from None
    except BaseException as error:
        outbox.put(Broke.by(error))
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        outbox.put(_Gone())
        sender.join()


def _work(settings: Settings, orders: Connection, outbox: queue.SimpleQueue[Any]) -> None:
    from foleygen.batch.loading import load_bundle
    from foleygen.batch.worker import Worker

    desk = _Counter(orders, outbox)
    worker = Worker(settings, load_bundle(settings))
    while desk.is_open:
        worker.work(desk.clips(), outbox.put)


class _Counter:
    """The parent's desk, seen from the child."""

    def __init__(self, orders: Connection, outbox: queue.SimpleQueue[Any]) -> None:
        self._orders = orders
        self._outbox = outbox
        self.is_open = True

    def clips(self) -> Iterator[Planned]:
        """The clips up to the next pause, each when it is asked for."""
        while True:
            self._outbox.put(_Ask())
            try:
                order = self._orders.recv()
            except (EOFError, OSError):
                order = None
            if isinstance(order, _Pause):
                return
            if order is None:
                self.is_open = False
                return
            yield order


def _send(outbox: queue.SimpleQueue[Any], reports: Connection) -> None:
    """In a thread of its own, which no signal interrupts in the middle of a message."""
    with suppress(OSError):
        for message in iter(outbox.get, _Gone()):
            try:
                reports.send(message)
            except (TypeError, AttributeError, pickle.PicklingError) as error:
                reports.send(Broke(RuntimeError(f"{type(message).__name__}: {error}"), ""))


def _obey_signals() -> None:
    """The parent passes a stop on as SIGTERM. SIGINT goes to everyone at a terminal, and is the parent's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _interrupt)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    signal.signal(signum, signal.SIG_IGN)
    interrupt(signum)


def _follow_parent() -> None:
    """End when the parent has ended without a word."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(ORPHAN_GRACE_S)
    os._exit(128 + signal.SIGTERM)


def _end(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def _has_little_memory(code: int) -> bool:
    """Whether it died as processes do whose memory is limited ('ulimit -v'), and is."""
    if code >= 0 and code not in (1, 127):
        return False
    try:
        import resource
    except ImportError:
        return False
    limits = (resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA))
    return -code != signal.SIGKILL and any(limit != resource.RLIM_INFINITY for limit in limits)


def _fault(code: int) -> type[FoleygenError]:
    return RetryableError if _has_little_memory(code) else SetupError


def _remedy(code: int) -> str:
    if _has_little_memory(code):
        return "its memory is limited: raise 'ulimit -v'"
    if code == -signal.SIGKILL:
        return "if memory ran out, use --batch-size 1, or a machine with more of it"
    return "export it again with another codec"
