"""step(): the one decision. An event goes in, its effects come out, and nothing else happens.

Same events, same effects: `simulate`, the property tests and the daemon all run this. The world is changed in place and
nowhere else; there is no clock, no I/O and no chance in here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from netwatch import correlate, state
from netwatch.correlate import Finding, Findings
from netwatch.memory import ANSWERS, Memory
from netwatch.model import (
    Belief,
    Cause,
    Check,
    Effects,
    Event,
    Forgotten,
    Hint,
    Human,
    Incident,
    Inventory,
    Outcome,
    Page,
    Reloaded,
    Request,
    Result,
    Run,
    Subject,
    Tick,
    Transition,
)
from netwatch.route import pagers_for

__all__ = ["World", "is_current", "restore", "step"]

RETRY_TOLERANCE = 0.05  # a wait of 1.003 s for an echo does not cost a whole further second
STALE_EVERY_SECONDS = 30.0
CLOSED_KEPT = 2_000
SUSPENDED_SECONDS = 30.0  # a gap between ticks this long means that we were stopped, not the sites
OWN_TROUBLE_KEY = "netwatch/self/errors"
REFUSED_INVENTORY_KEY = "netwatch/self/inventory"
FORGOTTEN_KEY = "netwatch/self/history"


@dataclass(kw_only=True)
class World:
    """All that is believed. Built once, changed only by `step`."""

    inventory: Inventory
    generation: int = 0
    changed_in: dict[str, int] = field(default_factory=dict)  # generation in which a check became what it is; 0 when absent
    pagers: tuple[str, ...] = ()
    memories: dict[str, Memory] = field(default_factory=dict)
    incidents: dict[str, Incident] = field(default_factory=dict)  # open, by key
    closed: list[Incident] = field(default_factory=list)  # of the last day, the newest of them
    next_incident_id: int = 1
    waiting: set[str] = field(default_factory=set)  # sites that wait for a parent's result
    checks_by_site: dict[str, tuple[Check, ...]] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)  # checks that cannot be run here
    troubled: set[str] = field(default_factory=set)  # sites with anything that is not ok
    tick_at: float | None = None
    stale_at: float = 0.0
    watched_since_at: float | None = None

    def __post_init__(self) -> None:
        self.checks_by_site = _by_site(self.inventory)


@dataclass
class _Draft:
    """The effects of one step while they are gathered."""

    at: float
    wall: float
    transitions: list[Transition] = field(default_factory=list)
    incidents: dict[str, Incident] = field(default_factory=dict)
    pages: list[Page] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def effects(self) -> Effects:
        return Effects(
            transitions=tuple(self.transitions),
            incidents=tuple(self.incidents.values()),
            pages=tuple(self.pages),
            requests=tuple(self.requests),
        )


def step(world: World, event: Event) -> Effects:
    """Takes in one event and says what follows."""
    draft = _Draft(event.at, event.wall)
    match event:
        case Result():
            _take_result(world, draft, event)
        case Tick():
            _take_tick(world, draft, event)
        case Hint():
            if event.check in world.inventory.checks:
                draft.requests.append(Run(check=event.check, not_before=event.at, reason="hint"))
        case Human():
            if event.action == "check_now" and event.check in world.inventory.checks:
                draft.requests.append(Run(check=event.check, not_before=event.at, reason="human"))
        case Reloaded():
            _take_reload(world, draft, event)
        case Forgotten():
            _raise(world, draft, _own_finding(FORGOTTEN_KEY, "history", {"detail": event.detail}))
    return draft.effects()


def is_current(world: World, result: Result) -> bool:
    """Whether a result is about a check as it is now: neither removed nor changed since the run began."""
    return result.check in world.inventory.checks and result.generation >= world.changed_in.get(result.check, 0)


def _take_result(world: World, draft: _Draft, result: Result) -> None:
    if not is_current(world, result):
        return
    check = world.inventory.checks[result.check]
    ended_at = result.at + result.duration_seconds
    draft.at, draft.wall = ended_at, result.wall + result.duration_seconds
    before = world.memories.get(check.id, Memory())
    memory, transitions = state.observe(check, before, result)
    world.memories[check.id] = memory
    draft.transitions += transitions
    if memory.answers.candidate is not None:
        draft.requests.append(Run(check=check.id, not_before=_next_try(check, result), reason="soft"))
    if transitions or check.site in world.troubled:
        _look_at_site(world, draft, check.site)
    if any(transition.new is Belief.CRIT and not transition.hard for transition in transitions):
        asked = [parent for group in check.parents for parent in group]
        draft.requests += [Run(check=parent, not_before=ended_at, reason="parent") for parent in asked]
    if result.outcome is Outcome.ERROR or check.id in world.broken:
        _look_at_own_trouble(world, draft, check.id, memory)


def _next_try(check: Check, result: Result) -> float:
    """On the check's own grid of `retry_seconds` from the failed run's start, so that tries stay one a second."""
    tries = max(1, math.ceil(result.duration_seconds / check.retry_seconds - RETRY_TOLERANCE))
    return result.at + tries * check.retry_seconds


def _take_tick(world: World, draft: _Draft, tick: Tick) -> None:
    suspended = world.tick_at is not None and tick.at - world.tick_at > SUSPENDED_SECONDS
    if world.watched_since_at is None or suspended:
        world.watched_since_at = tick.at
    world.tick_at = tick.at
    if tick.at - world.stale_at >= STALE_EVERY_SECONDS:
        world.stale_at = tick.at
        _forget_the_stale(world, draft, tick, world.watched_since_at)
    for site in sorted(world.waiting):
        _look_at_site(world, draft, site)
    forgotten = world.incidents.get(FORGOTTEN_KEY)
    if forgotten is not None and world.memories.keys() >= world.inventory.checks.keys():
        _close(world, draft, forgotten, "recovered")
    world.closed = [incident for incident in world.closed if (incident.closed or 0.0) > tick.wall - 86_400.0][-CLOSED_KEPT:]


def _forget_the_stale(world: World, draft: _Draft, tick: Tick, watched_since_at: float) -> None:
    """A check nobody has heard of for three intervals is unknown: silence of ours is not health of theirs."""
    for check in world.inventory.checks.values():
        memory = world.memories.get(check.id)
        if memory is None:
            continue
        if tick.at - max(memory.seen_at, watched_since_at) > state.quiet_seconds(check):
            world.memories[check.id], transitions = state.forget(check, memory, tick.at, tick.wall, "stale", "")
            draft.transitions += transitions


def _take_reload(world: World, draft: _Draft, event: Reloaded) -> None:
    """Unchanged checks keep belief and timers; incidents of what is gone close with the reason "removed"."""
    refused = world.incidents.get(REFUSED_INVENTORY_KEY)
    if event.new is None:
        _raise(world, draft, _own_finding(REFUSED_INVENTORY_KEY, "config", {"detail": event.errors[0] if event.errors else ""}))
        return
    if refused is not None:
        _close(world, draft, refused, "recovered")
    old = world.inventory.checks
    world.inventory, world.generation = event.new, event.generation
    changed = [check for check, now in event.new.checks.items() if check not in old or old[check].fingerprint != now.fingerprint]
    world.changed_in = {check: since for check, since in world.changed_in.items() if check in event.new.checks}
    world.changed_in |= dict.fromkeys(changed, event.generation)
    world.checks_by_site = _by_site(event.new)
    former = {site.renamed_from: site.id for site in event.new.sites.values() if site.renamed_from}
    world.memories = {
        check_id: memory
        for check_id, memory in ((_renamed(known, former), memory) for known, memory in world.memories.items())
        if check_id in event.new.checks and event.new.checks[check_id].fingerprint == memory.fingerprint
    }
    world.waiting &= event.new.sites.keys()
    world.broken &= event.new.checks.keys()
    own_trouble = world.incidents.get(OWN_TROUBLE_KEY)
    if own_trouble is not None and not world.broken:
        _close(world, draft, own_trouble, "removed")
    for incident in list(world.incidents.values()):
        if incident.cause.type != "netwatch" and not any(_still_watched(event.new, member) for member in incident.members):
            _close(world, draft, incident, "removed")
    world.troubled = {site for site in (*world.troubled, *_sites_with_trouble(world)) if site in event.new.sites}
    for site in sorted(world.troubled):
        _look_at_site(world, draft, site)
    # After a restart nobody is being asked again yet.
    doubted = [check for check, memory in world.memories.items() if memory.answers.candidate is not None]
    draft.requests += [Run(check=check, not_before=draft.at, reason="soft") for check in doubted]


def _renamed(check_id: str, former: Mapping[str, str]) -> str:
    site, slash, rest = check_id.partition("/")
    return f"{former.get(site, site)}{slash}{rest}"


def _still_watched(inventory: Inventory, subject: Subject) -> bool:
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


def _look_at_site(world: World, draft: _Draft, site_id: str) -> None:
    """Brings the incidents of one site in line with the beliefs about it."""
    site = world.inventory.sites.get(site_id)
    if site is None:
        return
    found = correlate.survey(world.inventory, site, world.checks_by_site.get(site_id, ()), world.memories, draft.at)
    draft.requests += [Run(check=check, not_before=draft.at, reason="parent") for check in found.wanted]
    (world.waiting.add if found.waiting else world.waiting.discard)(site_id)
    for finding in found.findings:
        _raise(world, draft, finding)
    _close_the_recovered(world, draft, site_id, found)
    if _is_troubled(world, site_id):
        world.troubled.add(site_id)
    else:
        world.troubled.discard(site_id)


def _raise(world: World, draft: _Draft, finding: Finding) -> None:
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


def _page(world: World, draft: _Draft, incident: Incident, kind: str) -> None:
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


def _close_the_recovered(world: World, draft: _Draft, site_id: str, found: Findings) -> None:
    """Only fresh good results close: every member must be believed ok; of a dark site, one line is enough."""
    standing = {finding.key for finding in found.findings}
    for incident in list(world.incidents.values()):
        if incident.sites != (site_id,) or incident.key in standing or incident.cause.type == "netwatch":
            continue
        watched = [m for m in incident.members if _still_watched(world.inventory, m) and not _is_gone(world, m, draft.at)]
        good = [_belief(world, member) is Belief.OK for member in watched]
        if not watched:
            _close(world, draft, incident, "removed")
        elif any(good) if incident.cause.type == "site" else all(good):
            _close(world, draft, incident, "recovered")


def _close(world: World, draft: _Draft, incident: Incident, reason: str) -> None:
    del world.incidents[incident.key]
    closed = replace(incident, closed=draft.wall, updated=draft.wall, close_reason="removed" if reason == "removed" else "recovered")
    _page(world, draft, closed, "recover")
    world.closed.append(draft.incidents[incident.key])


def _look_at_own_trouble(world: World, draft: _Draft, check_id: str, memory: Memory) -> None:
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
            _close(world, draft, known, "recovered")
        return
    last = memory.last
    facts = {"detail": last.detail if last else "", "code_word": last.code if last else "", "hidden": str(len(broken))}
    _raise(world, draft, _own_finding(OWN_TROUBLE_KEY, "errors", facts, broken))


def _own_finding(key: str, name: str, facts: Mapping[str, str], members: tuple[Subject, ...] = ()) -> Finding:
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


def _sites_with_trouble(world: World) -> set[str]:
    return {site_id for site_id in world.inventory.sites if _is_troubled(world, site_id)}


def _by_site(inventory: Inventory) -> dict[str, tuple[Check, ...]]:
    grouped: dict[str, list[Check]] = {}
    for check in inventory.checks.values():
        grouped.setdefault(check.site, []).append(check)
    return {site: tuple(checks) for site, checks in grouped.items()}


def restore(world: World, memories: Mapping[str, Memory], incidents: tuple[Incident, ...], next_incident_id: int) -> None:
    """Puts back what was believed before a restart. What is no longer watched closes at the next `Reloaded`."""
    checks = world.inventory.checks
    world.memories = {
        check: memory for check, memory in memories.items() if check in checks and checks[check].fingerprint == memory.fingerprint
    }
    world.incidents = {incident.key: incident for incident in incidents if incident.closed is None}
    world.closed = [incident for incident in incidents if incident.closed is not None]
    world.next_incident_id = max([next_incident_id, *(incident.id + 1 for incident in incidents)])
    world.broken = {check for check, memory in world.memories.items() if memory.errors >= state.ERROR_RUNS}
    if OWN_TROUBLE_KEY in world.incidents:  # a check that never worked has no belief that could have been stored
        world.broken |= {member.check for member in world.incidents[OWN_TROUBLE_KEY].members if member.check in checks}
    world.troubled = _sites_with_trouble(world)
