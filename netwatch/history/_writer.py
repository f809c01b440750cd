"""The one connection that writes, and the only one that checkpoints."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import aiosqlite

from netwatch.history._schema import BUSY_MILLISECONDS, open_uri

__all__ = ["Connect", "Statement", "Writer"]

Statement: TypeAlias = tuple[str, Sequence[Sequence[object]]]  # SQL and the rows to run it with
Connect: TypeAlias = Callable[..., aiosqlite.Connection]

CHECKPOINT_BYTES = 4 * 1024 * 1024
LOG_LIMIT_BYTES = 64 * 1024 * 1024
ROWS_PER_CALL = 2_000  # bounds how long one call keeps the connection's thread
VACUUM_PAGES = 256


class Writer:
    """Only the writer task may call it, one call at a time; then nothing can be left half done."""

    def __init__(self, path: Path, connect: Connect = aiosqlite.connect) -> None:
        self._path = path
        self._log = path.with_name(path.name + "-wal")
        self._connect = connect
        self._connection: aiosqlite.Connection | None = None
        self._durable: bool | None = None

    @property
    def in_transaction(self) -> bool:
        return self._connection is not None and self._connection.in_transaction

    async def transaction(self, statements: Sequence[Statement], *, durable: bool) -> None:
        """All of it or nothing; `durable` waits for the disk. Raises sqlite3.Error, with no transaction left open."""
        connection = await self.open()
        try:
            if durable is not self._durable:
                await connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
                self._durable = durable
            await connection.execute("BEGIN IMMEDIATE")
            for sql, rows in statements:
                for start in range(0, len(rows), ROWS_PER_CALL):
                    await connection.executemany(sql, rows[start : start + ROWS_PER_CALL])
            await connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                await self._abandon(connection)

    async def rows(self, sql: str, *values: object) -> list[Any]:
        """What the upkeep must read before it writes. Raises sqlite3.Error."""
        return list(await (await self.open()).execute_fetchall(sql, values))

    @property
    def rows_changed(self) -> int:
        """By this connection, so far."""
        return 0 if self._connection is None else self._connection.total_changes

    async def checkpoint(self, least_bytes: int = CHECKPOINT_BYTES) -> None:
        """Moves the log into the file once it has grown, without waiting for readers. Raises sqlite3.Error, OSError."""
        if self._log.exists() and self._log.stat().st_size >= least_bytes:
            connection = await self.open()
            await connection.execute_fetchall("PRAGMA wal_checkpoint(PASSIVE)")

    async def vacuum(self, keep_free_pages: int) -> bool:
        """Gives a little of the free space back to the file system; False once only a reserve is left. Raises sqlite3.Error."""
        connection = await self.open()
        ((free,),) = await connection.execute_fetchall("PRAGMA freelist_count")
        if free <= keep_free_pages:
            return False
        # A script, because `execute` would step this rowless statement once: one page.
        await connection.executescript(f"PRAGMA incremental_vacuum({VACUUM_PAGES})")
        return True

    async def open(self) -> aiosqlite.Connection:
        """The connection, made again if the last one had to be given up. Raises sqlite3.Error."""
        if self._connection is not None:
            return self._connection
        connection = await self._connect(open_uri(self._path, "rw"), uri=True, isolation_level=None, timeout=BUSY_MILLISECONDS / 1000)
        try:
            await connection.execute("PRAGMA trusted_schema=OFF")
            await connection.execute("PRAGMA wal_autocheckpoint=0")  # a commit that pages wait for never pays for a checkpoint
            await connection.execute_fetchall(f"PRAGMA journal_size_limit={LOG_LIMIT_BYTES}")
        except sqlite3.Error:
            await connection.close()
            raise
        self._connection = connection
        self._durable = None
        return connection

    async def close(self) -> None:
        """Rolls back what a cancelled task left; safe to call twice."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _abandon(self, connection: aiosqlite.Connection) -> None:
        with contextlib.suppress(sqlite3.Error):
            await connection.execute("ROLLBACK")
        if connection.in_transaction:
            await self.close()
