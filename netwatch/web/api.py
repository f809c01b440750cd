"""The handlers that speak JSON, and /metrics."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from netwatch.history import HistoryFailed
from netwatch.lang.writing import rfc3339
from netwatch.snapshot import SiteView, Snapshot
from netwatch.web import documents
from netwatch.web.backend import BACKEND, SETUP, Overloaded
from netwatch.web.reader import reader_of
from netwatch.web.stream import STREAMS

__all__ = ["EVENTS_SHOWN_SECONDS", "MOST_EVENTS", "add_routes", "answer", "find_site", "json_error"]

EVENTS_SHOWN_SECONDS = 7 * 86400.0
MOST_EVENTS = 50
MOST_PAGES = 1_000
CHECK_PATH = "/api/v1/checks/{check:[^/]+/[^/]+/[^/]+}/run"
TEST_PATH = "/api/v1/checks/{check:[^/]+/[^/]+/[^/]+}/test"


def answer(document: Mapping[str, Any], status: int = 200) -> web.Response:
    body = json.dumps(document, ensure_ascii=False, allow_nan=False)
    return web.Response(text=body, status=status, content_type="application/json", charset="utf-8")


def json_error(status: int, code: str, text: str) -> web.Response:
    return answer(documents.error(code, text), status)


def find_site(snapshot: Snapshot, slug: str) -> SiteView | None:
    return next((view for view in snapshot.sites if view.site.id == slug), None)


async def summary(request: web.Request) -> web.Response:
    return answer(documents.summary(request.app[BACKEND].snapshot(), reader_of(request)))


async def site(request: web.Request) -> web.Response:
    backend, slug = request.app[BACKEND], request.match_info["slug"]
    snapshot = backend.snapshot()
    view = find_site(snapshot, slug)
    if view is None:
        return json_error(404, "no_such_site", f"no site {slug!r}; /api/v1/summary lists them")
    transitions = await backend.transitions(slug, snapshot.wall - EVENTS_SHOWN_SECONDS, MOST_EVENTS)
    return answer(documents.site(snapshot, view, transitions, reader_of(request)))


async def metrics(request: web.Request) -> web.Response:
    try:
        body = await request.app[BACKEND].metrics(len(request.app[STREAMS].scopes))
    except Overloaded:
        return web.Response(status=503, text="a scrape is being rendered; try again\n", headers={"Retry-After": "1"})
    return web.Response(body=body, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


async def healthz(request: web.Request) -> web.Response:
    """Answers as long as the loop does; the body says what is not well."""
    own = request.app[BACKEND].snapshot().self_view
    healthy = own.inventory_ok and own.database_ok
    return answer(
        {
            "schema": "netwatch/v1/health",
            "ok": healthy,
            "version": own.version,
            "inventory_ok": own.inventory_ok,
            "database_ok": own.database_ok,
        }
    )


async def reload(request: web.Request) -> web.Response:
    accepted, messages = await request.app[BACKEND].reload()
    return answer({"schema": "netwatch/v1/reload", "ok": accepted, "messages": list(messages)}, 200 if accepted else 422)


async def prune(request: web.Request) -> web.Response:
    try:
        before, after = await request.app[BACKEND].prune()
    except HistoryFailed as failure:
        return json_error(503, "history_failed", str(failure))
    return answer({"schema": "netwatch/v1/prune", "bytes_before": before, "bytes_after": after})


async def run_check(request: web.Request) -> web.Response:
    check = request.match_info["check"]
    if not request.app[BACKEND].check_now(check, request.headers.get("X-Netwatch-Who", "")[:60]):
        return json_error(404, "no_such_check", f"no check {check!r}")
    return answer({"schema": "netwatch/v1/run", "check": check, "accepted": True}, 202)


async def test_line(request: web.Request) -> web.Response:
    """`?full=1` for the long one."""
    check, backend, full = request.match_info["check"], request.app[BACKEND], request.query.get("full", "") == "1"
    told = await (backend.full_test if full else backend.test_line)(check, request.headers.get("X-Netwatch-Who", "")[:60])
    if told is None:
        return json_error(404, "no_such_check", f"{check!r} tests no line")
    return answer({"schema": "netwatch/v1/line-test", "check": check, **told})


async def full_test_cost(request: web.Request) -> web.Response:
    check = request.match_info["check"]
    told = request.app[BACKEND].full_test_cost(check)
    if told is None:
        return json_error(404, "no_such_check", f"{check!r} tests no line, or its far end dials in")
    return answer({"schema": "netwatch/v1/full-test-cost", "check": check, **told})


async def pagers(request: web.Request) -> web.Response:
    return answer({"schema": "netwatch/v1/pagers", "pagers": list(request.app[BACKEND].pagers())})


async def outbox(request: web.Request) -> web.Response:
    backend, zone = request.app[BACKEND], request.app[SETUP].zone
    pages = [{**page, "wall": rfc3339(float(str(page["wall"])), zone)} for page in backend.outbox()[:MOST_PAGES]]
    return answer(
        {"schema": "netwatch/v1/outbox", "wall": rfc3339(backend.snapshot().wall, zone), "count": len(backend.outbox()), "pages": pages}
    )


async def try_pager(request: web.Request) -> web.Response:
    name = request.match_info["pager"]
    try:
        error = await request.app[BACKEND].try_pager(name, request.headers.get("X-Netwatch-Who", "")[:60])
    except KeyError:
        return json_error(404, "no_such_pager", f"no pager {name!r}")
    return answer({"schema": "netwatch/v1/trial", "pager": name, "ok": not error, "error": error})


def add_routes(app: web.Application) -> None:
    app.router.add_get("/api/v1/summary", summary)
    app.router.add_get("/api/v1/sites/{slug}", site)
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/healthz", healthz)
    if app[SETUP].control:
        app.router.add_post("/api/v1/reload", reload)
        app.router.add_post("/api/v1/prune", prune)
        app.router.add_post(CHECK_PATH, run_check)
        app.router.add_post(TEST_PATH, test_line)
        app.router.add_get(TEST_PATH, full_test_cost)
        app.router.add_get("/api/v1/pagers", pagers)
        app.router.add_get("/api/v1/outbox", outbox)
        app.router.add_post("/api/v1/pagers/{pager}/try", try_pager)
