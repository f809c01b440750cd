"""Incidents of netwatch itself: what cannot be run here, and what else is ours to mend. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from netwatch import state
from netwatch.core._incidents import close, open_or_grow
from netwatch.core._world import Draft, World
from netwatch.correlate import Finding
from netwatch.memory import Memory
from netwatch.model import Cause, Subject

__all__ = ["OWN_TROUBLE_KEY", "look_at_own_trouble", "own_finding"]

OWN_TROUBLE_KEY = "netwatch/self/errors"


def look_at_own_trouble(world: World, draft: Draft, check_id: str, memory: Memory) -> None:
    """Checks that cannot be run for want of something here: one incident about netwatch itself, whatever their number."""
    before = len(world.broken)
    if memory.errors >= state.ERROR_RUNS:
        world.broken.add(check_id)
    elif not memory.errors:
        world.broken.discard(check_id)
    if len(world.broken) == before:
        return
    known = world.incidents.get(OWN_TROUBLE_KEY)
    broken = tuple(Subject(check) for check in sorted(world.broken))
    if not broken:
        if known is not None:
            close(world, draft, known, "recovered")
        return
    last = memory.last
    facts = {"detail": last.detail if last else "", "code_word": last.code if last else "", "hidden": str(len(broken))}
    open_or_grow(world, draft, own_finding(OWN_TROUBLE_KEY, "errors", facts, broken))


def own_finding(key: str, name: str, facts: Mapping[str, str], members: tuple[Subject, ...] = ()) -> Finding:
    return Finding(
        key=key,
        cause=Cause("netwatch", name),
        sites=(),
        severity="warning",
        audience="page",
        members=members,
        hidden=len(members),
        facts=facts,
    )
