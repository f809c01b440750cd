"""A file of each former version of netwatch, made by that version, and what the present one makes of it."""

import sqlite3
from pathlib import Path

import pytest

from netwatch.history import _schema, describe, findings, restore
from netwatch.model import Effects, Metric, Sample
from tests.history_cases import human, incident, transition, with_history

GOLDEN = Path(__file__).parent / "golden"
START = 20_000 * 86_400
HOURS = 3_600
NOW = START + 49.5 * HOURS
RTT = Metric("histogram", "seconds", "", keep="smoke")
LOAD = Metric("gauge", "ratio", "", keep="mean")


def copy_of(schema, directory):
    (directory / "netwatch.db").write_bytes((GOLDEN / f"history-schema-{schema}.db").read_bytes())
    return directory


def version(directory):
    connection = sqlite3.connect(directory / "netwatch.db")
    try:
        return connection.execute("PRAGMA user_version").fetchone()[0]
    finally:
        connection.close()


async def pruned_at(history, wall):
    await history.heartbeat(wall)
    await history.flush()
    await history.prune()


@pytest.mark.parametrize("schema", range(1, len(_schema.MIGRATIONS)))
def test_every_former_file_is_sound_before_and_after(tmp_path, schema):
    copy_of(schema, tmp_path)
    assert version(tmp_path) == schema
    assert findings(tmp_path / "netwatch.db") == []
    restore(tmp_path / "netwatch.db", tmp_path / "restored", wall=NOW)

    async def body(history):
        await history.commit(Effects(humans=(human(1),)), {}, NOW, "world")
        assert (await history.load()).world_state == "world"
        assert await history.humans(limit=1) == [human(1)]

    for directory in (tmp_path, tmp_path / "restored"):
        with_history(directory, body)
        assert version(directory) == len(_schema.MIGRATIONS)
        assert findings(directory / "netwatch.db") == []


def test_a_file_of_schema_1_is_brought_up_to_date_with_all_it_holds(tmp_path):
    old = copy_of(1, tmp_path)

    async def body(history):
        found = await history.load()
        assert [row.page.incident.id for row in found.outbox] == [1]
        assert dict(found.threads) == {(2, "webhook"): "thread-2"}
        assert "xa-1/line/icmp" in found.memories
        assert await history.transitions() == [transition(1)]
        assert len(await history.samples("xa-1/line/icmp", "icmp_rtt_seconds", "", 0, 2_000)) == 3
        history.add_result("xa-1/line/icmp", 1_300.0, "ok", 0.0, [Sample("icmp_rtt_seconds", (0.01,))], {"icmp_rtt_seconds": RTT})
        await pruned_at(history, 8_000.0)
        series = await history.series("xa-1/line/icmp", "icmp_rtt_seconds", "", 0, 3_600, 12)
        assert [(point.wall, point.summary.counted) for point in series.points] == [(900.0, 6), (1_200.0, 1)]
        found = await history.availability({"xa-1": ["xa-1/line/icmp"]}, 991.0, 1_031.0)
        assert found["xa-1"].down == pytest.approx(31.0)  # as long as it was watched: from its first transition to its last sign

    assert describe(old / "netwatch.db").rows["transition"] == 1
    assert findings(old / "netwatch.db") == []
    with_history(old, body)
    assert version(old) == len(_schema.MIGRATIONS)


def test_a_file_of_schema_2_keeps_its_roll_ups_and_goes_on_with_them(tmp_path):
    copy_of(2, tmp_path)

    async def body(history):
        found = await history.load()
        assert dict(found.memories) == {"xa-1/line/icmp": '{"soft":1}'}
        assert found.incidents == (incident(1), incident(2, closed=START + 49.0 * HOURS))
        assert [row.page.incident.id for row in found.outbox] == [1]
        assert dict(found.threads) == {(2, "webhook"): "thread-2"}
        assert (found.next_incident_id, found.last_wall, found.world_state) == (3, NOW, None)
        assert await history.transitions() == [transition(2, wall=START + 2), transition(1, wall=START + 1)]
        hours = await history.series("xa-1/line/icmp", "load", "", START, START + 26 * HOURS, 26)
        assert hours.level == "1h"
        means = [0.0] * 10 + [2.5] * 10 + [(hour * 60 + 28) / 1_000 for hour in range(20, 26)]
        assert [(point.summary.counted, point.summary.mean) for point in hours.points] == [(15, pytest.approx(mean)) for mean in means]
        rtt = (await history.series("xa-1/line/icmp", "rtt", "", START, START + HOURS, 1)).points[0].summary
        assert (rtt.counted, rtt.minimum, rtt.maximum) == (30, pytest.approx(0.01), pytest.approx(0.02056))
        for minute in range(60):
            samples = [Sample("load", (7.0,)), Sample("rtt", (0.5,))]
            history.add_result("xa-1/line/icmp", START + 26 * HOURS + minute * 60, "ok", 0.0, samples, {"load": LOAD, "rtt": RTT})
        await pruned_at(history, NOW)
        hours = await history.series("xa-1/line/icmp", "load", "", START, START + 27 * HOURS, 27)
        assert [point.summary.counted for point in hours.points] == [15] * 26 + [60]

    with_history(tmp_path, body)


def test_a_file_of_schema_3_keeps_what_people_did_and_the_samples_of_an_hour_that_is_not_over(tmp_path):
    copy_of(3, tmp_path)

    async def body(history):
        assert (await history.load()).world_state == '{"flaps":[]}'
        assert await history.humans() == [human(1, wall=START + 1.0)]
        for minute in range(150, 180, 2):
            history.add_result("xa-1/line/icmp", START + minute * 60, "ok", 0.0, [Sample("load", (minute / 100,))], {"load": LOAD})
        await pruned_at(history, START + 3 * HOURS + 100)
        raw = await history.samples("xa-1/line/icmp", "load", "", START, START + 3 * HOURS)
        assert raw == [(START + minute * 60, (pytest.approx(minute / 100),)) for minute in range(0, 180, 2)]
        hours = await history.series("xa-1/line/icmp", "load", "", START, START + 3 * HOURS, 3)
        assert [point.summary.counted for point in hours.points] == [30, 30, 30]

    with_history(tmp_path, body)
