"""Who is told: which pagers get the pages of an incident, by the duty roster. Pure."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from netwatch._duties import BACKUP, DUTY, Roster
from netwatch.matcher import parse, target_of
from netwatch.model import ISOLATED, Incident, Inventory
from netwatch.roster import in_office_hours, members, on_duty, stand_in, turns

__all__ = [
    "REPEAT_EVERY_SECONDS",
    "digest_pagers",
    "named_pagers",
    "names_for",
    "out_of_band",
    "pagers_for",
    "reachable",
    "repeat_seconds",
    "waits",
]

REPEAT_SECONDS = (900.0, 2_700.0)  # since the first page, while nobody acknowledges; then every
REPEAT_EVERY_SECONDS = 14_400.0
LONGEST_WAIT_SECONDS = 3 * 86_400.0  # for somebody to be on duty


def pagers_for(incident: Incident, pagers: tuple[str, ...], inventory: Inventory, wall: float, step: int = 0) -> tuple[str, ...]:
    """The names of the pagers to tell, of those there are; none for what can wait for the morning.

    `step` is how often it has been told again with nobody acknowledging. Where the roster names nobody, all are told: never silence.
    That we are cut off is told first by whoever needs no internet, and by the others once it is back.
    """
    if incident.audience != "page":
        return ()
    roster = inventory.duty
    sites = (*incident.sites, *incident.degraded)
    names = names_for(inventory, sites, target_of(incident), wall, step)
    usual = pagers if roster is None else _pagers(roster, names, pagers)
    outside = out_of_band(inventory)
    if incident.cause != ISOLATED or not outside:
        return usual
    first = outside if roster is None else _pagers(roster, names, outside)
    return (*first, *(name for name in usual if not _leads_to(name, first, inventory)))


def out_of_band(inventory: Inventory) -> tuple[str, ...]:
    """Those that work when the internet here does not, also those that only stand by for another."""
    return tuple(name for name, entry in inventory.pagers.items() if entry.options.get("out_of_band") is True)


def reachable(pagers: tuple[str, ...], inventory: Inventory) -> tuple[str, ...]:
    """Who may be told of anything: when we are cut off, also those that are not told as a rule."""
    return (*pagers, *(name for name in out_of_band(inventory) if name not in pagers))


def _leads_to(name: str, wanted: tuple[str, ...], inventory: Inventory) -> bool:
    """Whether what a pager does not take ends at one of these, or it is one of them: they would be told twice."""
    seen: set[object] = set()
    at: object = name
    while at not in seen and at in inventory.pagers:
        if at in wanted:
            return True
        seen.add(at)
        at = inventory.pagers[str(at)].options.get("fallback")
    return False


def digest_pagers(pagers: tuple[str, ...], inventory: Inventory, wall: float) -> tuple[str, ...]:
    """Who gets the morning digest."""
    if inventory.duty is None:
        return pagers
    zone = ZoneInfo(inventory.settings.timezone)
    return _pagers(inventory.duty, inventory.duty.digest or on_duty(inventory.duty, wall, zone), pagers)


def named_pagers(inventory: Inventory) -> frozenset[str]:
    """The pagers that the roster names, itself or for a person: they are told even if they stand in for another too."""
    roster = inventory.duty
    if roster is None:
        return frozenset()
    named = {pager for person in roster.people for pager in person.pagers} | set(roster.digest)
    named |= {name for area in roster.areas for name in area.tell} | {name for step in roster.steps for name in step.tell}
    return frozenset(named & inventory.pagers.keys())


def _pagers(roster: Roster, names: tuple[str, ...], pagers: tuple[str, ...]) -> tuple[str, ...]:
    """Of people and pagers, in the order of the pagers."""
    people = {person.id: person.pagers for person in roster.people}
    named = {pager for name in names for pager in people.get(name, (name,))}
    if named.isdisjoint(pagers):
        return pagers
    return tuple(pager for pager in pagers if pager in named or pager in roster.always)


def names_for(inventory: Inventory, sites: tuple[str, ...], target: str, wall: float, step: int = 0) -> tuple[str, ...]:
    """The people, and pagers that are named themselves, who are to know of trouble at sites; those of each step come on top."""
    roster = inventory.duty
    if roster is None:
        return ()
    zone = ZoneInfo(inventory.settings.timezone)
    found, spared = _of_areas(inventory, roster, sites, target, wall, zone)
    if not spared:
        found = [*on_duty(roster, wall, zone), *found]
    waited = (0.0, *repeat_seconds(inventory))
    elapsed = waited[step] if step < len(waited) else float("inf")
    for escalation in roster.steps:
        if escalation.after_seconds <= elapsed:
            found += [person for name in escalation.tell for person in _people(roster, name, wall, zone)]
    return tuple(dict.fromkeys(found))


def _of_areas(
    inventory: Inventory, roster: Roster, sites: tuple[str, ...], target: str, wall: float, zone: dt.tzinfo
) -> tuple[list[str], bool]:
    """Who is told by area, and whether the shift is spared: every site is in the care of somebody alone."""
    office = in_office_hours(roster, wall, zone) if any(area.office_hours for area in roster.areas) else True
    places = [inventory.sites[site] for site in sites if site in inventory.sites]
    found: list[str] = []
    cared: set[str] = set()
    for area in roster.areas:
        covered = [site.id for site in places if parse(area.matcher).covers(site, target)] if office or not area.office_hours else []
        told = [person for name in area.tell for person in _people(roster, name, wall, zone)] if covered else []
        found += told
        if area.alone and told:
            cared.update(covered)
    return found, bool(places) and cared.issuperset(sites)


def _people(roster: Roster, name: str, wall: float, zone: dt.tzinfo) -> tuple[str, ...]:
    """Who or which pager is meant by a name; nobody when a person is away with nobody instead."""
    if name == DUTY:
        return on_duty(roster, wall, zone)
    if name == BACKUP:
        return tuple(person for turn in turns(roster, wall, zone) for person in turn.backup)
    if name not in {*(person.id for person in roster.people), *(rotation.id for rotation in roster.rotations)}:
        return (name,)
    order = members(roster, name, wall, zone)
    present = stand_in(roster, order[0], order[1:], wall)
    return (present,) if present else ()


def repeat_seconds(inventory: Inventory) -> tuple[float, ...]:
    """When an unacknowledged page is repeated, since the first: at 15 and 45 minutes, and whenever more people are to be told."""
    steps = inventory.duty.steps if inventory.duty is not None else ()
    return tuple(sorted({*REPEAT_SECONDS, *(step.after_seconds for step in steps if step.after_seconds > 0)}))


def waits(incident: Incident, inventory: Inventory, wall: float) -> bool:
    """Whether the first page need not wake whoever is on duty now, and waits; what is critical, or about netwatch itself, never does."""
    roster = inventory.duty
    if roster is None or incident.severity == "critical" or not incident.sites or wall - incident.opened >= LONGEST_WAIT_SECONDS:
        return False
    served = [turn for turn in turns(roster, wall, ZoneInfo(inventory.settings.timezone)) if turn.people]
    if not served:
        return roster.waits_for_duty
    return all(turn.wakes == "critical" for turn in served)
