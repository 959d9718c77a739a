"""What the server answers to each request of the page; errors become one sentence in JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response

from foleygen.errors import FoleygenError, UsageError, printable
from foleygen.review.desk import BusyError, ChangedError, Desk, OutsideError
from foleygen.review.server import MOST_BYTES

_FRESH = {"cache-control": "no-store"}
_TYPES = {".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/mp4", ".webm": "video/webm", ".wav": "audio/wav"}
"""Browsers play what QuickTime wrote if it is not called by its name."""


def shown(request: Request) -> Response:
    """The page, as the folder is now."""
    return HTMLResponse(_desk(request).page(), headers=_FRESH)


def media(request: Request) -> Response:
    """A clip, a take or the clip's own sound, whole or the bytes that are asked for."""
    path = _desk(request).media(_id(request), request.path_params["what"])
    kind = _TYPES.get(path.suffix.lower(), "application/octet-stream")
    return FileResponse(path, media_type=kind, headers={"cache-control": "private, max-age=3600"})


def drawn(request: Request) -> Response:
    """What is drawn of a clip."""
    part = request.path_params["part"]
    if part not in ("seen", "heard"):
        raise UsageError("the page asks for pictures that there are not", "reload it")
    return JSONResponse(_desk(request).pictures(_id(request), part))


def facts(request: Request) -> Response:
    """What is known of a clip now."""
    return _facts(_desk(request), _id(request))


def seen(request: Request) -> Response:
    """Remember that somebody has looked at a clip."""
    _desk(request).note_seen(_id(request))
    return JSONResponse({})


async def cues(request: Request) -> Response:
    """Save the cues of a clip, if nobody else did since the page read them."""
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > MOST_BYTES:
            raise UsageError("these are more cues than a clip can have", "save fewer")
    desk, name = _desk(request), _id(request)
    await run_in_threadpool(desk.save, name, _wanted(request), content)
    return await run_in_threadpool(_facts, desk, name)


def picked(request: Request) -> Response:
    """Put another take into a clip."""
    desk, name = _desk(request), _id(request)
    desk.pick(name, _wanted(request), request.path_params["take"])
    return _facts(desk, name)


def begun(request: Request) -> Response:
    """Begin to make a clip again."""
    _desk(request).render(_id(request), _wanted(request))
    return JSONResponse({}, 202)


def progress(request: Request) -> Response:
    """How far that is."""
    return JSONResponse(asdict(_desk(request).progress()), headers=_FRESH)


def refused(request: Request, error: Exception) -> Response:
    """An error as the page tells it."""
    assert isinstance(error, FoleygenError)
    statuses: dict[type[FoleygenError], int] = {ChangedError: 412, BusyError: 409, OutsideError: 403}
    status = statuses.get(type(error), 422)
    document = {"message": printable(error.message), "remedy": printable(error.remedy)}
    return JSONResponse(document, status, headers=_FRESH)


def _desk(request: Request) -> Desk:
    found: Desk = request.app.state.desk
    return found


def _id(request: Request) -> str:
    return str(request.path_params["id"])


def _wanted(request: Request) -> str:
    """The tag that what is to be changed must have (RFC 9110, If-Match)."""
    given = request.headers.get("if-match", "").strip().strip('"')
    if not given:
        raise UsageError("the page does not say which version it has", "reload it")
    return given


def _facts(desk: Desk, name: str) -> Response:
    found: dict[str, Any] = asdict(desk.facts(name))
    return JSONResponse(found, headers=_FRESH)
