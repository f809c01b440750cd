"""Sessions whose answers are looked at before gufo_snmp gets them.

The library reads its socket until an answer fits, so a look at the next datagram says nothing of the one it will take.
Therefore it is given one end of a pair of sockets in place of its own, and at the other end one datagram at a time.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from types import TracebackType
from typing import Any

from probes._snmp_session import Limits, Session, Sizes
from probes._snmp_sockets import Client, Sockets

__all__ = ["RelayedSession"]

LONGEST_DATAGRAM = 4096  # a little more than the library reads; what is longer it refuses


class Relay:
    """The network on one side, the library on the other. Raises OSError."""

    def __init__(self, at: tuple[str, int]) -> None:
        self._network = socket.socket(socket.AF_INET6 if ":" in at[0] else socket.AF_INET, socket.SOCK_DGRAM)
        self._library: socket.socket | None = None
        try:
            self._network.setblocking(False)
            self._network.connect(at)
        except OSError:
            self._network.close()
            raise
        self.file = self._network.fileno()

    def attach(self, client: Client) -> None:
        """Takes the place of what `client` was connected to."""
        if self._library is not None:
            self._library.close()
        self._library, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        with theirs:
            self._library.setblocking(False)
            theirs.setblocking(False)
            os.dup2(theirs.fileno(), client.get_fd(), inheritable=False)

    def send(self) -> None:
        """What the library has just said."""
        if self._library is not None:
            self._network.send(self._library.recv(65535))

    def receive(self) -> bytes:
        return self._network.recv(LONGEST_DATAGRAM)

    def hand_over(self, datagram: bytes) -> None:
        if self._library is not None:
            self._library.send(datagram)

    def close(self) -> None:
        self._network.close()
        if self._library is not None:
            self._library.close()


class RelayedSession(Session):
    def __init__(self, sockets: Sockets, client: Client, at: tuple[str, int], limits: Limits, sizes: Sizes) -> None:
        super().__init__(sockets, client, limits, sizes)
        self._relay = Relay(at)
        self._relay.attach(client)
        self._file = self._relay.file

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        super().__exit__(kind, error, trace)
        self._relay.close()

    def _use(self, client: Client) -> None:
        self._relay.attach(client)
        self._socket = client

    async def _exchange(self, send: Callable[[], None], receive: Callable[[], Any], accept: Callable[[Any], bool]) -> Any:
        def forward() -> None:
            send()
            self._relay.send()

        return await super()._exchange(forward, lambda: self._answered(self._relay.receive(), receive), accept)

    def _answered(self, datagram: bytes, receive: Callable[[], Any]) -> Any:
        """What `receive` makes of it. Raises BlockingIOError for an answer to something else, and what Session bears."""
        self._relay.hand_over(datagram)
        return receive()
