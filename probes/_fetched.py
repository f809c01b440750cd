"""A port at which a router comes to fetch: open while somebody is expected, and for nobody who cannot name the word he was given."""

from __future__ import annotations

import contextlib
import queue
import re
import selectors
import socket
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from probes._control import ANSWER_SECONDS, listeners

__all__ = ["FetchPort", "FetchPorts", "Visit"]

BACKLOG = 16
MOST_VISITS = 32  # at once, of whoever comes
MOST_HEAD_BYTES = 8192
ASKED = re.compile(rb"GET /line-test/([0-9a-f]{32}) HTTP/1\.[01]\r\n")
NOTHING_HERE = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody who knew one of the words. The connection is whoever's takes the visit."""

    connection: socket.socket
    address: str


Arrivals: TypeAlias = "queue.SimpleQueue[Visit | Exception]"


class FetchPort:
    """`expect` and `forget` from any thread. Each word opens once."""

    def __init__(self, port: int) -> None:
        self._wanted_port = port
        self._expected: dict[str, Arrivals] = {}
        self._used: set[str] = set()  # and not forgotten yet
        self._lock = threading.Lock()
        self._listeners: list[socket.socket] = []
        self._wake: tuple[socket.socket, socket.socket] | None = None
        self._places = threading.BoundedSemaphore(MOST_VISITS)

    def expect(self, words: Iterable[str], arrivals: Arrivals) -> int:
        """Gives the port. Raises OSError when it cannot be listened to."""
        with self._lock:
            if not self._listeners:
                self._listeners = listeners("", self._wanted_port, BACKLOG)
                self._wake = socket.socketpair()
                threading.Thread(target=self._serve, args=(tuple(self._listeners), self._wake[0]), daemon=True, name="fetch port").start()
            self._expected |= dict.fromkeys(words, arrivals)
            port: int = self._listeners[0].getsockname()[1]
            return port

    def forget(self, words: Iterable[str]) -> None:
        """The last one closes the port."""
        with self._lock:
            for word in words:
                self._expected.pop(word, None)
                self._used.discard(word)
            if not self._expected and not self._used:
                self._close()

    def close(self) -> None:
        with self._lock:
            self._expected.clear()
            self._used.clear()
            self._close()

    def _close(self) -> None:
        for listener in self._listeners:
            listener.close()
        self._listeners = []
        if self._wake is not None:
            self._wake[1].close()
            self._wake = None

    def _serve(self, served: tuple[socket.socket, ...], wake: socket.socket) -> None:
        with wake, selectors.DefaultSelector() as selector, contextlib.suppress(OSError, ValueError):
            for one in (*served, wake):
                selector.register(one, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is wake:
                        return
                    with contextlib.suppress(BlockingIOError, ConnectionError):
                        self._take(*key.fileobj.accept())  # type: ignore[union-attr]  # selectors type it as anything with a descriptor

    def _take(self, connection: socket.socket, where: tuple[str, int]) -> None:
        if not self._places.acquire(blocking=False):
            connection.close()
            return
        threading.Thread(target=self._answer, args=(connection, where[0]), daemon=True, name=f"from {where[0]}").start()

    def _answer(self, connection: socket.socket, address: str) -> None:
        taken = False
        try:
            asked = ASKED.match(_head(connection))
            word = asked[1].decode() if asked is not None else ""
            with self._lock:
                arrivals = self._expected.pop(word, None)
                if arrivals is not None:
                    self._used.add(word)
                    arrivals.put(Visit(connection, address))
                    taken = True
            if not taken:
                connection.sendall(NOTHING_HERE)
        except OSError:
            pass
        finally:
            self._places.release()
            if not taken:
                connection.close()


def _head(connection: socket.socket) -> bytes:
    """Raises OSError for one that is too long, or takes too long."""
    until = time.monotonic() + ANSWER_SECONDS
    received = b""
    while b"\r\n\r\n" not in received:
        connection.settimeout(max(until - time.monotonic(), 0.001))
        portion = connection.recv(2048)
        if not portion or len(received) > MOST_HEAD_BYTES:
            raise ConnectionError("no request")
        received += portion
    return received


@dataclass(slots=True)
class FetchPorts:
    """Those of this process, one for each number."""

    ports: dict[int, FetchPort] = field(default_factory=dict)

    def port(self, number: int) -> FetchPort:
        return self.ports.setdefault(number, FetchPort(number))

    async def aclose(self) -> None:
        while self.ports:
            self.ports.popitem()[1].close()
