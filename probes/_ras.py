"""One question by RAS and its answer, over a UDP socket of its own. Only the one asked can answer: the socket is connected to it."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass

from probes._connect import Address
from probes._wire import h225 as wire

__all__ = ["Answer", "ask"]

REPEAT_SECONDS = 1.0
MOST_STRANGERS = 100
MOST_BYTES = 4096
LARGEST_SEQUENCE = 65_535


@dataclass(frozen=True, slots=True)
class Answer:
    heard: wire.Heard
    seconds: float  # since it was first asked


async def ask(
    make: Callable[[int, tuple[str, int]], bytes], address: Address, source: str | None, until: float, kinds: frozenset[wire.Kind]
) -> Answer | None:
    """`make` is given a sequence number and the address to answer to. None for silence, which may mean that strangers are not answered.

    Raises OSError, a closed port included.
    """
    family, where = address
    loop = asyncio.get_running_loop()
    sequence = secrets.randbelow(LARGEST_SEQUENCE) + 1
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as connection, contextlib.suppress(TimeoutError):
        if source is not None:
            connection.bind((source, 0))
        connection.connect(where)
        local = connection.getsockname()
        request = make(sequence, (local[0].partition("%")[0], local[1]))
        began = loop.time()
        async with asyncio.timeout_at(until):
            while True:
                await loop.sock_sendall(connection, request)
                heard = await _until(loop.time() + REPEAT_SECONDS, connection, sequence, kinds)
                if heard is not None:
                    return Answer(heard, loop.time() - began)
    return None


async def _until(moment: float, connection: socket.socket, sequence: int, kinds: frozenset[wire.Kind]) -> wire.Heard | None:
    """What answers us, if it comes by then; what asks to wait is waited for by asking again."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout_at(moment):
            for _ in range(MOST_STRANGERS):
                data = await asyncio.get_running_loop().sock_recv(connection, MOST_BYTES)
                with contextlib.suppress(wire.BadMessage):
                    heard = wire.read(data)
                    if heard.sequence == sequence and heard.kind in kinds:
                        return heard
            await asyncio.sleep(REPEAT_SECONDS)  # flooded: nothing more is read before the next turn
    return None
