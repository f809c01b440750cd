"""Live updates by server-sent events: only "something changed" goes out, so a slow reader needs no queue."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from aiohttp import web

from netwatch.web.backend import BACKEND, Backend

__all__ = ["STREAMS", "Streams", "events", "stop"]


@dataclass(kw_only=True, eq=False)
class Streams:
    """The open event streams of one application."""

    limit: int = 64
    alive_seconds: float = 10.0
    pace_seconds: float = 1.0  # at most one event in so long, to each client
    write_seconds: float = 20.0  # a client that takes nothing for so long is let go
    scopes: set[asyncio.Timeout] = field(default_factory=set)
    stopping: bool = False

    @contextlib.asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """A stream's life; TimeoutError ends it from outside."""
        async with asyncio.timeout(None) as scope:
            self.scopes.add(scope)
            try:
                yield
            finally:
                self.scopes.discard(scope)

    def stop(self) -> None:
        """Ends every stream at once: an open one holds up aiohttp's cleanup for ten seconds."""
        self.stopping = True
        for scope in self.scopes:
            scope.reschedule(asyncio.get_running_loop().time())


STREAMS: web.AppKey[Streams] = web.AppKey("streams", Streams)


async def stop(app: web.Application) -> None:
    app[STREAMS].stop()


async def events(request: web.Request) -> web.StreamResponse:
    """`changed` with the revision at once and at each change, `alive` in between: a browser script cannot see comments.

    `rechecking`: some site's state is being asked about again.
    """
    streams = request.app[STREAMS]
    if streams.stopping or len(streams.scopes) >= streams.limit:
        raise web.HTTPServiceUnavailable(headers={"Retry-After": "15"}, text="too many event streams; poll /api/v1/summary")
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )
    # TimeoutError is the end from outside; ConnectionError is a client that has gone.
    with contextlib.suppress(TimeoutError, ConnectionError):
        async with streams.one():
            await response.prepare(request)
            await _feed(response, request.app[BACKEND], streams, request.headers.get("Last-Event-ID", ""))
    return response


async def _feed(response: web.StreamResponse, backend: Backend, streams: Streams, last_id: str) -> None:
    revision = backend.snapshot().revision
    # The first event always goes out, unless the reader says it has just this one: it may come from before a restart.
    await _write(response, streams, "retry: 3000\n\n")
    await _write(response, streams, _event("alive" if last_id == str(revision) else "changed", revision, backend))
    while True:
        try:
            async with asyncio.timeout(streams.alive_seconds):
                revision = await backend.changed(revision)
        except TimeoutError:
            await _write(response, streams, ": alive\n" + _event("alive", revision, backend))
            continue
        await _write(response, streams, _event("changed", revision, backend))
        await asyncio.sleep(streams.pace_seconds)


def _event(kind: str, revision: int, backend: Backend) -> str:
    snapshot = backend.snapshot()
    data = json.dumps(
        {
            "revision": revision,
            "wall": round(snapshot.wall, 3),
            "started": snapshot.self_view.started_wall,
            "rechecking": snapshot.rechecking() > 0,
        }
    )
    return f"id: {revision}\nevent: {kind}\ndata: {data}\n\n"


async def _write(response: web.StreamResponse, streams: Streams, text: str) -> None:
    async with asyncio.timeout(streams.write_seconds):
        await response.write(text.encode())
