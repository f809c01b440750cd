"""The API of what has happened, and of what the inventory in force comes to."""

from __future__ import annotations

import asyncio
import datetime as dt
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiohttp import web

from netwatch.history import HistoryFailed
from netwatch.inventory import flatten
from netwatch.lang.writing import rfc3339
from netwatch.model import Settings
from netwatch.web import documents
from netwatch.web.api import answer, json_error
from netwatch.web.backend import BACKEND, SETUP
from netwatch.web.reader import reader_of

__all__ = ["add_routes", "moment", "reach"]

DAY_SECONDS = 86_400.0
USUAL_LIMIT = 200
MOST = 10_000


async def transitions(request: web.Request) -> web.Response:
    """`?since=` (RFC 3339 or seconds since 1970; a day when left out), `&site=`, `&limit=`; newest first."""
    return await _listed(request, request.app[BACKEND].transitions, documents.transitions)


async def incidents(request: web.Request) -> web.Response:
    """Those that were open then or later; asked for in the same way."""
    return await _listed(request, request.app[BACKEND].incidents, documents.incidents)


async def _listed(
    request: web.Request, ask: Callable[[str | None, float, int], Awaitable[Sequence[Any]]], document: Callable[..., documents.Document]
) -> web.Response:
    snapshot, site = request.app[BACKEND].snapshot(), request.query.get("site")
    try:
        since, limit = reach(request, snapshot.wall - DAY_SECONDS)
    except ValueError as error:
        return json_error(400, "bad_query", str(error))
    try:
        found = await ask(site, since, limit + 1)
    except HistoryFailed as failure:
        return json_error(503, "history_failed", str(failure))
    return answer(document(snapshot, found[:limit], reader_of(request), complete=len(found) <= limit))


async def inventory(request: web.Request) -> web.Response:
    """As `path: value`, for `netwatch inventory diff`."""
    found = request.app[BACKEND].inventory()
    entries = await asyncio.get_running_loop().run_in_executor(None, flatten, found)
    return answer({"schema": "netwatch/v1/inventory", "entries": entries})


async def traps(request: web.Request) -> web.Response:
    """`?after=` the number of the last one known; the oldest first."""
    try:
        after = int(request.query.get("after", 0))
    except ValueError:
        return json_error(400, "bad_query", "after: a number")
    backend, zone = request.app[BACKEND], request.app[SETUP].zone
    found = [{**one, "wall": rfc3339(float(str(one["wall"])), zone)} for one in backend.traps(after)]
    return answer({"schema": "netwatch/v1/traps", "listening_at": _trap_port(backend.inventory().settings), "traps": found})


async def devices(request: web.Request) -> web.Response:
    """The register of equipment. Serial numbers are for those who run netwatch only."""
    backend, zone = request.app[BACKEND], request.app[SETUP].zone
    found = [
        {
            **one,
            **{name: one[name] and rfc3339(one[name], zone) for name in ("first_seen", "last_seen")},
            "changes": [{**change, "wall": rfc3339(change["wall"], zone)} for change in one["changes"]],
        }
        for one in backend.devices()
    ]
    return answer({"schema": "netwatch/v1/devices", "wall": rfc3339(backend.snapshot().wall, zone), "devices": found})


def _trap_port(settings: Settings) -> str:
    host = f"[{settings.trap_listen}]" if ":" in settings.trap_listen else settings.trap_listen
    return f"{host}:{settings.trap_port}" if host else ""


def reach(request: web.Request, otherwise: float) -> tuple[float, int]:
    """`?since=` (`otherwise` when left out) and `&limit=`. Raises ValueError."""
    since = moment(request.query.get("since", ""), otherwise)
    limit = int(request.query.get("limit", USUAL_LIMIT))
    if not 1 <= limit <= MOST:
        raise ValueError(f"limit: 1 to {MOST}")
    return since, limit


def moment(text: str, otherwise: float) -> float:
    """Wall seconds of RFC 3339 or of a number. Raises ValueError."""
    if not text:
        return otherwise
    try:
        wall = float(text)
    except ValueError:
        written = dt.datetime.fromisoformat(text)
        if written.tzinfo is None:
            raise ValueError("a time needs its offset, such as +07:00") from None
        wall = written.timestamp()
    if not math.isfinite(wall):
        raise ValueError("not a time")
    return wall


def add_routes(app: web.Application) -> None:
    app.router.add_get("/api/v1/transitions", transitions)
    app.router.add_get("/api/v1/incidents", incidents)
    if app[SETUP].control:
        app.router.add_get("/api/v1/inventory", inventory)
        app.router.add_get("/api/v1/traps", traps)
        app.router.add_get("/api/v1/devices", devices)
