"""Where the applications listen: the page on a socket the caller opened, the control API on a unix socket."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from netwatch.model import Settings
from netwatch.web import make_app
from netwatch.web.backend import Backend

__all__ = ["serve"]

SHUTDOWN_SECONDS = 2.0


async def serve(
    stack: contextlib.AsyncExitStack, backend: Backend, settings: Settings, *, listener: socket.socket | None, control_path: Path | None
) -> None:
    """Listens until the stack is closed. A stale control socket is replaced: whoever calls holds the state directory."""
    hosts = frozenset({"localhost", "127.0.0.1", "::1", "[::1]", settings.listen})
    if listener is not None:
        page = make_app(backend, control=False, allowed_hosts=hosts, language=settings.language)
        await _start(stack, page, lambda runner: web.SockSite(runner, listener))
    if control_path is not None:
        control_path.parent.mkdir(parents=True, exist_ok=True)
        control_path.unlink(missing_ok=True)  # noqa: ASYNC240  # once, at start
        control = make_app(backend, control=True, allowed_hosts=hosts, language=settings.language)
        await _start(stack, control, lambda runner: web.UnixSite(runner, control_path))
        control_path.chmod(0o660)  # noqa: ASYNC240  # once, at start


async def _start(stack: contextlib.AsyncExitStack, app: web.Application, site: Callable[[web.AppRunner], web.BaseSite]) -> None:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await site(runner).start()
