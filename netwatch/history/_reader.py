"""Questions to the file, on a read-only connection of their own; they never hold up the writer."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from netwatch import sla
from netwatch.history import _charts
from netwatch.history._codec import Malformed, human_from, incident_from, page_from
from netwatch.history._connection import Connection
from netwatch.history._raw import Ask, runs
from netwatch.history._recorded import Recorded, recorded, settled
from netwatch.history._rollup import Run
from netwatch.history._samples import Known, SeriesName
from netwatch.history._schema import BUSY_MILLISECONDS, HistoryFailed, corrupt, open_uri
from netwatch.model import Belief, Human, Incident, Page, Subject, Transition

__all__ = ["CLOSED_KEPT_SECONDS", "Counters", "OutboxRow", "Reader", "Stored"]

Answer = TypeVar("Answer")

CLOSED_KEPT_SECONDS = 86_400.0
CONFIRMED_WITHIN_SECONDS = 3_600.0  # an outage is dated at its beginning, but told when it is certain
TRANSITION = "check_id, rule, instance, old, new, hard, wall, since, code, detail"
TRANSITIONS_AT_ONCE = 2_000
RECENT = "closed IS NULL OR closed >= ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRow:
    """A page that no pager has taken or refused yet. `id` is None while the disk refuses: it lives in memory only."""

    id: int | None
    page: Page
    attempts: int = 0
    next_attempt_wall: float = 0.0
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What a start goes on from. `last_wall` is when netwatch was last known to be alive."""

    memories: Mapping[str, str]
    incidents: tuple[Incident, ...]  # open ones, and those closed in the 24 h before last_wall
    outbox: tuple[OutboxRow, ...]  # in the order they were committed
    threads: Mapping[tuple[int, str], str]  # (incident id, pager) to thread
    next_incident_id: int
    last_wall: float | None
    world_state: str | None = None  # of the core, as the last commit that had one left it


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """Where numbering goes on."""

    transition: int
    outbox: int
    human: int
    known: Known
    rolled_until: Mapping[int, int]  # by series: the hour whose roll-up may be of a part of it


class Reader:
    def __init__(self, path: Path, connection: Connection) -> None:
        self._path = path
        self._connection = connection

    @classmethod
    async def open(cls, path: Path) -> Reader:
        """Raises sqlite3.Error."""
        return cls(path, await Connection.open(partial(_made, path)))

    async def close(self) -> None:
        await self._connection.close()

    async def file_bytes(self) -> int:
        """As the file will be once the log is in it."""
        ((pages, page_bytes),) = await self._rows("SELECT page_count, page_size FROM pragma_page_count, pragma_page_size")
        return int(pages) * int(page_bytes)

    async def counters(self) -> Counters:
        ((transition, outbox, human),) = await self._rows(
            "SELECT (SELECT coalesce(max(id), 0) FROM transition), (SELECT coalesce(max(id), 0) FROM outbox),"
            " (SELECT coalesce(max(id), 0) FROM human)"
        )
        series = await self._rows("SELECT check_id, metric, instance, id, keep FROM series")
        last = "SELECT value FROM change WHERE series = series.id ORDER BY at_ms DESC LIMIT 1"
        changes = await self._rows(
            f"SELECT id, ({last}) FROM series WHERE EXISTS (SELECT 1 FROM change WHERE series = series.id)"  # noqa: S608  # a constant
        )
        rolled = await self._rows("SELECT id, (SELECT max(at) FROM rollup_5m WHERE series = series.id) FROM series")
        return Counters(
            transition=transition,
            outbox=outbox,
            human=human,
            known=Known(
                {(check_id, metric, instance): (number, keep) for check_id, metric, instance, number, keep in series}, dict(changes)
            ),
            rolled_until={number: hour for number, hour in rolled if hour is not None},
        )

    async def stored(self) -> Stored:
        """Raises HistoryFailed, and HistoryRefused for a document this program cannot read."""
        alive = await self._rows("SELECT value FROM meta WHERE key = 'last_wall'")
        last_wall = float(alive[0][0]) if alive else None
        since = (last_wall or 0.0) - CLOSED_KEPT_SECONDS
        ((newest,),) = await self._rows(
            "SELECT max((SELECT coalesce(max(id), 0) FROM incident), (SELECT coalesce(max(incident), 0) FROM outbox),"
            " (SELECT coalesce(max(value), 1) - 1 FROM meta WHERE key = 'first_incident'))"
        )
        pending = await self._rows("SELECT id, document, attempts, next_attempt, error FROM outbox WHERE ended IS NULL ORDER BY id")
        threads = await self._rows(
            f"SELECT incident, pager, thread FROM thread WHERE incident IN (SELECT id FROM incident WHERE {RECENT})"  # noqa: S608  # a constant
            " OR incident IN (SELECT incident FROM outbox WHERE ended IS NULL)",
            since,
        )
        incidents = await self._rows(f"SELECT document FROM incident WHERE {RECENT} ORDER BY id", since)  # noqa: S608  # a constant
        world = await self._rows("SELECT document FROM world")
        try:
            return Stored(
                memories=dict(await self._rows("SELECT check_id, document FROM memory")),
                incidents=tuple(incident_from(document) for (document,) in incidents),
                outbox=tuple(
                    OutboxRow(id=number, page=page_from(document), attempts=attempts, next_attempt_wall=next_attempt, error=error)
                    for number, document, attempts, next_attempt, error in pending
                ),
                threads={(incident, pager): thread for incident, pager, thread in threads},
                next_incident_id=newest + 1,
                last_wall=last_wall,
                world_state=world[0][0] if world else None,
            )
        except Malformed as error:
            raise corrupt(self._path, str(error)) from error

    async def transitions(self, *, site: str | None, check: str | None, since_wall: float, limit: int) -> list[Transition]:
        wanted, values = _where(("site", site), ("check_id", check))
        rows = await self._rows(
            f"SELECT {TRANSITION} FROM transition WHERE wall >= ?{wanted} ORDER BY wall DESC, id DESC LIMIT ?",  # noqa: S608  # column names from this file
            since_wall,
            *values,
            limit,
        )
        return [_transition(row) for row in rows]

    async def in_order(self, since_wall: float, until_wall: float) -> AsyncIterator[Transition]:
        """As they were decided, also where the clock stepped back; a few thousand in memory at once."""
        ((first, last),) = await self._rows("SELECT min(id), max(id) FROM transition WHERE wall >= ? AND wall < ?", since_wall, until_wall)
        while first is not None:
            rows = await self._rows(
                f"SELECT id, {TRANSITION} FROM transition WHERE id BETWEEN ? AND ? ORDER BY id LIMIT {TRANSITIONS_AT_ONCE}",  # noqa: S608  # constants
                first,
                last,
            )
            for row in rows:
                found = _transition(row[1:])
                if since_wall <= found.wall < until_wall:
                    yield found
            first = rows[-1][0] + 1 if rows else None

    async def recorded(self) -> Recorded:
        return await self._asked(recorded)

    async def settled(self, wall: float) -> list[Transition]:
        """The last transition of each subject before then."""
        return [_transition(row) for row in await self._asked(lambda ask: settled(ask, wall))]

    async def humans(self, *, since_wall: float, incident: int | None, limit: int) -> list[Human]:
        of_incident = "" if incident is None else " AND incident = ?"
        rows = await self._rows(
            f"SELECT document FROM human WHERE wall >= ?{of_incident} ORDER BY id DESC LIMIT ?",  # noqa: S608  # constants
            since_wall,
            *(() if incident is None else (incident,)),
            limit,
        )
        try:
            return [human_from(document) for (document,) in rows]
        except Malformed as error:
            raise HistoryFailed(f"{self._path}: {error}") from error

    async def incidents(self, *, since_wall: float, site: str | None, key: str | None, limit: int) -> list[Incident]:
        """Those that were open at `since_wall` or later."""
        of_site = "" if site is None else " AND id IN (SELECT incident FROM incident_site WHERE site = ?)"
        of_key = "" if key is None else " AND key = ?"
        rows = await self._rows(
            f"SELECT document FROM incident WHERE ({RECENT}){of_site}{of_key} ORDER BY opened DESC, id DESC LIMIT ?",  # noqa: S608  # constants
            since_wall,
            *(one for one in (site, key) if one is not None),
            limit,
        )
        try:
            return [incident_from(document) for (document,) in rows]
        except Malformed as error:
            raise HistoryFailed(f"{self._path}: {error}") from error

    async def samples(self, name: SeriesName, since_wall: float, until_wall: float) -> list[tuple[float, tuple[float, ...]]]:
        def found(ask: Ask) -> list[Run]:
            numbers = ask("SELECT id FROM series WHERE check_id = ? AND metric = ? AND instance = ?", *name)
            return [run for (number,) in numbers for run in runs(ask, number, round(since_wall * 1000), round(until_wall * 1000) + 1)]

        return await self._asked(found)

    async def series(self, name: SeriesName, since_wall: float, until_wall: float, points: int) -> _charts.Series:
        return await self._asked(lambda ask: _charts.series(ask, name, since_wall, until_wall, points))

    async def availability(
        self, sites: Mapping[str, Sequence[str]], since_wall: float, until_wall: float, excluded: Mapping[str, Sequence[sla.Span]]
    ) -> dict[str, sla.Availability]:
        """From the last settled belief before `since_wall` on."""
        checks = sorted({check for lines in sites.values() for check in lines})
        before = "SELECT max(wall) FROM transition WHERE check_id = asked.value AND rule = '' AND hard AND wall < ?2"
        rows = await self._rows(
            "SELECT found.check_id, found.since, found.new, found.hard FROM json_each(?1) AS asked"  # noqa: S608  # constants
            f" JOIN transition AS found ON found.check_id = asked.value AND found.wall >= coalesce(({before}), 0) AND found.wall < ?3"
            " WHERE found.rule = '' ORDER BY found.id",
            json.dumps(checks),
            since_wall,
            until_wall + CONFIRMED_WITHIN_SECONDS,
        )
        told: dict[str, list[tuple[float, Belief, bool]]] = {}
        for check, since, new, hard in rows:
            told.setdefault(check, []).append((since, Belief(new), bool(hard)))
        watched = await self._rows("SELECT began, ended FROM life WHERE ended > ? AND began < ?", since_wall, until_wall)
        changes = {check: sla.hard_changes(found) for check, found in told.items()}
        return sla.of_sites(sites, changes, watched, since_wall, until_wall, excluded=excluded)

    async def _rows(self, sql: str, *values: object) -> Sequence[Any]:
        """Leaves no cursor open. Raises HistoryFailed."""
        return await self._asked(lambda ask: ask(sql, *values))

    async def _asked(self, work: Callable[[Ask], Answer]) -> Answer:
        """Several questions in one change of threads, and what follows from them off the loop. Raises HistoryFailed."""

        def answered(connection: sqlite3.Connection) -> Answer:
            return work(lambda sql, *values: connection.execute(sql, values).fetchall())

        try:
            return await self._connection.call(answered)
        except (sqlite3.Error, UnicodeDecodeError, Malformed) as error:
            raise HistoryFailed(f"{self._path}: {error}") from error


def _made(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(open_uri(path, "ro"), uri=True, isolation_level=None, timeout=BUSY_MILLISECONDS / 1000)
    try:
        connection.execute("PRAGMA query_only=1")
        connection.execute("PRAGMA trusted_schema=OFF")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _transition(row: Sequence[Any]) -> Transition:
    check_id, rule, instance, old, new, hard, wall, since, code, detail = row
    return Transition(
        subject=Subject(check_id, rule, instance),
        old=Belief(old),
        new=Belief(new),
        hard=bool(hard),
        wall=wall,
        since=since,
        code=code,
        detail=detail,
    )


def _where(*wanted: tuple[str, str | None]) -> tuple[str, list[str]]:
    given = [(column, value) for column, value in wanted if value is not None]
    return "".join(f" AND {column} = ?" for column, _ in given), [value for _, value in given]
