"""Rows of the outbox on their way: who still has to take one, and what waits before one pager."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from netwatch._delivery_pace import Pace
from netwatch.model import Page, PagerSettings, PageText
from netwatch.pagers import EventPager

__all__ = ["Channel", "Job", "Row", "supersedes"]

CONCURRENT_ATTEMPTS = 4  # of one pager: a receiver that comes back is not flooded
RANKS = {"open": 1, "update": 2, "recover": 3}


@dataclass(slots=True, eq=False)
class Row:
    """One row of the outbox. It ends when nobody owes it an answer any more.

    `owed` are the pagers that have not taken it: the addressee, and whoever stands in. Of these, `bound` must take it
    whatever the addressee does: they were told of the opening and must hear of the end. `asked` is who was ever asked.
    `text` writes what is no incident, such as the note after a start.
    """

    id: int | None
    page: Page
    since: float  # monotonic; from here on its fall-back pager waits
    owed: set[str] = field(default_factory=set)
    bound: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    taken: list[str] = field(default_factory=list)
    thread: str = ""  # what the addressee answered
    into: str = ""  # the page that told of it too
    refusals: str = ""
    error: str = ""
    text: Callable[[str, float], PageText] | None = None


@dataclass(slots=True, eq=False)
class Job:
    """A row before one pager. `opens`: this pager has not been told of the incident yet."""

    row: Row
    page: Page
    attempts: int = 0
    due_at: float = 0.0  # monotonic
    opens: bool = False
    in_flight: bool = False
    uncertain: bool = False  # an attempt ended without a word: it may have been taken


def supersedes(new: Job, old: Job) -> bool:
    """Whether a pager that has not been told the old needs only the new, of the same key."""
    if old.in_flight or old.row is new.row or old.page.about or new.page.about:
        return False
    if new.row.id is None and old.row.id is not None:
        return False  # what is on the disk does not give way to what is not
    if new.page.incident.id == old.page.incident.id:
        return new.page.incident.sequence >= old.page.incident.sequence
    return old.opens and new.page.incident.id > old.page.incident.id


@dataclass(slots=True, eq=False)
class Channel:
    """One event pager and what waits for it, a lane for each incident key. A removed one is `retired` until all is told."""

    settings: PagerSettings
    pager: EventPager
    pace: Pace
    lanes: dict[str, deque[Job]] = field(default_factory=dict)
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CONCURRENT_ATTEMPTS))
    not_before: float = 0.0  # monotonic: the pager asked all of us to wait
    retired: bool = False
    served: bool = False
    _later: list[tuple[float, int, str]] = field(default_factory=list)  # when, number, key of a lane
    _ready: list[tuple[int, int, str]] = field(default_factory=list)  # rank, number, key
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def name(self) -> str:
        return self.settings.name

    def enter(self, job: Job) -> list[Job]:
        """Puts a job behind those of its key; returns those that are not needed any more."""
        fresh = job.page.incident.key not in self.lanes
        lane = self.lanes.setdefault(job.page.incident.key, deque())
        gone = []
        while lane and supersedes(job, lane[-1]):
            old = lane.pop()
            gone.append(old)
            job.attempts, job.due_at = max(job.attempts, old.attempts), max(job.due_at, old.due_at)
            job.opens |= old.opens
        lane.append(job)
        if fresh:
            self._plan(job)
        return gone

    def kick(self) -> None:
        """Ends every wait: there is something new to try."""
        self.not_before = 0.0
        self._later, self._ready = [], []
        for lane in self.lanes.values():
            for job in lane:
                job.due_at = 0.0
            if not lane[0].in_flight:
                self._plan(lane[0])
        self.changed()

    def changed(self) -> None:
        self._changed.set()

    async def wait(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return
        self._changed.clear()

    def ready(self, now: float) -> int:
        """About how many lanes could be served now."""
        while self._later and self._later[0][0] <= now:
            _, number, key = heapq.heappop(self._later)
            if (head := self._head(key)) is None:
                continue
            if head.due_at > now:
                self._plan(head)
            else:
                heapq.heappush(self._ready, (_rank(head), number, key))
        return len(self._ready)

    def next_at(self) -> float | None:
        """When the next lane is due, if none is ready."""
        return self._later[0][0] if self._later else None

    def pick(self, most: int) -> list[Job]:
        """The heads of the most urgent lanes, marked as in flight."""
        picked: list[Job] = []
        while self._ready and len(picked) < most:
            _, _, key = heapq.heappop(self._ready)
            head = self._head(key)
            if head is not None:
                head.in_flight = True
                picked.append(head)
        return picked

    def put_back(self, job: Job) -> list[Job]:
        """An attempt has failed. What came meanwhile may have made it needless: then it is returned."""
        job.in_flight = False
        lane = self.lanes[job.page.incident.key]
        gone = []
        while len(lane) > 1 and supersedes(lane[1], lane[0]):
            old = lane.popleft()
            gone.append(old)
            lane[0].attempts, lane[0].due_at, lane[0].opens = old.attempts, old.due_at, lane[0].opens or old.opens
        self._plan(lane[0])
        return gone

    def done(self, job: Job) -> None:
        """Nothing more is needed of this pager for it."""
        key = job.page.incident.key
        lane = self.lanes.get(key)
        if lane is None or job not in lane:
            return
        was_head = lane[0] is job
        lane.remove(job)
        if not lane:
            del self.lanes[key]
        elif was_head:
            self._plan(lane[0])

    def find(self, row: Row) -> Job | None:
        return next((job for job in self.lanes.get(row.page.incident.key, ()) if job.row is row), None)

    def _head(self, key: str) -> Job | None:
        """Of a lane that is still there and not being served."""
        lane = self.lanes.get(key)
        return None if lane is None or lane[0].in_flight else lane[0]

    def _plan(self, job: Job) -> None:
        heapq.heappush(self._later, (job.due_at, next(self._numbers), job.page.incident.key))
        self.changed()


def _rank(job: Job) -> int:
    return 0 if job.page.kind == "open" and job.page.incident.severity == "critical" else RANKS[job.page.kind]
