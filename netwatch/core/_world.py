"""What the decisions work on: all that is believed, and the effects of one step while they are gathered. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from netwatch.causes import PROVINCE, Tag, Units
from netwatch.correlate import Finding, Sight, line_checks
from netwatch.memory import Memory
from netwatch.model import Check, Effects, Human, Incident, Inventory, Page, Request, Transition

__all__ = ["Draft", "Timer", "Window", "World", "by_site"]


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
    tick_wall: float = 0.0
    stale_at: float = 0.0
    watched_since_at: float | None = None
    # What many sites may have in common (outages.py).
    down: dict[str, float] = field(default_factory=dict)  # checks of lines that failed by themselves, and since when
    raised: dict[str, tuple[Finding, ...]] = field(default_factory=dict)  # by site: power and quality
    hidden: dict[str, int] = field(default_factory=dict)  # by site: what cannot be reached
    unsettled: bool = False  # to be looked at again at the next tick
    spells: dict[str, tuple[float, ...]] = field(default_factory=dict)  # by check: when it went down of late
    # Whether we can see (sight.py).
    sight: Sight = field(default_factory=Sight)
    isolated: bool = False
    # What people asked for, and what is to be told when.
    windows: dict[int, Window] = field(default_factory=dict)
    next_window_id: int = 1
    timers: dict[int, Timer] = field(default_factory=dict)  # by incident
    digest_day: str = ""  # the local day of the last morning digest
    # Derived of the inventory.
    line_checks: frozenset[str] = frozenset()
    anchor_checks: frozenset[str] = frozenset()
    far_checks: frozenset[str] = frozenset()  # whose answer shows that we can see: a hub may stand next to us
    bearers: Mapping[Tag, Units] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.derive()
        if self.sight == Sight():
            self.sight = Sight(seen_at=float("-inf") if self.can_be_blind() else float("inf"))

    def derive(self) -> None:
        """What follows from the inventory alone."""
        inventory = self.inventory
        self.checks_by_site = by_site(inventory)
        lines = {check: site.kind for site in inventory.sites.values() for check in line_checks(inventory, site)}
        self.line_checks = frozenset(lines)
        self.anchor_checks = frozenset(anchor.check for anchor in inventory.anchors)
        self.far_checks = self.anchor_checks | {check for check, kind in lines.items() if kind == "commune"}
        self.bearers = _bearers(inventory)

    def can_be_blind(self) -> bool:
        """Whether there is enough to look at that its silence would mean something."""
        watched = {self.inventory.checks[check].site for check in self.far_checks}
        return bool(self.anchor_checks) or len(watched) >= LEAST_SITES


LEAST_SITES = 3  # without anchors: fewer lines that fail together prove nothing about us


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

    def effects(self) -> Effects:
        return Effects(
            transitions=tuple(self.transitions),
            incidents=tuple(self.incidents.values()),
            pages=tuple(self.pages),
            requests=tuple(self.requests),
            humans=tuple(self.humans),
        )


def by_site(inventory: Inventory) -> dict[str, tuple[Check, ...]]:
    grouped: dict[str, list[Check]] = {}
    for check in inventory.checks.values():
        grouped.setdefault(check.site, []).append(check)
    return {site: tuple(checks) for site, checks in grouped.items()}


def _bearers(inventory: Inventory) -> dict[Tag, Units]:
    """Who bears which tag: lines by their own tags; whole sites by feeder, district and province."""
    found: dict[Tag, dict[str, tuple[str, ...]]] = {}
    for site in inventory.sites.values():
        lines = line_checks(inventory, site)
        for line in site.lines.values():
            check = inventory.primary_check(site.id, line.id)
            for tag in line.tags.items() if check is not None else ():
                found.setdefault(tag, {})[check or ""] = (check or "",)
        of_site = {"feeder": site.tags.get("feeder", ""), "district": site.district}
        if site.kind == "commune":
            of_site[PROVINCE[0]] = PROVINCE[1]
        for key, value in of_site.items():
            if value and lines:
                found.setdefault((key, value), {})[site.id] = lines
    return dict(found)
