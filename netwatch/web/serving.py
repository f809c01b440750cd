"""Where the applications listen: the page on a socket the caller opened, the control API on a unix socket."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from netwatch.links import host_of
from netwatch.model import Settings
from netwatch.web import make_app
from netwatch.web.backend import Backend

__all__ = ["ControlRefused", "serve"]

SHUTDOWN_SECONDS = 2.0
KNOCK_SECONDS = 2.0


class ControlRefused(Exception):
    """The unix socket cannot be had. `taken`: another daemon listens there."""

    def __init__(self, path: Path, why: str, *, taken: bool = False, permission: bool = False) -> None:
        self.path = path
        self.why = why
        self.taken = taken
        self.permission = permission
        super().__init__(f"{path}: {why}")


async def serve(
    stack: contextlib.AsyncExitStack, backend: Backend, settings: Settings, *, listener: socket.socket | None, control_path: Path | None
) -> None:
    """Listens until the stack is closed. A control socket that nobody listens on is replaced. Raises ControlRefused."""
    hosts = frozenset({"localhost", "127.0.0.1", "::1", "[::1]", settings.listen, host_of(settings.page_url)} - {""})
    if listener is not None:
        page = make_app(backend, control=False, allowed_hosts=hosts, language=settings.language)
        await _start(stack, page, lambda runner: web.SockSite(runner, listener))
    if control_path is not None:
        control = make_app(backend, control=True, allowed_hosts=hosts, language=settings.language)
        try:
            _make_way(control_path)
            await _start(stack, control, lambda runner: web.UnixSite(runner, control_path))
            stack.callback(_take_away, control_path, control_path.stat().st_ino)  # noqa: ASYNC240  # once, at start
            control_path.chmod(0o660)  # noqa: ASYNC240  # once, at start
        except OSError as error:
            raise ControlRefused(control_path, error.strerror or str(error), permission=isinstance(error, PermissionError)) from error


def _make_way(path: Path) -> None:
    """Makes the folder. asyncio replaces what a daemon that was killed has left, but would also replace a socket in use.

    Raises OSError, and ControlRefused when somebody listens.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError, ConnectionRefusedError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock:
        knock.settimeout(KNOCK_SECONDS)
        knock.connect(str(path))
        raise ControlRefused(path, os.strerror(errno.EADDRINUSE), taken=True)


def _take_away(path: Path, inode: int) -> None:
    """Unless another has put its own in this place since."""
    with contextlib.suppress(OSError):
        if path.lstat().st_ino == inode:
            path.unlink()


async def _start(stack: contextlib.AsyncExitStack, app: web.Application, site: Callable[[web.AppRunner], web.BaseSite]) -> None:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await site(runner).start()
