"""The judge of a line: never proved below the contract, never refuted while anything else may have been slow."""

import dataclasses
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch.ledger import canonical
from netwatch.line import (
    Bounds,
    Clock,
    Control,
    CounterReading,
    Counters,
    Evidence,
    Limits,
    Malformed,
    Measurement,
    Past,
    PortReading,
    RatePoint,
    Subject,
    below_contract,
    carried,
    counters_of,
    cross_traffic,
    evidence_of,
    judge,
    judged_again,
    measurement_of,
    passed_bytes,
    record_of,
    standing,
)
from tests.lines import LINE, SITE, ZONE

MBPS = 1e6
CONTRACT = 100 * MBPS
NOW = 1_800_000_000.0
HOUR, DAY = 3600.0, 86_400.0


def traffic(bits_per_second, *, gaps=6, gap_seconds=10.0, packet_octets=1500, **changes):
    """Counters of an IP rate in packets of one size, framed as Ethernet does."""
    readings = []
    for number in range(gaps + 1):
        packets = int(bits_per_second / 8 / packet_octets * gap_seconds * number)
        at = 50.0 + gap_seconds * number
        readings.append(CounterReading(at=at, octets=10**12 + packets * (packet_octets + 18), uptime_seconds=at + 1000, packets=packets))
    return Counters(**{"readings": tuple(readings), "wall": NOW - 5, "cache_seconds": 0.0, **changes})


def test_of(low, value, high, **changes):
    verdict = "proved" if low >= CONTRACT else "refuted" if high < CONTRACT else "inconclusive"
    given_ = {"method": "udp", "verdict": verdict, "wall": NOW - 10, "seconds": 0.6, "bytes": 8_600_000, "confidence": 0.999}
    return Measurement(**{**given_, "bounds": Bounds(low * 1.0, value * 1.0, high * 1.0), **changes})


test_of.__test__ = False
SLOW = test_of(79.5 * MBPS, 80 * MBPS, 80.5 * MBPS)
CONTROL = Control(wall=NOW - 60, anchor="local", direction="down", low=300 * MBPS)
CALM = Bounds(0.0, 0.1 * MBPS, 1 * MBPS)


def evidence(**changes):
    return Evidence(**{"direction": "down", "contract": CONTRACT, "wall": NOW, **changes})


REFUTING = evidence(measurement=SLOW, control=CONTROL, cross=CALM)


def ports(speed, *, duplex=True, ages=(70.0, 10.0), **changes):
    return tuple(PortReading(wall=NOW - age, speed_bits_per_second=speed, full_duplex=duplex, **changes) for age in ages)


def test_what_the_line_has_carried_is_proof_without_a_test():
    found = judge(evidence(counters=traffic(110 * MBPS)))
    assert (found.verdict, found.reason, found.step, found.bytes) == ("proved", "carried", "counters", 0)
    assert found.bounds.low >= CONTRACT
    assert found.bounds.value == pytest.approx(110 * MBPS, rel=1e-3)
    assert found.seconds >= 30


def test_counters_count_frames_and_a_contract_counts_packets():
    octets_rate = 101 * MBPS  # as an Ethernet counter shows it: 99.8 Mbps of IP
    found = judge(evidence(counters=traffic(octets_rate * 1500 / 1518)))
    assert found.verdict == "inconclusive"
    assert found.reason == "counters_below"


def test_without_a_count_of_packets_the_smallest_are_assumed():
    counters = traffic(150 * MBPS)
    bare = dataclasses.replace(counters, readings=tuple(dataclasses.replace(one, packets=None) for one in counters.readings))
    assert judge(evidence(counters=bare)).verdict == "inconclusive"
    found = carried(bare, Limits()).bounds
    assert found.low <= 150 * MBPS * 1518 / 1500 * 20 / 64 * 1.01
    assert found.low <= 150 * MBPS <= found.high


def test_small_packets_are_not_overrated():
    found = carried(traffic(100 * MBPS, packet_octets=200), Limits()).bounds
    assert found.low < 100 * MBPS <= found.high


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"bits": 32}, "counters_32_bit"),
        ({"gaps": 2}, "counters_short"),
        ({"wall": NOW - 2 * HOUR}, "counters_old"),
        ({"wall": NOW + 60}, "counters_old"),
        ({"speed_bits_per_second": 10 * MBPS}, "counters_impossible"),
        ({"gaps": 1, "gap_seconds": 40.0, "cache_seconds": None}, "counters_stale"),
    ],
)
def test_counters_that_cannot_be_relied_on_prove_nothing(changed, reason):
    found = judge(evidence(counters=traffic(200 * MBPS, **changed)))
    assert (found.verdict, found.reason, found.step) == ("inconclusive", reason, "none")


@pytest.mark.parametrize("field", ["octets", "uptime_seconds"])
def test_a_counter_that_went_back_is_no_traffic(field):
    counters = traffic(200 * MBPS, gaps=4)
    readings = list(counters.readings)
    readings[2] = dataclasses.replace(readings[2], **{field: 0})
    assert judge(evidence(counters=dataclasses.replace(counters, readings=tuple(readings)))).reason == "counters_reset"


def test_a_discontinuity_is_no_traffic():
    counters = traffic(200 * MBPS, gaps=4)
    readings = (*counters.readings[:2], *(dataclasses.replace(one, discontinuity=5) for one in counters.readings[2:]))
    assert judge(evidence(counters=dataclasses.replace(counters, readings=readings))).reason == "counters_reset"


def test_the_stretch_after_a_restart_of_the_router_counts_by_itself():
    counters = traffic(200 * MBPS, gaps=9)
    readings = tuple(
        dataclasses.replace(one, uptime_seconds=one.at if number < 3 else one.at - 75, octets=one.octets - (0 if number < 3 else 10**12))
        for number, one in enumerate(counters.readings)
    )
    assert judge(evidence(counters=dataclasses.replace(counters, readings=readings))).verdict == "proved"


def test_our_clock_and_the_agents_must_agree():
    counters = traffic(200 * MBPS)
    readings = tuple(dataclasses.replace(one, uptime_seconds=one.uptime_seconds * 1.5) for one in counters.readings)
    assert judge(evidence(counters=dataclasses.replace(counters, readings=readings))).reason == "clock"


def test_an_agent_that_answers_from_a_cache_does_not_make_a_line_faster():
    """Refreshed every 25 s, asked every 10 s: a stretch of 30 s may show 50 s of traffic."""
    rate, readings = 70 * MBPS, []
    for number in range(13):
        at = 10.0 * number
        packets = int(rate / 8 / 1500 * (at // 25 * 25))
        readings.append(CounterReading(at=at, octets=packets * 1518, uptime_seconds=at, packets=packets))
    assert judge(evidence(counters=Counters(readings=tuple(readings), wall=NOW))).verdict == "inconclusive"
    honest = Counters(readings=tuple(readings), wall=NOW, cache_seconds=25.0)
    assert carried(honest, Limits()).bounds.low <= rate


@given(
    rate=st.floats(1 * MBPS, 900 * MBPS),
    cache=st.floats(0.1, 40.0),
    gap=st.floats(5.0, 60.0),
    gaps=st.integers(2, 12),
    offset=st.floats(0.0, 40.0),
    packet=st.integers(46, 1500),
    told=st.booleans(),
)
def test_counters_never_claim_more_than_was_carried(rate, cache, gap, gaps, offset, packet, told):
    readings = []
    for number in range(gaps + 1):
        at = 1000.0 + gap * number
        shown = ((at + offset) // cache) * cache - offset
        packets = int(rate / 8 / packet * max(shown, 0.0))
        readings.append(CounterReading(at=at, octets=packets * (packet + 18), uptime_seconds=at, packets=packets))
    found = carried(Counters(readings=tuple(readings), wall=NOW, cache_seconds=cache if told else None), Limits())
    assert found.bounds is None or found.bounds.low <= rate * 1.0001


def test_a_port_of_ten_megabit_cannot_carry_a_hundred():
    found = judge(evidence(ports=ports(10 * MBPS, duplex=False)))
    assert (found.verdict, found.reason, found.step, found.limit_end, found.bytes) == ("refuted", "port_speed", "port", "port", 0)
    assert found.bounds.high < 10 * MBPS


def test_a_port_of_a_hundred_carries_less_than_a_hundred_of_ip():
    assert judge(evidence(ports=ports(100 * MBPS))).verdict == "refuted"
    assert judge(evidence(ports=ports(1000 * MBPS))).verdict == "inconclusive"


def test_a_half_duplex_port_shares_itself_between_both_directions():
    shared = {"contract": 60 * MBPS, "other_contract": 60 * MBPS}
    assert judge(evidence(**shared, ports=ports(100 * MBPS, duplex=False))).reason == "port_duplex"
    assert judge(evidence(**shared, ports=ports(100 * MBPS, duplex=True))).verdict == "inconclusive"
    assert judge(evidence(**shared, ports=ports(100 * MBPS, duplex=None))).verdict == "inconclusive"


@pytest.mark.parametrize(
    "seen",
    [
        ports(10 * MBPS, ages=(10.0,)),
        ports(10 * MBPS, ages=(2 * HOUR, 10.0)),
        ports(10 * MBPS, ages=(2 * HOUR, HOUR)),
        ports(10 * MBPS, ages=(10.0, 10.0)),
        ports(10 * MBPS, ages=(70.0, -60.0)),
        ports(10 * MBPS, interface_type=1),
        ports(0),
        (*ports(1000 * MBPS, ages=(70.0,)), *ports(10 * MBPS, ages=(10.0,))),
    ],
)
def test_a_port_refutes_only_by_two_fresh_readings_that_agree(seen):
    assert judge(evidence(ports=seen)).verdict == "inconclusive"


def test_a_test_that_arrived_fast_enough_proves():
    found = judge(evidence(measurement=test_of(101 * MBPS, 102 * MBPS, 103 * MBPS)))
    assert (found.verdict, found.reason, found.step, found.method, found.grade) == ("proved", "measured", "test", "udp", "reflector")
    assert (found.bytes, found.seconds, found.confidence) == (8_600_000, 0.6, 0.999)
    assert judge(evidence(measurement=test_of(101 * MBPS, 102 * MBPS, 103 * MBPS, full=True))).step == "full"


def test_with_all_else_known_to_be_fast_a_slow_test_refutes():
    found = judge(REFUTING)
    assert (found.verdict, found.reason, found.limit_end) == ("refuted", "below", "line")
    assert found.bounds.high < CONTRACT
    assert found.bounds.value == pytest.approx(80.1 * MBPS)


@pytest.mark.parametrize(
    ("changed", "reason", "end"),
    [
        ({"control": None}, "control", "near"),
        ({"control": dataclasses.replace(CONTROL, low=99 * MBPS)}, "control", "near"),
        ({"control": dataclasses.replace(CONTROL, direction="up")}, "control", "near"),
        ({"control": dataclasses.replace(CONTROL, wall=NOW - HOUR)}, "control", "near"),
        ({"cross": None}, "cross_unknown", ""),
        ({"cross": Bounds(0.0, 10 * MBPS, 30 * MBPS)}, "cross_traffic", ""),
        ({"router_cpu_ratio": 0.97}, "router_cpu", "router"),
        ({"clock": Clock(moved_seconds=-0.01)}, "clock", ""),
        ({"measurement": dataclasses.replace(SLOW, method="assisted")}, "assisted", ""),
        ({"measurement": dataclasses.replace(SLOW, method="never heard of")}, "assisted", ""),
        ({"measurement": dataclasses.replace(SLOW, limit_end="far")}, "other_end", "far"),
        ({"measurement": dataclasses.replace(SLOW, verdict="inconclusive", reason="mathis")}, "mathis", ""),
        ({"measurement": dataclasses.replace(SLOW, verdict="inconclusive")}, "undecided", ""),
        ({"measurement": dataclasses.replace(SLOW, bounds=None)}, "undecided", ""),
        ({"measurement": dataclasses.replace(SLOW, verdict="proved")}, "contradiction", ""),
        ({"measurement": test_of(math.nan, math.nan, math.nan, verdict="refuted")}, "contradiction", ""),
        ({"measurement": test_of(101 * MBPS, 102 * MBPS, 103 * MBPS, verdict="refuted")}, "contradiction", ""),
        ({"measurement": test_of(99 * MBPS, 100 * MBPS, 101 * MBPS, verdict="refuted")}, "at_contract", ""),
        ({"contract": 0.0}, "no_contract", ""),
    ],
)
def test_a_slow_test_refutes_nothing_while_something_else_may_be_slow(changed, reason, end):
    found = judge(dataclasses.replace(REFUTING, **changed))
    assert (found.verdict, found.reason, found.limit_end, found.confidence) == ("inconclusive", reason, end, 0.0)
    assert (found.bytes, found.seconds) == (SLOW.bytes, SLOW.seconds)


def test_where_no_counters_can_be_had_the_inventory_may_do_without():
    found = judge(dataclasses.replace(REFUTING, cross=None), Limits(cross_needed=False))
    assert found.verdict == "refuted"


def test_what_users_surely_took_meanwhile_was_carried_too():
    found = judge(dataclasses.replace(REFUTING, cross=Bounds(25 * MBPS, 26 * MBPS, 30 * MBPS)))
    assert (found.verdict, found.reason, found.bounds.low) == ("proved", "measured_with_cross", 104.5 * MBPS)


@pytest.mark.parametrize(
    ("low", "reason", "limit_end", "cross_low", "verdict"),
    [
        (99, "at_contract", "line", 1, "proved"),
        (99, "at_contract", "line", 0.9, "inconclusive"),
        (99, "at_contract", "near", 5, "inconclusive"),
        (99, "sender_slow", "line", 5, "inconclusive"),
    ],
)
def test_a_test_that_could_not_tell_is_decided_by_what_users_took_meanwhile(low, reason, limit_end, cross_low, verdict):
    measured = test_of(low * MBPS, 100 * MBPS, 101 * MBPS, verdict="inconclusive", reason=reason, limit_end=limit_end)
    found = judge(evidence(measurement=measured, cross=Bounds(cross_low * MBPS, 6 * MBPS, 7 * MBPS)))
    assert found.verdict == verdict
    assert found.reason == ("measured_with_cross" if verdict == "proved" else reason)


def beside(rates, *, reason="below_contract", others=CALM, pace=115.0, idle=0.0, **changes):
    """A test by UDP that received these rates in bins of 50 ms; what its own bounds say is not what is asked here."""
    bins = tuple((0.05, round(rate * MBPS * 0.05 / 8), 1, 0, idle, 0.01) for rate in rates)
    mean = sum(rates) / len(rates)
    wide = {"below_contract": (mean - 8, 99.0), "at_contract": (mean - 8, mean + 12)}.get(reason, (mean - 8, math.inf))
    told = {
        "verdict": "refuted" if reason == "below_contract" else "inconclusive",
        "reason": reason,
        "limit_end": "line",
        "burst_bytes": 1_000_000,
        "sent_bits_per_second": pace * MBPS,
        "bins": bins,
    }
    measured = test_of(wide[0] * MBPS, mean * MBPS, wide[1] * MBPS, **{**told, **changes})
    return evidence(measurement=measured, control=CONTROL, cross=others)


def taken(low, high):
    return Bounds(low * MBPS, (low + high) / 2 * MBPS, high * MBPS)


UNEVEN = [98 - 18 * place / 39 for place in range(40)]  # others' transfer that grows; 89 in the mean
FORTY = [90.0] * 40


@pytest.mark.parametrize("reason", ["below_contract", "at_contract", "cap_bytes"])
@pytest.mark.parametrize(("low", "high", "verdict"), [(12, 14, "proved"), (7, 9, "refuted"), (9, 12, "inconclusive")])
def test_what_the_test_received_and_others_took_in_the_same_time_is_what_the_line_carries(reason, low, high, verdict):
    found = judge(beside(UNEVEN, reason=reason, others=taken(low, high)))
    assert found.verdict == verdict
    if verdict != "inconclusive":
        assert found.reason == ("measured_with_cross" if verdict == "proved" else "below")
        assert (found.bounds.low, found.bounds.high) == pytest.approx(((89 * 0.999 + low) * MBPS, (89 * 1.001 + high) * MBPS))


@pytest.mark.parametrize(
    "changed",
    [
        {"reason": "sender_slow", "limit_end": "near"},
        {"reason": "stalled", "limit_end": ""},
        {"reason": "peer_lied", "limit_end": ""},
        {"reason": "at_contract", "limit_end": "far"},
        {"reason": "at_contract", "method": "tcp"},
        {"reason": "at_contract", "sent_bits_per_second": 0.0},
        {"reason": "at_contract", "bins": ((0.05, 500_000, 1, 0, 0.0, 0.01),) * 5},
        {"reason": "at_contract", "bins": ((0.05, 500_000),) * 40},
        {"reason": "at_contract", "bins": ((0.0, 500_000, 1, 0, 0.0, 0.01),) * 40},
        {"reason": "at_contract", "bounds": None},
    ],
)
def test_a_sum_with_others_is_not_made_of_a_test_that_says_nothing_of_the_line(changed):
    found = judge(beside(FORTY, others=taken(3, 4), **changed))
    assert (found.verdict, found.reason) == ("inconclusive", changed["reason"])


def test_with_others_the_burst_is_spent_as_well():
    """2 s: 1 MB is 4 Mbps of that, above nine tenths of the contract while the line holds back, or else above all of it."""
    assert judge(beside(FORTY, reason="at_contract", others=taken(10.2, 11))).verdict == "proved"
    assert judge(beside(FORTY, reason="at_contract", others=taken(10.2, 11), burst_bytes=2_600_000)).verdict == "inconclusive"
    passing = [90.0] * 39 + [114.0]  # one bin that was not held back
    assert judge(beside(passing, reason="cap_bytes", limit_end="pace", others=taken(10.2, 11))).verdict == "inconclusive"
    assert judge(beside(passing, reason="cap_bytes", limit_end="pace", others=taken(13.6, 14))).verdict == "proved"


@pytest.mark.parametrize(
    ("rates", "changes"),
    [
        ([80.0] * 39 + [114.0], {}),  # it was not full all the time
        ([80.0] * 39 + [4.0], {}),  # something stood still
        (FORTY, {"idle": 0.005}),  # a tenth of the time our sender was silent
        (FORTY, {"idle": 0.05}),
        ([60.0, 100.0] * 20, {}),  # more uneven than others can have made it
    ],
)
def test_with_others_a_line_is_not_refuted_by_what_was_not_the_lines_doing(rates, changes):
    assert judge(beside(rates, reason="at_contract", others=taken(4, 5), **changes)).verdict == "inconclusive"
    assert judge(beside(FORTY, reason="at_contract", others=taken(4, 5))).verdict == "refuted"


@pytest.mark.parametrize("dip", [[40.0], [60.0, 60.0]])
def test_with_others_a_line_is_not_refuted_by_a_moment_in_which_something_stood_still(dip):
    """Filled up, it is at its contract; what lasts three bins is no moment."""
    stood_still = [88.0] * 20 + dip + [88.0] * (20 - len(dip))
    assert judge(beside(stood_still, reason="at_contract", others=taken(10, 12))).verdict == "inconclusive"
    for moment in ([84.0], [84.0, 84.0], [76.0] * 3):
        lower = [86.0] * 20 + moment + [86.0] * (20 - len(moment))
        assert judge(beside(lower, reason="at_contract", others=taken(10, 12))).verdict == "refuted"


@pytest.mark.parametrize("missing", [{"control": None}, {"router_cpu_ratio": 0.97}, {"cross": None}])
def test_with_others_it_takes_as_much_to_refute(missing):
    found = judge(dataclasses.replace(beside(FORTY, reason="at_contract", others=taken(4, 5)), **missing))
    assert (found.verdict, found.reason) == ("inconclusive", "at_contract")


def test_a_line_that_is_full_of_others_traffic_is_not_refuted():
    found = judge(beside([30.0] * 40, others=taken(60, 75)))
    assert (found.verdict, found.reason) == ("inconclusive", "cross_traffic")


def test_traffic_around_a_test_may_all_have_come_within_it():
    seen = carried(traffic(2 * MBPS, gaps=4), Limits())
    found = cross_traffic(seen, 1_000_000, 0.5)
    assert found.low == 0
    assert found.high == pytest.approx((seen.octets - 1_000_000) * 8 / 0.5)
    assert cross_traffic(seen, seen.octets + 1, 0.5) is None


BOUNDS = st.tuples(*[st.floats(0, 200 * MBPS)] * 3).map(lambda three: Bounds(*sorted(three)))
EVIDENCE = st.builds(
    Evidence,
    direction=st.sampled_from(["down", "up"]),
    contract=st.sampled_from([0.0, 10 * MBPS, CONTRACT]),
    wall=st.just(NOW),
    ports=st.sampled_from([(), ports(10 * MBPS), ports(100 * MBPS), ports(1000 * MBPS)]),
    counters=st.none() | st.builds(traffic, st.floats(1 * MBPS, 200 * MBPS)),
    measurement=st.none()
    | st.builds(
        Measurement,
        method=st.sampled_from(["udp", "tcp", "iperf3", "http", "router", "assisted"]),
        verdict=st.sampled_from(["proved", "refuted", "inconclusive"]),
        wall=st.sampled_from([NOW - 10, NOW - 2000]),
        seconds=st.floats(0.1, 10),
        bytes=st.integers(0, 10**8),
        bounds=st.none() | BOUNDS,
        limit_end=st.sampled_from(["", "near", "far", "line", "pace"]),
    ),
    control=st.none() | st.builds(Control, wall=st.just(NOW), anchor=st.just("a"), direction=st.just("down"), low=st.floats(0, 1e9)),
    cross=st.none() | BOUNDS,
    router_cpu_ratio=st.none() | st.floats(0, 1),
    clock=st.builds(Clock, moved_seconds=st.sampled_from([0.0, 1.0])),
)


@given(EVIDENCE)
def test_never_refuted_by_a_test_without_a_control_that_passed(found):
    verdict = judge(found)
    if verdict.verdict == "refuted" and verdict.step != "port":
        assert found.control is not None
        assert found.control.low >= found.contract
        assert found.control.direction == found.direction
        assert found.measurement.worth != "assisted"


@given(EVIDENCE)
def test_never_proved_below_the_contract_nor_refuted_above_it(found):
    verdict = judge(found)
    if verdict.verdict == "proved":
        assert verdict.bounds.low >= found.contract > 0
    if verdict.verdict == "refuted":
        assert verdict.bounds.high < found.contract or verdict.reason == "port_duplex"


@given(EVIDENCE, st.sampled_from(["control", "cross", "counters", "ports", "router_cpu_ratio"]))
def test_evidence_taken_away_never_turns_a_verdict_round(found, field):
    """It can only leave one open; but a step before it may then have the word."""
    whole = judge(found)
    less = judge(dataclasses.replace(found, **{field: () if field == "ports" else None}))
    turned = {whole.verdict, less.verdict} == {"proved", "refuted"}
    assert not turned or whole.step != less.step


@given(EVIDENCE, st.floats(0, 50 * MBPS))
def test_a_faster_test_is_never_a_worse_verdict(found, more):
    if found.measurement is None or found.measurement.bounds is None:
        return
    was = found.measurement
    faster = dataclasses.replace(was, bounds=Bounds(was.bounds.low + more, was.bounds.value + more, was.bounds.high + more))
    order = {"refuted": 0, "inconclusive": 1, "proved": 2}
    before, after = judge(found), judge(dataclasses.replace(found, measurement=faster))
    assert order[after.verdict] >= order[before.verdict] or after.reason == "contradiction"


@given(EVIDENCE)
def test_what_a_test_cost_is_in_every_verdict(found):
    if found.measurement is not None:
        assert judge(found).bytes == found.measurement.bytes


def past(age, verdict, **changes):
    return Past(**{"wall": NOW - age, "verdict": verdict, "grade": "reflector", **changes})


def test_a_line_stands_as_the_last_run_that_decided():
    found = standing([past(HOUR, "inconclusive", reason="control"), past(2 * DAY, "proved"), past(3 * DAY, "refuted")], NOW)
    assert (found.verdict, found.last.wall, found.proved_wall) == ("proved", NOW - 2 * DAY, NOW - 2 * DAY)
    found = standing([past(HOUR, "refuted"), past(2 * DAY, "proved")], NOW)
    assert (found.verdict, found.proved_wall) == ("refuted", NOW - 2 * DAY)


def test_a_verdict_too_old_is_stale_and_so_is_a_line_never_tested():
    assert standing([past(31 * DAY, "proved")], NOW).verdict == "stale"
    assert standing([past(31 * DAY, "proved")], NOW, Limits(stale_seconds=40 * DAY)).verdict == "proved"
    assert standing([], NOW) == standing([], NOW - DAY)
    assert (standing([], NOW).verdict, standing([], NOW).reason) == ("stale", "never")
    assert standing([past(HOUR, "inconclusive", reason="control")], NOW).reason == "control"


def test_below_contract_is_believed_when_refuted_again_at_another_time():
    once, again = past(2 * HOUR, "refuted"), past(60, "refuted")
    assert below_contract([once], NOW) == ()
    assert below_contract([past(120, "refuted"), again], NOW) == ()
    assert below_contract([again, once], NOW) == (once, again)
    assert below_contract([once, past(HOUR, "proved"), again], NOW) == ()
    assert below_contract([past(31 * DAY, "refuted"), again], NOW) == ()
    assert below_contract([once, past(HOUR, "inconclusive"), again], NOW) == (once, again)


def test_two_assisted_refutations_are_not_enough():
    assisted = [past(2 * HOUR, "refuted", grade="assisted"), past(60, "refuted", grade="assisted")]
    assert below_contract(assisted, NOW) == ()
    assert len(below_contract([*assisted, past(30, "refuted")], NOW)) == 3


TOLD = {
    "verdict": "refuted", "reason": "below_contract", "method": "udp", "method_version": "1", "direction": "down", "bytes": 8_600_000,
    "seconds": 0.61, "goodput_bits_per_second": 77_000_000, "line_bits_per_second": 80_000_000, "low_bits_per_second": 79_500_000,
    "high_bits_per_second": 80_500_000, "confidence": 0.999, "limit_end": "line", "burst_bytes": 1_000_000, "bins": [[0.05, 500_000, 400]],
}  # fmt: skip


def test_what_a_test_tells_is_what_is_judged():
    found = measurement_of(TOLD, NOW - 10)
    assert found.bounds == Bounds(79.5 * MBPS, 80 * MBPS, 80.5 * MBPS)
    assert (found.bytes, found.seconds, found.worth, found.bins) == (8_600_000, 0.61, "reflector", ((0.05, 500_000.0, 400.0),))
    assert judge(dataclasses.replace(REFUTING, measurement=found)).verdict == "refuted"
    assert judge(dataclasses.replace(REFUTING, measurement=measurement_of(TOLD, NOW - 10, grade="assisted"))).reason == "assisted"


def test_a_test_that_knows_no_most_cannot_refute():
    found = measurement_of({**TOLD, "high_bits_per_second": None}, NOW - 10)
    assert math.isinf(found.bounds.high)
    assert judge(dataclasses.replace(REFUTING, measurement=found)).verdict == "inconclusive"
    nothing = measurement_of({"verdict": "inconclusive", "reason": "peer_gone"}, NOW)
    assert (nothing.bounds, judge(evidence(measurement=nothing)).reason) == (None, "peer_gone")


@pytest.mark.parametrize(
    "wrong",
    [
        {"verdict": "yes"}, {"verdict": None}, {"bytes": -1}, {"seconds": "1"}, {"line_bits_per_second": math.nan}, {"confidence": True},
        {"low_bits_per_second": math.inf}, {"bins": 5}, {"bins": [5]}, {"bins": [["x"]]},
    ],
)  # fmt: skip
def test_what_is_no_test_is_refused(wrong):
    with pytest.raises(Malformed):
        measurement_of({**TOLD, **wrong}, NOW)


@given(st.dictionaries(st.sampled_from(sorted(TOLD)), st.none() | st.booleans() | st.floats() | st.text() | st.lists(st.integers())))
def test_nothing_told_upsets_the_judge(told):
    try:
        found = measurement_of({**TOLD, **told}, NOW - 10)
    except Malformed:
        return
    assert judge(dataclasses.replace(REFUTING, measurement=found)).verdict in {"proved", "refuted", "inconclusive"}


def points(bits_per_second, *, count=12, gap_seconds=60.0, packet=1500, jitter=lambda _: 0.0, uptime=True, packets=True):
    """An SNMP check every minute that divides by the agent's clock; its runs begin a little early or late by ours."""
    told, answered = [], 0.0
    for number in range(count):
        at = 1000.0 + gap_seconds * number
        shown = at + jitter(number)  # when the agent answered, by its clock and ours
        seconds = shown - answered
        rate = int(bits_per_second / 8 / packet * seconds) / seconds
        first = number == 0
        told.append(
            RatePoint(
                at=at,
                wall=NOW - gap_seconds * (count - number),
                took_seconds=max(jitter(number), 0.0) + 0.01,
                bytes_per_second=None if first else rate * (packet + 18),
                packets_per_second=rate if packets and not first else None,
                uptime_seconds=shown + 50 if uptime else None,
            )
        )
        answered = shown
    return told


def test_minutes_of_a_busy_line_prove_it_from_the_rates_of_its_router():
    found = judge(evidence(counters=counters_of(points(120 * MBPS))))
    assert (found.verdict, found.reason) == ("proved", "carried")
    assert found.bounds.value == pytest.approx(120 * MBPS, rel=0.01)
    assert judge(evidence(counters=counters_of(points(105 * MBPS, count=60), cache_seconds=0.0))).verdict == "proved"


def test_rates_without_packets_prove_little():
    assert judge(evidence(counters=counters_of(points(120 * MBPS, packets=False)))).verdict == "inconclusive"
    assert judge(evidence(counters=counters_of(points(400 * MBPS, packets=False), cache_seconds=0.0))).verdict == "proved"


def test_rates_are_taken_from_the_last_gap_on():
    told = points(120 * MBPS)
    told[8] = dataclasses.replace(told[8], bytes_per_second=None)
    assert [one.at for one in counters_of(told).readings] == [one.at for one in told[8:]]
    assert counters_of(told[:9]) is None
    assert counters_of([]) is None


@given(
    st.lists(st.tuples(st.floats(0.0, 900 * MBPS), st.integers(46, 1500), st.floats(0.0, 0.9)), min_size=4, max_size=12),
    st.booleans(),
    st.booleans(),
)
def test_rates_never_claim_more_than_was_carried(told, uptime, packets):
    """Every 10 s, each with its own traffic; answered a little after it was asked. The busiest 29 s are the truth."""
    shown = [10.0 * number + late for number, (_, _, late) in enumerate(told)]
    counts = [
        (0, 0),
        *(
            (int(rate / 8 / packet * (now - then)), packet)
            for (rate, packet, _), then, now in zip(told[1:], shown, shown[1:], strict=False)
        ),
    ]
    seen = [
        RatePoint(
            at=10.0 * number,
            wall=NOW,
            took_seconds=told[number][2],
            bytes_per_second=count * (packet + 18) / (shown[number] - shown[number - 1]) if number else None,
            packets_per_second=count / (shown[number] - shown[number - 1]) if packets and number else None,
            uptime_seconds=shown[number] + 50 if uptime else None,
        )
        for number, (count, packet) in enumerate(counts)
    ]
    truth = max(
        (
            sum(8 * count * packet for count, packet in counts[begin + 1 : end + 1]) / (shown[end] - shown[begin])
            for begin in range(len(shown))
            for end in range(begin + 1, len(shown))
            if shown[end] - shown[begin] >= 29
        ),
        default=0.0,
    )
    found = carried(counters_of(seen, cache_seconds=0.0), Limits())
    assert found.bounds is None or found.bounds.low <= truth * 1.0001 + 1


def test_of_rates_by_an_unknown_clock_the_least_is_taken():
    sure, unsure = (counters_of(points(100 * MBPS, uptime=told)) for told in (True, False))
    assert unsure.readings[-1].octets == pytest.approx(0.95 * sure.readings[-1].octets, rel=1e-3)
    assert unsure.readings[-1].packets == pytest.approx(1.05 * sure.readings[-1].packets, rel=1e-3)


def test_a_count_of_packets_that_cannot_be_is_not_believed():
    counters = traffic(150 * MBPS)
    odd = tuple(dataclasses.replace(one, packets=one.packets * 1000) for one in counters.readings)
    found = carried(dataclasses.replace(counters, readings=odd), Limits()).bounds
    assert found.sound()
    assert found.value > 100 * MBPS


def test_a_control_that_just_carried_the_contract_has_passed():
    assert judge(dataclasses.replace(REFUTING, control=dataclasses.replace(CONTROL, low=CONTRACT))).verdict == "refuted"


@given(EVIDENCE, st.sampled_from([Limits(), Limits(cross_needed=False, router_cpu_ratio=0.5)]))
def test_what_is_recorded_can_be_judged_again_and_comes_to_the_same(found, limits):
    verdict = judge(found, limits)
    record = record_of(Subject(SITE, LINE), found, verdict, limits, recorded_wall=NOW + 1, zone=ZONE, version="1")
    kept = json.loads(canonical(record))
    again = judged_again(kept)
    assert (again.verdict, again.reason, again.step, again.limit_end) == (verdict.verdict, verdict.reason, verdict.step, verdict.limit_end)
    assert evidence_of(kept).direction == found.direction
    assert (kept["verdict"], kept["reason"], kept["bytes"]) == (verdict.verdict, verdict.reason, verdict.bytes)


def test_of_what_a_test_sent_outside_its_bins_as_great_a_part_came_through_as_within():
    bins = ((0.05, 600_000, 400, 100, 0.0, 0.02), (0.05, 600_000, 400, 100, 0.0, 0.02), (0.05, 0, 0, 9, 0.0, 0.02))
    test = dataclasses.replace(SLOW, bins=bins, bytes=2_000_000)
    assert passed_bytes(test) == 1_200_000 + 0.8 * 500_000
    assert passed_bytes(dataclasses.replace(test, bytes=1_500_000)) == 1_200_000
    assert passed_bytes(dataclasses.replace(test, bytes=1_000_000)) == 1_200_000
    assert passed_bytes(dataclasses.replace(test, method="tcp")) == 1_200_000
    assert passed_bytes(dataclasses.replace(test, bins=())) == 0


def test_what_a_queue_holds_is_taken_for_dropped_but_for_what_the_line_carries_while_it_runs_empty():
    """As a line of 12 Mbps was measured at 23 Mbps with a queue of 200 kB: its router counted 832 kB, nothing was lost in any bin yet."""
    bins = tuple((0.05, 74_900, 53, 0, 0.0, queue) for queue in (0.045, 0.069, 0.093, 0.117, 0.130, 0.133))
    test = dataclasses.replace(SLOW, bins=bins, bytes=1_101_800, seconds=0.4247)
    assert passed_bytes(test) == 449_400 + int((0.0247 + 0.05 + 0.130) * 449_400 / 0.3)
    assert passed_bytes(test) < 832_000


def test_a_line_that_drops_nothing_passes_all_that_was_sent():
    test = dataclasses.replace(SLOW, bins=((0.05, 700_000, 500, 0, 0.0, 0.0),), bytes=1_400_000)
    assert passed_bytes(test) == 1_400_000
