"""The tables, how a file gets them, and what refuses to start."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from netwatch import crash_points

__all__ = [
    "APPLICATION_ID",
    "DATABASE_NAME",
    "MIGRATIONS",
    "HistoryFailed",
    "HistoryRefused",
    "corrupt",
    "lock_directory",
    "migrate",
    "newer",
    "open_uri",
    "prepare",
    "reading",
    "refusal",
    "set_aside",
    "sync",
    "unwritable",
]

DATABASE_NAME = "netwatch.db"
LOCK_NAME = "lock"
APPLICATION_ID = 0x4E574831  # "NWH1": tells our file from any other SQLite file
BUSY_MILLISECONDS = 3_000
WHOLE_CHECK_BYTES = 256 * 1024 * 1024

OF_THE_SYSTEM = frozenset(
    {
        sqlite3.SQLITE_AUTH,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOLFS,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)
ADVICE = {
    "locked": "{path}: another netwatch ({detail}) keeps its history here; stop it, or use another directory",
    "corrupt": "{path}: damaged ({detail}). At its next start netwatch moves it aside by itself and goes on with an empty one;"
    " `netwatch restore` puts a backup in force",
    "foreign": "{path}: not a netwatch database; it is left alone, use another directory",
    "newer": "{path}: {detail}, written by a newer netwatch; install that version again, or use another directory",
    "unwritable": "{path}: {detail}; check the owner, the permissions and the free space",
}

# One script a schema version, never altered once released; each runs in one transaction with its version number.
# `sample.value` is a number, float32s for a train, NULL for NaN; REAL affinity keeps 1.0 as one byte. Metric '' is
# how runs ended (_samples.py). `thread` is not in `outbox`: it belongs to the incident and outlives the row.
# 2: `series.keep` is Metric.keep, '' where nobody said; `records` is _rollup.py's; `change` holds what Metric.keep calls
# changes; `life` is when netwatch watched, one row a process.
# 3: `world` is the core's own memory, one row; `human` is what people did, only ever added to.
# 4: `sample_hour.runs` is _hours.py's: the samples of an hour that is over.
MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
    CREATE TABLE series (id INTEGER PRIMARY KEY, check_id TEXT NOT NULL, metric TEXT NOT NULL, instance TEXT NOT NULL);
    CREATE UNIQUE INDEX series_name ON series (check_id, metric, instance);
    CREATE TABLE sample (
        series INTEGER NOT NULL, at_ms INTEGER NOT NULL, value REAL, PRIMARY KEY (series, at_ms)
    ) WITHOUT ROWID;
    CREATE TABLE memory (check_id TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE transition (
        id INTEGER PRIMARY KEY, site TEXT NOT NULL, check_id TEXT NOT NULL, rule TEXT NOT NULL, instance TEXT NOT NULL,
        old TEXT NOT NULL, new TEXT NOT NULL, hard INTEGER NOT NULL, wall REAL NOT NULL, since REAL NOT NULL,
        code TEXT NOT NULL, detail TEXT NOT NULL
    );
    CREATE INDEX transition_wall ON transition (wall);
    CREATE INDEX transition_site ON transition (site, wall);
    CREATE INDEX transition_check ON transition (check_id, wall);
    CREATE TABLE incident (
        id INTEGER PRIMARY KEY, key TEXT NOT NULL, opened REAL NOT NULL, closed REAL, document TEXT NOT NULL
    );
    CREATE INDEX incident_closed ON incident (closed);
    CREATE TABLE incident_site (site TEXT NOT NULL, incident INTEGER NOT NULL, PRIMARY KEY (site, incident)) WITHOUT ROWID;
    CREATE TABLE outbox (
        id INTEGER PRIMARY KEY, incident INTEGER NOT NULL, pager TEXT NOT NULL, document TEXT NOT NULL, created REAL NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0, next_attempt REAL NOT NULL, error TEXT NOT NULL DEFAULT '',
        ended REAL, ending TEXT CHECK (ending IN ('sent', 'refused')), CHECK ((ended IS NULL) = (ending IS NULL))
    );
    CREATE INDEX outbox_pending ON outbox (id) WHERE ended IS NULL;
    CREATE TABLE thread (
        incident INTEGER NOT NULL, pager TEXT NOT NULL, thread TEXT NOT NULL, PRIMARY KEY (incident, pager)
    ) WITHOUT ROWID
    """,
    """
    ALTER TABLE series ADD COLUMN keep TEXT NOT NULL DEFAULT '';
    CREATE TABLE rollup_5m (
        series INTEGER NOT NULL, at INTEGER NOT NULL, records BLOB NOT NULL, PRIMARY KEY (series, at)
    ) WITHOUT ROWID;
    CREATE TABLE rollup_1h (
        series INTEGER NOT NULL, at INTEGER NOT NULL, records BLOB NOT NULL, PRIMARY KEY (series, at)
    ) WITHOUT ROWID;
    CREATE TABLE change (
        series INTEGER NOT NULL, at_ms INTEGER NOT NULL, value REAL, PRIMARY KEY (series, at_ms)
    ) WITHOUT ROWID;
    CREATE TABLE life (began REAL PRIMARY KEY, ended REAL NOT NULL) WITHOUT ROWID;
    INSERT INTO life (began, ended)
        SELECT min(wall, (SELECT value FROM meta WHERE key = 'last_wall')), (SELECT value FROM meta WHERE key = 'last_wall')
        FROM (SELECT min(wall) AS wall FROM transition) WHERE wall IS NOT NULL AND EXISTS (SELECT 1 FROM meta WHERE key = 'last_wall')
    """,
    """
    CREATE TABLE world (number INTEGER PRIMARY KEY CHECK (number = 1), document TEXT NOT NULL);
    CREATE TABLE human (id INTEGER PRIMARY KEY, wall REAL NOT NULL, incident INTEGER NOT NULL, document TEXT NOT NULL);
    CREATE INDEX human_wall ON human (wall)
    """,
    """
    CREATE TABLE sample_hour (
        series INTEGER NOT NULL, at INTEGER NOT NULL, runs BLOB NOT NULL, PRIMARY KEY (series, at)
    ) WITHOUT ROWID
    """,
)
BULKY = frozenset({"sample", "sample_hour", "rollup_5m", "rollup_1h"})  # what a start has no time to read through


class HistoryRefused(Exception):
    """History cannot be opened. The message says what to do; `db.refused_<code>` says it in every language."""

    def __init__(self, code: Literal["locked", "corrupt", "foreign", "newer", "unwritable"], path: Path, detail: str) -> None:
        self.code = code
        self.path = path
        self.detail = detail
        super().__init__(ADVICE[code].format(path=path, name=path.name, detail=detail))


class HistoryFailed(Exception):
    """The disk did not take it, or could not be read: full, an I/O error, locked. Nothing was half-written."""


def open_uri(path: Path, mode: Literal["ro", "rw", "rwc"]) -> str:
    """SQLite's file name with a mode. `ro` never checkpoints, even as the last one to close."""
    return f"{path.resolve().as_uri()}?mode={mode}"


@contextlib.contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A read-only connection of the caller's thread; works beside a running daemon. Raises sqlite3.Error."""
    with contextlib.closing(
        sqlite3.connect(open_uri(path, "ro"), uri=True, isolation_level=None, timeout=BUSY_MILLISECONDS / 1000)
    ) as found:
        found.execute("PRAGMA query_only=1")
        found.execute("PRAGMA trusted_schema=OFF")
        yield found


def lock_directory(directory: Path) -> int:
    """Makes the directory and takes it for this process; close the descriptor to give it back. Raises HistoryRefused."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(directory / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise unwritable(directory, error.strerror or str(error)) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise HistoryRefused("locked", directory, f"pid {owner}") from error
    with contextlib.suppress(OSError):  # the number only helps people; a full disk must not stop the watching
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor


def prepare(path: Path, migrations: Sequence[str] = MIGRATIONS) -> None:
    """Makes the file or brings it up to date, and checks it. The directory's lock must be held. Raises HistoryRefused."""
    try:
        # Not through SQLite, which would give the file the umask's mode. No connection is open yet: closing any
        # descriptor of the file would drop this process's POSIX locks on it (sqlite.org/howtocorrupt.html §2.2).
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        with contextlib.closing(
            sqlite3.connect(open_uri(path, "rw"), uri=True, isolation_level=None, timeout=BUSY_MILLISECONDS / 1000)
        ) as connection:
            _refuse_foreign(connection, path, len(migrations))
            connection.execute("PRAGMA trusted_schema=OFF")
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")  # counts only before the first page is written
            if connection.execute("PRAGMA journal_mode=WAL").fetchone()[0] != "wal":
                raise unwritable(path, "this file system cannot hold SQLite's WAL; use a local disk")
            _refuse_damaged(connection, path)
            connection.execute("PRAGMA synchronous=FULL")
            migrate(connection, migrations)
    except OSError as error:
        raise unwritable(path, error.strerror or str(error)) from error
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise refusal(path, error) from error


def migrate(connection: sqlite3.Connection, migrations: Sequence[str]) -> None:
    """Runs the steps the file has not seen, each in one transaction; killed at any point, the next start goes on from there."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    for number, script in enumerate(migrations[version:], version + 1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in script.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={number}")
            crash_points.reached("in-migration")
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")


def _refuse_foreign(connection: sqlite3.Connection, path: Path, newest: int) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    empty = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0
    if application != APPLICATION_ID and not (empty and application == 0 and version == 0):
        raise HistoryRefused("foreign", path, f"application id {application:#x}")
    if version > newest:
        raise newer(path, version)


def _refuse_damaged(connection: sqlite3.Connection, path: Path) -> None:
    """Reads the whole file while that is quick (0.2 GB a second from memory); a large one without the samples."""
    subjects = ["1"]
    if path.stat().st_size > WHOLE_CHECK_BYTES:
        tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        subjects = [f'"{name}"' for (name,) in tables if name not in BULKY]
    for subject in subjects:
        problem = connection.execute(f"PRAGMA quick_check({subject})").fetchone()[0]
        if problem != "ok":
            raise corrupt(path, str(problem))


def set_aside(path: Path, wall: float, word: str) -> Path:
    """Gives the file a name of its time that is still free, and returns it. The directory's lock must be held. Raises OSError.

    The log goes first: a log that outlives its file would be played into the next one.
    """
    stamp = datetime.fromtimestamp(wall, UTC).strftime("%Y%m%dT%H%M%SZ")
    endings = itertools.chain([""], (f".{count}" for count in itertools.count(1)))
    names = (path.with_name(f"{path.name}.{word}-{stamp}{ending}") for ending in endings)
    aside = next(name for name in names if not name.exists())
    for ending in ("-wal", "-shm", ""):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + ending).rename(aside.with_name(aside.name + ending))
    sync(path.parent)
    return aside


def sync(path: Path) -> None:
    """What was written, or renamed in the directory, is on the disk when this returns."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def refusal(path: Path, error: BaseException | None) -> HistoryRefused:
    """What an error at opening means: the disk's or the system's fault, or else the file's, which may lack a table."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # from Python's own half of the module
        undecodable = isinstance(error, UnicodeDecodeError) or str(error).startswith("Could not decode")
        return corrupt(path, str(error)) if undecodable else unwritable(path, str(error))
    return unwritable(path, str(error)) if code & 0xFF in OF_THE_SYSTEM else corrupt(path, str(error))


def newer(path: Path, version: int) -> HistoryRefused:
    return HistoryRefused("newer", path, f"schema {version}, known here: {len(MIGRATIONS)}")


def corrupt(path: Path, detail: str) -> HistoryRefused:
    return HistoryRefused("corrupt", path, detail)


def unwritable(path: Path, detail: str) -> HistoryRefused:
    return HistoryRefused("unwritable", path, detail)
