"""From findings to incidents: what opens, grows and closes them, and who is paged. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase

from netwatch import correlate, state
from netwatch._world import Draft, World
from netwatch.correlate import Finding, Findings
from netwatch.memory import ANSWERS, Memory
from netwatch.model import Belief, Cause, Incident, Inventory, Page, Run, Subject
from netwatch.route import pagers_for

__all__ = [
    "OWN_TROUBLE_KEY",
    "close",
    "look_at_own_trouble",
    "look_at_site",
    "open_or_grow",
    "own_finding",
    "sites_with_trouble",
    "still_watched",
]

OWN_TROUBLE_KEY = "netwatch/self/errors"


def still_watched(inventory: Inventory, subject: Subject) -> bool:
    check = inventory.checks.get(subject.check)
    if check is None or not subject.rule:
        return check is not None
    return any(rule.name == subject.rule and fnmatchcase(subject.instance, rule.instance) for rule in check.rules)


def _is_gone(world: World, subject: Subject, now: float) -> bool:
    """A port or a tray that its device, which answers, has not listed for a day."""
    memory = world.memories.get(subject.check)
    if memory is None or not subject.rule or (subject.rule, subject.instance) in memory.subjects:
        return False
    return memory.answers.belief is Belief.OK and now - memory.answers.changed_at > state.ABSENT_KEPT_SECONDS


def look_at_site(world: World, draft: Draft, site_id: str) -> None:
    """Brings the incidents of one site in line with the beliefs about it."""
    site = world.inventory.sites.get(site_id)
    if site is None:
        return
    found = correlate.survey(world.inventory, site, world.checks_by_site.get(site_id, ()), world.memories, draft.at)
    draft.requests += [Run(check=check, not_before=draft.at, reason="parent") for check in found.wanted]
    (world.waiting.add if found.waiting else world.waiting.discard)(site_id)
    for finding in found.findings:
        open_or_grow(world, draft, finding)
    _close_the_recovered(world, draft, site_id, found)
    if _is_troubled(world, site_id):
        world.troubled.add(site_id)
    else:
        world.troubled.discard(site_id)


def open_or_grow(world: World, draft: Draft, finding: Finding) -> None:
    known = world.incidents.get(finding.key)
    if known is None:
        opened = Incident(
            id=world.next_incident_id,
            key=finding.key,
            cause=finding.cause,
            sites=(finding.site,) if finding.site else (),
            severity=finding.severity,
            audience=finding.audience,
            opened=min([draft.wall, *(_since(world, member) for member in finding.members)]),
            updated=draft.wall,
            members=finding.members,
            hidden=finding.hidden,
            facts=finding.facts,
        )
        world.next_incident_id += 1
        _page(world, draft, opened, "open")
        return
    woken = known.audience != "page" and finding.audience == "page"  # nobody has been told yet
    worse = woken or (known.severity != "critical" and finding.severity == "critical")
    if worse or (finding.members, finding.hidden) != (known.members, known.hidden):
        grown = replace(
            known,
            members=finding.members,
            hidden=finding.hidden,
            severity=finding.severity if worse else known.severity,
            audience=finding.audience if woken else known.audience,
            updated=draft.wall,
            facts=finding.facts,
        )
        if worse:
            _page(world, draft, grown, "open" if woken else "update")
        else:
            world.incidents[grown.key] = draft.incidents[grown.key] = grown


def _page(world: World, draft: Draft, incident: Incident, kind: str) -> None:
    told = pagers_for(incident, world.pagers)
    if told:
        incident = replace(incident, sequence=incident.sequence + 1)
    if incident.closed is None:
        world.incidents[incident.key] = incident
    draft.incidents[incident.key] = incident
    draft.pages += [
        Page(
            incident=incident, kind="open" if kind == "open" else "update" if kind == "update" else "recover", wall=draft.wall, pager=pager
        )
        for pager in told
    ]


def _close_the_recovered(world: World, draft: Draft, site_id: str, found: Findings) -> None:
    """Only fresh good results close: every member must be believed ok; of a dark site, one line is enough."""
    standing = {finding.key for finding in found.findings}
    for incident in list(world.incidents.values()):
        if incident.sites != (site_id,) or incident.key in standing or incident.cause.type == "netwatch":
            continue
        watched = [m for m in incident.members if still_watched(world.inventory, m) and not _is_gone(world, m, draft.at)]
        good = [_belief(world, member) is Belief.OK for member in watched]
        if not watched:
            close(world, draft, incident, "removed")
        elif any(good) if incident.cause.type == "site" else all(good):
            close(world, draft, incident, "recovered")


def close(world: World, draft: Draft, incident: Incident, reason: str) -> None:
    del world.incidents[incident.key]
    closed = replace(incident, closed=draft.wall, updated=draft.wall, close_reason="removed" if reason == "removed" else "recovered")
    _page(world, draft, closed, "recover")
    world.closed.append(draft.incidents[incident.key])


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
        site="",
        severity="warning",
        audience="page",
        members=members,
        hidden=len(members),
        facts=facts,
    )


def _belief(world: World, subject: Subject) -> Belief:
    memory = world.memories.get(subject.check)
    known = memory.subjects.get((subject.rule, subject.instance)) if memory else None
    return known.belief if known else Belief.UNKNOWN


def _since(world: World, subject: Subject) -> float:
    memory = world.memories.get(subject.check)
    known = memory.subjects.get((subject.rule, subject.instance)) if memory else None
    return known.since if known else float("inf")


def _is_troubled(world: World, site_id: str) -> bool:
    """Whether anything here is not plainly ok: then each further result is worth a look."""
    for check in world.checks_by_site.get(site_id, ()):
        memory = world.memories.get(check.id)
        if memory is None:
            continue
        for key, subject in memory.subjects.items():
            if subject.belief in {Belief.WARN, Belief.CRIT} or (key == ANSWERS and subject.candidate is not None):
                return True
    return any(incident.sites == (site_id,) for incident in world.incidents.values())


def sites_with_trouble(world: World) -> set[str]:
    return {site_id for site_id in world.inventory.sites if _is_troubled(world, site_id)}
