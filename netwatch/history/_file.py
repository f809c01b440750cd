"""The file itself, for the command line: beside a running daemon or without one; read-only."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netwatch.history._codec import Malformed, human_from, incident_from, page_from
from netwatch.history._hours import unpack_hour
from netwatch.history._rollup import LEVELS, decode
from netwatch.history._schema import (
    APPLICATION_ID,
    MIGRATIONS,
    HistoryFailed,
    HistoryRefused,
    corrupt,
    newer,
    reading,
    refusal,
    sync,
    unwritable,
)
from netwatch.model import Belief

__all__ = ["BackupRefused", "Finding", "Info", "NoDatabase", "backup", "describe", "findings", "has_wal_reset_bug", "readable"]

TABLES = (
    "series",
    "sample",
    "sample_hour",
    "rollup_5m",
    "rollup_1h",
    "change",
    "memory",
    "transition",
    "incident",
    "outbox",
    "thread",
    "human",
)
FINDINGS_SHOWN = 100


class NoDatabase(Exception):
    """There is no file of that name."""


class BackupRefused(Exception):
    """The target exists already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """Times are wall seconds; None where there is nothing yet."""

    path: Path
    file_bytes: int
    log_bytes: int
    schema: int
    rows: Mapping[str, int]
    oldest_sample: float | None
    newest_sample: float | None
    oldest_transition: float | None
    newest_transition: float | None
    open_incidents: int
    pending_pages: int
    last_wall: float | None
    sqlite_version: str


@dataclass(frozen=True, slots=True)
class Finding:
    """`rule` is a stable word: integrity, document, numbers, series."""

    rule: str
    detail: str


def has_wal_reset_bug(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> bool:
    """Whether this SQLite may lose a commit when one connection checkpoints while another writes (sqlite.org/wal.html,
    "the WAL-reset bug"). netwatch writes and checkpoints on one connection and is safe; other tools on the file are not.
    """
    if version < (3, 7, 0) or version >= (3, 51, 3):
        return False
    return not ((3, 44, 6) <= version < (3, 45) or (3, 50, 7) <= version < (3, 51))


def describe(path: Path) -> Info:
    """Raises NoDatabase, HistoryRefused."""
    with _open(path) as connection:
        one = _asking(connection)
        log = path.with_name(path.name + "-wal")
        there = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}  # an old file has fewer
        oldest, newest = _sample_span(connection, there)
        return Info(
            path=path,
            file_bytes=path.stat().st_size,
            log_bytes=log.stat().st_size if log.exists() else 0,
            schema=one("PRAGMA user_version"),
            rows={table: one(f"SELECT count(*) FROM {table}") for table in TABLES if table in there},  # noqa: S608  # names from this file
            oldest_sample=oldest,
            newest_sample=newest,
            oldest_transition=one("SELECT min(wall) FROM transition"),
            newest_transition=one("SELECT max(wall) FROM transition"),
            open_incidents=one("SELECT count(*) FROM incident WHERE closed IS NULL"),
            pending_pages=one("SELECT count(*) FROM outbox WHERE ended IS NULL"),
            last_wall=one("SELECT max(value) FROM meta WHERE key = 'last_wall'"),
            sqlite_version=sqlite3.sqlite_version,
        )


def findings(path: Path) -> list[Finding]:
    """SQLite's integrity check, then our own rules; empty when all is well. Raises NoDatabase, HistoryRefused."""
    with _open(path) as connection:
        problems = [problem for (problem,) in connection.execute(f"PRAGMA integrity_check({FINDINGS_SHOWN})") if problem != "ok"]
        if problems:
            return [Finding("integrity", problem) for problem in problems]
        return list(_broken_rules(connection))[:FINDINGS_SHOWN]


def readable(path: Path) -> None:
    """Whether this program can read it as it is. Raises NoDatabase, HistoryRefused, and HistoryFailed for one that is to be migrated."""
    with _open(path) as connection:
        version = _asking(connection)("PRAGMA user_version")
    if version < len(MIGRATIONS):
        raise HistoryFailed(f"{path}: schema {version}; the next start of netwatch brings it to {len(MIGRATIONS)}")


def backup(path: Path, to: Path) -> None:
    """A copy of one moment as a single file, on the disk when this returns; never written over something.

    Raises NoDatabase, HistoryRefused, BackupRefused, OSError.
    """
    if to.exists():
        raise BackupRefused(str(to))
    unfinished = to.with_name(f".{to.name}.{os.getpid()}")
    try:
        os.close(os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        copy_file(path, unfinished)
        sync(unfinished)
        try:  # takes the name first: a bare rename would write over one taken meanwhile, and a stick has no hard links
            os.close(os.open(to, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError as error:
            raise BackupRefused(str(to)) from error
        unfinished.replace(to)
        sync(to.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def copy_file(path: Path, to: Path) -> None:
    """One moment of the file, as a single file. Raises NoDatabase, HistoryRefused, OSError."""
    with _open(path) as source, contextlib.closing(sqlite3.connect(to, isolation_level=None)) as copy:
        try:
            source.backup(copy)  # in one step: the daemon's writing cannot make it begin again
            copy.execute("PRAGMA journal_mode=DELETE")
            problem = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
        except sqlite3.OperationalError as error:  # the copy's disk; a damaged source is a DatabaseError
            raise OSError(str(error)) from error
        if problem != "ok":
            raise corrupt(path, str(problem))


@contextlib.contextmanager
def _open(path: Path) -> Iterator[sqlite3.Connection]:
    """One moment of the file for as long as it is open."""
    try:
        if not path.is_file():
            raise NoDatabase(str(path))
        with reading(path) as connection:
            connection.execute("BEGIN")
            one = _asking(connection)
            if one("PRAGMA application_id") != APPLICATION_ID:
                raise HistoryRefused("foreign", path, f"application id {one('PRAGMA application_id'):#x}")
            if one("PRAGMA user_version") > len(MIGRATIONS):
                raise newer(path, one("PRAGMA user_version"))
            yield connection
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise refusal(path, error) from error
    except PermissionError as error:
        raise unwritable(path, error.strerror or str(error)) from error


def _sample_span(connection: sqlite3.Connection, tables: Container[str]) -> tuple[float | None, float | None]:
    """Wall time of the oldest and the newest, by the hour where the hour is one row."""
    one = _asking(connection)

    def ends(end: str) -> Iterator[float]:
        for table, at, unit in (("sample", "at_ms", 1000), ("sample_hour", "at", 1)):
            # By series, as that is how the keys begin: a few thousand look-ups instead of a walk through every sample.
            asked = f"SELECT {end}((SELECT {end}({at}) FROM {table} WHERE series = series.id)) FROM series"  # noqa: S608  # constants
            if table in tables and (found := one(asked)) is not None:
                yield found / unit

    return min(ends("min"), default=None), max(ends("max"), default=None)


def _asking(connection: sqlite3.Connection) -> Callable[[str], Any]:
    return lambda sql: connection.execute(sql).fetchone()[0]


def _broken_rules(connection: sqlite3.Connection) -> Iterator[Finding]:
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}  # an old file has fewer
    yield from _broken_documents(connection, "incident", "closed", incident_from, lambda one: (one.id, one.closed))
    yield from _broken_documents(connection, "outbox", "incident", page_from, lambda page: (None, page.incident.id))
    if "human" in there:
        yield from _broken_documents(connection, "human", "incident", human_from, lambda human: (None, human.incident))
    beliefs = {belief.value for belief in Belief}
    for number, old, new in connection.execute("SELECT id, old, new FROM transition"):
        if not {old, new} <= beliefs:
            yield Finding("document", f"transition {number}: {old} {new}")
    for (series,) in connection.execute("SELECT DISTINCT series FROM sample WHERE series NOT IN (SELECT id FROM series)"):
        yield Finding("series", f"{series}")
    packed = [("sample_hour", "runs", unpack_hour), *((level.table, "records", decode) for level in LEVELS)]
    for table, column, read in packed:
        if table in there:
            yield from _broken_rows(connection, table, column, read)


def _broken_documents(
    connection: sqlite3.Connection, table: str, column: str, read: Callable[[str], Any], told: Callable[[Any], tuple[int | None, object]]
) -> Iterator[Finding]:
    """`told` gives what a document says of its own row's number, None for nothing, and of the column beside it."""
    for number, kept, document in connection.execute(f"SELECT id, {column}, document FROM {table}"):  # noqa: S608  # names from this file
        try:
            of_number, of_column = told(read(document))
        except Malformed as error:
            yield Finding("document", f"{table} {number}: {error}")
            continue
        if of_number not in {None, number} or of_column != kept:
            yield Finding("numbers", f"{table} {number}")


def _broken_rows(connection: sqlite3.Connection, table: str, column: str, read: Callable[[bytes], object]) -> Iterator[Finding]:
    for series, at, stored in connection.execute(f"SELECT series, at, {column} FROM {table}"):  # noqa: S608  # names from this file
        try:
            read(stored)
        except Malformed as error:
            yield Finding("document", f"{table} {series} {at}: {error}")
