"""What happened, in the order in which it ended: what a replay plays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from netwatch.model import Human, Incident, Outcome, Sample, Transition
from netwatch.sla import Span

__all__ = ["Believed", "Did", "Entry", "Fell", "Ran", "Tape"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A run of a check, as it was or as a change of belief implies it. `single`: one echo, asked for because something failed."""

    check: str
    wall: float
    duration_seconds: float
    outcome: Outcome
    code: str = ""
    detail: str = ""
    samples: tuple[Sample, ...] = ()
    single: bool = False


@dataclass(frozen=True, slots=True)
class Believed:
    """A rule's change of belief where what was measured is not kept any more: taken as it was decided then."""

    transition: Transition


@dataclass(frozen=True, slots=True)
class Fell:
    """A check that was not heard of any more."""

    transition: Transition


@dataclass(frozen=True, slots=True)
class Did:
    """What a person did."""

    human: Human


Entry: TypeAlias = Ran | Believed | Fell | Did


@dataclass(frozen=True, slots=True, kw_only=True)
class Tape:
    """`begin` is some time before `since`, so that what was going on then is known; pages of that time do not count.

    From `runs_since` on there are runs, before it only changes of belief. `recorded` are the incidents as they were.
    """

    begin: float
    since: float
    until: float
    runs_since: float
    entries: tuple[tuple[float, Entry], ...]  # with the wall time at which each ended
    settled: tuple[Transition, ...]  # what was believed at `begin`
    recorded: tuple[Incident, ...]
    watched: tuple[Span, ...]
