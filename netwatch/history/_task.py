"""The one task that writes: durable jobs at once, everything else once a second."""

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
from netwatch.history._writer import Statement, Writer

__all__ = ["Job", "WriterTask"]

PASS_SECONDS = 1.0
RAW_KEPT_SECONDS = 48 * 3600.0
TRIM_ROUND_SECONDS = 3600  # each series has its second of the hour
VACUUM_EVERY_SECONDS = 60
FREE_PAGES_KEPT = 2_560  # 10 MiB: tomorrow's samples go there
BACKLOG_ROWS = 100_000


@dataclass(slots=True)
class Job:
    """One durable transaction, and what of it is kept for later if the disk refuses."""

    statements: tuple[Statement, ...] = ()
    kept: tuple[Statement, ...] = ()
    whole_pass: bool = False
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class WriterTask:
    """`error` is of the last write, empty when the disk took it; `progress_at` is monotonic, of the last pass, also one the disk refused."""

    def __init__(self, path: Path, writer: Writer, buffer: SampleBuffer) -> None:
        self.error = ""
        self.progress_at = asyncio.get_running_loop().time()
        self.last_wall: float | None = None
        self.closing = False
        self._path = path
        self._writer = writer
        self._buffer = buffer
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
                else:
                    await self._wait_until(due)
            await self._pass()
        finally:
            self.stop()
            for job in self._jobs:
                if not job.done.done():
                    job.done.set_exception(HistoryFailed(f"{self._path}: closed"))

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
        self._backlog.extend(job.kept)
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
            work += [statements.alive(wall), self._trim(wall)]
        try:
            if work:
                await self._writer.transaction(work, durable=bool(self._backlog))
                self._backlog.clear()
                self._buffer.stored(batch)
            await self._writer.checkpoint()
            if wall is not None and wall != self._stored_wall and int(wall) % VACUUM_EVERY_SECONDS == 0:
                await self._writer.vacuum(FREE_PAGES_KEPT)
            self._stored_wall = wall
            self.error = ""
        except (sqlite3.Error, OSError) as error:
            self.error = f"{error}"
        self.progress_at = asyncio.get_running_loop().time()

    def _trim(self, wall: float) -> Statement:
        series = range(int(wall) % TRIM_ROUND_SECONDS, self._buffer.newest_series + 1, TRIM_ROUND_SECONDS)
        return statements.trim(series, round((wall - RAW_KEPT_SECONDS) * 1000))
