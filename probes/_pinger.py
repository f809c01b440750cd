"""The echo sockets of the whole daemon, and the clock they work by: echoes go and replies are read on a common beat.

The kernel stamps each reply when it comes, so reading it a fifth of a second later alters no round-trip time, and a beat
for all trains together costs a fraction of waking up for every echo and every reply.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import heapq
import ipaddress
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from probes import _connect
from probes._echo import Train
from probes._echo_raw import open_echo_socket
from probes._echo_socket import EchoSocket
from probes._flight import QUICK_SECONDS, Ended, Flight, Plan
from probes._wire import icmp as wire

__all__ = ["Pinger", "Plan", "host_address", "literal_host", "one_host", "padding", "ping_many"]

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


@functools.lru_cache(maxsize=4096)
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


class Pinger:
    """One echo socket a family, and one more for each source address asked for."""

    def __init__(self) -> None:
        self._sockets: dict[tuple[int, str | None], EchoSocket] = {}  # by how long an address of the family is, and the source
        self._due: dict[float, list[Flight]] = {}  # by beat
        self._beats: list[float] = []  # a heap of the same
        self._timer: asyncio.TimerHandle | None = None

    def echo_socket(self, where: Sequence[Any], source: str | None = None) -> EchoSocket:
        """The socket for what sendto takes. Raises OSError when it cannot be opened."""
        found = self._sockets.get((len(where), source))
        if found is None:
            found = self._sockets[len(where), source] = open_echo_socket(wire.IPV6 if len(where) == 4 else wire.IPV4, source)
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

    async def ping(self, where: tuple[Any, ...], plan: Plan) -> Train:
        """Sends a train and waits until all of it is answered or the time is up.

        Raises OSError for what is wrong on this host, ENOBUFS among it when the kernel had no room for replies.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def ended(_train: Train, error: OSError | None) -> None:
            if done.done():
                return
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)

        flight = self.start(where, plan, ended)
        try:
            await done
        finally:
            flight.stop()
        return flight.train

    def start(self, where: tuple[Any, ...], plan: Plan, ended: Ended) -> Flight:
        """As `ping`, for a caller who is called back, perhaps before this returns: with the train, and what `ping` would raise.

        Raises OSError when there is no socket to be had.
        """
        flight = Flight(self.echo_socket(where, plan.source), where, plan, ended)
        self._step(flight, asyncio.get_running_loop().time())
        self._arm()
        return flight

    def _step(self, flight: Flight, now: float) -> None:
        if flight.over:
            return
        when = flight.step(now)
        together = self._due.get(when)
        if together is None:
            self._due[when] = [flight]
            heapq.heappush(self._beats, when)
        else:
            together.append(flight)

    def _arm(self) -> None:
        if not self._beats:
            return
        when = self._beats[0]
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(when, self._beat)

    def _beat(self) -> None:
        self._timer = None
        try:
            self.read()
            now = asyncio.get_running_loop().time()
            while self._beats and self._beats[0] <= now:
                for flight in self._due.pop(heapq.heappop(self._beats)):
                    self._step(flight, now)
        finally:
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
            await asyncio.sleep(QUICK_SECONDS)
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
