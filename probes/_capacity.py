"""What every way of measuring a line's capacity has in common: what is asked for, what was seen, what is concluded.

Rates are bits per second of IP packets, headers included, unless they say `goodput` (payload as a user gets it).
"""

from __future__ import annotations

import math
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, Protocol, TypeAlias

__all__ = [
    "BIN_SECONDS",
    "ERROR_RATE",
    "METHOD_VERSION",
    "NOTHING_KNOWN",
    "Bin",
    "Decision",
    "Direction",
    "End",
    "Estimate",
    "Full",
    "Method",
    "Outcome",
    "Plan",
    "Test",
    "Verdict",
    "plan",
]

Direction: TypeAlias = Literal["down", "up"]  # the site's: `down` flows from netwatch to the far end
Method: TypeAlias = Literal["udp", "tcp", "iperf3", "http", "router"]
Verdict: TypeAlias = Literal["proved", "refuted", "inconclusive"]
End: TypeAlias = Literal["", "line", "pace", "near", "far"]  # what kept the rate from being higher; near is netwatch

BIN_SECONDS = 0.05
ERROR_RATE = 0.001  # of a wrong `proved` and of a wrong `refuted`, each
METHOD_VERSION = "2"  # of the rules in docs/line.md; evidence names it


@dataclass(frozen=True, slots=True)
class Plan:
    """What one test may do. `pace` is the rate sent at, `burst_bytes` what a policer may let through above its rate.

    `others` is what other people are expected to send over the line meanwhile, at most. What they did send will be told by
    counters that reach beyond the test by `counted_around_seconds`.
    """

    direction: Direction
    contract_bits_per_second: float
    burst_bytes: int
    pace_bits_per_second: float
    max_bytes: int
    max_seconds: float
    error_rate: float = ERROR_RATE
    others_bits_per_second: float = 0.0
    counted_around_seconds: float = 0.0


# Slightly above the contract (RFC 9097 searches; we only ask one question), faster only where a burst would take too long to spend.
LEAST_PACE, MOST_PACE = 1.15, 1.5
BURST_SPENT_SECONDS = 1.0
# What a line near its contract may cost, and what is left for judging once a long burst is spent.
MOST_CONTRACT_SECONDS, LEAST_CONTRACT_SECONDS = 2.8, 1.6
USUAL_BURST_BYTES, USUAL_BURST_SECONDS = 1_000_000, 0.08


def plan(
    direction: Direction,
    contract_bits_per_second: float,
    *,
    burst_bytes: int | None = None,
    max_bytes: int | None = None,
    max_seconds: float | None = None,
    error_rate: float = ERROR_RATE,
) -> Plan:
    """A plan with what is not said filled in: for 100 Mbps 1 MB of burst, 35 MB and 3.5 s at most.

    A burst nobody has declared is taken to be shorter on a slower line, or asking would cost more than the line carries in seconds.
    """
    contract_bytes = contract_bits_per_second / 8
    if burst_bytes is None:
        burst_bytes = min(USUAL_BURST_BYTES, math.ceil(contract_bytes * USUAL_BURST_SECONDS))
    pace = min(max(LEAST_PACE, 1 + burst_bytes / (contract_bytes * BURST_SPENT_SECONDS)), MOST_PACE)
    spending_seconds = burst_bytes / (contract_bytes * (pace - 1))
    if max_seconds is None:
        max_seconds = 2.5 + max(1.0, spending_seconds)
    if max_bytes is None:
        max_bytes = math.ceil(max(contract_bytes * MOST_CONTRACT_SECONDS, contract_bytes * LEAST_CONTRACT_SECONDS + 5 * burst_bytes))
    return Plan(direction, contract_bits_per_second, burst_bytes, contract_bits_per_second * pace, max_bytes, max_seconds, error_rate)


@dataclass(frozen=True, slots=True)
class Bin:
    """What reached the receiver in one slice of its own clock. Each packet is counted once, in the bin of its arrival.

    `lost` counts sequence numbers that were skipped up to the end of this bin and had not come by then. `idle_seconds` is how
    long the sender fell silent when it should not have. `queue_seconds` is the delay above the least of this test.
    """

    seconds: float
    bytes_ip: int
    packets: int = 0
    lost: int = 0
    idle_seconds: float = 0.0
    queue_seconds: float = 0.0

    @property
    def bits_per_second(self) -> float:
        return self.bytes_ip * 8 / self.seconds


@dataclass(frozen=True, slots=True)
class Estimate:
    """A rate and its bounds, which hold at every moment at which one looks. `high` is inf where nothing was held back."""

    low: float
    value: float
    high: float


NOTHING_KNOWN = Estimate(0.0, 0.0, math.inf)


@dataclass(frozen=True, slots=True)
class Decision:
    """What the bins so far say. `reason` is a stable word; `first` is where the judged bins begin."""

    verdict: Verdict
    reason: str
    estimate: Estimate
    limit_end: End = ""
    first: int = 0
    settled: bool = False  # more bins would not be worth their bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Full:
    """What a full test tells beside its rate, as RFC 6349 has it. None where it could not be told.

    The round trips are of the idle line, and the mean while it was loaded; `packet_bytes` is the largest IP packet that came through,
    which is the path's MTU unless something holds TCP to less; `sent_again_ratio` is of the segments.
    """

    streams: int
    baseline_rtt_seconds: float
    loaded_rtt_seconds: float | None
    packet_bytes: int
    headers_bytes: int
    sent_again_ratio: float | None

    @property
    def buffer_delay_ratio(self) -> float | None:
        """Section 4.3."""
        if self.loaded_rtt_seconds is None or not self.baseline_rtt_seconds:
            return None
        return max(self.loaded_rtt_seconds / self.baseline_rtt_seconds - 1, 0.0)

    @property
    def efficiency_ratio(self) -> float | None:
        """Section 4.2, by segments."""
        return None if self.sent_again_ratio is None else 1 - self.sent_again_ratio

    def transfer_time_ratio(self, contract_bits_per_second: float, goodput_bits_per_second: float) -> float | None:
        """Section 4.1, by the rate that the contract would have left for payload."""
        if not goodput_bits_per_second or self.packet_bytes <= self.headers_bytes:
            return None
        return contract_bits_per_second * (1 - self.headers_bytes / self.packet_bytes) / goodput_bits_per_second


@dataclass(frozen=True, slots=True)
class Outcome:
    """One test. `bytes_ip` is all that it sent towards the receiver, so what it cost; `bins` begin after the ramp."""

    verdict: Verdict
    reason: str
    method: Method
    plan: Plan
    estimate: Estimate
    bytes_ip: int
    seconds: float
    goodput_bits_per_second: float
    limit_end: End = ""
    bins: tuple[Bin, ...] = ()
    facts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # rtt, stamps, server's name …
    full: Full | None = None

    @property
    def confidence(self) -> float:
        """Of the bounds, and so of a verdict that they settle; 0 where there are none."""
        return 1 - self.plan.error_rate if self.estimate.value else 0.0


class Test(Protocol):
    """One way of measuring, once. `stop` may be set from any thread and soon ends it, as `yielded`."""

    stop: threading.Event

    @property
    def bytes_ip(self) -> int:
        """What it has cost so far."""

    def run(self, family: socket.AddressFamily, where: tuple[Any, ...], source: str | None = None) -> Outcome:
        """Runs in a thread of its own. Raises Turned, BadFrame or OSError while nothing is measured yet."""
