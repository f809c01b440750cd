"""Names to addresses and TCP connections, each step on its own so that it can be timed. Shared by probe types."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Sequence
from typing import Any, TypeAlias

from probes import ProbeFailed

__all__ = ["Address", "connect", "literal", "resolve"]

Address: TypeAlias = tuple[socket.AddressFamily, tuple[Any, ...]]

# The name itself is wrong. Any other failure is the resolver's and thus ours: it propagates as the OSError it is.
NO_SUCH_NAME = frozenset({socket.EAI_NONAME, socket.EAI_NODATA})


def literal(host: str, port: int) -> tuple[Address, ...]:
    """The address of an IPv4 or IPv6 literal, at once; empty for a name."""
    with contextlib.suppress(socket.gaierror, UnicodeError):
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        return tuple((family, where) for family, _, _, _, where in found)
    return ()


async def resolve(host: str, port: int) -> tuple[Address, ...]:
    """Every address of a name, from the system's resolver, uncached. Raises ProbeFailed `resolve` when there is no such name."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in NO_SUCH_NAME:
            raise ProbeFailed("resolve", f"no such name: {host}") from error
        raise
    except UnicodeError as error:
        raise ProbeFailed("resolve", f"not a host name: {host}") from error
    return tuple((family, where) for family, _, _, _, where in found)


async def connect(addresses: Sequence[Address], source: str | None) -> socket.socket:
    """A non-blocking socket connected to the first address that takes it. The caller closes it.

    Raises the OSError of the last address tried.
    """
    *others, last = addresses
    for address in others:
        with contextlib.suppress(OSError):
            return await _connect_to(address, source)
    return await _connect_to(last, source)


async def _connect_to(address: Address, source: str | None) -> socket.socket:
    family, where = address
    connection = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        if source is not None:
            connection.bind((source, 0))
        await asyncio.get_running_loop().sock_connect(connection, where)
    except BaseException:
        connection.close()
        raise
    return connection
