"""When each check runs: at a fixed rate, out of phase with the others, never overlapping itself.

`Schedule` is the pure half (a heap and rules, time passed in); `Scheduler` drives it on the loop's clock.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import zlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from netwatch.lease import Admission, Deny
from netwatch.model import BEAT_SECONDS, Cancel, Check, Request, Run, RunReason

__all__ = ["Schedule", "Scheduler"]

FIRST_RUN_SECONDS = 10.0
FIRST_RUN_SHARE = 0.4  # of the interval: after a restart nothing is known of what just failed until it is asked
APART_SECONDS = 1.0
CROWDED_RETRY_SECONDS = 0.05
TOKENS = 6.0
TOKENS_PER_SECOND = 1.0
PASS_SECONDS = 0.02
LOOK_SECONDS = 1.0
TOLERANCE = 1e-6  # of a beat: where floating-point numbers meet one

Finish: TypeAlias = Callable[[], None]
Begin: TypeAlias = Callable[[Check, RunReason, Callable[[Finish], None]], bool]


@dataclass(slots=True)
class _Entry:
    check: Check
    due_at: float  # of the fixed rate
    grid_at: float  # any point of the fixed rate
    request: Run | None = None
    running: bool = False
    is_new: bool = True  # has never run by its rate: while somebody asks for it, that waits a round
    started_at: float = float("-inf")
    ticket: int = 0  # the heap item that counts; older ones are void


@dataclass(slots=True)
class _Bucket:
    """What one target may be asked for beyond its fixed rate."""

    tokens: float = TOKENS
    filled_at: float = 0.0

    def wait_seconds(self, now: float) -> float:
        """Takes a token and says how long to wait for it."""
        self.tokens = min(TOKENS, self.tokens + (now - self.filled_at) * TOKENS_PER_SECOND)
        self.filled_at = now
        self.tokens = max(self.tokens - 1.0, -TOKENS)  # a target that was busy for a day owes no day
        return max(0.0, -self.tokens / TOKENS_PER_SECOND)


@dataclass(slots=True)
class Schedule:
    """Which check is due. Every check first runs within 10 s or 0.4 of its interval, then at its fixed rate; missed ticks are skipped."""

    in_flight_limit: int = 4096
    in_flight_limit_per_site: int = 64
    lag_seconds: float = 0.0
    _entries: dict[str, _Entry] = field(default_factory=dict)
    _heap: list[tuple[float, int, str]] = field(default_factory=list)
    _tickets: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _buckets: dict[tuple[str, str], _Bucket] = field(default_factory=dict)
    _in_flight: dict[str, int] = field(default_factory=dict)
    in_flight: int = 0

    def update(self, checks: Iterable[Check], now: float) -> None:
        """Takes a new set of checks; a check with the same fingerprint keeps its place in time."""
        old, self._entries = self._entries, {}
        for check in checks:
            known = old.get(check.id)
            if known is not None and known.check.fingerprint == check.fingerprint:
                known.check = check
                self._entries[check.id] = known
                continue
            phase = zlib.crc32(check.id.encode()) / 2**32
            first = now + phase * min(check.interval_seconds * FIRST_RUN_SHARE, FIRST_RUN_SECONDS)
            entry = _Entry(check, due_at=first, grid_at=now + phase * check.interval_seconds)
            if known is not None and known.running:
                entry.running, entry.started_at = True, known.started_at
            self._entries[check.id] = entry
            self._push(entry, _beat_at(first))
        watched = {(entry.check.site, entry.check.target) for entry in self._entries.values()}
        self._buckets = {target: bucket for target, bucket in self._buckets.items() if target in watched}

    def request(self, request: Request, now: float) -> None:
        """Brings a run forward, or takes that back; one that runs is the runner's to stop. Of several, the earliest wins; a second apart."""
        entry = self._entries.get(request.check)
        if entry is None:
            return
        if isinstance(request, Cancel):
            entry.request = None
            self._place(entry)
            return
        if entry.request is not None and entry.request.not_before <= request.not_before:
            return
        bucket = self._buckets.setdefault((entry.check.site, entry.check.target), _Bucket(filled_at=now))
        wait = bucket.wait_seconds(now) if entry.request is None else 0.0
        not_before = max(request.not_before + wait, entry.started_at + APART_SECONDS)
        entry.request = Run(check=request.check, not_before=not_before, reason=request.reason)
        self._place(entry)

    def due(self, now: float) -> list[tuple[Check, RunReason]]:
        """The checks to start now; each counts as running until `done`."""
        started: list[tuple[Check, RunReason]] = []
        while self._heap and self._heap[0][0] <= now:
            at, ticket, check_id = heapq.heappop(self._heap)
            entry = self._entries.get(check_id)
            if entry is None or entry.ticket != ticket or entry.running:
                continue
            site = entry.check.site
            if self.in_flight >= self.in_flight_limit or self._in_flight.get(site, 0) >= self.in_flight_limit_per_site:
                self._push(entry, now + CROWDED_RETRY_SECONDS)
                continue
            self.lag_seconds = now - at
            started.append((entry.check, self._start(entry, now)))
            self._in_flight[site] = self._in_flight.get(site, 0) + 1
            self.in_flight += 1
        return started

    def done(self, check_id: str, site: str) -> None:
        """The run has ended; what was asked for meanwhile is next."""
        self.in_flight -= 1
        self._in_flight[site] -= 1
        entry = self._entries.get(check_id)
        if entry is not None and entry.running:
            entry.running = False
            self._place(entry)

    def postpone(self, check_id: str, site: str, until: float, reason: RunReason, now: float) -> None:
        """A run that was not admitted is tried again later, for the same reason. It asked nothing of its target."""
        entry = self._entries.get(check_id)
        if entry is not None and (entry.request is None or until < entry.request.not_before):
            entry.request = Run(check=check_id, not_before=max(until, now + APART_SECONDS), reason=reason)
        self.done(check_id, site)

    def next_at(self) -> float | None:
        return self._heap[0][0] if self._heap else None

    def __len__(self) -> int:
        return len(self._entries)

    def _start(self, entry: _Entry, now: float) -> RunReason:
        request, entry.request = entry.request, None
        interval = entry.check.interval_seconds
        is_due = entry.due_at <= now
        if request is not None and entry.started_at == float("-inf"):
            entry.due_at = entry.grid_at + max(0, math.ceil((now - entry.grid_at) / interval)) * interval
        if entry.due_at <= now:
            ticks = math.ceil((now + interval / 2 - entry.grid_at) / interval)
            entry.due_at = entry.grid_at + max(0, ticks) * interval
        reason = request.reason if request is not None and (entry.is_new or not is_due) else "schedule"
        entry.is_new = entry.is_new and request is not None
        entry.running, entry.started_at = True, now
        return reason

    def _place(self, entry: _Entry) -> None:
        """Puts an entry where it belongs now; while it runs, `done` will."""
        if entry.running:
            return
        at = _beat_at(max(entry.due_at, entry.started_at + min(APART_SECONDS, entry.check.interval_seconds)))
        if entry.request is not None:
            at = min(at, entry.request.not_before)
        self._push(entry, at)

    def _push(self, entry: _Entry, at: float) -> None:
        entry.ticket = next(self._tickets)
        heapq.heappush(self._heap, (at, entry.ticket, entry.check.id))


def _beat_at(when: float) -> float:
    """The first beat that is not before `when`."""
    return math.ceil(when / BEAT_SECONDS - TOLERANCE) * BEAT_SECONDS


def _never(_check: Check, _reason: RunReason, _ended: Callable[[Finish], None]) -> bool:
    return False


class Scheduler:
    """Starts what is due, on the running loop's clock: by `begin` where that can, else `handle` as a task of the group given.

    What `begin` began ends with a call that says how to finish it; that is done here, so that a bug in it ends the group.
    """

    def __init__(
        self,
        schedule: Schedule,
        handle: Callable[[Check, RunReason], Awaitable[None]],
        admit: Callable[[Check, RunReason, float], Admission],
        begin: Begin = _never,
    ) -> None:
        self.schedule = schedule
        self.progress_at = 0.0
        self.runs = 0
        self._handle = handle
        self._admit = admit
        self._begin = begin
        self._ended: list[tuple[Check, Finish]] = []
        self._wake = asyncio.Event()
        self._stopping = False
        self._passed_at = float("-inf")
        self._alarm: asyncio.TimerHandle | None = None

    async def run(self, group: asyncio.TaskGroup) -> None:
        """Runs until `stop`. Looks at least once a second, so that `progress_at` tells of a hung loop."""
        loop = asyncio.get_running_loop()
        while not self._stopping:
            self._wake.clear()
            self._finish_ended()
            now = self._passed_at = self.progress_at = loop.time()
            for check, reason in self.schedule.due(now):
                admission = self._admit(check, reason, now)
                if isinstance(admission, Deny):
                    self.schedule.postpone(check.id, check.site, admission.retry_at, reason, now)
                    continue
                self.runs += 1
                if not self._begin(check, reason, partial(self._note, check)):
                    group.create_task(self._run(check, reason))
            self._set_alarm(loop)
            await self._wake.wait()
        if self._alarm is not None:
            self._alarm.cancel()

    def _note(self, check: Check, finish: Finish) -> None:
        self._ended.append((check, finish))
        self._wake.set()

    def _finish_ended(self) -> None:
        ended, self._ended = self._ended, []
        for check, finish in ended:
            finish()
            self.schedule.done(check.id, check.site)

    def _set_alarm(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wakes `run` for what is due next; what falls due within one pass is started together, since waking costs more."""
        next_at = self.schedule.next_at()
        latest = self._passed_at + LOOK_SECONDS
        at = latest if next_at is None else min(latest, max(next_at, self._passed_at + PASS_SECONDS))
        if self._alarm is not None and not self._alarm.cancelled():
            if loop.time() < self._alarm.when() <= at:
                return
            self._alarm.cancel()
        self._alarm = loop.call_at(at, self._wake.set)

    async def _run(self, check: Check, reason: RunReason) -> None:
        try:
            await self._handle(check, reason)
        finally:
            self.schedule.done(check.id, check.site)
            self._set_alarm(asyncio.get_running_loop())

    def request(self, request: Request) -> None:
        loop = asyncio.get_running_loop()
        self.schedule.request(request, loop.time())
        self._set_alarm(loop)

    def update(self, checks: Iterable[Check]) -> None:
        loop = asyncio.get_running_loop()
        self.schedule.update(checks, loop.time())
        self._set_alarm(loop)

    def stop(self) -> None:
        self._stopping = True
        self._wake.set()
