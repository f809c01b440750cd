"""The API of what people do: acknowledge, note, silence, plan work, take it back. All but the list is for the unix socket only."""

from __future__ import annotations

import json
import math
import pwd
import socket
import struct
from collections.abc import Mapping
from typing import Any, Literal

from aiohttp import web

from netwatch.history import HistoryFailed
from netwatch.lang import writing
from netwatch.lang.writing import rfc3339
from netwatch.matcher import Matcher, WrongMatcher, cover, parse
from netwatch.model import Human
from netwatch.snapshot import Snapshot, WindowView
from netwatch.web import documents
from netwatch.web.api import answer, json_error
from netwatch.web.backend import BACKEND, SETUP
from netwatch.web.reader import reader_of
from netwatch.web.records import moment, reach

__all__ = ["LONGEST_NOTE", "LONGEST_WHO", "add_routes"]

LONGEST_WHO = 60
LONGEST_NOTE = 500
LONGEST_WINDOW_SECONDS = 366 * 86_400.0
LONGEST_ETA_SECONDS = 30 * 86_400.0
ABOUT = "/api/v1/incidents/{incident:[0-9]{1,15}}/{action:acknowledge|unacknowledge|note}"


class Refused(Exception):
    """A request that cannot be taken: status, code and what is wrong."""

    def __init__(self, status: int, code: str, text: str) -> None:
        self.answer = json_error(status, code, text)
        super().__init__(text)


async def about(request: web.Request) -> web.Response:
    try:
        body = await _body(request)
        human = _about(request, body)
    except Refused as refused:
        return refused.answer
    backend = request.app[BACKEND]
    if backend.act(human) is None:
        return json_error(404, "no_such_incident", f"no open incident {human.incident}")
    snapshot = backend.snapshot()
    found = next((one for one in snapshot.incidents if one.id == human.incident), None)
    sites = {view.site.id: view for view in snapshot.sites}
    told = documents.incident(found, sites, reader_of(request)) if found else None
    return answer({"schema": "netwatch/v1/act", "action": human.action, "who": human.who, "incident": told})


def _about(request: web.Request, body: Mapping[str, Any]) -> Human:
    action: Literal["acknowledge", "unacknowledge", "note"] = request.match_info["action"]  # type: ignore[assignment]  # by the route
    who, via = _who(request, body)
    note, wall = _text(body, "note", LONGEST_NOTE), request.app[BACKEND].snapshot().wall
    until = _moment(body, "until") if action == "acknowledge" else None
    if until is not None and not 0 < until - wall <= LONGEST_ETA_SECONDS:
        raise Refused(422, "bad_until", "until: in the future, and within 30 days")
    if action == "note" and not note:
        raise Refused(422, "no_note", "a note needs its text")
    return Human(at=0.0, wall=wall, action=action, who=who, via=via, incident=int(request.match_info["incident"]), note=note, until=until)


async def windows(request: web.Request) -> web.Response:
    snapshot, reader = request.app[BACKEND].snapshot(), reader_of(request)
    listed = [documents.window(one, snapshot.wall, reader) for one in snapshot.windows]
    return answer({"schema": "netwatch/v1/windows", "wall": rfc3339(snapshot.wall, reader.zone), "windows": listed})


async def open_window(request: web.Request) -> web.Response:
    backend, reader = request.app[BACKEND], reader_of(request)
    try:
        human = _window(request, await _body(request))
    except Refused as refused:
        return refused.answer
    taken = backend.act(human)
    if taken is None:
        return json_error(422, "bad_window", "it ends before it begins, or is longer than 366 days")
    opened = WindowView(
        id=taken.window,
        kind="silence" if taken.action == "silence" else "maintenance",
        matcher=str(parse(taken.matcher)),
        starts=taken.wall if taken.starts is None else taken.starts,
        ends=taken.until or 0.0,
        who=taken.who,
        note=taken.note,
    )
    return answer({"schema": "netwatch/v1/window", **documents.window(opened, taken.wall, reader)}, 201)


def _window(request: web.Request, body: Mapping[str, Any]) -> Human:
    kind, who_via, wall = body.get("kind"), _who(request, body), request.app[BACKEND].snapshot().wall
    if kind not in ("silence", "maintenance"):
        raise Refused(422, "bad_kind", "kind: silence or maintenance")
    note = _text(body, "note", LONGEST_NOTE)
    if not note:
        raise Refused(422, "no_reason", "note: say why; whoever comes next must know")
    matcher = _matcher(body.get("matcher"))
    if not any(_covered(request.app[BACKEND].snapshot(), matcher)):
        raise Refused(422, "covers_nothing", f"{matcher}: no site, line or device is like that")
    starts, until = _moment(body, "starts"), _moment(body, "until")
    begins = wall if starts is None else starts
    if until is None or until <= max(begins, wall):
        raise Refused(422, "bad_until", "until: it must end, after it begins and in the future")
    if until - begins > LONGEST_WINDOW_SECONDS or begins - wall > LONGEST_WINDOW_SECONDS:
        raise Refused(422, "too_long", "until: 366 days at most")
    return Human(
        at=0.0, wall=wall, action=kind, who=who_via[0], via=who_via[1], matcher=str(matcher), note=note, starts=starts, until=until
    )


async def end_window(request: web.Request) -> web.Response:
    backend, number = request.app[BACKEND], int(request.match_info["window"])
    try:
        who, via = _who(request, await _body(request))
    except Refused as refused:
        return refused.answer
    known = next((one for one in backend.snapshot().windows if one.id == number > 0), None)
    taken = known and backend.act(Human(at=0.0, wall=0.0, action="end", who=who, via=via, window=number))
    if known is None or taken is None:
        return json_error(404, "no_such_window", f"no silence or maintenance {number}")
    return answer({"schema": "netwatch/v1/window", **documents.window(known, backend.snapshot().wall, reader_of(request)), "state": "over"})


async def preview(request: web.Request) -> web.Response:
    """What `?matcher=` covers: whole sites, else the lines and devices, and what is open now."""
    snapshot, reader = request.app[BACKEND].snapshot(), reader_of(request)
    try:
        matcher = _matcher(request.query.get("matcher"))
    except Refused as refused:
        return refused.answer
    whole, parts = _covered(snapshot, matcher)
    sites = {view.site.id: view for view in snapshot.sites}
    watched = {slug: view.site for slug, view in sites.items()}
    muted = [documents.incident(one, sites, reader) for one in snapshot.incidents if cover([matcher], one, watched)]
    return answer(
        {
            "schema": "netwatch/v1/preview",
            "wall": rfc3339(snapshot.wall, reader.zone),
            "matcher": str(matcher),
            "sites": [{"id": slug, "name": sites[slug].site.name} for slug in whole],
            "targets": parts,
            "incidents": muted,
        }
    )


def _covered(snapshot: Snapshot, matcher: Matcher) -> tuple[list[str], list[str]]:
    whole = [view.site.id for view in snapshot.sites if matcher.covers(view.site)]
    known = set(whole)
    targets = ((view.site, target.id) for view in snapshot.sites if view.site.id not in known for target in view.targets)
    return whole, [f"{site.id}/{target}" for site, target in targets if matcher.covers(site, target)]


async def humans(request: web.Request) -> web.Response:
    """The audit trail: `?since=`, `&incident=`, `&limit=`; newest first."""
    backend, zone = request.app[BACKEND], request.app[SETUP].zone
    try:
        since, limit = reach(request, 0.0)
        incident = int(request.query["incident"]) if "incident" in request.query else None
        if not 0 <= (incident or 0) < 10**15:
            raise ValueError("incident: the number of one")
    except ValueError as error:
        return json_error(400, "bad_query", str(error))
    try:
        found = await backend.humans(since, incident, limit + 1)
    except HistoryFailed as failure:
        return json_error(503, "history_failed", str(failure))
    wall = rfc3339(backend.snapshot().wall, zone)
    listed = [documents.human(one, reader_of(request)) for one in found[:limit]]
    return answer({"schema": "netwatch/v1/audit", "wall": wall, "complete": len(found) <= limit, "acts": listed})


async def _body(request: web.Request) -> Mapping[str, Any]:
    """The object that was sent. Raises Refused."""
    try:
        body = json.loads(await request.read() or b"{}", parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Refused(400, "bad_body", "not JSON") from None
    if not isinstance(body, dict):
        raise Refused(400, "bad_body", "not a JSON object")
    return body


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _text(body: Mapping[str, Any], name: str, longest: int) -> str:
    value = body.get(name, "")
    if not isinstance(value, str):
        raise Refused(422, f"bad_{name}", f"{name}: a text")
    return writing.clean(value, longest)


def _moment(body: Mapping[str, Any], name: str) -> float | None:
    """RFC 3339, or seconds since 1970."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Refused(422, f"bad_{name}", f"{name}: a time")
    try:
        wall = moment(str(value)[:60], math.nan)
    except (ValueError, OverflowError) as error:
        raise Refused(422, f"bad_{name}", f"{name}: {error}") from None
    if not 0 <= wall < 1e11:
        raise Refused(422, f"bad_{name}", f"{name}: not a time")
    return wall


def _matcher(text: object) -> Matcher:
    try:
        return parse(text if isinstance(text, str) else "")
    except WrongMatcher as error:
        raise Refused(422, "bad_matcher", writing.clean(str(error), 60)) from None


def _who(request: web.Request, body: Mapping[str, Any]) -> tuple[str, str]:
    """Who asks, and by which way: the name that is given, and always the account it came from."""
    account = _account(request)
    named = _text(body, "who", LONGEST_WHO)
    return (named, f"cli {account}") if named and named != account else (account, "cli")


def _account(request: web.Request) -> str:
    """The user at the other end of the unix socket, by SO_PEERCRED (unix(7)): it cannot be made up."""
    peer = request.transport.get_extra_info("socket") if request.transport else None
    if peer is None or peer.family != socket.AF_UNIX:
        return "?"
    user = struct.unpack("iII", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("iII")))[1]
    try:
        return writing.clean(pwd.getpwuid(user).pw_name, LONGEST_WHO)
    except KeyError:
        return str(user)


def add_routes(app: web.Application) -> None:
    app.router.add_get("/api/v1/windows", windows)
    if app[SETUP].control:
        app.router.add_post(ABOUT, about)
        app.router.add_post("/api/v1/windows", open_window)
        app.router.add_get("/api/v1/windows/preview", preview)
        app.router.add_post("/api/v1/windows/{window:[0-9]{1,15}}/end", end_window)
        app.router.add_get("/api/v1/audit", humans)
