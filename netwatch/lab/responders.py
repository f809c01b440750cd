"""The TCP and HTTP services of the lab's devices: one listener an address and port, so that a closed port is refused."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

__all__ = ["Responders", "Service"]

HEAD_LIMIT_BYTES = 8192
PATIENCE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Service:
    site: str
    device: str
    address: str
    port: int
    http: bool


@dataclass(slots=True)
class Responders:
    """Keeps a listener open for each service whose device is alive."""

    services: Iterable[Service]
    alive: Callable[[str, str], bool]
    port_offset: int = 0
    _open: dict[Service, asyncio.Server] = field(default_factory=dict)

    async def refresh(self) -> None:
        """Opens and closes listeners as devices come and go. Raises OSError when an address or port cannot be had."""
        for service in self.services:
            alive = self.alive(service.site, service.device)
            if alive and service not in self._open:
                handler = _answer_http if service.http else _hold
                self._open[service] = await asyncio.start_server(
                    handler, service.address, service.port + self.port_offset, limit=HEAD_LIMIT_BYTES
                )
            elif not alive and service in self._open:
                self._open.pop(service).close()

    def close(self) -> None:
        while self._open:
            self._open.popitem()[1].close()


async def _answer_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One small page for any request, then the end."""
    with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        async with asyncio.timeout(PATIENCE_SECONDS):
            await reader.readuntil(b"\r\n\r\n")
            body = b"<!doctype html><title>lab</title>ok\n"
            head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode() + body)
            await writer.drain()
    writer.close()


async def _hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A port that opens and says nothing, until the peer goes."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await reader.read(HEAD_LIMIT_BYTES):
                pass
    writer.close()
