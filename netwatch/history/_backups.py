"""A copy of the file every day, beside the writing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import sqlite3
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from netwatch.history._schema import DATABASE_NAME, HistoryFailed, HistoryRefused, open_uri, prepare, sync

__all__ = ["BACKUPS_KEPT", "Backups"]

log = logging.getLogger(__name__)

BACKUP_DIRECTORY = "backups"
BACKUPS_KEPT = 5
LOOK_SECONDS = 600.0
DAY_SECONDS = 86_400.0
FREE_TIMES = 2  # a backup must never be what fills the disk
STEPS_A_LOOK = 100_000
STAMP = "%Y%m%dT%H%M%SZ"
# Samples stay out: they live for 48 hours anyway, and are half of the file.
COPIED = (
    "meta",
    "life",
    "series",
    "rollup_5m",
    "rollup_1h",
    "change",
    "memory",
    "transition",
    "incident",
    "incident_site",
    "outbox",
    "thread",
    "world",
    "human",
)


class Backups:
    """One a day in `backups/`, the newest few of them. `make` runs in a thread of its own and ends soon after `stop`."""

    def __init__(self, path: Path) -> None:
        self.error = ""  # why the last one failed
        self.failures = 0
        self._path = path
        self._directory = path.parent / BACKUP_DIRECTORY
        self.last_wall = self._newest()
        self._stopped = threading.Event()
        self._wake = asyncio.Event()

    async def run(self, wall: Callable[[], float | None]) -> None:
        """Looks now and then, the first time after a while, until `stop`; `wall` may not be known yet."""
        while not self._stopped.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._wake.wait()
            now = wall()
            if self._stopped.is_set() or now is None or not self.due(now):
                continue
            try:
                await asyncio.to_thread(self.make, now)
                self.error = ""
            except (HistoryFailed, HistoryRefused, OSError) as error:
                self.error = str(error)
                if not self._stopped.is_set():
                    self.failures += 1
                    log.error("no backup of the history", extra={"error": self.error})

    def due(self, wall: float) -> bool:
        """A day after the newest, by the clock in their names."""
        newest = self._newest()
        return newest is None or abs(wall - newest) >= DAY_SECONDS

    def make(self, wall: float) -> Path:
        """Raises HistoryFailed, OSError, HistoryRefused."""
        self._directory.mkdir(mode=0o700, exist_ok=True)
        for unfinished in self._directory.glob(f".{DATABASE_NAME}-*"):
            unfinished.unlink()
        size = self._path.stat().st_size
        if shutil.disk_usage(self._directory).free < FREE_TIMES * size:
            raise HistoryFailed(f"{self._directory}: no backup, less than {FREE_TIMES * size} bytes are free")
        name = f"{DATABASE_NAME}-{datetime.fromtimestamp(wall, UTC).strftime(STAMP)}"
        unfinished = self._directory / f".{name}"
        try:
            prepare(unfinished)
            self._fill(unfinished)
            sync(unfinished)
        except sqlite3.Error as error:
            unfinished.unlink(missing_ok=True)
            raise HistoryFailed(f"{unfinished}: {error}") from error
        made = unfinished.rename(self._directory / name)
        sync(self._directory)
        self.last_wall = wall
        for file in sorted(self._files())[:-BACKUPS_KEPT]:
            file.unlink()
        return made

    def stop(self) -> None:
        """From the loop's thread."""
        self._stopped.set()
        self._wake.set()

    def _fill(self, unfinished: Path) -> None:
        with contextlib.closing(sqlite3.connect(open_uri(unfinished, "rw"), uri=True, isolation_level=None)) as copy:
            copy.set_progress_handler(lambda: int(self._stopped.is_set()), STEPS_A_LOOK)
            copy.execute("PRAGMA synchronous=OFF")  # synced as a whole before it gets its name
            copy.execute("PRAGMA journal_mode=DELETE")
            copy.execute("ATTACH ? AS source", (open_uri(self._path, "ro"),))
            copy.execute("BEGIN")
            for table in COPIED:
                copy.execute(f"DELETE FROM main.{table}")  # noqa: S608  # names from this file
                copy.execute(f"INSERT INTO main.{table} SELECT * FROM source.{table}")  # noqa: S608  # names from this file
            copy.execute("COMMIT")

    def _newest(self) -> float | None:
        return max((stamp for file in self._files() if (stamp := _stamp(file)) is not None), default=None)

    def _files(self) -> list[Path]:
        return [file for file in self._directory.glob(f"{DATABASE_NAME}-*") if _stamp(file) is not None]


def _stamp(file: Path) -> float | None:
    try:
        return datetime.strptime(file.name.removeprefix(f"{DATABASE_NAME}-"), STAMP).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
