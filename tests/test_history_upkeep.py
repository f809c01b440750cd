"""Roll-ups, retention and free space: what the file does by itself, a little at a time."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netwatch.history import _upkeep
from netwatch.history._rollup import FIVE_MINUTES, HOUR, decode, summarize
from netwatch.model import Effects, Metric, Sample
from tests.history_cases import effects, human, incident, page, rows, transition, with_history

DAY = 86_400
HOURS = 3_600
START = 20_000 * DAY
KINDS = {
    "rtt": Metric("histogram", "seconds", "", keep="smoke"),
    "load": Metric("gauge", "ratio", "", keep="mean"),
    "up": Metric("gauge", "bool", "", keep="change"),
    "sent": Metric("counter", "", "", keep="none"),
}


def stored(directory, table, metric):
    found = rows(directory, f"SELECT at, records FROM {table} WHERE series = (SELECT id FROM series WHERE metric = ?) ORDER BY at", metric)
    return {at: decode(records) for at, records in found}


def add(history, wall, *, load=0.5, rtt=(0.01, 0.02), up=1.0):
    samples = [Sample("rtt", rtt), Sample("load", (load,)), Sample("up", (up,), "p1"), Sample("sent", (5.0,)), Sample("stray", (1.0,))]
    history.add_result("xa-1/line/icmp", wall, "ok", 0.0, samples, KINDS)


async def pruned_at(history, wall):
    await history.heartbeat(wall)
    await history.flush()
    await history.prune()


def test_what_a_metric_says_is_what_is_kept(tmp_path):
    async def body(history):
        for minute in range(120):
            add(history, START + minute * 60, load=minute / 100, rtt=() if minute < 5 else (0.01, minute / 1000), up=float(minute < 60))
        await pruned_at(history, START + 7_200 + _upkeep.LATE_SECONDS)

    with_history(tmp_path, body)
    assert {metric for (metric,) in rows(tmp_path, "SELECT metric FROM series")} == {"", "rtt", "load", "up"}
    loads = stored(tmp_path, "rollup_5m", "load")
    assert sorted(loads) == [START, START + HOURS]
    assert sorted(loads[START]) == list(range(12))
    assert loads[START][1].mean == pytest.approx(0.07)
    assert (loads[START][1].maximum, loads[START][1].minimum) == (pytest.approx(0.09), None)
    rtts = stored(tmp_path, "rollup_5m", "rtt")
    assert sorted(rtts[START]) == list(range(1, 12))
    expected = summarize([value for minute in range(5, 10) for value in (0.01, minute / 1000)], "smoke")
    assert rtts[START][1] == pytest.approx(expected)
    day = stored(tmp_path, "rollup_1h", "load")[START]
    assert (sorted(day), day[1].counted) == ([0, 1], 60)
    assert day[1].mean == pytest.approx(sum(range(60, 120)) / 60 / 100)
    changes = rows(tmp_path, "SELECT at_ms, value FROM change ORDER BY at_ms")
    assert changes == [(START * 1000, 1.0), ((START + 3_600) * 1000, 0.0)]
    assert rows(tmp_path, "SELECT count(*) FROM sample WHERE series = (SELECT id FROM series WHERE metric = 'up')") == [(0,)]


def test_a_bucket_waits_until_late_runs_are_in_and_the_hour_until_it_is_over(tmp_path):
    async def body(history):
        add(history, START + 10)
        await pruned_at(history, START + 300 + _upkeep.LATE_SECONDS - 1)
        assert stored(tmp_path, "rollup_5m", "load") == {}
        await pruned_at(history, START + 300 + _upkeep.LATE_SECONDS)
        assert sorted(stored(tmp_path, "rollup_5m", "load")[START]) == [0]
        add(history, START + 3_599)
        await pruned_at(history, START + 3_600 + _upkeep.LATE_SECONDS - 1)
        assert stored(tmp_path, "rollup_1h", "load") == {}
        await pruned_at(history, START + 3_600 + _upkeep.LATE_SECONDS)
        assert stored(tmp_path, "rollup_1h", "load")[START][0].counted == 2

    with_history(tmp_path, body)


def test_what_cannot_be_read_is_passed_over_and_the_rest_is_rolled_up(tmp_path):
    async def body(history):
        for minute in range(60):
            add(history, START + minute * 60)
        await history.flush()
        await history._writer.transaction([("UPDATE sample SET value = x'0102' WHERE at_ms = ?", [(START * 1000,)])], durable=False)
        await pruned_at(history, START + 3_700)
        assert stored(tmp_path, "rollup_1h", "load")[START][0].counted == 59
        await history._writer.transaction([("UPDATE rollup_1h SET records = x'ff'", [()])], durable=False)
        for minute in range(60):
            add(history, START + 3_600 + minute * 60)
        await pruned_at(history, START + 7_300)

    with_history(tmp_path, body)
    assert sorted(stored(tmp_path, "rollup_1h", "load")[START]) == [1]


def test_a_restart_goes_on_and_a_change_is_not_told_twice(tmp_path):
    async def before(history):
        for minute in range(90):
            add(history, START + minute * 60)
        await history.flush()

    async def after(history):
        for minute in range(90, 130):
            add(history, START + minute * 60)
        await pruned_at(history, START + 130 * 60)

    with_history(tmp_path, before)
    with_history(tmp_path, after)
    found = stored(tmp_path, "rollup_1h", "load")[START]
    assert [found[place].counted for place in sorted(found)] == [60, 60]
    assert len(rows(tmp_path, "SELECT * FROM change")) == 1


def test_hours_of_a_time_without_upkeep_are_made_up_for_before_their_samples_go(tmp_path):
    async def body(history):
        for hour in range(72):
            add(history, START + hour * 3_600 + 5)
        await history.flush()
        await pruned_at(history, START + 72 * 3_600)
        kept = await history.samples("xa-1/line/icmp", "load", "", 0, START + 99 * 3_600)
        assert [wall for wall, _ in kept] == [START + hour * 3_600 + 5 for hour in range(24, 72)]

    with_history(tmp_path, body, queue_limit=10_000)
    days = stored(tmp_path, "rollup_1h", "load")
    assert {at: len(buckets) for at, buckets in days.items()} == {START: 24, START + DAY: 24, START + 2 * DAY: 23}


@settings(max_examples=15)
@given(st.lists(st.integers(-40, 40), min_size=1, max_size=8))
def test_whatever_the_clock_does_no_hour_that_was_whole_is_made_less(tmp_path_factory, leaps):
    directory = tmp_path_factory.mktemp("clock")

    async def body(history):
        for minute in range(0, 180, 5):
            add(history, START + minute * 60)
        await pruned_at(history, START + 3 * 3_600 + _upkeep.LATE_SECONDS)
        whole = stored(directory, "rollup_1h", "load")[START]
        for leap in leaps:
            await pruned_at(history, START + 3 * 3_600 + leap * 3_600)
            found = stored(directory, "rollup_1h", "load")[START]
            assert {place: found[place].counted for place in whole} == {place: whole[place].counted for place in whole}
        await pruned_at(history, START + 3 * 3_600 + _upkeep.LATE_SECONDS)
        assert [len(buckets) for buckets in stored(directory, "rollup_5m", "load").values()] == [12, 12, 12]

    with_history(directory, body)


def test_roll_ups_go_when_they_are_too_old_and_the_newest_change_never(tmp_path):
    async def body(history):
        add(history, START, up=0.0)
        add(history, START + 10, up=1.0)
        await pruned_at(history, START + 2 * 3_600)
        await pruned_at(history, START + FIVE_MINUTES.kept_seconds - 1)
        assert len(stored(tmp_path, "rollup_5m", "load")) == 1
        await pruned_at(history, START + FIVE_MINUTES.kept_seconds + 1)
        assert (stored(tmp_path, "rollup_5m", "load"), len(stored(tmp_path, "rollup_1h", "load"))) == ({}, 1)
        assert len(rows(tmp_path, "SELECT * FROM change")) == 2
        await pruned_at(history, START + HOUR.kept_seconds + 1)
        assert stored(tmp_path, "rollup_1h", "load") == {}
        await pruned_at(history, START + _upkeep.KEPT_SECONDS + 5)
        assert rows(tmp_path, "SELECT value FROM change") == [(1.0,)]

    with_history(tmp_path, body)


def test_old_transitions_incidents_and_ended_pages_go_and_what_still_holds_stays(tmp_path):
    def told(*changes, incidents=(), pages=()):
        return Effects(transitions=changes, incidents=incidents, pages=pages)

    async def body(history):
        old = [transition(number, wall=START + number) for number in range(3)]
        await history.commit(told(*old, transition(9, check="xa-2/line/icmp", wall=START)), {}, START)
        await history.commit(told(incidents=(incident(1, closed=START + 1.0), incident(2), incident(3, closed=START + 2.0))), {}, START)
        await history.commit(told(incidents=(incident(4, closed=START + 3.0),), pages=(page(1), page(3), page(4))), {}, START)
        await history.page_sent(1, "thread", START)
        await history.page_sent(3, "thread", START)
        did = (human(1, wall=START), human(2, wall=START + 50.0), human(3, wall=START))
        await history.commit(Effects(humans=did), {}, START)
        await pruned_at(history, START + _upkeep.PAGES_KEPT_SECONDS + 10)
        assert rows(tmp_path, "SELECT id FROM outbox") == [(2,), (3,)]
        assert len(await history.transitions()) == 4
        assert rows(tmp_path, "SELECT id FROM incident ORDER BY id") == [(1,), (2,), (3,), (4,)]
        assert len(await history.humans()) == 3
        await history.commit(told(transition(10, wall=START + _upkeep.KEPT_SECONDS)), {}, START + _upkeep.KEPT_SECONDS + 10)
        await history.prune()
        assert sorted(change.detail for change in await history.transitions()) == ["10", "9"]
        assert rows(tmp_path, "SELECT id FROM incident ORDER BY id") == [(2,), (3,), (4,)]  # open, still to be told of, the newest
        assert rows(tmp_path, "SELECT incident FROM incident_site ORDER BY incident") == [(2,), (3,), (4,)]
        assert rows(tmp_path, "SELECT incident FROM thread") == [(4,)]
        assert [one.incident for one in await history.humans()] == [3, 2]  # young enough, and the newest
        assert (await history.load()).next_incident_id == 5

    with_history(tmp_path, body)


def test_a_clock_that_leaps_years_ahead_for_a_minute_costs_little(tmp_path):
    async def body(history):
        await history.commit(Effects(transitions=tuple(transition(n, wall=START + n) for n in range(5_000))), {}, START)
        for hour in range(40):
            add(history, START + hour * 3_600)
        await history.flush()
        await history.heartbeat(START + 30 * 365 * DAY)
        await history.flush()
        await history.flush()
        await history.commit(effects(1), {}, START + 40 * 3_600)

    with_history(tmp_path, body)
    assert len(rows(tmp_path, "SELECT 1 FROM transition")) > 4_000
    assert len(rows(tmp_path, "SELECT DISTINCT at_ms FROM sample")) >= 36


def test_pruning_gives_the_space_back_and_commits_do_not_wait_for_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(_upkeep, "FREE_PAGES_KEPT", 10)

    async def body(history):
        for number in range(400):
            history.add_result(f"a/b/{number}", START, "ok", 0.0, [Sample("m", tuple(range(500)))])
        await history.flush()
        await history.heartbeat(START + 50 * 3_600)
        async with asyncio.TaskGroup() as group:
            pruning = group.create_task(history.prune())
            await asyncio.sleep(0)
            await history.commit(effects(1), {}, START + 50 * 3_600)
            assert not pruning.done()
        before, after = pruning.result()
        assert after < before / 2
        assert history.path.stat().st_size == after

    with_history(tmp_path, body)


def test_a_renamed_site_keeps_its_series_transitions_and_memory(tmp_path):
    async def before(history):
        add(history, START)
        await history.commit(effects(1, wall=float(START)), {"xa-1/line/icmp": "{}", "xa-12/line/icmp": "[]"}, START)
        await history.flush()

    async def after(history):
        found = await history.load()
        assert dict(found.memories) == {"xa-9/line/icmp": "{}", "xa-12/line/icmp": "[]"}
        assert [change.subject.check for change in await history.transitions(site="xa-9")] == ["xa-9/line/icmp"]
        assert [one.id for one in await history.incidents(site="xa-9")] == [1]
        history.add_result("xa-9/line/icmp", START + 5, "ok", 0.0, [Sample("load", (1.0,))], KINDS)
        await history.flush()
        assert len(await history.samples("xa-9/line/icmp", "load", "", START, START + 9)) == 2

    async def while_running(history):
        history.add_result("xa-9/line/icmp", START + 10, "ok", 0.0, [Sample("load", (2.0,))], KINDS)
        await history.rename_sites({"xa-9": "xa-7"})
        history.add_result("xa-7/line/icmp", START + 15, "ok", 0.0, [Sample("load", (3.0,))], KINDS)
        await history.flush()
        values = [value for _, (value,) in await history.samples("xa-7/line/icmp", "load", "", START, START + 99)]
        assert values == [0.5, 1.0, 2.0, 3.0]

    with_history(tmp_path, before)
    with_history(tmp_path, after, former_sites={"xa-1": "xa-9"})
    with_history(tmp_path, while_running, former_sites={"xa-1": "xa-9"})
    assert {check for (check,) in rows(tmp_path, "SELECT check_id FROM series")} == {"xa-7/line/icmp"}


def test_what_a_new_id_has_of_its_own_is_not_written_over(tmp_path):
    async def body(history):
        for site, value in (("old", 1.0), ("new", 2.0)):
            history.add_result(f"{site}/line/icmp", START, "ok", 0.0, [Sample("load", (value,))], KINDS)
            await history.commit(Effects(), {f"{site}/line/icmp": site}, START)
        await history.flush()
        await history.rename_sites({"old": "new"})
        history.add_result("new/line/icmp", START + 1, "ok", 0.0, [Sample("load", (3.0,))], KINDS)
        await history.flush()
        assert [value for _, (value,) in await history.samples("new/line/icmp", "load", "", START, START + 9)] == [2.0, 3.0]
        assert (await history.load()).memories["new/line/icmp"] == "new"

    with_history(tmp_path, body)
