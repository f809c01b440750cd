"""Which incidents have the way to their failing line traced, and how often: a province that goes dark is not traced 45 times."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from ipaddress import ip_address
from typing import TypeAlias

from netwatch.hops import PathFailed, walk
from netwatch.model import Check, Hop, Incident, Inventory, Traced

__all__ = ["Tracer", "aim"]

log = logging.getLogger(__name__)

SHARED = frozenset({"tag", "carrier", "feeder", "uplink"})
TRACED = SHARED | {"site", "line"}
AT_A_TIME = 2
MOST_A_MINUTE = 6
KEPT_FOR_SHARED = 2  # of those: the one incident that explains the others is not the one without a path
MINUTE_SECONDS = 60.0

Walk: TypeAlias = Callable[[str, str | None], Awaitable[tuple[Hop | None, ...]]]


class Tracer:
    """Traces once for each incident that is `offer`ed while it is open; `take` is told what was found."""

    def __init__(self, take: Callable[[Traced], None], *, wall: Callable[[], float], walk: Walk = walk) -> None:
        self._take = take
        self._wall = wall
        self._walk = walk
        self._decided: set[int] = set()  # open incidents that are, were or will not be traced
        self._begun: deque[float] = deque(maxlen=MOST_A_MINUTE)
        self._waiting: asyncio.Queue[tuple[int, Check]] = asyncio.Queue()

    def offer(self, incidents: Iterable[Incident], inventory: Inventory, at: float) -> None:
        """Incidents as they are now. `at` is monotonic."""
        for incident in incidents:
            if incident.closed is not None:
                self._decided.discard(incident.id)
            elif incident.cause.type in TRACED and incident.id not in self._decided and "path" not in incident.facts:
                check = aim(incident, inventory)
                if check is not None:
                    self._decided.add(incident.id)
                    if self._admit(at, shared=incident.cause.type in SHARED):
                        self._waiting.put_nowait((incident.id, check))

    def _admit(self, at: float, *, shared: bool) -> bool:
        """What is beyond the limit is not traced later: by then the path says nothing of how the incident began."""
        recent = sum(at - begun < MINUTE_SECONDS for begun in self._begun)
        if recent >= MOST_A_MINUTE - (0 if shared else KEPT_FOR_SHARED):
            return False
        self._begun.append(at)
        return True

    async def run(self) -> None:
        """Until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_A_TIME):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            incident, check = await self._waiting.get()
            if incident not in self._decided:  # it closed meanwhile
                continue
            try:
                hops = await self._walk(check.address, check.source)
            except PathFailed as failed:
                log.warning("a path cannot be traced from here", extra={"check": check.id, "error": str(failed)})
                continue
            self._take(Traced(at=asyncio.get_running_loop().time(), wall=self._wall(), incident=incident, address=check.address, hops=hops))


def aim(incident: Incident, inventory: Inventory) -> Check | None:
    """The failing line of an incident, or else what it is about; only what the inventory gives an address for."""
    checks = [inventory.checks[member.check] for member in incident.members if member.check in inventory.checks]
    lines = [check for check in checks if check.target in inventory.sites[check.site].lines]
    return next((check for check in (*lines, *checks) if _is_address(check.address)), None)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
