"""step(): the one decision. An event goes in, its effects come out, and nothing else happens.

Same events, same effects: `simulate`, the property tests and the daemon all run this. The world is changed in place and
nowhere else; there is no clock, no I/O and no chance in here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from netwatch import state
from netwatch.core._asking import first_questions, next_try, to_store
from netwatch.core._book import Book
from netwatch.core._digest import tell_the_morning
from netwatch.core._flaps import note_spell
from netwatch.core._humans import take_human
from netwatch.core._incidents import close, introduce, open_or_grow, still_watched, watch_the_clock
from netwatch.core._line_book import MOST_PASTS
from netwatch.core._line_verdicts import key_of, limits_of, zone_of
from netwatch.core._lines import busy_ratio, look_at_lines, meeting_of, others_bits_per_second, router_to_ask, take_line_result
from netwatch.core._meetings import MEETING, tell_of_meeting
from netwatch.core._mutes import maintenance_now, muted
from netwatch.core._outages import look_at_outages
from netwatch.core._own_trouble import OWN_TROUBLE_KEY, look_at_own_trouble, own_finding
from netwatch.core._remembering import dump, load_into
from netwatch.core._sight import UPLINK_KEY, look_around
from netwatch.core._sites import look_at_site, sites_with_trouble
from netwatch.core._traces import take_trace
from netwatch.core._world import Draft, Timer, Window, World
from netwatch.memory import Memory
from netwatch.model import (
    Belief,
    Check,
    Effects,
    Event,
    Forgotten,
    Hint,
    Human,
    Incident,
    Outcome,
    PagerTried,
    Readied,
    Reloaded,
    Result,
    Run,
    Tick,
    Traced,
    Transition,
)
from netwatch.route import out_of_band

__all__ = [
    "MEETING",
    "MOST_PASTS",
    "OWN_TROUBLE_KEY",
    "UPLINK_KEY",
    "Window",
    "World",
    "busy_ratio",
    "dump",
    "is_current",
    "key_of",
    "limits_of",
    "maintenance_now",
    "meeting_of",
    "muted",
    "others_bits_per_second",
    "restore",
    "router_to_ask",
    "step",
    "to_store",
    "zone_of",
]

STALE_EVERY_SECONDS = 30.0
CLOSED_KEPT = 2_000
MANY_LINES = 60  # failing at once
SUSPENDED_SECONDS = 30.0  # a gap between ticks this long means that we were stopped, not the sites
REFUSED_INVENTORY_KEY = "netwatch/self/inventory"
FORGOTTEN_KEY = "netwatch/self/history"
PAGER_KEY = "netwatch/self/pager/"


def step(world: World, event: Event) -> Effects:
    """Takes in one event and says what follows."""
    draft = Draft(event.at, event.wall)
    match event:
        case Result():
            _take_result(world, draft, event)
        case Tick():
            _take_tick(world, draft, event)
        case Hint():
            if event.check in world.inventory.checks:
                draft.requests.append(Run(check=event.check, not_before=event.at, reason="hint"))
        case Human():
            take_human(world, draft, event)
        case Reloaded():
            _take_reload(world, draft, event)
        case Traced():
            take_trace(world, draft, event)
        case PagerTried():
            _take_trial(world, draft, event)
        case Readied():
            tell_of_meeting(world, draft, event)
        case Forgotten():
            open_or_grow(world, draft, own_finding(FORGOTTEN_KEY, "history", {"detail": event.detail}))
    return draft.effects()


def _take_trial(world: World, draft: Draft, event: PagerTried) -> None:
    key = f"{PAGER_KEY}{event.pager}"
    known = world.incidents.get(key)
    if event.error:
        open_or_grow(world, draft, own_finding(key, "pager", {"pager": event.pager, "detail": f"{event.pager}: {event.error}"}))
    elif known is not None:
        close(world, draft, known, "recovered")


def is_current(world: World, result: Result) -> bool:
    """Whether a result is about a check as it is now: neither removed nor changed since the run began."""
    return result.check in world.inventory.checks and result.generation >= world.changed_in.get(result.check, 0)


def _is_meeting(world: World, site: str, wall: float) -> bool:
    meeting = meeting_of(world, site, wall)
    return meeting is not None and meeting[0] <= wall < meeting[1]


def _take_result(world: World, draft: Draft, result: Result) -> None:
    if not is_current(world, result):
        return
    check = world.inventory.checks[result.check]
    ended_at = result.at + result.duration_seconds
    draft.at, draft.wall = ended_at, result.wall + result.duration_seconds
    result = take_line_result(world, draft, check, result)
    if any(rule.strict_in_meetings for rule in check.rules) and _is_meeting(world, check.site, draft.wall):
        result = replace(result, in_meeting=True)
    before = world.memories.get(check.id, Memory())
    memory, transitions = state.observe(check, before, result)
    world.memories[check.id] = memory
    draft.transitions += transitions
    if memory.answers.candidate is not None:
        draft.requests.append(Run(check=check.id, not_before=next_try(check, result, memory), reason="soft"))
    _remember_of_outages(world, check, result, transitions)
    if transitions:
        world.note_lines({check.id})
    if check.id in world.anchor_checks or (world.isolated and check.id in world.far_checks):
        look_around(world, draft)
    elif result.reason in {"schedule", "quality"} and result.outcome is Outcome.OK and state.near_a_limit(check, memory):
        draft.requests.append(Run(check=check.id, not_before=result.at + check.interval_seconds / 2, reason="quality"))
    if transitions or check.site in world.troubled:
        _look_at(world, draft, check, changed=bool(transitions))
    if any(transition.new is Belief.CRIT and not transition.hard for transition in transitions):
        asked = [parent for group in check.parents for parent in group]
        draft.requests += [Run(check=parent, not_before=ended_at, reason="parent") for parent in asked]
    if result.outcome is Outcome.ERROR or check.id in world.broken:
        look_at_own_trouble(world, draft, check.id, memory)


def _remember_of_outages(world: World, check: Check, result: Result, transitions: tuple[Transition, ...]) -> None:
    if result.outcome is Outcome.OK and check.id in world.far_checks:
        world.sight = replace(world.sight, seen_at=max(world.sight.seen_at, result.at))
    if any(transition.hard and transition.new is Belief.CRIT and not transition.subject.rule for transition in transitions):
        note_spell(world, check.id, result.at)


def _look_at(world: World, draft: Draft, check: Check, *, changed: bool) -> None:
    """At once; but when many lines are failing, sites and what they share are looked at together, at the next tick."""
    if len(world.failing) > MANY_LINES:
        world.waiting.add(check.site)
        world.unsettled = world.unsettled or (changed and check.id in world.line_checks)
        return
    shared = look_at_site(world, draft, check.site)
    if shared or (check.id in world.line_checks and (changed or world.unsettled)):
        look_at_outages(world, draft)


def _take_tick(world: World, draft: Draft, tick: Tick) -> None:
    suspended = world.tick_at is not None and tick.at - world.tick_at > SUSPENDED_SECONDS
    if world.watched_since_at is None or suspended:
        world.watched_since_at = tick.at
    world.tick_at = tick.at
    if tick.at - world.stale_at >= STALE_EVERY_SECONDS:
        world.stale_at = tick.at
        _forget_the_stale(world, draft, tick, world.watched_since_at)
    look_around(world, draft)
    shared = [look_at_site(world, draft, site) for site in sorted(world.waiting)]
    if world.unsettled or world.held or any(shared):
        look_at_outages(world, draft)
    look_at_lines(world, draft)
    watch_the_clock(world, draft)
    tell_the_morning(world, draft)
    forgotten = world.incidents.get(FORGOTTEN_KEY)
    if forgotten is not None and world.memories.keys() >= world.inventory.checks.keys():
        close(world, draft, forgotten, "recovered")
    world.closed = [incident for incident in world.closed if (incident.closed or 0.0) > tick.wall - 86_400.0][-CLOSED_KEPT:]


def _forget_the_stale(world: World, draft: Draft, tick: Tick, watched_since_at: float) -> None:
    """A check nobody has heard of for three intervals is unknown: silence of ours is not health of theirs."""
    for check in world.inventory.checks.values():
        memory = world.memories.get(check.id)
        if memory is None:
            continue
        if tick.at - max(memory.seen_at, watched_since_at) > state.quiet_seconds(check):
            world.memories[check.id], transitions = state.forget(check, memory, tick.at, tick.wall, "stale", "")
            world.note_lines({check.id})
            draft.transitions += transitions


def _take_reload(world: World, draft: Draft, event: Reloaded) -> None:
    """Unchanged checks keep belief and timers; incidents of what is gone close with the reason "removed"."""
    refused = world.incidents.get(REFUSED_INVENTORY_KEY)
    if event.new is None:
        open_or_grow(world, draft, own_finding(REFUSED_INVENTORY_KEY, "config", {"detail": event.errors[0] if event.errors else ""}))
        return
    if refused is not None:
        close(world, draft, refused, "recovered")
    for key, incident in list(world.incidents.items()):
        tried = event.new.settings.trial_minute is not None and key.removeprefix(PAGER_KEY) in event.new.pagers
        if key.startswith(PAGER_KEY) and not tried:
            close(world, draft, incident, "removed")
    before = {*world.pagers}, {*out_of_band(world.inventory)}
    world.pagers = world.pagers if event.pagers is None else event.pagers
    old = world.inventory.checks
    world.inventory, world.generation = event.new, event.generation
    changed = [check for check, now in event.new.checks.items() if check not in old or old[check].fingerprint != now.fingerprint]
    world.changed_in = {check: since for check, since in world.changed_in.items() if check in event.new.checks}
    world.changed_in |= dict.fromkeys(changed, event.generation)
    world.derive()
    former = {site.renamed_from: site.id for site in event.new.sites.values() if site.renamed_from}
    world.memories = {
        check_id: memory
        for check_id, memory in ((_renamed(known, former), memory) for known, memory in world.memories.items())
        if check_id in event.new.checks and event.new.checks[check_id].fingerprint == memory.fingerprint
    }
    world.waiting &= event.new.sites.keys()
    world.lines.waiting = {check: one for check, one in world.lines.waiting.items() if check in event.new.checks}
    world.broken &= event.new.checks.keys()
    own_trouble = world.incidents.get(OWN_TROUBLE_KEY)
    if own_trouble is not None and not world.broken:
        close(world, draft, own_trouble, "removed")
    for incident in list(world.incidents.values()):
        if incident.cause.type != "netwatch" and not any(still_watched(event.new, member) for member in incident.members):
            close(world, draft, incident, "removed")
    world.isolated = world.isolated and UPLINK_KEY in world.incidents
    world.down = {check: since for check, since in world.down.items() if check in world.line_checks}
    world.note_lines({*world.failing, *world.line_checks})
    world.raised = {site: found for site, found in world.raised.items() if site in event.new.sites}
    world.troubled = {site for site in (*world.troubled, *sites_with_trouble(world)) if site in event.new.sites}
    for site in sorted(world.troubled):
        look_at_site(world, draft, site)
    look_at_outages(world, draft)
    introduce(world, draft, frozenset(({*world.pagers} - before[0]) | ({*out_of_band(world.inventory)} - before[1])))
    draft.requests += first_questions(world, draft.at)


def _renamed(check_id: str, former: Mapping[str, str]) -> str:
    site, slash, rest = check_id.partition("/")
    return f"{former.get(site, site)}{slash}{rest}"


def restore(
    world: World,
    memories: Mapping[str, Memory],
    incidents: tuple[Incident, ...],
    next_incident_id: int,
    *,
    remembered: str = "",
    at: float = 0.0,
    wall: float = 0.0,
) -> None:
    """Puts back what was believed before a restart. What is no longer watched, or no longer as it was, goes at the next `Reloaded`.

    `remembered` is what `dump` wrote. Raises ValueError when it is something else; the rest has then been put back.
    """
    checks = world.inventory.checks
    world.memories = {check: memory for check, memory in memories.items() if check in checks}
    world.incidents = Book(incident for incident in incidents if incident.closed is None)
    world.closed = [incident for incident in incidents if incident.closed is not None]
    world.next_incident_id = max([next_incident_id, *(incident.id + 1 for incident in incidents)])
    world.broken = {check for check, memory in world.memories.items() if memory.errors >= state.ERROR_RUNS}
    if OWN_TROUBLE_KEY in world.incidents:  # a check that never worked has no belief that could have been stored
        world.broken |= {member.check for member in world.incidents[OWN_TROUBLE_KEY].members if member.check in checks}
    world.troubled = sites_with_trouble(world)
    world.note_lines(world.line_checks)
    world.isolated = UPLINK_KEY in world.incidents
    try:
        if remembered:
            load_into(world, remembered, at, wall)
    finally:
        for incident in world.incidents.values():
            if not incident.announced:
                world.timers.setdefault(incident.id, Timer(page_at=at))
