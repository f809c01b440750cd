"""The services of the lab's devices but SNMP: one listener an address and port, so that a closed port is refused."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from aiohttp import web

from netwatch.lab.h323 import Gatekeeper
from netwatch.lab.meetings import Meetings, own_certificate
from netwatch.lab.pexip import Manager
from netwatch.lab.poly import Room
from netwatch.lab.sip import SipOverUdp, converse

__all__ = ["Responders", "Service", "ServiceKind"]

HEAD_LIMIT_BYTES = 8192
PATIENCE_SECONDS = 10.0
ServiceKind: TypeAlias = Literal["hold", "http", "tls", "sip-udp", "sip-tcp", "sip-tls", "ras", "poly", "pexip"]


class Listener(Protocol):
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Service:
    site: str
    device: str
    address: str
    port: int
    kind: ServiceKind


@dataclass(slots=True)
class Responders:
    """Keeps a listener open for each service whose device is alive."""

    services: Iterable[Service]
    alive: Callable[[str, str], bool]
    meetings: Meetings
    port_offset: int = 0
    _open: dict[Service, Listener] = field(default_factory=dict)
    _certificate: ssl.SSLContext | None = None

    async def refresh(self) -> None:
        """Opens and closes listeners as devices come and go. Raises OSError when an address or port cannot be had."""
        for service in self.services:
            alive = self.alive(service.site, service.device)
            if alive and service not in self._open:
                self._open[service] = await self._listen(service)
            elif not alive and service in self._open:
                self._open.pop(service).close()

    def close(self) -> None:
        while self._open:
            self._open.popitem()[1].close()

    async def _listen(self, service: Service) -> Listener:
        at = service.address, service.port + self.port_offset
        whose = service.site, service.device
        loop, takes_calls = asyncio.get_running_loop(), functools.partial(self.meetings.takes_calls, *whose)
        match service.kind:
            case "hold" | "http":
                return await asyncio.start_server(_answer_http if service.kind == "http" else _hold, *at, limit=HEAD_LIMIT_BYTES)
            case "tls":
                return await asyncio.start_server(_hold, *at, limit=HEAD_LIMIT_BYTES, ssl=self._own_certificate())
            case "sip-udp":
                return (await loop.create_datagram_endpoint(lambda: SipOverUdp(takes_calls), local_addr=at))[0]
            case "ras":
                return (await loop.create_datagram_endpoint(lambda: Gatekeeper(self.meetings.registered), local_addr=at))[0]
            case "sip-tcp" | "sip-tls":
                handler = functools.partial(converse, takes_calls=takes_calls)
                return await asyncio.start_server(
                    handler, *at, limit=HEAD_LIMIT_BYTES, ssl=self._own_certificate() if service.kind == "sip-tls" else None
                )
            case "poly":
                handle = Room(functools.partial(self.meetings.room, *whose)).handle
            case "pexip":
                handle = Manager(functools.partial(self.meetings.platform, *whose), loop.time).handle
        return await loop.create_server(web.Server(handle, access_log=None), *at, ssl=self._own_certificate())

    def _own_certificate(self) -> ssl.SSLContext:
        if self._certificate is None:
            self._certificate = own_certificate()
        return self._certificate


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
    try:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                while await reader.read(HEAD_LIMIT_BYTES):
                    pass
    finally:
        writer.close()
