"""History: what the daemon calls. One task writes; whoever calls may be cancelled at any time and harms nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import aiosqlite

from netwatch.history import _statements as statements
from netwatch.history._file import backup
from netwatch.history._reader import Counters, OutboxRow, Reader, Stored
from netwatch.history._samples import OUTCOME_METRIC, OUTCOMES, SampleBuffer
from netwatch.history._schema import DATABASE_NAME, HistoryFailed, lock_directory, prepare, unwritable
from netwatch.history._task import Job, WriterTask
from netwatch.history._writer import Connect, Statement, Writer
from netwatch.model import Effects, Incident, Outcome, Sample, Transition

__all__ = ["History", "OutboxRow", "Stored"]


class History:
    """Everything that must outlive the process.

    Use `open`; run `run` in the daemon's TaskGroup; end with `close` (or `async with`), which must not be forgotten: the
    connections' threads would keep the process alive.

    While the disk refuses, `commit` raises, samples wait and then are dropped and counted, and the rest (transitions,
    incidents, memories, how pages ended) is kept and written when the disk takes it again; only the pages of a failed
    commit are the caller's, to deliver from memory.
    """

    def __init__(self, path: Path, lock: int, writer: Writer, reader: Reader, counters: Counters, queue_limit: int) -> None:
        self.path = path
        self._lock = lock
        self._writer = writer
        self._reader = reader
        self._buffer = SampleBuffer(queue_limit, counters.series)
        self._task = WriterTask(path, writer, self._buffer)
        self._transition_id = counters.transition
        self._outbox_id = counters.outbox
        self._running = False
        self._ended = asyncio.Event()

    @classmethod
    async def open(cls, directory: Path, *, queue_limit: int = 20_000, connect: Connect = aiosqlite.connect) -> Self:
        """Takes the directory for this process, makes or migrates the file and checks it. Raises HistoryRefused.

        `queue_limit` is the number of samples that may wait. `connect` is for fault injection.
        """
        path = directory / DATABASE_NAME
        async with contextlib.AsyncExitStack() as undo:
            lock = lock_directory(directory)
            undo.callback(os.close, lock)
            await asyncio.to_thread(prepare, path)
            try:
                writer = Writer(path, connect)
                undo.push_async_callback(writer.close)
                await writer.open()
                reader = await Reader.open(path)
                undo.push_async_callback(reader.close)
                history = cls(path, lock, writer, reader, await reader.counters(), queue_limit)
            except (sqlite3.Error, HistoryFailed) as error:
                raise unwritable(path, str(error)) from error
            undo.pop_all()
            return history

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    @property
    def samples_dropped(self) -> int:
        return self._buffer.dropped

    @property
    def database_ok(self) -> bool:
        """Whether the disk took the last write."""
        return not self._task.error

    @property
    def database_error(self) -> str:
        return self._task.error

    @property
    def progress_at(self) -> float:
        """Monotonic, of the writer's last pass; a disk that refuses is progress, one that hangs is not."""
        return self._task.progress_at

    @property
    def database_bytes(self) -> int:
        """File and log together; 0 if they cannot be seen."""
        total = 0
        for name in (self.path, self.path.with_name(self.path.name + "-wal")):
            with contextlib.suppress(OSError):
                total += name.stat().st_size
        return total

    async def run(self) -> None:
        """The one task that writes; ends after `close`. Never cancel it while the program is to go on."""
        self._running = True
        try:
            await self._task.run()
        finally:
            async with contextlib.AsyncExitStack() as stack:
                stack.callback(self._ended.set)
                stack.callback(os.close, self._lock)
                stack.push_async_callback(self._writer.close)
                stack.push_async_callback(self._reader.close)

    async def close(self) -> None:
        """Writes what waits, gives the directory back. Safe to call twice, and without `run`."""
        self._task.stop()
        if self._running:
            await self._ended.wait()
        else:
            await self.run()

    def add_result(self, check_id: str, wall: float, outcome: str, duration_seconds: float, samples: Sequence[Sample]) -> None:
        """Never blocks; on disk within a second or so. A full queue drops samples and counts them."""
        self._task.last_wall = wall
        self._buffer.add(check_id, wall, outcome, duration_seconds, samples)

    async def commit(self, effects: Effects, memories: Mapping[str, str], wall: float) -> tuple[OutboxRow, ...]:
        """All of it on the disk when this returns, in one transaction; an empty memory forgets the check.

        Raises HistoryFailed: the pages are not stored, deliver them from memory; do not commit the rest again.
        """
        rows, stored = self.begin(effects, memories, wall)
        await stored
        return rows

    def begin(self, effects: Effects, memories: Mapping[str, str], wall: float) -> tuple[tuple[OutboxRow, ...], asyncio.Future[None]]:
        """`commit`, for a caller who may lose patience: its rows at once, and what ends as `commit` would. Raises HistoryFailed."""
        self._task.last_wall = wall
        kept = (
            statements.transitions(self._transition_id + 1, effects.transitions),
            *statements.incidents(effects.incidents),
            *statements.memories(memories),
            statements.alive(wall),
        )
        rows = tuple(
            OutboxRow(id=number, page=page, next_attempt_wall=wall) for number, page in enumerate(effects.pages, self._outbox_id + 1)
        )
        first = self._outbox_id + 1
        job = Job(
            (*kept, statements.pages(first, effects.pages, wall)),
            kept=(*kept, statements.unpaged(first, len(rows))),
        )
        stored = self._task.enqueue(job)
        self._transition_id += len(effects.transitions)
        self._outbox_id += len(rows)
        return rows, stored

    async def page_sent(self, row_id: int | None, thread: str, wall: float) -> None:
        """Ends a row: the pager took it. Nothing to do for a row that lives in memory only. Raises HistoryFailed."""
        await self._submit_row(row_id, wall, lambda number: statements.sent(number, thread, wall))

    async def page_refused(self, row_id: int | None, reason: str, wall: float) -> None:
        """Ends a row: the pager refused it for good. Raises HistoryFailed."""
        await self._submit_row(row_id, wall, lambda number: (statements.refused(number, reason, wall),))

    async def page_postponed(self, row_id: int | None, next_attempt_wall: float, error: str, wall: float) -> None:
        """Counts a failed attempt. Raises HistoryFailed."""
        await self._submit_row(row_id, wall, lambda number: (statements.postponed(number, next_attempt_wall, error),))

    async def heartbeat(self, wall: float) -> None:
        """Says that we live; on disk with the next pass."""
        self._task.last_wall = wall

    async def flush(self) -> None:
        """Returns when all that waits is written. Raises HistoryFailed."""
        await self._task.submit(Job(whole_pass=True))

    async def load(self) -> Stored:
        """What a start goes on from. Raises HistoryFailed, and HistoryRefused for a record this program cannot read."""
        return await self._reader.stored()

    async def transitions(
        self, *, site: str | None = None, check: str | None = None, since_wall: float = 0.0, limit: int = 1_000
    ) -> list[Transition]:
        """Newest first. Raises HistoryFailed."""
        return await self._reader.transitions(site=site, check=check, since_wall=since_wall, limit=limit)

    async def incidents(self, *, since_wall: float = 0.0, site: str | None = None, limit: int = 1_000) -> list[Incident]:
        """Those that were open at `since_wall` or later, newest first. Raises HistoryFailed."""
        return await self._reader.incidents(since_wall=since_wall, site=site, limit=limit)

    async def samples(
        self, check_id: str, metric: str, instance: str, since_wall: float, until_wall: float
    ) -> list[tuple[float, tuple[float, ...]]]:
        """Wall time and values, oldest first; both ends belong to it. Raw samples live 48 h. Raises HistoryFailed."""
        return await self._reader.samples((check_id, metric, instance), since_wall, until_wall)

    async def outcomes(self, check_id: str, since_wall: float, until_wall: float) -> list[tuple[float, Outcome, float]]:
        """Wall time, ending and duration of runs: every bad one, every change, and one of five minutes. Raises HistoryFailed."""
        rows = await self._reader.samples((check_id, OUTCOME_METRIC, ""), since_wall, until_wall)
        return [(wall, OUTCOMES[int(code)], duration) for wall, (code, duration) in rows]

    async def backup(self, to: Path) -> None:
        """A copy of one moment, while writing goes on. Raises BackupRefused, OSError, HistoryRefused."""
        await asyncio.to_thread(backup, self.path, to)

    async def _submit_row(self, row_id: int | None, wall: float, write: Callable[[int], tuple[Statement, ...]]) -> None:
        self._task.last_wall = wall
        if row_id is not None:
            work = write(row_id)
            await self._task.submit(Job(work, work))
