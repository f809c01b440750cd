"""The connections of a test: what sends, what receives, and how they end. Standard library only, without asyncio."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from abc import ABC, abstractmethod

from probes._stream_socket import pace_stream

__all__ = ["PORTION_BYTES", "Ended", "Pipe", "Receiver", "Sender", "ServerRefuses"]

PORTION_BYTES = 1 << 17
NOW_RESET = struct.pack("ii", 1, 0)


class ServerRefuses(Exception):
    """It does not take the test, for a reason of its own. `code` is a stable word."""

    def __init__(self, code: str, detail: str) -> None:
        self.code, self.detail = code, detail
        super().__init__(detail)


class Ended(Exception):
    """One stream has no more to give."""


class Pipe(ABC):
    """One connection, not blocking."""

    sends = False

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        connection.setblocking(False)

    @abstractmethod
    def move(self) -> int:
        """Does what can be done now and gives its bytes. Raises Ended, BlockingIOError, OSError."""

    def close(self) -> None:
        """At once: what is still queued is not sent."""
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NOW_RESET)
        self.connection.close()


class Sender(Pipe):
    sends = True

    def __init__(self, connection: socket.socket, pace_bits_per_second: float, congestion: str = "cubic") -> None:
        super().__init__(connection)
        self._portion = os.urandom(PORTION_BYTES)  # what is not random may be compressed on the way
        pace_stream(connection, pace_bits_per_second, congestion)

    def move(self) -> int:
        return self.connection.send(self._portion)


class Receiver(Pipe):
    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection)
        self._buffer = bytearray(2 * PORTION_BYTES)

    def move(self) -> int:
        moved = self.connection.recv_into(self._buffer)
        if not moved:
            raise Ended
        return moved
