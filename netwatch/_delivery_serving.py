"""Serving pagers: what is sent to each, when, and what follows from its answer."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Iterable, Sequence

from netwatch import crash_points
from netwatch._delivery_chain import Chain
from netwatch._delivery_lanes import BUGS, NETWORK, Desk, explain, is_uncertain
from netwatch._delivery_notes import digest_page, digest_text
from netwatch._delivery_pace import Pace
from netwatch._delivery_rows import Channel, Job, Row
from netwatch.model import Incident, Page, PageText
from netwatch.pagers import Busy, Refused
from netwatch.wording import is_morning_digest

__all__ = ["Serving"]

log = logging.getLogger(__name__)

BUG_ATTEMPTS = 5


class Serving:
    """Works between `start` and `stop`. `pace` is that of all pagers that people read, together."""

    def __init__(self, chain: Chain, desk: Desk, channels: dict[str, Channel]) -> None:
        self._chain = chain
        self._desk = desk
        self._channels = channels
        self._attempts: set[asyncio.Task[None]] = set()
        self._group: asyncio.TaskGroup | None = None
        self.pace = Pace(desk.settings.pages_per_minute)

    def start(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        for channel in self._channels.values():
            self.serve(channel)

    async def stop(self) -> None:
        """Attempts in flight get two seconds."""
        self._group = None
        for channel in self._channels.values():
            channel.changed()
        if self._attempts:
            await asyncio.wait(self._attempts, timeout=self._desk.timing.stop_seconds)
        for task in self._attempts:
            task.cancel()

    def forget_retired(self) -> None:
        for name in [name for name, channel in self._channels.items() if channel.retired and not channel.lanes]:
            self._channels.pop(name).changed()

    def serve(self, channel: Channel) -> None:
        if self._group is not None and not channel.served:
            channel.served = True
            self._group.create_task(self._work_off(channel, self._group))

    async def _work_off(self, channel: Channel, group: asyncio.TaskGroup) -> None:
        """Begins what may begin, for as long as there is such a pager."""
        while True:
            await channel.slots.acquire()
            jobs = await self._next(channel)
            if not jobs:
                channel.served = False
                return
            task = group.create_task(self._attempt(channel, jobs))
            self._attempts.add(task)
            task.add_done_callback(self._attempts.discard)
            task.add_done_callback(lambda _task: channel.slots.release())

    async def _next(self, channel: Channel) -> list[Job]:
        """What to send now: one page, or all that wait when there is room for one only. Empty when there is nothing any more."""
        loop = asyncio.get_running_loop()
        while self._group is not None and (channel.lanes or self._channels.get(channel.name) is channel):
            now = loop.time()
            paces = (channel.pace, self.pace) if channel.pager.digests else (channel.pace,)
            if (hold := channel.not_before - now) > 0:
                await channel.wait(hold)
            elif not (ready := channel.ready(now)):
                at = channel.next_at()
                await channel.wait(None if at is None else at - now)
            elif (wait := max(pace.wait_seconds(now) for pace in paces)) > 0:
                await channel.wait(wait)
            else:
                together = channel.pager.digests and ready > 1 and min(pace.free(now) for pace in paces) == 1
                if jobs := channel.pick(sys.maxsize if together else 1):
                    for pace in paces:
                        pace.take(now)
                    return jobs
        return []

    async def _attempt(self, channel: Channel, jobs: Sequence[Job]) -> None:
        """Tries once."""
        name, chain = channel.name, self._chain
        page = jobs[0].page if len(jobs) == 1 else digest_page([job.page for job in jobs], name)
        try:
            text = self._text(jobs[0].row if len(jobs) == 1 else None, page, channel.settings.language)
            crash_points.reached("before-send")
            async with self._desk.deadline():
                receipt = await channel.pager.send(page, text, chain.thread(jobs[0]) if len(jobs) == 1 else None, self._desk.http)
        except Refused as refused:
            self._refuse(channel, jobs, str(refused))
        except Busy as busy:
            self._postpone(channel, jobs, str(busy), busy.retry_after_seconds)
        except NETWORK as error:
            self._postpone(channel, jobs, explain(error), uncertain=is_uncertain(error))
        except BUGS as bug:
            log.error("a page cannot be written or sent", extra={"pager": name, "page": page.id, "error": type(bug).__name__})
            worn_out = [job for job in jobs if job.attempts + 1 >= BUG_ATTEMPTS]
            self._refuse(channel, worn_out, type(bug).__name__)
            self._postpone(channel, [job for job in jobs if job not in worn_out], type(bug).__name__)
        else:
            crash_points.reached("after-send")
            self._desk.outcomes[name, "sent"] += 1
            for job in jobs:
                chain.take(channel, job, receipt if len(jobs) == 1 else None, "" if len(jobs) == 1 else page.id)
        self.forget_retired()

    def _refuse(self, channel: Channel, jobs: Iterable[Job], reason: str) -> None:
        for job in jobs:
            channel.done(job)
            self._chain.refuse(channel.name, job.row, reason)

    def _postpone(self, channel: Channel, jobs: Sequence[Job], error: str, asked: float | None = None, *, uncertain: bool = False) -> None:
        if jobs:
            self._desk.outcomes[channel.name, "retried"] += 1
            self._chain.postpone(channel, jobs, error, asked, uncertain=uncertain)

    def _text(self, row: Row | None, page: Page, language: str) -> PageText:
        if row is not None and row.text is not None:
            return row.text(language, page.wall)
        if not page.about:
            return self._desk.text(page.incident, page.kind, language, page.wall, pager=page.pager)
        if is_morning_digest(page):
            return self._desk.morning(page, language)

        def describe(incident: Incident) -> PageText:
            return self._desk.text(incident, "open" if incident.closed is None else "recover", language, page.wall)

        return digest_text(page, language, describe, self._desk.settings.page_url)
