"""What follows from tests, traffic and ports: verdicts, what is believed of a line's contract, and what meetings end. Time is passed in."""

import json
from dataclasses import dataclass, replace

import pytest

from netwatch import core
from netwatch.model import (
    STOPPED,
    Cancel,
    Check,
    Device,
    Inventory,
    Line,
    LineTest,
    Maintenance,
    Outcome,
    Result,
    Rule,
    Run,
    Sample,
    Site,
    Tick,
)
from tests.worlds import NoProbe, check

WALL = 1_795_000_000.0
TEST, CONTROL, ROUTER = "na-tau/main/capacity-down", "line-tests/control/capacity-down-100mbps", "na-tau/router/snmp"
RULES = (
    Rule(name="contract", metric="line_below_contract_down", warn=1.0, audience="digest"),
    Rule(name="proof_old", metric="line_proof_old_down", warn=1.0, audience="digest"),
)
BIN = [1.0, 7_500_000, 5_357, 4_643, 0.0, 0.0]


@dataclass(kw_only=True, eq=False)
class Capacity(NoProbe):
    direction: str = "down"
    contract_bits_per_second: float = 100e6
    method: str = "udp"


def capacity_check(check_id, rules=()) -> Check:
    return replace(check(check_id, interval=86_400.0, rules=rules, audience="digest"), kind="bandwidth", probe=Capacity())


class Story:
    """One site with one line, its router and a control next to us."""

    def __init__(self, *, meetings=(), router=True, control=True):
        line = Line(
            id="main",
            address="127.0.0.1",
            contract_down_bits_per_second=100e6,
            contract_up_bits_per_second=100e6,
            interface="ether1",
            test=LineTest(budget_bytes=1e9),
        )
        devices = {"router": Device(id="router", address="127.0.0.2", profile="router", role="router")} if router else {}
        sites = {"na-tau": Site(id="na-tau", name="Nà Tấu", lines={"main": line}, devices=devices)}
        checks = [check("na-tau/main/icmp", interval=5.0), capacity_check(TEST, RULES)]
        if router:
            checks.append(replace(check(ROUTER, interval=60.0), kind="snmp"))
        if control:
            sites["line-tests"] = Site(id="line-tests", kind="hub", name="x")
            checks.append(capacity_check(CONTROL))
        primary = {("na-tau", "main"): "na-tau/main/icmp"}
        known = Inventory(sites=sites, checks={one.id: one for one in checks}, primary_checks=primary, meetings=tuple(meetings))
        self.world = core.World(inventory=known)
        self.at = 10_000.0
        self.effects = []

    def say(self, check_id, *, after=1.0, samples=(), facts=None, code="", outcome=Outcome.OK, duration=1.0):
        self.at += after
        result = Result(
            check=check_id,
            at=self.at,
            wall=WALL + self.at,
            duration_seconds=duration,
            outcome=outcome,
            code=code,
            samples=tuple(samples),
            facts=facts or {},
        )
        self.at += duration
        followed = core.step(self.world, result)
        self.effects.append(followed)
        return followed

    def tick(self, after=1.0):
        self.at += after
        self.effects.append(core.step(self.world, Tick(at=self.at, wall=WALL + self.at)))
        return self.effects[-1]

    def test(self, verdict="refuted", value=60e6, check_id=TEST, spent=14_000_000, seconds=1.0, **more):
        told = {
            "verdict": verdict,
            "reason": "x",
            "method": "udp",
            "bytes": spent,
            "seconds": seconds,
            "line_bits_per_second": value,
            "low_bits_per_second": value * 0.99,
            "high_bits_per_second": value * 1.01,
            "confidence": 0.999,
            "bins": [BIN],
        }
        return self.say(check_id, facts={"bandwidth": json.dumps(told)}, **more)

    def router(self, bytes_per_second=100_000.0, *, after=5.0, speed=125e6):
        self.uptime = self.at + after
        samples = [
            Sample("interface_receive_bytes_per_second", (bytes_per_second,), "ether1"),
            Sample("interface_receive_packets_per_second", (bytes_per_second / 1000,), "ether1"),
            Sample("interface_transmit_bytes_per_second", (1_000.0,), "ether1"),
            Sample("interface_speed_bytes_per_second", (speed,), "ether1"),
            Sample("uptime_seconds", (self.uptime,)),
        ]
        return self.say(ROUTER, samples=samples, after=after, duration=0.05)

    def refute(self):
        """A test that says "below" on a quiet line, with its control and the router's figures around it."""
        self.router(1_000.0, after=60.0)
        self.router(1_100.0, after=5.0)
        first = self.test()
        asked = {(one.check, one.reason) for one in first.requests if isinstance(one, Run)}
        self.test("proved", 115e6, CONTROL, after=0.1)
        # What the test put on the line is in the next figures: 7.5 MB in about six seconds.
        last = self.router(7_600_000 / 8.2, after=5.0)
        return asked, first, last

    @property
    def verdicts(self):
        return [one for effects in self.effects for one in effects.verdicts]

    def believed(self, rule):
        memory = self.world.memories[TEST].subjects.get((rule, ""))
        return memory.belief.value if memory else None


def test_a_proof_is_a_verdict_at_once():
    story = Story()
    (verdict,) = story.test("proved", 112e6).verdicts
    assert (verdict.verdict, verdict.direction, verdict.bytes, verdict.check) == ("proved", "down", 14_000_000, TEST)
    assert verdict.record["inputs"]["measurement"]["bins"] == (tuple(BIN),)
    assert story.believed("contract") == "ok"


def test_below_is_judged_only_with_a_control_test_and_the_routers_figures_after_it():
    story = Story()
    asked, first, last = story.refute()
    assert asked == {(CONTROL, "evidence"), (ROUTER, "evidence")}
    assert first.verdicts == ()
    (verdict,) = last.verdicts
    assert (verdict.verdict, verdict.record["reason"]) == ("refuted", "below")
    assert story.believed("contract") == "ok"


def test_the_ramp_of_a_test_and_what_came_after_its_bins_is_no_traffic_of_others():
    story = Story()
    story.router(1_000.0, after=60.0)
    story.router(1_100.0, after=5.0)
    story.test(value=90e6, spent=18_000_000, seconds=1.4)
    story.test("proved", 115e6, CONTROL, after=0.1)
    # Of the 4 MB outside the bins 2.1 came through: with them 9.6 MB are the test's own.
    story.router(9_800_000 / 8.2, after=5.0)
    (verdict,) = story.verdicts
    assert (verdict.verdict, verdict.record["reason"]) == ("refuted", "below")


def test_figures_read_right_after_a_test_are_not_those_after_it():
    """Many agents look at their counters every few seconds only."""
    story = Story()
    story.router(1_000.0, after=60.0)
    story.router(1_100.0, after=5.0)
    story.test()
    story.test("proved", 115e6, CONTROL, after=0.1)
    assert story.router(1_000.0, after=0.1).verdicts == ()
    (verdict,) = story.router(7_600_000 / 4.0, after=4.0).verdicts
    assert (verdict.verdict, verdict.record["reason"]) == ("refuted", "below")


def test_a_line_is_below_its_contract_when_refuted_at_two_times_and_no_more_once_proved():
    story = Story()
    story.refute()
    story.at += 600.0
    story.refute()
    assert story.believed("contract") == "ok"
    story.at += 3_600.0
    story.refute()
    assert [one.verdict for one in story.verdicts] == ["refuted"] * 3
    assert story.believed("contract") == "warn"
    (incident,) = story.world.incidents.values()
    assert (incident.audience, incident.facts["metric"]) == ("digest", "line_below_contract_down")
    story.test("proved", 112e6)
    assert story.believed("contract") == "ok"
    story.tick()
    story.tick(after=600.0)
    assert not story.world.incidents


@pytest.mark.parametrize(("router", "reason"), [(True, "control"), (False, "control")])
def test_without_a_control_nothing_is_refuted(router, reason):
    story = Story(control=False, router=router)
    story.test()
    story.tick(after=121.0)
    (verdict,) = story.verdicts
    assert (verdict.verdict, verdict.record["reason"]) == ("inconclusive", reason)


def test_without_the_routers_figures_nothing_is_refuted():
    story = Story()
    story.test()
    story.test("proved", 115e6, CONTROL)
    assert story.verdicts == []
    story.tick(after=121.0)
    (verdict,) = story.verdicts
    assert (verdict.verdict, verdict.record["reason"]) == ("inconclusive", "cross_unknown")


FULL_BINS = [[0.05, 500_000, 357, 150, 0.0, 0.02]] * 40  # 80 Mbps of the 115 that were sent, for 2 s


def beside_others(story, others_bytes_per_second, *, reason="at_contract"):
    """A test that could not tell alone, and what its router counts before and after it, 60 s and 6 s apart."""
    story.router(others_bytes_per_second, after=60.0)
    story.router(others_bytes_per_second, after=58.0)
    told = {
        "verdict": "inconclusive", "reason": reason, "limit_end": "line", "method": "udp", "bytes": 28_750_000, "seconds": 2.3,
        "line_bits_per_second": 80e6, "low_bits_per_second": 60e6, "high_bits_per_second": 101e6, "confidence": 0.999,
        "sent_bits_per_second": 115e6, "burst_bytes": 1_000_000, "bins": FULL_BINS,
    }  # fmt: skip
    first = story.say(TEST, after=1.5, facts={"bandwidth": json.dumps(told)}, duration=2.5)
    story.test("proved", 115e6, CONTROL, after=0.1)
    own = 20_000_000 * 28_750_000 / 28_740_000 * 1.01
    return first, story.router(others_bytes_per_second + own / 10.5, after=5.5)


def test_a_test_that_could_not_tell_beside_others_waits_for_what_the_router_counted():
    story = Story()
    first, last = beside_others(story, 250_000.0)
    assert {(one.check, one.reason) for one in first.requests} == {(CONTROL, "evidence"), (ROUTER, "evidence")}
    assert first.verdicts == ()
    (verdict,) = last.verdicts
    assert (verdict.verdict, verdict.record["reason"]) == ("refuted", "below")
    assert verdict.record["high_bits_per_second"] < 100e6


def test_it_stays_open_when_what_others_took_around_it_may_be_what_was_missing():
    _, last = beside_others(Story(), 1_500_000.0)
    (verdict,) = last.verdicts
    assert (verdict.verdict, verdict.record["reason"]) == ("inconclusive", "at_contract")


@pytest.mark.parametrize(("others", "reason"), [(100_000.0, "at_contract"), (250_000.0, "sender_slow")])
def test_it_waits_for_nothing_on_a_quiet_line_or_when_something_else_was_slow(others, reason):
    first, _ = beside_others(Story(), others, reason=reason)
    assert [one.verdict for one in first.verdicts] == ["inconclusive"]
    assert first.requests == ()


def test_what_others_send_is_what_the_router_told_last_and_not_long_ago():
    story = Story()
    key = ("na-tau", "main", "down")
    assert core.others_bits_per_second(story.world, key, story.at) == 0.0
    for rate in (9e6, 2e6, 1e6):
        story.router(rate, after=60.0)
    assert core.others_bits_per_second(story.world, key, story.at) == 16e6
    assert core.others_bits_per_second(story.world, key, story.at + 301.0) == 0.0


def test_the_router_is_asked_unless_it_has_just_answered():
    story, silent = Story(), Story(router=False)
    test = story.world.inventory.checks[TEST]
    assert core.router_to_ask(story.world, test, story.at) == ROUTER
    story.router()
    assert core.router_to_ask(story.world, test, story.at) == ""
    assert core.router_to_ask(story.world, test, story.at + 6.0) == ROUTER
    assert core.router_to_ask(silent.world, test, silent.at) == ""


def test_traffic_that_reaches_the_contract_proves_the_line_and_spares_its_test():
    story = Story()
    for _ in range(24):
        story.router(15e6, after=60.0)
    (verdict,) = story.verdicts
    assert (verdict.verdict, verdict.record["step"], verdict.bytes) == ("proved", "counters", 0)
    assert Cancel(check=TEST, reason="evidence") in [one for effects in story.effects for one in effects.requests]


def test_a_port_that_is_too_slow_refutes_the_line_by_itself():
    story = Story()
    for _ in range(3):
        story.router(1_000.0, after=60.0, speed=1.25e6)
    assert {(one.direction, one.verdict, one.record["reason"]) for one in story.verdicts} == {
        ("down", "refuted", "port_speed"),
        ("up", "refuted", "port_speed"),
    }


MEETING = Maintenance(id="hop", matcher="", starts=WALL + 20_000.0, ends=WALL + 23_600.0)


def test_a_meeting_that_begins_cancels_the_tests_of_its_sites_once():
    story = Story(meetings=[MEETING])
    assert story.tick().requests == ()
    cancel = Cancel(check=TEST, reason="meeting")
    assert cancel in story.tick(after=20_000.0 - story.at).requests
    assert cancel not in story.tick().requests
    other = Story(meetings=[replace(MEETING, matcher="site=elsewhere")])
    assert cancel not in other.tick(after=20_000.0 - other.at).requests


def test_a_test_that_was_cut_off_is_inconclusive_with_its_bytes_and_is_run_again_after_the_meeting():
    story = Story(meetings=[MEETING])
    story.at = 20_000.0
    cut = story.say(TEST, code=STOPPED, samples=[Sample("bandwidth_spent_bytes", (4_321.0,), "down")], after=1.0)
    (verdict,) = cut.verdicts
    assert (verdict.verdict, verdict.record["reason"], verdict.bytes) == ("inconclusive", "yielded", 4_321)
    (again,) = [one for one in cut.requests if isinstance(one, Run)]
    assert (again.check, again.reason, again.not_before) == (TEST, "meeting", pytest.approx(23_600.0))


def test_an_old_proof_is_told_of():
    story = Story()
    story.test("proved", 112e6)
    story.tick()
    assert story.believed("proof_old") == "ok"
    story.tick(after=8 * 86_400.0)
    assert story.believed("proof_old") == "warn"


def test_what_is_measured_during_a_test_is_not_judged_but_still_answers():
    loss = Rule(name="loss", metric="loss", crit=0.5)
    story = Story()
    line = replace(story.world.inventory.checks["na-tau/main/icmp"], rules=(loss,))
    story.world.inventory.checks["na-tau/main/icmp"] = line
    result = Result(
        check=line.id, at=1.0, wall=WALL, duration_seconds=0.1, outcome=Outcome.OK, samples=(Sample("loss", (0.9,)),), under_test=True
    )
    core.step(story.world, result)
    memory = story.world.memories[line.id]
    assert ("loss", "") not in memory.subjects
    assert memory.answers.belief.value == "ok"


@pytest.mark.parametrize(
    ("mean", "before", "during"), [(0.15, "ok", "ok"), (0.17, "ok", "warn"), (0.21, "warn", "warn"), (0.35, "crit", "crit")]
)
def test_while_a_meeting_is_on_what_is_no_longer_good_for_video_is_a_warning(mean, before, during):
    rule = Rule(name="video_delay", metric="rtt", warn=0.2, crit=0.3, clear=0.15, audience="digest", strict_in_meetings=True)
    story = Story(meetings=[MEETING])
    line = story.world.inventory.checks["na-tau/main/icmp"]
    story.world.inventory.checks[line.id] = replace(line, rules=(rule,))
    story.say(line.id, samples=[Sample("rtt", (mean,))])
    assert story.world.memories[line.id].subjects["video_delay", ""].belief.value == before
    story.at = MEETING.starts - WALL + 60
    story.say(line.id, samples=[Sample("rtt", (mean,))])
    assert story.world.memories[line.id].subjects["video_delay", ""].belief.value == during
    story.at = MEETING.ends - WALL + 60
    story.say(line.id, samples=[Sample("rtt", (0.1,))])
    assert story.world.memories[line.id].subjects["video_delay", ""].belief.value == "ok"
