"""What many sites have in common, as incidents: lines that are down, power that is gone, loss on many lines at once. Pure.

Each failing part is in one finding, each finding in one incident. An incident is taken into a larger one as a whole, keeps its
key while it grows, and ends when all of it is well. What stays down when the rest is back becomes an incident of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from netwatch.core._findings import findings_of
from netwatch.core._incidents import close, close_or_hold, grown_later, is_over, open_new, reopen, tell
from netwatch.core._look import Look
from netwatch.core._traces import with_path
from netwatch.core._world import Draft, World, keep
from netwatch.correlate import PARENT_WAIT_SECONDS, Finding
from netwatch.memory import SubjectMemory
from netwatch.model import Belief, Incident, Severity, Subject

__all__ = ["look_at_outages"]

T = TypeVar("T")
SETTLE_SECONDS = 6.0  # how long a first page may wait for lines that are just failing too
SPLIT_SECONDS = {"dark": 40.0, "power": 180.0, "quality": 600.0}  # how long the rest may take to come back
RANK: dict[Severity, int] = {"info": 0, "warning": 1, "critical": 2}


def look_at_outages(world: World, draft: Draft) -> None:
    """Brings the incidents that sites may share in line with what is failing now."""
    world.unsettled = world.held = False
    if world.isolated:
        return
    findings = sorted(findings_of(world, draft.wall), key=lambda finding: (-len(finding.members), finding.key))
    look = Look(world, draft, frozenset(member for finding in findings for member in finding.members))
    seen: set[int] = set()
    for finding in findings:
        seen |= _place(look, finding)
    for incident in _shared(world):
        if incident.id not in seen and incident.key in world.incidents:
            _end(world, draft, incident)


def _shared(world: World) -> list[Incident]:
    """Those this module keeps, the oldest first."""
    kept = (incident for incident in world.incidents.values() if incident.facts.get("symptom"))
    return sorted(kept, key=lambda incident: incident.id)


def _end(world: World, draft: Draft, incident: Incident) -> None:
    over = is_over(world, incident, draft.at)
    if over == "recovered":
        close_or_hold(world, draft, incident)
        world.held = world.held or incident.key in world.incidents
    elif over == "removed":
        close(world, draft, incident, "removed")


def _place(look: Look, finding: Finding) -> set[int]:
    """Puts a finding into the incident it belongs to. Says which incidents have been seen to."""
    world, draft = look.world, look.draft
    members = frozenset(finding.members)
    owners = [incident for incident in world.book.holding(members) if incident.facts.get("symptom")]
    whole = [incident for incident in owners if look.failing_of(incident) <= members]
    theirs = [world.book.members(incident) for incident in owners if incident not in whole]
    seen = {incident.id for incident in owners}
    if theirs:
        rest = tuple(member for member in finding.members if not any(member in held for held in theirs))
        if not rest:
            return seen
        finding = replace(finding, members=rest)
    if not whole:
        return seen | _open(look, finding)
    first, *others = whole
    if _is_smaller(finding, first):
        _outlast(look, first, finding)
        return seen
    for other in others:
        finding = replace(finding, members=_joined(finding.members, other.members))
        close(world, draft, other, "merged")
    _become(world, draft, first, finding)
    return seen


def _open(look: Look, finding: Finding) -> set[int]:
    world, draft = look.world, look.draft
    earlier = look.may_be_back(finding)
    if earlier is not None:
        reopen(world, draft, earlier, finding)
        return {earlier.id}
    if _still_settling(look, finding) or _may_follow(world, finding, draft.at):
        world.unsettled = True
        return set()
    return {open_new(world, draft, finding).id}


def _still_settling(look: Look, finding: Finding) -> bool:
    """Whether lines that share a tag with these have just begun to fail too: then it is soon known what they have in common."""
    if finding.symptom != "dark":
        return False
    world = look.world
    checks = [member.check for member in finding.members if not member.rule]
    settled_at = max(min(world.memories[check].answers.changed_at for check in checks), world.sight.sighted_at)
    if look.draft.at - settled_at >= SETTLE_SECONDS:
        return False
    return look.is_joined(checks, finding.began_at, 2 * SETTLE_SECONDS)


def _may_follow(world: World, finding: Finding, now: float) -> bool:
    """Whether another line of the site has just come back, so that this one may too, or has just begun to fail as well."""
    if finding.cause.type != "line":
        return False
    mine = {member.check for member in finding.members}
    others = (world.memory(line).answers for line in world.lines_of[finding.sites[0]] if line not in mine)
    return any(_is_undecided(other, finding.began_at, now) for other in others)


def _is_undecided(other: SubjectMemory, began_at: float, now: float) -> bool:
    if other.belief is Belief.OK:
        return other.changed_at > began_at and now - other.changed_at < PARENT_WAIT_SECONDS
    return other.belief is Belief.CRIT and not other.hard


def _is_smaller(finding: Finding, incident: Incident) -> bool:
    """Whether it is only what is left of an incident whose cause was larger."""
    if finding.cause == incident.cause:
        return False
    return frozenset(finding.members) < frozenset(incident.members)


def _outlast(look: Look, incident: Incident, finding: Finding) -> None:
    """Part of it is back. If the rest does not follow, the cause is mended and the rest has one of its own."""
    world, draft = look.world, look.draft
    failing = frozenset(finding.members)
    gone = {member: world.believed(member) for member in incident.members if member not in failing}
    back = {member: known for member, known in gone.items() if known is not None and known.belief is Belief.OK}
    if not back or len(back) + len(finding.members) < len(incident.members):
        return
    last = max(known.changed_at for known in back.values())
    patience = 0.0 if _is_served(incident, back) else SPLIT_SECONDS[finding.symptom or "dark"]
    if draft.at - last < patience:
        world.unsettled = True
        return
    close(world, draft, replace(incident, members=tuple(back)), "recovered")
    _open(look, finding)


def _is_served(incident: Incident, back: Iterable[Subject]) -> bool:
    """A site that was dark for want of a line and has one again."""
    return incident.cause.type == "site" and incident.facts.get("symptom") == "dark" and any(not member.rule for member in back)


def _become(world: World, draft: Draft, incident: Incident, finding: Finding) -> None:
    """The incident as it is known now: perhaps another cause, perhaps more sites. Its key stays."""
    sites = _joined(incident.sites, finding.sites)
    degraded = tuple(site for site in _joined(incident.degraded, finding.degraded) if site not in sites)
    grew = len(sites) > len(incident.sites)
    renamed = finding.cause != incident.cause
    worse = RANK[finding.severity] > RANK[incident.severity]
    members = _joined(incident.members, finding.members)
    if not (renamed or worse or grew or members != incident.members or finding.hidden != incident.hidden):
        return
    grown = replace(
        incident,
        cause=finding.cause,
        sites=sites,
        degraded=degraded,
        members=members,
        hidden=finding.hidden,
        severity=finding.severity if worse else incident.severity,
        audience=finding.audience if worse else incident.audience,
        confidence=finding.confidence,
        updated=draft.wall,
        facts=with_path(incident.facts, {**finding.facts, "symptom": finding.symptom}),
    )
    if renamed or worse:
        tell(world, draft, grown, "update")
    else:
        keep(world, draft, grown)
        if grew:
            grown_later(world, draft, grown)


def _joined(first: Iterable[T], second: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys((*first, *second)))
