"""What the file needs besides writing: roll-ups, what is too old, free space. In small portions, when nobody waits.

Each series has its turn once in fifteen minutes. Roll-ups are worked out from the samples on the disk, hour by hour and
always the whole hour so far, so that a killed process leaves nothing behind that the next turn does not mend. Samples of
an hour that is over become one row.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from netwatch.history import _statements as statements
from netwatch.history._codec import Malformed, unpack
from netwatch.history._hours import pack_hour, packable, unpack_hour
from netwatch.history._rollup import FIVE_MINUTES, HOUR, LEVELS, ROLLED, Level, Run, Summary, decode, encode, summarize, thin
from netwatch.history._samples import SampleBuffer
from netwatch.history._writer import Statement, Writer

__all__ = ["KEPT_SECONDS", "PAGES_KEPT_SECONDS", "RAW_KEPT_SECONDS", "Upkeep", "fitted"]

RAW_KEPT_SECONDS = 48 * 3600.0
KEPT_SECONDS = 3 * 366 * 86_400.0  # transitions, closed incidents, changes, what people did: two full years and what the third has so far
PAGES_KEPT_SECONDS = 90 * 86_400.0  # rows of the outbox that have ended
TURN_SECONDS = 900  # each series has its second of it
LATE_SECONDS = 60  # a run is dated at its beginning and may take this long
MOST_SERIES_A_PORTION = 16
PORTION_SECONDS = 0.015  # a commit that pages wait for may have to wait as long
ROWS_A_PORTION = 500  # of transitions, incidents, pages: times 24 a day
ROWS_OF_LEVEL_A_TURN = 48
FREE_PAGES_KEPT = 2_560  # 10 MiB: tomorrow's samples go there
MINUTE, HOUR_SECONDS = 60, 3_600

FIRST_SAMPLES = """
    SELECT json_extract(value, '$[0]'), (
        SELECT min(at_ms) FROM sample WHERE series = json_extract(due.value, '$[0]') AND at_ms >= json_extract(due.value, '$[1]')
    ) FROM json_each(?) AS due
"""
SAMPLES = """
    SELECT sample.series, sample.at_ms, sample.value FROM json_each(?) AS due
    JOIN sample ON sample.series = json_extract(due.value, '$[0]')
        AND sample.at_ms >= json_extract(due.value, '$[1]') AND sample.at_ms < json_extract(due.value, '$[2]')
    ORDER BY sample.series, sample.at_ms
"""
ROWS = """
    SELECT stored.series, stored.at, stored.{column} FROM json_each(?) AS due
    JOIN {table} AS stored ON stored.series = json_extract(due.value, '$[0]') AND stored.at = json_extract(due.value, '$[1]')
"""


class _Worked(NamedTuple):
    """What an hour of some series leaves behind: rows by series and beginning, and the hourly figures by series and day."""

    fine: list[tuple[int, int, bytes]]
    packed: list[tuple[int, int, bytes]]
    whole: dict[tuple[int, int], dict[int, Summary]]

    def add(self, number: int, hour: int, found: Mapping[int, tuple[float, ...]], keep: str) -> None:
        buckets = thin(_runs(hour, found), FIVE_MINUTES.bucket_seconds, keep)
        if placed := {int(start - hour) // FIVE_MINUTES.bucket_seconds: summary for start, summary in buckets}:
            self.fine.append((number, hour, encode(placed)))

    def add_whole(self, number: int, hour: int, found: Mapping[int, tuple[float, ...]], keep: str) -> None:
        """The hour is over."""
        summary = summarize((value for values in found.values() for value in values), keep)
        if summary is not None:
            day = hour // HOUR.row_seconds * HOUR.row_seconds
            self.whole[number, day] = {(hour - day) // HOUR.bucket_seconds: summary}
        if packable(found):
            self.packed.append((number, hour, pack_hour(found)))


class Upkeep:
    """Only the writer task may call it. `wall` is always what the daemon last said: its clock, not the machine's.

    `clock` measures how long a portion takes, in seconds: the next one is made to fit.
    """

    def __init__(
        self, writer: Writer, buffer: SampleBuffer, rolled_until: Mapping[int, int], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._writer = writer
        self._clock = clock
        self._at_once = MOST_SERIES_A_PORTION
        self._buffer = buffer
        self._rolled_until = dict(rolled_until)  # by series: the start of the hour to go on with
        self._due: dict[int, None] = {}  # series, in the order of their turns
        self._tables_due = False
        self._vacuum_due = False
        self._all_free = False
        self._second: int | None = None

    def mark(self, wall: float) -> None:
        """Time has passed: whose turn it is. A clock that leaps gives every series one turn, not many."""
        second = int(wall)
        last = self._second
        self._second = second
        if last is None or second < last:
            last = second - 1
        for number in range(max(last + 1, second - TURN_SECONDS + 1), second + 1):
            self._due.update(dict.fromkeys(range(number % TURN_SECONDS, self._buffer.newest_series + 1, TURN_SECONDS)))
        self._due.pop(0, None)
        self._vacuum_due = self._vacuum_due or last // MINUTE < second // MINUTE
        self._tables_due = self._tables_due or last // HOUR_SECONDS < second // HOUR_SECONDS

    def everything(self) -> None:
        """All that a day's turns would do is due at once."""
        self._due.update(dict.fromkeys(range(1, self._buffer.newest_series + 1)))
        self._tables_due = self._vacuum_due = self._all_free = True

    async def portion(self, wall: float | None) -> bool:
        """Does a little; False when nothing is due. Raises sqlite3.Error; what failed comes again at its next turn."""
        if wall is None:
            return False
        if self._due:
            series = list(islice(self._due, self._at_once))
            for number in series:
                del self._due[number]
            began = self._clock()
            await self._tend(series, wall)
            self._at_once = fitted(self._at_once, self._clock() - began)
            return True
        if self._tables_due:
            self._tables_due = False
            self._tables_due = await self._forget(wall) and self._all_free
            return True
        if self._vacuum_due:
            self._vacuum_due = False
            self._vacuum_due = await self._writer.vacuum(FREE_PAGES_KEPT) and self._all_free
            return True
        self._all_free = False
        return False

    async def _tend(self, series: Sequence[int], wall: float) -> None:
        """One hour of each of these: rolled up, then what is too old goes. A series with more hours stays due."""
        keeps = self._buffer.keeps()
        until = int(wall - LATE_SECONDS) // FIVE_MINUTES.bucket_seconds * FIVE_MINUTES.bucket_seconds
        rolled = {number: keeps[number] for number in series if keeps.get(number) in ROLLED}
        hours = await self._next_hours(rolled, until)
        if hours:
            await self._writer.transaction(await self._rolled_up(hours, rolled, until), durable=False)
        more = [number for number, hour in hours.items() if hour + HOUR_SECONDS <= until]
        self._rolled_until.update(hours)  # of an hour that is not over, or not any more since the clock stepped back, all is done again
        self._rolled_until.update((number, hours[number] + HOUR_SECONDS) for number in more)
        self._due.update(dict.fromkeys(more))
        done = [number for number in series if number not in more]
        before = self._writer.rows_changed
        await self._writer.transaction(self._trims(done, wall), durable=False)
        if self._all_free and self._writer.rows_changed > before:
            self._due.update(dict.fromkeys(done))

    async def _next_hours(self, rolled: Mapping[int, str], until: int) -> dict[int, int]:
        """The hour to roll up next, of each series that has one: never one that is not in the past."""
        starts = [(number, min(self._rolled_until.get(number, 0), until // HOUR_SECONDS * HOUR_SECONDS) * 1000) for number in rolled]
        found = await self._writer.rows(FIRST_SAMPLES, json.dumps(starts)) if starts else []
        firsts = {number: at_ms // (HOUR_SECONDS * 1000) * HOUR_SECONDS for number, at_ms in found if at_ms is not None}
        return {number: hour for number, hour in firsts.items() if hour < until}

    async def _rolled_up(self, hours: Mapping[int, int], keeps: Mapping[int, str], until: int) -> list[Statement]:
        found = await self._samples(hours, until)
        work = _Worked([], [], {})
        for number, hour in hours.items():
            work.add(number, hour, found[number], keeps[number])
            if hour + HOUR_SECONDS <= until:
                work.add_whole(number, hour, found[number], keeps[number])
        before = await self._stored(HOUR.table, "records", list(work.whole)) if work.whole else []
        days = {(number, day): _readable(records) for number, day, records in before}
        coarse = [(number, day, encode(days.get((number, day), {}) | new)) for (number, day), new in work.whole.items()]
        rolled = [_put(level, stored) for level, stored in ((FIVE_MINUTES, work.fine), (HOUR, coarse)) if stored]
        return [*rolled, *(statements.moved(work.packed) if work.packed else ())]

    async def _samples(self, hours: Mapping[int, int], until: int) -> dict[int, dict[int, tuple[float, ...]]]:
        """Of one hour of each series: values by milliseconds since its beginning. What comes after `until` is only there if it is packed."""
        found: dict[int, dict[int, tuple[float, ...]]] = {number: {} for number in hours}
        for number, _, packed in await self._stored("sample_hour", "runs", list(hours.items())):
            with contextlib.suppress(Malformed):  # an hour that cannot be read
                found[number] = unpack_hour(packed)
        windows = [(number, hour * 1000, min(hour + HOUR_SECONDS, until) * 1000) for number, hour in hours.items()]
        for number, at_ms, value in await self._writer.rows(SAMPLES, json.dumps(windows)):
            with contextlib.suppress(Malformed):  # one sample that cannot be read
                found[number][at_ms - hours[number] * 1000] = unpack(value)
        return found

    async def _stored(self, table: str, column: str, places: Sequence[tuple[int, int]]) -> list[tuple[int, int, bytes]]:
        return await self._writer.rows(ROWS.format(table=table, column=column), json.dumps(places))

    def _trims(self, series: Sequence[int], wall: float) -> list[Statement]:
        """Only of series that have no hour left to be rolled up."""
        raw_before = int(wall - RAW_KEPT_SECONDS)
        work = [
            statements.trim([(number, raw_before * 1000) for number in series]),
            statements.trim_rows("sample_hour", series, raw_before // HOUR_SECONDS * HOUR_SECONDS, statements.TRIM_HOURS * HOUR_SECONDS),
        ]
        work += [
            statements.trim_rows(level.table, series, wall - level.kept_seconds, ROWS_OF_LEVEL_A_TURN * level.row_seconds)
            for level in LEVELS
        ]
        return [*work, statements.trim_changes(series, wall - KEPT_SECONDS)]

    async def _forget(self, wall: float) -> bool:
        """Transitions, incidents and pages that are too old; False when there were none."""
        before = self._writer.rows_changed
        work = (
            *statements.forget_transitions(wall - KEPT_SECONDS, ROWS_A_PORTION),
            *statements.forget_incidents(wall - KEPT_SECONDS, ROWS_A_PORTION),
            *statements.forget_humans(wall - KEPT_SECONDS, ROWS_A_PORTION),
            *statements.forget_pages(wall - PAGES_KEPT_SECONDS, ROWS_A_PORTION),
        )
        await self._writer.transaction(work, durable=False)
        return self._writer.rows_changed > before


def fitted(series_at_once: int, seconds: float) -> int:
    """How many series the next portion takes on, after one that took so long: quickly fewer, slowly more."""
    if seconds > PORTION_SECONDS:
        return max(1, series_at_once // 2)
    return min(MOST_SERIES_A_PORTION, series_at_once + 1) if seconds < PORTION_SECONDS / 2 else series_at_once


def _runs(hour: int, found: Mapping[int, tuple[float, ...]]) -> list[Run]:
    return [(hour + moment / 1000, values) for moment, values in sorted(found.items())]


def _readable(records: bytes) -> dict[int, Summary]:
    """What cannot be read is worked out no more, but does not stop what comes."""
    try:
        return decode(records)
    except Malformed:
        return {}


def _put(level: Level, rows: Sequence[tuple[int, int, bytes]]) -> Statement:
    return f"INSERT OR REPLACE INTO {level.table} (series, at, records) VALUES (?, ?, ?)", rows  # noqa: S608  # Level.table
