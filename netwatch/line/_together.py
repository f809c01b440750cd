"""What a line carried while a test by UDP kept it full: what the test received, and what others' traffic took meanwhile. Pure.

The one is the less the more the other is, so their sum is known far better than the test's own rate, which others make uneven.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from netwatch.line._evidence import Bounds, Measurement

__all__ = ["Together", "is_open", "together"]

LEAST_BINS = 6
HELD_BACK_RATIO = 0.97  # of the pace: a bin below it was held back by the line
GAP_RATIO = 0.1
EVEN_RATIO = 0.01
SYSTEMATIC_RATIO = 0.001  # as for the test alone (docs/line.md)
BOOSTED_RATIO = 0.9
DIP_BINS = 2
RECEIVED, IDLE = 1, 4  # columns of a bin, after its seconds
COLUMNS = 6
# Verdicts of a test alone that say: the line was full, and what came through is not enough to tell.
OPEN = frozenset({"below_contract", "at_contract", "burst_not_spent", "cap_bytes", "cap_seconds"})


@dataclass(frozen=True, slots=True)
class Together:
    """`full`: the line held the test back in each of its bins, and never stood still."""

    bounds: Bounds
    seconds: float
    full: bool
    burst_bytes: int

    def proves(self, contract: float) -> bool:
        """As the test alone does: more than the burst above the contract, or a line that is full and so has spent its burst."""
        low = self.bounds.low
        if low < contract:
            return False
        over = contract * BOOSTED_RATIO if self.full else contract
        return (low - over) * self.seconds / 8 >= self.burst_bytes

    def refutes(self, contract: float) -> bool:
        return self.full and self.bounds.high < contract


def is_open(test: Measurement) -> bool:
    """Whether the line was full and the test alone cannot tell what it carried."""
    return test.method == "udp" and test.reason in OPEN and test.limit_end in {"line", "pace"} and test.sent_bits_per_second > 0


def together(test: Measurement, others: Bounds) -> Together | None:
    """`others` is what else came through while the bins lasted. None where the sum says nothing of the line."""
    bins = test.bins
    if not is_open(test) or len(bins) < LEAST_BINS or any(len(one) < COLUMNS or one[0] <= 0 for one in bins):
        return None
    seconds, idle = math.fsum(one[0] for one in bins), math.fsum(one[IDLE] for one in bins)
    rates = [8 * one[RECEIVED] / one[0] for one in bins]
    mean = 8 * math.fsum(one[RECEIVED] for one in bins) / seconds
    # More uneven than others' traffic can have made it: then the line itself is, and a few seconds of it are but a sample.
    if statistics.pstdev(rates) > others.high + EVEN_RATIO * mean or idle >= seconds:
        return None
    full = max(rates) < HELD_BACK_RATIO * test.sent_bits_per_second and min(rates) >= GAP_RATIO * mean
    at_most = math.fsum(rate * one[0] for rate, one in zip(_without_dips(rates), bins, strict=True)) / seconds
    bounds = Bounds(
        mean * (1 - SYSTEMATIC_RATIO) + others.low,
        mean + others.value,
        (at_most * (1 + SYSTEMATIC_RATIO) + others.high) * seconds / (seconds - idle),
    )
    return Together(bounds, seconds, full, test.burst_bytes)


def _without_dips(rates: Sequence[float]) -> list[float]:
    """What a line may have carried had nothing stood still for a moment: a dip that is over within two bins is filled up.

    Others may have made it, but so may a machine on the way that was busy with something else.
    """
    filled = []
    for place, rate in enumerate(rates):
        before, after = rates[max(place - DIP_BINS, 0) : place], rates[place + 1 : place + 1 + DIP_BINS]
        filled.append(max(rate, min(max(before, default=0.0), max(after, default=0.0))))
    return filled
