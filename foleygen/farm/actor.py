"""What runs in a Ray worker process: the models of one bundle, and a clip at a time."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from queue import SimpleQueue
from typing import TYPE_CHECKING

from foleygen import __version__
from foleygen.batch.events import Event
from foleygen.batch.outbox import Broke, log_to
from foleygen.batch.plan import Planned
from foleygen.errors import Interrupted, SetupError
from foleygen.settings import Settings

if TYPE_CHECKING:
    from foleygen.batch.worker import Worker


Message = Event | logging.LogRecord | Broke


class ClipActor:
    """Works on clips with one bundle, whose models stay on the device between them; ``level`` is what it logs."""

    def __init__(self, settings: Settings, level: int) -> None:
        self._settings = settings
        self._level = level
        self._worker: Worker | None = None
        self._stopped = threading.Event()
        self._outbox: SimpleQueue[Message | None] = SimpleQueue()

    def ready(self, folder: str, version: str) -> None:
        """Go to the driver's ``folder``, from which relative paths are meant, and log to the driver.

        Raises SetupError on a machine that does not have it, or has not the driver's ``version`` of foleygen.
        """
        host = socket.gethostname()
        if version != __version__:
            fact = f"{host}: has foleygen {__version__}, the batch was started with {version}"
            raise SetupError(fact, "install the same everywhere")
        try:
            os.chdir(folder)
        except OSError as error:
            fact = f"{folder}: not on {host} ({error.strerror})"
            raise SetupError(fact, "start from a folder that all machines of the cluster share") from error
        log_to(self._outbox, self._level)

    def work(self, item: Planned) -> Iterator[Message]:
        """What happens while ``item`` comes to its end, as it happens; after ``stop`` it may not come to it."""
        thread = threading.Thread(target=self._bring_to_end, args=(item,), name="foleygen work")
        thread.start()
        while (message := self._outbox.get()) is not None:
            yield message
        thread.join()

    def stop(self) -> None:
        """Give up the clip under way, as a signal would; called while ``work`` runs."""
        self._stopped.set()

    def _bring_to_end(self, item: Planned) -> None:
        try:
            if self._worker is None:
                from foleygen.batch.loading import load_bundle
                from foleygen.batch.worker import Worker

                self._worker = Worker(self._settings, load_bundle(self._settings))
            self._worker.work([replace(item, alone=True)], self._tell)
        except Interrupted:
            pass
        except BaseException as error:
            self._outbox.put(Broke.by(error))
        finally:
            self._outbox.put(None)

    def _tell(self, event: Event) -> None:
        if self._stopped.is_set():
            raise Interrupted(signal.SIGTERM)
        self._outbox.put(event)
