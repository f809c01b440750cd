"""Charts: the level that fits, the newest minutes from the samples, changes that hold until the next."""

import pytest

from netwatch.history import HistoryFailed
from netwatch.history._charts import level_for
from netwatch.history._rollup import FIVE_MINUTES, HOUR
from netwatch.model import Metric, Sample
from tests.history_cases import with_history

START = 20_000 * 86_400
HOURS = 3_600
KINDS = {
    "rtt": Metric("histogram", "seconds", "", keep="smoke"),
    "load": Metric("gauge", "ratio", "", keep="mean"),
    "up": Metric("gauge", "bool", "", keep="change"),
}
CHECK = "xa-1/line/icmp"


async def fill(history, hours, *, step=60):
    for wall in range(START, START + hours * HOURS, step):
        samples = [
            Sample("rtt", (0.01, 0.03)),
            Sample("load", (float((wall - START) // HOURS),)),
            Sample("up", (float(wall >= START + HOURS),)),
        ]
        history.add_result(CHECK, wall, "ok", 0.0, samples, KINDS)
    await history.flush()
    await history.heartbeat(START + hours * HOURS)
    await history.flush()


def test_the_level_is_the_one_that_gives_about_as_many_points_as_asked_for():
    assert level_for(10) is None
    assert level_for(288) is FIVE_MINUTES
    assert level_for(4_000) is HOUR


def test_a_day_is_drawn_from_roll_ups_and_its_newest_minutes_from_samples(tmp_path):
    async def body(history):
        await fill(history, 24)
        await history.prune()
        until = START + 24 * HOURS
        found = await history.series(CHECK, "load", "", START, until, 300)
        assert found.level == "5m"
        assert [point.wall for point in found.points] == list(range(START, until, 300))
        assert {point.seconds for point in found.points} == {300.0}
        assert [point.summary.mean for point in found.points] == [float((point.wall - START) // HOURS) for point in found.points]
        assert sum(point.summary.counted for point in found.points) == 24 * 60
        history.add_result(CHECK, until + 30, "ok", 0.0, [Sample("load", (99.0,))], KINDS)
        await history.flush()
        newest = (await history.series(CHECK, "load", "", START + 600, until + 60, 300)).points[-1]
        assert (newest.wall, newest.summary.mean) == (until, 99.0)

    with_history(tmp_path, body, queue_limit=100_000)


def test_before_anything_is_rolled_up_a_chart_shows_the_samples(tmp_path):
    async def body(history):
        await fill(history, 2)
        found = await history.series(CHECK, "rtt", "", START, START + 24 * HOURS, 300)
        assert len(found.points) == 24
        assert (found.points[0].summary.minimum, found.points[0].summary.maximum) == (pytest.approx(0.01), pytest.approx(0.03))

    with_history(tmp_path, body)


def test_an_hour_is_drawn_run_by_run_or_in_buckets_when_there_are_more_than_points(tmp_path):
    async def body(history):
        await fill(history, 1)
        found = await history.series(CHECK, "load", "", START, START + HOURS, 100)
        assert (found.level, len(found.points), found.points[1].seconds) == ("raw", 60, 0.0)
        found = await history.series(CHECK, "load", "", START, START + HOURS, 30)
        assert (found.level, len(found.points), found.points[1].seconds) == ("raw", 30, 120.0)

    with_history(tmp_path, body)


def test_a_long_chart_takes_hours_and_puts_several_together(tmp_path):
    async def body(history):
        await fill(history, 40, step=300)
        await history.prune()
        found = await history.series(CHECK, "load", "", START, START + 40 * HOURS, 20)
        assert (found.level, len(found.points), {point.seconds for point in found.points}) == ("1h", 20, {2.0 * HOURS})
        assert [point.summary.mean for point in found.points] == [hour + 0.5 for hour in range(0, 40, 2)]

    with_history(tmp_path, body, queue_limit=100_000)


def test_where_five_minutes_are_gone_hours_are_shown(tmp_path):
    async def body(history):
        await fill(history, 3, step=300)
        await history.prune()
        await history.heartbeat(START + FIVE_MINUTES.kept_seconds + 1 * HOURS)
        await history.flush()
        await history.prune()
        found = await history.series(CHECK, "load", "", START, START + 3 * HOURS, 30)
        assert found.level == "1h"
        assert [point.summary.mean for point in found.points] == [0.0, 1.0, 2.0]

    with_history(tmp_path, body)


def test_a_change_holds_until_the_next_also_from_before_the_chart(tmp_path):
    async def body(history):
        await fill(history, 2)
        found = await history.series(CHECK, "up", "", START + 100, START + 2 * HOURS)
        assert found.level == "change"
        assert [(point.wall, point.summary.mean) for point in found.points] == [(START + 100, 0.0), (START + HOURS, 1.0)]
        later = await history.series(CHECK, "up", "", START + 9 * HOURS, START + 10 * HOURS)
        assert [(point.wall, point.summary.mean) for point in later.points] == [(START + 9 * HOURS, 1.0)]
        assert (await history.series(CHECK, "up", "", START - 10, START)).points == ()

    with_history(tmp_path, body)


def test_what_there_is_not_is_an_empty_chart_and_what_cannot_be_read_is_said(tmp_path):
    async def body(history):
        assert (await history.series(CHECK, "load", "", 0, 100)).points == ()
        await fill(history, 1)
        await history.prune()
        assert (await history.series(CHECK, "load", "", 200, 100)).points == ()
        assert (await history.series(CHECK, "load", "", START - 900 * HOURS, START - 800 * HOURS)).points == ()
        assert (await history.series(CHECK, "load", "", START, START + HOURS, 0)).points != ()
        await history._task._writer.transaction([("UPDATE rollup_5m SET records = x'ff'", [()])], durable=False)
        with pytest.raises(HistoryFailed):
            await history.series(CHECK, "load", "", START, START + HOURS, 12)

    with_history(tmp_path, body)
