"""A reflector's part in a test by TCP: several streams that it fills or empties."""

from __future__ import annotations

import contextlib
import os
import queue
import selectors
import socket
import time

from netwatch.reflector._udp import SILENCE_NS
from probes._control import ANSWER_SECONDS, Control
from probes._paced import BIN_NS, hurry
from probes._stream_socket import pace_stream, tcp_info_of
from probes._wire.capacity import Done, GoOn, Heard, Opened, Request, Stop

__all__ = ["serve_tcp"]

PORTION = 65536
WAIT_SECONDS = 0.005


def serve_tcp(control: Control, joined: queue.Queue[socket.socket], request: Request) -> int:
    """Runs the test to its end and gives its payload bytes. Raises what `Control` does, and TimeoutError when a stream is missing."""
    streams: list[socket.socket] = []
    try:
        until = time.monotonic() + ANSWER_SECONDS
        while len(streams) < request.streams:
            try:
                streams.append(joined.get(timeout=max(until - time.monotonic(), 0.001)))
            except queue.Empty as nobody:
                raise TimeoutError("not all streams have joined") from nobody
            streams[-1].setblocking(False)
        hurry()
        control.send(Opened())
        return _Streams(control, streams, request).run()
    finally:
        for stream in streams:
            stream.close()


class _Streams:
    """Bins begin with the first payload."""

    def __init__(self, control: Control, streams: list[socket.socket], request: Request) -> None:
        self._control, self._request = control, request
        self._selector = selectors.DefaultSelector()
        self._filling = not request.to_reflector
        self._portion = memoryview(os.urandom(PORTION))  # what is not random may be compressed on the way
        self._buffer = bytearray(PORTION)
        self._streams = streams
        self._total = self._start_ns = self._index = 0
        self._told = (0, 0)
        for stream in streams:
            if self._filling:
                pace_stream(stream, request.pace / len(streams))
            self._selector.register(stream, selectors.EVENT_WRITE if self._filling else selectors.EVENT_READ)

    def run(self) -> int:
        began_ns = heard_ns = now_ns = time.monotonic_ns()
        until_ns = began_ns + self._request.max_milliseconds * 1_000_000
        with self._selector:
            while now_ns < until_ns and now_ns - heard_ns < SILENCE_NS and (self._filling or not self._spent):
                if self._spent:
                    time.sleep(WAIT_SECONDS)  # the kernel still sends; whoever receives it says when that is enough
                else:
                    for key, _ in self._selector.select(WAIT_SECONDS):
                        self._move(key.fileobj)
                now_ns = time.monotonic_ns()
                if not self._filling:
                    self._report(now_ns)
                messages = self._control.poll()
                if any(isinstance(one, Stop) for one in messages):
                    break
                if any(isinstance(one, GoOn) for one in messages) or not self._filling:
                    heard_ns = now_ns
        if self._filling:
            self._account((now_ns - began_ns) // 1000)
        self._control.send(Done(self._total, now_ns - began_ns))
        return self._total

    @property
    def _spent(self) -> bool:
        return self._total >= self._request.max_bytes

    def _move(self, stream: object) -> None:
        if self._spent:
            return
        assert isinstance(stream, socket.socket)  # noqa: S101  # selectors type it as anything with a descriptor
        try:
            moved = stream.send(self._portion[: self._request.max_bytes - self._total]) if self._filling else stream.recv_into(self._buffer)
        except BlockingIOError:
            return
        except OSError:
            moved = 0
        if not moved:
            self._selector.unregister(stream)
        elif not self._start_ns:
            self._start_ns = time.monotonic_ns()
            self._told = self._arrived()
        self._total += moved

    def _report(self, now_ns: int) -> None:
        """Bytes that are in order, segments as they come: the kernel's own count, or what was read where it has none."""
        if not self._start_ns or now_ns < self._start_ns + BIN_NS:
            return
        bytes_, segments = self._arrived()
        since_bytes, since_segments = self._told
        flags = 0 if segments else Heard.USER_CLOCK
        elapsed = (now_ns - self._start_ns) // 1000
        self._control.send(Heard(self._index, elapsed, bytes_ - since_bytes, segments - since_segments, 0, 0, 0, flags, 0, 0))
        self._told, self._start_ns = (bytes_, segments), now_ns
        self._index += 1

    def _account(self, microseconds: int) -> None:
        """How many segments it took, and how many of them were sent again, where the system tells."""
        with contextlib.suppress(OSError):
            infos = [tcp_info_of(one) for one in self._streams]
            sent, again = sum(one.sent_segments for one in infos), sum(one.sent_again for one in infos)
            self._control.send(Heard(self._index, microseconds, 0, sent, again, 0, 0, 0, 0, 0))

    def _arrived(self) -> tuple[int, int]:
        try:
            infos = [tcp_info_of(one) for one in self._streams]
        except OSError:  # a system that is no Linux, or an old one
            return self._total, 0
        return sum(one.received_bytes for one in infos), sum(one.arrived_segments for one in infos)
