"""One OPTIONS request and its answers, over a socket of its own: UDP with RFC 3261's retransmissions, TCP, TLS."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from probes import ProbeFailed, Target, _tls
from probes._connect import Address
from probes._wire import sip as wire

__all__ = ["Answer", "Asked", "Secured", "Transport", "over_stream", "over_udp"]

Transport: TypeAlias = Literal["udp", "tcp", "tls"]

T1_SECONDS = 0.5  # RFC 3261 section 17.1.1.1
T2_SECONDS = 4.0
TIMER_F_SECONDS = 64 * T1_SECONDS
MOST_BYTES = 64 << 10
MOST_STRANGERS = 100
DEADLINE_MARGIN_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of whom; the local end is known once there is a socket."""

    host: str
    port: int
    transport: Transport
    user: str

    def request(self, connection: socket.socket) -> wire.Options:
        host, port = connection.getsockname()[:2]
        branch, tag, call_id = (secrets.token_hex(length) for length in (12, 6, 16))
        return wire.Options(
            remote=(self.host, self.port),
            local=(host, port),
            transport=self.transport,
            branch=branch,
            tag=tag,
            call_id=call_id,
            user=self.user,
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """The final response. `seconds` are from when the request was first sent; `sent_again` says how often it was sent once more."""

    response: wire.Response
    seconds: float
    sent_again: int = 0


@dataclass(slots=True)
class Heard:
    """What came and was not the final answer."""

    provisional: str = ""
    strangers: int = 0

    def final(self, data: bytes, request: wire.Options) -> wire.Response | None:
        """The response, where it is ours and final. Raises ProbeFailed when too much came that is neither."""
        with contextlib.suppress(wire.BadMessage):
            response = wire.read(data)
            if request.is_answered_by(response):
                if response.is_final:
                    return response
                self.provisional = str(response.status)
                return None
        self.strangers += 1
        if self.strangers >= MOST_STRANGERS:
            raise ProbeFailed("bad_response", f"{MOST_STRANGERS} messages, none of them an answer to ours")
        return None

    def at_the_end(self) -> ProbeFailed | TimeoutError:
        if self.provisional:
            return ProbeFailed("timeout", f"a {self.provisional}, and then no answer")
        if self.strangers:
            return ProbeFailed("bad_response", "what came was not an answer to ours")
        return TimeoutError()


async def over_udp(asked: Asked, address: Address, target: Target) -> Answer:
    """Only the one asked can answer: the socket is connected to it. Raises ProbeFailed, OSError, TimeoutError."""
    family, where = address
    loop = asyncio.get_running_loop()
    heard, sends = Heard(), 0
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as connection:
        if target.source is not None:
            connection.bind((target.source, 0))
        connection.connect(where)
        request = asked.request(connection)
        began, wait = loop.time(), T1_SECONDS
        try:
            async with asyncio.timeout_at(min(target.deadline - DEADLINE_MARGIN_SECONDS, began + TIMER_F_SECONDS)):
                while True:
                    await loop.sock_sendall(connection, request.to_wire())
                    sends += 1
                    response = await _until(loop.time() + wait, connection, request, heard)
                    if response is not None:
                        return Answer(response, loop.time() - began, sends - 1)
                    # Timer E, section 17.1.2.2: doubled up to T2, and T2 at once where a provisional answer came.
                    wait = T2_SECONDS if heard.provisional else min(2 * wait, T2_SECONDS)
        except TimeoutError as error:
            raise heard.at_the_end() from error


async def _until(moment: float, connection: socket.socket, request: wire.Options, heard: Heard) -> wire.Response | None:
    """The final answer, if it comes by then."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout_at(moment):
            while True:
                response = heard.final(await loop.sock_recv(connection, MOST_BYTES), request)
                if response is not None:
                    return response
    return None


@dataclass(frozen=True, slots=True)
class Secured:
    """How TLS is spoken: `look` is shown the session before anything is sent, and may raise ProbeFailed."""

    context: ssl.SSLContext
    name: str
    look: Callable[[ssl.SSLObject], None]


async def over_stream(asked: Asked, connection: socket.socket, target: Target, secured: Secured | None) -> Answer:
    """Over an open connection, which is closed at the end, whatever happens. Raises ProbeFailed, OSError, TimeoutError."""
    loop = asyncio.get_running_loop()
    request = asked.request(connection)
    reader = asyncio.StreamReader(limit=MOST_BYTES)
    transport = await _open(connection, secured, asyncio.StreamReaderProtocol(reader))
    heard = Heard()
    try:
        if secured is not None:
            secured.look(transport.get_extra_info("ssl_object"))
        began = loop.time()
        transport.write(request.to_wire())
        async with asyncio.timeout_at(target.deadline - DEADLINE_MARGIN_SECONDS):
            while True:
                head = await _head(reader)
                response = heard.final(head, request)
                if response is not None:
                    return Answer(response, loop.time() - began)
                await _leave_out_body(reader, head)
    except TimeoutError as error:
        raise heard.at_the_end() from error
    finally:
        transport.abort()


async def _open(connection: socket.socket, secured: Secured | None, protocol: asyncio.Protocol) -> asyncio.Transport:
    if secured is not None:
        return await _tls.handshake(connection, secured.context, secured.name, protocol)
    try:
        transport, _ = await asyncio.get_running_loop().create_connection(lambda: protocol, sock=connection)
    except BaseException:
        connection.close()
        raise
    return transport


async def _head(reader: asyncio.StreamReader) -> bytes:
    """Of the next message. Empty lines before it keep a connection alive (RFC 5626 section 3.5.1). Raises ProbeFailed."""
    with _told_plainly():
        head = b""
        while not head.strip():
            head = await reader.readuntil(b"\r\n\r\n")
        wire.read(head)
    return head


async def _leave_out_body(reader: asyncio.StreamReader, head: bytes) -> None:
    with _told_plainly():
        length = wire.content_length(wire.read(head))
        if length > MOST_BYTES:
            raise ProbeFailed("too_large", f"a body of {length} bytes")
        await reader.readexactly(length)


@contextlib.contextmanager
def _told_plainly() -> Iterator[None]:
    try:
        yield
    except asyncio.LimitOverrunError as error:
        raise ProbeFailed("too_large", f"headers of more than {MOST_BYTES} bytes") from error
    except asyncio.IncompleteReadError as error:
        raise ProbeFailed("bad_response", "connection closed before an answer") from error
    except wire.BadMessage as error:
        raise ProbeFailed("bad_response", str(error)) from error
