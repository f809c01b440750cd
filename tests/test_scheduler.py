import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch.lease import Deny, Grant
from netwatch.model import BEAT_SECONDS, Cancel, Run
from netwatch.scheduler import Schedule, Scheduler
from tests.worlds import check


def many(count, interval=10.0, site="s"):
    return [check(f"{site}/d{n}/icmp", interval=interval) for n in range(count)]


def play(schedule, seconds, start=0.0, step=0.05, duration=0.0, on_run=None):
    """Drives the schedule second by second; returns (time, check id, reason)."""
    ran, busy = [], []
    now = start
    while now < start + seconds:
        for ends_at, item in [entry for entry in busy if entry[0] <= now]:
            busy.remove((ends_at, item))
            schedule.done(item.id, item.site)
        for item, reason in schedule.due(now + 1e-9):
            ran.append((now, item.id, reason))
            busy.append((now + duration, item))
            if on_run:
                on_run(now, item)
        now = round(now + step, 6)
    return ran


@pytest.mark.parametrize("interval", [1.0, 5.0, 10.0, 60.0, 300.0])
def test_every_check_runs_once_within_ten_seconds_and_well_before_its_interval_is_over(interval):
    schedule = Schedule()
    schedule.update(many(200, interval), now=100.0)
    ran = play(schedule, min(0.4 * interval, 10.0) + 0.1 + BEAT_SECONDS, start=100.0)
    assert {check_id for _, check_id, _ in ran} == {f"s/d{n}/icmp" for n in range(200)}


def test_the_rate_is_fixed_and_the_phases_are_spread():
    schedule = Schedule()
    schedule.update(many(100, 10.0), now=0.0)
    ran = play(schedule, 100.0)
    times = [at for at, check_id, _ in ran if check_id == "s/d7/icmp"]
    first, *others = [round(later - earlier, 1) for earlier, later in itertools.pairwise(times)]
    assert 5.0 <= first <= 15.0
    assert set(others) == {10.0}
    seconds = [sum(1 for at, _, _ in ran if int(at) == second) for second in range(10, 20)]
    assert max(seconds) <= 25


def test_a_slow_check_never_overlaps_itself_and_missed_ticks_are_skipped():
    schedule = Schedule()
    schedule.update(many(1, 2.0), now=0.0)
    times = [at for at, _, _ in play(schedule, 60.0, duration=7.0)]
    assert all(later - earlier >= 7.0 for earlier, later in itertools.pairwise(times))
    assert len(times) <= 9


def test_of_several_requests_the_earliest_wins_and_runs_stay_a_second_apart():
    schedule = Schedule()
    schedule.update(many(1, 60.0), now=0.0)
    first = play(schedule, 11.0)[0][0]
    for not_before in (first + 9.0, first + 0.2, first + 5.0):
        schedule.request(Run(check="s/d0/icmp", not_before=not_before, reason="soft"), first)
    ran = play(schedule, 20.0, start=first)
    assert [(round(at - first, 1), reason) for at, _, reason in ran] == [(1.0, "soft")]


def test_a_request_during_a_run_is_served_when_it_ends():
    schedule = Schedule()
    schedule.update(many(1, 60.0), now=0.0)

    def ask(now, item):
        if now < 12:
            schedule.request(Run(check=item.id, not_before=now, reason="parent"), now)

    ran = play(schedule, 30.0, duration=3.0, on_run=ask)
    assert [reason for _, _, reason in ran][1] == "parent"
    assert ran[1][0] - ran[0][0] >= 3.0


def test_what_is_asked_for_before_its_first_run_is_asked_at_once_and_goes_by_its_rate_from_then_on():
    schedule = Schedule()
    schedule.update(many(50, 5.0), now=0.0)
    for number in range(50):
        schedule.request(Run(check=f"s/d{number}/icmp", not_before=0.0, reason="parent"), 0.0)
    ran = play(schedule, 40.0)
    for number in range(50):
        mine = [(at, reason) for at, check_id, reason in ran if check_id == f"s/d{number}/icmp"]
        assert mine[0] == (0.0, "parent")
        assert {reason for _, reason in mine[1:]} == {"schedule"}
        assert mine[1][0] <= 5.0 + BEAT_SECONDS
        assert {round(later - earlier, 1) for (earlier, _), (later, _) in itertools.pairwise(mine[2:])} == {5.0}


def test_what_is_asked_again_since_the_start_is_not_kept_from_it_by_its_first_run():
    schedule = Schedule()
    schedule.update(many(50, 5.0), now=0.0)

    def again(now, item):
        if now < 9.0:
            schedule.request(Run(check=item.id, not_before=now + 1.0, reason="soft"), now)

    for number in range(50):
        schedule.request(Run(check=f"s/d{number}/icmp", not_before=0.0, reason="soft"), 0.0)
    ran = play(schedule, 20.0, on_run=again)
    assert {reason for at, _, reason in ran if at < 5.0} == {"soft"}
    assert {check_id for at, check_id, reason in ran if at > 9.0 and reason == "schedule"} == {f"s/d{n}/icmp" for n in range(50)}


def test_a_target_that_is_asked_for_too_often_is_slowed_down():
    schedule = Schedule()
    schedule.update(many(1, 600.0), now=0.0)
    start = play(schedule, 11.0)[0][0]

    def again(now, item):
        for n in range(40):
            schedule.request(Cancel(check=item.id, reason=""), now)
            schedule.request(Run(check=item.id, not_before=now + n, reason="hint"), now)

    ran = play(schedule, 60.0, start=start + 20, on_run=again)
    assert len(ran) <= 8


def test_cancel_takes_a_request_back():
    schedule = Schedule()
    schedule.update(many(1, 600.0), now=0.0)
    play(schedule, 11.0)
    schedule.request(Run(check="s/d0/icmp", not_before=20.0, reason="soft"), 11.0)
    schedule.request(Cancel(check="s/d0/icmp", reason="conference"), 12.0)
    assert play(schedule, 60.0, start=11.0) == []


def test_no_more_run_at_once_than_the_caps_allow_and_none_is_lost():
    schedule = Schedule(in_flight_limit=5, in_flight_limit_per_site=3)
    schedule.update([*many(10, 10.0, "a"), *many(10, 10.0, "b")], now=0.0)
    most = {"all": 0, "a": 0}

    def look(_now, _item):
        most["all"] = max(most["all"], schedule.in_flight)
        most["a"] = max(most["a"], schedule._in_flight.get("a", 0))

    ran = play(schedule, 30.0, duration=0.5, on_run=look)
    assert most["all"] <= 5
    assert most["a"] <= 3
    assert len({check_id for _, check_id, _ in ran}) == 20


def test_an_update_keeps_the_place_of_unchanged_checks():
    schedule, twin = Schedule(), Schedule()
    for one in (schedule, twin):
        one.update(many(20, 10.0), now=0.0)
        play(one, 13.0)
    changed = [*many(20, 10.0)[:-1], check("s/new/icmp")]
    schedule.update(changed, now=13.0)
    kept = [entry for entry in play(schedule, 30.0, start=13.0) if entry[1] not in {"s/new/icmp", "s/d19/icmp"}]
    assert kept == [entry for entry in play(twin, 30.0, start=13.0) if entry[1] != "s/d19/icmp"]


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 30), st.sampled_from(["soft", "parent", "human"])), max_size=40))
def test_runs_of_a_check_are_always_a_second_apart(requests):
    schedule = Schedule()
    schedule.update(many(4, 7.0), now=0.0)
    pending = sorted(requests, key=lambda request: request[1])
    ran = []
    for now in (tenth / 10 for tenth in range(400)):
        while pending and pending[0][1] <= now:
            number, at, reason = pending.pop(0)
            schedule.request(Run(check=f"s/d{number}/icmp", not_before=at, reason=reason), now)
        for item, _ in schedule.due(now):
            ran.append((now, item.id))
            schedule.done(item.id, item.site)
    for number in range(4):
        times = [at for at, check_id in ran if check_id == f"s/d{number}/icmp"]
        assert all(later - earlier >= 0.999 for earlier, later in itertools.pairwise(times))
        assert len(times) >= 5


def test_the_scheduler_asks_before_it_runs_and_ends_when_told():
    asked, ran = [], []

    async def handle(item, _reason):
        ran.append(item.id)
        if len(ran) >= 3:
            scheduler.stop()

    def admit(item, _reason, now):
        asked.append(item.id)
        return Deny("busy", now + 0.01) if len(asked) == 1 else Grant()

    scheduler = Scheduler(Schedule(), handle, admit)

    async def main():
        scheduler.update(many(20, 0.2))
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            await scheduler.run(group)

    asyncio.run(main())
    assert len(ran) >= 3
    assert asked[0] in asked[1:] or len(asked) > len(ran)
    assert scheduler.progress_at > 0


def test_a_run_that_was_not_admitted_keeps_its_reason():
    schedule = Schedule()
    schedule.update([check("s/line/capacity", interval=86_400.0)], now=0.0)
    play(schedule, 11)
    schedule.request(Run(check="s/line/capacity", not_before=20.0, reason="human"), 20.0)
    ((item, reason),) = schedule.due(20.2)
    schedule.postpone(item.id, item.site, 25.0, reason, 20.2)
    assert [(at, why) for at, _, why in play(schedule, 10, start=20.4)] == [(25.0, "human")]


def test_what_is_not_admitted_takes_nothing_from_what_its_target_may_be_asked():
    schedule = Schedule()
    schedule.update([check("s/line/capacity", interval=86_400.0), check("s/line/icmp", interval=3_600.0)], now=0.0)
    play(schedule, 11)
    schedule.request(Run(check="s/line/capacity", not_before=20.0, reason="human"), 20.0)
    now = 20.0
    for _ in range(30):
        ((item, reason),) = schedule.due(now)
        schedule.postpone(item.id, item.site, now + 1.0, reason, now)
        now += 1.0
    schedule.request(Run(check="s/line/icmp", not_before=now, reason="soft"), now)
    assert [item.id for item, _ in schedule.due(now)] == ["s/line/capacity", "s/line/icmp"]


def test_a_target_that_was_busy_for_long_owes_no_more_than_a_moment():
    schedule = Schedule()
    checks = [check(f"s/busy/c{n}", interval=5.0) for n in range(12)]
    schedule.update(checks, now=0.0)
    ran = play(
        schedule, 900, step=0.5, on_run=lambda now, item: schedule.request(Run(check=item.id, not_before=now + 1, reason="soft"), now)
    )
    assert len(ran) > 12 * 900 / 5
    lone = check("s/busy/lone", interval=3600.0)
    schedule.update([lone], now=900.0)
    play(schedule, 12, start=900.0, step=0.5)
    schedule.request(Run(check=lone.id, not_before=912.0, reason="hint"), 912.0)
    assert [reason for _, _, reason in play(schedule, 10, start=912.0, step=0.5)] == ["hint"]


def never(_item, _reason):
    raise AssertionError("a task was made")


def test_what_begins_without_a_task_is_finished_in_the_schedulers_own_and_runs_again():
    finished = []

    def begin(item, _reason, ended):
        def finish():
            finished.append((item.id, scheduler.schedule.in_flight, asyncio.current_task()))
            if len(finished) >= 3:
                scheduler.stop()

        asyncio.get_running_loop().call_soon(ended, finish)
        return True

    scheduler = Scheduler(Schedule(), never, lambda _item, _reason, _now: Grant(), begin)

    async def main():
        scheduler.update([check("s/d/icmp", interval=0.2)])
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            return group.create_task(scheduler.run(group))

    watching = asyncio.run(main())
    assert [(item, in_flight) for item, in_flight, _ in finished] == [("s/d/icmp", 1)] * 3
    assert {task for _, _, task in finished} == {watching}
    assert scheduler.schedule.in_flight == 0


def test_a_bug_in_what_follows_a_run_without_a_task_ends_the_group():
    def finish():
        raise ZeroDivisionError

    def begin(_item, _reason, ended):
        ended(finish)
        return True

    scheduler = Scheduler(Schedule(), never, lambda _item, _reason, _now: Grant(), begin)

    async def main():
        scheduler.update([check("s/d/icmp", interval=0.2)])
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            await scheduler.run(group)

    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(main())
    assert caught.group_contains(ZeroDivisionError)


def test_runs_of_the_fixed_rate_begin_on_common_beats_and_what_was_asked_for_does_not_wait_for_one():
    schedule = Schedule()
    schedule.update(many(50, 7.3), now=0.0)
    ran = play(schedule, 40.0, step=0.01)
    assert {round(at / BEAT_SECONDS % 1, 3) % 1 for at, _, _ in ran} == {0.0}
    schedule.request(Run(check="s/d0/icmp", not_before=41.234, reason="soft"), 40.0)
    assert any(at == 41.24 and reason == "soft" for at, _, reason in play(schedule, 2.0, start=40.0, step=0.01))
