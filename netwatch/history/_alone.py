"""What the command line does with the history where no daemon runs."""

from __future__ import annotations

import asyncio
from pathlib import Path

from netwatch.history._history import History
from netwatch.history._schema import HistoryFailed

__all__ = ["prune_alone"]


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
