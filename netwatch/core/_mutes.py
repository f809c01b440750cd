"""Whether somebody asked not to be told: silences and maintenance, asked for or planned. Pure."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from netwatch.core._world import World
from netwatch.matcher import Matcher, cover, parse
from netwatch.model import Incident
from netwatch.windows import occurrence

__all__ = ["maintenance_now", "muted"]


def muted(world: World, incident: Incident, wall: float) -> bool:
    """Whether a silence or a maintenance covers all that an incident is about. What is about netwatch itself is never muted."""
    return cover([*_asked(world, wall, None), *_planned(world, wall)], incident, world.inventory.sites)


def maintenance_now(world: World, wall: float) -> tuple[Matcher, ...]:
    """What work is under way on, planned or not."""
    return (*_asked(world, wall, "maintenance"), *_planned(world, wall))


def _asked(world: World, wall: float, kind: str | None) -> list[Matcher]:
    return [
        parse(window.matcher) for window in world.windows.values() if window.starts <= wall < window.ends and kind in {None, window.kind}
    ]


def _planned(world: World, wall: float) -> list[Matcher]:
    if not world.inventory.maintenance:
        return []
    zone = ZoneInfo(world.inventory.settings.timezone)
    return [parse(planned.matcher) for planned in world.inventory.maintenance if occurrence(planned, wall, zone) is not None]
