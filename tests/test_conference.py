"""GO, RISK or NO-GO: what hinders a meeting most is said first, and what is not known is never called good."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch.conference import (
    LEVELS,
    Bridge,
    Endpoint,
    Evidence,
    Leg,
    Power,
    Proof,
    matrix,
    predicted,
    readiness,
)
from netwatch.lang import LANGUAGES, catalog, writing
from netwatch.model import Belief
from netwatch.wording.conference import do_text, reason_text

GOOD = Leg(sent=600, received=600, rtt_seconds=0.012, jitter_seconds=0.001)
ROOM = Endpoint(id="vc", label="Phòng họp", reachable=True, registered=True)
BRIDGE = Bridge(name="Pexip", reachable=True, ports_left=60, media_load_ratio=0.2)
PROVED = Proof(verdict="proved", age_seconds=86_400.0)
READY = Evidence(
    site="na-tau",
    up=True,
    starts_in_seconds=3_600.0,
    proof=PROVED,
    leg=GOOD,
    free_bits_per_second=80e6,
    endpoints=(ROOM,),
    power=Power(on_battery=False, runtime_seconds=3_000.0),
    bridges=(BRIDGE,),
    ports_needed=45,
)


def evidence(**changes):
    return dataclasses.replace(READY, **changes)


def leg(received=600, rtt=0.012, jitter=0.001):
    return Leg(sent=600, received=received, rtt_seconds=rtt, jitter_seconds=jitter)


def room(**changes):
    return dataclasses.replace(ROOM, **changes)


def bridge(**changes):
    return dataclasses.replace(BRIDGE, **changes)


SECOND = room(id="vc2", label="Phòng 2")
CASES = {
    "all is well": ({}, "go", None),
    "no line answers": ({"up": False, "leg": leg(0, None, None)}, "no_go", "dark"),
    "no power, so no line": ({"up": False, "without_power": True}, "no_go", "without_power"),
    "never asked": ({"up": None, "leg": None}, "risk", "unknown"),
    "dark until lately": ({"back_since": 5.0}, "risk", "back_lately"),
    "we are cut off": ({"blind": True, "up": False}, "risk", "blind"),
    "work is planned": ({"maintenance": True}, "risk", "maintenance"),
    "the bridge is down": ({"bridges": (bridge(reachable=False),)}, "no_go", "bridge_down"),
    "no licence is left": ({"bridges": (bridge(ports_left=0),)}, "no_go", "bridge_full"),
    "too few licences": ({"bridges": (bridge(ports_left=44),)}, "risk", "bridge_full"),
    "just enough licences": ({"bridges": (bridge(ports_left=45),)}, "go", None),
    "the bridge was not asked": ({"bridges": (bridge(reachable=None, ports_left=None, media_load_ratio=None),)}, "risk", "bridge_unknown"),
    "the bridge is loaded": ({"bridges": (bridge(media_load_ratio=0.85),)}, "risk", "bridge_loaded"),
    "the bridge has an alarm": ({"bridges": (bridge(alarms=1),)}, "risk", "bridge_alarms"),
    "the room does not answer": ({"endpoints": (room(reachable=False, since=5.0),)}, "no_go", "endpoint_silent"),
    "the room is not registered": ({"endpoints": (room(registered=False),)}, "no_go", "not_registered"),
    "the room takes no calls": ({"endpoints": (room(refusing=True),)}, "no_go", "endpoint_refuses"),
    "nothing is known of a registration": ({"endpoints": (room(registered=None),)}, "go", None),
    "the room was not asked": ({"endpoints": (room(reachable=None),)}, "risk", "endpoint_unknown"),
    "another room stands in": ({"endpoints": (room(reachable=False), SECOND)}, "risk", "endpoint_silent"),
    "both rooms are gone": (
        {"endpoints": (room(reachable=False), dataclasses.replace(SECOND, registered=False))},
        "no_go",
        "endpoint_silent",
    ),
    "no room is known": ({"endpoints": ()}, "risk", "no_endpoint"),
    "no call for long": ({"endpoints": (room(good_call_age_seconds=40 * 86_400.0),)}, "risk", "no_call_lately"),
    "a call last week": ({"endpoints": (room(good_call_age_seconds=7 * 86_400.0),)}, "go", None),
    "much loss": ({"leg": leg(received=580)}, "no_go", "quality_loss"),
    "some loss": ({"leg": leg(received=594)}, "risk", "quality_loss"),
    "one packet of loss": ({"leg": leg(received=599)}, "go", None),
    "much delay": ({"leg": leg(rtt=0.35)}, "no_go", "quality_rtt"),
    "some delay": ({"leg": leg(rtt=0.25)}, "risk", "quality_rtt"),
    "much jitter": ({"leg": leg(jitter=0.06)}, "no_go", "quality_jitter"),
    "some jitter": ({"leg": leg(jitter=0.04)}, "risk", "quality_jitter"),
    "some delay, strictly": ({"leg": leg(rtt=0.16), "starts_in_seconds": -60.0}, "risk", "quality_rtt"),
    "some delay, before": ({"leg": leg(rtt=0.16)}, "go", None),
    "not measured": ({"leg": None}, "risk", "quality_unknown"),
    "hardly measured": ({"leg": Leg(sent=5, received=5, rtt_seconds=0.01, jitter_seconds=0.0)}, "risk", "quality_unknown"),
    "no room left": ({"free_bits_per_second": 1.5e6}, "no_go", "no_room"),
    "little room left": ({"free_bits_per_second": 2.5e6}, "risk", "no_room"),
    "enough room": ({"free_bits_per_second": 3e6}, "go", None),
    "nothing is known of others' traffic": ({"free_bits_per_second": None}, "go", None),
    "the battery ends before": ({"power": Power(on_battery=True, runtime_seconds=1_800.0)}, "no_go", "battery_ends_before"),
    "the battery ends during": ({"power": Power(on_battery=True, runtime_seconds=7_200.0)}, "risk", "battery_ends_during"),
    "the battery lasts": ({"power": Power(on_battery=True, runtime_seconds=20_000.0)}, "risk", "on_battery"),
    "a battery of which nothing is known": ({"power": Power(on_battery=True)}, "risk", "on_battery"),
    "no UPS": ({"power": None}, "go", None),
    "below its contract": ({"proof": Proof(verdict="refuted", age_seconds=60.0, measured_bits_per_second=64e6)}, "risk", "below_contract"),
    "below the call": ({"proof": Proof(verdict="refuted", age_seconds=60.0, measured_bits_per_second=1e6)}, "no_go", "below_contract"),
    "never tested": ({"proof": Proof(verdict="stale")}, "risk", "never_tested"),
    "an old proof": ({"proof": Proof(verdict="proved", age_seconds=20 * 86_400.0)}, "risk", "proof_old"),
    "a stale proof": ({"proof": Proof(verdict="stale", age_seconds=8 * 86_400.0)}, "risk", "proof_old"),
    "an open test": ({"proof": Proof(verdict="inconclusive", age_seconds=60.0)}, "risk", "proof_open"),
    "not to be tested": ({"proof": None}, "go", None),
    "on the backup line": ({"on_backup": True}, "risk", "on_backup"),
    "a dark place has one reason": (
        {"up": False, "endpoints": (room(reachable=False),), "leg": leg(0, None, None), "free_bits_per_second": 0.0},
        "no_go",
        "dark",
    ),
    "what is worse stands first": ({"maintenance": True, "endpoints": (room(reachable=False),)}, "no_go", "endpoint_silent"),
    "the cause stands before what follows": ({"leg": leg(received=500), "free_bits_per_second": 0.5e6}, "no_go", "quality_loss"),
}


@pytest.mark.parametrize("what", CASES)
def test_the_level_and_the_first_reason(what):
    changes, level, code = CASES[what]
    found = readiness(evidence(**changes))
    assert (found.level, found.first and found.first.code) == (level, code)


def test_of_a_dark_place_nothing_is_said_that_follows_from_the_darkness():
    found = readiness(evidence(up=False, endpoints=(room(reachable=False),), leg=leg(0, None, None), bridges=(bridge(reachable=False),)))
    assert [reason.code for reason in found.reasons] == ["dark", "bridge_down"]


maybe = st.none() | st.booleans()
legs = st.none() | st.builds(
    lambda sent, lost, rtt, jitter: Leg(
        sent=sent, received=max(0, sent - lost), rtt_seconds=rtt if sent > lost else None, jitter_seconds=jitter if sent > lost else None
    ),
    st.integers(0, 1_000),
    st.integers(0, 1_000),
    st.floats(0, 3),
    st.floats(0, 1),
)
proofs = st.none() | st.builds(
    Proof,
    verdict=st.sampled_from(["proved", "refuted", "inconclusive", "stale"]),
    age_seconds=st.none() | st.floats(0, 1e8),
    measured_bits_per_second=st.none() | st.floats(0, 1e9),
)
endpoints = st.lists(
    st.builds(
        Endpoint,
        id=st.just("vc"),
        label=st.text(max_size=60),
        reachable=maybe,
        registered=maybe,
        refusing=st.booleans(),
        since=st.none() | st.floats(0, 2e9),
        good_call_age_seconds=st.none() | st.floats(0, 1e8),
    ),
    max_size=3,
)
bridges = st.lists(
    st.builds(
        Bridge,
        name=st.text(max_size=60),
        reachable=maybe,
        alarms=st.integers(0, 9),
        ports_left=st.none() | st.integers(0, 99),
        media_load_ratio=st.none() | st.floats(0, 1),
    ),
    max_size=2,
)
anything = st.builds(
    Evidence,
    site=st.just("x"),
    up=maybe,
    starts_in_seconds=st.floats(-7_200, 1e6),
    rate_bits_per_second=st.floats(1e5, 1e7),
    blind=st.booleans(),
    dark_since=st.none() | st.floats(0, 2e9),
    back_since=st.none() | st.floats(0, 2e9),
    without_power=st.booleans(),
    on_backup=st.booleans(),
    maintenance=st.booleans(),
    proof=proofs,
    leg=legs,
    free_bits_per_second=st.none() | st.floats(0, 1e9),
    endpoints=endpoints.map(tuple),
    power=st.none() | st.builds(Power, on_battery=maybe, runtime_seconds=st.none() | st.floats(0, 1e6)),
    bridges=bridges.map(tuple),
    ports_needed=st.integers(0, 60),
)


@given(anything, st.sampled_from(LANGUAGES))
def test_whatever_is_known_there_is_a_level_its_worst_reason_first_and_words_for_all(one, language):
    found, words = readiness(one), catalog(language)
    levels = [LEVELS.index(reason.level) for reason in found.reasons]
    assert levels == sorted(levels, reverse=True)
    assert found.level == (found.reasons[0].level if found.reasons else "go")
    assert len({reason.code for reason in found.reasons if "endpoint" not in reason.fields and "bridge" not in reason.fields}) <= len(
        found.reasons
    )
    for reason in found.reasons:
        text = reason_text(reason, words, 1e9, writing.VIETNAM)
        assert text
        assert "{" not in text.replace(str(reason.fields.get("endpoint", "")), "").replace(str(reason.fields.get("bridge", "")), "")
        assert "\n" not in text
        assert do_text(reason, words)


@given(anything)
def test_only_a_place_of_which_enough_is_known_is_ready(one):
    if readiness(one).level == "go":
        assert one.up is True
        assert one.leg is not None
        assert one.leg.sent >= 20
        assert any(room.reachable for room in one.endpoints)
        assert all(one.reachable for one in one.bridges)


@given(anything)
def test_less_good_news_never_makes_a_place_readier(one):
    before = LEVELS.index(readiness(one).level)
    for worse in ({"maintenance": True}, {"on_backup": True}, {"endpoints": ()} if before == 0 else {"maintenance": True}):
        assert LEVELS.index(readiness(dataclasses.replace(one, **worse)).level) >= before


PAIRS = st.builds(
    lambda sent, lost, rtt, jitter: Leg(sent=sent, received=sent - min(lost, sent - 1), rtt_seconds=rtt, jitter_seconds=jitter),
    st.integers(1, 1_000),
    st.integers(0, 1_000),
    st.floats(0, 2),
    st.floats(0, 1),
)


@given(PAIRS, PAIRS)
def test_a_pair_is_predicted_by_delay_sum_jitter_root_sum_square_and_joint_loss(one, other):
    pair = predicted(one, other)
    assert pair == predicted(other, one)
    assert pair.rtt_seconds == pytest.approx(one.rtt_seconds + other.rtt_seconds)
    assert pair.jitter_seconds == pytest.approx(math.sqrt(one.jitter_seconds**2 + other.jitter_seconds**2))
    assert pair.loss_ratio == pytest.approx(1 - (one.received / one.sent) * (other.received / other.sent))
    assert max(one.loss_ratio, other.loss_ratio) <= pair.loss_ratio + 1e-12


def test_two_good_legs_may_make_a_bad_pair_and_an_unmeasured_one_none():
    long = leg(rtt=0.19)
    assert predicted(long, long).video is Belief.CRIT
    assert predicted(GOOD, GOOD).video is Belief.OK
    assert predicted(leg(received=597), leg(received=597)).video is Belief.WARN
    assert predicted(GOOD, Leg(sent=0, received=0, rtt_seconds=None, jitter_seconds=None)).video is Belief.UNKNOWN
    assert predicted(GOOD, leg(0, None, None)).video is Belief.CRIT


def test_the_matrix_of_45_has_every_two_once():
    legs = {f"s{number:02d}": leg(rtt=number / 1_000) for number in range(45)}
    found = matrix(legs)
    assert len(found) == 45 * 44 // 2
    assert all(one < other for one, other in found)
    assert found["s03", "s40"].rtt_seconds == pytest.approx(0.043)
