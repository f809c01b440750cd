"""What the decisions work on: all that is believed, and the effects of one step while they are gathered. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from netwatch.memory import Memory
from netwatch.model import Check, Effects, Incident, Inventory, Page, Request, Transition

__all__ = ["Draft", "World", "by_site"]


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
        self.checks_by_site = by_site(self.inventory)


@dataclass
class Draft:
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


def by_site(inventory: Inventory) -> dict[str, tuple[Check, ...]]:
    grouped: dict[str, list[Check]] = {}
    for check in inventory.checks.values():
        grouped.setdefault(check.site, []).append(check)
    return {site: tuple(checks) for site, checks in grouped.items()}
