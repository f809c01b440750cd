"""The one connection that writes, and the only one that checkpoints."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from netwatch import crash_points
from netwatch.history._connection import Connection
from netwatch.history._schema import BUSY_MILLISECONDS, open_uri

__all__ = ["Connect", "Statement", "Writer"]

Statement: TypeAlias = tuple[str, Sequence[Sequence[object]]]  # SQL and the rows to run it with
Connect: TypeAlias = Callable[..., sqlite3.Connection]

CHECKPOINT_BYTES = 4 * 1024 * 1024
LOG_LIMIT_BYTES = 64 * 1024 * 1024
VACUUM_PAGES = 256


class Writer:
    """Only the writer task may call it, one call at a time; then nothing can be left half done."""

    def __init__(self, path: Path, connect: Connect = sqlite3.connect) -> None:
        self._path = path
        self._log = path.with_name(path.name + "-wal")
        self._connect = connect
        self._connection: Connection | None = None
        self._durable: bool | None = None

    @property
    def in_transaction(self) -> bool:
        return self._connection is not None and self._connection.in_transaction

    async def transaction(self, statements: Sequence[Statement], *, durable: bool) -> None:
        """All of it or nothing; `durable` waits for the disk. Raises sqlite3.Error, with no transaction left open."""
        connection = await self.open()
        try:
            await connection.call(partial(self._transact, statements, durable))
        finally:
            if connection.in_transaction:
                await self._abandon(connection)

    async def rows(self, sql: str, *values: object) -> list[Any]:
        """What the upkeep must read before it writes. Raises sqlite3.Error."""
        return await (await self.open()).call(lambda connection: connection.execute(sql, values).fetchall())

    @property
    def rows_changed(self) -> int:
        """By this connection, so far."""
        return 0 if self._connection is None else self._connection.rows_changed

    async def checkpoint(self, least_bytes: int = CHECKPOINT_BYTES) -> None:
        """Moves the log into the file once it has grown, without waiting for readers. Raises sqlite3.Error, OSError."""
        if self._log.exists() and self._log.stat().st_size >= least_bytes:
            crash_points.soon_after("during-checkpoint")
            await self.rows("PRAGMA wal_checkpoint(PASSIVE)")

    async def vacuum(self, keep_free_pages: int) -> bool:
        """Gives a little of the free space back to the file system; False once only a reserve is left. Raises sqlite3.Error."""
        ((free,),) = await self.rows("PRAGMA freelist_count")
        if free <= keep_free_pages:
            return False
        # A script, because `execute` would step this rowless statement once: one page.
        await (await self.open()).call(lambda connection: connection.executescript(f"PRAGMA incremental_vacuum({VACUUM_PAGES})"))
        return True

    async def open(self) -> Connection:
        """The connection, made again if the last one had to be given up. Raises sqlite3.Error."""
        if self._connection is None:
            self._connection = await Connection.open(self._made)
            self._durable = None
        return self._connection

    async def close(self) -> None:
        """Rolls back what a cancelled task left; safe to call twice."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    def _made(self) -> sqlite3.Connection:
        connection = self._connect(open_uri(self._path, "rw"), uri=True, isolation_level=None, timeout=BUSY_MILLISECONDS / 1000)
        try:
            connection.execute("PRAGMA trusted_schema=OFF")
            connection.execute("PRAGMA wal_autocheckpoint=0")  # a commit that pages wait for never pays for a checkpoint
            connection.execute(f"PRAGMA journal_size_limit={LOG_LIMIT_BYTES}").fetchall()
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _transact(self, statements: Sequence[Statement], durable: bool, connection: sqlite3.Connection) -> None:
        if durable is not self._durable:
            connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._durable = durable
        connection.execute("BEGIN IMMEDIATE")
        for sql, rows in statements:
            if rows:
                connection.executemany(sql, rows)
        if durable:
            crash_points.reached("in-commit")
        connection.execute("COMMIT")

    async def _abandon(self, connection: Connection) -> None:
        with contextlib.suppress(sqlite3.Error):
            await connection.call(lambda inner: inner.execute("ROLLBACK"))
        if connection.in_transaction:
            await self.close()
