"""The way back: from a copy, or from nothing."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from netwatch.history import _statements as statements
from netwatch.history._file import Finding, copy_file, findings
from netwatch.history._schema import DATABASE_NAME, lock_directory, prepare, set_aside, sync, unwritable

__all__ = ["Occupied", "Unsound", "begin_anew", "incident_number", "restore"]


class Occupied(Exception):
    """The directory holds a history already."""


class Unsound(Exception):
    """The copy is damaged: `findings` says where."""

    def __init__(self, found: list[Finding]) -> None:
        self.findings = found
        super().__init__(f"{found[0].rule}: {found[0].detail}")


def incident_number(wall: float) -> int:
    """A number that a file cannot have counted to yet: minutes since 2020."""
    return max(1, int(wall - 1_577_836_800) // 60)


def restore(file: Path, directory: Path, *, wall: float, force: bool = False) -> Path | None:
    """Puts a copy in force in a directory no daemon uses; returns where `force` has moved what was there.

    The number of the next incident leaps, since the pagers may know numbers the copy does not. Raises Occupied,
    Unsound, NoDatabase, HistoryRefused, HistoryFailed, OSError.
    """
    found = findings(file)
    if found:
        raise Unsound(found)
    lock = lock_directory(directory)
    try:
        target = directory / DATABASE_NAME
        unfinished = directory / f".{DATABASE_NAME}.{os.getpid()}"
        occupied = target.exists()
        if occupied and not force:
            raise Occupied(str(target))
        try:
            os.close(os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            copy_file(file, unfinished)
            _leap(unfinished, wall)
            sync(unfinished)
            aside = set_aside(target, wall, "before") if occupied or _leftover_log(target) else None
            unfinished.rename(target)
            sync(directory)
        finally:
            for ending in ("", "-wal", "-shm"):
                unfinished.with_name(unfinished.name + ending).unlink(missing_ok=True)
        return aside
    finally:
        os.close(lock)


def _leftover_log(target: Path) -> bool:
    """A log without its file would be played into the copy."""
    return target.with_name(f"{target.name}-wal").exists()


def _leap(path: Path, wall: float) -> None:
    prepare(path)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executemany(*statements.first_incident(incident_number(wall)))
        connection.execute("PRAGMA journal_mode=DELETE")


def begin_anew(path: Path, wall: float) -> Path:
    """Moves a damaged file aside and makes an empty one; returns where it lies. The lock must be held. Raises HistoryRefused."""
    try:
        aside = set_aside(path, wall, "corrupt")
        prepare(path)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.executemany(*statements.first_incident(incident_number(wall)))
    except (OSError, sqlite3.Error) as error:
        raise unwritable(path, str(error)) from error
    return aside
