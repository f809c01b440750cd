"""What can speak for or against a line's contract: nouns, and what counters and ports say in IP-layer bits per second. Pure.

A counter of an Ethernet port counts frames (RFC 2863 section 3.1.6, RFC 3635 section 3.2.6): Ethernet header and frame check
sequence are in it, preamble and gap are not. A contract counts IP packets, so framing is taken off by packet.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

__all__ = [
    "GRADES",
    "Bounds",
    "Carried",
    "Clock",
    "Control",
    "CounterReading",
    "Counters",
    "Direction",
    "Evidence",
    "Grade",
    "Limits",
    "Measurement",
    "PortReading",
    "carried",
    "cross_traffic",
    "port_ceiling",
]

Direction: TypeAlias = Literal["down", "up"]
Grade: TypeAlias = Literal["reflector", "server", "router", "assisted"]
GRADES: Mapping[str, Grade] = {"udp": "reflector", "tcp": "reflector", "iperf3": "server", "http": "server", "router": "router"}

SMALLEST_FRAME_OCTETS = 64
LEAST_FRAMING_OCTETS = 14  # Linux leaves the check sequence out
USUAL_FRAMING_OCTETS = 18
# The most a frame can hold besides its IP packet: 44 of the smallest frame around a bare IP header; a longer one with a VLAN
# tag and PPPoE holds 30.
MOST_FRAMING_OCTETS = SMALLEST_FRAME_OCTETS - 20
ON_WIRE_JUMBO = 9000 / 9038  # of a port's speed, as IP: 9000 octets in a frame with preamble and gap (IEEE 802.3 clause 4)
ON_WIRE_USUAL = 1500 / 1538
ETHERNET = frozenset({6, 62, 69, 117})  # ifType: only there is ifHighSpeed what was negotiated
UPTIME_TOLERANCE_SECONDS = 2.0
UPTIME_TOLERANCE_RATIO = 0.02
SPEED_TOLERANCE = 1.02
LONGEST_STRETCH = 20  # times the least


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the judge holds to."""

    counters_seconds: float = 30.0  # a shorter peak may be a burst
    counters_fresh_seconds: float = 3600.0
    port_fresh_seconds: float = 600.0
    control_fresh_seconds: float = 900.0
    router_cpu_ratio: float = 0.9  # above it the router may be what is slow
    clock_ratio: float = 0.002  # of a test's length by which wall clock and monotonic clock may differ
    cross_needed: bool = True  # a refutation without the router's counters is not believed
    apart_seconds: float = 3600.0  # between the two refutations that make "below contract"
    stale_seconds: float = 30 * 86_400.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """IP-layer bits per second: at least, as measured, at most."""

    low: float
    value: float
    high: float

    def sound(self) -> bool:
        """`high` may be infinite: then nothing is known of the most."""
        return 0 <= self.low <= self.value <= self.high and math.isfinite(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterReading:
    """One answer of the agent: asked at `at` (monotonic), answered `took_seconds` later. `packets` of all kinds, if it counts them."""

    at: float
    octets: int
    uptime_seconds: float
    packets: int | None = None
    discontinuity: int = 0
    took_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """Successive readings of one direction of one port; `wall` is when the last of them was made.

    `cache_seconds` is how old an agent's figure may be; None where nobody has said, and then it is bounded by how often it moved.
    """

    readings: tuple[CounterReading, ...]
    wall: float
    bits: Literal[32, 64] = 64
    cache_seconds: float | None = None
    speed_bits_per_second: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PortReading:
    """What the port says it has negotiated. `full_duplex` None: it does not say."""

    wall: float
    speed_bits_per_second: float
    full_duplex: bool | None = None
    interface_type: int = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """An active test as its probe tells it. `bounds` are of what arrived; `bytes` is all that it cost, both ends together.

    `limit_end` is which end could not keep up: "" for none, else near (netwatch), far, router …
    """

    method: str
    verdict: Literal["proved", "refuted", "inconclusive"]
    wall: float
    seconds: float
    bytes: int
    bounds: Bounds | None
    reason: str = ""
    confidence: float = 0.0
    method_version: str = ""
    limit_end: str = ""
    burst_bytes: int = 0
    sent_bits_per_second: float = 0.0  # the pace of a test by UDP; 0: not told
    goodput_bits_per_second: float | None = None
    grade: Grade | None = None  # None: as GRADES says of the method; what is not in it is assisted
    full: bool = False
    figures: Mapping[str, float | None] = field(default_factory=dict)  # of a full test, as RFC 6349 names them; None where not known
    bins: tuple[tuple[float, ...], ...] = ()
    router_cpu_ratio: float | None = None  # the highest meanwhile, where the router itself was asked

    @property
    def worth(self) -> Grade:
        return self.grade or GRADES.get(self.method, "assisted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """A test of the same kind to an anchor nearby: what our own end can do. `low` is what it carried at least."""

    wall: float
    anchor: str
    direction: Direction
    low: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """`moved_seconds`: how far the wall clock moved against the monotonic one during the test."""

    synchronised: bool | None = None
    source: str = ""
    moved_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All there is for one judgement of one direction of one line, at `wall`."""

    direction: Direction
    contract: float
    wall: float
    other_contract: float = 0.0  # of the other direction: a half-duplex port shares itself
    counters: Counters | None = None
    ports: tuple[PortReading, ...] = ()  # oldest first
    measurement: Measurement | None = None
    control: Control | None = None
    cross: Bounds | None = None  # what else went over the line during the test
    router_cpu_ratio: float | None = None
    clock: Clock = field(default_factory=Clock)


@dataclass(frozen=True, slots=True)
class Carried:
    """The busiest stretch. Without bounds, `reason` says why nothing can be said."""

    bounds: Bounds | None
    seconds: float = 0.0
    octets: int = 0
    reason: str = ""


def carried(counters: Counters, limits: Limits) -> Carried:
    """The stretch of at least `counters_seconds` that carried most for certain."""
    if counters.bits != 64:
        return Carried(None, reason="counters_32_bit")  # at 100 Mbps it is round in under six minutes
    best, reason = None, "counters_short"
    for begin, end in _stretches(counters.readings, limits.counters_seconds):
        one = _carried_in(counters, begin, end)
        if one.bounds is None:
            reason = one.reason
        elif best is None or best.bounds is None or one.bounds.low > best.bounds.low:
            best = one
    return best or Carried(None, reason=reason)


def _stretches(readings: tuple[CounterReading, ...], least_seconds: float) -> Iterator[tuple[int, int]]:
    """A longer stretch has a part that carried no less, but is less blurred by how old a figure may be."""
    for begin, first in enumerate(readings):
        for end in range(begin + 1, len(readings)):
            lasted = readings[end].at - first.at - first.took_seconds
            if lasted >= least_seconds:
                yield begin, end
            if lasted >= LONGEST_STRETCH * least_seconds:
                break


def _carried_in(counters: Counters, begin: int, end: int) -> Carried:
    readings = counters.readings[begin : end + 1]
    first, last = readings[0], readings[-1]
    for before, after in itertools.pairwise(readings):
        if after.octets < before.octets or after.uptime_seconds < before.uptime_seconds or after.discontinuity != before.discontinuity:
            return Carried(None, reason="counters_reset")
    shortest, longest = last.at - first.at - first.took_seconds, last.at + last.took_seconds - first.at
    by_agent = last.uptime_seconds - first.uptime_seconds
    if abs(by_agent - (last.at - first.at)) > UPTIME_TOLERANCE_SECONDS + last.took_seconds + UPTIME_TOLERANCE_RATIO * longest:
        return Carried(None, reason="clock")
    slack = _staleness(readings, counters.cache_seconds)
    if slack is None:
        return Carried(None, reason="counters_stale")
    octets = last.octets - first.octets
    packets = None if first.packets is None or last.packets is None else last.packets - first.packets
    if packets is not None and (packets < 0 or packets * SMALLEST_FRAME_OCTETS > octets + SMALLEST_FRAME_OCTETS * 2):
        packets = None  # counted by other rules than the octets: then they tell nothing
    most = octets // SMALLEST_FRAME_OCTETS if packets is None else packets
    likely = octets // 1518 if packets is None else packets
    surely_shortest = max(shortest - slack, 0.0)
    bounds = Bounds(
        low=8 * max(octets - MOST_FRAMING_OCTETS * most, 0) / (longest + slack),
        value=8 * (octets - USUAL_FRAMING_OCTETS * likely) / (last.at - first.at),
        high=8 * (octets - (0 if packets is None else LEAST_FRAMING_OCTETS * packets)) / surely_shortest
        if surely_shortest
        else float("inf"),
    )
    speed = counters.speed_bits_per_second
    if speed and bounds.low > speed * SPEED_TOLERANCE:
        return Carried(None, reason="counters_impossible")
    return Carried(bounds, last.at - first.at, octets)


def _staleness(readings: tuple[CounterReading, ...], cache_seconds: float | None) -> float | None:
    """How old a figure may be, at most. None: it cannot be bounded.

    Figures that all differ come from as many refreshes: n of them in n-1 gaps mean a refresh at least every (n-1)/(n-2) gaps.
    """
    if cache_seconds is not None:
        return cache_seconds
    gaps = len(readings) - 1
    if gaps < 2 or any(after.octets == before.octets for before, after in itertools.pairwise(readings)):
        return None
    return (readings[-1].at + readings[-1].took_seconds - readings[0].at) / (gaps - 1)


def cross_traffic(found: Carried, test_ip_bytes: int, test_seconds: float) -> Bounds | None:
    """What else a line carried during a test, from counters around it. All of it may have come within the test, or none.

    None where the counters tell nothing, or less than the test itself put on the line.
    """
    if found.bounds is None or test_seconds <= 0 or found.octets < test_ip_bytes:
        return None
    other = 8 * (found.octets - test_ip_bytes)
    return Bounds(0.0, other / max(found.seconds, test_seconds), other / test_seconds)


def port_ceiling(evidence: Evidence, limits: Limits) -> tuple[Bounds, str] | None:
    """What a port can carry at most, with the reason, where that is below the contract: two fresh readings that agree."""
    if len(evidence.ports) < 2:
        return None
    before, last = evidence.ports[-2:]
    fresh = all(0 <= evidence.wall - one.wall <= limits.port_fresh_seconds for one in (before, last)) and before.wall < last.wall
    same = (before.speed_bits_per_second, before.full_duplex) == (last.speed_bits_per_second, last.full_duplex)
    speed = last.speed_bits_per_second
    if not fresh or not same or speed <= 0 or last.interface_type not in ETHERNET:
        return None
    bounds = Bounds(0.0, speed * ON_WIRE_USUAL, speed * ON_WIRE_JUMBO)
    if bounds.high < evidence.contract:
        return bounds, "port_speed"
    if last.full_duplex is False and bounds.high < evidence.contract + evidence.other_contract:
        return bounds, "port_duplex"
    return None
