"""A reflector's part as an iperf3 server, for a stock client: TCP, either way, several streams, one test at a time.

iperf3 knows no token, so whoever may ask is told by his address. What is limited of tests with a token is limited here as well.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import queue
import selectors
import socket
import time

from netwatch.reflector._limits import MOST_STREAMS, Limits
from probes._control import ANSWER_SECONDS, Gone
from probes._stream_socket import pace_stream, tcp_info_of
from probes._wire.capacity import BadFrame
from probes._wire.iperf3 import Asked, Reader, Refused, State, asked_of, received_bytes, refusal, results

__all__ = ["Iperf3Session"]

PORTION = 1 << 17
WAIT_SECONDS = 0.05
AHEAD_SECONDS = 0.02  # of the fastest that is taken, at once
SILENCE_SECONDS = 5.0  # a client that neither sends nor takes anything has gone
GRACE_SECONDS = 4.0  # for the client to say that its time is over
LEAVE_SECONDS = 1.0
BLOCKED = (BlockingIOError, InterruptedError)


class Iperf3Session:
    """One test. `join` may be called from any thread; `run` once, in a thread of its own; then `carried` is its payload."""

    def __init__(self, control: socket.socket, name: bytes, limits: Limits, most_bytes: int) -> None:
        self.carried = 0
        self._control, self._name, self._limits, self._most = control, name, limits, most_bytes
        self._reader = Reader()
        self._joined: queue.Queue[socket.socket] = queue.Queue(MOST_STREAMS)
        self._streams: list[socket.socket] = []
        self._counted: dict[socket.socket, int] = {}  # since what is to be omitted
        self._portion = os.urandom(PORTION)  # what is not random may be compressed on the way
        self._buffer = bytearray(PORTION)

    def join(self, name: bytes, connection: socket.socket) -> bool:
        """Whether it is a stream of this test, which then belongs to it."""
        if not hmac.compare_digest(name, self._name):
            return False
        try:
            self._joined.put_nowait(connection)
        except queue.Full:
            return False
        return True

    def run(self) -> None:
        """Raises Gone, BadFrame, OSError."""
        try:
            self._control.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._say(State.PARAM_EXCHANGE)
            asked = asked_of(self._document())
            refused = self._refused(asked)
            if refused is not None:
                self._control.sendall(refusal(refused))
                return
            self._say(State.CREATE_STREAMS)
            self._await_streams(asked)
            self._say(State.TEST_START)
            self._say(State.TEST_RUNNING)
            began = time.monotonic()
            if self._flow(asked, began):
                self._exchange(asked, time.monotonic() - began - asked.omit_seconds)
            else:
                self._terminate()
        finally:
            while not self._joined.empty():
                self._streams.append(self._joined.get())
            for stream in self._streams:
                stream.close()

    def _refused(self, asked: Asked) -> Refused | None:
        if not asked.implemented:
            return Refused.NOT_IMPLEMENTED
        if not 1 <= asked.streams <= MOST_STREAMS:
            return Refused.TOO_MANY_STREAMS
        beyond = asked.bytes > self._most or asked.pace_bits_per_second * asked.streams > self._limits.bits_per_second
        return Refused.BEYOND_THE_LIMIT if beyond or self._most <= 0 else None

    def _await_streams(self, asked: Asked) -> None:
        until = time.monotonic() + ANSWER_SECONDS
        pace = self._limits.bits_per_second / asked.streams
        while len(self._streams) < asked.streams:
            try:
                stream = self._joined.get(timeout=max(until - time.monotonic(), 0.001))
            except queue.Empty as nobody:
                raise TimeoutError("not all streams have come") from nobody
            self._streams.append(stream)
            self._counted[stream] = 0
            stream.setblocking(False)
            if asked.reverse:
                pace_stream(stream, min(asked.pace_bits_per_second or pace, pace))

    def _flow(self, asked: Asked, began: float) -> bool:
        """Until the client says that it is over; False when a limit is reached before."""
        length = asked.omit_seconds + asked.seconds + GRACE_SECONDS if asked.seconds else self._limits.test_seconds
        until = began + min(length, self._limits.test_seconds)
        rate = self._limits.bits_per_second / 8
        omitting = asked.omit_seconds > 0
        heard = now = began
        self._control.setblocking(False)
        with selectors.DefaultSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            for stream in self._streams:
                selector.register(stream, selectors.EVENT_WRITE if asked.reverse else selectors.EVENT_READ)
            while now < until and self.carried < self._most:
                early = self.carried / rate - (now - began) - AHEAD_SECONDS
                if early > 0:
                    time.sleep(min(early, WAIT_SECONDS))
                for key, _ in selector.select(0 if early > 0 else WAIT_SECONDS):
                    if key.fileobj is self._control:
                        if self._is_over():
                            self._drain(0 if asked.reverse else min(rate * (time.monotonic() - began), self._most))
                            return True
                    elif early <= 0 and self._move(key.fileobj, selector, sends=asked.reverse):
                        heard = now
                now = time.monotonic()
                if omitting and now - began >= asked.omit_seconds:
                    omitting, self._counted = False, dict.fromkeys(self._counted, 0)
                if now - heard > SILENCE_SECONDS:
                    raise Gone("nothing flows any more")
        return False

    def _move(self, stream: object, selector: selectors.BaseSelector, *, sends: bool) -> bool:
        assert isinstance(stream, socket.socket)  # noqa: S101  # selectors type it as anything with a descriptor
        try:
            moved = stream.send(self._portion) if sends else stream.recv_into(self._buffer)
        except BLOCKED:
            return False
        except OSError:
            moved = 0
        if not moved:
            selector.unregister(stream)
        self._counted[stream] += moved
        self.carried += moved
        return moved > 0

    def _drain(self, most_bytes: float) -> None:
        """What had come before the client said that it is over, as far as that is within the limits."""
        for stream in self._streams:
            with contextlib.suppress(OSError):
                while self.carried < most_bytes and (moved := stream.recv_into(self._buffer)):
                    self._counted[stream] += moved
                    self.carried += moved

    def _is_over(self) -> bool:
        """Raises Gone, BadFrame."""
        try:
            self._read()
        except BLOCKED:
            return False
        state = self._reader.state()
        if state is State.CLIENT_TERMINATE:
            raise Gone("the client was stopped")
        if state is not None and state is not State.TEST_END:
            raise BadFrame(f"{state.name} while a test runs")
        return state is State.TEST_END

    def _exchange(self, asked: Asked, seconds: float) -> None:
        """What each has counted."""
        self._control.settimeout(ANSWER_SECONDS)
        again = [self._sent_again(stream) for stream in self._streams] if asked.reverse else None
        for stream in self._streams:
            stream.close()
        self._say(State.EXCHANGE_RESULTS)
        received_bytes(self._document())
        self._control.sendall(results([self._counted[one] for one in self._streams], max(seconds, 0.0), again))
        self._say(State.DISPLAY_RESULTS)
        while self._reader.state() is None:
            self._read()

    def _terminate(self) -> None:
        """A limit is reached. The client then tells what it has seen by now, and leaves."""
        self._say(State.SERVER_TERMINATE)
        self._control.settimeout(LEAVE_SECONDS)
        with contextlib.suppress(OSError):
            while self._control.recv(65536):
                pass

    def _sent_again(self, stream: socket.socket) -> int:
        try:
            return tcp_info_of(stream).sent_again
        except OSError:  # a system that is no Linux, or an old one
            return 0

    def _say(self, state: State) -> None:
        self._control.sendall(bytes([state]))

    def _document(self) -> dict[str, object]:
        until = time.monotonic() + ANSWER_SECONDS
        while (found := self._reader.document()) is None:
            self._control.settimeout(max(until - time.monotonic(), 0.001))
            self._read()
        return dict(found)

    def _read(self) -> None:
        received = self._control.recv(65536)
        if not received:
            raise Gone("the client closed the connection")
        self._reader.feed(received)
