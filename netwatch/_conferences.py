"""Meetings in the daemon: an hour and a quarter of one before each it looks who is ready, and after it how it was for whom."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

from netwatch import conference, core, quality, rollcall
from netwatch._legs import Samples, legs_of
from netwatch._metric_families import Family
from netwatch.conference import LEVELS, Leg, Level, Readiness, Reason
from netwatch.history import HistoryFailed
from netwatch.model import Belief, Meeting, Readied, Severity
from netwatch.rollcall import Sitting
from netwatch.snapshot import Snapshot
from netwatch.whole_file import write_whole
from netwatch.windows import occurrences
from netwatch.wording.conference import ring

__all__ = ["Conferences", "due"]

log = logging.getLogger(__name__)

Step: TypeAlias = Literal["before", "shortly", "after"]
LOOK_SECONDS = 10.0
BEFORE_SECONDS, SHORTLY_SECONDS = 3_600.0, 900.0
AFTER_SECONDS = 1_800.0  # a meeting that ended longer ago is told of no more
LEG_SECONDS = 600.0
MOST_TOLD = 25  # places in one message
LONGEST_MEETING_SECONDS = 86_400.0
GOOD_CALLS = frozenset({1.0, 2.0})  # pexip_room_call_quality: good, ok
FILE = "good-calls.json"
SAVE_SECONDS = 600.0
SEVERITIES: Mapping[Level, Severity] = {"go": "info", "risk": "warning", "no_go": "critical"}


def due(meetings: Iterable[Meeting], wall: float, zone: ZoneInfo) -> list[tuple[Sitting, Step]]:
    """What is to be told at a moment, if it was not yet: the last step of each meeting that has come."""
    found: list[tuple[Sitting, Step]] = []
    for meeting in meetings:
        for starts, ends in occurrences(meeting, wall - AFTER_SECONDS, wall + BEFORE_SECONDS, zone):
            sitting = Sitting(meeting=meeting, starts=starts, ends=ends)
            if ends <= wall < ends + AFTER_SECONDS:
                found.append((sitting, "after"))
            elif starts - SHORTLY_SECONDS <= wall < starts:
                found.append((sitting, "shortly"))
            elif starts - BEFORE_SECONDS <= wall < starts - SHORTLY_SECONDS:
                found.append((sitting, "before"))
    return found


@dataclass
class Conferences:
    """One for a daemon. `told` takes what was found; it tells each step of a meeting once."""

    world: Callable[[], core.World]
    snapshot: Callable[[], Snapshot]
    samples: Samples
    told: Callable[[Readied], None]
    state_directory: Path
    wall: Callable[[], float]
    good_calls: dict[str, float] = field(default_factory=dict)  # wall, by site and device
    _levels: dict[str, Level] = field(default_factory=dict)
    _saved_at: float = -math.inf

    async def run(self) -> None:
        """Until cancelled."""
        await asyncio.to_thread(self._restore)
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Once: whatever is due and was not told yet."""
        await self._note_calls()
        world, wall = self.world(), self.wall()
        for sitting, step in due(world.inventory.meetings, wall, ZoneInfo(world.inventory.settings.timezone)):
            if f"{sitting.key}/{step}" in world.meetings_told:
                continue
            try:
                found = await self._found(sitting, step)
            except HistoryFailed as failure:
                log.warning("nothing can be said of a meeting", extra={"meeting": sitting.meeting.id, "why": str(failure)})
                continue
            self.told(found)

    def families(self) -> Iterable[Family]:
        """By the last look before a meeting; nothing where there was none."""
        series = [({"site": site}, float(len(LEVELS) - 1 - LEVELS.index(level))) for site, level in sorted(self._levels.items())]
        if series:
            yield Family(
                "netwatch_conference_ready", "gauge", "Ready for the last meeting looked at: 2 ready, 1 at risk, 0 not ready.", series
            )

    async def _found(self, sitting: Sitting, step: Step) -> Readied:
        snapshot = self.snapshot()
        if step == "after":
            judged = await self._how_it_was(snapshot, sitting)
        else:
            legs = await legs_of(snapshot.sites, self.world().inventory.checks, self.samples, snapshot.wall - LEG_SECONDS, snapshot.wall)
            judged = [conference.readiness(one) for one in rollcall.evidence_of(self.world(), snapshot, sitting, legs, self.good_calls)]
            self._levels = {one.site: one.level for one in judged}
        return self._as_told(snapshot, sitting, step, sorted(judged, key=lambda one: -LEVELS.index(one.level)))

    async def _how_it_was(self, snapshot: Snapshot, sitting: Sitting) -> list[Readiness]:
        """The line of each place over the whole meeting, judged as strictly as in it; an outage counts as what it was."""
        places = frozenset(rollcall.places_of(sitting.meeting, self.world().inventory.sites))
        views = [view for view in snapshot.sites if view.site.id in places]
        since = max(sitting.starts, sitting.ends - LONGEST_MEETING_SECONDS)
        legs = await legs_of(views, self.world().inventory.checks, self.samples, since, sitting.ends, whole=True)
        return [_how(view.site.id, legs.get(view.site.id)) for view in views]

    def _as_told(self, snapshot: Snapshot, sitting: Sitting, step: Step, judged: Sequence[Readiness]) -> Readied:
        views, settings = {view.site.id: view for view in snapshot.sites}, self.world().inventory.settings
        places: list[dict[str, object]] = []
        for one in judged:
            if one.first is None or len(places) == MOST_TOLD:
                continue
            view = views[one.site]
            used = rollcall.line_in_use(view)
            whom = ring(one.first, view.site, used.line if used else None, settings.power_hotline).text()
            fields = dict(one.first.fields)
            places.append({"name": view.site.name, "level": one.first.level, "code": one.first.code, "fields": fields, "ring": whom})
        worst = judged[0].level if judged else "go"
        return Readied(
            at=asyncio.get_running_loop().time(),
            wall=snapshot.wall,
            key=sitting.key,
            step=step,
            severity=SEVERITIES[worst],
            sites=tuple(one.site for one in judged if one.level == "no_go"),
            facts={
                "meeting": sitting.meeting.id,
                "starts": f"{sitting.starts:.0f}",
                "ready": str(sum(one.level == "go" for one in judged)),
                "places": str(len(judged)),
                "places_told": json.dumps(places, ensure_ascii=False),
            },
        )

    async def _note_calls(self) -> None:
        """When each room was last in a call that was good, by what the bridge says."""
        snapshot = self.snapshot()
        rooms = rollcall.rooms_of(snapshot)
        for view in snapshot.sites:
            for target in view.targets:
                if (
                    target.role == rollcall.ENDPOINT_ROLE
                    and rollcall.room_of(rooms, view.site.id, target.id).get(rollcall.ROOM_CALL) in GOOD_CALLS
                ):
                    self.good_calls[f"{view.site.id}/{target.id}"] = snapshot.wall
        if self.good_calls and snapshot.wall - self._saved_at >= SAVE_SECONDS:
            self._saved_at = snapshot.wall
            await asyncio.to_thread(self._save, json.dumps(self.good_calls))

    def _save(self, text: str) -> None:
        with contextlib.suppress(OSError):  # that the disk refuses is told by history
            write_whole(self.state_directory / FILE, text.encode())

    def _restore(self) -> None:
        with contextlib.suppress(OSError, ValueError, TypeError, AttributeError, RecursionError):
            stored = json.loads((self.state_directory / FILE).read_text("utf-8"))
            self.good_calls.update({str(room): float(wall) for room, wall in stored.items()})


def _how(site: str, leg: Leg | None) -> Readiness:
    if leg is None or not leg.sent:
        reason = Reason(level="risk", code="quality_unknown", whom="us")
        return Readiness(site=site, level="risk", reasons=(reason,))
    graded = quality.grade_video(leg.rtt_seconds, leg.jitter_seconds, leg.sent, leg.received, strict=True)
    if graded is Belief.OK:
        return Readiness(site=site, level="go")
    reason = conference.quality_reason(leg, graded, strict=True)
    return Readiness(site=site, level=reason.level, reasons=(reason,))
