"""What the command line does with the history itself: where no daemon runs, or beside one."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

from netwatch.history._file import readable
from netwatch.history._history import History
from netwatch.history._questions import Questions
from netwatch.history._reader import Reader
from netwatch.history._schema import HistoryFailed, refusal

__all__ = ["beside", "prune_alone"]


@contextlib.asynccontextmanager
async def beside(path: Path) -> AsyncIterator[Questions]:
    """What may be asked of a file that a daemon may be writing. Raises NoDatabase, HistoryRefused, HistoryFailed."""
    await asyncio.to_thread(readable, path)
    try:
        reader = await Reader.open(path)
    except sqlite3.Error as error:
        raise refusal(path, error) from error
    try:
        yield Questions(reader)
    finally:
        await reader.close()


def prune_alone(path: Path) -> tuple[int, int]:
    """Prunes where no daemon runs; bytes before and after. Raises HistoryRefused, HistoryFailed."""

    async def work() -> tuple[int, int]:
        history = await History.open(path.parent)
        async with asyncio.TaskGroup() as group:
            group.create_task(history.run())
            try:
                return await history.prune()
            finally:
                await history.close()

    try:
        return asyncio.run(work())
    except* HistoryFailed as failures:
        raise failures.exceptions[0] from None
