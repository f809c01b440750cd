"""How long a site was up, down or not watched, from what was believed of its lines. Pure."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeAlias

from netwatch.matcher import parse
from netwatch.model import ISOLATED, Belief, Human, Incident, Maintenance, Site
from netwatch.windows import occurrences

__all__ = [
    "Account",
    "Availability",
    "Change",
    "Excluded",
    "Reach",
    "Span",
    "account",
    "availability",
    "exclusions",
    "hard_changes",
    "isolated_spans",
    "merged",
    "of_sites",
    "without",
    "work_spans",
]

Change: TypeAlias = tuple[float, Belief]  # wall seconds, what is believed from then on
Span: TypeAlias = tuple[float, float]  # from, until


@dataclass(frozen=True, slots=True)
class Reach:
    """From when until when is looked at, and by which local days work is planned."""

    since: float
    until: float
    zone: dt.tzinfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """Seconds of one window. `unknown` is when nobody watched or a result was missing; it is no part of the base."""

    up: float = 0.0
    down: float = 0.0
    unknown: float = 0.0

    @property
    def ratio(self) -> float | None:
        """None when nothing is known."""
        known = self.up + self.down
        return self.up / known if known > 0 else None


def hard_changes(transitions: Sequence[tuple[float, Belief, bool]]) -> list[Change]:
    """What was settled, from (since, belief, hard) in the order it happened; dated when it began, never before the last."""
    changes: list[Change] = []
    for since, belief, hard in transitions:
        if hard and (not changes or changes[-1][1] is not belief):
            changes.append((max(since, changes[-1][0]) if changes else since, belief))
    return changes


def availability(lines: Sequence[Sequence[Change]], watched: Sequence[Span], since: float, until: float) -> Availability:
    """Of a site with these lines: down while every line is hard down, up while one is known to be up.

    Outside of `watched` (in order, they may overlap) everything is unknown. A line is unknown before its first change.
    """
    moments = sorted(
        [(wall, place, belief) for place, changes in enumerate(lines) for wall, belief in changes if wall < until], key=lambda one: one[:2]
    )
    beliefs = [Belief.UNKNOWN] * len(lines)
    spent = {Belief.OK: 0.0, Belief.CRIT: 0.0, Belief.UNKNOWN: 0.0}
    watch = _Watch(watched)
    at = since
    for wall, place, belief in (*moments, (until, -1, Belief.UNKNOWN)):
        if wall > at:
            seen = watch.seconds(at, wall)
            spent[_together(beliefs)] += seen
            spent[Belief.UNKNOWN] += wall - at - seen
            at = wall
        if place >= 0:
            beliefs[place] = belief
    return Availability(up=spent[Belief.OK], down=spent[Belief.CRIT], unknown=spent[Belief.UNKNOWN])


def _together(beliefs: Sequence[Belief]) -> Belief:
    if any(belief in {Belief.OK, Belief.WARN} for belief in beliefs):
        return Belief.OK
    return Belief.CRIT if beliefs and all(belief is Belief.CRIT for belief in beliefs) else Belief.UNKNOWN


class _Watch:
    """How much of a span lies in the watched ones; asked in order of time."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self._spans = merged(spans)
        self._next = 0

    def seconds(self, since: float, until: float) -> float:
        while self._next < len(self._spans) and self._spans[self._next][1] <= since:
            self._next += 1
        total, place = 0.0, self._next
        while place < len(self._spans) and self._spans[place][0] < until:
            total += min(until, self._spans[place][1]) - max(since, self._spans[place][0])
            place += 1
        return total


def of_sites(
    sites: Mapping[str, Sequence[str]],
    changes: Mapping[str, Sequence[Change]],
    watched: Sequence[Span],
    since: float,
    until: float,
    *,
    excluded: Mapping[str, Sequence[Span]] = MappingProxyType({}),
) -> dict[str, Availability]:
    """Every site by the ids of its lines' checks; what is `excluded` of a site counts as not watched."""
    return {
        site: availability([changes.get(check, ()) for check in checks], without(watched, excluded.get(site, ())), since, until)
        for site, checks in sites.items()
    }


def without(watched: Sequence[Span], excluded: Sequence[Span]) -> Sequence[Span]:
    """What of some spans lies outside of others."""
    holes = merged(excluded)
    ends = [ended for _, ended in holes]
    left: list[Span] = []
    for began, ended in watched:
        at = began
        for hole in range(bisect_right(ends, began), len(holes)):
            if holes[hole][0] >= ended:
                break
            if holes[hole][0] > at:
                left.append((at, holes[hole][0]))
            at = holes[hole][1]
        if at < ended:
            left.append((at, ended))
    return left


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same time in order, none touching another."""
    found: list[Span] = []
    for began, ended in sorted(spans):
        if found and began <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], ended))
        elif ended > began:
            found.append((began, ended))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Excluded:
    """What does not count: work on what a matcher is about or, without one, a time in which it was us who were cut off."""

    since: float
    until: float
    matcher: str = ""
    who: str = ""  # empty for what the inventory plans
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Seconds of one window that add up to it. Only `up` and `down` are the base; of two reasons not to count, the first is named."""

    up: float
    down: float
    maintenance: float
    isolated: float
    unwatched: float

    @property
    def ratio(self) -> float | None:
        return Availability(up=self.up, down=self.down).ratio


def exclusions(acts: Sequence[Human], incidents: Sequence[Incident], planned: Sequence[Maintenance], reach: Reach) -> list[Excluded]:
    """All that touches the window, cut to it, by when it began.

    `acts` is the audit trail in any order; one without a number or an end opened nothing. `planned` is what the inventory says now.
    """
    ended = {act.window: act.wall for act in acts if act.action == "end"}
    found = [
        Excluded(
            since=act.wall if act.starts is None else act.starts,
            until=min(act.until, ended.get(act.window, act.until)),
            matcher=act.matcher,
            who=act.who,
            note=act.note,
        )
        for act in acts
        if act.action == "maintenance" and act.until is not None and act.window
    ]
    found += [
        Excluded(since=began, until=over, matcher=one.matcher, note=one.note)
        for one in planned
        for began, over in occurrences(one, reach.since, reach.until, reach.zone)
    ]
    found += [
        Excluded(since=one.opened, until=reach.until if one.closed is None else one.closed) for one in incidents if one.cause == ISOLATED
    ]
    cut = (replace(one, since=max(one.since, reach.since), until=min(one.until, reach.until)) for one in found)
    return sorted((one for one in cut if one.since < one.until), key=lambda one: (one.since, one.until, one.matcher))


def isolated_spans(excluded: Sequence[Excluded]) -> list[Span]:
    return [(one.since, one.until) for one in excluded if not one.matcher]


def work_spans(site: Site, excluded: Sequence[Excluded], line: str = "") -> list[Span]:
    """When there was work on a line or, without one, on all of a site: on itself, or on every line it has."""
    if line or not site.lines:
        return [(one.since, one.until) for one in excluded if one.matcher and parse(one.matcher).covers(site, line)]
    first, *others = (work_spans(site, excluded, name) for name in site.lines)
    for spans in others:
        first = list(without(first, without(first, spans)))
    return first


def account(counted: Availability, works: Sequence[Span], isolated: Sequence[Span], since: float, until: float) -> Account:
    """`counted` without what was excluded, together with why it was."""
    maintenance = _Watch(works).seconds(since, until)
    both = _Watch([*works, *isolated]).seconds(since, until)
    return Account(
        up=counted.up,
        down=counted.down,
        maintenance=maintenance,
        isolated=both - maintenance,
        unwatched=max(0.0, counted.unknown - both),
    )
