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

from netwatch.history import _statements as statements
from netwatch.history._backups import Backups
from netwatch.history._file import backup
from netwatch.history._questions import Questions
from netwatch.history._reader import Counters, OutboxRow, Reader, Stored
from netwatch.history._restore import begin_anew
from netwatch.history._samples import Kinds, SampleBuffer
from netwatch.history._schema import DATABASE_NAME, HistoryFailed, HistoryRefused, lock_directory, prepare, refusal
from netwatch.history._task import Job, WriterTask
from netwatch.history._upkeep import Upkeep
from netwatch.history._writer import Connect, Statement, Writer
from netwatch.model import Effects, Sample

__all__ = ["History", "OutboxRow", "Stored"]


class History(Questions):
    """Everything that must outlive the process. Use `open`; run `run` in the daemon's TaskGroup; end with `close` (or
    `async with`), which must not be forgotten: the connections' threads would keep the process alive.

    While the disk refuses, `commit` raises, samples wait and then are dropped and counted, and the rest (transitions,
    incidents, memories, how pages ended) is kept and written when the disk takes it again; only the pages of a failed
    commit are the caller's, to deliver from memory.
    """

    def __init__(self, path: Path, lock: int, writer: Writer, reader: Reader, counters: Counters, queue_limit: int) -> None:
        self.path = path
        self._lock = lock
        self._writer = writer
        super().__init__(reader)
        self.set_aside: Path | None = None
        self._buffer = SampleBuffer(queue_limit, counters.known)
        self._task = WriterTask(path, writer, self._buffer, Upkeep(writer, self._buffer, counters.rolled_until))
        self._backups = Backups(path)
        self._transition_id = counters.transition
        self._outbox_id = counters.outbox
        self._human_id = counters.human
        self._running = False
        self._ended = asyncio.Event()

    @classmethod
    async def open(
        cls,
        directory: Path,
        *,
        queue_limit: int = 20_000,
        connect: Connect = sqlite3.connect,
        set_aside_at: float | None = None,
        former_sites: Mapping[str, str] | None = None,
    ) -> Self:
        """Takes the directory for this process, makes or migrates the file and checks it. Raises HistoryRefused.

        `queue_limit` is the number of samples that may wait. `connect` is for fault injection. With `set_aside_at`, the
        wall time, a damaged file is not refused but moved to the name in `set_aside`, and an empty one takes its place.
        `former_sites` are present site ids by former ones: what is stored of a former one is carried over.
        """
        path = directory / DATABASE_NAME
        async with contextlib.AsyncExitStack() as undo:
            lock = lock_directory(directory)
            undo.callback(os.close, lock)
            try:
                history = await cls._open(path, lock, queue_limit, connect, former_sites or {})
            except HistoryRefused as refused:
                if refused.code != "corrupt" or set_aside_at is None:
                    raise
                aside = await asyncio.to_thread(begin_anew, path, set_aside_at)
                history = await cls._open(path, lock, queue_limit, connect, {})
                history.set_aside = aside
            undo.pop_all()
            return history

    @classmethod
    async def _open(cls, path: Path, lock: int, queue_limit: int, connect: Connect, former_sites: Mapping[str, str]) -> Self:
        await asyncio.to_thread(prepare, path)
        async with contextlib.AsyncExitStack() as undo:
            try:
                writer = Writer(path, connect)
                undo.push_async_callback(writer.close)
                await writer.open()
                if former_sites:
                    await writer.transaction(statements.rename_sites(former_sites), durable=True)
                reader = await Reader.open(path)
                undo.push_async_callback(reader.close)
                await reader.stored()  # what cannot be read must show now, while the file can still be set aside
                history = cls(path, lock, writer, reader, await reader.counters(), queue_limit)
            except (sqlite3.Error, UnicodeDecodeError) as error:
                raise refusal(path, error) from error
            except HistoryFailed as failed:
                raise refusal(path, failed.__cause__) from failed
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
    def backup_error(self) -> str:
        """Why the last daily backup failed; empty when it did not."""
        return self._backups.error

    @property
    def backup_wall(self) -> float | None:
        """When the newest daily backup was made, be it before this start."""
        return self._backups.last_wall

    @property
    def backup_failures(self) -> int:
        return self._backups.failures

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
        if self._running:  # `close` came before this task began
            await self._ended.wait()
            return
        self._running = True
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._backups.run(lambda: self._task.last_wall))
                try:
                    await self._task.run()
                finally:
                    self._backups.stop()
        finally:
            async with contextlib.AsyncExitStack() as stack:
                stack.callback(self._ended.set)
                stack.callback(os.close, self._lock)
                stack.push_async_callback(self._writer.close)
                stack.push_async_callback(self._reader.close)

    async def close(self) -> None:
        """Writes what waits, gives the directory back. Safe to call twice, and without `run`."""
        self._task.stop()
        self._backups.stop()
        if self._running:
            await self._ended.wait()
        else:
            await self.run()

    def add_result(
        self, check_id: str, wall: float, outcome: str, duration_seconds: float, samples: Sequence[Sample], kinds: Kinds | None = None
    ) -> None:
        """Never blocks; on disk within a second or so. A full queue drops samples and counts them.

        `kinds` are the probe's metrics: each sample is kept as its metric says. Without them all are kept for 48 hours.
        """
        self._task.last_wall = wall + duration_seconds
        self._buffer.add(check_id, wall, outcome, duration_seconds, samples, kinds)

    async def commit(
        self,
        effects: Effects,
        memories: Mapping[str, str],
        wall: float,
        world_state: str | None = None,
    ) -> tuple[OutboxRow, ...]:
        """All of it on the disk when this returns, in one transaction; an empty memory forgets the check.

        `world_state` is the core's own memory, a text of its own making; None leaves the last one in force.
        Raises HistoryFailed: the pages are not stored, deliver them from memory; do not commit the rest again.
        """
        rows, stored = self.begin(effects, memories, wall, world_state)
        await stored
        return rows

    def begin(
        self,
        effects: Effects,
        memories: Mapping[str, str],
        wall: float,
        world_state: str | None = None,
    ) -> tuple[tuple[OutboxRow, ...], asyncio.Future[None]]:
        """`commit`, for a caller who may lose patience: its rows at once, and what ends as `commit` would. Raises HistoryFailed."""
        self._task.last_wall = wall
        kept = (
            statements.transitions(self._transition_id + 1, effects.transitions),
            *statements.incidents(effects.incidents),
            *statements.memories(memories),
            *statements.world(world_state),
            statements.humans(self._human_id + 1, effects.humans),
            *self._task.alive(wall),
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
        self._human_id += len(effects.humans)
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

    async def page_merged(self, row_id: int | None, into: str, wall: float) -> None:
        """Ends a row: the page `into` tells of it too. Raises HistoryFailed."""
        await self._submit_row(row_id, wall, lambda number: (statements.merged(number, into, wall),))

    async def keep_threads(self, incident: int, threads: Mapping[str, str], wall: float) -> None:
        """What pagers answered that a row was not addressed to. Raises HistoryFailed."""
        await self._submit_row(incident, wall, lambda number: (statements.threads(number, threads),))

    async def heartbeat(self, wall: float) -> None:
        """Says that we live; on disk with the next pass."""
        self._task.last_wall = wall

    async def flush(self) -> None:
        """Returns when all that waits is written. Raises HistoryFailed."""
        await self._task.submit(Job(whole_pass=True))

    async def rename_sites(self, former: Mapping[str, str]) -> None:
        """As `former_sites` of `open`, for a reload. Raises HistoryFailed; then it is done when the disk takes it again."""
        for old, new in former.items():
            self._buffer.rename(f"{old}/", f"{new}/")
        if former:
            await self._submit(statements.rename_sites(former))

    async def prune(self) -> tuple[int, int]:
        """Rolls up, deletes and frees at once what its turns would within the day, beside the writing.

        Bytes of the file before and after, its log aside. Raises HistoryFailed.
        """
        if self._task.last_wall is None:
            self._task.last_wall = (await self._reader.stored()).last_wall
        before = await self._reader.file_bytes()
        await self._task.prune()
        return before, await self._reader.file_bytes()

    async def backup(self, to: Path) -> None:
        """A copy of one moment, while writing goes on. Raises BackupRefused, OSError, HistoryRefused."""
        await asyncio.to_thread(backup, self.path, to)

    async def _submit_row(self, row_id: int | None, wall: float, write: Callable[[int], tuple[Statement, ...]]) -> None:
        self._task.last_wall = wall
        if row_id is not None:
            await self._submit(write(row_id))

    async def _submit(self, work: tuple[Statement, ...]) -> None:
        """For what may wait until the disk takes it again."""
        await self._task.submit(Job(work, work))
