"""The page and the API of who is ready for a meeting; the API of meetings to come, and of how two places would hear each other."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from netwatch import conference, rollcall
from netwatch._legs import legs_of
from netwatch.conference import LEVELS, Leg
from netwatch.history import HistoryFailed
from netwatch.lang.writing import rfc3339
from netwatch.model import Meeting, Site
from netwatch.rollcall import Sitting
from netwatch.snapshot import Snapshot
from netwatch.web.api import answer, json_error
from netwatch.web.backend import BACKEND, SETUP, Backend
from netwatch.web.board import Reader
from netwatch.web.known import COLUMNS
from netwatch.web.page import PAGES, html
from netwatch.web.reader import reader_of
from netwatch.web.readiness import Judged, Told, hall_of
from netwatch.wording.conference import do_text, reason_text, ring

__all__ = ["add_routes"]

USUAL_MINUTES = 60
MOST_MINUTES = 60 * 24 * 31
LEG_SECONDS = 600.0
KEPT_SECONDS = 10.0
AD_HOC = "ad-hoc"


@dataclass(kw_only=True, eq=False)
class _Kept:
    """The ways as last read: many who follow the page live are told of a change at the same time."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    wall: float = -math.inf
    legs: dict[str, Leg] = field(default_factory=dict)


KEPT: web.AppKey[_Kept] = web.AppKey("legs", _Kept)


class _BadQuery(Exception):
    """The query asks for what cannot be."""


async def readiness(request: web.Request) -> web.Response:
    """`?before=` minutes (60), `&sites=` ids by commas, `&meeting=` its name; without a meeting in that time, as if one began then."""
    backend = request.app[BACKEND]
    snapshot = backend.snapshot()
    try:
        asked = _asked_sites(request, backend.inventory().sites)
        sitting, planned = _sitting(request, backend, snapshot)
    except _BadQuery as error:
        return json_error(400, "bad_query", str(error))
    try:
        legs = await _legs(request, snapshot)
    except HistoryFailed as failure:
        return json_error(503, "history_failed", str(failure))
    reader = reader_of(request)
    judged = [one for one in judged_of(backend, snapshot, sitting, legs, reader) if not asked or one.view.site.id in asked]
    return answer(document(snapshot, sitting, judged, reader, planned=planned))


async def hall(request: web.Request) -> web.Response:
    return await _hall(request, "hall.html")


async def hall_fragment(request: web.Request) -> web.Response:
    return await _hall(request, "conference.html")


async def _hall(request: web.Request, template: str) -> web.Response:
    """`?meeting=` and `?before=` as the API; what cannot be is left aside: a page that people keep open outlives a meeting."""
    backend, reader = request.app[BACKEND], reader_of(request)
    snapshot, asked, failed = backend.snapshot(), request.query.get("meeting", ""), False
    try:
        sitting, planned = _sitting(request, backend, snapshot)
    except _BadQuery:
        asked, (sitting, planned) = "", _as_usual(request, backend, snapshot)
    try:
        legs = await _legs(request, snapshot)
    except HistoryFailed:
        legs, failed = {}, True
    coming = rollcall.sittings(backend.inventory().meetings, snapshot.wall, reader.zone, within_seconds=MOST_MINUTES * 60)
    judged = judged_of(backend, snapshot, sitting, legs, reader)
    shown = hall_of(snapshot, sitting, judged, next(iter(coming), None), reader, planned=planned, failed=failed)
    fields = {"hall": shown, "live": shown, "here": "conference", "columns": COLUMNS, "asked": asked}
    return html(request, request.app[PAGES].render(template, reader, **fields))


async def meetings(request: web.Request) -> web.Response:
    """`?before=` minutes: those that are on or begin in that time."""
    backend, zone = request.app[BACKEND], request.app[SETUP].zone
    wall, sites = backend.snapshot().wall, backend.inventory().sites
    try:
        found = rollcall.sittings(backend.inventory().meetings, wall, zone, within_seconds=_minutes(request, MOST_MINUTES) * 60)
    except _BadQuery as error:
        return json_error(400, "bad_query", str(error))
    listed = [{**_about(one, zone), "sites": rollcall.places_of(one.meeting, sites)} for one in found]
    return answer({"schema": "netwatch/v1/meetings", "wall": rfc3339(wall, zone), "meetings": listed})


async def matrix(request: web.Request) -> web.Response:
    """How every two communes would hear each other, by the way of each to the bridge over the last ten minutes: a prediction."""
    backend, zone = request.app[BACKEND], request.app[SETUP].zone
    snapshot = backend.snapshot()
    try:
        legs = await _legs(request, snapshot)
    except HistoryFailed as failure:
        return json_error(503, "history_failed", str(failure))
    pairs = [
        {
            "one": one,
            "other": other,
            "rtt_seconds": pair.rtt_seconds,
            "jitter_seconds": pair.jitter_seconds,
            "loss_ratio": pair.loss_ratio,
            "video_hd": pair.video.value,
        }
        for (one, other), pair in conference.matrix({site: leg for site, leg in legs.items() if _is_commune(backend, site)}).items()
    ]
    since = rfc3339(snapshot.wall - LEG_SECONDS, zone)
    return answer(
        {"schema": "netwatch/v1/prediction", "prediction": True, "wall": rfc3339(snapshot.wall, zone), "since": since, "pairs": pairs}
    )


def judged_of(backend: Backend, snapshot: Snapshot, sitting: Sitting, legs: Mapping[str, Leg], reader: Reader) -> list[Judged]:
    """Every place of it with what hinders it, in the reader's words; the worst first, and as the inventory has them among equals."""
    views = {view.site.id: view for view in snapshot.sites}
    hotline, found = backend.inventory().settings.power_hotline, []
    for evidence in backend.evidence(sitting, legs):
        view, readiness_of = views[evidence.site], conference.readiness(evidence)
        used = rollcall.line_in_use(view)
        told = tuple(
            Told(
                reason=reason,
                text=reason_text(reason, reader.words, snapshot.wall, reader.zone),
                do=do_text(reason, reader.words),
                ring=ring(reason, view.site, used.line if used else None, hotline),
            )
            for reason in readiness_of.reasons
        )
        found.append(Judged(view=view, evidence=evidence, readiness=readiness_of, told=told))
    return sorted(found, key=lambda one: -LEVELS.index(one.readiness.level))


def document(snapshot: Snapshot, sitting: Sitting, judged: Sequence[Judged], reader: Reader, *, planned: bool) -> dict[str, Any]:
    places = [
        {"site": one.view.site.id, "name": one.view.site.name, "level": one.readiness.level, "reasons": list(_reasons(one.told))}
        for one in judged
    ]
    levels = {level: sum(place["level"] == level for place in places) for level in LEVELS}
    about = {**_about(sitting, reader.zone), "planned": planned}
    return {
        "schema": "netwatch/v1/conference",
        "wall": rfc3339(snapshot.wall, reader.zone),
        "meeting": about,
        "levels": levels,
        "places": places,
    }


def _reasons(told: Iterable[Told]) -> Iterator[dict[str, Any]]:
    for one in told:
        yield {
            "level": one.reason.level,
            "code": one.reason.code,
            "text": one.text,
            "do": one.do,
            "ring": one.ring.text(),
            "values": {name: value for name, value in one.reason.fields.items() if not isinstance(value, str)},
        }


def _about(sitting: Sitting, zone: Any) -> dict[str, Any]:
    return {
        "name": sitting.meeting.id,
        "starts": rfc3339(sitting.starts, zone),
        "ends": rfc3339(sitting.ends, zone),
        "rate_bits_per_second": sitting.meeting.rate_bits_per_second,
    }


def _is_commune(backend: Backend, site: str) -> bool:
    return backend.inventory().sites[site].kind == "commune"


async def _legs(request: web.Request, snapshot: Snapshot) -> dict[str, Leg]:
    """Of ten minutes, so some seconds of age do not matter. Raises HistoryFailed."""
    backend, kept, wall = request.app[BACKEND], request.app[KEPT], snapshot.wall
    async with kept.lock:
        if abs(wall - kept.wall) >= KEPT_SECONDS:
            kept.legs = await legs_of(snapshot.sites, backend.inventory().checks, backend.samples, wall - LEG_SECONDS, wall)
            kept.wall = wall
        return kept.legs


def _asked_sites(request: web.Request, sites: Mapping[str, Site]) -> frozenset[str]:
    asked = frozenset(filter(None, request.query.get("sites", "").split(",")))
    unknown = sorted(asked - sites.keys())
    if unknown:
        raise _BadQuery(f"no sites {', '.join(unknown)[:200]}; /api/v1/summary lists them")
    return asked


def _minutes(request: web.Request, usual: int) -> int:
    try:
        minutes = int(request.query.get("before", usual))
    except ValueError:
        minutes = 0
    if not 1 <= minutes <= MOST_MINUTES:
        raise _BadQuery(f"before: 1 to {MOST_MINUTES} minutes")
    return minutes


def _sitting(request: web.Request, backend: Backend, snapshot: Snapshot) -> tuple[Sitting, bool]:
    minutes, name, known = _minutes(request, USUAL_MINUTES), request.query.get("meeting", ""), backend.inventory().meetings
    within = MOST_MINUTES * 60 if name else minutes * 60
    found = rollcall.sittings(known, snapshot.wall, request.app[SETUP].zone, within_seconds=within)
    chosen = next((one for one in found if name in {"", one.meeting.id}), None)
    if chosen is not None:
        return chosen, True
    if name:
        raise _BadQuery(
            f"no meeting {name[:80]!r} in the next {MOST_MINUTES // 1440} days; there are: {', '.join(one.meeting.id for one in found)}"[
                :500
            ]
        )
    return _as_if(snapshot.wall + minutes * 60), False


def _as_usual(request: web.Request, backend: Backend, snapshot: Snapshot) -> tuple[Sitting, bool]:
    within = USUAL_MINUTES * 60
    found = rollcall.sittings(backend.inventory().meetings, snapshot.wall, request.app[SETUP].zone, within_seconds=within)
    return (found[0], True) if found else (_as_if(snapshot.wall + within), False)


def _as_if(starts: float) -> Sitting:
    return Sitting(meeting=Meeting(id=AD_HOC, matcher=""), starts=starts, ends=starts + 7_200.0)


def add_routes(app: web.Application) -> None:
    app[KEPT] = _Kept()
    app.router.add_get("/conference", hall)
    app.router.add_get("/fragment/conference", hall_fragment)
    app.router.add_get("/api/v1/conference", readiness)
    app.router.add_get("/api/v1/conference/meetings", meetings)
    app.router.add_get("/api/v1/conference/matrix", matrix)
