"""From findings to incidents: what opens, grows, comes back and closes, and who is told when. Pure."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Literal

from netwatch import state
from netwatch.core._flaps import flaps, spells_of_late
from netwatch.core._mutes import muted
from netwatch.core._repeats import first_repeat, next_repeat, wait_seconds
from netwatch.core._traces import with_path
from netwatch.core._world import Draft, Timer, World, keep
from netwatch.correlate import Finding
from netwatch.memory import ANSWERS
from netwatch.model import Belief, Incident, Inventory, Page, Subject
from netwatch.route import pagers_for, reachable, waits

__all__ = [
    "belief",
    "close",
    "close_or_hold",
    "introduce",
    "is_over",
    "open_or_grow",
    "relapsed",
    "reopen",
    "still_watched",
    "tell",
    "watch_the_clock",
]

RELAPSE_SECONDS = 900.0  # what comes back sooner is the same story, in the same thread
GROWN_SECONDS = 30.0

Kind = Literal["open", "update", "recover"]


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


# --- opening and growing


def open_or_grow(world: World, draft: Draft, finding: Finding) -> None:
    """One cause of one site, or of netwatch itself."""
    known = world.incidents.get(finding.key)
    if known is None:
        earlier = next((old for old in reversed(world.closed) if old.key == finding.key and relapsed(old, draft)), None)
        if earlier is not None:
            reopen(world, draft, earlier, finding)
        else:
            open_new(world, draft, finding)
        return
    grow(world, draft, known, finding)


def open_new(world: World, draft: Draft, finding: Finding) -> Incident:
    opened = Incident(
        id=world.next_incident_id,
        key=_free_key(world, finding.key),
        cause=finding.cause,
        sites=finding.sites,
        severity=finding.severity,
        audience=finding.audience,
        opened=min([draft.wall, *(_since(world, member) for member in finding.members)]),
        updated=draft.wall,
        members=finding.members,
        hidden=finding.hidden,
        facts=_facts(finding),
        degraded=finding.degraded,
        confidence=finding.confidence,
    )
    world.next_incident_id += 1
    begun_at = draft.at - (draft.wall - opened.opened)
    world.timers[opened.id] = Timer(page_at=max(draft.at, begun_at + _page_after_seconds(world, finding)))
    return _announce(world, draft, opened)


def _page_after_seconds(world: World, finding: Finding) -> float:
    """How long sites may be dark before somebody is woken; of several, the least patient."""
    if finding.symptom != "dark":
        return 0.0
    return min((world.inventory.sites[site].page_after_seconds for site in finding.sites), default=0.0)


def _free_key(world: World, key: str) -> str:
    """An incident that began as something else may still go by the key: two that are open never share one."""
    return key if key not in world.incidents else f"{key}#{world.next_incident_id}"


def grow(world: World, draft: Draft, known: Incident, finding: Finding) -> None:
    """The same cause, with more or fewer members; told at once only when it is worse."""
    woken = known.audience != "page" and finding.audience == "page"  # nobody has been told yet
    worse = woken or (known.severity != "critical" and finding.severity == "critical")
    if not worse and (finding.members, finding.hidden) == (known.members, known.hidden):
        return
    grown = replace(
        known,
        members=finding.members,
        hidden=finding.hidden,
        severity=finding.severity if worse else known.severity,
        audience=finding.audience if woken else known.audience,
        updated=draft.wall,
        facts=with_path(known.facts, _facts(finding)),
    )
    if woken and not known.announced:
        world.timers[known.id] = Timer(page_at=draft.at)
        _announce(world, draft, grown)
    elif worse:
        tell(world, draft, grown, "update")
    else:
        keep(world, draft, grown)


def _facts(finding: Finding) -> dict[str, str]:
    return {**finding.facts, "symptom": finding.symptom} if finding.symptom else dict(finding.facts)


# --- telling


def _announce(world: World, draft: Draft, incident: Incident) -> Incident:
    """The first page, if its time has come and nobody asked for silence."""
    timer = world.timers.get(incident.id, Timer())
    if incident.audience != "page" or timer.page_at is None or timer.page_at > draft.at:
        return keep(world, draft, incident)
    if muted(world, incident, draft.wall) or waits(incident, world.inventory, draft.wall):
        return keep(world, draft, incident)
    world.timers[incident.id] = first_repeat(world, incident, draft.at)
    return tell(world, draft, replace(incident, announced=True), "open")


def tell(world: World, draft: Draft, incident: Incident, kind: Kind, *, reminds: bool = False) -> Incident:
    """A page about an incident to everybody who is to know; none about one that was never announced or is muted."""
    if not incident.announced or (kind == "update" and muted(world, incident, draft.wall)):
        return keep(world, draft, incident)
    named = () if kind == "recover" else pagers_for(incident, world.pagers, world.inventory, draft.wall, incident.repeats)
    there = reachable(world.pagers, world.inventory)
    told = tuple(pager for pager in dict.fromkeys((*incident.told, *named)) if pager in there)
    again = next_repeat(world, draft, incident, kind)
    if incident.flapping and kind != "recover":
        incident = replace(incident, facts={**incident.facts, "spells": spells_of_late(world, incident, draft.at)})
    sent = replace(incident, sequence=incident.sequence + 1, told=told, reminds=reminds, next_repeat=again) if told else incident
    draft.pages += [Page(incident=sent, kind=kind, wall=draft.wall, pager=pager) for pager in told]
    return keep(world, draft, sent)


def introduce(world: World, draft: Draft, fresh: frozenset[str]) -> None:
    """New pagers are told of what is open and was told to the others; whoever is gone has heard nothing, should the name come back."""
    there = reachable(world.pagers, world.inventory)
    for incident in [one for one in world.incidents.values() if one.announced]:
        left = tuple(name for name in incident.told if name in there)
        named = pagers_for(incident, world.pagers, world.inventory, draft.wall, incident.repeats)
        told = tuple(name for name in named if name in fresh and name not in left)
        if told:
            known = keep(world, draft, replace(incident, told=(*left, *told), sequence=incident.sequence + 1))
            draft.pages += [Page(incident=known, kind="open", wall=draft.wall, pager=name) for name in told]
        elif left != incident.told:
            keep(world, draft, replace(incident, told=left))


def watch_the_clock(world: World, draft: Draft) -> None:
    """First pages that waited, growth, and what nobody has acknowledged."""
    for incident in list(world.incidents.values()):
        timer = world.timers.get(incident.id)
        if timer is None:
            continue
        if timer.page_at is not None and timer.page_at <= draft.at:
            if not incident.announced and incident.audience == "page":
                _announce(world, draft, incident)
        elif timer.update_at is not None and timer.update_at <= draft.at:
            world.timers[incident.id] = replace(timer, update_at=None)
            tell(world, draft, replace(incident, updated=draft.wall), "update")
        elif timer.repeat_at is not None and timer.repeat_at <= draft.at:
            _repeat(world, draft, incident, timer)


def _repeat(world: World, draft: Draft, incident: Incident, timer: Timer) -> None:
    if incident.acknowledgement is not None:
        world.timers[incident.id] = replace(timer, repeat_at=None)
        return
    repeats = incident.repeats + 1
    world.timers[incident.id] = replace(timer, repeat_at=draft.at + wait_seconds(world, repeats))
    if not incident.flapping:
        tell(world, draft, replace(incident, repeats=repeats, updated=draft.wall), "update", reminds=True)


def grown_later(world: World, draft: Draft, incident: Incident) -> None:
    """More sites of the same cause: told together, a little later."""
    timer = world.timers.get(incident.id, Timer())
    if incident.announced and timer.update_at is None:
        world.timers[incident.id] = replace(timer, update_at=draft.at + GROWN_SECONDS)


# --- coming back


def relapsed(old: Incident, draft: Draft) -> bool:
    """Whether what is found now may be an incident that was over a moment ago."""
    return old.close_reason == "recovered" and old.closed is not None and abs(draft.wall - old.closed) < RELAPSE_SECONDS


def reopen(world: World, draft: Draft, old: Incident, finding: Finding) -> None:
    """It is back: the same incident, the same thread; who acknowledged it then has not acknowledged it now."""
    world.closed = [other for other in world.closed if other.id != old.id]
    again = replace(
        old,
        key=_free_key(world, old.key),
        closed=None,
        close_reason="",
        updated=draft.wall,
        acknowledgement=None,
        relapses=old.relapses + 1,
        members=tuple(dict.fromkeys((*old.members, *finding.members))),
        hidden=finding.hidden,
        facts=with_path(old.facts, _facts(finding)) if finding.cause == old.cause else old.facts,
    )
    again = replace(again, flapping=flaps(world, again, draft.at))
    if again.announced and not muted(world, again, draft.wall):
        world.timers[again.id] = first_repeat(world, again, draft.at)
        tell(world, draft, again, "update")
    else:  # its end was told: until it may be told again, nobody knows that it is back
        world.timers[again.id] = Timer(page_at=draft.at)
        _announce(world, draft, replace(again, announced=False, told=()))


# --- closing


def is_over(world: World, incident: Incident, at: float) -> Literal["", "recovered", "removed"]:
    """Only fresh good results close: every member that is still watched must be believed ok."""
    watched = [m for m in incident.members if still_watched(world.inventory, m) and not _is_gone(world, m, at)]
    if not watched:
        return "removed"
    return "recovered" if all(belief(world, member) is Belief.OK for member in watched) else ""


def close_or_hold(world: World, draft: Draft, incident: Incident) -> None:
    """What keeps coming back is not told to be over each time: it stays open, as flapping, until it has been quiet."""
    if not flaps(world, incident, draft.at):
        close(world, draft, incident, "recovered")
    elif not incident.flapping:
        tell(world, draft, replace(incident, flapping=True, updated=draft.wall), "update")


def close(world: World, draft: Draft, incident: Incident, reason: Literal["recovered", "removed", "merged"]) -> None:
    del world.incidents[incident.key]
    world.timers.pop(incident.id, None)
    closed = replace(incident, closed=draft.wall, updated=draft.wall, close_reason=reason)
    world.closed.append(tell(world, draft, closed, "recover"))


def belief(world: World, subject: Subject) -> Belief:
    known = world.believed(subject)
    return known.belief if known else Belief.UNKNOWN


def _since(world: World, subject: Subject) -> float:
    known = world.believed(subject)
    return known.since if known else float("inf")


def is_troubled(world: World, site_id: str) -> bool:
    """Whether anything here is not plainly ok: then each further result is worth a look."""
    for check in world.checks_by_site.get(site_id, ()):
        memory = world.memories.get(check.id)
        if memory is None:
            continue
        for key, subject in memory.subjects.items():
            if subject.belief in {Belief.WARN, Belief.CRIT} or (key == ANSWERS and subject.candidate is not None):
                return True
    return bool(world.book.about(site_id))
