"""What goes down again and again: told once, and over when it has been quiet. Pure (ADR 0012)."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import replace

from netwatch.core._world import World
from netwatch.model import Incident, Subject

__all__ = ["MOST_SPELLS", "SPELLS_SECONDS", "flaps", "note_spell", "spells_of_late"]

SPELLS_SECONDS = 1_800.0
MOST_SPELLS = 20  # remembered of a check: of thousands that flap, each costs memory and is written down
FLAPPING_SPELLS = 3
QUIET_SECONDS = 600.0  # a flapping incident is over when it has been well this long


def note_spell(world: World, check: str, at: float) -> None:
    """It has gone down; of late, or it is not remembered. Stored with what is believed of the check, which changed by it."""
    memory = world.memory(check)
    recent = (*_of_late(memory.spells, at), at)
    world.memories[check] = replace(memory, spells=array("d", recent[-MOST_SPELLS:]))


def flaps(world: World, incident: Incident, at: float) -> bool:
    """Often down of late, and the last time not long ago."""
    for member in incident.members:
        recent = _of_late(world.memory(member.check).spells, at)
        often = incident.flapping or len(recent) >= FLAPPING_SPELLS
        if often and recent and at - _well_since(world, member, at) < QUIET_SECONDS:
            return True
    return False


def spells_of_late(world: World, incident: Incident, at: float) -> str:
    """How often the worst of its members has gone down of late; from MOST_SPELLS on, at least so often."""
    most = max((len(_of_late(world.memory(member.check).spells, at)) for member in incident.members), default=0)
    return str(most) if most < MOST_SPELLS else f"{MOST_SPELLS}+"


def _of_late(spells: Sequence[float], at: float) -> list[float]:
    return [then for then in spells if at - then < SPELLS_SECONDS]


def _well_since(world: World, subject: Subject, at: float) -> float:
    known = world.believed(subject)
    return known.changed_at if known is not None else at
