"""Who has to be told of a row, and when it has ended: fall-back pagers, and what newer pages make needless.

A row is its addressee's. A fall-back pager gets it when the pager before refuses it for good, and also when that one has
not taken it for `takeover_seconds`. Whoever stood in and told of an opening is told of the end as well.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

from netwatch._delivery_lanes import Desk
from netwatch._delivery_rows import Channel, Job, Row
from netwatch.pagers import Receipt

__all__ = ["Chain", "Ledger"]

log = logging.getLogger(__name__)

# In the names under which threads say what was told in place of another, and what was about to be: no pager's name has them.
STANDS_IN, MAY_STAND_IN = ">", "?"
Write = Callable[[], Awaitable[None]]


class Ledger(Protocol):
    """Where rows end: History. A `row_id` of None lives in memory only."""

    async def page_sent(self, row_id: int | None, thread: str, wall: float) -> None: ...
    async def page_refused(self, row_id: int | None, reason: str, wall: float) -> None: ...
    async def page_postponed(self, row_id: int | None, next_attempt_wall: float, error: str, wall: float) -> None: ...
    async def page_merged(self, row_id: int | None, into: str, wall: float) -> None: ...
    async def keep_threads(self, incident: int, threads: Mapping[str, str], wall: float) -> None: ...


class Chain:
    """The rows that have not ended. `records` is what is still to be written about them, in order."""

    def __init__(self, ledger: Ledger, desk: Desk, channels: dict[str, Channel]) -> None:
        self._ledger = ledger
        self._desk = desk
        self._channels = channels
        self.rows: dict[Row, None] = {}  # in the order they came
        self._of_incident: dict[tuple[int, str], dict[Row, None]] = {}  # by incident and addressee
        self.records: asyncio.Queue[Write | None] = asyncio.Queue()
        self._threads: dict[tuple[int, str], Receipt] = {}
        self._stood_in: dict[tuple[int, str], dict[str, int]] = {}  # by incident and addressee: who told for it, up to which sequence
        self._latest: dict[tuple[str, str], tuple[int, int]] = {}  # by key and stand-in: the incident and page it told of last
        self._late: list[tuple[float, int, Row, str]] = []
        self._numbers: Iterator[int] = itertools.count()
        self.sooner = asyncio.Event()

    # --- what was told before

    def restore(self, threads: Mapping[tuple[int, str], str]) -> None:
        for (incident, name), thread in threads.items():
            addressee, mark, helper = name.replace(MAY_STAND_IN, STANDS_IN).partition(STANDS_IN)
            if mark:
                known = self._stood_in.setdefault((incident, addressee), {})
                told = int(thread) if STANDS_IN in name and thread.isdigit() else 0
                known[helper] = max(known.get(helper, 0), told)
            else:
                self._threads.setdefault((incident, name), Receipt(thread))

    def thread(self, job: Job) -> Receipt | None:
        return self._threads.get((job.page.incident.id, job.page.pager))

    # --- a row comes

    def admit(self, row: Row, attempts: int = 0, due_at: float = 0.0) -> None:
        """Gives a row to its addressee, and to those who told of its incident for it."""
        name = row.page.pager
        self.rows[row] = None
        self._of_incident.setdefault((row.page.incident.id, name), {})[row] = None
        row.asked.add(name)
        row.owed.add(name)
        helpers = self._stood_in.get((row.page.incident.id, name), {})
        for helper, told in helpers.items() if row.page.kind == "recover" else ():
            if told < row.page.incident.sequence:
                self._bind(row, helper)
        if name in self._channels:
            self._enter(row, name, attempts, due_at)
            if row.text is None and max(helpers.values(), default=-1) < row.page.incident.sequence:
                self._expect(row, name, row.since)
        else:
            self.refuse(name, row, "pager removed")

    def _enter(self, row: Row, name: str, attempts: int = 0, due_at: float = 0.0) -> None:
        if name != row.page.pager and self._knows_better(row, name):
            row.owed.discard(name)
            return
        page = row.page if row.page.pager == name else replace(row.page, pager=name)
        opens = page.kind == "open" and (page.incident.id, name) not in self._threads
        job = Job(row=row, page=page, attempts=attempts, due_at=due_at, opens=opens)
        channel = self._channels[name]
        for old in channel.enter(job):
            self.supersede(channel, old, row)

    def _knows_better(self, row: Row, name: str) -> bool:
        """Whether a stand-in has been told, or is about to be, what came later of this key."""
        incident = row.page.incident
        told = self._stood_in.get((incident.id, row.page.pager), {}).get(name, -1)
        lane = self._channels[name].lanes.get(incident.key, ())
        coming = [(job.page.incident.id, job.page.incident.sequence) for job in lane if job.row is not row]
        latest = self._latest.get((incident.key, name), (-1, -1))
        return (incident.id, incident.sequence) <= max((incident.id, told), latest, *coming)

    def _bind(self, row: Row, name: str) -> None:
        if name in self._channels and name not in row.bound:
            row.bound.add(name)
            row.asked.add(name)
            if name not in row.owed:
                row.owed.add(name)
                self._enter(row, name)

    # --- how an attempt ended

    def take(self, channel: Channel, job: Job, receipt: Receipt | None, into: str = "") -> None:
        """`into` is the digest that told of it together with others; then there is no receipt of its own."""
        row, name, incident = job.row, channel.name, job.page.incident
        channel.done(job)
        for other in channel.lanes.get(incident.key, ()):
            other.opens = other.opens and other.page.incident.id != incident.id
        if row.text is None:
            receipt = receipt or self._threads.get((incident.id, name)) or Receipt()
            self._threads[incident.id, name] = receipt
            if job.page.kind == "recover":
                del self._threads[incident.id, name]
        row.owed.discard(name)
        row.taken.append(name)
        row.into = into
        if name == row.page.pager:
            row.thread = receipt.thread if receipt is not None else ""
            self._withdraw_copies(row)  # who was to stand in need not, unless it cannot be stopped
            self._bind_tellers(row)
        else:
            self._note_stand_in(row, name, receipt.thread if receipt is not None else "")
        self._end_if_done(row)

    def _bind_tellers(self, row: Row) -> None:
        """An end is owed to every pager that is being told of the incident, or soon will be, in place of the addressee."""
        key, number, addressee = row.page.incident.key, row.page.incident.id, row.page.pager
        for name, channel in self._channels.items() if row.page.kind == "recover" else ():
            others = (job for job in channel.lanes.get(key, ()) if job.row is not row and name != addressee)
            if any(job.row.page.pager == addressee and job.page.incident.id == number for job in others):
                self._bind(row, name)

    def _note_stand_in(self, row: Row, name: str, thread: str) -> None:
        incident, addressee = row.page.incident, row.page.pager
        if row.text is not None:
            return
        told = self._stood_in.setdefault((incident.id, addressee), {})
        told[name] = max(told.get(name, 0), incident.sequence)
        self._latest[incident.key, name] = max(self._latest.get((incident.key, name), (-1, -1)), (incident.id, incident.sequence))
        kept = {name: thread, f"{addressee}{STANDS_IN}{name}": str(told[name])}
        self.records.put_nowait(partial(self._ledger.keep_threads, incident.id, kept, self._desk.wall()))
        if row.page.kind != "recover":
            for later in self._later_ends(row):
                self._bind(later, name)

    def _later_ends(self, row: Row) -> list[Row]:
        """Recoveries of the same incident on their way to the same addressee."""
        others = self._of_incident.get((row.page.incident.id, row.page.pager), {})
        return [other for other in others if other is not row and other.page.kind == "recover"]

    def postpone(
        self, channel: Channel, jobs: Sequence[Job], error: str, asked_seconds: float | None = None, *, uncertain: bool = False
    ) -> None:
        """`uncertain`: nobody knows whether it was taken."""
        timing, wall, now = self._desk.timing, self._desk.wall(), asyncio.get_running_loop().time()
        longest = 0.0
        for job in jobs:
            job.attempts += 1
            job.uncertain |= uncertain
            job.row.error = f"{channel.name}: {error}"
            wait = timing.wait_seconds(job.attempts, asked_seconds)
            job.due_at = now + wait
            longest = max(longest, wait)
            if channel.name == job.row.page.pager:
                self.records.put_nowait(partial(self._ledger.page_postponed, job.row.id, wall + wait, error, wall))
            self._put_back(channel, job)
        if asked_seconds is not None:
            channel.not_before = max(channel.not_before, now + longest)
        told = {"pager": channel.name, "page": jobs[0].page.id, "pages": len(jobs), "error": error, "wait_seconds": round(longest, 1)}
        log.warning("page postponed", extra=told)

    def _put_back(self, channel: Channel, job: Job) -> None:
        if channel.name not in job.row.bound and job.row.page.pager in job.row.taken:
            self._withdraw(job.row, channel.name)  # the addressee has it meanwhile
            self._end_if_done(job.row)
            return
        for old in channel.put_back(job):
            self.supersede(channel, old, channel.lanes[old.page.incident.key][0].row)

    def refuse(self, name: str, row: Row, reason: str) -> None:
        """For good. The next in the chain is asked, if it has not been."""
        self._desk.outcomes[name, "refused"] += 1
        log.error("page refused", extra={"pager": name, "page": row.page.id, "reason": reason})
        row.refusals = "; ".join(filter(None, (row.refusals, f"{name}: {reason}")))
        row.owed.discard(name)
        self._bind_tellers(row)
        if not row.taken:
            self._hand_over(row, name)
        self._end_if_done(row)

    # --- who comes next

    def _hand_over(self, row: Row, name: str) -> bool:
        fallback = self._channels[name].pager.fallback if name in self._channels else ""
        if fallback not in self._channels or fallback in row.asked:
            return False
        self._desk.outcomes[name, "handed_over"] += 1
        row.asked.add(fallback)
        row.owed.add(fallback)
        if row.text is None:
            # Before it is told, so that it hears of the end even if we are killed before its answer is on the disk.
            kept = {f"{row.page.pager}{MAY_STAND_IN}{fallback}": ""}
            self.records.put_nowait(partial(self._ledger.keep_threads, row.page.incident.id, kept, self._desk.wall()))
            self._expect(row, fallback, asyncio.get_running_loop().time())
        self._enter(row, fallback)
        return True

    def _expect(self, row: Row, name: str, since: float) -> None:
        """From `since` on it may take so long, then the next is asked too."""
        if not self._channels[name].pager.fallback:
            return
        heapq.heappush(self._late, (since + self._desk.settings.takeover_seconds, next(self._numbers), row, name))
        self.sooner.set()

    def reconsider(self) -> None:
        """The pagers have changed: whoever has a fall-back pager now is waited for."""
        for row in self.rows:
            for name in sorted(row.owed) if row.text is None else ():
                if name in self._channels:
                    self._expect(row, name, row.since)

    def take_over_what_is_late(self) -> float | None:
        """Gives what is late to the next as well. Returns when to look again (monotonic)."""
        now = asyncio.get_running_loop().time()
        while self._late and self._late[0][0] <= now:
            _, _, row, name = heapq.heappop(self._late)
            if row in self.rows and name in row.owed and not row.taken and self._hand_over(row, name):
                log.warning("page not taken in time; the fall-back pager gets it too", extra={"pager": name, "page": row.page.id})
        return self._late[0][0] if self._late else None

    # --- what is not needed any more

    def supersede(self, channel: Channel, old: Job, by: Row) -> None:
        """A newer page of the same key tells a pager more than the old would."""
        row = old.row
        row.owed.discard(channel.name)
        if channel.name == row.page.pager:
            if by.page.pager == row.page.pager:  # one that comes and goes would else never be late
                by.since = min(by.since, row.since)
                self._expect(by, channel.name, by.since)
            self._withdraw_copies(row)
            self._bind_tellers(row)
        row.into = by.page.id
        self._end_if_done(row)

    def _withdraw_copies(self, row: Row) -> None:
        """From those who were to stand in and are not just being told."""
        for name in sorted(row.owed - row.bound - {row.page.pager}):
            copy = self._channels[name].find(row) if name in self._channels else None
            if copy is None or not copy.in_flight:
                self._withdraw(row, name)

    def _withdraw(self, row: Row, name: str) -> None:
        row.owed.discard(name)
        channel = self._channels.get(name)
        if channel is not None and (job := channel.find(row)) is not None:
            channel.done(job)
            if job.uncertain:
                self._note_stand_in(row, name, "")

    def _end_if_done(self, row: Row) -> None:
        if row.owed or row not in self.rows:
            return
        del self.rows[row]
        mine = (row.page.incident.id, row.page.pager)
        del self._of_incident[mine][row]
        if not self._of_incident[mine]:
            del self._of_incident[mine]
        wall = self._desk.wall()
        if row.refusals:
            told = f"{row.refusals}; taken by {row.taken[0]}" if row.taken else row.refusals
            self.records.put_nowait(partial(self._ledger.page_refused, row.id, told, wall))
        elif row.into:
            self.records.put_nowait(partial(self._ledger.page_merged, row.id, row.into, wall))
        else:
            self.records.put_nowait(partial(self._ledger.page_sent, row.id, row.thread, wall))
        if row.page.kind == "recover":
            self._stood_in.pop((row.page.incident.id, row.page.pager), None)
