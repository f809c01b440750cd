"""gufo_snmp's sockets: opened, told apart when they fail, and read by one epoll for all sessions."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import select
from collections.abc import Callable
from typing import TypeAlias

from gufo.snmp._fast import SnmpV1ClientSocket, SnmpV2cClientSocket, SnmpV3ClientSocket
from gufo.snmp.utils import format_sock_addr

from probes import ProbeFailed
from probes._snmp_user import Keys

__all__ = ["Client", "Sockets", "failure", "open_by_community", "open_by_user"]

Client: TypeAlias = SnmpV1ClientSocket | SnmpV2cClientSocket | SnmpV3ClientSocket

SOCKETS_A_CALLBACK = 16


def open_by_community(kind: type[SnmpV1ClientSocket | SnmpV2cClientSocket], address: str, port: int, community: str) -> Client:
    try:
        return kind(format_sock_addr(address, port), community, 0, 0, 0, 0)
    except OSError as error:
        raise _with_errno(error) from None


def open_by_user(address: str, port: int, engine_id: bytes, user: str, keys: Keys) -> SnmpV3ClientSocket:
    """Without an engine id it can only ask for that."""
    try:
        return SnmpV3ClientSocket(format_sock_addr(address, port), engine_id, user, *keys, 0, 0, 0, 0)
    except OSError as error:
        raise _with_errno(error) from None


def _with_errno(error: OSError) -> OSError:
    """The library keeps the number in the text only; the runner tells our faults from the device's by errno."""
    found = re.search(r"os error (\d+)", str(error))
    if error.errno is not None or found is None:
        return error
    return OSError(int(found[1]), os.strerror(int(found[1])))


def failure(error: OSError) -> Exception:
    numbered = _with_errno(error)
    if numbered.errno == errno.ECONNREFUSED or "refused" in str(numbered):
        return ProbeFailed("refused")
    return numbered


class Sockets:
    """Tells sessions when to read, for a quarter of what a reader of the loop's own would cost each."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._epoll = select.epoll()
        self._readers: dict[int, Callable[[], None]] = {}
        self._loop.add_reader(self._epoll.fileno(), self._on_readable)

    def add(self, file: int, reader: Callable[[], None]) -> None:
        self._epoll.register(file, select.EPOLLIN)
        self._readers[file] = reader

    def remove(self, file: int) -> None:
        self._epoll.unregister(file)
        del self._readers[file]

    def _on_readable(self) -> None:
        for file, _event in self._epoll.poll(0, SOCKETS_A_CALLBACK):
            self._readers[file]()

    async def aclose(self) -> None:
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()
