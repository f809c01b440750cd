"""The echo sockets of the whole daemon, and the clock they work by: echoes go and replies are read on a common beat.

The kernel stamps each reply when it comes, so reading it some milliseconds later alters no round-trip time, and a beat
for all trains together costs a tenth of waking up for every echo and every reply.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import heapq
import ipaddress
import itertools
import math
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from probes import _connect
from probes._echo import Train
from probes._echo_raw import open_echo_socket
from probes._echo_socket import EchoSocket
from probes._wire import icmp as wire

__all__ = ["Pinger", "host_address", "literal_host", "one_host", "padding", "ping_many"]

BEAT_SECONDS = 0.02
NO_ROOM_SECONDS = 0.001
SEND_PATIENCE_SECONDS = 1.0
BATCH_SECONDS = 0.004  # a wake-up costs as much as three echoes
MAX_BATCH = 64
CATCH_UP = 4
PATTERN = b"netwatch echo request. "


def host_address(text: str) -> tuple[Any, ...]:
    """What sendto takes for the literal address of one host. Raises ValueError for any other text."""
    where = literal_host(text)
    if where is None:
        raise ValueError(f"{text!r} is not an IP address")
    return where


def literal_host(text: str) -> tuple[Any, ...] | None:
    """The same, but None for a name. Raises ValueError for a literal address that is no host's: multicast, 0.0.0.0."""
    with contextlib.suppress(OSError):
        if 0 < socket.inet_pton(socket.AF_INET, text)[0] < 224:  # the quick way: there are thousands
            return (text, 0)
    for _family, where in _connect.literal(text, 0):
        return one_host(where)
    return None


def one_host(where: tuple[Any, ...]) -> tuple[Any, ...]:
    address = ipaddress.ip_address(where[0])
    if address.is_multicast or address.is_unspecified or where[0] == "255.255.255.255":
        raise ValueError(f"{address} is not the address of one host")
    return where


class Flight:
    """A train under way: when its next echo is due, and when to wait no longer."""

    __slots__ = ("_began", "_count", "_deadline", "_drops", "_ends", "_spacing", "_wait", "done", "echo", "train")

    def __init__(self, echo: EchoSocket, where: tuple[Any, ...], payload: bytes, plan: tuple[int, float, float, float]) -> None:
        self._count, self._spacing, self._wait, self._deadline = plan
        self.echo = echo
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.train = Train(where, payload, round(self._wait * 1e9), self._end)
        self._began = self._ends = math.inf
        self._drops = 0

    def _end(self) -> None:
        """Whatever is missing now is lost, unless the kernel had no room for it: then nobody can tell what was lost where."""
        if self.done.done():
            return
        if len(self.train.rtt_seconds) < self.train.sent and self.echo.drops() != self._drops:
            self.done.set_exception(OSError(errno.ENOBUFS, "the kernel dropped echo replies: the receive buffer was full"))
        else:
            self.done.set_result(None)

    def step(self, now: float) -> float:
        """Does what is due, after all that has come was read; gives the time of the next step."""
        if self.train.sending:
            self._send(now)
        elif now >= self._ends:
            self._end()
        if self.train.sending:
            return max(now, self._began + self.train.sent * self._spacing)
        return min(now + BEAT_SECONDS, self._ends)

    def _send(self, now: float) -> None:
        train = self.train
        if not train.sent:
            self._began = now
            self._drops = self.echo.drops()
        if not train.sent or now < self._deadline:
            try:
                if not self.echo.send(train) and now >= self._deadline:
                    raise OSError(errno.ENOBUFS, "no room to send echo requests")
            except OSError as error:
                self.done.set_exception(error)
                return
        if train.sent == self._count or (train.sent and now >= self._deadline):
            self._ends = min(now + self._wait, max(now, self._deadline))
            train.all_sent()


class Pinger:
    """One echo socket a family, and one more for each source address asked for."""

    def __init__(self) -> None:
        self._sockets: dict[tuple[wire.Version, str | None], EchoSocket] = {}
        self._due: list[tuple[float, int, Flight]] = []
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    def echo_socket(self, where: Sequence[Any], source: str | None = None) -> EchoSocket:
        """The socket for what sendto takes. Raises OSError when it cannot be opened."""
        version = wire.IPV6 if len(where) == 4 else wire.IPV4
        found = self._sockets.get((version, source))
        if found is None:
            found = self._sockets[version, source] = open_echo_socket(version, source)
        return found

    def totals(self) -> Mapping[str, int]:
        """Replies not credited, by why: `dropped` found no room in the kernel. `clock_steps` were credited in spite of one."""
        books = [echo.book for echo in self._sockets.values()]
        return {
            "late": sum(book.late for book in books),
            "duplicates": sum(book.duplicates for book in books),
            "foreign": sum(book.foreign for book in books),
            "clock_steps": sum(book.clock_steps for book in books),
            "dropped": sum(echo.drops() for echo in self._sockets.values()),
        }

    async def ping(
        self, where: tuple[Any, ...], *, count: int, spacing: float, wait: float, payload: bytes, source: str | None, deadline: float
    ) -> Train:
        """Sends up to `count` echoes, `spacing` seconds apart, and waits until all are answered or `wait` seconds after the last.

        Ends by `deadline` (loop time), with fewer echoes if need be, but at least one. Raises OSError for what is wrong
        on this host, ENOBUFS among it when the kernel had no room for replies.
        """
        flight = Flight(self.echo_socket(where, source), where, payload, (count, spacing, wait, deadline))
        flight.echo.book.open(flight.train)
        try:
            self._push(asyncio.get_running_loop().time(), flight)
            self._arm()
            await flight.done
        finally:
            flight.done.cancel()
            flight.echo.book.close(flight.train)
        return flight.train

    def _push(self, when: float, flight: Flight) -> None:
        heapq.heappush(self._due, (math.ceil(when / BEAT_SECONDS) * BEAT_SECONDS, next(self._numbers), flight))

    def _arm(self) -> None:
        when = self._due[0][0]
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(when, self._beat)

    def _beat(self) -> None:
        self._timer = None
        self.read()
        now = asyncio.get_running_loop().time()
        while self._due and self._due[0][0] <= now:
            flight = heapq.heappop(self._due)[2]
            if not flight.done.done():
                self._push(flight.step(now), flight)
        if self._due:
            self._arm()

    def read(self) -> None:
        """Takes all replies that have come."""
        for echo in self._sockets.values():
            echo.read()

    async def aclose(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        while self._sockets:
            self._sockets.popitem()[1].close()


class Pace:
    """Lets `rate` echoes a second go, in small batches; of time lost, only a few batches are made up for."""

    def __init__(self, rate: float) -> None:
        self.batch = max(1, min(MAX_BATCH, round(rate * BATCH_SECONDS)))
        self._interval = self.batch / rate
        self._clock = asyncio.get_running_loop().time
        self._next = self._clock()

    async def wait(self) -> None:
        """Until a batch may go. Always gives the loop a turn."""
        await asyncio.sleep(max(0.0, self._next - self._clock()))
        self._next = max(self._next, self._clock() - CATCH_UP * self._interval) + self._interval


async def ping_many(
    pinger: Pinger,
    addresses: Sequence[str],
    *,
    count: int,
    rate: float,
    wait: float,
    spacing: float = 0.2,
    size: int = 56,
    source: str | None = None,
) -> list[Train]:
    """Sends `count` echoes to each address, round by round, `rate` a second in all and `spacing` seconds apart for each.

    Gives one train an address, in their order; where this host cannot send to one, `reason` says why (`enetunreach`).
    Raises ValueError for what is not an address, OSError when there is no socket to be had.
    """
    lanes = []
    for address in addresses:
        where = host_address(address)
        lanes.append((pinger.echo_socket(where, source), Train(where, padding(size), round(wait * 1e9))))
    for echo, train in lanes:
        echo.book.open(train)
    try:
        await _send_rounds(pinger, lanes, count, spacing, Pace(rate))
        clock = asyncio.get_running_loop().time
        ends = clock() + wait
        while any(train.waiting for _, train in lanes) and clock() < ends:
            await asyncio.sleep(BEAT_SECONDS)
            pinger.read()
    finally:
        for echo, train in lanes:
            echo.book.close(train)
    return [train for _, train in lanes]


async def _send_rounds(pinger: Pinger, lanes: Sequence[tuple[EchoSocket, Train]], count: int, spacing: float, pace: Pace) -> None:
    clock = asyncio.get_running_loop().time
    left = 0
    for number in range(count):
        began = clock()
        for echo, train in lanes:
            if not left:
                await pace.wait()
                pinger.read()
                left = pace.batch
            left -= 1
            try:
                patience = clock() + SEND_PATIENCE_SECONDS
                while not echo.send(train):
                    if clock() >= patience:
                        raise OSError(errno.ENOBUFS, "no room to send echo requests")
                    await asyncio.sleep(NO_ROOM_SECONDS)
            except OSError as error:
                train.reason = errno.errorcode.get(error.errno or 0, "os_error").lower()
        if number < count - 1:
            await asyncio.sleep(began + spacing - clock())


def padding(size: int) -> bytes:
    """What follows the nonce in a payload of `size` bytes."""
    return (PATTERN * (size // len(PATTERN) + 1))[: size - wire.NONCE_BYTES]
