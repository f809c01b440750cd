"""The page, the API and /metrics over HTTP, in the daemon's own loop."""

from __future__ import annotations

import datetime as dt
from collections.abc import Container

from aiohttp import web

from netwatch.lang.writing import VIETNAM
from netwatch.web import acts, api, blackbox, conference, guard, line, line_test, links, page, quality, records, stream
from netwatch.web.backend import BACKEND, SETUP, Backend, Overloaded, Setup

__all__ = ["Backend", "Overloaded", "make_app"]

LARGEST_REQUEST_BYTES = 16 * 1024


def make_app(
    backend: Backend,
    *,
    control: bool,
    allowed_hosts: Container[str],
    language: str = "vi",
    zone: dt.tzinfo = VIETNAM,
    streams: stream.Streams | None = None,
) -> web.Application:
    """`control` adds the requests that change something: for the unix socket only. Host names are without port."""
    app = web.Application(middlewares=[guard.guard], client_max_size=LARGEST_REQUEST_BYTES)
    app[BACKEND] = backend
    app[SETUP] = Setup(control=control, allowed_hosts=allowed_hosts, language=language, zone=zone)
    app[stream.STREAMS] = streams or stream.Streams()
    app[page.PAGES] = page.load()
    page.add_routes(app)
    api.add_routes(app)
    records.add_routes(app)
    line.add_routes(app)
    quality.add_routes(app)
    conference.add_routes(app)
    acts.add_routes(app)
    if not control:
        links.add_routes(app)
        line_test.add_routes(app)
    blackbox.add_routes(app)
    app.router.add_get("/api/v1/events", stream.events)
    app.on_response_prepare.append(guard.add_headers)
    app.on_shutdown.append(stream.stop)
    return app
