"""One capacity test by TCP with our reflector: several streams at once, what a user would get, and what the line carried."""

from __future__ import annotations

import socket
import time

from probes._capacity import BIN_SECONDS, Plan
from probes._capacity_run import Over, connect, request
from probes._control import ANSWER_SECONDS, Control, introduce
from probes._stream_pipe import Receiver, Sender
from probes._stream_socket import has_ended
from probes._streams import STREAMS, StreamTest, Total
from probes._wire.capacity import Done, GoOn, Heard, Method, Opened, Ready, Stop
from probes._wire.capacity_data import join

__all__ = ["TcpTest"]

TAIL_SECONDS = 1.0
AHEAD_RATIO = 1.05
CAPPED_RATIO = 0.8


class TcpTest(StreamTest):
    """See `StreamTest`."""

    method = "tcp"

    def __init__(self, plan: Plan, token: bytes, streams: int = STREAMS, congestion: str = "cubic") -> None:
        super().__init__(plan)
        self.told_bins = self.sends
        self._token, self._count, self._congestion = token, streams, congestion
        self._control: Control | None = None
        self._told = 0.0
        self._reached_bytes = self._reached_segments = 0
        self._average_segment = 0.0
        self._done: Done | None = None

    def _open(self, family: socket.AddressFamily, where: tuple[object, ...], source: str | None) -> None:
        began = time.monotonic()
        connection = connect(family, where, source, ANSWER_SECONDS)
        self._rtt_seconds = time.monotonic() - began
        try:
            control = introduce(connection, self._token)
        except BaseException:
            connection.close()
            raise
        self._control = control
        control.send(request(self.plan, Method.TCP, self._count))
        test = control.receive(Ready).test
        for number in range(self._count):
            stream = connect(family, where, source, ANSWER_SECONDS)
            pace = self.plan.pace_bits_per_second / self._count
            self._pipes.append(Sender(stream, pace, self._congestion) if self.sends else Receiver(stream))
            stream.send(join(control.framer.key, test, number))
        control.receive(Opened)

    def _tick(self, now: float) -> None:
        assert self._control is not None  # noqa: S101  # `_open` set it
        if now - self._told < BIN_SECONDS:
            return
        self._told = now
        if not self.sends:
            self._control.send(GoOn())
        for message in self._control.poll():
            if isinstance(message, Heard):
                self._hear(message)
            elif isinstance(message, Done):
                self._done = message

    def _take(self, total: Total, now: float) -> None:
        """A far end that has ended its streams but reads nothing would be found out only by its silence."""
        super()._take(total, now)
        if self.sends and any(has_ended(pipe.connection) for pipe in self._pipes):
            self._ended()

    def _ended(self) -> None:
        """The reflector keeps to the cap as well."""
        raise Over("cap_bytes" if self.bytes_ip > CAPPED_RATIO * self.plan.max_bytes else "peer_gone")

    def _hear(self, heard: Heard) -> None:
        """Segments are counted as they come, in order or not; how large they are, at the least, is told by what is in order."""
        if heard.bytes_received or heard.packets:  # what its kernel acknowledges alone does not show that it is there
            self._heard = time.monotonic()
        self._reached_bytes += heard.bytes_received
        self._reached_segments += heard.packets
        if not heard.packets or not heard.microseconds or not self.told_bins:
            return
        self._average_segment = max(self._average_segment, self._reached_bytes / self._reached_segments)
        if self._reached_segments * self._average_segment > self._look().cost * AHEAD_RATIO:
            raise Over("peer_lied")
        arrived = heard.packets * (self._average_segment + self._now.headers_bytes)
        self._close_bin(heard.microseconds / 1e6, arrived, heard.bytes_received)

    def _finish(self) -> None:
        """Waits for the reflector's own account of what it got."""
        assert self._control is not None  # noqa: S101  # `_open` set it
        self._control.send(Stop())
        if not self.sends:
            return
        acknowledged = self._look().goodput
        until = time.monotonic() + TAIL_SECONDS + min(self._rtt_seconds, 1.0)
        while self._done is None and (now := time.monotonic()) < until:
            self._told = 0.0
            self._tick(now)
            time.sleep(0.002)
        reached = self._done.bytes_sent if self._done is not None else self._reached_bytes
        self._facts["far_end_bytes"] = str(reached)
        self._compare(reached, acknowledged)

    def _leave(self) -> None:
        if self._control is not None:
            self._control.connection.close()
