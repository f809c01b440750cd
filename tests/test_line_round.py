"""Rounds of line tests through the scheduler, the runner, the leases and `core.step`, in virtual time: what is sent, and when.

With real packets: bench/round.py. What runs pretends to be a test of the pace its plan says; the sums here are made of what ran, not of what the leases say.
"""

import asyncio
import dataclasses
import datetime as dt
import heapq
import json
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from netwatch import core
from netwatch._line_tests import LineTests
from netwatch.inventory._communes import communes
from netwatch.lease import Grant
from netwatch.matcher import parse
from netwatch.model import Cancel, Check, Maintenance, Reloaded, Tick
from netwatch.model import LineTests as Shared
from netwatch.runner import Runner
from netwatch.scheduler import Schedule, Scheduler
from probes import Reading, Sample
from tests.inventories import HEAD, load
from tests.virtual_time import run

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
START = dt.datetime(2026, 11, 24, 0, 50, tzinfo=ZONE).timestamp()
OPENS, CLOSES = START + 600.0, START + 4_200.0
HALF = (OPENS + CLOSES) / 2  # the daily tests are spread until here
ENOUGH_SECONDS = 900.0
BEFORE_SECONDS = 900.0
RINGS = 4
DAY_SECONDS = 86_400.0
SITES = {f"s{n}": f"r{n % RINGS}" for n in range(1, 46)}
PACE = 115e6


@dataclass
class Ran:
    """One run; wall times."""

    check: Check
    began: float
    ended: float = 0.0
    whole: bool = False


@pytest.fixture(scope="module")
def province(tmp_path_factory):
    """45 sites of 100 Mbps on four rings, tested between one and two at night; and a control."""
    test = 'test: {device: pc, token: "${TOKEN}", window: "01:00-02:00"}'
    head = HEAD.replace("contract: 100 Mbps}", f"contract: 100 Mbps, {test}}}")
    profiles = "profiles: {plain: {role: pc, checks: {port: {probe: tcp, port: 22}}}}\n"
    roles = "roles: {commune: {lines: {main: {}}, devices: {pc: {profile: plain}}}}\n"
    sites = "".join(
        f'  s{n}: {{n: {n}, code: "{code}", tags: {{ring: r{n % RINGS}}}, line: {{tags: {{ring: r{n % RINGS}}}}}}}\n'
        for n, code in enumerate(communes(), 1)
    )
    more = 'line_tests: {head_room: {uplink: 1 Gbps}, control: {address: 10.45.0.5, token: "${TOKEN}"}}\n'
    return load(tmp_path_factory.mktemp("province"), head + profiles + roles + "sites:\n" + sites + more, environment={"TOKEN": "t0p"})


@pytest.fixture(scope="module")
def ledger_place(tmp_path_factory):
    return tmp_path_factory.mktemp("ledger")


def meeting(begins, seconds, matcher="", name="hop"):
    return Maintenance(id=name, matcher=matcher, starts=OPENS + begins, ends=OPENS + begins + seconds)


@dataclass
class Round:
    """As the daemon joins them, without a disk. `called` are meetings that somebody enters when they begin, by seconds from the opening."""

    inventory: object
    place: object
    seed: int
    called: dict = field(default_factory=dict)
    undecided: frozenset = frozenset()
    at_length: bool = False  # each test takes all the time it may
    ran: list = field(default_factory=list)
    denied: dict = field(default_factory=dict)
    verdicts: list = field(default_factory=list)

    def wall(self):
        return START + asyncio.get_running_loop().time() - self.began

    def play(self, until=CLOSES + 120.0):
        run(self._play(until))
        return self

    async def _play(self, until):
        loop = asyncio.get_running_loop()
        self.began, self.dice = loop.time(), Random(self.seed)
        self.checks = {
            check.id: dataclasses.replace(check, probe=self._pretend(check))
            for check in self.inventory.checks.values()
            if check.kind == "bandwidth"
        }
        self.world = core.World(inventory=dataclasses.replace(self.inventory, checks={**self.inventory.checks, **self.checks}))
        self.tests = LineTests(lambda: self.world, self.place, wall=self.wall, monotonic=self._now)
        self.runner = Runner(self.wall)
        self.scheduler = Scheduler(Schedule(), self._handle, self._admit)
        self._adopt(self.world.inventory)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tick(until))
            await self.scheduler.run(group)
        await self.runner.aclose()

    def _pretend(self, check):
        probe = dataclasses.replace(check.probe)

        async def pretended(target, _shared):
            ran, seconds = Ran(check, self.wall()), probe.plan().max_seconds if self.at_length else self.dice.uniform(0.5, 3.0)
            self.ran.append(ran)
            try:
                await asyncio.sleep(seconds)
                ran.whole = True
            finally:
                ran.ended = self.wall()
                spent = int(probe.plan().pace_bits_per_second / 8 * (ran.ended - ran.began))
                target.report(Sample("bandwidth_spent_bytes", (float(spent),), check.probe.direction))
            proved = check.id not in self.undecided
            rates = {"line_bits_per_second": 108e6, "low_bits_per_second": 103e6 if proved else 90e6, "high_bits_per_second": 112e6}
            told = {
                "verdict": "proved" if proved else "inconclusive",
                "method": "udp",
                "seconds": seconds,
                "bytes": spent,
                "confidence": 0.999,
            }
            return Reading(facts={"bandwidth": json.dumps({**told, **rates, "direction": check.probe.direction})})

        probe.run = pretended
        return probe

    def _adopt(self, inventory):
        self.scheduler.update(self.checks.values())
        self._take(Reloaded(at=self._now(), wall=self.wall(), generation=self.world.generation + 1, new=inventory))
        self.tests.adopt()

    def _admit(self, check, reason, now):
        admission = self.tests.admit(check, reason, now)
        why = getattr(admission, "reason", "granted")
        self.denied.setdefault(why, []).append((check.id, self.wall()))
        return admission

    async def _handle(self, check, reason):
        try:
            self._take(self.tests.marked(check, await self.runner.run(check, reason, self.world.generation)))
        finally:
            self.tests.ended(check, self._now())

    def _take(self, event):
        effects = core.step(self.world, event)
        self.tests.note(effects.verdicts)
        self.verdicts += effects.verdicts
        for request in effects.requests:
            if isinstance(request, Cancel) and request.reason == "meeting":
                self.runner.stop(request.check)
            else:
                self.scheduler.request(request)

    async def _tick(self, until):
        while self.wall() < until:
            for begins in [one for one in self.called if OPENS + one <= self.wall()]:
                meetings = (*self.world.inventory.meetings, self.called.pop(begins))
                self._adopt(dataclasses.replace(self.world.inventory, meetings=meetings))
            self._take(Tick(at=self._now(), wall=self.wall()))
            await asyncio.sleep(1.0)
        self.scheduler.stop()

    def _now(self):
        return asyncio.get_running_loop().time()


def with_(inventory, meetings=(), **head_room):
    shared = Shared(head_room=head_room, stale_after_seconds=inventory.line_tests.stale_after_seconds)
    return dataclasses.replace(inventory, meetings=tuple(meetings), line_tests=shared)


def most_at_once(runs):
    changes = sorted(
        [(one.began, 1, one.check.probe.plan().pace_bits_per_second) for one in runs]
        + [(one.ended, 0, -one.check.probe.plan().pace_bits_per_second) for one in runs]
    )
    running = most = 0.0
    for _, _, pace in changes:
        running += pace
        most = max(most, running)
    return most


def of_site(inventory, meetings, site):
    return [one for one in meetings if not one.matcher or parse(one.matcher).covers(inventory.sites[site])]


def has_time(inventory, site):
    """Whether a site is free for long enough in one go, when the tests that were spread are all wanted."""
    begins = HALF
    for one in [*sorted(of_site(inventory, inventory.meetings, site), key=lambda one: one.starts), None]:
        if (one.starts - BEFORE_SECONDS if one else CLOSES) - begins >= ENOUGH_SECONDS:
            return True
        begins = max(begins, one.ends) if one else begins
    return False


def hold(played, inventory):
    """What is promised of any round."""
    head_room = inventory.line_tests.head_room
    assert most_at_once(played.ran) <= head_room.get("uplink", float("inf"))
    for ring in set(SITES.values()):
        assert most_at_once([one for one in played.ran if SITES.get(one.check.site) == ring]) <= head_room.get("ring", float("inf"))
    for site in SITES:
        assert most_at_once([one for one in played.ran if one.check.site == site]) <= PACE + 1
    for one in played.ran:
        if one.check.site in SITES:
            assert one.began >= OPENS, one
            assert one.ended <= CLOSES, one
        for other in of_site(inventory, inventory.meetings, one.check.site):
            assert one.ended <= other.starts - BEFORE_SECONDS + 4.0 or one.began >= other.ends, (one, other)


MEETINGS = st.lists(
    st.builds(
        meeting,
        st.integers(-1_200, 3_900),
        st.integers(60, 1_800),
        st.sampled_from(["", "", "ring=r1", "site=s7", "site=s1*"]),
    ),
    max_size=3,
)


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32),
    meetings=MEETINGS,
    uplink=st.sampled_from([PACE, 300e6, 500e6, 1e9]),
    ring=st.sampled_from([PACE, 250e6, 1e9]),
    at_length=st.booleans(),
)
@example(seed=1, meetings=[meeting(1_500, 600)], uplink=1e9, ring=250e6, at_length=True)
@example(seed=2, meetings=[meeting(0, 1_800)], uplink=PACE, ring=PACE, at_length=False)
@example(seed=3, meetings=[meeting(900, 2_698)], uplink=1e9, ring=1e9, at_length=False)
def test_no_round_exceeds_the_head_room_disturbs_a_meeting_or_leaves_its_window_and_no_line_starves(
    province, ledger_place, seed, meetings, uplink, ring, at_length
):
    inventory = with_(province, meetings, uplink=uplink, ring=ring)
    undecided = frozenset(Random(seed).sample(sorted(f"{site}/main/capacity-up" for site in SITES), 6))
    played = Round(inventory, ledger_place, seed, undecided=undecided, at_length=at_length).play()
    hold(played, inventory)
    counts = dict.fromkeys((f"{site}/main/capacity-{direction}" for site in SITES for direction in ("down", "up")), 0)
    for one in played.ran:
        if one.check.site in SITES:
            assert one.whole
            counts[one.check.id] += 1
    for check, count in counts.items():
        assert count <= (2 if check in undecided else 1), check
        assert count >= 1 or not has_time(inventory, check.partition("/")[0]), check


def test_a_meeting_that_somebody_calls_ends_the_tests_that_run_and_they_are_run_after_it(province, ledger_place):
    called = meeting(1_501, 900, name="called")
    planned = meeting(900, 600, "site=s*")
    played = Round(with_(province, [planned], uplink=500e6), ledger_place, 4, called={1_501: called}).play()
    cut = [one for one in played.ran if not one.whole]
    assert 0 < len(cut) <= 4
    assert all(called.starts <= one.ended <= called.starts + 1.0 for one in cut)
    assert not [one for one in played.ran if called.starts + 1.0 < one.began < called.ends]
    yielded = [one for one in played.verdicts if one.record["reason"] == "yielded"]
    assert {one.check for one in yielded} == {one.check.id for one in cut}
    assert all(one.bytes > 0 and one.verdict == "inconclusive" for one in yielded)
    again = [one.check.id for one in played.ran if one.whole and one.check.site in SITES]
    assert len(again) == len(set(again)) == 90
    assert most_at_once(played.ran) <= 500e6


def test_what_waits_for_its_turn_asks_seldom_and_the_uplink_is_used_meanwhile(province, ledger_place):
    """All 90 want to run when a meeting ends."""
    inventory = with_(province, [meeting(0, 1_800)], uplink=1e9)
    played = Round(inventory, ledger_place, 5).play()
    hold(played, inventory)
    mine = [one for one in played.ran if one.check.site in SITES]
    assert most_at_once(mine) >= 8 * PACE - 1
    assert max(one.ended for one in mine) - min(one.began for one in mine) <= 50.0
    moments = [wall for _, wall in played.denied["shared"]]
    assert len(moments) <= 90 * 5
    assert len(moments) <= 3 * len(set(moments))  # not all in the same moment


def of_days(inventory, place, days):
    """What runs, of a second each: by the schedule and the leases alone, since a minute of all that has sixty ticks."""
    world = core.World(inventory=inventory, pagers=())
    clock = [0.0]
    tests = LineTests(lambda: world, place, wall=lambda: START + clock[0])
    schedule = Schedule()
    schedule.update([check for check in inventory.checks.values() if check.kind == "bandwidth"], 0.0)
    ending, runs = [], []
    while clock[0] < days * DAY_SECONDS:
        clock[0] = min(ending[0][0] if ending else float("inf"), max(schedule.next_at(), clock[0]))
        while ending and ending[0][0] <= clock[0]:
            _, check_id = heapq.heappop(ending)
            tests.ended(inventory.checks[check_id], clock[0])
            schedule.done(check_id, inventory.checks[check_id].site)
        for check, reason in schedule.due(clock[0]):
            admission = tests.admit(check, reason, clock[0])
            if isinstance(admission, Grant):
                runs.append(Ran(check, START + clock[0], START + clock[0] + 1.0, whole=True))
                heapq.heappush(ending, (clock[0] + 1.0, check.id))
            else:
                schedule.postpone(check.id, check.site, admission.retry_at, reason, clock[0])
    return runs


def test_rounds_of_days_follow_each_other_and_no_night_tests_a_line_twice(province, ledger_place):
    runs = of_days(with_(province, [meeting(900, 600)], uplink=500e6), ledger_place, 2.5)
    mine = [one for one in runs if one.check.site in SITES]
    nights = Counter((one.check.id, int((one.began - START) // DAY_SECONDS)) for one in mine)
    assert set(nights.values()) == {1}
    # A check that falls due in the morning waits for the night after: one night may pass without it.
    tested = Counter(check_id for check_id, _ in nights)
    assert len(tested) == 90
    assert set(tested.values()) <= {2, 3}
    assert most_at_once(mine) <= 500e6
