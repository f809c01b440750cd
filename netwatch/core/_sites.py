"""One site after the other: its incidents brought in line with what is believed of its checks. Pure."""

from __future__ import annotations

from netwatch import correlate
from netwatch.core._incidents import close, close_or_hold, is_over, is_troubled, open_or_grow
from netwatch.core._world import Draft, World
from netwatch.correlate import Findings
from netwatch.model import Belief, Run

__all__ = ["look_at_site", "sites_with_trouble"]


def look_at_site(world: World, draft: Draft, site_id: str) -> bool:
    """Says whether something changed that sites may have in common: lines, power, loss."""
    site = world.inventory.sites.get(site_id)
    if site is None or world.isolated:
        return False
    found = correlate.survey(world.inventory, site, world.checks_by_site.get(site_id, ()), world.memories, draft.at, world.sight)
    draft.requests += [Run(check=check, not_before=draft.at, reason="parent") for check in found.wanted]
    (world.waiting.add if found.waiting else world.waiting.discard)(site_id)
    shared = _keep_what_may_be_shared(world, site_id, found)
    for finding in found.findings:
        if not finding.symptom:
            open_or_grow(world, draft, finding)
    _close_the_recovered(world, draft, site_id, found)
    if is_troubled(world, site_id):
        world.troubled.add(site_id)
    else:
        world.troubled.discard(site_id)
    return shared


def _keep_what_may_be_shared(world: World, site_id: str, found: Findings) -> bool:
    before = (world.raised.get(site_id), world.hidden.get(site_id, 0), _lines_down(world, site_id))
    raised = tuple(finding for finding in found.findings if finding.symptom)
    if raised:
        world.raised[site_id] = raised
    else:
        world.raised.pop(site_id, None)
    world.hidden[site_id] = found.hidden
    for check in world.lines_of[site_id]:
        answers = world.memory(check).answers
        if check in found.down:
            world.down[check] = answers.since_at
        elif answers.belief is not Belief.CRIT:
            world.down.pop(check, None)
    return before != (world.raised.get(site_id), world.hidden[site_id], _lines_down(world, site_id))


def _lines_down(world: World, site_id: str) -> tuple[str, ...]:
    return tuple(check for check in world.lines_of[site_id] if check in world.down)


def _close_the_recovered(world: World, draft: Draft, site_id: str, found: Findings) -> None:
    standing = {finding.key for finding in found.findings}
    for incident in world.book.about(site_id):
        if incident.sites != (site_id,) or incident.key in standing or incident.facts.get("symptom"):
            continue
        over = is_over(world, incident, draft.at)
        if over == "removed":
            close(world, draft, incident, "removed")
        elif over == "recovered":
            close_or_hold(world, draft, incident)


def sites_with_trouble(world: World) -> set[str]:
    return {site_id for site_id in world.inventory.sites if is_troubled(world, site_id)}
