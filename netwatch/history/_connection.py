"""A connection to SQLite and the one thread that may use it. Whatever is asked of it is one change of threads."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Self, TypeVar

__all__ = ["Connection"]

Answer = TypeVar("Answer")


class Connection:
    """Close it, or its thread keeps the process alive. What is asked runs to its end also when the caller is cancelled."""

    def __init__(self, thread: ThreadPoolExecutor, connection: sqlite3.Connection) -> None:
        self._thread = thread
        self._connection = connection

    @classmethod
    async def open(cls, make: Callable[[], sqlite3.Connection]) -> Self:
        """Raises what `make` does, of its own thread: sqlite3.Error."""
        thread = ThreadPoolExecutor(1, "history")
        with contextlib.ExitStack() as undo:
            undo.callback(thread.shutdown, wait=False)
            connection = await asyncio.get_running_loop().run_in_executor(thread, make)
            undo.pop_all()
        return cls(thread, connection)

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    @property
    def rows_changed(self) -> int:
        return self._connection.total_changes

    async def call(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """Raises what `work` does."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, self._connection)

    async def close(self) -> None:
        """After all that was asked before; rolls back what is not committed. Safe to call twice."""
        with contextlib.suppress(RuntimeError):  # closed already
            closed = asyncio.get_running_loop().run_in_executor(self._thread, self._connection.close)
            self._thread.shutdown(wait=False)
            await closed
