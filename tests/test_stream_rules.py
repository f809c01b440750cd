"""What streams of TCP say of a line, and when they say nothing."""

import dataclasses
import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from probes._capacity import Bin
from probes._sequential import bounds
from probes._stream_rules import decide_streams, mathis_bits_per_second, queue_stands, slow_start_bins, stream_plan

CONTRACT = 100e6
PLAN = stream_plan("down", CONTRACT)
RTT = 0.005


def bins(rates, queue=0.012, seconds=0.05, idle=0.0):
    return [Bin(seconds, round(rate * seconds / 8), packets=400, idle_seconds=idle, queue_seconds=queue) for rate in rates]


def wobbling(rate, count, by=0.002):
    return [rate * (1 + by * (-1) ** number) for number in range(count)]


def test_a_plan_costs_no_more_than_20_megabytes_at_100_mbps():
    assert (PLAN.max_bytes, PLAN.max_seconds, PLAN.pace_bits_per_second) == (20_000_000, 4.0, 125e6)
    assert stream_plan("up", 10e6).max_bytes == 2_000_000
    assert stream_plan("up", CONTRACT, burst_bytes=5_000_000).max_bytes == 37_500_000
    assert stream_plan("up", 10e6, burst_bytes=1_000_000).pace_bits_per_second == 15e6


def test_a_full_line_below_its_contract_is_refuted():
    found = decide_streams(bins(wobbling(95e6, 24)), PLAN, RTT)
    assert (found.verdict, found.limit_end, found.settled) == ("refuted", "line", True)
    assert found.estimate.low < 95e6 < found.estimate.high < CONTRACT


def test_what_is_slow_without_a_standing_queue_is_never_refuted():
    found = decide_streams(bins(wobbling(20e6, 60), queue=0.0), PLAN, RTT)
    assert (found.verdict, found.reason, found.settled) == ("inconclusive", "tcp_limited", False)
    assert math.isinf(found.estimate.high)


def test_an_uneven_rate_is_not_that_of_a_full_line():
    found = decide_streams(bins(wobbling(60e6, 40, by=0.3)), PLAN, RTT)
    assert (found.verdict, found.reason) == ("inconclusive", "tcp_limited")


def test_a_far_end_that_does_not_read_says_nothing_of_the_line():
    found = decide_streams(bins(wobbling(20e6, 40), idle=0.04), PLAN, RTT)
    assert (found.verdict, found.reason, found.limit_end) == ("inconclusive", "receiver_slow", "far")


def test_silence_does_not_refute():
    found = decide_streams(bins([90e6] * 10 + [0.0] * 40), PLAN, RTT)
    assert found.verdict == "inconclusive"


def test_a_full_line_above_its_contract_is_proved_once_its_burst_is_spent():
    few, more = (decide_streams(bins(wobbling(105e6, count)), PLAN, RTT) for count in (15, 24))
    assert (few.verdict, few.reason) == ("inconclusive", "burst_not_spent")
    assert (more.verdict, more.limit_end) == ("proved", "line")
    assert CONTRACT < more.estimate.low < 105e6 < more.estimate.high


def test_a_fast_line_is_proved_by_what_it_carried_above_the_contract_even_while_it_speeds_up():
    rates = [20e6, 60e6, 110e6, *[124e6] * 8]
    found = decide_streams(bins(rates, queue=0.0), PLAN, RTT)
    assert (found.verdict, found.limit_end) == ("proved", "pace")
    assert math.isinf(found.estimate.high)


def test_a_burst_alone_does_not_prove():
    """A policer of 90 Mbps with 1 MB in its bucket, in 50 ms bins: what is above the contract is less than the burst."""
    burst = [125e6] * 4
    found = decide_streams(bins(burst + wobbling(90e6, 4)), PLAN, RTT)
    assert found.verdict == "inconclusive"


def test_acknowledgements_that_were_held_up_are_no_proof():
    """20 Mbps above the contract are 125 kB a bin: eight are the burst, a ninth may have been acknowledged late."""
    verdicts = [decide_streams(bins([120e6] * count, queue=0.0), PLAN, RTT).verdict for count in (9, 10)]
    assert verdicts == ["inconclusive", "proved"]


def test_without_a_standing_queue_it_was_not_the_line_that_held_back():
    found = decide_streams(bins(wobbling(110e6, 25), queue=0.0), PLAN, RTT)
    assert (found.verdict, found.limit_end) == ("proved", "pace")
    assert math.isinf(found.estimate.high)


def test_a_line_whose_full_bins_alone_reach_the_contract_is_not_proved():
    asked = stream_plan("down", CONTRACT, burst_bytes=0)
    made = [one for _ in range(8) for one in (*bins([105e6] * 4), *bins([50e6], queue=0.0))]
    found = decide_streams(made, asked, RTT)
    assert (found.verdict, found.reason) == ("inconclusive", "burst_not_spent")


def test_what_carries_its_contract_unevenly_has_a_burst_to_spend_and_is_not_limited_by_tcp():
    found = decide_streams(bins(wobbling(103e6, 24, by=0.3), queue=0.0), PLAN, RTT)
    assert found.estimate.low < CONTRACT < found.estimate.value
    assert (found.verdict, found.reason) == ("inconclusive", "burst_not_spent")


def test_what_one_bin_misses_and_the_next_one_has_makes_the_bounds_narrower():
    turns, runs = wobbling(95e6, 24, by=0.02), sorted(wobbling(95e6, 24, by=0.02), reverse=True)
    by_turns, in_a_row = (decide_streams(bins(rates), PLAN, RTT).estimate for rates in (turns, runs))
    assert by_turns.high - by_turns.value < 0.3 * (in_a_row.high - in_a_row.value)
    assert by_turns.high - by_turns.value < 0.6 * (bounds(turns[8:], PLAN.error_rate).high - 95e6)


def test_short_bins_may_be_more_uneven():
    reasons = [decide_streams(bins(wobbling(60e6, 60, by=0.15), seconds=seconds), PLAN, RTT).reason for seconds in (0.025, 0.05)]
    assert reasons == ["below_contract", "tcp_limited"]


def test_beside_others_it_goes_on_while_what_they_take_may_be_what_is_missing():
    expecting = dataclasses.replace(PLAN, others_bits_per_second=10e6)
    near, far = (decide_streams(bins(wobbling(rate, 24)), expecting, RTT) for rate in (92e6, 70e6))
    assert (near.verdict, near.settled) == ("refuted", False)
    assert (far.verdict, far.settled) == ("refuted", True)


def test_growth_within_the_noise_is_no_slow_start():
    assert slow_start_bins(bins([60e6 * 1.01**number for number in range(20)]), RTT) == 8


def test_slow_start_is_left_out_for_five_round_trips_and_while_it_grows():
    growing = [10e6 * 1.2**number for number in range(12)]
    assert slow_start_bins(bins(growing), RTT) == len(growing)
    assert slow_start_bins(bins([90e6] * 20), RTT) == 8
    assert slow_start_bins(bins([90e6] * 20), 0.1) == 10
    assert slow_start_bins(bins(growing + [90e6] * 6), RTT) in range(12, 16)


def test_what_counts_as_a_queue_depends_on_the_distance():
    assert queue_stands(bins([90e6], queue=0.0015)[0], 0.0001)
    assert not queue_stands(bins([90e6], queue=0.0005)[0], 0.0001)
    assert not queue_stands(bins([90e6], queue=0.004)[0], 0.08)
    assert queue_stands(bins([90e6], queue=0.006)[0], 0.08)


def test_one_cubic_stream_over_80_ms_with_half_a_percent_of_loss_carries_two_and_a_half_megabits():
    assert mathis_bits_per_second(1448, 0.08, 0.005, 1) == pytest.approx(2.5e6, rel=0.01)
    assert math.isinf(mathis_bits_per_second(1448, 0.08, 0.0, 1))


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 100), st.integers(0, 50), st.integers(30, 500)), max_size=24),
    st.sampled_from([1e-5, 0.005, 0.08, 1.0]),
)
@example([(200, 0, 0, 240), *[(0, 0, 0, 30)] * 4, (1, 0, 0, 30)], 1e-5)
def test_bounds_hold_the_value_and_a_verdict_agrees_with_them(seen, rtt):
    made = [Bin(long / 1000, rate * 125 * long, queue_seconds=queue / 1000, idle_seconds=idle / 1000) for rate, queue, idle, long in seen]
    found = decide_streams(made, PLAN, rtt)
    assert found.estimate.low <= found.estimate.value * (1 + 1e-9) <= found.estimate.high * (1 + 1e-9)
    if found.verdict == "refuted":
        assert found.estimate.high < CONTRACT
    if found.verdict == "proved":
        assert found.estimate.low > CONTRACT
    assert found.settled == (found.verdict != "inconclusive")
