"""Sends datagrams at an exact rate, and counts those that arrive by the kernel's clock. Standard library only, without asyncio.

Both ends of a capacity test use it: the prober in a thread of its own, the reflector, which is carried as a few plain files.
"""

from __future__ import annotations

import array
import contextlib
import os
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator

from probes._wire.capacity import Heard
from probes._wire.capacity_data import DATA_BYTES, IP_BYTES, Data, data_header, headers_bytes, parse_data

__all__ = ["BIN_NS", "RAMP_NS", "Counter", "Sender", "hurry", "receive_buffer", "stamp_arrivals"]

BIN_NS = 50_000_000
RAMP_NS = 100_000_000
RAMP_START = 0.2  # of the pace
# Linux's numbers; Python names them only in later versions.
UDP_SEGMENT = 103
SO_RCVBUFFORCE = 33
SO_TIMESTAMPNS = 35
SO_RXQ_OVFL = 40
# One call sends up to this many packets, where the pace is such that single ones would cost too much. Below, loss hits single packets.
SEGMENTS = 40
SEGMENT_FROM_BITS_PER_SECOND = 250e6
CATCH_UP_NS = 20_000_000  # of the pace, at once: more would only overflow what stands on the way
NONCES = 4096
WANTED_BUFFER = 64 << 20  # a third of a second at 900 Mbps
ANCILLARY_BYTES = 64
TIMESPEC, OLD_TIMESPEC = struct.Struct("=qq"), struct.Struct("=ll")
BATCH = 1000
MOST_BINS_AT_ONCE = 20  # more is a clock that leapt, and the first of them says so
# The pacing itself is this uneven.
TICK_NS = 2_000_000
HURRY = 5
STEP_NS = 5_000_000  # the clock is slewed by 500 ppm at most (RFC 5905): more, within a test, is a step
SETTLE_NS = 5_000_000  # what was stamped in a bin can still be read this long after its end


def receive_buffer(socket_: socket.socket) -> None:
    """As large as the kernel lets it be: a process that waits for its turn must not lose what has arrived."""
    for option in (SO_RCVBUFFORCE, socket.SO_RCVBUF):
        with contextlib.suppress(OSError):
            socket_.setsockopt(socket.SOL_SOCKET, option, WANTED_BUFFER)
            return


def stamp_arrivals(socket_: socket.socket) -> bool:
    """Asks for the kernel's arrival stamps and its count of drops. False where there are none."""
    try:
        socket_.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        socket_.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
    except OSError:
        return False
    return hasattr(socket_, "recvmsg_into")


def hurry() -> None:
    """Lets this thread be served before others, where that is allowed: late packets are what a busy machine makes of a pace.

    For a test's few seconds; it sleeps between its turns, and the kernel leaves others a part of the time even if it would not.
    """
    with contextlib.suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(HURRY))


class Sender:
    """Sends numbered packets to where its socket is connected; never more than are due by now, nor than `max_bytes` in all."""

    def __init__(self, socket_: socket.socket, test: bytes, pace_bits_per_second: float, max_bytes: int) -> None:
        self._socket, self._test = socket_, test
        self._per_ns = pace_bits_per_second / 8 / IP_BYTES / 1e9
        self._most = max_bytes // IP_BYTES
        headers = headers_bytes(ipv6=socket_.family == socket.AF_INET6)
        self._filler = os.urandom(IP_BYTES - headers - DATA_BYTES)  # what is not random may be compressed on the way
        self._at_once = max(int(self._per_ns * CATCH_UP_NS), 8)
        self._segments = 1
        if pace_bits_per_second >= SEGMENT_FROM_BITS_PER_SECOND:
            with contextlib.suppress(OSError):
                socket_.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, IP_BYTES - headers)
                self._segments = SEGMENTS
        self.nonces = array.array("Q")
        self.sent = 0
        self.began_ns = 0

    @property
    def bytes_ip(self) -> int:
        return self.sent * IP_BYTES

    @property
    def spent(self) -> bool:
        """Whether all of `max_bytes` is sent."""
        return self.sent >= self._most

    def due(self, elapsed_ns: int) -> int:
        """How many packets should have left: a rate that rises over the ramp, then the pace."""
        ramp = min(elapsed_ns, RAMP_NS)
        risen = ramp * (RAMP_START + (1 - RAMP_START) / 2 * ramp / RAMP_NS)
        return int(self._per_ns * (risen + elapsed_ns - ramp))

    def send_due(self, now_ns: int) -> None:
        """Raises OSError when the network or the other end refuses."""
        self.began_ns = self.began_ns or now_ns
        elapsed = now_ns - self.began_ns
        count = min(self.due(elapsed), self._most, self.sent + self._at_once) - self.sent
        while count > 0:
            several = min(count, self._segments)
            datagrams = b"".join(self._packet(self.sent + place, now_ns, ramp=elapsed < RAMP_NS) for place in range(several))
            try:
                self._socket.send(datagrams)
            except BlockingIOError:
                return
            except OSError:
                if self._segments == 1:
                    raise
                self._segments = 1  # this route's device cannot cut them
                self._socket.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 0)
                return
            self.sent += several
            count -= several

    def _packet(self, number: int, now_ns: int, *, ramp: bool) -> bytes:
        while number >= len(self.nonces):
            self.nonces.frombytes(os.urandom(8 * NONCES))
        return data_header(self._test, Data(number, now_ns, self.nonces[number], ramp)) + self._filler

    def digest(self, numbers: Iterator[int]) -> int:
        """The sum of the nonces of these packets, as only who received them can know it. Raises IndexError for one never sent."""
        total = 0
        for number in numbers:
            if number >= self.sent:
                raise IndexError(number)
            total += self.nonces[number]
        return total & 0xFFFF_FFFF_FFFF_FFFF


class Counter:
    """Counts the packets of one test in bins of 50 ms that begin with the first packet after the ramp."""

    def __init__(
        self,
        socket_: socket.socket,
        test: bytes,
        pace_bits_per_second: float,
        max_bytes: int,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._socket, self._test, self._wall_ns = socket_, test, wall_ns
        self._stamped = stamp_arrivals(socket_)
        self._size = IP_BYTES - headers_bytes(ipv6=socket_.family == socket.AF_INET6)
        self._buffer = bytearray(DATA_BYTES if self._stamped else IP_BYTES)
        self._buffers = [self._buffer]
        self._packet_ns = IP_BYTES * 8e9 / pace_bits_per_second
        self._seen = bytearray(max_bytes // IP_BYTES + 1)
        self._offset_ns = self._wall_ns() - time.monotonic_ns()
        self._start_ns = self._end_ns = 0
        self._index = 0
        self._numbers: list[int] = []
        self._digest = 0
        self._queue_ns = 0
        self._least_delay_ns: int | None = None
        self._last = (-1, 0, 0)  # number, when it was sent, how long it queued
        self._highest = -1
        self._first = -1
        self._unique = 0
        self._lost = 0
        self._idle_ns = 0.0
        self._lateness_ns = 0.0
        self._dropped = self._told_dropped = 0
        self.flags = 0 if self._stamped else Heard.USER_CLOCK
        self.packets = 0  # all, with those of the ramp
        self.datagrams = 0  # of any kind, even if none of ours
        self.beyond = 0  # numbers that were never to be sent, or came twice

    @property
    def bytes_ip(self) -> int:
        return self.packets * IP_BYTES

    @property
    def highest(self) -> int:
        """The highest number seen: at least so many packets less one were sent."""
        return self._highest

    def drain(self) -> list[Heard]:
        """Reads what has come, a portion at a time, and gives the bins that are over."""
        closed: list[Heard] = []
        empty = False
        for _ in range(BATCH):
            try:
                size, stamp_ns = self._read()
            except BlockingIOError:
                empty = True
                break
            self.datagrams += 1
            data = parse_data(self._buffer, self._test) if size == self._size else None
            if data is not None:
                self._take(data, stamp_ns, closed)
        if empty and self._start_ns:
            now_ns = self._now_ns()
            while now_ns - SETTLE_NS >= self._end_ns and len(closed) < MOST_BINS_AT_ONCE:
                closed.append(self._close())
        return closed

    def _read(self) -> tuple[int, int]:
        """The real length of a datagram, of which only the head is copied, and when it arrived."""
        if not self._stamped:
            return self._socket.recv_into(self._buffer), self._now_ns()
        size, ancillary, _, _ = self._socket.recvmsg_into(self._buffers, ANCILLARY_BYTES, socket.MSG_TRUNC)
        stamp_ns = 0
        for _, kind, content in ancillary:
            if kind == SO_TIMESTAMPNS:
                seconds, nanoseconds = (TIMESPEC if len(content) == TIMESPEC.size else OLD_TIMESPEC).unpack(content)
                stamp_ns = seconds * 1_000_000_000 + nanoseconds
            elif kind == SO_RXQ_OVFL:
                self._dropped = int.from_bytes(content, sys.byteorder)
        return size, stamp_ns or self._now_ns()

    def _now_ns(self) -> int:
        return self._wall_ns() if self._stamped else time.monotonic_ns()

    def _take(self, data: Data, stamp_ns: int, closed: list[Heard]) -> None:
        number, sent_ns, nonce, ramp = data
        if number >= len(self._seen) or self._seen[number]:
            self.beyond += 1
            return
        self._seen[number] = 1
        self.packets += 1
        delay_ns = stamp_ns - sent_ns
        if self._least_delay_ns is None or delay_ns < self._least_delay_ns:
            self._least_delay_ns = delay_ns
        if ramp:
            self._highest = max(self._highest, number)
            return
        if not self._start_ns:
            self._start_ns, self._end_ns, self._first = stamp_ns, stamp_ns + BIN_NS, number
        while stamp_ns >= self._end_ns and len(closed) < MOST_BINS_AT_ONCE:
            closed.append(self._close())
        self._numbers.append(number)
        self._digest += nonce
        queue_ns = delay_ns - self._least_delay_ns
        self._queue_ns = max(self._queue_ns, queue_ns)
        if number > self._highest:
            self._highest = number
            self._watch_pace(number, sent_ns, queue_ns)

    def _watch_pace(self, number: int, sent_ns: int, queue_ns: int) -> None:
        """How long the sender was silent though packets were due, by its own stamps, and what it had queued in the line was gone."""
        last, last_ns, last_queue_ns = self._last
        self._last = number, sent_ns, queue_ns
        if last < 0:
            return
        late_ns = sent_ns - last_ns - (number - last) * self._packet_ns
        self._lateness_ns += late_ns
        if late_ns > TICK_NS:
            self._idle_ns += max(late_ns - max(last_queue_ns, TICK_NS), 0.0)

    def _close(self) -> Heard:
        numbers = sorted(self._numbers)
        base = numbers[0] if numbers else 0
        seen = bytearray((numbers[-1] - base) // 8 + 1 if numbers else 0)
        for number in numbers:
            seen[(number - base) >> 3] |= 1 << ((number - base) & 7)
        self._unique += len(numbers)
        missing = max(self._highest - self._first + 1 - self._unique, 0)
        self._watch_clock()
        idle_ns = max(self._idle_ns, self._lateness_ns - TICK_NS, 0.0)
        heard = Heard(
            index=self._index,
            microseconds=BIN_NS // 1000,
            bytes_received=len(numbers) * IP_BYTES,
            packets=len(numbers),
            lost=max(missing - self._lost, 0),
            idle_microseconds=min(int(idle_ns / 1000), BIN_NS // 1000),
            queue_microseconds=min(self._queue_ns // 1000, 0xFFFF_FFFF),
            flags=self.flags | (Heard.DROPPED if self._dropped != self._told_dropped else 0),
            base=base,
            digest=self._digest & 0xFFFF_FFFF_FFFF_FFFF,
            seen=bytes(seen),
        )
        self._lost, self._told_dropped = max(missing, self._lost), self._dropped
        self._numbers, self._digest, self._queue_ns, self._idle_ns, self._lateness_ns = [], 0, 0, 0.0, 0.0
        self._index += 1
        self._end_ns += BIN_NS
        return heard

    def _watch_clock(self) -> None:
        """Stamps are wall time: a step would stretch or shrink a bin."""
        if self._stamped and abs(self._wall_ns() - time.monotonic_ns() - self._offset_ns) > STEP_NS:
            self.flags |= Heard.CLOCK_STEPPED
