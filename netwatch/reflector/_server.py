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
from netwatch.reflector._iperf3 import Iperf3Session
from netwatch.reflector._limits import DAY_SECONDS, Limits, Network, holds, refusal_of
from netwatch.reflector._tcp import serve_tcp
from netwatch.reflector._udp import open_way, serve_udp
from probes import _clock
from probes._control import ANSWER_SECONDS, Control, Gone, Turned, admit, listeners
from probes._wire.capacity import ID_BYTES, PREAMBLE, BadFrame, Denied, Method, Ready, Refusal, Request
from probes._wire.capacity_data import JOIN, JOIN_BYTES, join
from probes._wire.iperf3 import COOKIE_BYTES, DENIED
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
        self._listeners: dict[socket.socket, Callable[[socket.socket], bool]] = {}  # and what is said to who calls there
        self._stamps: list[_stamp.StampReflector] = []
        self._wake: tuple[socket.socket, socket.socket] | None = None  # one that only dials has none
        self._exclusive = threading.Lock()
        self._running: _Running | None = None
        self._iperf3: tuple[Network, ...] = ()
        self._iperf3_running: Iperf3Session | None = None
        self._places = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self._spent: list[tuple[float, int]] = []

    def listen(self, host: str, port: int) -> Sequence[tuple[str, int]]:
        """Binds, on all addresses of both families when `host` is empty. Port 0 takes any. Raises OSError."""
        self._wake = self._wake or socket.socketpair()
        return self._open(host, port, self._converse)

    def listen_stamp(self, host: str, port: int, limits: _stamp.Limits | None = None) -> None:
        """Answers STAMP packets too, for whoever asks: see `_stamp`. Raises OSError."""
        self._wake = self._wake or socket.socketpair()
        self._stamps += _stamp.open_stamp(host, port, _estimate, limits)

    def listen_iperf3(self, host: str, port: int, networks: Sequence[Network]) -> Sequence[tuple[str, int]]:
        """Is an iperf3 server too, for clients in these networks: nothing else says who they are. Raises OSError."""
        if not networks:
            raise ValueError("an iperf3 server needs networks that it serves")
        self._wake = self._wake or socket.socketpair()
        self._iperf3 = tuple(networks)
        return self._open(host, port, self._converse_iperf3)

    def _open(self, host: str, port: int, converse: Callable[[socket.socket], bool]) -> Sequence[tuple[str, int]]:
        opened = listeners(host, port, BACKLOG)
        self._listeners |= dict.fromkeys(opened, converse)
        return [listener.getsockname()[:2] for listener in opened]

    def serve(self) -> None:
        """Of what it listens to."""
        if self._wake is None:
            return
        wake, end = self._wake
        with wake, end, selectors.DefaultSelector() as selector:
            for listener in self._listeners:
                selector.register(listener, selectors.EVENT_READ, self._listeners[listener])
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
                        self._take(key.data, *key.fileobj.accept())  # type: ignore[union-attr]  # selectors type it as anything with a descriptor

    def close(self) -> None:
        if self._wake is not None:
            with contextlib.suppress(OSError):
                self._wake[1].send(b"x")
        for listener in self._listeners:
            listener.close()
        for stamp in self._stamps:
            stamp.close()

    def _take(self, converse: Callable[[socket.socket], bool], connection: socket.socket, where: tuple[str, int]) -> None:
        if not self._places.acquire(blocking=False):
            connection.close()
            return
        threading.Thread(target=self._answer, args=(converse, connection, where), daemon=True, name=f"from {where[0]}").start()

    def _answer(self, converse: Callable[[socket.socket], bool], connection: socket.socket, where: tuple[str, int]) -> None:
        joined = False
        try:
            connection.settimeout(ANSWER_SECONDS)
            joined = converse(connection)
        except Turned:
            log.warning("%s: wrong token", where[0])
        except (OSError, BadFrame) as error:
            log.info("%s: %s", where[0], error)
        finally:
            self._places.release()
            if not joined:
                connection.close()

    def _converse(self, connection: socket.socket) -> bool:
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

    def _converse_iperf3(self, connection: socket.socket) -> bool:
        if not holds(self._iperf3, connection.getpeername()[0]):
            return False
        name = _exactly(connection, COOKIE_BYTES)
        running = self._iperf3_running
        if running is not None and running.join(name, connection):
            return True
        if not self._exclusive.acquire(timeout=AFTER_SECONDS):
            connection.sendall(DENIED)
            return False
        now = self._clock()
        most = min(self._limits.test_bytes, self._limits.day_bytes - self._spent_today(now))
        session = self._iperf3_running = Iperf3Session(connection, name, self._limits, most)
        try:
            session.run()
        finally:
            self._spent.append((now, session.carried))
            self._iperf3_running = None
            self._exclusive.release()
        return False

    def _spent_today(self, now: float) -> int:
        self._spent = [(at, bytes_) for at, bytes_ in self._spent if now - at < DAY_SECONDS]
        return sum(bytes_ for _, bytes_ in self._spent)

    def _test(self, control: Control, request: Request, *, dialled: bool) -> None:
        now = self._clock()
        refused = refusal_of(request, self._limits, self._spent_today(now))
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
