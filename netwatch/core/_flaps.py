"""What goes down again and again: told once, and over when it has been quiet. Pure (ADR 0012)."""

from __future__ import annotations

from netwatch.core._world import World
from netwatch.model import Incident, Subject

__all__ = ["SPELLS_SECONDS", "flaps", "note_spell", "spells_of_late"]

SPELLS_SECONDS = 1_800.0
FLAPPING_SPELLS = 3
QUIET_SECONDS = 600.0  # a flapping incident is over when it has been well this long


def note_spell(world: World, check: str, at: float) -> None:
    """It has gone down; of late, or it is not remembered."""
    recent = [then for then in world.spells.get(check, ()) if at - then < SPELLS_SECONDS]
    world.spells[check] = (*recent, at)[-20:]


def flaps(world: World, incident: Incident, at: float) -> bool:
    """Often down of late, and the last time not long ago."""
    for member in incident.members:
        recent = [then for then in world.spells.get(member.check, ()) if at - then < SPELLS_SECONDS]
        often = incident.flapping or len(recent) >= FLAPPING_SPELLS
        if often and recent and at - _well_since(world, member, at) < QUIET_SECONDS:
            return True
    return False


def spells_of_late(world: World, incident: Incident, at: float) -> int:
    """How often the worst of its members has gone down of late."""
    down = (world.spells.get(member.check, ()) for member in incident.members)
    return max((sum(at - then < SPELLS_SECONDS for then in one) for one in down), default=0)


def _well_since(world: World, subject: Subject, at: float) -> float:
    known = world.believed(subject)
    return known.changed_at if known is not None else at
