"""The API of what a site's lines are like for a conference, from what history keeps of their trains of packets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, get_args

from aiohttp import web

from netwatch import quality
from netwatch._legs import MEASURES, trains_of
from netwatch.history import HistoryFailed
from netwatch.lang.writing import rfc3339
from netwatch.snapshot import CheckView, SiteView
from netwatch.web.api import answer, find_site, json_error
from netwatch.web.backend import BACKEND, SETUP

__all__ = ["add_routes"]

USUAL_MINUTES = 5
MOST_MINUTES = 1_440


async def of_site(request: web.Request) -> web.Response:
    """`?minutes=` (5), `&mos_method=` g107, simple or shortcut, `&meeting=1` to judge strictly, as is done while a meeting is on."""
    backend, slug = request.app[BACKEND], request.match_info["slug"]
    snapshot = backend.snapshot()
    view = find_site(snapshot, slug)
    if view is None:
        return json_error(404, "no_such_site", f"no site {slug!r}; /api/v1/summary lists them")
    try:
        minutes = int(request.query.get("minutes", USUAL_MINUTES))
        if not 1 <= minutes <= MOST_MINUTES:
            raise ValueError(f"minutes: 1 to {MOST_MINUTES}")
        method = _method(request.query.get("mos_method", "g107"))
    except ValueError as error:
        return json_error(400, "bad_query", str(error))
    strict = request.query.get("meeting", "") == "1" or backend.meeting_on(slug)
    since = snapshot.wall - minutes * 60
    found, checks = [], backend.inventory().checks
    for line, check in _measured(view):
        try:
            several = await trains_of(check, checks.get(check.id), backend.samples, since, snapshot.wall)
        except HistoryFailed as failure:
            return json_error(503, "history_failed", str(failure))
        judged = await asyncio.get_running_loop().run_in_executor(None, _judged, several, method, strict)
        found.append({"line": line, "check": check.id, "measured_by": check.kind, **judged})
    zone = request.app[SETUP].zone
    return answer(
        {
            "schema": "netwatch/v1/quality",
            "site": slug,
            "wall": rfc3339(snapshot.wall, zone),
            "since": rfc3339(since, zone),
            "meeting": strict,
            "lines": found,
        }
    )


def _method(text: str) -> quality.Method:
    for known in get_args(quality.Method):
        if text == known:
            return known  # type: ignore[no-any-return]  # get_args does not know what it gives
    raise ValueError(f"mos_method: {', '.join(get_args(quality.Method))}")


def _measured(view: SiteView) -> Iterator[tuple[str, CheckView]]:
    for target in view.targets:
        if target.line is not None:
            yield from ((target.id, check) for check in target.checks if check.kind in MEASURES)


def _judged(several: list[quality.Train], method: quality.Method, strict: bool) -> dict[str, Any]:
    found = quality.quality(several, method=method, strict=strict)
    if found is None:
        return {"sent": 0, "received": 0, "video_hd": "unknown"}
    voice = found.voice
    return {
        "sent": found.sent,
        "received": found.received,
        "loss_ratio": found.loss_ratio,
        "rtt_mean_seconds": found.mean_rtt_seconds,
        "rtt_seconds": {f"p{point}": value for point, value in found.rtt_seconds.items()},
        "jitter_seconds": found.jitter_seconds,
        "ipdv_p95_seconds": found.variation_p95_seconds,
        "voice_estimate": None if voice is None else {"r": voice.r, "mos": voice.mos, "mos_method": voice.method, "codec": voice.codec},
        "video_hd": found.video.value,
    }


def add_routes(app: web.Application) -> None:
    app.router.add_get("/api/v1/sites/{slug}/quality", of_site)
