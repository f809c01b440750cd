"""Listens, gets to know who calls, and gives one of them at a time a test."""

from __future__ import annotations

import contextlib
import hmac
import logging
import queue
import secrets
import selectors
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from netwatch.reflector import _stamp
from netwatch.reflector._limits import DAY_SECONDS, Limits, refusal_of
from netwatch.reflector._tcp import serve_tcp
from netwatch.reflector._udp import open_way, serve_udp
from probes import _clock
from probes._control import ANSWER_SECONDS, Control, Gone, Turned, admit, listeners
from probes._wire.capacity import ID_BYTES, PREAMBLE, BadFrame, Denied, Method, Ready, Refusal, Request
from probes._wire.capacity_data import JOIN, JOIN_BYTES, join
from probes._wire.stamp import ErrorEstimate

__all__ = ["Reflector"]

MOST_CONNECTIONS = 32
BACKLOG = 16
AFTER_SECONDS = 0.25  # for the test before to be over: it ends a moment after its prober has left
log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Running:
    """The one test there is."""

    test: bytes
    key: bytes
    streams: queue.Queue[socket.socket] = field(default_factory=lambda: queue.Queue(MOST_CONNECTIONS))


class Reflector:
    """One exclusive test at a time, for who knows the token. `serve` runs until `close` is called from anywhere."""

    def __init__(self, token: bytes, limits: Limits | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        if not token:
            raise ValueError("a reflector needs a token")
        self._token, self._limits, self._clock = token, limits or Limits(), clock
        self._listeners: list[socket.socket] = []
        self._stamps: list[_stamp.StampReflector] = []
        self._wake: tuple[socket.socket, socket.socket] | None = None  # one that only dials has none
        self._exclusive = threading.Lock()
        self._running: _Running | None = None
        self._places = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self._spent: list[tuple[float, int]] = []

    def listen(self, host: str, port: int) -> Sequence[tuple[str, int]]:
        """Binds, on all addresses of both families when `host` is empty. Port 0 takes any. Raises OSError."""
        self._wake = self._wake or socket.socketpair()
        self._listeners += listeners(host, port, BACKLOG)
        return [listener.getsockname()[:2] for listener in self._listeners]

    def listen_stamp(self, host: str, port: int, limits: _stamp.Limits | None = None) -> None:
        """Answers STAMP packets too, for whoever asks: see `_stamp`. Raises OSError."""
        self._wake = self._wake or socket.socketpair()
        self._stamps += _stamp.open_stamp(host, port, _estimate, limits)

    def serve(self) -> None:
        """Of what it listens to."""
        if self._wake is None:
            return
        wake, end = self._wake
        with wake, end, selectors.DefaultSelector() as selector:
            for listener in self._listeners:
                selector.register(listener, selectors.EVENT_READ)
            for stamp in self._stamps:
                selector.register(stamp, selectors.EVENT_READ)
            selector.register(wake, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is wake:
                        return
                    if isinstance(key.fileobj, _stamp.StampReflector):
                        key.fileobj.read()
                        continue
                    with contextlib.suppress(OSError):
                        self._take(*key.fileobj.accept())  # type: ignore[union-attr]  # selectors type it as anything with a descriptor

    def close(self) -> None:
        if self._wake is not None:
            with contextlib.suppress(OSError):
                self._wake[1].send(b"x")
        for listener in self._listeners:
            listener.close()
        for stamp in self._stamps:
            stamp.close()

    def _take(self, connection: socket.socket, where: tuple[str, int]) -> None:
        if not self._places.acquire(blocking=False):
            connection.close()
            return
        threading.Thread(target=self._answer, args=(connection, where), daemon=True, name=f"from {where[0]}").start()

    def _answer(self, connection: socket.socket, where: tuple[str, int]) -> None:
        joined = False
        try:
            joined = self._converse(connection)
        except Turned:
            log.warning("%s: wrong token", where[0])
        except (OSError, BadFrame) as error:
            log.info("%s: %s", where[0], error)
        finally:
            self._places.release()
            if not joined:
                connection.close()

    def _converse(self, connection: socket.socket) -> bool:
        connection.settimeout(ANSWER_SECONDS)
        opening = _exactly(connection, len(PREAMBLE))
        if opening == JOIN:
            return self._join(connection, opening + _exactly(connection, JOIN_BYTES - len(JOIN)))
        if opening != PREAMBLE:
            return False
        control = admit(connection, self._token)
        self.take(control, control.receive(Request))
        return False

    def take(self, control: Control, request: Request, *, dialled: bool = False) -> None:
        """Runs a test that who has proved himself asks for, or refuses it. Raises what `Control` does, and TimeoutError."""
        if not self._exclusive.acquire(timeout=AFTER_SECONDS):
            control.send(Denied(Refusal.BUSY))
            return
        try:
            self._test(control, request, dialled=dialled)
        finally:
            self._running = None
            self._exclusive.release()

    def _join(self, connection: socket.socket, opening: bytes) -> bool:
        running = self._running
        if running is None or not hmac.compare_digest(opening, join(running.key, running.test, opening[len(JOIN) + ID_BYTES])):
            return False
        with contextlib.suppress(queue.Full):
            running.streams.put_nowait(connection)
            return True
        return False

    def _test(self, control: Control, request: Request, *, dialled: bool) -> None:
        now = self._clock()
        self._spent = [(at, bytes_) for at, bytes_ in self._spent if now - at < DAY_SECONDS]
        refused = refusal_of(request, self._limits, sum(bytes_ for _, bytes_ in self._spent))
        if refused is None and dialled and request.method != Method.UDP:
            refused = Denied(Refusal.REQUEST)
        if refused is not None:
            control.send(refused)
            return
        test = secrets.token_bytes(ID_BYTES)
        self._running = _Running(test, control.framer.key)
        carried = request.max_bytes  # what cannot be told is counted in full
        try:
            udp = request.method == Method.UDP
            carried = self._udp(control, request, test, dialled=dialled) if udp else self._tcp(control, request)
        finally:
            self._spent.append((now, carried))

    def _udp(self, control: Control, request: Request, test: bytes, *, dialled: bool) -> int:
        here = control.connection.getsockname()
        prober = control.connection.getpeername() if dialled else None
        with socket.socket(control.connection.family, socket.SOCK_DGRAM) as datagrams:
            try:
                datagrams.bind(here if prober is None else (here[0], 0, *here[2:]))
            except OSError:
                control.send(Denied(Refusal.UDP_PORT))
                return 0
            control.send(Ready(test, here[1] if prober is None else 0))
            open_way(control, datagrams, test, prober)
            return serve_udp(control, datagrams, request, test)

    def _tcp(self, control: Control, request: Request) -> int:
        assert self._running is not None  # noqa: S101  # set by the caller
        control.send(Ready(self._running.test, 0))
        return serve_tcp(control, self._running.streams, request)


def _estimate() -> ErrorEstimate:
    clock = _clock.read()
    return ErrorEstimate.of(clock.error_seconds, synchronised=clock.synchronised)


def _exactly(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        portion = connection.recv(size - len(received))
        if not portion:
            raise Gone("closed before it said what it wants")
        received += portion
    return received
