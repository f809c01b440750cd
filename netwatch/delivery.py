"""From the outbox to the pagers: every page delivered, in order for each key, again and again until it is taken.

A lane is one key at one pager: its pages go one after another, so that a recovery never overtakes its opening. Lanes and
pagers do not wait for each other. What a newer page tells as well is not sent; what is too much for people is told
together. A row ends by acceptance, within a newer page or a digest, or by refusal at the end of the chain of pagers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence

from netwatch import crash_points
from netwatch._delivery_chain import Chain, Ledger
from netwatch._delivery_lanes import Desk, Timing, open_session
from netwatch._delivery_notes import blind_text, note
from netwatch._delivery_pace import Pace
from netwatch._delivery_rows import Channel, Row
from netwatch._delivery_serving import Serving
from netwatch._delivery_sync import StatePagers
from netwatch._delivery_trials import DeadMan, Trials
from netwatch.history import HistoryFailed, OutboxRow
from netwatch.model import Incident, PagerSettings, Settings
from netwatch.pagers import EventPager, Pager, PagerMisconfigured, StatePager, build

__all__ = ["Delivery", "Ledger", "Timing"]

log = logging.getLogger(__name__)

BEAT_SECONDS = 1.0


def _nobody_told(_name: str, _error: str) -> None:
    """For those who do not ask how the trials end."""


class Delivery:
    """Delivers from `run` to `stop`. Everything else returns at once and may come before `run`.

    `alive` is asked before each sign of life to the outside; `tried` is told how each trial of a pager ended.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        wall: Callable[[], float],
        settings: Settings | None = None,
        timing: Timing | None = None,
        alive: Callable[[], bool] = lambda: True,
        tried: Callable[[str, str], None] = _nobody_told,
        link_key: bytes = b"",
        evidence_head: Callable[[], str] = str,
    ) -> None:
        self._wall = wall
        self._timing = timing or Timing()
        self._desk = Desk(wall=wall, timing=self._timing, settings=settings or Settings(), link_key=link_key, evidence_head=evidence_head)
        self._states = StatePagers(self._desk)
        self._channels: dict[str, Channel] = {}
        self._chain = Chain(ledger, self._desk, self._channels)
        self._trials = Trials(self._desk, self._channels, tried)
        self._dead_man = DeadMan(self._desk, alive)
        self._serving = Serving(self._chain, self._desk, self._channels)
        self._stopping = asyncio.Event()
        self.progress_at = 0.0  # monotonic; stands still only while an attempt cannot be ended

    @property
    def outcomes(self) -> Mapping[tuple[str, str], int]:
        """How many attempts ended how, by pager and outcome: sent, retried, refused, handed_over."""
        return self._desk.outcomes

    @property
    def trials(self) -> Mapping[str, bool]:
        """Whether each pager took its last daily trial, or its last truth."""
        return {**self._states.successes, **self._trials.successes}

    @property
    def dead_man_success(self) -> bool | None:
        """Of the last sign of life to the outside; None when there is none to give."""
        return self._dead_man.success

    @property
    def pending(self) -> int:
        """Pages that have not ended."""
        return len(self._chain.rows)

    def describe_pagers(self) -> list[dict[str, object]]:
        """As `netwatch notify list` tells them; state pagers last."""
        waiting = Counter(name for row in self._chain.rows for name in row.owed)
        told = set(self.event_pagers())
        events: list[dict[str, object]] = [
            {
                "name": name,
                "kind": channel.settings.kind,
                "fallback": channel.pager.fallback,
                "stands_by": name not in told,
                "out_of_band": channel.pager.out_of_band,
                "waiting": waiting[name],
                "trial": self.trials.get(name),
                **{outcome: self.outcomes.get((name, outcome), 0) for outcome in ("sent", "retried", "refused", "handed_over")},
            }
            for name, channel in self._channels.items()
            if not channel.retired
        ]
        return [*events, *self._states.describe(self.outcomes)]

    def describe_waiting(self) -> list[dict[str, object]]:
        """The pages that have not ended, the oldest first: who still has to take each, and what the last attempt met with."""
        found: list[dict[str, object]] = []
        for row in self._chain.rows:
            jobs = [job for channel in self._channels.values() if (job := channel.find(row)) is not None]
            found.append(
                {
                    "id": row.page.id,
                    "incident": row.page.incident.id,
                    "kind": row.page.kind,
                    "wall": row.page.wall,
                    "owed": sorted(row.owed),
                    "taken": list(row.taken),
                    "attempts": max((job.attempts for job in jobs), default=0),
                    "error": row.error,
                }
            )
        return found

    # --- what the daemon says

    def configure(self, pagers: Mapping[str, PagerSettings], settings: Settings | None = None) -> None:
        """Puts pagers in force. What still waits for one that is gone is delivered as it was set up before."""
        self._desk.settings = settings or self._desk.settings
        if self._serving.pace.per_minute != self._desk.settings.pages_per_minute:
            self._serving.pace = Pace(self._desk.settings.pages_per_minute)
        built = {name: pager for name, entry in pagers.items() if (pager := _built(entry)) is not None}
        for name, channel in self._channels.items():
            channel.retired = not isinstance(built.get(name), EventPager)
        for name, pager in built.items():
            if isinstance(pager, EventPager):
                self._adopt(pagers[name], pager)
        self._states.configure({name: (pagers[name], pager) for name, pager in built.items() if isinstance(pager, StatePager)})
        self._serving.forget_retired()
        self._chain.reconsider()

    def event_pagers(self, named: Collection[str] = ()) -> tuple[str, ...]:
        """Who can be told: all but those that only take over from another and are not `named` for themselves."""
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
        return (*told, *(name for name in fallbacks if name in named and name not in told))

    def pagers_in_force(self) -> dict[str, EventPager]:
        """Those that people read, by name; the same objects until their settings change."""
        return {name: channel.pager for name, channel in self._channels.items() if not channel.retired}

    def restore(self, rows: Iterable[OutboxRow], threads: Mapping[tuple[int, str], str]) -> None:
        """Takes up what the last process left, in the order it was committed. Call it after `configure`."""
        self._chain.restore(threads)
        self.accept(rows)

    def accept(self, rows: Iterable[OutboxRow]) -> None:
        loop = asyncio.get_running_loop()
        wall = self._wall()
        for row in rows:
            age = min(max(0.0, wall - row.page.wall), self._desk.settings.takeover_seconds)
            wait = min(row.next_attempt_wall - wall, self._timing.longest_wait_seconds)
            # A first attempt never waits, whatever a clock that was set back says.
            due_at = loop.time() + wait if row.attempts and wait > 0 else 0.0
            self._chain.admit(Row(id=row.id, page=row.page, since=loop.time() - age, error=row.error), row.attempts, due_at)

    def sync(self, open_incidents: Sequence[Incident], closed: Sequence[Incident]) -> None:
        """What is so now: state pagers are told at once if anything changed, and every minute anyway."""
        self._states.tell(open_incidents, closed)

    def say_blind(self, since: float, until: float) -> None:
        """Nothing was watched between these wall times: one page nobody is woken by, if it was long enough."""
        if until - since < self._desk.settings.blind_note_seconds:
            return
        zone = self._desk.zone
        for name in self.event_pagers():
            row = Row(id=None, page=note("blind", name, until), since=asyncio.get_running_loop().time())
            row.text = lambda language, _wall: blind_text(since, until, language, zone)
            self._chain.admit(row)

    async def try_pager(self, name: str) -> str:
        """Sends a page that says it is a trial, now. Why it was not taken, or "". Raises KeyError for a pager there is none of."""
        error = self._states.last_error(name)  # a state pager is told every minute anyway
        return await self._trials.try_asked(name) if error is None else error

    async def run(self) -> None:
        self.progress_at = asyncio.get_running_loop().time()
        async with open_session() as self._desk.http, asyncio.TaskGroup() as group:
            self._serving.start(group)
            self._states.start(group)
            recorder = group.create_task(self._record())
            others = [group.create_task(work()) for work in (self._beat, self._take_over, self._trials.run, self._dead_man.run)]
            await self._stopping.wait()
            self._states.stop()
            await self._serving.stop()
            self._chain.records.put_nowait(None)
            await asyncio.wait([recorder], timeout=self._timing.stop_seconds)
            for task in (recorder, *others):
                task.cancel()

    def stop(self) -> None:
        """`run` then ends: attempts in flight get two seconds, what was delivered is recorded, the rest stays in the ledger."""
        self._stopping.set()

    # --- one pager

    def _adopt(self, entry: PagerSettings, pager: EventPager) -> None:
        for outcome in ("sent", "retried", "refused", "handed_over"):
            self._desk.outcomes[entry.name, outcome] += 0
        channel = self._channels.get(entry.name)
        if channel is None:
            channel = self._channels[entry.name] = Channel(entry, pager, Pace(pager.pages_per_minute))
        elif channel.settings != entry:
            channel.settings, channel.pager, channel.pace = entry, pager, Pace(pager.pages_per_minute)
            channel.kick()
        self._serving.serve(channel)

    # --- beside it

    async def _take_over(self) -> None:
        chain = self._chain
        while True:
            at = chain.take_over_what_is_late()
            chain.sooner.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(at):
                    await chain.sooner.wait()

    async def _record(self) -> None:
        """Writes down how attempts ended, beside the sending: a disk that hangs delays no page."""
        while (write := await self._chain.records.get()) is not None:
            await _written(write)

    async def _beat(self) -> None:
        while True:
            if not self._desk.is_stuck():
                self.progress_at = asyncio.get_running_loop().time()
            await asyncio.sleep(BEAT_SECONDS)


async def _written(write: Callable[[], Awaitable[None]]) -> None:
    crash_points.reached("before-receipt")
    try:
        await write()
        crash_points.reached("after-receipt")
    except HistoryFailed as failure:
        log.warning("how a page ended is not on the disk yet", extra={"error": str(failure)})


def _built(entry: PagerSettings) -> Pager | None:
    try:
        return build(entry)
    except PagerMisconfigured as wrong:
        log.error("pager left out", extra={"pager": entry.name, "key": wrong.key, "error": wrong.message})
        return None
