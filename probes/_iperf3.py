"""One capacity test with a stock iperf3 server, whose protocol is spoken here: so it stops as soon as it is settled, either way."""

from __future__ import annotations

import contextlib
import math
import os
import random
import socket
import time
from typing import TypeVar

from probes._capacity import Plan
from probes._capacity_run import Over, connect
from probes._control import ANSWER_SECONDS, Gone, Turned
from probes._stream_pipe import PORTION_BYTES, Receiver, Sender, ServerRefuses
from probes._streams import STREAMS, StreamTest
from probes._wire.capacity import BadFrame, Refusal
from probes._wire.iperf3 import Reader, State, cookie, parameters, received_bytes, results

__all__ = ["Iperf3Test"]

BUSY_SECONDS = 10.0  # for somebody else's test to end
AGAIN_SECONDS = (0.3, 1.2)
REOPENED_SECONDS = 0.5
GRACE_SECONDS = 2
T = TypeVar("T")


class Iperf3Test(StreamTest):
    """See `StreamTest`. Busy is asked again for some seconds, with jitter; then Turned(BUSY)."""

    method = "iperf3"

    def __init__(self, plan: Plan, streams: int = STREAMS, busy_seconds: float = BUSY_SECONDS) -> None:
        super().__init__(plan)
        self._count, self._busy_seconds = streams, busy_seconds
        self._reader = Reader()
        self._control: socket.socket | None = None
        self._running = False
        self._refused_until = 0.0

    def _open(self, family: socket.AddressFamily, where: tuple[object, ...], source: str | None) -> None:
        until = time.monotonic() + self._busy_seconds
        self._refused_until = time.monotonic() + REOPENED_SECONDS
        name = cookie(os.urandom(36))
        while not self._admitted(family, where, source, name):
            wait = random.uniform(*AGAIN_SECONDS)  # noqa: S311  # jitter, no secret
            if time.monotonic() + wait > until:
                raise Turned(Refusal.BUSY)
            if self.stop.wait(wait):
                raise Turned(Refusal.BUSY)
        control = self._control
        assert control is not None  # noqa: S101  # set when admitted
        pace = self.plan.pace_bits_per_second / self._count
        seconds = math.ceil(self.plan.max_seconds) + GRACE_SECONDS
        control.sendall(
            parameters(streams=self._count, reverse=not self.sends, seconds=seconds, pace_bits_per_second=pace, block_bytes=PORTION_BYTES)
        )
        self._expect(State.CREATE_STREAMS)
        for _ in range(self._count):
            stream = connect(family, where, source, ANSWER_SECONDS)
            self._pipes.append(Sender(stream, pace) if self.sends else Receiver(stream))
            stream.send(name)
        self._expect(State.TEST_START)
        self._expect(State.TEST_RUNNING)
        self._running = True
        control.setblocking(False)

    def _admitted(self, family: socket.AddressFamily, where: tuple[object, ...], source: str | None, name: bytes) -> bool:
        self._reader = Reader()
        began = time.monotonic()
        try:
            control = connect(family, where, source, ANSWER_SECONDS)
        except ConnectionRefusedError:
            if began > self._refused_until:
                raise
            return False  # between two tests it closes its port and opens it again
        self._control, self._rtt_seconds = control, time.monotonic() - began
        control.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        control.sendall(name)
        if self._next() is State.PARAM_EXCHANGE:
            return True
        control.close()
        return False

    def _expect(self, state: State) -> None:
        found = self._next()
        if found is not state:
            raise ServerRefuses("iperf3_error", found.name.lower())

    def _next(self) -> State:
        """Waits. Raises Gone, BadFrame, TimeoutError, ServerRefuses."""
        until = time.monotonic() + ANSWER_SECONDS
        while (found := self._reader.state()) is None:
            self._wait(until)
        if found is not State.SERVER_ERROR:
            return found
        while (numbers := self._reader.error()) is None:
            self._wait(until)
        raise ServerRefuses("iperf3_error", f"error {numbers[0]} of iperf3, {numbers[1]} of its system")

    def _wait(self, until: float) -> None:
        assert self._control is not None  # noqa: S101  # set before anything is awaited
        self._control.settimeout(max(until - time.monotonic(), 0.001))
        received = self._control.recv(65536)
        if not received:
            raise Gone("the server closed the connection")
        self._reader.feed(received)

    def _tick(self, now: float) -> None:
        del now
        assert self._control is not None  # noqa: S101  # set before anything flows
        try:
            received = self._control.recv(65536)
        except BlockingIOError:
            return
        if not received:
            raise Over("peer_gone")
        self._reader.feed(received)
        state = self._reader.state()
        if state is not None:
            self._running = False
            raise Over("peer_gone" if state in {State.SERVER_TERMINATE, State.SERVER_ERROR} else "peer_garbled")

    def _finish(self) -> None:
        """Ends it as a client does whose time is over, and reads what the server says it received."""
        assert self._control is not None  # noqa: S101  # set before anything flows
        acknowledged = self._look().goodput
        self._control.settimeout(ANSWER_SECONDS)
        self._control.sendall(bytes([State.TEST_END]))
        try:
            found = self._next()
            if found is not State.EXCHANGE_RESULTS:
                raise BadFrame(found.name)
            self._control.sendall(results([0] * self._count, time.monotonic() - self._began))
            until = time.monotonic() + ANSWER_SECONDS
            while (document := self._reader.document()) is None:
                self._wait(until)
            moved = received_bytes(document)
            self._next()
            self._control.sendall(bytes([State.IPERF_DONE]))
        except ServerRefuses as refusal:
            raise Over("peer_gone") from refusal
        self._running = False
        self._facts["far_end_bytes"] = str(moved)
        if self.sends:
            self._compare(moved, acknowledged)

    def _leave(self) -> None:
        if self._control is None:
            return
        if self._running:
            with contextlib.suppress(OSError):
                self._control.setblocking(False)
                self._control.send(bytes([State.CLIENT_TERMINATE]))
        self._control.close()
