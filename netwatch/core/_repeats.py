"""When what nobody has acknowledged is said again. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from netwatch.core._world import Draft, Timer, World
from netwatch.model import Incident
from netwatch.route import REPEAT_EVERY_SECONDS, repeat_seconds

__all__ = ["first_repeat", "next_repeat", "wait_seconds"]


def first_repeat(world: World, incident: Incident, at: float) -> Timer:
    return Timer(repeat_at=at + repeat_seconds(world.inventory)[0] if incident.severity == "critical" else None)


def wait_seconds(world: World, repeats: int) -> float:
    """From one repeat, the number `repeats`, to the next."""
    times = repeat_seconds(world.inventory)
    return times[repeats] - times[repeats - 1] if repeats < len(times) else REPEAT_EVERY_SECONDS


def next_repeat(world: World, draft: Draft, incident: Incident, kind: Literal["open", "update", "recover"]) -> float | None:
    """When a page that is told now is said again, as wall time; what has only now become critical is, from now on."""
    timer = world.timers.get(incident.id, Timer())
    if timer.repeat_at is None and kind == "update" and incident.severity == "critical" and incident.acknowledgement is None:
        timer = replace(timer, repeat_at=draft.at + repeat_seconds(world.inventory)[0])
        world.timers[incident.id] = timer
    return None if timer.repeat_at is None else draft.wall + timer.repeat_at - draft.at
