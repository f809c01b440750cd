"""The morning digest: what could wait, told once a day. Pure."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from netwatch.core._world import Draft, World
from netwatch.model import Cause, Incident, Page
from netwatch.route import digest_pagers

__all__ = ["tell_the_morning"]

NOT_TODAY = "none"
DAY_SECONDS = 86_400.0


def tell_the_morning(world: World, draft: Draft) -> None:
    """Once a local day, at the minute the settings say or as soon after it as we run; nothing when there is nothing to tell."""
    settings = world.inventory.settings
    now = dt.datetime.fromtimestamp(draft.wall, ZoneInfo(settings.timezone))
    day, due = now.date().isoformat(), now.hour * 60 + now.minute >= settings.digest_minute
    if not world.digest_day:
        world.digest_day = day if due else NOT_TODAY  # what was told before we first ran is not known
        return
    if not due or day <= world.digest_day != NOT_TODAY:
        return
    world.digest_day = day
    about = tuple(sorted(_worth_telling(world, draft.wall), key=lambda incident: (incident.sites, incident.opened)))
    if about:
        _send(world, draft, day, about)


def _worth_telling(world: World, wall: float) -> list[Incident]:
    recent = [incident for incident in world.closed if (incident.closed or 0.0) > wall - DAY_SECONDS]
    return [incident for incident in (*world.incidents.values(), *recent) if incident.audience == "digest"]


def _send(world: World, draft: Draft, day: str, about: tuple[Incident, ...]) -> None:
    told = digest_pagers(world.pagers, world.inventory, draft.wall)
    digest = Incident(
        id=world.next_incident_id,
        key=f"netwatch/digest/{day}",
        cause=Cause("netwatch", "digest"),
        sites=(),
        severity="info",
        audience="digest",
        opened=draft.wall,
        updated=draft.wall,
        closed=draft.wall,
        close_reason="recovered",
        facts={"day": day, "count": str(len(about))},
        sequence=1,
        announced=True,
        told=told,
    )
    world.next_incident_id += 1
    draft.incidents[digest.id] = digest
    draft.pages += [Page(incident=digest, kind="open", wall=draft.wall, pager=pager, about=about) for pager in told]
