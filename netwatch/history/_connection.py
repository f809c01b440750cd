"""A connection to SQLite and the one thread that may use it: aiosqlite's, asked once a transaction or chart.

aiosqlite's own methods change threads for every statement; here a whole piece of work is one change.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any, Self, TypeVar

import aiosqlite

__all__ = ["Connection"]

Answer = TypeVar("Answer")
CHUNK = 64  # aiosqlite wants one; nothing here iterates over its cursors


def _done(work: Callable[[sqlite3.Connection], Answer], connection: sqlite3.Connection) -> tuple[Answer | None, BaseException | None]:
    """An error raised through aiosqlite's future lives in a cycle with it, and with it an unfinished statement that blocks COMMIT."""
    try:
        return work(connection), None
    except BaseException as error:  # noqa: BLE001  # raised again by `call`
        return None, error


class Connection:
    """Close it, or its thread keeps the process alive. What is asked runs to its end also when the caller is cancelled."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, make: Callable[[], sqlite3.Connection]) -> Self:
        """Raises what `make` does, in the thread that is the connection's: sqlite3.Error."""
        connection: Any = aiosqlite.Connection(make, CHUNK)
        try:
            return cls(await connection)
        except BaseException:
            # Its thread says once more that it ends; to a loop that is closed by then it would complain.
            await asyncio.get_running_loop().run_in_executor(None, connection._thread.join)  # noqa: SLF001  # no public way to wait
            raise

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    @property
    def rows_changed(self) -> int:
        return self._connection.total_changes

    async def call(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """Raises what `work` does."""
        inner: Any = self._connection
        # Private, but there is no public way to more than one statement.
        answer, error = await inner._execute(_done, work, inner._conn)  # noqa: SLF001
        if error is not None:
            try:
                raise error
            finally:
                del error
        return answer  # type: ignore[no-any-return]  # what `work` gave

    async def close(self) -> None:
        """After all that was asked before; rolls back what is not committed. Safe to call twice."""
        await self._connection.close()
