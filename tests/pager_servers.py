"""A service behind a pager that misbehaves as scripted, one request each, and then behaves; for any pager over HTTP.

async with hostile(Telegram(), Status(429, {"Retry-After": "7"}), HANG) as server:
    ... server.url, server.service.messages, await server.wait_for(3)
"""

import asyncio
import contextlib
import enum
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.servers import http_server


class Mode(enum.Enum):
    BEHAVE = "behave"
    HANG = "takes the request and never answers"
    LOST = "does what was asked, then drops the connection before it answers"
    RESET = "drops the connection at once"
    NOT_HTTP = "answers with something that is not HTTP"
    DRIP = "a header at a time, for ever"
    HALF = "an accepted answer whose body never ends"
    BIG = "200 and ten megabytes"
    GARBAGE = "200 and something else's page"
    OK_FALSE = "200 that refuses in its body"


HANG, LOST = Mode.HANG, Mode.LOST
ANSWERED_WITH_200 = frozenset({Mode.HALF, Mode.BIG, Mode.GARBAGE, Mode.OK_FALSE})
BIG_BYTES = 10_000_000


@dataclass(frozen=True)
class Status:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""


@dataclass
class Hostile:
    """Misbehaves as scripted, one request each, then as `default` says for ever.

    With `status_alone` any 2xx is an acceptance, as of a webhook: then what was asked is done, whatever the body says.
    """

    service: Any
    script: list[Mode | Status] = field(default_factory=list)
    default: Mode | Status = Mode.BEHAVE
    url: str = ""
    asked: int = 0
    sent_bytes: int = 0
    status_alone: bool = False
    over: asyncio.Event = field(default_factory=asyncio.Event)  # whoever hangs may go
    _arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def wait_for(self, count: int) -> None:
        """Returns once that many requests have come."""
        async with asyncio.timeout(30), self._arrived:
            await self._arrived.wait_for(lambda: self.asked >= count)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        mode = self.script.pop(0) if self.script else self.default
        self.asked += 1
        async with self._arrived:
            self._arrived.notify_all()
        if isinstance(mode, Status):
            await request.read()
            return web.Response(status=mode.status, headers=mode.headers, text=mode.body)
        if mode is Mode.BEHAVE:
            return await self.service(request)
        if mode is Mode.LOST or (self.status_alone and mode in ANSWERED_WITH_200):
            await self.service(request)
        else:
            await request.read()
        return await self._misbehave(mode, request)

    async def _misbehave(self, mode: Mode, request: web.Request) -> web.StreamResponse:
        if mode is Mode.OK_FALSE:
            return web.json_response({"ok": False, "error": "invalid", "status": "invalid event", "description": "no"})
        if mode is Mode.GARBAGE:
            return web.Response(text="<html><title>Sign in to the hotel's network</title>", content_type="text/html")
        if mode in {Mode.BIG, Mode.HALF}:
            return await self._stream(request, BIG_BYTES if mode is Mode.BIG else 0)
        transport = request.transport
        assert transport is not None
        if mode is Mode.NOT_HTTP:
            transport.write(b"SSH-2.0-OpenSSH_9.2p1\r\n")
        if mode is Mode.DRIP:
            transport.write(b"HTTP/1.1 200 OK\r\nX-A: ")
        if mode in {Mode.HANG, Mode.DRIP}:
            await self.over.wait()
        transport.close()
        return web.Response()

    async def _stream(self, request: web.Request, size: int) -> web.StreamResponse:
        stream = web.StreamResponse(headers={"Content-Type": "application/json"})
        await stream.prepare(request)
        await stream.write(b'{"ok":')
        with contextlib.suppress(OSError):  # the other side has read enough
            while self.sent_bytes < size:
                await stream.write(b" " * 10_000)
                self.sent_bytes += 10_000
            if not size:
                await self.over.wait()
        return stream


@contextlib.asynccontextmanager
async def hostile(
    service: Callable[[web.Request], Awaitable[web.StreamResponse]], *script: Mode | Status, default: Mode | Status = Mode.BEHAVE
) -> AsyncIterator[Hostile]:
    server = Hostile(service, list(script), default)
    async with http_server(server.answer) as server.url:
        try:
            yield server
        finally:
            server.over.set()
