"""Pagers that are told the whole truth: at once when it changes, every minute anyway, each receiver by itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from netwatch._delivery_lanes import BUGS, NETWORK, Desk, explain
from netwatch.model import Incident, PagerSettings, PageText
from netwatch.pagers import Busy, StatePager

__all__ = ["StatePagers"]

log = logging.getLogger(__name__)

RESOLVED_SECONDS = 900.0  # closed incidents are told again this long: a receiver may have restarted
TEXTS_AT_A_TIME = 50

Truth: TypeAlias = tuple[tuple[Incident, ...], tuple[Incident, ...]]  # open, closed


class StatePagers:
    """Works between `start` and `stop`; the rest may be called at any time."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._pagers: dict[str, tuple[PagerSettings, StatePager]] = {}
        self._tasks: dict[str, list[asyncio.Task[None]]] = {}
        self._truth: Truth | None = None
        self._changed = asyncio.Event()
        self._group: asyncio.TaskGroup | None = None
        self._errors: dict[tuple[str, int], str] = {}  # by pager and receiver: how the last went, "" for well

    @property
    def successes(self) -> dict[str, bool]:
        """Of each pager that was told anything yet: whether every receiver took the last truth."""
        found: dict[str, bool] = {}
        for (name, _), error in self._errors.items():
            found[name] = found.get(name, True) and not error
        return found

    def describe(self, outcomes: Mapping[tuple[str, str], int]) -> list[dict[str, object]]:
        successes = self.successes
        return [
            {
                "name": name,
                "kind": entry.kind,
                "fallback": "",
                "stands_by": False,
                "out_of_band": False,
                "waiting": 0,
                "trial": successes.get(name),
                **{outcome: outcomes.get((name, outcome), 0) for outcome in ("sent", "retried", "refused", "handed_over")},
            }
            for name, (entry, _) in self._pagers.items()
        ]

    def last_error(self, name: str) -> str | None:
        """Why a receiver of it did not take the last truth, or ""; None for a pager there is none of."""
        if name not in self._pagers:
            return None
        return next((error for (known, _), error in self._errors.items() if known == name and error), "")

    def configure(self, pagers: Mapping[str, tuple[PagerSettings, StatePager]]) -> None:
        """Those whose settings are the same go on as they are."""
        for name in self._pagers.keys() - pagers.keys():
            del self._pagers[name]
            self._end(name)
        for name, (entry, pager) in pagers.items():
            for outcome in ("sent", "retried"):
                self._desk.outcomes[name, outcome] += 0
            if name not in self._pagers or self._pagers[name][0] != entry:
                self._end(name)
                self._pagers[name] = (entry, pager)
                self._begin(name)

    def tell(self, open_incidents: Sequence[Incident], closed: Sequence[Incident]) -> None:
        truth = (tuple(open_incidents), tuple(closed))
        if truth != self._truth:
            self._truth = truth
            self._changed.set()
            self._changed = asyncio.Event()

    def start(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        for name in self._pagers:
            self._begin(name)

    def stop(self) -> None:
        self._group = None
        for name in self._pagers:
            self._end(name)

    def _begin(self, name: str) -> None:
        if self._group is not None:
            entry, pager = self._pagers[name]
            receivers = enumerate(pager.destinations())
            self._tasks[name] = [self._group.create_task(self._keep_in_sync((entry, number), one)) for number, one in receivers]

    def _end(self, name: str) -> None:
        for task in self._tasks.pop(name, ()):
            task.cancel()
        self._errors = {key: error for key, error in self._errors.items() if key[0] != name}

    async def _keep_in_sync(self, receiver: tuple[PagerSettings, int], pager: StatePager) -> None:
        timing = self._desk.timing
        failures = 0
        while True:
            truth, changed = self._truth, self._changed
            if truth is None:
                await changed.wait()
            elif await self._sync(receiver, pager, truth):
                failures = 0
                try:
                    async with asyncio.timeout(timing.resync_seconds):
                        await changed.wait()
                except TimeoutError:
                    continue
            else:
                failures += 1
                await asyncio.sleep(min(timing.wait_seconds(failures), timing.resync_seconds))

    async def _sync(self, receiver: tuple[PagerSettings, int], pager: StatePager, truth: Truth) -> bool:
        """Whether the pager has taken the whole truth."""
        entry, number = receiver
        wall = self._desk.wall()
        closed = [incident for incident in truth[1] if incident.closed is not None and wall - incident.closed <= RESOLVED_SECONDS]
        try:
            open_texts = await self._texts(truth[0], entry.language, wall)
            closed_texts = await self._texts(closed, entry.language, wall)
            async with self._desk.deadline():
                await pager.sync(open_texts, closed_texts, self._desk.http, wall)
        except Busy as busy:
            error = str(busy)
        except NETWORK as failure:
            error = explain(failure)
        except BUGS as bug:
            error = type(bug).__name__
        else:
            self._desk.outcomes[entry.name, "sent"] += 1
            self._errors[entry.name, number] = ""
            return True
        self._errors[entry.name, number] = error
        self._desk.outcomes[entry.name, "retried"] += 1
        log.warning("pager not in sync", extra={"pager": entry.name, "error": error})
        return False

    async def _texts(self, incidents: Sequence[Incident], language: str, wall: float) -> list[tuple[Incident, PageText]]:
        """In portions: a thousand texts at once would hold up the pings."""
        texts: list[tuple[Incident, PageText]] = []
        for incident in incidents:
            texts.append((incident, self._desk.text(incident, "open" if incident.closed is None else "recover", language, wall)))
            if len(texts) % TEXTS_AT_A_TIME == 0:
                await asyncio.sleep(0)
        return texts
