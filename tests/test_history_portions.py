"""Upkeep without its task: whose turn it is, and how much at once."""

import asyncio

from netwatch.history import _upkeep
from netwatch.history._reader import Reader
from netwatch.history._samples import SampleBuffer
from netwatch.history._schema import prepare
from netwatch.history._writer import Writer

START = 20_000 * 86_400


def with_upkeep(directory, series, body, **options):
    """An upkeep without its task, over so many series with a sample each."""
    prepare(directory / "netwatch.db")

    async def scenario():
        writer, reader = Writer(directory / "netwatch.db"), await Reader.open(directory / "netwatch.db")
        names = [(number, f"a/b/{number}", "load", "", "mean") for number in range(1, series + 1)]
        every = [(number, START * 1000) for number in range(1, series + 1)]
        work = [
            ("INSERT INTO series (id, check_id, metric, instance, keep) VALUES (?, ?, ?, ?, ?)", names),
            ("INSERT INTO sample VALUES (?, ?, 1)", every),
        ]
        await writer.transaction(work, durable=False)
        counters = await reader.counters()
        try:
            await body(_upkeep.Upkeep(writer, SampleBuffer(1, counters.known), counters.rolled_until, **options), writer)
        finally:
            await reader.close()
            await writer.close()

    asyncio.run(scenario())


async def portions_at(upkeep, wall):
    upkeep.mark(wall)
    portions = 0
    while await upkeep.portion(wall):
        portions += 1
    return portions


def test_each_series_has_its_turn_once_in_a_quarter_of_an_hour(tmp_path):
    async def body(upkeep, writer):
        portions = [await portions_at(upkeep, START + 400 + second) for second in range(900)]
        assert await writer.rows("SELECT count(*) FROM rollup_5m") == [(2_000,)]
        assert max(portions) <= 3

    with_upkeep(tmp_path, 2_000, body, clock=lambda: 0.0)


def test_a_series_waits_for_its_turn_and_has_it_also_when_seconds_were_missed_or_the_clock_stepped_back(tmp_path):
    async def body(upkeep, writer):
        async def rolled():
            return {number for (number,) in await writer.rows("SELECT series FROM rollup_5m")}

        turn = START + 900  # of the series 900; the second 901 is that of the first
        await portions_at(upkeep, turn)
        assert await rolled() == {900}
        assert await portions_at(upkeep, turn) == 0
        await portions_at(upkeep, turn + 3)
        assert await rolled() == {900, 1, 2, 3}
        await portions_at(upkeep, turn - 5)
        assert await rolled() == {900, 1, 2, 3, 895}
        await portions_at(upkeep, turn + 1_000_000)
        assert len(await rolled()) == 900

    with_upkeep(tmp_path, 900, body)


def test_all_is_due_at_once_when_asked_for_the_first_series_and_the_last(tmp_path):
    async def body(upkeep, writer):
        upkeep.everything()
        assert not await upkeep.portion(None)  # nobody has said what time it is
        rolled = [0]
        while await upkeep.portion(START + 400.0):
            rolled += (await writer.rows("SELECT count(*) FROM rollup_5m"))[0]
        assert rolled[:4] == [0, 16, 32, 40]

    with_upkeep(tmp_path, 40, body, clock=lambda: 1e6)


def test_tables_are_looked_through_every_hour_and_free_space_given_back_every_minute(tmp_path, monkeypatch):
    monkeypatch.setattr(_upkeep, "FREE_PAGES_KEPT", 0)
    old, now = START - _upkeep.PAGES_KEPT_SECONDS - 1, START + 3_000.0
    ended = "INSERT INTO outbox (id, incident, pager, document, created, next_attempt, ended, ending) VALUES (?, 1, '', ?, 0, 0, ?, 'sent')"

    async def body(upkeep, writer):
        async def left():
            return [number for (number,) in await writer.rows("SELECT id FROM outbox ORDER BY id")]

        async def free():
            return (await writer.rows("PRAGMA freelist_count"))[0][0]

        await portions_at(upkeep, now)
        await writer.transaction([(ended, [(1, "x" * 100_000, old), (2, "", old)])], durable=False)
        await portions_at(upkeep, now + 599)
        assert await left() == [1, 2]
        await portions_at(upkeep, START + 3_600)
        assert await left() == [2]
        assert await free() == 0
        await writer.transaction([(ended, [(3, "x" * 100_000, now)]), ("DELETE FROM outbox WHERE id = ?", [(3,)])], durable=False)
        await portions_at(upkeep, START + 3_659)
        assert await free() > 0
        await portions_at(upkeep, START + 3_660)
        assert await free() == 0

    with_upkeep(tmp_path, 1, body)


def test_a_portion_takes_fewer_series_at_once_while_they_take_long(tmp_path):
    moments = iter(range(10**6))  # each look at the clock is a second later

    async def body(upkeep, writer):
        upkeep.everything()
        rolled = [0]
        for _ in range(6):
            await upkeep.portion(START + 400.0)
            rolled.append((await writer.rows("SELECT count(*) FROM rollup_5m"))[0][0])
        assert rolled == [0, 16, 24, 28, 30, 31, 32]

    with_upkeep(tmp_path, 40, body, clock=lambda: float(next(moments)))
