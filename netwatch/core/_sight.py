"""Whether we ourselves can see: when nothing far away answers any more, it is we who are cut off. Pure."""

from __future__ import annotations

from dataclasses import replace

from netwatch.core._incidents import close, close_or_hold, open_or_grow
from netwatch.core._world import Draft, World
from netwatch.correlate import Finding, Sight
from netwatch.model import ISOLATED, Cause, Subject

__all__ = ["UPLINK_KEY", "look_around"]

UPLINK_KEY = "netwatch/self/uplink"
ANCHORS_KEY = "netwatch/self/anchors"


def look_around(world: World, draft: Draft) -> None:
    """All anchors lost and nothing heard since is isolation: one incident, and no site is blamed until something answers."""
    if not world.can_be_blind:
        _see_again(world, draft)
        return
    lost = [check for check in sorted(world.anchor_checks) if world.memory(check).failed]
    if world.isolated:
        if world.sight.seen_at > _lost_at(world):
            world.isolated = False
            world.sight = replace(world.sight, sighted_at=draft.at)
    else:
        world.isolated = _is_cut_off(world)
    known = world.incidents.get(UPLINK_KEY)
    if world.isolated:
        members = tuple(Subject(check) for check in (lost or sorted(world.far_checks)))
        open_or_grow(world, draft, _finding(world, members) if known is None else replace(_finding(world, members), members=known.members))
    elif known is not None:
        close_or_hold(world, draft, known)
    _look_at_anchors(world, draft, lost)


def _see_again(world: World, draft: Draft) -> None:
    """So little is left to look at that its silence means nothing any more."""
    told = world.incidents.get(UPLINK_KEY)
    if world.isolated:
        world.isolated = False
        world.sight = Sight(seen_at=float("inf"), sighted_at=draft.at)
    if told is not None:
        close(world, draft, told, "removed")


def _is_cut_off(world: World) -> bool:
    looked_at = world.anchor_checks or world.far_checks
    return all(world.memory(check).failed for check in looked_at) and world.sight.seen_at <= _lost_at(world)


def _lost_at(world: World) -> float:
    """When the last of what we look at began to fail."""
    failed = (memory for check in world.anchor_checks or world.far_checks if (memory := world.memory(check)).failed)
    return max((memory.answers.since_at for memory in failed), default=float("-inf"))


def _finding(world: World, members: tuple[Subject, ...]) -> Finding:
    return Finding(
        key=UPLINK_KEY,
        cause=ISOLATED,
        sites=(),
        severity="critical",
        audience="page",
        members=members,
        facts={
            "names": ", ".join(sorted(anchor.id for anchor in world.inventory.anchors)),
            "count": str(sum(site.kind == "commune" for site in world.inventory.sites.values())),
        },
    )


def _look_at_anchors(world: World, draft: Draft, lost: list[str]) -> None:
    """Some anchors lost, others not: for the morning, unless something of a site fails with them."""
    known = world.incidents.get(ANCHORS_KEY)
    gone = () if world.isolated else tuple(Subject(check) for check in lost)
    if gone:
        names = ", ".join(anchor.id for anchor in world.inventory.anchors if anchor.check in lost)
        finding = Finding(
            key=ANCHORS_KEY,
            cause=Cause("uplink", "anchors"),
            sites=(),
            severity="info",
            audience="digest",
            members=gone,
            facts={"names": names},
        )
        open_or_grow(world, draft, finding)
    elif known is not None:
        close(world, draft, known, "recovered")
