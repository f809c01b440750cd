"""What came of a replay, and how two of the same time differ. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from netwatch.model import Check, Incident, Inventory, Page
from netwatch.replay._spans import clipped
from netwatch.replay._tape import Tape
from netwatch.sla import merged

__all__ = ["SHORT_SECONDS", "Difference", "Doubt", "Report", "Story", "difference", "doubts", "unwatched_seconds", "was_told"]

SHORT_SECONDS = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """An incident that somebody was woken for, as it was last, and when they were."""

    incident: Incident
    told_wall: float

    @property
    def is_short(self) -> bool:
        return self.incident.closed is not None and self.incident.closed - self.incident.opened < SHORT_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Of the time that was asked for; `pages` with their wall times, those of the morning digest among them."""

    pages: tuple[tuple[float, Page], ...]
    stories: tuple[Story, ...]
    transitions: int

    @property
    def short(self) -> int:
        return sum(story.is_short for story in self.stories)

    @property
    def digests(self) -> int:
        return len({page.incident.id for _, page in self.pages if page.about})

    @property
    def by_cause(self) -> Mapping[str, int]:
        return dict(Counter(story.incident.cause.type for story in self.stories).most_common())

    @property
    def by_site(self) -> Mapping[str, int]:
        return dict(Counter(site for story in self.stories for site in _sites(story.incident)).most_common())

    def of_site(self, site: str) -> Report:
        """Only what concerns one site."""
        return Report(
            pages=tuple((wall, page) for wall, page in self.pages if site in _sites(page.incident)),
            stories=tuple(story for story in self.stories if site in _sites(story.incident)),
            transitions=self.transitions,
        )


@dataclass(frozen=True, slots=True)
class Difference:
    """Between what would have been told by one inventory and by another."""

    no_longer: tuple[Story, ...]
    new: tuple[Story, ...]


@dataclass(frozen=True, slots=True)
class Doubt:
    """What the record cannot tell: `new_check`, `changed_check`, `old_rule`, `old_timing`, `not_kept`; about which checks."""

    kind: str
    checks: tuple[str, ...]


def difference(before: Report, after: Report) -> Difference:
    return Difference(
        no_longer=tuple(one for one in before.stories if not any(_is_same(one, other) for other in after.stories)),
        new=tuple(one for one in after.stories if not any(_is_same(one, other) for other in before.stories)),
    )


def _is_same(one: Story, other: Story) -> bool:
    """About the same, at the same time."""
    mine, theirs = one.incident, other.incident
    apart = (mine.closed or float("inf")) < theirs.opened or (theirs.closed or float("inf")) < mine.opened
    return not apart and (mine.key == theirs.key or bool(set(mine.members) & set(theirs.members)))


def was_told(tape: Tape, site: str = "") -> int:
    """How many incidents of that time somebody was in fact woken for."""
    return sum(
        one.announced and one.audience == "page" and tape.since <= one.opened < tape.until and (not site or site in _sites(one))
        for one in tape.recorded
    )


def unwatched_seconds(tape: Tape) -> float:
    """How long of that time netwatch did not run."""
    watched = merged(clipped(tape.watched, tape.since, tape.until))
    return max(0.0, tape.until - tape.since - sum(ends - begins for begins, ends in watched))


def doubts(tape: Tape, recorded_by: Inventory, played_by: Inventory, series: Mapping[str, Sequence[tuple[str, str]]]) -> Iterator[Doubt]:
    """What must not be read out of a replay by another inventory. `series` are metric and instance of what is kept of each check."""
    before, after = recorded_by.checks, played_by.checks
    both = sorted(before.keys() & after.keys())
    found = {
        "new_check": [name for name in sorted(after) if name not in before],
        "changed_check": [name for name in both if _measures(before[name]) != _measures(after[name])],
        "not_kept": [name for name in both if _unkept(before[name], after[name], series.get(name, ()))],
    }
    if tape.since < tape.runs_since:
        found["old_rule"] = [name for name in both if before[name].rules != after[name].rules]
        found["old_timing"] = [name for name in both if _timing(before[name]) != _timing(after[name])]
    for kind, checks in found.items():
        if checks:
            yield Doubt(kind, tuple(checks))


def _measures(check: Check) -> tuple[str, str, str | None]:
    return (check.kind, check.address, check.source)


def _timing(check: Check) -> tuple[float, ...]:
    return (check.attempts, check.hard_after_seconds)


def _unkept(before: Check, after: Check, kept: Sequence[tuple[str, str]]) -> bool:
    """Whether a rule that was not there reads what is not kept."""
    fresh = [rule for rule in after.rules if rule not in before.rules]
    return any(not any(rule.metric == metric and fnmatchcase(name, rule.instance) for metric, name in kept) for rule in fresh)


def _sites(incident: Incident) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*incident.sites, *incident.degraded)))
