"""Does it answer echo requests, how soon, and how many are lost?"""

from __future__ import annotations

import errno
import functools
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import Field

from probes import Ended, Metric, Probe, ProbeFailed, Reading, Sample, Shared, Target, _connect
from probes._echo import MEMORY_NS, Train
from probes._pinger import Pinger, Plan, host_address, literal_host, one_host, padding, ping_many
from probes._wire.icmp import NONCE_BYTES

__all__ = ["MAX_WAIT_SECONDS", "Icmp", "Pinger", "Plan", "Train", "host_address", "ping_many"]

MAX_WAIT_SECONDS = MEMORY_NS / 1e9
# A train ends this long before its deadline, so that what was measured is returned rather than cut off.
DEADLINE_MARGIN_SECONDS = 0.05
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


@dataclass(kw_only=True, eq=False)
class Icmp(Probe):
    """Sends a train of echo requests; `size` is the payload's bytes. A re-check sends one.

    Fails with what an ICMP error said (`host_unreachable`, `admin_prohibited`, `ttl_exceeded` …) or `timeout` when none
    is answered. Replies that are late or doubled are reported by the next run.
    """

    count: Annotated[int, Field(ge=1, le=100)] = 5
    spacing_seconds: Annotated[float, Field(ge=0.01, le=10)] = 0.2
    wait_seconds: Annotated[float, Field(gt=0, le=MAX_WAIT_SECONDS)] = 1.0
    size: Annotated[int, Field(ge=NONCE_BYTES, le=1472)] = 56
    _train: Train | None = field(init=False, repr=False, default=None)
    _told: tuple[int, int] = field(init=False, repr=False, default=(0, 0))

    def metrics(self) -> Mapping[str, Metric]:
        return METRICS

    async def prepare(self, shared: Shared) -> None:
        """Raises OSError EACCES where this process may not send echo requests: neither `net.ipv4.ping_group_range` nor CAP_NET_RAW."""
        shared.get(Pinger).echo_socket(("", 0))

    def begin(self, target: Target, shared: Shared, ended: Ended) -> bool:
        """Not for names, whose look-up must be waited for."""
        try:
            where = literal_host(target.address)
        except ValueError:
            return False
        if where is None:
            return False
        shared.get(Pinger).start(where, self._plan(target), lambda train, error: ended(functools.partial(self._reading, train, error)))
        return True

    async def run(self, target: Target, shared: Shared) -> Reading:
        where = await _resolve(target.address)
        return self._reading(await shared.get(Pinger).ping(where, self._plan(target)))

    def _plan(self, target: Target) -> Plan:
        return Plan(
            echoes=1 if target.recheck else self.count,
            spacing=self.spacing_seconds,
            wait=self.wait_seconds,
            payload=padding(self.size),
            source=target.source,
            deadline=target.deadline - DEADLINE_MARGIN_SECONDS,
        )

    def _reading(self, train: Train, error: OSError | None = None) -> Reading:
        if error is not None:
            raise error
        rtts = train.rtt_seconds
        reading = Reading((*_samples(train, rtts), *self._strays(train)), detail="" if rtts else _why(train))
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
        return (_counted("icmp_late", late), _counted("icmp_duplicates", duplicates))


async def _resolve(host: str) -> tuple[Any, ...]:
    try:
        return literal_host(host) or one_host((await _connect.resolve(host, 0))[0][1])
    except ValueError as error:
        raise OSError(errno.EINVAL, str(error)) from error


def _samples(train: Train, rtts: tuple[float, ...]) -> Iterator[Sample]:
    if rtts:
        yield Sample("icmp_rtt_seconds", rtts)
    yield _counted("icmp_sent", train.sent)
    yield _counted("icmp_received", len(rtts))
    yield _loss(train.sent, len(rtts))
    if len(rtts) > 1:
        # RFC 3550 §6.4.1 without its smoothing, which needs far more packets than a train has.
        yield Sample("icmp_jitter_seconds", (sum([abs(later - earlier) for earlier, later in itertools.pairwise(rtts)]) / (len(rtts) - 1),))


@functools.lru_cache(maxsize=512)  # nearly all runs give the same few of these
def _counted(name: str, count: int) -> Sample:
    return Sample(name, (float(count),))


@functools.lru_cache(maxsize=512)
def _loss(sent: int, received: int) -> Sample:
    return Sample("icmp_loss_ratio", (1 - received / sent,))


def _why(train: Train) -> str:
    detail = f"{train.sent} echo requests, no answer"
    return f"{detail}; {train.offender or 'a router'} says {train.reason}" if train.reason else detail
