"""What every request passes: whom we answer to, headers that keep a browser safe, errors as JSON under /api."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from netwatch.web.api import json_error
from netwatch.web.backend import SETUP

__all__ = ["guard"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
CSP = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"  # no inline script or style
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    setup = request.app[SETUP]
    if not setup.control and _host_name(request.headers.get("Host", "")) not in setup.allowed_hosts:
        # DNS rebinding: a page of somebody else's must not read us through a name of its own.
        return json_error(421, "misdirected", "this name is not one of netwatch's")
    try:
        return await handler(request)
    except web.HTTPException as ending:
        if not request.path.startswith("/api/") or ending.status < 400:
            raise
        failed = json_error(ending.status, ending.reason.casefold().replace(" ", "_"), ending.text or ending.reason)
        for name in ("Allow", "Retry-After"):
            if name in ending.headers:
                failed.headers[name] = ending.headers[name]
        return failed


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """For `on_response_prepare`, which also sees aiohttp's own errors and streams."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.pop("Server", None)


def _host_name(host: str) -> str:
    """`[::1]:9780` → `::1`, `localhost:9780` → `localhost`."""
    if host.startswith("["):
        return host[1:].partition("]")[0].casefold()
    name, _, port = host.rpartition(":")
    return (name if name and port.isdecimal() else host).rstrip(".").casefold()
