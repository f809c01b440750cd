"""From the history to a tape. What cannot matter is left out: a month of 45 sites is a few hours of trouble."""

from __future__ import annotations

import functools
import itertools
import math
from bisect import bisect_right
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from netwatch import core
from netwatch.history import Questions, Recorded
from netwatch.model import Check, Human, Incident, Inventory, Outcome, Rule, Transition
from netwatch.replay._implied import implied
from netwatch.replay._runs import Outcomes, kept_of, runs_of
from netwatch.replay._spans import around
from netwatch.replay._tape import Believed, Did, Entry, Fell, Ran, Tape
from netwatch.sla import Span, merged

__all__ = ["NothingRecorded", "read"]

WARM_UP_SECONDS = 3_600.0
MOST = 100_000
BEFORE_SECONDS = 5.0
AFTER_SECONDS = 60.0
FAR_BEFORE_SECONDS = 10.0
FAR_AFTER_SECONDS = 45.0
FIRST_SECONDS = 60.0
ACTS_AFTER_SECONDS = 1_800.0  # what was acknowledged before the beginning is open again by then
OF_INCIDENTS = frozenset({"acknowledge", "unacknowledge", "note"})
STALE = "stale"


class NothingRecorded(Exception):
    """There is no record of the time asked for. `since` and `until` are those of what there is; None when there is nothing at all."""

    def __init__(self, since: float | None = None, until: float | None = None) -> None:
        self.since, self.until = since, until
        super().__init__()


async def read(history: Questions, inventories: Sequence[Inventory], since: float, until: float) -> Tape:
    """What is recorded of the checks of all the inventories. Raises HistoryFailed, NothingRecorded."""
    known = await history.recorded()
    begin, since, until = _bounds(known, since, until)
    runs_since = until if known.runs_since is None else min(until, max(begin, known.runs_since))
    if runs_since - begin < FIRST_SECONDS:
        runs_since = begin  # the record begins with the first run
    sources = _Sources(inventories, begin, runs_since, until)
    sources.settled = await history.settled(begin)
    sources.add([one async for one in history.results_for_replay(begin, until)])
    await sources.add_outcomes(history, known)
    entries: list[tuple[float, Entry]] = [*sources.from_changes()]
    if runs_since < until:
        entries += [(run.wall + run.duration_seconds, run) async for run in sources.runs(history, known)]
    recorded = tuple(await history.incidents(since_wall=begin, limit=MOST))
    entries += _acts(await history.humans(limit=MOST), recorded, begin, until)
    return Tape(
        begin=begin,
        since=since,
        until=until,
        runs_since=runs_since,
        entries=tuple(sorted(entries, key=lambda entry: entry[0])),
        settled=tuple(sources.settled),
        recorded=recorded,
        watched=known.watched,
    )


def _bounds(known: Recorded, since: float, until: float) -> tuple[float, float, float]:
    """Where the playing begins, and what counts."""
    firsts = [first for first in (known.runs_since, known.transitions_since) if first is not None]
    if not firsts:
        raise NothingRecorded
    first = math.floor(min(firsts))
    last = math.inf if known.last_wall is None else known.last_wall
    if since >= last or until <= first:
        raise NothingRecorded(first, last)
    return max(math.floor(since - WARM_UP_SECONDS), first), max(since, first), min(until, last)


@dataclass
class _Sources:
    """What is known before a single sample is read, and what of the samples must be read for it."""

    inventories: Sequence[Inventory]
    begin: float
    runs_since: float
    until: float
    settled: Sequence[Transition] = ()
    answers: dict[str, list[Transition]] = field(default_factory=dict)  # by check: does it answer at all
    of_rules: list[Transition] = field(default_factory=list)
    outcomes: dict[str, Outcomes] = field(default_factory=dict)
    moments: dict[str, list[float]] = field(default_factory=dict)  # by check: when it changed

    def __post_init__(self) -> None:
        self.checks: dict[str, Check] = {}
        self.far: frozenset[str] = frozenset()
        worlds = [core.World(inventory=inventory) for inventory in reversed(self.inventories)]
        for world in worlds:  # the last is the one by which it was recorded
            self.checks |= world.inventory.checks
            self.far |= world.line_checks | world.far_checks
        self.kin = _kin(self.checks, worlds)

    def add(self, transitions: Sequence[Transition]) -> None:
        for one in transitions:
            check = self.checks.get(one.subject.check)
            if check is None:
                continue
            if one.subject.rule:
                self.of_rules.append(one)
            else:
                self.answers.setdefault(check.id, []).append(one)
                self.moments.setdefault(check.id, []).extend({one.since, one.wall} if one.since >= self.begin else {one.wall})

    async def add_outcomes(self, history: Questions, known: Recorded) -> None:
        for check_id in sorted({series[0] for series in known.series} & self.checks.keys()):
            found = await history.outcomes(check_id, self.runs_since, self.until) if self.runs_since < self.until else []
            self.outcomes[check_id] = found
            before: Outcome | None = None
            for wall, outcome, _ in found:
                if before is not None and outcome is not before:
                    self.moments.setdefault(check_id, []).append(wall)
                before = outcome

    def near(self, check: Check) -> list[Span]:
        """When runs of this check may matter though they only say again what was known."""
        own = [moment for one in (check.id, *self.kin.get(check.id, ())) for moment in self.moments.get(one, ())]
        patience = 2.5 * check.interval_seconds
        spans = around(own, BEFORE_SECONDS, max(AFTER_SECONDS, patience))
        if check.id in self.far:
            spans += self.far_spans
        spans += [(start, start + max(FIRST_SECONDS, patience)) for start in (self.begin, self.runs_since)]
        return merged(spans)

    @functools.cached_property
    def far_spans(self) -> list[Span]:
        """When it counted whether anything far away answered: while lines and anchors changed."""
        return around((one for check in self.far for one in self.moments.get(check, ())), FAR_BEFORE_SECONDS, FAR_AFTER_SECONDS)

    def from_changes(self) -> Iterator[tuple[float, Entry]]:
        """All that is known of the time before there are runs, and of checks nobody heard of any more."""
        settled = {one.subject.check: one for one in self.settled if not one.subject.rule}
        for check in self.checks.values() if self.begin < self.runs_since else ():
            changes = [one for one in self.answers.get(check.id, ()) if one.wall < self.runs_since]
            first = [settled[check.id]] if check.id in settled else []
            for run in implied(check, [*first, *changes], self.begin, self.runs_since, self.near(check)):
                yield run.wall + run.duration_seconds, run
        for one in self.of_rules:
            if one.wall < self.runs_since:
                yield one.wall, Believed(one)
        for changes in self.answers.values():
            yield from ((one.wall, Fell(one)) for one in changes if one.code == STALE)

    async def runs(self, history: Questions, known: Recorded) -> AsyncIterator[Ran]:
        names: dict[str, list[tuple[str, str, str]]] = {}
        for check_id, metric, instance, keep in known.series:
            names.setdefault(check_id, []).append((metric, instance, keep))
        for check_id in sorted(names.keys() & self.checks.keys()):
            check = self.checks[check_id]
            kept = kept_of(check, self._rules(check_id), names[check_id])
            near = self.near(check)
            for run in await runs_of(history, check, kept, self.outcomes.get(check_id, ()), near, self.runs_since, self.until):
                yield self._explained(run)

    def _rules(self, check_id: str) -> list[Rule]:
        found = (inventory.checks.get(check_id) for inventory in self.inventories)
        return [rule for check in found if check is not None for rule in check.rules]

    def _explained(self, run: Ran) -> Ran:
        """With what the transitions say of why it failed: runs are kept without words."""
        if run.outcome is Outcome.OK:
            return run
        changes = self.answers.get(run.check, ())
        place = bisect_right(changes, run.wall, key=lambda one: one.wall)
        said = next((one for one in (*reversed(changes[:place]), *changes[place:]) if one.code), None)
        return replace(run, code=said.code, detail=said.detail) if said is not None else replace(run, code="timeout")


def _kin(checks: Mapping[str, Check], worlds: Sequence[core.World]) -> dict[str, set[str]]:
    """Whose runs matter when a check changes: its parents and children, and of a line the other lines of its site."""
    found: dict[str, set[str]] = {}
    pairs = [(check.id, parent) for check in checks.values() for group in check.parents for parent in group]
    pairs += [pair for world in worlds for lines in world.lines_of.values() for pair in itertools.combinations(lines, 2)]
    for one, other in pairs:
        found.setdefault(one, set()).add(other)
        found.setdefault(other, set()).add(one)
    return found


def _acts(humans: Sequence[Human], recorded: Sequence[Incident], begin: float, until: float) -> Iterator[tuple[float, Entry]]:
    """What people did; also what they had done before, where it still holds."""
    open_then = {one.id for one in recorded if one.opened < begin}
    for human in reversed(humans):
        if begin <= human.wall < until:
            yield human.wall, Did(human)
        elif human.wall < begin and human.action in OF_INCIDENTS:
            if human.incident in open_then:
                yield begin + ACTS_AFTER_SECONDS, Did(human)
        elif human.wall < begin:
            yield begin, Did(replace(human, starts=human.wall if human.starts is None else human.starts))
