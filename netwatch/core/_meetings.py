"""What is told of a meeting: who is ready for it, and how it was. Pure."""

from __future__ import annotations

from dataclasses import replace

from netwatch.core._world import Draft, World
from netwatch.model import Audience, Cause, Incident, Page, Readied
from netwatch.route import digest_pagers, pagers_for

__all__ = ["MEETING", "tell_of_meeting"]

MEETING = Cause("netwatch", "conference")
PREFIX = "netwatch/conference/"
MOST_KEPT = 300  # steps of meetings: four weeks of five a day


def tell_of_meeting(world: World, draft: Draft, event: Readied) -> None:
    """Once for each step of each meeting, also over a restart. Whoever is on duty is told of places that are not ready, else who gets the digest.

    A quarter of an hour before it nothing is said when all were ready an hour before, and still are.
    """
    step, told_before = f"{event.key}/{event.step}", world.meetings_told
    if step in told_before:
        return
    silent = event.step == "shortly" and event.severity == "info" and told_before.get(f"{event.key}/before") == "info"
    world.meetings_told = dict([*told_before.items(), (step, event.severity)][-MOST_KEPT:])
    if silent:
        return
    audience: Audience = "page" if event.severity == "critical" and event.step != "after" else "digest"
    incident = Incident(
        id=world.next_incident_id,
        key=f"{PREFIX}{step}",
        cause=MEETING,
        sites=event.sites,
        severity=event.severity,
        audience=audience,
        opened=draft.wall,
        updated=draft.wall,
        closed=draft.wall,
        close_reason="recovered",
        facts={**event.facts, "step": event.step},
        sequence=1,
        announced=True,
    )
    incident = replace(incident, told=_whom(world, draft, incident))
    world.next_incident_id += 1
    draft.incidents[incident.id] = incident
    draft.pages += [Page(incident=incident, kind="open", wall=draft.wall, pager=pager) for pager in incident.told]


def _whom(world: World, draft: Draft, incident: Incident) -> tuple[str, ...]:
    if incident.audience == "page":
        return pagers_for(incident, world.pagers, world.inventory, draft.wall)
    return digest_pagers(world.pagers, world.inventory, draft.wall)
