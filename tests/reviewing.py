"""A folder to review, and the server over it in a thread."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finished import Made, finish

from foleygen.errors import ClipError
from foleygen.record import failures
from foleygen.settings import Settings

TOKEN = "a-token-of-the-tests"
STRANGE = "<img src=x onerror=alert(1)> & \"'.mp4"
"""A name that is nothing but a name."""


def folder_of(folder: Path, bundle: Path) -> Made:
    """Three finished clips, one below a folder, and one that failed; the first has three takes and sound of its own."""
    made = finish(folder, bundle, name="door.mp4", own_sound=[48000], count=50)
    finish(folder, bundle, name=STRANGE, takes=1, count=25)
    finish(folder / "more", bundle, name="step 2.mp4", takes=2, count=25, level=0.999, start=None)
    error = ClipError("broken.mp4: holds no picture data", "copy or export it again")
    failures.write(folder / "broken.mp4", folder / "broken.foley.mp4", error)
    return made


@dataclass
class Served:
    """A server that runs."""

    address: str
    desk: Any

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> tuple[int, bytes, Any]:
        """Status, body and headers of an answer."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.address + path, body, named, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            return error.code, error.read(), error.headers

    def json(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> tuple[int, Any]:
        """Status, and the JSON of the answer."""
        status, content, _ = self.ask(path, method, body, **headers)
        return status, json.loads(content)

    def clip(self, name: str) -> dict[str, Any]:
        """What the server knows of the clip with that name."""
        output = next(key for key, path in self.desk._outputs.items() if path.name == name)
        found: dict[str, Any] = self.json(f"clip/{output}")[1]
        return found


@contextmanager
def served(folder: Path, model: Path | str = "tiny") -> Iterator[Served]:
    """``foleygen review FOLDER --serve`` without its signals."""
    import uvicorn

    from foleygen.review import server
    from foleygen.review.desk import Desk

    desk = Desk(folder, Settings(model=str(model), cache=False, device="cpu"))
    listening = server._listening(0)
    port = listening.getsockname()[1]
    config = uvicorn.Config(server.application(desk, TOKEN, port), log_level="critical", lifespan="off")
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        while not running.started:
            time.sleep(0.01)
        yield Served(f"http://127.0.0.1:{port}/{TOKEN}/", desk)
    finally:
        running.should_exit = running.force_exit = True
        thread.join()
        desk.stop()
        listening.close()
