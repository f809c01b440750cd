"""What a router's checks tell, rates since the check before, as the counters that the judge looks at. Pure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from netwatch.line._evidence import CounterReading, Counters

__all__ = ["RatePoint", "counters_of"]


# By how much the probe may have taken the agent's clock for the time between two answers to differ from ours (probes/_snmp_counters.py).
TOLERANCE_SECONDS, TOLERANCE_RATIO = 1.0, 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class RatePoint:
    """One result of an SNMP check: bytes, framing included, and packets a second since the result before. None: not told.

    `at` is monotonic and `wall` the same moment, when the check began; it took `took_seconds`. `uptime_seconds` is its sample of that
    name: with it the time that the rates were made with is known, without it the least that it can have been is taken.
    """

    at: float
    wall: float
    took_seconds: float
    bytes_per_second: float | None
    packets_per_second: float | None = None
    uptime_seconds: float | None = None


def counters_of(
    points: Sequence[RatePoint], *, cache_seconds: float | None = None, speed_bits_per_second: float | None = None
) -> Counters | None:
    """The newest points without a gap, oldest first; None without two. A rate that is missing had a restart or a reset before it."""
    unbroken: list[RatePoint] = []
    for one in reversed(points):
        unbroken.append(one)
        if one.bytes_per_second is None:
            break
    unbroken.reverse()
    if len(unbroken) < 2:
        return None
    counted = all(one.packets_per_second is not None for one in unbroken[1:])
    octets = packets = 0.0
    readings = [_reading(unbroken[0], 0.0, 0.0 if counted else None)]
    for before, one in itertools.pairwise(unbroken):
        least, most = _between(before, one)
        octets += (one.bytes_per_second or 0.0) * least
        packets += (one.packets_per_second or 0.0) * most
        readings.append(_reading(one, octets, packets if counted else None))
    return Counters(
        readings=tuple(readings), wall=unbroken[-1].wall, cache_seconds=cache_seconds, speed_bits_per_second=speed_bits_per_second
    )


def _between(before: RatePoint, one: RatePoint) -> tuple[float, float]:
    """What the rates may have been divided by: the least and the most."""
    elapsed = one.at - before.at
    if before.uptime_seconds is not None and one.uptime_seconds is not None and one.uptime_seconds > before.uptime_seconds:
        by_agent = one.uptime_seconds - before.uptime_seconds
        return min(by_agent, elapsed + one.took_seconds), by_agent
    slack = max(TOLERANCE_SECONDS, TOLERANCE_RATIO * elapsed)
    return max(elapsed - slack, 0.0), elapsed + slack


def _reading(one: RatePoint, octets: float, packets: float | None) -> CounterReading:
    """Rates hold no step back of the agent's clock: a restart left a gap instead."""
    return CounterReading(
        at=one.at,
        octets=int(octets),
        packets=None if packets is None else math.ceil(packets),
        uptime_seconds=one.at,
        took_seconds=one.took_seconds,
    )
