"""From the outbox to the pagers: every page delivered, in order for each key, again and again until it is taken.

A lane is one key at one pager: its pages go one after another, so that a recovery never overtakes its opening. Lanes and
pagers do not wait for each other. A row ends by acceptance or by refusal for good, which hands it to the fall-back pager.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

from netwatch._delivery_lanes import BUGS, NETWORK, Channel, Desk, Job, Timing, explain, open_session
from netwatch._delivery_sync import StatePagers
from netwatch.history import HistoryFailed, OutboxRow
from netwatch.model import Incident, PagerSettings, Settings
from netwatch.pagers import Busy, EventPager, Pager, PagerMisconfigured, Receipt, Refused, StatePager, build

__all__ = ["Delivery", "Ledger", "Timing"]

log = logging.getLogger(__name__)

BEAT_SECONDS = 1.0
BUG_ATTEMPTS = 5


class Ledger(Protocol):
    """Where rows end: History. A `row_id` of None lives in memory only."""

    async def page_sent(self, row_id: int | None, thread: str, wall: float) -> None: ...
    async def page_refused(self, row_id: int | None, reason: str, wall: float) -> None: ...
    async def page_postponed(self, row_id: int | None, next_attempt_wall: float, error: str, wall: float) -> None: ...


class Delivery:
    """Delivers from `run` to `stop`. Everything else returns at once and may come before `run`."""

    def __init__(
        self, ledger: Ledger, *, wall: Callable[[], float], settings: Settings | None = None, timing: Timing | None = None
    ) -> None:
        self._ledger = ledger
        self._wall = wall
        self._timing = timing or Timing()
        self._desk = Desk(wall=wall, timing=self._timing, settings=settings or Settings())
        self._states = StatePagers(self._desk)
        self._channels: dict[str, Channel] = {}
        self._lanes: set[asyncio.Task[None]] = set()
        self._threads: dict[tuple[int, str], Receipt] = {}
        self._records: asyncio.Queue[Callable[[], Awaitable[None]] | None] = asyncio.Queue()
        self._stopping = asyncio.Event()
        self._group: asyncio.TaskGroup | None = None
        self.progress_at = 0.0  # monotonic; stands still only while an attempt cannot be ended

    @property
    def outcomes(self) -> Mapping[tuple[str, str], int]:
        """How many attempts ended how, by pager and outcome: sent, retried, refused, handed_over."""
        return self._desk.outcomes

    @property
    def pending(self) -> int:
        """Pages that no pager has taken yet."""
        return sum(len(lane) for channel in self._channels.values() for lane in channel.lanes.values())

    # --- what the daemon says

    def configure(self, pagers: Mapping[str, PagerSettings], settings: Settings | None = None) -> None:
        """Puts pagers in force. What still waits for one that is gone is delivered as it was set up before."""
        self._desk.settings = settings or self._desk.settings
        built = {name: pager for name, entry in pagers.items() if (pager := _built(entry)) is not None}
        for name, channel in self._channels.items():
            channel.retired = not isinstance(built.get(name), EventPager)
        for name, pager in built.items():
            if isinstance(pager, EventPager):
                self._adopt(pagers[name], pager)
        self._states.configure({name: (pagers[name], pager) for name, pager in built.items() if isinstance(pager, StatePager)})
        self._forget_retired()

    def event_pagers(self) -> tuple[str, ...]:
        """Who is told of everything: all but those that only take over from another."""
        fallbacks = {name: channel.pager.fallback for name, channel in self._channels.items() if not channel.retired}
        told: list[str] = []
        reached: set[str] = set()
        # Pagers that nobody falls back to come first; then, of two that stand by for each other, one.
        for first in sorted(fallbacks, key=lambda name: name in fallbacks.values()):
            if first in reached:
                continue
            told.append(first)
            name = first
            while name in fallbacks and name not in reached:
                reached.add(name)
                name = fallbacks[name]
        return tuple(told)

    def restore(self, rows: Iterable[OutboxRow], threads: Mapping[tuple[int, str], str]) -> None:
        """Takes up what the last process left, in the order it was committed. Call it after `configure`."""
        self._threads = {key: Receipt(thread) for key, thread in threads.items()} | self._threads
        self.accept(rows)

    def accept(self, rows: Iterable[OutboxRow]) -> None:
        for row in rows:
            job = Job(row_id=row.id, page=row.page, attempts=row.attempts)
            wait = min(row.next_attempt_wall - self._wall(), self._timing.longest_wait_seconds)
            if row.attempts and wait > 0:  # a first attempt never waits, whatever a clock that was set back says
                job.due_at = asyncio.get_running_loop().time() + wait
            if row.page.pager in self._channels:
                self._enter(self._channels[row.page.pager], job)
            else:
                self._refuse(row.page.pager, job, "pager removed")

    def sync(self, open_incidents: Sequence[Incident], closed: Sequence[Incident]) -> None:
        """What is so now: state pagers are told at once if anything changed, and every minute anyway."""
        self._states.tell(open_incidents, closed)

    async def run(self) -> None:
        self.progress_at = asyncio.get_running_loop().time()
        async with open_session() as self._desk.http, asyncio.TaskGroup() as group:
            self._group = group
            for channel in self._channels.values():
                for key in channel.lanes:
                    self._start_lane(channel, key)
            self._states.start(group)
            recorder, beat = group.create_task(self._record()), group.create_task(self._beat())
            await self._stopping.wait()
            self._group = None
            self._states.stop()
            for channel in self._channels.values():
                channel.kick()
            if self._lanes:
                await asyncio.wait(self._lanes, timeout=self._timing.stop_seconds)
            for task in self._lanes:
                task.cancel()
            self._records.put_nowait(None)
            await asyncio.wait([recorder], timeout=self._timing.stop_seconds)
            for task in (recorder, beat):
                task.cancel()

    def stop(self) -> None:
        """`run` then ends: attempts in flight get two seconds, what was delivered is recorded, the rest stays in the ledger."""
        self._stopping.set()

    # --- event pagers

    def _adopt(self, entry: PagerSettings, pager: EventPager) -> None:
        for outcome in ("sent", "retried", "refused", "handed_over"):
            self._desk.outcomes[entry.name, outcome] += 0
        channel = self._channels.get(entry.name)
        if channel is None:
            self._channels[entry.name] = Channel(entry, pager)
        elif channel.settings != entry:
            channel.settings, channel.pager = entry, pager
            channel.kick()

    def _forget_retired(self) -> None:
        self._channels = {name: channel for name, channel in self._channels.items() if channel.lanes or not channel.retired}

    def _enter(self, channel: Channel, job: Job) -> None:
        key = job.page.incident.key
        if key in channel.lanes:
            channel.lanes[key].append(job)
            return
        channel.lanes[key] = deque([job])
        self._start_lane(channel, key)

    def _start_lane(self, channel: Channel, key: str) -> None:
        if self._group is not None:
            task = self._group.create_task(self._drain(channel, key))
            self._lanes.add(task)
            task.add_done_callback(self._lanes.discard)

    async def _drain(self, channel: Channel, key: str) -> None:
        """The life of a lane: the first of its pages until that has ended, then the next."""
        lane = channel.lanes[key]
        while lane:
            await channel.wait_until_due(lane[0])
            if self._stopping.is_set():
                return
            async with channel.slots:
                # While we stood in the queue the pager may have asked for a pause, or the stop may have come.
                if channel.is_open() and not self._stopping.is_set() and await self._attempt(channel, lane[0]):
                    lane.popleft()
        del channel.lanes[key]
        self._forget_retired()

    async def _attempt(self, channel: Channel, job: Job) -> bool:
        """Tries once. Says whether the page needs nothing more of this pager."""
        name, page = channel.settings.name, job.page
        thread_key = (page.incident.id, name)
        try:
            text = self._desk.text(page.incident, page.kind, channel.settings.language, page.wall)
            async with self._desk.deadline():
                receipt = await channel.pager.send(page, text, self._threads.get(thread_key), self._desk.http)
        except Refused as refused:
            self._refuse(name, job, str(refused))
            return True
        except Busy as busy:
            self._postpone(channel, job, str(busy), busy.retry_after_seconds)
        except NETWORK as error:
            self._postpone(channel, job, explain(error), None)
        except BUGS as bug:
            log.error("a page cannot be written or sent", extra={"pager": name, "page": page.id, "error": type(bug).__name__})
            if job.attempts + 1 >= BUG_ATTEMPTS:
                self._refuse(name, job, type(bug).__name__)
                return True
            self._postpone(channel, job, type(bug).__name__, None)
        else:
            self._take(name, job, receipt)
            return True
        return False

    def _take(self, name: str, job: Job, receipt: Receipt) -> None:
        self._desk.outcomes[name, "sent"] += 1
        self._threads[job.page.incident.id, name] = receipt
        if job.page.kind == "recover":
            del self._threads[job.page.incident.id, name]
        if job.refusals:
            self._records.put_nowait(partial(self._ledger.page_refused, job.row_id, f"{job.refusals}; taken by {name}", self._wall()))
        else:
            self._records.put_nowait(partial(self._ledger.page_sent, job.row_id, receipt.thread, self._wall()))

    def _postpone(self, channel: Channel, job: Job, error: str, asked_seconds: float | None) -> None:
        name = channel.settings.name
        self._desk.outcomes[name, "retried"] += 1
        job.attempts += 1
        wait = self._timing.wait_seconds(job.attempts, asked_seconds)
        job.due_at = asyncio.get_running_loop().time() + wait
        if asked_seconds is not None:
            channel.not_before = max(channel.not_before, job.due_at)
        log.warning("page postponed", extra={"pager": name, "page": job.page.id, "error": error, "wait_seconds": round(wait, 1)})
        wall = self._wall()
        self._records.put_nowait(partial(self._ledger.page_postponed, job.row_id, wall + wait, error, wall))

    def _refuse(self, name: str, job: Job, reason: str) -> None:
        """The row goes to the fall-back pager if there is one that has not refused it yet; else it ends here."""
        self._desk.outcomes[name, "refused"] += 1
        log.error("page refused", extra={"pager": name, "page": job.page.id, "reason": reason})
        refusals = "; ".join(filter(None, (job.refusals, f"{name}: {reason}")))
        asked = job.asked | {name}
        fallback = self._channels[name].pager.fallback if name in self._channels else ""
        if fallback in self._channels and fallback not in asked:
            self._desk.outcomes[name, "handed_over"] += 1
            self._enter(
                self._channels[fallback], Job(row_id=job.row_id, page=replace(job.page, pager=fallback), refusals=refusals, asked=asked)
            )
            return
        self._records.put_nowait(partial(self._ledger.page_refused, job.row_id, refusals, self._wall()))

    async def _record(self) -> None:
        """Writes down how attempts ended, beside the sending: a disk that hangs delays no page."""
        while (write := await self._records.get()) is not None:
            try:
                await write()
            except HistoryFailed as failure:
                log.warning("how a page ended is not on the disk yet", extra={"error": str(failure)})

    async def _beat(self) -> None:
        while True:
            if not self._desk.is_stuck():
                self.progress_at = asyncio.get_running_loop().time()
            await asyncio.sleep(BEAT_SECONDS)


def _built(entry: PagerSettings) -> Pager | None:
    try:
        return build(entry)
    except PagerMisconfigured as wrong:
        log.error("pager left out", extra={"pager": entry.name, "key": wrong.key, "error": wrong.message})
        return None
