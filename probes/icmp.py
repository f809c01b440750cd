"""Does it answer echo requests, how soon, and how many are lost?"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import itertools
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import Field

from probes import Metric, Probe, ProbeFailed, Reading, Sample, Shared, Target, _connect
from probes._echo import MEMORY_NS, Train
from probes._echo_socket import EchoSocket
from probes._wire import icmp as wire

__all__ = ["Icmp", "Pinger", "Train", "host_address", "ping_many"]

MAX_WAIT_SECONDS = MEMORY_NS / 1e9
# A train ends this long before its deadline, so that what was measured is returned rather than cut off.
DEADLINE_MARGIN_SECONDS = 0.02
NO_ROOM_SECONDS = 0.001
SEND_PATIENCE_SECONDS = 1.0
BATCH_SECONDS = 0.004  # a wake-up costs as much as three echoes
MAX_BATCH = 64
CATCH_UP = 4
ALL_READS = 1 << 16
PATTERN = b"netwatch echo request. "
LABELS: tuple[Literal["site"], Literal["target"]] = ("site", "target")
METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "icmp_rtt_seconds": Metric("histogram", "seconds", "Round-trip time of echoes.", keep="smoke", labels=LABELS),
        "icmp_sent": Metric("counter", "", "Echo requests sent.", labels=LABELS),
        "icmp_received": Metric("counter", "", "Echo requests answered in time.", labels=LABELS),
        "icmp_loss_ratio": Metric("gauge", "ratio", "Part of the last train that was not answered in time.", keep="smoke", labels=LABELS),
        "icmp_jitter_seconds": Metric(
            "gauge",
            "seconds",
            "Mean difference between the round trips of neighbouring replies of the last train.",
            keep="mean",
            labels=LABELS,
        ),
        "icmp_late": Metric("counter", "", "Replies that came too late to be credited.", labels=LABELS),
        "icmp_duplicates": Metric("counter", "", "Replies that came twice.", labels=LABELS),
    }
)


def host_address(text: str) -> tuple[Any, ...]:
    """What sendto takes for the literal address of one host. Raises ValueError for any other text."""
    with contextlib.suppress(OSError):
        if 0 < socket.inet_pton(socket.AF_INET, text)[0] < 224:  # the quick way: bulk runs give thousands
            return (text, 0)
    for _family, where in _connect.literal(text, 0):
        return _one_host(where)
    raise ValueError(f"{text!r} is not an IP address")


def _one_host(where: tuple[Any, ...]) -> tuple[Any, ...]:
    address = ipaddress.ip_address(where[0])
    if address.is_multicast or address.is_unspecified or where[0] == "255.255.255.255":
        raise ValueError(f"{address} is not the address of one host")
    return where


class Pinger:
    """The echo sockets of the whole daemon: one a family, and one more for each source address asked for."""

    def __init__(self) -> None:
        self._sockets: dict[tuple[wire.Version, str | None], EchoSocket] = {}

    def echo_socket(self, where: Sequence[Any], source: str | None = None) -> EchoSocket:
        """The socket for what sendto takes. Raises OSError when it cannot be opened."""
        version = wire.IPV6 if len(where) == 4 else wire.IPV4
        found = self._sockets.get((version, source))
        if found is None:
            found = self._sockets[version, source] = EchoSocket(version, source)
        return found

    def totals(self) -> Mapping[str, int]:
        """Replies not credited, by why: `dropped` found no room in the kernel. `clock_steps` are those timed without its stamp."""
        books = [echo.book for echo in self._sockets.values()]
        return {
            "late": sum(book.late for book in books),
            "duplicates": sum(book.duplicates for book in books),
            "foreign": sum(book.foreign for book in books),
            "clock_steps": sum(book.clock_steps for book in books),
            "dropped": sum(echo.drops() for echo in self._sockets.values()),
        }

    async def ping(
        self, where: tuple[Any, ...], *, count: int, spacing: float, wait: float, padding: bytes, source: str | None, deadline: float
    ) -> Train:
        """Sends up to `count` echoes, `spacing` seconds apart, and waits until all are answered or `wait` seconds after the last.

        Ends by `deadline` (loop time), with fewer echoes if need be, but at least one. Raises OSError for what is wrong
        on this host; ENOBUFS when the kernel had no room for replies, since nobody can tell then what was lost where.
        """
        loop = asyncio.get_running_loop()
        echo = self.echo_socket(where, source)
        drops = echo.drops()
        settled = asyncio.Event()
        train = Train(where, padding, round(wait * 1e9), settled.set)
        echo.book.open(train)
        try:
            began = loop.time()
            for number in range(count):
                if number:
                    await asyncio.sleep(began + number * spacing - loop.time())
                    if loop.time() >= deadline:
                        break
                await _send(echo, train, deadline)
            train.all_sent()
            try:
                async with asyncio.timeout_at(min(loop.time() + wait, max(deadline, loop.time()))):
                    await settled.wait()
            except TimeoutError:
                echo.read(ALL_READS)  # what came in time may still lie in the buffer when this process was slow
        finally:
            echo.book.close(train)
        if len(train.rtt_seconds) < train.sent and echo.drops() != drops:
            raise OSError(errno.ENOBUFS, "the kernel dropped echo replies: the receive buffer was full")
        return train

    async def aclose(self) -> None:
        while self._sockets:
            self._sockets.popitem()[1].close()


async def _send(echo: EchoSocket, train: Train, deadline: float) -> None:
    while not echo.send(train):
        if asyncio.get_running_loop().time() >= deadline:
            raise OSError(errno.ENOBUFS, "no room to send echo requests")
        await asyncio.sleep(NO_ROOM_SECONDS)


class Pace:
    """Lets `rate` echoes a second go, in small batches; of time lost, only a few batches are made up for."""

    def __init__(self, rate: float) -> None:
        self.batch = max(1, min(MAX_BATCH, round(rate * BATCH_SECONDS)))
        self._interval = self.batch / rate
        self._clock = asyncio.get_running_loop().time
        self._next = self._clock()

    async def wait(self) -> None:
        """Until a batch may go. Always lets the loop read what has come."""
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
    settled = asyncio.Event()
    unsettled = itertools.count(len(addresses) - 1, -1)

    def one_settled() -> None:
        if not next(unsettled):
            settled.set()

    lanes = []
    for address in addresses:
        where = host_address(address)
        lanes.append((pinger.echo_socket(where, source), Train(where, padding(size), round(wait * 1e9), one_settled)))
    for echo, train in lanes:
        echo.book.open(train)
    try:
        await _send_rounds(lanes, count, spacing, Pace(rate))
        for _, train in lanes:
            train.all_sent()
        try:
            async with asyncio.timeout(wait if lanes else 0):
                await settled.wait()
        except TimeoutError:
            for echo in {echo for echo, _ in lanes}:
                echo.read(ALL_READS)
    finally:
        for echo, train in lanes:
            echo.book.close(train)
    return [train for _, train in lanes]


async def _send_rounds(lanes: Sequence[tuple[EchoSocket, Train]], count: int, spacing: float, pace: Pace) -> None:
    clock = asyncio.get_running_loop().time
    left = 0
    for number in range(count):
        began = clock()
        for echo, train in lanes:
            if not left:
                await pace.wait()
                left = pace.batch
            left -= 1
            try:
                if not echo.send(train):
                    await _send(echo, train, clock() + SEND_PATIENCE_SECONDS)
            except OSError as error:
                train.reason = errno.errorcode.get(error.errno or 0, "os_error").lower()
        if number < count - 1:
            await asyncio.sleep(began + spacing - clock())


def padding(size: int) -> bytes:
    """What follows the nonce in a payload of `size` bytes."""
    return (PATTERN * (size // len(PATTERN) + 1))[: size - wire.NONCE_BYTES]


@dataclass(kw_only=True, eq=False)
class Icmp(Probe):
    """Sends a train of echo requests; `size` is the payload's bytes. A re-check sends one.

    Fails with what an ICMP error said (`host_unreachable`, `admin_prohibited`, `ttl_exceeded` …) or `timeout` when none
    is answered. Replies that are late or doubled are reported by the next run.
    """

    count: Annotated[int, Field(ge=1, le=100)] = 5
    spacing_seconds: Annotated[float, Field(ge=0.01, le=10)] = 0.2
    wait_seconds: Annotated[float, Field(gt=0, le=MAX_WAIT_SECONDS)] = 1.0
    size: Annotated[int, Field(ge=wire.NONCE_BYTES, le=1472)] = 56
    _train: Train | None = field(init=False, repr=False, default=None)
    _told: tuple[int, int] = field(init=False, repr=False, default=(0, 0))

    def metrics(self) -> Mapping[str, Metric]:
        return METRICS

    async def prepare(self, shared: Shared) -> None:
        """Raises OSError EACCES where this process may not send echo requests: `net.ipv4.ping_group_range`."""
        shared.get(Pinger).echo_socket(("", 0))

    async def run(self, target: Target, shared: Shared) -> Reading:
        where = await _resolve(target.address)
        train = await shared.get(Pinger).ping(
            where,
            count=1 if target.recheck else self.count,
            spacing=self.spacing_seconds,
            wait=self.wait_seconds,
            padding=padding(self.size),
            source=target.source,
            deadline=target.deadline - DEADLINE_MARGIN_SECONDS,
        )
        rtts = train.rtt_seconds
        reading = Reading((*_samples(train), *self._strays(train)), detail="" if rtts else _why(train))
        if not rtts:
            raise ProbeFailed(train.reason or "timeout", reading=reading)
        return reading

    def _strays(self, train: Train) -> tuple[Sample, ...]:
        """Late and doubled replies since the last run: to this train, and to the one before after it had ended."""
        late, duplicates = train.late, train.duplicates
        if self._train is not None:
            late += self._train.late - self._told[0]
            duplicates += self._train.duplicates - self._told[1]
        self._train, self._told = train, (train.late, train.duplicates)
        return (Sample("icmp_late", (float(late),)), Sample("icmp_duplicates", (float(duplicates),)))


async def _resolve(host: str) -> tuple[Any, ...]:
    found = _connect.literal(host, 0) or await _connect.resolve(host, 0)
    try:
        return _one_host(found[0][1])
    except ValueError as error:
        raise OSError(errno.EINVAL, str(error)) from error


def _samples(train: Train) -> Iterator[Sample]:
    rtts = train.rtt_seconds
    if rtts:
        yield Sample("icmp_rtt_seconds", rtts)
    yield Sample("icmp_sent", (float(train.sent),))
    yield Sample("icmp_received", (float(len(rtts)),))
    yield Sample("icmp_loss_ratio", (1 - len(rtts) / train.sent,))
    if len(rtts) > 1:
        # RFC 3550 §6.4.1 without its smoothing, which needs far more packets than a train has.
        steps = [abs(later - earlier) for earlier, later in itertools.pairwise(rtts)]
        yield Sample("icmp_jitter_seconds", (sum(steps) / len(steps),))


def _why(train: Train) -> str:
    detail = f"{train.sent} echo requests, no answer"
    return f"{detail}; {train.offender or 'a router'} says {train.reason}" if train.reason else detail
