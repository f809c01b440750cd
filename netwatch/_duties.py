"""The nouns of the duty roster: what `duty:` in inventory.yaml says. Frozen, no clock."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "BACKUP",
    "DUTY",
    "HOLIDAY",
    "WEEKDAYS",
    "Area",
    "Away",
    "Holiday",
    "Person",
    "Problem",
    "Roster",
    "Rotation",
    "Shift",
    "Span",
    "Step",
    "Turn",
]

DUTY, BACKUP = "duty", "backup"
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HOLIDAY = "holiday"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    id: str
    name: str
    phone: str = ""
    pagers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """People who take turns of a week or a day, from `starts` on, handing over at a minute of the local day."""

    id: str
    order: tuple[str, ...]
    starts: dt.date
    turn_days: int = 7
    handover_minute: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """`days` are weekdays, `holiday` or the ids of holidays; it belongs to the day it begins on and ends within a day.

    `who` and `backup` are people or rotations. `wakes` is `critical` when what is less waits for a shift that takes all.
    """

    id: str
    days: frozenset[str]
    from_minute: int
    until_minute: int  # the next day's, when it is not later than `from_minute`
    who: tuple[str, ...]
    backup: tuple[str, ...] = ()
    wakes: Literal["all", "critical"] = "all"
    extra: bool = False  # meant to stand beside another shift


@dataclass(frozen=True, slots=True, kw_only=True)
class Holiday:
    """One day, or one of every year (solar or lunar), with days before and after it."""

    id: str
    month: int
    day: int
    year: int | None = None
    lunar: bool = False
    before: int = 0
    after: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Away:
    """From a wall time to another `person` is away, for whom `instead` stands in; with `swap` also the other way round."""

    person: str
    starts: float
    ends: float
    instead: str = ""  # else the next of the rotation, else the backup
    swap: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """Who else is told of what a matcher covers; `alone`: and the shift is not, until it escalates."""

    matcher: str
    tell: tuple[str, ...]  # people, rotations or pagers
    office_hours: bool = False
    alone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    after_seconds: float
    tell: tuple[str, ...]  # `duty`, `backup`, people, rotations or pagers


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    people: tuple[Person, ...] = ()
    rotations: tuple[Rotation, ...] = ()
    shifts: tuple[Shift, ...] = ()
    holidays: tuple[Holiday, ...] = ()
    away: tuple[Away, ...] = ()
    areas: tuple[Area, ...] = ()
    steps: tuple[Step, ...] = ()
    office: Shift | None = None
    waits_for_duty: bool = False  # what is not critical waits when nobody is on duty
    digest: tuple[str, ...] = ()  # who gets the morning digest; else who is on duty then
    always: tuple[str, ...] = ()  # pagers that are nobody's: told of everything


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A shift that is being served, and by whom; nobody when all are away."""

    shift: str
    people: tuple[str, ...]
    backup: tuple[str, ...]
    wakes: Literal["all", "critical"]
    extra: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    begins: float
    ends: float
    turns: tuple[Turn, ...]

    @property
    def people(self) -> tuple[str, ...]:
        """Each once."""
        return tuple(dict.fromkeys(person for turn in self.turns for person in turn.people))


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    kind: Literal["gap", "overlap"]
    begins: float
    ends: float
    shifts: tuple[str, ...] = ()  # of an overlap
