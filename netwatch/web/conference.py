"""The API of who is ready for a meeting, of meetings to come, and of how two places would hear each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aiohttp import web

from netwatch import conference, rollcall
from netwatch._legs import legs_of
from netwatch.conference import LEVELS, Leg, Readiness
from netwatch.history import HistoryFailed
from netwatch.lang.writing import rfc3339
from netwatch.model import Meeting, Site
from netwatch.rollcall import Sitting
from netwatch.snapshot import Snapshot
from netwatch.web.api import answer, json_error
from netwatch.web.backend import BACKEND, SETUP, Backend
from netwatch.web.board import Reader
from netwatch.web.reader import reader_of
from netwatch.wording.conference import do_text, reason_text, ring

__all__ = ["add_routes"]

USUAL_MINUTES = 60
MOST_MINUTES = 60 * 24 * 31
LEG_SECONDS = 600.0
AD_HOC = "ad-hoc"


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
        legs = await _legs(backend, snapshot)
    except HistoryFailed as failure:
        return json_error(503, "history_failed", str(failure))
    evidence = [one for one in backend.evidence(sitting, legs) if not asked or one.site in asked]
    judged = sorted((conference.readiness(one) for one in evidence), key=lambda one: -LEVELS.index(one.level))
    return answer(document(backend, snapshot, sitting, judged, reader_of(request), planned=planned))


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
        legs = await _legs(backend, snapshot)
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


def document(
    backend: Backend, snapshot: Snapshot, sitting: Sitting, judged: Iterable[Readiness], reader: Reader, *, planned: bool
) -> dict[str, Any]:
    views = {view.site.id: view for view in snapshot.sites}
    places = []
    for one in judged:
        view = views[one.site]
        used = rollcall.line_in_use(view)
        reasons = [
            {
                "level": reason.level,
                "code": reason.code,
                "text": reason_text(reason, reader.words, snapshot.wall, reader.zone),
                "do": do_text(reason, reader.words),
                "ring": ring(reason, view.site, used.line if used else None, backend.inventory().settings.power_hotline).text(),
                "values": {name: value for name, value in reason.fields.items() if not isinstance(value, str)},
            }
            for reason in one.reasons
        ]
        places.append({"site": one.site, "name": view.site.name, "level": one.level, "reasons": reasons})
    levels = {level: sum(place["level"] == level for place in places) for level in LEVELS}
    about = {**_about(sitting, reader.zone), "planned": planned}
    return {
        "schema": "netwatch/v1/conference",
        "wall": rfc3339(snapshot.wall, reader.zone),
        "meeting": about,
        "levels": levels,
        "places": places,
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


async def _legs(backend: Backend, snapshot: Snapshot) -> dict[str, Leg]:
    return await legs_of(snapshot.sites, backend.inventory().checks, backend.samples, snapshot.wall - LEG_SECONDS, snapshot.wall)


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
    starts = snapshot.wall + minutes * 60
    return Sitting(meeting=Meeting(id=AD_HOC, matcher=""), starts=starts, ends=starts + 7_200.0), False


def add_routes(app: web.Application) -> None:
    app.router.add_get("/api/v1/conference", readiness)
    app.router.add_get("/api/v1/conference/meetings", meetings)
    app.router.add_get("/api/v1/conference/matrix", matrix)
