"""A SIP device that answers OPTIONS, over UDP, TCP or TLS: 200, or 503 while it takes no calls."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable
from typing import Any

__all__ = ["SipOverUdp", "answer", "converse"]

COPIED = re.compile(rb"(?m)^(?:Via|From|To|Call-ID|CSeq): .*\r$")
LONGEST_BYTES = 8192
PATIENCE_SECONDS = 10.0


def answer(request: bytes, *, takes_calls: bool) -> bytes:
    """RFC 3261 section 8.2.6; empty for what is no OPTIONS."""
    if not request.startswith(b"OPTIONS "):
        return b""
    status = b"SIP/2.0 200 OK\r\n" if takes_calls else b"SIP/2.0 503 Service Unavailable\r\nRetry-After: 1\r\n"
    copied = b"".join(line + b"\n" for line in COPIED.findall(request))
    return (
        status
        + copied.replace(b"\r\nCall-ID", b";tag=lab\r\nCall-ID")
        + b"Server: lab\r\nAllow: INVITE, OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )


class SipOverUdp(asyncio.DatagramProtocol):
    def __init__(self, takes_calls: Callable[[], bool]) -> None:
        self._takes_calls = takes_calls
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if answered := answer(data, takes_calls=self._takes_calls()):
            self._transport.sendto(answered, addr)


async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, takes_calls: Callable[[], bool]) -> None:
    """Answers each request on a connection until the peer goes."""
    try:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                while True:
                    writer.write(answer(await reader.readuntil(b"\r\n\r\n"), takes_calls=takes_calls()))
                    await writer.drain()
    finally:
        writer.transport.abort()
