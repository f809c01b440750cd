"""What the decisions work on: all that is believed, and the effects of one step while they are gathered. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from netwatch.causes import PROVINCE, Tag, Units
from netwatch.core._book import Book
from netwatch.core._line_book import Key, LineBook
from netwatch.correlate import POWER_METRICS, Finding, Sight, line_checks
from netwatch.memory import Memory, SubjectMemory
from netwatch.model import Belief, Check, Effects, Human, Incident, Inventory, LineVerdict, Page, Request, Severity, Subject, Transition

__all__ = ["Draft", "Timer", "Window", "World", "by_site", "keep"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timer:
    """When an open incident is to be told of next, if nothing happens; monotonic."""

    page_at: float | None = None  # the first page, while it waits
    update_at: float | None = None  # it has grown
    repeat_at: float | None = None  # nobody has acknowledged it


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A silence or a maintenance that a person asked for; wall times."""

    id: int
    kind: Literal["silence", "maintenance"]
    matcher: str
    starts: float
    ends: float
    who: str
    note: str = ""


LEAST_SITES = 3  # without anchors: fewer lines that fail together prove nothing about us
_NEVER = Memory()


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
    # What many sites may have in common (outages.py).
    down: dict[str, float] = field(default_factory=dict)  # checks of lines that failed by themselves, and since when
    raised: dict[str, tuple[Finding, ...]] = field(default_factory=dict)  # by site: power and quality
    hidden: dict[str, int] = field(default_factory=dict)  # by site: what cannot be reached
    failing: set[str] = field(default_factory=set)  # checks of lines believed down, softly or by whatever cause
    unsettled: bool = False  # to be looked at again, at the next result of a line or the next tick
    held: bool = False  # something that flaps is held open: to be looked at at the next tick
    # Whether we can see (sight.py).
    sight: Sight = field(default_factory=Sight)
    isolated: bool = False
    # What people asked for, and what is to be told when.
    windows: dict[int, Window] = field(default_factory=dict)
    next_window_id: int = 1
    timers: dict[int, Timer] = field(default_factory=dict)  # by incident
    digest_day: str = ""  # the local day of the last morning digest
    meetings_told: dict[str, Severity] = field(default_factory=dict)  # steps of meetings, by key and step; the newest of them
    lines: LineBook = field(default_factory=LineBook)
    # Derived of the inventory.
    lines_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by site, the checks of its lines
    line_checks: frozenset[str] = frozenset()
    anchor_checks: frozenset[str] = frozenset()
    far_checks: frozenset[str] = frozenset()  # whose answer shows that we can see: a hub may stand next to us
    can_be_blind: bool = False  # there is enough to look at that its silence would mean something
    bearers: Mapping[Tag, Units] = field(default_factory=dict)
    tags_of: Mapping[str, tuple[Tag, ...]] = field(default_factory=dict)  # by the check of a line
    line_tests: Mapping[Key, str] = field(default_factory=dict)  # the check that tests it
    controls: Mapping[tuple[str, float], str] = field(default_factory=dict)  # by direction and contract, the check next to us
    uplinks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by a router's SNMP check, the lines whose ports it tells of
    router_of: Mapping[tuple[str, str], str] = field(default_factory=dict)  # by site and line, that check
    ups_of: Mapping[str, str] = field(default_factory=dict)  # by site, the check that reads its UPS

    def __post_init__(self) -> None:
        self.derive()
        if self.sight == Sight():
            self.sight = Sight(seen_at=float("-inf") if self.can_be_blind else float("inf"))

    def derive(self) -> None:
        """What follows from the inventory alone."""
        inventory = self.inventory
        self.checks_by_site = by_site(inventory)
        self.lines_of = {site.id: line_checks(inventory, site) for site in inventory.sites.values()}
        self.line_checks = frozenset(check for lines in self.lines_of.values() for check in lines)
        self.anchor_checks = frozenset(anchor.check for anchor in inventory.anchors)
        communes = [lines for site, lines in self.lines_of.items() if lines and inventory.sites[site].kind == "commune"]
        self.far_checks = self.anchor_checks.union(*communes)
        watched = {inventory.checks[check].site for check in self.far_checks}
        self.can_be_blind = bool(self.anchor_checks) or len(watched) >= LEAST_SITES
        self.bearers = _bearers(inventory, self.lines_of)
        self.tags_of = _tags_of(self.bearers)
        self.line_tests, self.controls = _line_tests(inventory)
        self.router_of = _routers(inventory)
        self.uplinks = {check: tuple(line for (_, line), of in self.router_of.items() if of == check) for check in self.router_of.values()}
        self.lines.meetings.clear()
        self.lines.begun.clear()  # the same meeting may be of more sites now
        read_ups = [check for check in inventory.checks.values() if any(rule.metric in POWER_METRICS for rule in check.rules)]
        self.ups_of = {check.site: check.id for check in reversed(read_ups)}  # the first of each site

    def note_lines(self, checks: Iterable[str]) -> None:
        """What is believed of these has changed: keeps `failing` true."""
        for check in checks:
            if check in self.line_checks and self.memory(check).answers.belief is Belief.CRIT:
                self.failing.add(check)
            else:
                self.failing.discard(check)

    @property
    def book(self) -> Book:
        """The open incidents, to look things up in."""
        if not isinstance(self.incidents, Book):
            self.incidents = Book(self.incidents.values())
        return self.incidents

    def believed(self, subject: Subject) -> SubjectMemory | None:
        memory = self.memories.get(subject.check)
        return memory.subjects.get((subject.rule, subject.instance)) if memory is not None else None

    def memory(self, check: str) -> Memory:
        return self.memories.get(check, _NEVER)

    def mates(self, lines: Iterable[str], leaving_out: frozenset[str] = frozenset()) -> set[str]:
        """The lines that have a tag in common with any of these, themselves too, but for tags of some keys."""
        tags = {tag for line in lines for tag in self.tags_of.get(line, ()) if tag[0] not in leaving_out}
        return {mate for tag in tags for parts in self.bearers[tag].values() for mate in parts}


@dataclass
class Draft:
    """The effects of one step while they are gathered."""

    at: float
    wall: float
    transitions: list[Transition] = field(default_factory=list)
    incidents: dict[int, Incident] = field(default_factory=dict)
    pages: list[Page] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    humans: list[Human] = field(default_factory=list)
    verdicts: list[LineVerdict] = field(default_factory=list)

    def effects(self) -> Effects:
        return Effects(
            transitions=tuple(self.transitions),
            incidents=tuple(self.incidents.values()),
            pages=tuple(self.pages),
            requests=tuple(self.requests),
            humans=tuple(self.humans),
            verdicts=tuple(self.verdicts),
        )


def by_site(inventory: Inventory) -> dict[str, tuple[Check, ...]]:
    grouped: dict[str, list[Check]] = {}
    for check in inventory.checks.values():
        grouped.setdefault(check.site, []).append(check)
    return {site: tuple(checks) for site, checks in grouped.items()}


def _line_tests(inventory: Inventory) -> tuple[dict[Key, str], dict[tuple[str, float], str]]:
    """What tests lines, and what tests our own end by the same contract."""
    tests: dict[Key, str] = {}
    controls: dict[tuple[str, float], str] = {}
    for check in inventory.checks.values():
        if check.kind == "bandwidth":
            direction, contract = getattr(check.probe, "direction", ""), getattr(check.probe, "contract_bits_per_second", 0.0)
            if check.target in inventory.sites[check.site].lines:
                tests[check.site, check.target, direction] = check.id
            else:
                controls[direction, contract] = check.id
    return tests, controls


def _routers(inventory: Inventory) -> dict[tuple[str, str], str]:
    """The SNMP check of the router whose port a line is on, where the inventory names the port."""
    found: dict[tuple[str, str], str] = {}
    for check in inventory.checks.values():
        site = inventory.sites[check.site]
        if check.kind == "snmp" and check.target in site.devices and site.devices[check.target].role == "router":
            for line in site.lines.values():
                if line.interface:
                    found.setdefault((site.id, line.id), check.id)
    return found


def _bearers(inventory: Inventory, lines_of: Mapping[str, tuple[str, ...]]) -> dict[Tag, Units]:
    """Who bears which tag: lines by their own tags; whole sites by feeder, district and province."""
    found: dict[Tag, dict[str, tuple[str, ...]]] = {}
    for site in inventory.sites.values():
        for line in site.lines.values():
            check = inventory.primary_check(site.id, line.id)
            for tag in line.tags.items() if check is not None else ():
                found.setdefault(tag, {})[check or ""] = (check or "",)
        of_site = {"feeder": site.tags.get("feeder", ""), "district": site.district}
        if site.kind == "commune":
            of_site[PROVINCE[0]] = PROVINCE[1]
        for key, value in of_site.items():
            if value and lines_of[site.id]:
                found.setdefault((key, value), {})[site.id] = lines_of[site.id]
    return dict(found)


def _tags_of(bearers: Mapping[Tag, Units]) -> dict[str, tuple[Tag, ...]]:
    found: dict[str, list[Tag]] = {}
    for tag, units in bearers.items():
        for parts in units.values():
            for part in parts:
                found.setdefault(part, []).append(tag)
    return {part: tuple(tags) for part, tags in found.items()}


def keep(world: World, draft: Draft, incident: Incident) -> Incident:
    """The incident as it is now, for the decisions to come and for the disk."""
    if incident.closed is None:
        world.incidents[incident.key] = incident
    draft.incidents[incident.id] = incident
    return incident
