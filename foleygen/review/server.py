"""The page on a loopback address, with what only a program can do: save beside the clips, pick, make again.

The server is Starlette on uvicorn: byte ranges, limits and HTTP itself are theirs. Whoever knows the random token in
the address may use it, and nobody else: another Host, Origin, token or path is refused before anything is looked up.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from foleygen.errors import FoleygenError, SetupError
from foleygen.review import page
from foleygen.review.desk import Desk
from foleygen.settings import Settings

HOST = "127.0.0.1"
MOST_BYTES = 4 * 2**20
"""Of what a page may send."""
_GRACE_S = 1

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def serve(folder: Path, port: int, settings: Settings, tell: Callable[[str], None]) -> None:
    """Serve ``folder`` until a signal ends it; ``tell`` hears the address, once it answers.

    Raises Interrupted for that signal, SetupError for a library or a port that is missing, UsageError or NoClipsError
    for the folder.
    """
    try:
        import uvicorn
    except ImportError as error:
        raise SetupError("review --serve needs starlette and uvicorn", "pip install 'foleygen[review]'") from error
    desk = Desk(folder, settings)
    listening = _listening(port)
    token = secrets.token_urlsafe(24)
    port = listening.getsockname()[1]
    config = uvicorn.Config(
        application(desk, token, port),
        log_level="critical",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
        lifespan="off",
    )
    tell(f"http://{HOST}:{port}/{token}/")
    try:
        uvicorn.Server(config).run(sockets=[listening])
    finally:
        desk.stop()
        listening.close()


def _listening(port: int) -> socket.socket:
    """A socket that only this machine reaches. Raises SetupError."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((HOST, port))
        made.listen()
    except OSError as error:
        made.close()
        raise SetupError(f"port {port} of {HOST} cannot be used ({error.strerror})", "choose another --port") from error
    return made


def application(desk: Desk, token: str, port: int) -> App:
    """What answers at ``http://127.0.0.1:PORT/TOKEN/``."""
    from starlette.applications import Starlette
    from starlette.routing import Mount, Route

    from foleygen.review import answers

    routes = [
        Route("/", answers.shown),
        Route("/files/{id}/{what}", answers.media),
        Route("/pictures/{id}/{part}", answers.drawn),
        Route("/clip/{id}", answers.facts),
        Route("/seen/{id}", answers.seen, methods=["PUT"]),
        Route("/cues/{id}", answers.cues, methods=["PUT"]),
        Route("/pick/{id}/{take:int}", answers.picked, methods=["POST"]),
        Route("/render/{id}", answers.begun, methods=["POST"]),
        Route("/render", answers.progress),
    ]
    handlers: dict[Any, Any] = {FoleygenError: answers.refused}
    made = Starlette(routes=[Mount(f"/{token}", routes=routes)], exception_handlers=handlers)
    made.state.desk = desk
    return Guard(made, token, port)


class Guard:
    """Stands before the application: what does not come from the page goes no further."""

    def __init__(self, inner: Any, token: str, port: int) -> None:
        self._inner = inner
        self._token = token
        self._hosts = (f"{HOST}:{port}", f"localhost:{port}")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        from starlette.responses import PlainTextResponse

        if scope["type"] != "http":
            return
        reason = self._objection(scope)
        if reason is not None:
            await PlainTextResponse(f"{reason}\n", 403)(scope, receive, send)
            return

        async def sealed(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *_SEALS]
            await send(message)

        await self._inner(scope, receive, sealed)

    def _objection(self, scope: Scope) -> str | None:
        """Why a request is refused; None if it is the page's."""
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if headers.get("host") not in self._hosts:
            return "This server answers to its own name alone."
        if headers.get("origin", f"http://{headers['host']}") != f"http://{headers['host']}":
            return "This server answers to its own page alone."
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return "This server answers to its own page alone."
        given = str(scope["path"]).removeprefix("/").partition("/")[0]
        if not secrets.compare_digest(given.encode("utf-8", "surrogateescape"), self._token.encode()):
            return "The address lacks its token; use the one that was printed."
        if int(headers.get("content-length") or 0) > MOST_BYTES:
            return "That is more than a page may send."
        return None


_SEALS = [
    (b"content-security-policy", f"{page.policy()}; frame-ancestors 'none'".encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
]
