"""SNMP version 1 (RFC 1157): no GETBULK, no 64-bit counters, and one object that is not there spoils the whole GET."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar

from gufo.snmp._fast import GetIter, SnmpError, SnmpV1ClientSocket

from probes._snmp_relay import RelayedSession
from probes._snmp_session import Limits, Sizes, Value
from probes._snmp_sockets import Sockets, open_by_community
from probes._wire.snmp import BadMessage, Plain, read_plain

__all__ = ["SessionV1"]

NO_ERROR = Plain(0, 0)
NO_SUCH_NAME, GENERAL_ERROR = 2, 5


class SessionV1(RelayedSession):
    counter64: ClassVar = False

    def __init__(self, sockets: Sockets, address: str, port: int, community: str, limits: Limits, sizes: Sizes) -> None:
        super().__init__(sockets, open_by_community(SnmpV1ClientSocket, address, port, community), (address, port), limits, sizes)
        self.sizes.repetitions = 1
        self._told = NO_ERROR

    async def _get_once(self, oids: list[str]) -> dict[str, Value] | None:
        """Leaves out what the agent points at, and asks for the rest."""
        asked = list(oids)
        while True:
            answer = await super()._get_once(asked)
            told = self._told
            if answer is None or told.error_status not in {NO_SUCH_NAME, GENERAL_ERROR} or not 1 <= told.error_index <= len(asked):
                return answer
            del asked[told.error_index - 1]
            if not asked:
                return {}

    def _less_may_do(self, oids: list[str]) -> bool:
        return super()._less_may_do(oids) and not 1 <= self._told.error_index <= len(oids)

    async def _ask_beyond(self, position: GetIter) -> Any:
        def receive() -> list[tuple[str, Value]]:
            return [self._socket.recv_get_next(position)]

        return await self._exchange(lambda: self._socket.send_get_next(position), receive, lambda _answer: True)

    async def _exchange(self, send: Callable[[], None], receive: Callable[[], Any], accept: Callable[[Any], bool]) -> Any:
        self._told = NO_ERROR
        return await super()._exchange(send, receive, accept)

    def _answered(self, datagram: bytes, receive: Callable[[], Any]) -> Any:
        """An answer that is an error has no values; the library tells only whose answer it is."""
        told = NO_ERROR
        with suppress(BadMessage):
            told = read_plain(datagram)
        if not told.error_status:
            return super()._answered(datagram, receive)
        with suppress(SnmpError, StopAsyncIteration):
            super()._answered(datagram, receive)
        self._told = told
        return {}
