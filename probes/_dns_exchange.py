"""One DNS question to one resolver, each time from a port of its own: nothing is cached, here or by anyone on the way."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Sequence

from probes import ProbeFailed, Target, _connect
from probes._connect import Address
from probes._wire import dns as wire

__all__ = ["ask", "ask_over_tcp"]

LENGTH_BYTES = 2
# A question without EDNS allows 512 over UDP; what a resolver sends all the same is read, and no more than a few pages of it.
MOST_BYTES = 16 << 10
MOST_STRANGERS = 100
DEADLINE_MARGIN_SECONDS = 0.05


async def ask(question: wire.Question, addresses: Sequence[Address], target: Target) -> wire.Answer:
    """Over UDP, and over TCP where the answer did not fit, as every stub resolver does (RFC 7766 section 5).

    Only the resolver itself can answer: the socket is connected to it. Raises ProbeFailed, OSError.
    """
    answer = await _over_udp(question, addresses[0], target.source)
    if not answer.truncated:
        return answer
    try:
        async with asyncio.timeout_at(target.deadline - DEADLINE_MARGIN_SECONDS):
            return await ask_over_tcp(question, addresses[:1], target)
    except TimeoutError as error:
        raise ProbeFailed("truncated", "the answer did not fit UDP, and over TCP none came") from error
    except ConnectionError as error:
        raise ProbeFailed("truncated", f"the answer did not fit UDP, and over TCP: {os.strerror(error.errno or 0)}") from error


async def _over_udp(question: wire.Question, address: Address, source: str | None) -> wire.Answer:
    family, where = address
    loop = asyncio.get_running_loop()
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as connection:
        if source is not None:
            connection.bind((source, 0))
        connection.connect(where)
        await loop.sock_sendall(connection, question.to_wire())
        for _ in range(MOST_STRANGERS):
            data = await loop.sock_recv(connection, MOST_BYTES)
            with contextlib.suppress(wire.NotOurs):
                return _read(data, question)
    raise ProbeFailed("bad_response", f"{MOST_STRANGERS} answers, none to the question's id")


async def ask_over_tcp(question: wire.Question, addresses: Sequence[Address], target: Target) -> wire.Answer:
    """The same over a connection of its own, its opening included. Raises ProbeFailed, OSError."""
    connection = await _connect.connect(addresses, target.source)
    with connection:
        await asyncio.get_running_loop().sock_sendall(connection, question.to_wire(prepend_length=True))
        length = int.from_bytes(await _exactly(connection, LENGTH_BYTES))
        if length > MOST_BYTES:
            raise ProbeFailed("bad_response", f"an answer of {length} bytes")
        try:
            answer = _read(await _exactly(connection, length), question)
        except wire.NotOurs as error:
            raise ProbeFailed("bad_response", "an answer with another id") from error
    if answer.truncated:
        raise ProbeFailed("bad_response", "an answer over TCP that says it is truncated")
    return answer


async def _exactly(connection: socket.socket, length: int) -> bytes:
    found = bytearray()
    while len(found) < length:
        part = await asyncio.get_running_loop().sock_recv(connection, length - len(found))
        if not part:
            raise ProbeFailed("bad_response", "connection closed before the answer was whole")
        found += part
    return bytes(found)


def _read(data: bytes, question: wire.Question) -> wire.Answer:
    try:
        return wire.read(data, question)
    except wire.CnameLoop as error:
        raise ProbeFailed("cname_loop", str(error)) from error
    except wire.BadAnswer as error:
        raise ProbeFailed("bad_response", str(error)) from error
