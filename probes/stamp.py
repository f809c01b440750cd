"""Delay, jitter and loss of a path as STAMP or TWAMP-light measures them, each direction by itself where the far end allows."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import secrets
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from time import monotonic_ns, time_ns
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import Field

from probes import Metric, Probe, ProbeFailed, Reading, Sample, Shared, Target, _clock, _connect
from probes._stamp_train import Losses, OneWay, Session, Train, losses, one_way, round_trips
from probes._wire.icmp import parse_stamp
from probes._wire.stamp import STAMP_BYTES, BadPacket, ErrorEstimate, Reply

__all__ = ["Stamp"]

SO_TIMESTAMPNS = 35  # asm-generic/socket.h; Python 3.11 has no name for it
READ_BYTES = 2048
READ_CONTROL_BYTES = 64
SENDER_TTL = 255  # RFC 8762 section 4.2
DEADLINE_MARGIN_SECONDS = 0.05
ROUND_TRIP, DOWN, UP = "round_trip", "down", "up"
LABELS: tuple[Literal["site"], Literal["target"]] = ("site", "target")
METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "stamp_rtt_seconds": Metric(
            "histogram", "seconds", "Round-trip time without the time spent in the far end.", keep="smoke", labels=LABELS
        ),
        "stamp_delay_seconds": Metric(
            "histogram", "seconds", "One-way delay; only where both clocks are set.", "direction", keep="smoke", labels=LABELS
        ),
        "stamp_clock_error_seconds": Metric("gauge", "seconds", "By how much the one-way delays may be off.", labels=LABELS),
        "stamp_jitter_seconds": Metric(
            "gauge",
            "seconds",
            "Mean difference between the delays of neighbouring packets of the last train.",
            "direction",
            keep="mean",
            labels=LABELS,
        ),
        "stamp_loss_ratio": Metric(
            "gauge",
            "ratio",
            "Part lost: of the last train (round_trip), and of what was sent up to its last answer (down, up).",
            "direction",
            keep="smoke",
            labels=LABELS,
        ),
        "stamp_sent": Metric("counter", "", "Test packets sent.", labels=LABELS),
        "stamp_received": Metric("counter", "", "Test packets answered in time.", labels=LABELS),
        "stamp_lost": Metric("counter", "", "Test packets lost, by the way on which they were.", "direction", labels=LABELS),
        "stamp_late": Metric("counter", "", "Answers that came too late to be credited.", labels=LABELS),
        "stamp_duplicates": Metric("counter", "", "Answers that came twice.", labels=LABELS),
        "stamp_reordered": Metric("counter", "", "Answers that came after one to a later packet.", labels=LABELS),
        "stamp_distrusted": Metric("counter", "", "Answers of trains in which the far end's times cannot be true.", labels=LABELS),
    }
)


@dataclass(kw_only=True, eq=False)
class Stamp(Probe):
    """Sends a train of STAMP packets (RFC 8762) to a reflector, or to a TWAMP-light responder; a re-check sends one.

    `down` is towards the far end, `up` from there. `counts` says whether the reflector numbers what it gets (stateful, RFC 8762
    section 4.3), which loss by direction needs; left out, it is found out. Fails with `refused` or `timeout` when none is answered.
    """

    port: Annotated[int, Field(ge=1, le=65_535)] = 862
    count: Annotated[int, Field(ge=1, le=1000)] = 20
    spacing_seconds: Annotated[float, Field(ge=0.005, le=10)] = 0.05
    wait_seconds: Annotated[float, Field(gt=0, le=10)] = 1.0
    size: Annotated[int, Field(ge=STAMP_BYTES, le=1472)] = STAMP_BYTES
    dscp: Annotated[int, Field(ge=0, le=63)] = 0
    counts: bool | None = None
    _session: Session | None = field(init=False, repr=False, default=None)
    _counts: bool | None = field(init=False, repr=False, default=None)

    def metrics(self) -> Mapping[str, Metric]:
        return METRICS

    async def run(self, target: Target, shared: Shared) -> Reading:  # noqa: ARG002  # a socket of its own each time
        family, where = (await _connect.resolve(target.address, self.port))[0]
        clock = _clock.read()
        with self._opened(family, where, target.source) as (connection, session):
            train = Train(session, ErrorEstimate.of(clock.error_seconds, synchronised=clock.synchronised))
            refused = await self._exchange(connection, train, target)
        train.end()
        return self._reading(train, clock, refused=refused)

    @contextlib.contextmanager
    def _opened(self, family: socket.AddressFamily, where: tuple[Any, ...], source: str | None) -> Iterator[tuple[socket.socket, Session]]:
        """A socket from the port of the runs before, for the far end knows a session by it; if that is taken, a new session."""
        with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as connection:
            connection.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            if family is socket.AF_INET6:
                connection.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, SENDER_TTL)
                connection.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, self.dscp << 2)
            else:
                connection.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, SENDER_TTL)
                connection.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, self.dscp << 2)
            host = source or ("::" if family is socket.AF_INET6 else "0.0.0.0")
            session = self._session
            try:
                connection.bind((host, session.port if session else 0))
            except OSError as error:
                if session is None or error.errno != errno.EADDRINUSE:
                    raise
                session = None
                connection.bind((host, 0))
            connection.connect(where)
            self._session = session = session or Session(secrets.randbelow(0xFFFF) + 1, connection.getsockname()[1])
            yield connection, session

    async def _exchange(self, connection: socket.socket, train: Train, target: Target) -> bool:
        """Sends the train and takes what comes until all is answered or waited for. True when the far end refused a packet."""
        loop = asyncio.get_running_loop()
        latest = target.deadline - DEADLINE_MARGIN_SECONDS
        all_answered, refusals = asyncio.Event(), [0]
        count = 1 if target.recheck else self.count

        def readable() -> None:
            refusals[0] += _take(connection, train)
            if train.settled and train.sent == count:
                all_answered.set()

        loop.add_reader(connection, readable)
        try:
            began = loop.time()
            for number in range(count):
                await asyncio.sleep(max(0.0, began + number * self.spacing_seconds - loop.time()))
                if loop.time() >= latest:
                    break
                refusals[0] += _send(connection, train, self.size)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(min(loop.time() + self.wait_seconds, latest)):
                    await all_answered.wait()
            refusals[0] += _take(connection, train)
        finally:
            loop.remove_reader(connection)
        return refusals[0] > 0

    def _reading(self, train: Train, clock: _clock.ClockState, *, refused: bool) -> Reading:
        answers = train.in_order()
        rtts, believed = round_trips(answers)
        lost, self._counts = losses(train, counts=self._counts if self.counts is None else self.counts)
        samples = (*_counted(train, believed=believed), *_delays(rtts, one_way(answers, clock)), *_lost(lost, train.sent))
        if not rtts:
            strays = f"; {train.foreign} were no answers to ours" if train.foreign else ""
            detail = f"{train.sent} test packets, no answer{strays}"
            raise ProbeFailed("refused" if refused else "timeout", reading=Reading(samples, detail=detail))
        return Reading(samples)


def _send(connection: socket.socket, train: Train, size: int) -> int:
    """One packet; gives how many refusals of earlier ones were met on the way."""
    packet = train.send(time_ns(), monotonic_ns()).encode(size)
    try:
        connection.send(packet)
    except ConnectionRefusedError:
        connection.send(packet)
        return 1
    return 0


def _take(connection: socket.socket, train: Train) -> int:
    """All that has come; gives how many refusals."""
    refusals = 0
    while True:
        try:
            data, control, _flags, _source = connection.recvmsg(READ_BYTES, READ_CONTROL_BYTES)
        except BlockingIOError:
            return refusals
        except ConnectionRefusedError:
            refusals += 1
            continue
        stamp = parse_stamp(control[0][2]) if control else None
        try:
            reply = Reply.parse(data)
        except BadPacket:
            train.foreign += 1
            continue
        train.receive(reply, stamp, time_ns(), monotonic_ns())


def _counted(train: Train, *, believed: bool) -> Iterator[Sample]:
    received = len(train.answers)
    yield Sample("stamp_loss_ratio", (1 - received / train.sent,), ROUND_TRIP)
    for name, count in (
        ("sent", train.sent),
        ("received", received),
        ("late", train.late),
        ("duplicates", train.duplicates),
        ("reordered", train.reordered),
        ("distrusted", 0 if believed else received),
    ):
        yield Sample(f"stamp_{name}", (float(count),))


def _delays(rtts: tuple[float, ...], ways: OneWay | None) -> Iterator[Sample]:
    if rtts:
        yield Sample("stamp_rtt_seconds", rtts)
    if len(rtts) > 1:
        # RFC 3550 section 6.4.1 without its smoothing, which needs far more packets than a train has.
        steps = [abs(later - earlier) for earlier, later in itertools.pairwise(rtts)]
        yield Sample("stamp_jitter_seconds", (sum(steps) / len(steps),), ROUND_TRIP)
    if ways is not None:
        yield Sample("stamp_jitter_seconds", (ways.down_jitter,), DOWN)
        yield Sample("stamp_jitter_seconds", (ways.up_jitter,), UP)
    if ways is not None and ways.down:
        yield Sample("stamp_delay_seconds", ways.down, DOWN)
        yield Sample("stamp_delay_seconds", ways.up, UP)
        yield Sample("stamp_clock_error_seconds", (ways.error_seconds,))


def _lost(lost: Losses | None, sent: int) -> Iterator[Sample]:
    if lost is None:
        return
    if lost.sent <= 2 * sent:  # else there was an outage in between: a matter for the counters, but no longer of now
        yield Sample("stamp_loss_ratio", (lost.down / lost.sent,), DOWN)
        yield Sample("stamp_loss_ratio", (lost.up / (lost.sent - lost.down),), UP)
    yield Sample("stamp_lost", (float(lost.down),), DOWN)
    yield Sample("stamp_lost", (float(lost.up),), UP)
