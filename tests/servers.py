"""Small real peers on loopback, for tests of what talks to other programs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

HANG = 0  # an answer that never comes


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class HttpReceiver:
    """Takes requests and answers them as scripted: (status, headers), then `default` for ever. HANG never answers."""

    script: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    default: tuple[int, dict[str, str]] = (204, {})
    received: list[Received] = field(default_factory=list)
    url: str = ""
    _arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        status, headers = self.script.pop(0) if self.script else self.default
        self.received.append(Received(request.path, {name.lower(): value for name, value in request.headers.items()}, body))
        async with self._arrived:
            self._arrived.notify_all()
        if status == HANG:
            await asyncio.Event().wait()
        return web.Response(status=status, headers=headers, body=b"\xff{ not what anyone expects")

    async def wait_for(self, count: int) -> list[Received]:
        """The requests so far, once there are that many."""
        async with asyncio.timeout(30), self._arrived:
            await self._arrived.wait_for(lambda: len(self.received) >= count)
        return self.received


@contextlib.asynccontextmanager
async def http_server(handler: Any, port: int = 0) -> AsyncIterator[str]:
    """A plain aiohttp handler behind every path; gives its address."""
    server = web.Server(handler, access_log=None)
    runner = web.ServerRunner(server, shutdown_timeout=0.01)  # 0 would mean for ever
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    try:
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def http_receiver(*script: tuple[int, dict[str, str]], **options: Any) -> AsyncIterator[HttpReceiver]:
    receiver = HttpReceiver(script=list(script), **options)
    async with http_server(receiver.answer) as receiver.url:
        yield receiver
