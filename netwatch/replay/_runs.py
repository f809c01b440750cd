"""Which of the recorded runs can matter, and what they were: the others only said once more what was known."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypeAlias

from netwatch.history import Point, Questions
from netwatch.model import Check, Outcome, Rule, Sample
from netwatch.replay._implied import GOOD_SECONDS, SPARSE_SECONDS
from netwatch.replay._spans import holds
from netwatch.replay._tape import Ran
from netwatch.sla import Span, merged

__all__ = ["Kept", "Outcomes", "kept_of", "runs_of"]

Outcomes: TypeAlias = Sequence[tuple[float, Outcome, float]]  # wall, how it ended, seconds
Name: TypeAlias = tuple[str, str]  # metric, instance
BUCKET_SECONDS = 300.0
RTT = "icmp_rtt_seconds"
LOSS = "icmp_loss_ratio"
MARGIN_SECONDS = 60.0
DURATION_UNSURE_SECONDS = 0.001  # when a run began is kept to the millisecond


@dataclass(frozen=True, slots=True)
class Kept:
    """What history keeps of a check: `judged` are the series its rules read, `pulse` has a sample of every run."""

    judged: tuple[tuple[Name, Rule], ...]
    every_run: tuple[Name, ...]
    changes: tuple[Name, ...]
    pulse: Name | None


def kept_of(check: Check, rules: Sequence[Rule], names: Iterable[tuple[str, str, str]]) -> Kept:
    """`names` are metric, instance and keep of each series of the check."""
    known = sorted(names)
    judged = [
        ((metric, instance), rule)
        for metric, instance, _ in known
        for rule in rules
        if rule.metric == metric and fnmatchcase(instance, rule.instance)
    ]
    wanted = {name for name, _ in judged}
    steady = [(metric, instance) for metric, instance, keep in known if keep != "change" and metric]
    pulse = next((name for name in steady if name[0] == LOSS), steady[0] if steady else None)
    read = wanted | ({pulse} if pulse else set()) | ({(RTT, "")} if check.kind == "icmp" else set())
    return Kept(
        judged=tuple(judged),
        every_run=tuple(name for name in steady if name in read),
        changes=tuple((metric, instance) for metric, instance, keep in known if keep == "change" and (metric, instance) in wanted),
        pulse=pulse,
    )


async def runs_of(
    history: Questions, check: Check, kept: Kept, outcomes: Outcomes, near: Sequence[Span], since: float, until: float
) -> list[Ran]:
    """Those near a change, those that may have crossed a limit with what went before, and every bad one that is news. Raises HistoryFailed."""
    changes = {name: (await history.series(check.id, *name, since, until)).points for name in kept.changes}
    spans = merged([*near, *(await _touchy(history, check, kept, changes, since, until))])
    measured: dict[float, dict[Name, tuple[float, ...]]] = {}
    for begins, ends in spans:
        for name in kept.every_run:
            for wall, values in await history.samples(check.id, *name, max(begins, since), min(ends, until)):
                measured.setdefault(wall, {})[name] = values
    ended = {wall: (outcome, seconds) for wall, outcome, seconds in outcomes}
    moments = {*measured, *_worth_saying(outcomes, spans), *(() if kept.pulse else _unmeasured(check, outcomes, spans))}
    return list(_runs(check, sorted(moments), measured, ended, changes))


async def _touchy(
    history: Questions, check: Check, kept: Kept, changes: Mapping[Name, Sequence[Point]], since: float, until: float
) -> list[Span]:
    """When a value was on the wrong side of a limit, and so long before and after that every mean and every wait is whole."""
    found: list[Span] = []
    for name, rule in kept.judged:
        margin = rule.window_seconds + rule.hold_seconds + 2.5 * check.interval_seconds + MARGIN_SECONDS
        if name in changes:
            found += [(point.wall - 1.0, point.wall + margin) for point in changes[name]]
            continue
        points = max(1, math.ceil((until - since) / BUCKET_SECONDS))
        series = await history.series(check.id, *name, since, until, points)
        found += [(point.wall - margin, point.wall + point.seconds + margin) for point in series.points if _may_cross(rule, point)]
    return found


def _may_cross(rule: Rule, point: Point) -> bool:
    limits = [limit for limit in (rule.warn, rule.crit, rule.clear) if limit is not None]
    if not limits:
        return False
    summary = point.summary
    if rule.compare == "above":
        return summary.maximum >= min(limits) * (1 - 1e-6)
    if summary.minimum is not None:
        return summary.minimum <= max(limits) * (1 + 1e-6)
    constant = math.isclose(summary.mean, summary.maximum, rel_tol=1e-6)
    return not constant or summary.mean <= max(limits) * (1 + 1e-6)


def _worth_saying(outcomes: Outcomes, spans: Sequence[Span]) -> Iterator[float]:
    """Of what goes on failing far from any change, one now and then."""
    told = -math.inf
    for wall, outcome, _ in outcomes:
        if holds(spans, wall) or (outcome is not Outcome.OK and wall - told >= SPARSE_SECONDS):
            told = wall
            yield wall


def _unmeasured(check: Check, outcomes: Outcomes, spans: Sequence[Span]) -> Iterator[float]:
    """Good runs of a check that measures nothing each time: one of five minutes is kept, the others went as it did."""
    for (wall, outcome, _), following in zip(outcomes, [*(one[0] for one in outcomes[1:]), math.inf], strict=True):
        at = wall + check.interval_seconds
        while outcome is Outcome.OK and at < min(following - check.interval_seconds / 2, wall + SPARSE_SECONDS + check.interval_seconds):
            if holds(spans, at):
                yield at
            at += check.interval_seconds


def _runs(
    check: Check,
    moments: Sequence[float],
    measured: Mapping[float, Mapping[Name, tuple[float, ...]]],
    ended: Mapping[float, tuple[Outcome, float]],
    changes: Mapping[Name, Sequence[Point]],
) -> Iterator[Ran]:
    held: dict[Name, tuple[float, ...]] = {}
    coming = sorted(((point.wall, name, point.summary.mean) for name, points in changes.items() for point in points), reverse=True)
    for wall in moments:
        while coming and coming[-1][0] <= wall:
            _, name, value = coming.pop()
            held[name] = (value,)
        outcome, seconds = ended.get(wall, (Outcome.OK, GOOD_SECONDS))
        samples = {**(held if outcome is Outcome.OK else {}), **measured.get(wall, {})}
        yield Ran(
            check=check.id,
            wall=wall,
            duration_seconds=seconds + (DURATION_UNSURE_SECONDS if outcome is Outcome.FAILED else 0.0),
            outcome=outcome,
            samples=tuple(Sample(metric, values, instance) for (metric, instance), values in samples.items()),
            single=_is_single(check, samples),
        )


def _is_single(check: Check, samples: Mapping[Name, tuple[float, ...]]) -> bool:
    """Whether it was one echo where a train is usual: a mean over time does not count it."""
    if check.kind != "icmp" or int(getattr(check.probe, "count", 1)) == 1:
        return False
    return len(samples.get((RTT, ""), ())) == 1 and samples.get((LOSS, "")) == (0.0,)
