"""When is enough seen? Bins of arrivals in, bounds and a verdict out. Pure; docs/line.md gives the reasons and the error rates.

The bounds are a confidence sequence: they hold at all moments together, so one may look after every bin and stop at will. It is
the scale-invariant t-test martingale with a Gaussian mixture over the standardised effect: H. Wang and A. Ramdas, "Anytime-valid
t-tests and confidence sequences for Gaussian means with unknown variance" (Sequential Analysis, 2025; arXiv 2310.03722), theorem 4.9.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from probes._capacity import NOTHING_KNOWN, Bin, Decision, End, Estimate, Plan

__all__ = ["along", "below_with_others", "bounds", "decide", "excess_bytes"]

# Variance of the mixture. Deviations of a shaped line are a small part of what is asked about, so far-off effects are worth betting on.
MIXTURE = 20.0
LEAST_BINS = 6
STALLED_BINS = 5
SYSTEMATIC_RATIO = 0.001  # clocks (RFC 5905 allows 500 ppm of slew), a packet at either end of the window
# Bins to leave out, in turn, but never more than are judged: a shaper's own bucket or a peak rate may show in the first.
LATER = (0, 1, 2, 4, 8, 16, 32)
LIMITED_RATIO = 0.97  # of our pace: a bin below it was held back by something
GAP_RATIO = 0.1
LOST_RATIO, QUEUED_SECONDS = 0.02, 0.01
# A line with two buckets (a peak rate, and a burst above the contracted one) passes for a faster line while its burst lasts.
BOOSTED_RATIO = 0.9


def bounds(values: Sequence[float], error_rate: float) -> Estimate:
    """The mean and its bounds; each side is wrong with at most `error_rate`, however often one looks."""
    count = len(values)
    if not count:
        return NOTHING_KNOWN
    mean = math.fsum(values) / count
    if count < 2:
        return Estimate(0.0, mean, math.inf)
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    spread = 1 + count * MIXTURE
    # The martingale exceeds 1/error_rate outside the bounds; solved for t².
    most = (math.sqrt(spread) / error_rate) ** (2 / count)
    if most >= spread:
        return Estimate(0.0, mean, math.inf)
    t_squared = (count - 1) * (most - 1) / (1 - most / spread)
    half = math.sqrt(t_squared * variance * _inflation(values, mean) / count) + SYSTEMATIC_RATIO * abs(mean)
    return Estimate(max(0.0, mean - half), mean, mean + half)


def _inflation(values: Sequence[float], mean: float) -> float:
    """How much wider neighbours that go up and down together make it (autocorrelation, when positive)."""
    found = along(values, mean) if len(values) >= 4 else 0.0
    return (1 + found) / (1 - found) if 0 < found < 1 else 1.0


def along(values: Sequence[float], mean: float) -> float:
    """First-order autocorrelation; 0 of what does not vary."""
    centred = [value - mean for value in values]
    total = math.fsum(value * value for value in centred)
    return math.fsum(one * other for one, other in itertools.pairwise(centred)) / total if total else 0.0


def excess_bytes(bins: Sequence[Bin], plan: Plan) -> tuple[float, int]:
    """The most that a stretch up to now carried above the contract, and the bin it began with.

    A policer of a lower rate lets through its burst above it and no more, in any stretch: beyond that it is refuted.
    """
    running, began = 0.0, 0
    for index, one in enumerate(bins):
        running += one.bytes_ip - plan.contract_bits_per_second * one.seconds / 8
        if running <= 0:
            running, began = 0.0, index + 1
    return running, began


def below_with_others(at_most: float, plan: Plan, seconds: float) -> bool:
    """Whether a line is below its contract even with all that others are expected to have taken of it.

    If not, only its router's counters can tell, and they tell the more exactly the longer the test was.
    """
    return at_most + plan.others_bits_per_second * (1 + plan.counted_around_seconds / seconds) < plan.contract_bits_per_second


def decide(bins: Sequence[Bin], plan: Plan) -> Decision:
    """What the bins after the ramp say of what the test received; a `refuted` that is not settled has yet to be held against others' traffic."""
    if len(bins) >= STALLED_BINS and not any(one.bytes_ip for one in bins[-STALLED_BINS:]):
        return Decision("inconclusive", "stalled", NOTHING_KNOWN, settled=True)
    if len(bins) < LEAST_BINS:
        return Decision("inconclusive", "too_few", NOTHING_KNOWN)
    return _by_excess(bins, plan) or _by_limit(bins, plan)


def _by_excess(bins: Sequence[Bin], plan: Plan) -> Decision | None:
    excess, first = excess_bytes(bins, plan)
    if excess < plan.burst_bytes or len(bins) - first < LEAST_BINS:
        return None
    judged = bins[first:]
    found = _estimate(bins, first, plan)
    limited = found.value < LIMITED_RATIO * plan.pace_bits_per_second
    low, high = found.low, found.high if limited else math.inf
    if _passed_through(judged):
        # How uneven it was is then the sender's doing, and the bound is one that no burst of this size can have got round.
        seconds = math.fsum(one.seconds for one in judged)
        low = max(low, plan.contract_bits_per_second + 8 * (excess - plan.burst_bytes) / seconds)
    if low <= plan.contract_bits_per_second:
        return None
    return Decision("proved", "above_contract", Estimate(low, found.value, high), "line" if limited else "pace", first, settled=True)


def _passed_through(judged: Sequence[Bin]) -> bool:
    """Whether the line let through all but a little of what was sent: next to nothing was lost, and nothing was piling up."""
    lost, packets = sum(one.lost for one in judged), sum(one.packets for one in judged)
    return lost <= LOST_RATIO * packets and judged[-1].queue_seconds <= QUEUED_SECONDS


def _by_limit(bins: Sequence[Bin], plan: Plan) -> Decision:
    """Of a line that holds back: its burst is spent, because a bucket with tokens in it lets everything through."""
    since = _held_back_since(bins, plan)
    tried = [_judge(bins, since + later, plan) for later in LATER if not later or since + 2 * later <= len(bins)]
    return next((one for one in tried if one.settled), tried[0])


def _judge(bins: Sequence[Bin], first: int, plan: Plan) -> Decision:
    contract = plan.contract_bits_per_second
    judged = bins[first:]
    if len(judged) < LEAST_BINS:
        return Decision("inconclusive", "burst_not_spent", _open(_estimate(bins, 0, plan)), "pace", 0)
    found = _estimate(bins, first, plan)
    seconds = math.fsum(one.seconds for one in judged)
    idle = math.fsum(one.idle_seconds for one in judged)
    # While the sender was silent the line may have been idle: then it can do that much more.
    at_most = found.high * seconds / (seconds - idle) if idle < seconds else math.inf
    if at_most < contract and _with_gaps(judged):
        return Decision("inconclusive", "stalled", Estimate(found.low, found.value, at_most), "", first)
    if at_most < contract:
        settled = below_with_others(at_most, plan, seconds)
        return Decision("refuted", "below_contract", Estimate(found.low, found.value, at_most), "line", first, settled=settled)
    if found.high < contract:
        end: End = "near" if plan.direction == "down" else "far"
        return Decision("inconclusive", "sender_slow", Estimate(found.low, found.value, at_most), end, first)
    found = Estimate(found.low, found.value, at_most)
    if found.low <= contract:
        return Decision("inconclusive", "at_contract", found, "line", first)
    carried = math.fsum(one.bytes_ip for one in judged)
    if carried - BOOSTED_RATIO * contract * seconds / 8 < plan.burst_bytes:
        return Decision("inconclusive", "burst_not_spent", found, "line", first)
    return Decision("proved", "above_contract", found, "line", first, settled=True)


def _with_gaps(judged: Sequence[Bin]) -> bool:
    """Whether at times next to nothing arrived: a line that is slow is slow all the time, this is something that stands still."""
    mean = math.fsum(one.bytes_ip for one in judged) / len(judged)
    return any(one.bytes_ip < GAP_RATIO * mean for one in judged)


def _held_back_since(bins: Sequence[Bin], plan: Plan) -> int:
    """Where the last stretch begins in which every bin stayed below our pace."""
    least = LIMITED_RATIO * plan.pace_bits_per_second
    first = len(bins)
    while first > 0 and bins[first - 1].bits_per_second < least:
        first -= 1
    return first


def _estimate(bins: Sequence[Bin], first: int, plan: Plan) -> Estimate:
    """Each stretch has its own part of the error rate, since where it begins was chosen by what was seen."""
    part = 1 / ((first + 1) * (first + 2))
    return bounds([one.bits_per_second for one in bins[first:]], plan.error_rate * part)


def _open(found: Estimate) -> Estimate:
    return Estimate(found.low, found.value, math.inf)
