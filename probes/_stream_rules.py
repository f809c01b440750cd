"""When is enough seen of streams of TCP? Bins in, bounds and a verdict out. Pure; docs/line.md gives the reasons.

TCP answers for the line only while the line's own queue stands: then the line is busy the whole time, whatever TCP makes of losses.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from probes._capacity import BIN_SECONDS, ERROR_RATE, NOTHING_KNOWN, Bin, Decision, Direction, Estimate, Plan, plan
from probes._sequential import BOOSTED_RATIO, LEAST_BINS, LIMITED_RATIO, SYSTEMATIC_RATIO, along, below_with_others, bounds, excess_bytes

__all__ = ["decide_streams", "mathis_bits_per_second", "queue_stands", "slow_start_bins", "stream_plan"]

STREAM_PACE = 1.25
MOST_CONTRACT_SECONDS = 1.6
MOST_SECONDS = 4.0
SLOW_START_SECONDS, SLOW_START_ROUND_TRIPS = 0.4, 5
NOISE_RATIO = 1.05
TOLERANCE_SECONDS = 0.001
GROWTH_BINS = 3
# A smoothed round-trip time of a busy machine varies by some of that without any queue.
LEAST_QUEUE_SECONDS, MOST_QUEUE_SECONDS, QUEUE_ROUND_TRIPS = 0.001, 0.005, 4
STANDING_RATIO = 0.75  # of the bins judged
UNEVEN_RATIO = 0.1  # standard deviation of what a full line delivers, in part of its mean
LEAST_CORRELATION = -0.5
IDLE_RATIO, UNREAD_RATIO = 0.02, 0.3  # of the time, in a bin and in all
# What acknowledgements may have been held up by, and so come at once, at the contract's rate.
ACKNOWLEDGEMENTS_SECONDS = 0.01


def stream_plan(
    direction: Direction,
    contract_bits_per_second: float,
    *,
    burst_bytes: int | None = None,
    max_bytes: int | None = None,
    max_seconds: float | None = None,
    error_rate: float = ERROR_RATE,
) -> Plan:
    """A plan with what is not said filled in: for 100 Mbps 20 MB and 4 s at most; more where a longer burst has to be spent."""
    base = plan(direction, contract_bits_per_second, burst_bytes=burst_bytes, error_rate=error_rate)
    contract_bytes = contract_bits_per_second / 8
    pace = max(STREAM_PACE * contract_bits_per_second, base.pace_bits_per_second)
    if max_bytes is None:
        max_bytes = math.ceil(max(contract_bytes * MOST_CONTRACT_SECONDS, contract_bytes + 5 * base.burst_bytes))
    return Plan(direction, contract_bits_per_second, base.burst_bytes, pace, max_bytes, max_seconds or MOST_SECONDS, error_rate)


def mathis_bits_per_second(segment_bytes: int, rtt_seconds: float, loss: float, streams: int) -> float:
    """What loss lets TCP carry, whatever the line can do (Mathis et al., Computer Communication Review 27(3), 1997)."""
    if loss <= 0 or rtt_seconds <= 0:
        return math.inf
    return streams * segment_bytes * 8 / rtt_seconds * 1.22 / math.sqrt(loss)


def slow_start_bins(bins: Sequence[Bin], rtt_seconds: float) -> int:
    """How many to leave out: 0.4 s or 5 round trips, whichever is longer, and then until three bins no longer exceed the three before."""
    elapsed = list(itertools.accumulate(one.seconds for one in bins))
    least = max(SLOW_START_SECONDS, SLOW_START_ROUND_TRIPS * rtt_seconds)
    for first in range(GROWTH_BINS, len(bins) - GROWTH_BINS + 1):
        if elapsed[first - 1] >= least - TOLERANCE_SECONDS and _rate(bins[first : first + GROWTH_BINS]) <= NOISE_RATIO * _rate(
            bins[first - GROWTH_BINS : first]
        ):
            return first
    return len(bins)


def queue_stands(one: Bin, rtt_seconds: float) -> bool:
    """Whether the line had something waiting the whole while. Of a far end that does not read, nothing is known."""
    if not one.bytes_ip or one.idle_seconds > IDLE_RATIO * one.seconds:
        return False
    return one.queue_seconds >= max(LEAST_QUEUE_SECONDS, min(MOST_QUEUE_SECONDS, QUEUE_ROUND_TRIPS * rtt_seconds))


def decide_streams(bins: Sequence[Bin], asked: Plan, rtt_seconds: float) -> Decision:
    """What the bins so far say; `rtt_seconds` is of the idle line."""
    if len(bins) < LEAST_BINS:
        return Decision("inconclusive", "too_few", NOTHING_KNOWN)
    proved = _by_excess(bins, asked, rtt_seconds)
    if proved is not None:
        return proved
    first = slow_start_bins(bins, rtt_seconds)
    if len(bins) - first < LEAST_BINS:
        return Decision("inconclusive", "too_few", _open(_bounds(bins[first:], asked.error_rate)))
    return _by_standing(bins[first:], first, asked, rtt_seconds)


def _by_excess(bins: Sequence[Bin], asked: Plan, rtt_seconds: float) -> Decision | None:
    """Any stretch will do: what a slower line passes above its rate, in any of them, is its burst."""
    excess, first = excess_bytes(bins, asked)
    contract = asked.contract_bits_per_second
    spare = excess - asked.burst_bytes - contract / 8 * ACKNOWLEDGEMENTS_SECONDS
    if spare <= 0 or len(bins) - first < LEAST_BINS:
        return None
    judged = bins[first:]
    found = _bounds(judged, asked.error_rate)
    low = max(found.low, contract + 8 * spare / _seconds(judged))
    value = max(found.value, low)  # the mean of bins that are not equally long may be below what all of them carried
    standing = sum(queue_stands(one, rtt_seconds) for one in judged) >= STANDING_RATIO * len(judged)
    held_back = standing and found.value < LIMITED_RATIO * asked.pace_bits_per_second
    return Decision(
        "proved",
        "above_contract",
        Estimate(low, value, max(found.high, value) if held_back else math.inf),
        "line" if held_back else "pace",
        first,
        settled=True,
    )


def _by_standing(judged: Sequence[Bin], first: int, asked: Plan, rtt_seconds: float) -> Decision:
    contract = asked.contract_bits_per_second
    full = [one for one in judged if queue_stands(one, rtt_seconds)]
    seen = _bounds(judged, asked.error_rate)
    if len(full) < max(LEAST_BINS, STANDING_RATIO * len(judged)) or _uneven(full):
        if seen.value >= contract:
            return Decision("inconclusive", "burst_not_spent", _open(seen), "", first)
        if math.fsum(one.idle_seconds for one in judged) > UNREAD_RATIO * _seconds(judged):
            return Decision("inconclusive", "receiver_slow", _open(seen), "far", first)
        return Decision("inconclusive", "tcp_limited", _open(seen), "", first)
    found = _bounds(full, asked.error_rate)
    if found.high < contract:
        return Decision("refuted", "below_contract", found, "line", first, settled=below_with_others(found.high, asked, _seconds(judged)))
    if found.low <= contract:
        return Decision("inconclusive", "at_contract", found, "line", first)
    carried = sum(one.bytes_ip for one in judged) - BOOSTED_RATIO * contract * _seconds(judged) / 8
    if seen.low <= contract or carried < asked.burst_bytes:
        return Decision("inconclusive", "burst_not_spent", found, "line", first)
    return Decision("proved", "above_contract", found, "line", first, settled=True)


def _bounds(bins: Sequence[Bin], error_rate: float) -> Estimate:
    """As `bounds`; narrower where what one bin misses the next one has, as when acknowledgements come late (negative correlation)."""
    values = [one.bits_per_second for one in bins]
    found = bounds(values, error_rate)
    if len(values) < LEAST_BINS or not math.isfinite(found.high):
        return found
    negative = max(min(along(values, found.value), 0.0), LEAST_CORRELATION)
    half = max((found.high - found.value) * math.sqrt((1 + negative) / (1 - negative)), SYSTEMATIC_RATIO * found.value)
    return Estimate(max(found.value - half, 0.0), found.value, found.value + half)


def _uneven(full: Sequence[Bin]) -> bool:
    """A full line delivers evenly; a round-trip time that rose for another reason does not make the line full."""
    mean = _rate(full)
    variance = math.fsum((one.bits_per_second - mean) ** 2 for one in full) / max(len(full) - 1, 1)
    slack = BIN_SECONDS / (_seconds(full) / len(full))
    return math.sqrt(variance) > UNEVEN_RATIO * mean * max(slack, 1.0)


def _seconds(bins: Sequence[Bin]) -> float:
    return math.fsum(one.seconds for one in bins)


def _rate(bins: Sequence[Bin]) -> float:
    seconds = _seconds(bins)
    return sum(one.bytes_ip for one in bins) * 8 / seconds if seconds else 0.0


def _open(found: Estimate) -> Estimate:
    return Estimate(found.low, found.value, math.inf)
