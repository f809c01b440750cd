"""From decisions to the disk, in order and before anything is sent. What came together is written together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from netwatch import crash_points
from netwatch.history import HistoryFailed, OutboxRow
from netwatch.model import Effects, LineVerdict

__all__ = ["Commits"]

log = logging.getLogger(__name__)

AT_A_TIME = 200  # a province that fails at once costs a few syncs of the disk, not a thousand
PATIENCE_SECONDS = 3.0


class Storage(Protocol):
    """What is asked of History."""

    def begin(
        self, effects: Effects, memories: Mapping[str, str], wall: float, world_state: str | None
    ) -> tuple[tuple[OutboxRow, ...], asyncio.Future[None]]: ...


class Commits:
    """Works from `run` to `stop`. If the disk refuses or hangs, what must be sent goes from memory (ADR 0004).

    `recorded` is awaited before anything that verdicts about lines came with is written. `written` is told what may be sent now; `announce` is awaited before each writing; `remembered` is what else the core
    must not forget, asked for once a transaction.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        wall: Callable[[], float],
        announce: Callable[[], Awaitable[None]],
        written: Callable[[Sequence[OutboxRow], Effects], None],
        remembered: Callable[[], str | None] = lambda: None,
        recorded: Callable[[Sequence[LineVerdict]], Awaitable[None]] | None = None,
    ) -> None:
        self._storage = storage
        self._remembered = remembered
        self._recorded = recorded
        self._wall = wall
        self._announce = announce
        self._written = written
        self._waiting: asyncio.Queue[tuple[Effects, Mapping[str, str]] | None] = asyncio.Queue()
        self._hangs = False

    def put(self, effects: Effects, memories: Mapping[str, str]) -> None:
        """`memories` are those that the effects changed, as they were just then; an empty text forgets a check."""
        if effects or memories:
            self._waiting.put_nowait((effects, memories))

    def stop(self) -> None:
        """`run` ends when all that was put before is written."""
        self._waiting.put_nowait(None)

    async def run(self) -> None:
        ended = False
        while not ended:
            one = await self._waiting.get()
            together = []
            while one is not None:
                together.append(one)
                if len(together) == AT_A_TIME or self._waiting.empty():
                    break
                one = self._waiting.get_nowait()
            ended = one is None
            if together:
                await self._announce()
                await self._store(*_merged(together))

    async def _store(self, effects: Effects, memories: Mapping[str, str]) -> None:
        if effects.verdicts and self._recorded is not None:
            await self._recorded(effects.verdicts)
        if effects.pages:
            crash_points.reached("before-commit")
        try:
            rows, stored = self._storage.begin(effects, memories, self._wall(), self._remembered() if effects else None)
        except HistoryFailed as failure:
            self._send_from_memory(effects, failure)
            return
        stored.add_done_callback(self._answered)
        if not self._hangs:
            await asyncio.wait([stored], timeout=PATIENCE_SECONDS)
        if not stored.done():
            if not self._hangs:
                log.error("the disk hangs; pages do not wait for it")
            self._hangs = True
        elif (failed := stored.exception()) is not None:
            self._send_from_memory(effects, failed)
            return
        if rows:
            crash_points.reached("after-commit")
        self._written(rows, effects)

    def _answered(self, stored: asyncio.Future[None]) -> None:
        """The disk said something, be it yes or no."""
        self._hangs = False
        if not stored.cancelled():
            stored.exception()  # asked for, or asyncio would complain that nobody did

    def _send_from_memory(self, effects: Effects, failure: BaseException) -> None:
        log.error("history cannot be written; pages go from memory", extra={"error": str(failure)})
        self._written(tuple(OutboxRow(id=None, page=page) for page in effects.pages), effects)


def _merged(together: Sequence[tuple[Effects, Mapping[str, str]]]) -> tuple[Effects, Mapping[str, str]]:
    """One transaction for all: of an incident or a memory that changed twice, the last."""
    first, memories = together[0]
    if len(together) == 1:
        return first, memories
    incidents = {incident.id: incident for effects, _ in together for incident in effects.incidents}
    merged = replace(
        first,
        transitions=tuple(transition for effects, _ in together for transition in effects.transitions),
        incidents=tuple(incidents.values()),
        pages=tuple(page for effects, _ in together for page in effects.pages),
        requests=(),
        humans=tuple(human for effects, _ in together for human in effects.humans),
        verdicts=tuple(verdict for effects, _ in together for verdict in effects.verdicts),
    )
    return merged, {check: text for _, known in together for check, text in known.items()}
