"""Whether pages would get out: each pager is tried once a day, and an outside watcher is told every minute that we live."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import Callable, Mapping

from netwatch._delivery_lanes import BUGS, NETWORK, Desk, explain
from netwatch._delivery_notes import note, trial_text
from netwatch._delivery_rows import Channel
from netwatch.pagers import Busy, Refused

__all__ = ["DeadMan", "Trials", "next_local_minute"]

log = logging.getLogger(__name__)

ATTEMPTS = 3
BETWEEN_SECONDS = 60.0
LOOK_SECONDS = 30.0  # the wall clock may be set
PING_SECONDS = 60.0


def next_local_minute(wall: float, minute: int, zone: dt.tzinfo) -> float:
    """The wall time at which the local day next comes to that minute: after `wall`."""
    now = dt.datetime.fromtimestamp(wall, zone)
    for days in (0, 1, 2):
        day = now.date() + dt.timedelta(days=days)
        then = dt.datetime.combine(day, dt.time(minute // 60, minute % 60), zone).timestamp()
        if then > wall:
            return then
    raise AssertionError("a day has no such minute")


class Trials:
    """`successes` says how each pager's last daily trial ended, or a better one since; `told` hears of it: the name, and why it failed."""

    def __init__(self, desk: Desk, channels: Mapping[str, Channel], told: Callable[[str, str], None]) -> None:
        self._desk = desk
        self._channels = channels
        self._told = told
        self.successes: dict[str, bool] = {}

    async def run(self) -> None:
        due = wall = self._desk.wall()
        while True:
            minute = self._desk.settings.trial_minute
            if minute is not None and wall < due <= self._desk.wall():
                await self.try_all()
            wall = self._desk.wall()
            due = float("inf") if minute is None else next_local_minute(wall, minute, self._desk.zone)
            await asyncio.sleep(min(LOOK_SECONDS, max(0.0, due - wall)))

    async def try_all(self) -> None:
        async with asyncio.TaskGroup() as group:
            for name, channel in self._channels.items():
                if not channel.retired:
                    group.create_task(self._try_often(name))
        self.successes = {name: fine for name, fine in self.successes.items() if name in self._channels}

    async def _try_often(self, name: str) -> None:
        error = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(BETWEEN_SECONDS)
            if name not in self._channels or not (error := await self.try_once(name)):
                break
        self.successes[name] = not error
        if error:
            log.error("the daily trial of a pager failed", extra={"pager": name, "error": error})
        self._told(name, error)

    async def try_asked(self, name: str) -> str:
        """As `try_once`. What has been mended need not wait for tomorrow's trial."""
        error = await self.try_once(name, asked=True)
        if not error:
            self.successes[name] = True
            self._told(name, "")
        return error

    async def try_once(self, name: str, *, asked: bool = False) -> str:
        """Sends a page that says it is a trial. Why it was not taken, or "". Raises KeyError for a pager there is none of."""
        channel, wall = self._channels[name], self._desk.wall()
        text = trial_text(name, asked, channel.settings.language, wall, self._desk.zone, self._desk.evidence_head())
        try:
            async with self._desk.deadline():
                await channel.pager.send(note(f"trial/{name}", name, wall), text, None, self._desk.http)
        except (Refused, Busy) as trouble:
            return str(trouble)
        except NETWORK as error:
            return explain(error)
        except BUGS as bug:
            return type(bug).__name__
        return ""


class DeadMan:
    """Asks for `dead_man_url` every minute while `alive` says so: who watches it notices when we stop (as healthchecks.io does)."""

    def __init__(self, desk: Desk, alive: Callable[[], bool]) -> None:
        self._desk = desk
        self._alive = alive
        self.success: bool | None = None  # of the last ping; None while there is none

    async def run(self) -> None:
        while True:
            url = self._desk.settings.dead_man_url
            if url is None:
                self.success = None
            elif self._alive():
                error = await self._ping(url.reveal())
                if error and self.success is not False:
                    log.warning("the dead man's switch cannot be reached", extra={"error": error})
                self.success = not error
            await asyncio.sleep(PING_SECONDS)

    async def _ping(self, url: str) -> str:

        try:
            async with self._desk.deadline(), self._desk.http.get(url, allow_redirects=False) as answer:
                return "" if 200 <= answer.status < 300 else f"HTTP {answer.status}"
        except NETWORK as error:
            return explain(error)
        except (Busy, ValueError) as error:
            return type(error).__name__
