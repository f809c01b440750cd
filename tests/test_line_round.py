"""A whole round of line tests on a virtual clock: 45 sites behind one uplink, as the scheduler and the leases would run it."""

import datetime as dt
import heapq
from collections import Counter
from random import Random
from zoneinfo import ZoneInfo

import pytest

from netwatch import core
from netwatch._line_tests import LineTests
from netwatch.inventory._communes import communes
from netwatch.lease import Grant
from netwatch.scheduler import Schedule
from tests.inventories import HEAD, PROFILES, load

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
EVENING = dt.datetime(2026, 11, 24, 19, 0, tzinfo=ZONE).timestamp()
HOUR = 3600.0
WINDOW = (1 * HOUR, 10 * HOUR)  # 20:00 to 05:00, after the start
HEAD_ROOM = {"uplink": 500e6, "ring": 250e6}
RINGS = 4


def province(tmp_path):
    """45 sites of 100 Mbps on four rings."""
    head = HEAD.replace("contract: 100 Mbps}", 'contract: 100 Mbps, test: {device: pc, token: "${TOKEN}"}}')
    roles = "roles:\n  commune: {lines: {main: {}}, devices: {router: {profile: box}, switch: {profile: box}, pc: {profile: plain}}}\n"
    sites = "sites:\n" + "".join(
        f'  s{n}: {{n: {n}, code: "{code}", tags: {{ring: r{n % RINGS}}}, line: {{tags: {{ring: r{n % RINGS}}}}}}}\n'
        for n, code in enumerate(communes(), 1)
    )
    more = "line_tests: {head_room: {uplink: 500 Mbps, ring: 250 Mbps}}\n"
    more += 'meetings: [{name: hop, weekly: daily, from: "20:30", until: "21:30"}]\n'
    return load(tmp_path, head + PROFILES + roles + sites + more, environment={"TOKEN": "t0p"})


def a_round(inventory, tmp_path, seconds_of, hours):
    """(check, from, until, pace) of every run, seconds from the start."""
    world = core.World(inventory=inventory, pagers=())
    clock = [0.0]
    tests = LineTests(lambda: world, tmp_path, wall=lambda: EVENING + clock[0])
    schedule = Schedule()
    schedule.update([check for check in inventory.checks.values() if check.kind == "bandwidth"], 0.0)
    ending, runs = [], []
    while clock[0] < hours * HOUR:
        clock[0] = min(ending[0][0] if ending else float("inf"), max(schedule.next_at(), clock[0]))
        while ending and ending[0][0] <= clock[0]:
            _, check_id = heapq.heappop(ending)
            tests.ended(inventory.checks[check_id], clock[0])
            schedule.done(check_id, inventory.checks[check_id].site)
        for check, reason in schedule.due(clock[0]):
            admission = tests.admit(check, reason, clock[0])
            if isinstance(admission, Grant):
                until = clock[0] + seconds_of(check.probe.plan())
                runs.append((check, clock[0], until, check.probe.plan().pace_bits_per_second))
                heapq.heappush(ending, (until, check.id))
            else:
                schedule.postpone(check.id, check.site, admission.retry_at, reason, clock[0])
    return runs


def most_at_once(runs):
    """The most that ran together."""
    changes = sorted([(begun, 1, pace) for _, begun, _, pace in runs] + [(ended, 0, -pace) for _, _, ended, pace in runs])
    running, most = 0.0, 0.0
    for _, _, pace in changes:
        running += pace
        most = max(most, running)
    return most


@pytest.mark.parametrize("slow", [False, True])
def test_a_whole_round_stays_under_the_head_room_disturbs_no_meeting_and_ends_inside_its_window(tmp_path, slow):
    inventory = province(tmp_path)
    dice = Random(1)
    runs = a_round(inventory, tmp_path, lambda plan: plan.max_seconds + 3 if slow else dice.uniform(0.4, plan.max_seconds), hours=12)
    wanted = {f"s{n}/main/capacity-{direction}" for n in range(1, 46) for direction in ("down", "up")}
    assert sorted(check.id for check, *_ in runs) == sorted(wanted)
    assert 115e6 <= most_at_once(runs) <= HEAD_ROOM["uplink"]
    for ring in range(RINGS):
        some = [run for run in runs if int(run[0].site[1:]) % RINGS == ring]
        assert most_at_once(some) <= HEAD_ROOM["ring"]
    for site in inventory.sites:
        assert most_at_once([run for run in runs if run[0].site == site]) <= 115e6 + 1
    for check, begun, ended, _ in runs:
        assert WINDOW[0] <= begun, check.id
        assert ended <= WINDOW[1], check.id
        meeting = 1.5 * HOUR, 2.5 * HOUR
        assert ended <= meeting[0] - 900 + 30 or begun >= meeting[1], check.id


def test_rounds_of_days_follow_each_other_and_no_night_tests_a_line_twice(tmp_path):
    runs = a_round(province(tmp_path), tmp_path, lambda plan: 1.0, hours=12 + 48)
    nights = Counter((check.id, round(begun / (24 * HOUR))) for check, begun, _, _ in runs)
    assert set(nights.values()) == {1}
    # After the first night a check that falls due in the morning waits for the evening after: one night may pass without it.
    assert set(Counter(check_id for check_id, _ in nights).values()) <= {2, 3}
    assert most_at_once(runs) <= HEAD_ROOM["uplink"]
