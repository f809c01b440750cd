"""The one task that writes: durable jobs at once, samples once a second, the upkeep of the file in between."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from netwatch.history import _statements as statements
from netwatch.history._samples import SampleBuffer
from netwatch.history._schema import HistoryFailed
from netwatch.history._upkeep import Upkeep
from netwatch.history._writer import Statement, Writer

__all__ = ["Job", "WriterTask"]

PASS_SECONDS = 1.0
BACKLOG_ROWS = 100_000
GAP_SECONDS = 120.0  # no sign of life for so long is a time without watching


@dataclass(slots=True)
class Job:
    """One durable transaction, and what of it is kept for later if the disk refuses."""

    statements: tuple[Statement, ...] = ()
    kept: tuple[Statement, ...] = ()
    whole_pass: bool = False
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class WriterTask:
    """`error` is of the last write, empty when the disk took it; `progress_at` is monotonic, of the last pass, also one the disk refused."""

    def __init__(self, path: Path, writer: Writer, buffer: SampleBuffer, upkeep: Upkeep) -> None:
        self.error = ""
        self.progress_at = asyncio.get_running_loop().time()
        self.last_wall: float | None = None
        self.closing = False
        self._path = path
        self._writer = writer
        self._buffer = buffer
        self._upkeep = upkeep
        self._pruned: list[asyncio.Future[None]] = []
        self._began: float | None = None
        self._alive_wall = 0.0
        self._jobs: deque[Job] = deque()
        self._backlog: deque[Statement] = deque()
        self._wake = asyncio.Event()
        self._stored_wall: float | None = None

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        try:
            while self._jobs or not self.closing:
                if loop.time() >= due:
                    await self._pass()
                    due = max(due + PASS_SECONDS, loop.time())
                elif self._jobs:
                    await self._do(self._jobs[0])
                    self._jobs.popleft()
                elif not await self._upkeep_portion():
                    await self._wait_until(due)
            await self._pass()
        finally:
            self.stop()
            for future in (*(job.done for job in self._jobs), *self._pruned):
                if not future.done():
                    future.set_exception(HistoryFailed(f"{self._path}: closed"))

    def stop(self) -> None:
        """Nothing more is taken; `run` ends when what it has is done."""
        self.closing = True
        self._wake.set()

    def enqueue(self, job: Job) -> asyncio.Future[None]:
        """What ends when the job has. Raises HistoryFailed when nothing more is taken."""
        if self.closing:
            raise HistoryFailed(f"{self._path}: closed")
        self._jobs.append(job)
        self._wake.set()
        return job.done

    async def submit(self, job: Job) -> None:
        """The job is done whether or not the caller is still there by then. Raises HistoryFailed."""
        await self.enqueue(job)

    async def prune(self) -> None:
        """Returns when no upkeep is due any more; writing goes on meanwhile. Raises HistoryFailed."""
        if self.closing:
            raise HistoryFailed(f"{self._path}: closed")
        self._upkeep.everything()
        done = asyncio.get_running_loop().create_future()
        self._pruned.append(done)
        self._wake.set()
        await done

    async def _upkeep_portion(self) -> bool:
        failure = ""
        try:
            if await self._upkeep.portion(self.last_wall):
                return True
            if self._pruned:
                await self._writer.checkpoint(1)
        except (sqlite3.Error, OSError) as error:
            failure = self.error = f"{error}"
        for done in self._pruned:
            if failure and not done.done():
                done.set_exception(HistoryFailed(f"{self._path}: {failure}"))
            elif not done.done():
                done.set_result(None)
        self._pruned.clear()
        return False

    async def _wait_until(self, due: float) -> None:
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(due):
                await self._wake.wait()

    async def _do(self, job: Job) -> None:
        if job.whole_pass:
            await self._pass()
            failure = self.error
        else:
            failure = await self._store(job)
        if job.done.done():  # the caller was cancelled
            return
        if failure:
            job.done.set_exception(HistoryFailed(f"{self._path}: {failure}"))
        else:
            job.done.set_result(None)

    async def _store(self, job: Job) -> str:
        failure = ""
        for _attempt in range(2):  # the second on a fresh connection, if the first had to be given up
            try:
                await self._writer.transaction([*self._backlog, *job.statements], durable=True)
            except sqlite3.Error as error:
                failure = f"{error}"
            else:
                self._backlog.clear()
                return ""
        self._backlog = deque(statements.without_overwritten([*self._backlog, *job.kept]))
        while sum(len(rows) for _, rows in self._backlog) > BACKLOG_ROWS:
            self._backlog.popleft()
        self.error = failure
        return failure

    async def _pass(self) -> None:
        """Samples, the backlog, the heartbeat, and the upkeep of the file."""
        batch = self._buffer.batch()
        wall = self.last_wall
        work = [*self._backlog, *batch.statements]
        if wall is not None and wall != self._stored_wall:
            work += self.alive(wall)
        try:
            if work:
                await self._writer.transaction(work, durable=bool(self._backlog))
                self._backlog.clear()
                self._buffer.stored(batch)
            await self._writer.checkpoint()
            self._stored_wall = wall
            self.error = ""
        except (sqlite3.Error, OSError) as error:
            self.error = f"{error}"
        if wall is not None:
            self._upkeep.mark(wall)
        self.progress_at = asyncio.get_running_loop().time()

    def alive(self, wall: float) -> tuple[Statement, ...]:
        """That netwatch watches, as of this process or of the last time that its clock leapt or it was stopped."""
        if self._began is None or abs(wall - self._alive_wall) > GAP_SECONDS:
            self._began = wall
        self._alive_wall = wall
        return statements.alive(self._began, wall)
