"""How long a site was up, down or not watched, from what was believed of its lines. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from netwatch.matcher import parse
from netwatch.model import Belief, Cause, Human, Incident, Maintenance, Site
from netwatch.windows import occurrences

__all__ = ["Availability", "Change", "Reach", "Span", "availability", "excluded_spans", "hard_changes", "of_sites", "without"]

ISOLATED = Cause("uplink", "isolated")

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
        self._spans: list[list[float]] = []
        for began, ended in sorted(spans):
            if self._spans and began <= self._spans[-1][1]:
                self._spans[-1][1] = max(self._spans[-1][1], ended)
            elif ended > began:
                self._spans.append([began, ended])
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
    left = list(watched)
    for began, ended in excluded:
        if ended > began:
            cut = [((start, min(stop, began)), (max(start, ended), stop)) for start, stop in left]
            left = [span for pair in cut for span in pair if span[1] > span[0]]
    return left


def excluded_spans(
    sites: Mapping[str, Site], acts: Sequence[Human], incidents: Sequence[Incident], planned: Sequence[Maintenance], reach: Reach
) -> dict[str, list[Span]]:
    """By site, what does not count between two moments: maintenance of the whole site, asked for or planned, and when we were cut off.

    `acts` is the audit trail in any order; one without a number or an end opened nothing.
    """
    ended = {act.window: act.wall for act in acts if act.action == "end"}
    blind = [(one.opened, reach.until if one.closed is None else one.closed) for one in incidents if one.cause == ISOLATED]
    works = [
        (parse(act.matcher), [(act.wall if act.starts is None else act.starts, min(act.until, ended.get(act.window, act.until)))])
        for act in acts
        if act.action == "maintenance" and act.until is not None and act.window
    ]
    works += [(parse(one.matcher), occurrences(one, reach.since, reach.until, reach.zone)) for one in planned]
    return {slug: [*blind, *(span for matcher, spans in works if matcher.covers(site) for span in spans)] for slug, site in sites.items()}
