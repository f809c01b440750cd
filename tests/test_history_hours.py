"""Samples of an hour that is over as one row: what goes in comes out, wherever it lies."""

import contextlib
import math
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch.history import _hours, _upkeep, describe, findings
from netwatch.history._codec import Malformed
from netwatch.history._hours import HOUR_MS, pack_hour, packable, unpack_hour
from netwatch.history._raw import runs
from netwatch.model import Metric, Sample
from tests.history_cases import rows, with_history

HOURS = 3_600
START = 20_000 * 86_400
LOAD = Metric("gauge", "ratio", "", keep="mean")
RTT = Metric("histogram", "seconds", "", keep="smoke")
CHECK = "xa-1/line/icmp"
TRAINS = st.lists(st.floats(width=32), max_size=6).map(tuple) | st.just((0.0,)) | st.just((math.nan,))


def same(one, other):
    """NaN and minus nought included."""
    return one.keys() == other.keys() and all(array("d", one[at]).tobytes() == array("d", other[at]).tobytes() for at in one)


@given(st.dictionaries(st.integers(0, HOUR_MS - 1), TRAINS, max_size=30))
def test_an_hour_comes_back_run_by_run(found):
    assert packable(found)
    back = unpack_hour(pack_hour(found))
    assert same(back, found)
    assert list(back) == sorted(found)


@pytest.mark.parametrize("step", [0xFF, 0x100, 0xFFFF, 0x10000, HOUR_MS - 2])
def test_a_column_is_as_wide_as_its_largest_number(step):
    found = {1: (1.0,) * (step % 1_000), 1 + step: (2.0, 3.0)}
    assert unpack_hour(pack_hour(found)) == found


@given(st.binary(max_size=60), st.dictionaries(st.integers(0, HOUR_MS - 1), TRAINS, max_size=5), st.data())
def test_foreign_bytes_are_malformed_or_read_but_never_an_error(stored, found, data):
    packed = pack_hour(found)
    place = data.draw(st.integers(0, len(packed)))
    for rubbish in (stored, packed[:place], packed[:place] + stored, packed + b"\0"):
        with contextlib.suppress(Malformed):
            unpack_hour(rubbish)


def test_what_is_cut_short_or_too_long_is_malformed():
    packed = pack_hour({10: (1.0, 2.0), 400: (3.0,), 80_000: ()})
    for place in range(len(packed)):
        with pytest.raises(Malformed):
            unpack_hour(packed[:place])
    with pytest.raises(Malformed, match="too many"):
        unpack_hour(packed + b"\0")
    with pytest.raises(Malformed, match="after the hour"):
        unpack_hour(pack_hour({HOUR_MS: (1.0,)}))
    same_of_four_bytes = bytes((2 | 0x80,)) + b"\xff" * 4
    with pytest.raises(Malformed, match="values in an hour"):
        unpack_hour(b"\xff\xff" + bytes((0x80, 1)) + same_of_four_bytes + bytes((3 | 0x80,)) + b"\0" * 4)
    with pytest.raises(Malformed, match="no column"):
        unpack_hour(b"\1\0" + bytes((3,)) + b"\0" * 4)  # milliseconds are no float32
    with pytest.raises(Malformed, match="no column"):
        unpack_hour(b"\1\0" + bytes((0, 5, 0, 1, 0, 5)))  # nor are values whole numbers


def test_a_quiet_hour_costs_little_more_than_its_moments_and_a_steady_one_next_to_nothing():
    steady = {minute * 60_000 + 17: (0.0,) for minute in range(60)}
    assert len(pack_hour(steady)) <= 2 + (1 + 2 * 60) + 2 + 5
    uneven = {minute * 60_000 + minute % 7: (minute / 7,) for minute in range(60)}
    assert len(pack_hour(uneven)) == 2 + (1 + 2 * 60) + 2 + (1 + 4 * 60)
    assert len(pack_hour(dict.fromkeys(range(60_000, HOUR_MS, 60_000), (0.5,)))) < 20


def test_more_than_a_row_may_hold_does_not_fit(monkeypatch):
    monkeypatch.setattr(_hours, "MOST_RUNS", 3)
    monkeypatch.setattr(_hours, "MOST_VALUES", 4)
    assert packable({1: (1.0,), 2: (2.0,), 3: (3.0, 4.0)})
    assert not packable({1: (), 2: (), 3: (), 4: ()})
    assert not packable({1: (0.0,) * 5})


def add(history, wall, load=0.5):
    history.add_result(CHECK, wall, "ok", 0.0, [Sample("load", (load,)), Sample("rtt", (0.01, 0.02))], {"load": LOAD, "rtt": RTT})


async def pruned_at(history, wall):
    await history.heartbeat(wall)
    await history.flush()
    await history.prune()


def moments(found):
    return [int(wall) - START for wall, _ in found]


def test_an_hour_that_is_over_is_one_row_and_is_read_as_before(tmp_path):
    async def body(history):
        for minute in range(130):
            add(history, START + minute * 60, load=minute / 8)
        await history.flush()

        async def asked():
            raw = [await history.samples(CHECK, metric, "", START + 60, START + 2 * HOURS) for metric in ("load", "rtt")]
            return raw, await history.series(CHECK, "load", "", START, START + 130 * 60, 130)

        before = await asked()
        assert (moments(before[0][0]), before[1].level) == (list(range(60, 2 * HOURS + 1, 60)), "raw")
        await pruned_at(history, START + 2 * HOURS + _upkeep.LATE_SECONDS - 1)
        assert rows(tmp_path, "SELECT DISTINCT at FROM sample_hour") == [(START,)]
        await pruned_at(history, START + 130 * 60)
        assert rows(tmp_path, "SELECT at, count(*) FROM sample_hour GROUP BY at") == [(START, 2), (START + HOURS, 2)]
        kept = "SELECT count(*) FROM sample WHERE series IN (SELECT id FROM series WHERE metric <> '') AND at_ms < ?"
        assert rows(tmp_path, kept, (START + 2 * HOURS) * 1000) == [(0,)]
        raw, chart = await asked()
        assert raw[0] == before[0][0]
        assert raw[1] == before[0][1]
        assert chart == before[1]
        assert len(await history.outcomes(CHECK, START, START + 2 * HOURS)) == 25

    with_history(tmp_path, body)
    found = describe(tmp_path / "netwatch.db")
    assert (found.oldest_sample, found.newest_sample) == (START, START + 129 * 60)
    assert found.rows["sample_hour"] == 4


def test_samples_that_come_after_their_hour_was_packed_are_read_with_it_and_join_it(tmp_path):
    async def body(history):
        for minute in range(0, 60, 2):
            add(history, START + minute * 60)
        await pruned_at(history, START + HOURS + _upkeep.LATE_SECONDS)
        for minute in range(1, 60, 2):
            add(history, START + minute * 60, load=1.5)
        await history.flush()
        every_minute = list(range(0, HOURS, 60))
        assert moments(await history.samples(CHECK, "load", "", START, START + HOURS)) == every_minute
        await pruned_at(history, START + HOURS - 60)  # the clock stepped back, and the hour is worked out again
        await pruned_at(history, START + HOURS + _upkeep.LATE_SECONDS)
        found = await history.samples(CHECK, "load", "", START, START + HOURS)
        assert moments(found) == every_minute
        assert {values for _, values in found} == {(0.5,), (1.5,)}
        hour = (await history.series(CHECK, "load", "", START, START + HOURS, 1)).points[0]
        assert (hour.summary.counted, hour.summary.mean) == (60, pytest.approx(1.0))
        loose = "SELECT count(*) FROM sample WHERE series = (SELECT id FROM series WHERE metric = 'load')"
        assert rows(tmp_path, loose) == [(0,)]

    with_history(tmp_path, body)


def test_a_run_that_comes_after_its_hour_is_kept_but_changes_neither_that_hours_figures_nor_the_nexts(tmp_path):
    async def body(history):
        for minute in range(60):
            add(history, START + minute * 60)
        await pruned_at(history, START + HOURS + _upkeep.LATE_SECONDS)
        for late in (START + 3_599, START + HOURS, START + HOURS + 60):
            add(history, late, load=1.5)
        await pruned_at(history, START + 2 * HOURS + _upkeep.LATE_SECONDS)
        hours = (await history.series(CHECK, "load", "", START, START + 2 * HOURS, 2)).points
        assert [(hour.summary.counted, hour.summary.mean) for hour in hours] == [(60, 0.5), (2, 1.5)]
        assert len(await history.samples(CHECK, "load", "", START, START + 2 * HOURS)) == 63

    with_history(tmp_path, body)


def test_what_the_writer_moves_between_two_questions_is_neither_missed_nor_told_twice():
    packed = [(START * 1000, pack_hour({0: (1.0,), 60_000: (2.0,)}))]
    loose = [(START * 1000, 1.0), (START * 1000 + 60_000, 2.0)]
    for before, after in ((loose, packed), ([], packed), (loose, [])):
        answers = iter((("sample ", before), ("sample_hour ", after)))

        def ask(sql, *values, answers=answers):
            table, answer = next(answers)
            assert f"FROM {table}" in sql
            assert table == "sample " or values == (1, START - HOURS, START + HOURS)  # hours that have a part in it
            return answer

        assert runs(ask, 1, START * 1000, START * 1000 + HOUR_MS) == [(float(START), (1.0,)), (START + 60.0, (2.0,))]


def test_a_packed_hour_stays_while_any_of_it_is_younger_than_48_hours(tmp_path):
    async def body(history):
        for hour in range(3):
            add(history, START + hour * HOURS + 5)
        await pruned_at(history, START + 49 * HOURS - 1)
        assert moments(await history.samples(CHECK, "load", "", 0, 1e12)) == [5, HOURS + 5, 2 * HOURS + 5]
        await pruned_at(history, START + 49 * HOURS)
        assert moments(await history.samples(CHECK, "load", "", 0, 1e12)) == [HOURS + 5, 2 * HOURS + 5]

    with_history(tmp_path, body)


def test_a_packed_hour_that_cannot_be_read_is_said_by_the_check_and_stops_nothing(tmp_path):
    async def body(history):
        for minute in range(60):
            add(history, START + minute * 60)
        await pruned_at(history, START + HOURS + 100)
        await history._writer.transaction([("UPDATE sample_hour SET runs = x'ff'", [()])], durable=False)
        add(history, START + 7)
        add(history, START + HOURS + 7)
        await history.flush()
        await pruned_at(history, START + HOURS - 60)
        await pruned_at(history, START + 2 * HOURS + 100)
        assert moments(await history.samples(CHECK, "load", "", 0, 1e12)) == [7, HOURS + 7]
        await history._writer.transaction([("UPDATE sample_hour SET runs = x'ff' WHERE at = ?", [(START,)])], durable=False)

    with_history(tmp_path, body)
    assert [(found.rule, found.detail.split()[0]) for found in findings(tmp_path / "netwatch.db")] == [("document", "sample_hour")] * 2


def test_a_portion_takes_fewer_series_at_once_when_they_take_long_and_more_again_when_they_do_not():
    most = _upkeep.MOST_SERIES_A_PORTION
    assert _upkeep.fitted(most, _upkeep.PORTION_SECONDS * 1.01) == most // 2
    assert _upkeep.fitted(1, 9.0) == 1
    assert _upkeep.fitted(4, _upkeep.PORTION_SECONDS * 0.8) == 4
    assert _upkeep.fitted(4, _upkeep.PORTION_SECONDS * 0.4) == 5
    assert _upkeep.fitted(most, 0.0) == most
