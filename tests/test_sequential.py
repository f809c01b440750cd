"""When a capacity test may stop, and what it may say then."""

import dataclasses
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes._capacity import BIN_SECONDS, Bin, Decision, Estimate, plan
from probes._sequential import below_with_others, bounds, decide, excess_bytes

CONTRACT = 100e6
PACKET = 1400


def bins_of(rates, **facts):
    return [Bin(BIN_SECONDS, round(rate * BIN_SECONDS / 8), **facts) for rate in rates]


def first_settled(bins, wanted):
    """What a test that looks after every bin ends with."""
    decision = Decision("inconclusive", "", Estimate(0, 0, math.inf))
    for count in range(1, len(bins) + 1):
        decision = decide(bins[:count], wanted)
        if decision.settled:
            return decision, count
    return decision, len(bins)


def shaped(rate, chance, count=70, loss=0.0, jitter_seconds=0.0003):
    """Arrivals behind a queue that lets packets out one by one; the times of a bin's ends wander."""
    spacing = PACKET * 8 / rate
    counts, at = {}, 0.0
    while at < count * BIN_SECONDS:
        at += spacing
        if chance.random() >= loss:
            place = int(max(at + chance.gauss(0, jitter_seconds), 0.0) / BIN_SECONDS)
            counts[place] = counts.get(place, 0) + PACKET
    return [Bin(BIN_SECONDS, counts.get(place, 0)) for place in range(count)]


def policed(rate, burst, pace, count=70):
    """A bucket of `burst` bytes that fills at `rate`: what finds it empty is dropped, nothing waits."""
    bins, tokens = [], burst
    for _ in range(count):
        offered, tokens = pace * BIN_SECONDS / 8, tokens + rate * BIN_SECONDS / 8
        passed = min(offered, tokens)
        tokens = min(tokens - passed, burst)
        bins.append(Bin(BIN_SECONDS, round(passed / PACKET) * PACKET))
    return bins


@pytest.mark.parametrize("rate", [60e6, 80e6, 95e6, 98.9e6, 101.1e6, 105e6, 110e6])
@pytest.mark.parametrize("loss", [0.0, 0.005])
def test_a_shaped_line_outside_one_percent_is_judged_right_within_the_cap(rate, loss):
    wanted = plan("down", CONTRACT)
    decision, count = first_settled(shaped(rate, random.Random(7), loss=loss), wanted)
    assert decision.verdict == ("proved" if rate > CONTRACT else "refuted")
    assert decision.limit_end == "line"
    assert count * BIN_SECONDS * wanted.pace_bits_per_second / 8 < wanted.max_bytes
    assert decision.estimate.value == pytest.approx(rate, rel=0.02)


def test_a_line_far_from_its_contract_costs_less_than_one_near_it():
    wanted = plan("down", CONTRACT)
    far, near = (first_settled(shaped(rate, random.Random(1)), wanted)[1] for rate in (70e6, 99e6))
    assert far < near


def test_a_line_at_its_contract_is_neither_proved_nor_refuted():
    decision, _ = first_settled(shaped(CONTRACT, random.Random(3)), plan("down", CONTRACT))
    assert (decision.verdict, decision.reason) == ("inconclusive", "at_contract")


def test_what_is_faster_than_our_pace_is_proved_and_has_no_upper_bound():
    wanted = plan("down", CONTRACT)
    decision, _ = first_settled(bins_of([wanted.pace_bits_per_second] * 30), wanted)
    assert (decision.verdict, decision.limit_end, decision.estimate.high) == ("proved", "pace", math.inf)


@pytest.mark.parametrize("burst", [1_000_000, 5_000_000])
@pytest.mark.parametrize("rate", [60e6, 90e6, 98e6])
def test_a_policers_burst_never_proves_a_line(rate, burst):
    wanted = plan("down", CONTRACT, burst_bytes=burst)
    decision, count = first_settled(policed(rate, burst, wanted.pace_bits_per_second), wanted)
    assert decision.verdict == "refuted"
    assert count * BIN_SECONDS < 3.5
    assert count * BIN_SECONDS * wanted.pace_bits_per_second / 8 < 45e6


@pytest.mark.parametrize("rate", [101e6, 110e6, 130e6])
def test_a_policed_line_above_its_contract_is_proved_once_its_burst_is_spent(rate):
    wanted = plan("down", CONTRACT, burst_bytes=5_000_000)
    decision, count = first_settled(policed(rate, 5_000_000, wanted.pace_bits_per_second), wanted)
    assert decision.verdict == "proved"
    excess, _ = excess_bytes(policed(rate, 5_000_000, wanted.pace_bits_per_second)[:count], wanted)
    assert excess >= 5_000_000 or decision.limit_end == "line"


@given(
    rate=st.floats(min_value=1e6, max_value=99e6),
    burst=st.integers(min_value=0, max_value=3_000_000),
    declared=st.integers(min_value=0, max_value=3_000_000),
)
def test_no_policer_whose_burst_was_declared_is_ever_proved(rate, burst, declared):
    wanted = plan("down", CONTRACT, burst_bytes=max(burst, declared) + 2 * PACKET)
    bins = policed(rate, burst, wanted.pace_bits_per_second)
    assert all(decide(bins[:count], wanted).verdict != "proved" for count in range(1, len(bins)))


def test_a_line_with_a_peak_rate_and_a_burst_is_not_proved_while_its_burst_lasts():
    """tbf with `peakrate`: 105 Mbps until 1 MB of burst is gone, then 85."""
    wanted = plan("down", CONTRACT)
    bins = bins_of([105e6] * 8 + [85e6] * 20)
    decision, _ = first_settled(bins, wanted)
    assert decision.verdict == "refuted"


def test_nothing_is_said_of_less_than_six_bins():
    assert decide(bins_of([50e6] * 5), plan("down", CONTRACT)).reason == "too_few"


def test_a_line_that_falls_silent_is_stalled_and_not_refuted():
    decision, _ = first_settled(bins_of([110e6] * 4 + [0.0] * 20), plan("down", CONTRACT))
    assert (decision.verdict, decision.reason) == ("inconclusive", "stalled")


@pytest.mark.parametrize(("direction", "end"), [("down", "near"), ("up", "far")])
def test_a_sender_that_pauses_does_not_refute_a_line(direction, end):
    """It sent nothing for a quarter of the time: the line may carry a third more than what came."""
    bins = bins_of([85e6] * 30, idle_seconds=BIN_SECONDS / 4)
    decision, _ = first_settled(bins, plan(direction, CONTRACT))
    assert (decision.verdict, decision.reason, decision.limit_end) == ("inconclusive", "sender_slow", end)


def test_a_sender_that_was_silent_all_the_time_says_nothing():
    bins = bins_of([85e6] * 30, idle_seconds=BIN_SECONDS)
    assert first_settled(bins, plan("down", CONTRACT))[0].reason == "sender_slow"


def expecting(others):
    return dataclasses.replace(plan("down", CONTRACT), others_bits_per_second=others, counted_around_seconds=0.5)


@pytest.mark.parametrize("others", [15e6, 9e6])
def test_a_test_beside_others_goes_on_while_what_they_take_may_be_what_is_missing(others):
    bins = shaped(92e6, random.Random(5), count=30)
    alone, short = first_settled(bins, plan("down", CONTRACT))
    decision, count = first_settled(bins, expecting(others))
    assert (alone.verdict, short < 15) == ("refuted", True)
    assert (decision.verdict, decision.settled, count) == ("refuted", False, 30)


def test_a_line_that_is_below_its_contract_with_all_that_others_take_is_settled_at_once():
    bins = shaped(70e6, random.Random(5), count=30)
    assert first_settled(bins, expecting(5e6)) == first_settled(bins, plan("down", CONTRACT))


def test_how_much_others_may_have_taken_is_known_the_better_the_longer_it_lasted():
    wanted = expecting(10e6)
    assert not below_with_others(85e6, wanted, 1.0)
    assert below_with_others(84.9e6, wanted, 1.0)
    assert below_with_others(85e6, wanted, 1.01)


def test_others_change_nothing_of_what_the_test_itself_says():
    """They are only expected: what is proved or refuted is by what was received, and by counters."""
    for rate in (80e6, 105e6):
        bins = shaped(rate, random.Random(5), count=20)
        with_others, alone = decide(bins, expecting(30e6)), decide(bins, plan("down", CONTRACT))
        assert (with_others.verdict, with_others.estimate, with_others.limit_end) == (alone.verdict, alone.estimate, alone.limit_end)


@given(st.lists(st.floats(min_value=0, max_value=1e10), max_size=40))
def test_bounds_hold_the_mean_and_never_go_below_nothing(values):
    found = bounds(values, 0.001)
    assert 0 <= found.low <= found.value * (1 + 1e-9) + 1e-9
    assert found.value <= found.high * (1 + 1e-9) + 1e-9


@given(st.lists(st.floats(min_value=1e6, max_value=1e9), min_size=3, max_size=40), st.floats(min_value=1e-6, max_value=0.01))
def test_bounds_are_wider_for_a_smaller_error_rate(values, error_rate):
    loose, strict = bounds(values, error_rate), bounds(values, error_rate / 10)
    assert strict.low <= loose.low
    assert loose.high <= strict.high


@given(
    st.lists(st.builds(Bin, st.just(BIN_SECONDS), st.integers(0, 2_000_000), idle_seconds=st.floats(0, BIN_SECONDS)), max_size=40),
    st.sampled_from(["down", "up"]),
)
def test_any_bins_give_a_decision_whose_bounds_settle_its_verdict(bins, direction):
    wanted = plan(direction, CONTRACT)
    decision = decide(bins, wanted)
    assert decision.settled or decision.verdict == "inconclusive"
    if decision.verdict == "proved":
        assert decision.estimate.low > CONTRACT
    if decision.verdict == "refuted":
        assert decision.estimate.high < CONTRACT


def looked_at_until(values, error_rate, truth):
    return any(
        not bounds(values[:count], error_rate).low <= truth <= bounds(values[:count], error_rate).high
        for count in range(2, len(values) + 1)
    )


def test_the_bounds_hold_at_all_looks_together_at_the_stated_rate():
    """Each side may be wrong once in twenty sequences: of 400, at both sides together, 40."""
    chance = random.Random(11)
    wrong = sum(looked_at_until([chance.gauss(1000, 100) for _ in range(30)], 0.05, 1000.0) for _ in range(400))
    assert wrong <= 40


def test_neighbours_that_move_together_widen_the_bounds():
    chance = random.Random(2)
    walk, value = [], 0.0
    for _ in range(40):
        value = 0.9 * value + chance.gauss(0, 1)
        walk.append(100 + value)
    mixed = list(walk)
    chance.shuffle(mixed)
    assert bounds(walk, 0.001).high - bounds(walk, 0.001).low > 1.5 * (bounds(mixed, 0.001).high - bounds(mixed, 0.001).low)


@pytest.mark.parametrize(
    ("contract", "burst", "pace", "most_bytes"),
    [
        (100e6, None, 1.15, 35_000_000),
        (100e6, 5_000_000, 1.4, 45_000_000),
        (10e6, None, 1.15, 3_500_000),
        (10e6, 1_000_000, 1.5, 7_000_000),
    ],
)
def test_the_pace_is_a_little_above_the_contract_and_more_only_to_spend_a_long_burst(contract, burst, pace, most_bytes):
    made = plan("down", contract, burst_bytes=burst)
    assert made.pace_bits_per_second == pytest.approx(pace * contract)
    assert made.max_bytes == most_bytes
    assert made.max_seconds >= 3.5


def uneven(pace, chance, count=70):
    """A sender that is late and makes up for it; the line lets everything through."""
    rates = []
    for _ in range(count // 2):
        late = chance.uniform(0, 0.9)
        rates += [pace * (1 - late), pace * (1 + late)]
    return [Bin(BIN_SECONDS, round(rate * BIN_SECONDS / 8 / PACKET) * PACKET, round(rate * BIN_SECONDS / 8 / PACKET)) for rate in rates]


def test_a_sender_that_is_uneven_still_proves_a_line_that_lets_everything_through():
    wanted = plan("down", CONTRACT)
    decision, count = first_settled(uneven(wanted.pace_bits_per_second, random.Random(3)), wanted)
    assert decision.verdict == "proved"
    assert count < 30
    excess, first = excess_bytes(uneven(wanted.pace_bits_per_second, random.Random(3))[:count], wanted)
    seconds = (count - first) * BIN_SECONDS
    assert decision.estimate.low == pytest.approx(CONTRACT + 8 * (excess - wanted.burst_bytes) / seconds)


@pytest.mark.parametrize("held_back", [{"lost": 20}, {"queue_seconds": 0.04}])
def test_it_does_not_when_the_line_holds_something_back(held_back):
    wanted = plan("down", CONTRACT)
    bins = [Bin(one.seconds, one.bytes_ip, one.packets, **held_back) for one in uneven(wanted.pace_bits_per_second, random.Random(3))]
    assert first_settled(bins, wanted)[0].verdict == "inconclusive"


def test_bins_that_are_all_alike_still_leave_room_for_clocks():
    found = bounds([100e6] * 20, 0.001)
    assert (found.low, found.high) == pytest.approx((99.9e6, 100.1e6))


def test_a_stretch_whose_beginning_was_chosen_late_has_wider_bounds():
    wanted = plan("down", CONTRACT)
    slow = shaped(90e6, random.Random(4), count=12)
    early = decide(slow, wanted).estimate
    late = decide([*bins_of([wanted.pace_bits_per_second] * 4), *slow], wanted).estimate
    assert late.value == pytest.approx(early.value, rel=0.01)
    assert late.high - late.low > 1.2 * (early.high - early.low)


def test_a_line_that_was_slow_at_first_is_proved_by_what_it_does_then():
    wanted = plan("down", CONTRACT)
    bins = [*bins_of([50e6] * 3), *bins_of([wanted.pace_bits_per_second] * 12)]
    assert decide(bins, wanted).verdict == "proved"


def test_the_stretch_that_carried_most_begins_after_what_was_slow():
    wanted = plan("down", CONTRACT)
    excess, first = excess_bytes([*bins_of([50e6] * 3), *bins_of([wanted.pace_bits_per_second] * 12)], wanted)
    assert (excess, first) == (pytest.approx(15e6 / 8 * 12 * BIN_SECONDS), 3)


def test_a_line_that_lets_everything_through_is_proved_by_no_less_than_six_bins():
    wanted = plan("down", CONTRACT, burst_bytes=0)
    bins = [*bins_of([50e6] * 3), *bins_of([wanted.pace_bits_per_second] * 6, packets=500)]
    assert [decide(bins[:count], wanted).verdict for count in (8, 9)] == ["inconclusive", "proved"]


def test_a_line_that_holds_back_is_proved_with_an_upper_bound():
    found = decide(bins_of([108e6] * 25), plan("down", CONTRACT))
    assert (found.verdict, found.limit_end) == ("proved", "line")
    assert found.estimate.high == pytest.approx(108e6, rel=0.002)


def test_a_short_dip_at_the_end_does_not_refute_what_went_before():
    wanted = plan("down", CONTRACT)
    decision = decide(bins_of([104e6] * 32 + [60e6] * 10), wanted)
    assert decision.verdict == "inconclusive"


def test_a_line_that_stands_still_now_and_then_is_not_refuted_by_its_mean():
    """What a far end that gets no processor looks like: nothing, then what had piled up, then nothing."""
    rates = [4e6, 0, 0, 90e6, 43e6, 0, 0, 8e6, 23e6, 11e6, 0, 0, 7e6, 0, 0, 22e6] * 2
    decision, _ = first_settled(bins_of(rates), plan("down", CONTRACT))
    assert (decision.verdict, decision.reason) == ("inconclusive", "stalled")
    silent = [dataclasses.replace(one, idle_seconds=BIN_SECONDS / 10) for one in bins_of(rates)]
    assert decide(silent, plan("down", CONTRACT)).estimate.high == pytest.approx(decision.estimate.high / 0.9)
