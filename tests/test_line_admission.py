"""Whether a line test may run now, what it holds, what outlives a restart, and a ledger that does not take what it is given."""

import asyncio
import datetime as dt
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from netwatch import core, ledger
from netwatch._line_tests import LineTests
from netwatch._under_test import kept_samples
from netwatch.lease import Deny, Grant
from netwatch.model import LineVerdict, Outcome, Result, Sample
from tests.inventories import HEAD, compose, load

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
NIGHT = dt.datetime(2026, 12, 1, 22, 0, tzinfo=ZONE).timestamp()
TESTED = HEAD.replace("contract: 100 Mbps}", "contract: 100 Mbps, test: {device: pc, token: t}}")
SITES = """
sites:
  na-tau: {n: 34, code: "03316", tags: {ring: dien-bien}}
  thanh-nua: {n: 36, code: "03328", tags: {ring: dien-bien}}
  muong-ang: {n: 27, code: "03256", tags: {ring: muong-ang}}
"""
SHARED = "line_tests: {head_room: {uplink: 300 Mbps, ring: 200 Mbps}}"
DOWN = "na-tau/main/capacity-down"
SAMPLES = (Sample("icmp_rtt_seconds", (0.3,)), Sample("other", (1.0,), "a"))


class Desk:
    """Line tests of an inventory, at a time that is set by hand."""

    def __init__(self, tmp_path, more="", head=TESTED, wall=NIGHT):
        self.wall, self.state = wall, tmp_path / "state"
        self.world = core.World(inventory=load(tmp_path, compose(SITES, head=head, more=more)))
        self.tests = self.made()

    def made(self):
        tests = LineTests(lambda: self.world, self.state, wall=lambda: self.wall)
        self.world.lines.pasts.update(tests.restored())
        tests.adopt()
        return tests

    def ask(self, check_id=DOWN, reason="schedule", now=1_000.0):
        return self.tests.admit(self.world.inventory.checks[check_id], reason, now)

    def end(self, check_id=DOWN, now=1_000.0):
        self.tests.ended(self.world.inventory.checks[check_id], now)


def verdict(wall, bytes_=10_000_000, said="proved"):
    record = {
        "at": dt.datetime.fromtimestamp(wall, ZONE).isoformat(),
        "site": "na-tau",
        "line": "main",
        "direction": "down",
        "verdict": said,
        "reason": "measured",
        "grade": "reflector",
        "bytes": bytes_,
        "value_bits_per_second": 110e6,
    }
    return LineVerdict(site="na-tau", line="main", direction="down", verdict=said, wall=wall, bytes=bytes_, check=DOWN, record=record)


def test_other_checks_are_never_held_up(tmp_path):
    assert isinstance(Desk(tmp_path).ask("na-tau/main/icmp"), Grant)


def test_the_tests_of_a_ring_and_of_the_uplink_stay_under_their_head_room(tmp_path):
    desk = Desk(tmp_path, SHARED)
    assert isinstance(desk.ask(), Grant)
    crowded = desk.ask("thanh-nua/main/capacity-down")
    assert (crowded.reason, crowded.resource) == ("shared", "ring/dien-bien")
    assert isinstance(desk.ask("muong-ang/main/capacity-down"), Grant)
    desk.end()
    assert isinstance(desk.ask("thanh-nua/main/capacity-down", now=1_000.5), Grant)
    used = desk.tests._leases.used(1_000.5)
    assert used["uplink"] <= 300e6
    assert used["ring/dien-bien"] <= 200e6


def test_both_directions_of_a_line_are_never_tested_at_once(tmp_path):
    desk = Desk(tmp_path)
    assert isinstance(desk.ask(), Grant)
    assert desk.ask("na-tau/main/capacity-up").reason == "shared"


@pytest.mark.parametrize("hour", [5, 12, 19])
def test_outside_its_window_the_daily_test_waits_and_one_by_hand_does_not(tmp_path, hour):
    desk = Desk(tmp_path, wall=dt.datetime(2026, 12, 1, hour, 30, tzinfo=ZONE).timestamp())
    denied = desk.ask()
    assert denied.reason == "window"
    opens = dt.datetime(2026, 12, 1, 20, 0, tzinfo=ZONE).timestamp()
    assert 0 <= desk.wall + denied.retry_at - 1_000.0 - opens < 4.5 * 3_600  # spread over the first half
    assert isinstance(desk.ask(reason="human"), Grant)


def test_before_and_during_a_meeting_no_test_runs_not_even_by_hand(tmp_path):
    meeting = 'meetings: [{name: hop, match: {site: na-tau}, from: "2026-12-01 22:10", until: "2026-12-01 23:00"}]'
    desk = Desk(tmp_path, meeting)
    assert desk.ask(reason="human") == Deny("meeting", 1_000.0 + 3_600.0)
    assert isinstance(desk.ask("thanh-nua/main/capacity-down"), Grant)


def test_what_was_proved_today_is_not_tested_again_unless_somebody_asks(tmp_path):
    desk = Desk(tmp_path)
    asyncio.run(desk.tests.record([verdict(NIGHT - 3_600)]))
    desk.tests = desk.made()
    assert desk.ask().reason == "fresh"
    assert isinstance(desk.ask(reason="human"), Grant)


def test_the_days_budget_and_the_last_verdicts_outlive_a_restart(tmp_path):
    desk = Desk(tmp_path, head=TESTED.replace("token: t", "token: t, budget: 40 MB"))
    assert isinstance(desk.ask(), Grant)
    desk.end()
    spent = [verdict(NIGHT, 30_000_000, "inconclusive")]
    desk.tests.note(spent)
    asyncio.run(desk.tests.record(spent))
    assert desk.ask().reason == "budget"
    desk.tests = desk.made()
    assert desk.ask().reason == "budget"
    assert [one.verdict for one in desk.world.lines.pasts["na-tau", "main", "down"]] == ["inconclusive"]
    desk.wall += 86_400.0
    assert isinstance(desk.ask(), Grant)


def test_a_verdict_that_the_disk_does_not_take_is_kept_and_written_with_the_next(tmp_path):
    desk = Desk(tmp_path)
    desk.state.mkdir()
    (desk.state / "ledger").write_text("a file where a folder should be")
    asyncio.run(desk.tests.record([verdict(NIGHT)]))
    assert len(desk.tests.unwritten) == 1
    (desk.state / "ledger").unlink()
    asyncio.run(desk.tests.record([verdict(NIGHT + 60)]))
    assert desk.tests.unwritten == []
    walls = [one.record["at"] for one in ledger.newest_first(ledger.path_in(desk.state))]
    assert walls == [verdict(NIGHT + 60).record["at"], verdict(NIGHT).record["at"]]


def test_what_is_measured_while_a_line_of_the_site_is_tested_is_marked(tmp_path):
    desk = Desk(tmp_path)
    ping = desk.world.inventory.checks["na-tau/main/icmp"]
    result = Result(check=ping.id, at=1_000.0, wall=NIGHT, duration_seconds=0.5, outcome=Outcome.OK)
    assert not desk.tests.marked(ping, result).under_test
    desk.ask()
    assert desk.tests.marked(ping, result).under_test
    other = desk.world.inventory.checks["muong-ang/main/icmp"]
    assert not desk.tests.marked(other, replace(result, check=other.id)).under_test
    desk.end(now=1_001.0)
    during = desk.tests.marked(ping, result)
    assert during.under_test  # it ended while this ran
    assert [one.instance for one in kept_samples(replace(during, samples=SAMPLES))] == ["under_test", "a under_test"]
    assert kept_samples(replace(result, samples=SAMPLES)) == SAMPLES
    assert not desk.tests.marked(ping, replace(result, at=1_001.5)).under_test


def test_whoever_waits_is_told_why_a_test_was_not_run(tmp_path):
    desk = Desk(tmp_path, 'meetings: [{name: hop, weekly: daily, from: "00:00", until: "00:00"}]')

    async def scenario():
        return await desk.tests.waiters.outcome(DOWN, lambda: desk.ask(reason="human"))

    assert asyncio.run(scenario())["denied"] == "meeting"


def test_a_test_waits_a_moment_for_the_router_that_counts_on_its_line_and_only_when_it_may_run(tmp_path):
    desk = Desk(tmp_path)
    asked, down = [], desk.world.inventory.checks[DOWN]
    desk.world.router_of = {("na-tau", "main"): "na-tau/router/snmp"}
    desk.tests = LineTests(lambda: desk.world, desk.state, wall=lambda: desk.wall, ask=asked.append)
    desk.wall -= 8 * 3_600.0
    assert desk.tests.admit_in_turn(down, "schedule", 1_000.0).reason == "window"
    assert asked == []
    desk.wall += 8 * 3_600.0
    waits = desk.tests.admit_in_turn(down, "schedule", 1_000.0)
    assert (waits.reason, waits.retry_at) == ("shared", 1_002.0)
    assert [(one.check, one.not_before) for one in asked] == [("na-tau/router/snmp", 1_000.0)]
    assert isinstance(desk.tests.admit_in_turn(down, "schedule", 1_002.0), Grant), "a router that does not answer is not waited for"
    assert len(asked) == 1
    assert isinstance(desk.tests.admit_in_turn(down, "schedule", 1_040.0), Deny)
    assert isinstance(desk.tests.admit_in_turn(desk.world.inventory.checks["na-tau/main/icmp"], "schedule", 1_080.0), Grant)
    assert len(asked) == 2


def test_a_clock_that_is_set_during_a_test_is_told_and_a_daemon_that_comes_late_is_not_taken_for_one(tmp_path):
    desk, monotonic = Desk(tmp_path), [50.0]
    desk.tests = LineTests(lambda: desk.world, desk.state, wall=lambda: desk.wall, monotonic=lambda: monotonic[0])

    def moved(wall_seconds, monotonic_seconds):
        desk.ask()
        desk.wall += wall_seconds
        monotonic[0] += monotonic_seconds
        result = Result(check=DOWN, at=1_000.0, wall=NIGHT, duration_seconds=0.5, outcome=Outcome.OK)
        marked = desk.tests.marked(desk.world.inventory.checks[DOWN], result)
        desk.end()
        return round(float(marked.facts["clock_moved_seconds"]), 3)

    assert moved(3.0, 3.0) == 0.0  # the run took half a second and was looked at much later
    assert moved(3.0, 0.5) == 2.5
    assert moved(-60.0, 0.5) == -60.5
