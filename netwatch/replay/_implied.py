"""Runs that changes of belief imply, for the time of which the runs themselves are not kept any more. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netwatch.model import Belief, Check, Outcome, Transition
from netwatch.replay._spans import clipped, holds
from netwatch.replay._tape import Ran
from netwatch.sla import Span
from netwatch.state import ERROR_RUNS

__all__ = ["GOOD_SECONDS", "SPARSE_SECONDS", "implied"]

SPARSE_SECONDS = 300.0  # how often something that goes on failing is said again
GOOD_SECONDS = 0.02  # what a run took whose length is not kept
BAD_SECONDS = 0.05


def implied(check: Check, changes: Sequence[Transition], since: float, until: float, near: Sequence[Span]) -> Iterator[Ran]:
    """`changes` are of whether it answers at all, in order, the first perhaps from before `since`; `near` is when runs matter.

    A failing check is asked as often as it was then; where nothing changes near it, seldom.
    """
    if not changes or changes[0].wall > since:
        yield from _steady(check, Belief.OK, "", since, changes[0].since if changes else until, near)
    for before, change, following in _with_neighbours(changes):
        if change.wall >= since:
            yield from _becoming(check, before, change)
        ends = min(until, following.since if following is not None else until)
        yield from _steady(check, change.new, change.code, max(change.wall, since) + 0.001, ends, near, soft=not change.hard)


def _with_neighbours(changes: Sequence[Transition]) -> Iterator[tuple[Transition | None, Transition, Transition | None]]:
    yield from zip((None, *changes), changes, (*changes[1:], None), strict=False)


def _becoming(check: Check, before: Transition | None, change: Transition) -> Iterator[Ran]:
    """The runs that made this change, and no earlier one."""
    match change.new:
        case Belief.OK:
            if change.since < change.wall:
                yield _good(check, change.since)
            yield _good(check, change.wall)
        case Belief.UNKNOWN:
            for run in range(ERROR_RUNS if change.code != "stale" else 0):
                wall = change.wall - (ERROR_RUNS - 1 - run) * BAD_SECONDS
                yield _run(check, wall, Outcome.ERROR, change.code, change.detail, 0.001)
        case _:
            yield from _failing(check, before, change)


def _failing(check: Check, before: Transition | None, change: Transition) -> Iterator[Ran]:
    """Hard when enough runs failed over enough time: as many as were needed then, and the last one as long as it must have been."""
    soft_already = before is not None and before.new is Belief.CRIT and not before.hard
    if change.since < change.wall and not soft_already:
        yield _bad(check, change.since, change, BAD_SECONDS)
    if not change.hard:
        yield _bad(check, change.wall, change, BAD_SECONDS)
        return
    took = change.wall - change.since
    between = max(check.attempts - 2, 0)
    for number in range(1, between + 1 if took > 0 else 0):
        yield _bad(check, change.since + took * number / (between + 1), change, BAD_SECONDS)
    yield _bad(check, change.wall, change, max(BAD_SECONDS, check.hard_after_seconds - took + 0.002))


def _steady(
    check: Check, belief: Belief, code: str, since: float, until: float, near: Sequence[Span], *, soft: bool = False
) -> Iterator[Ran]:
    """What was asked while nothing changed."""
    if belief is Belief.UNKNOWN or soft:
        return
    spans = clipped(near, since, until)
    moments = [wall for begins, ends in spans for wall in _grid(begins, ends, check.interval_seconds)]
    if belief is not Belief.OK:
        moments = sorted([*moments, *(wall for wall in _grid(since, until, SPARSE_SECONDS) if not holds(spans, wall))])
    for wall in moments:
        if belief is Belief.OK:
            yield _good(check, wall)
        else:
            yield _run(check, wall, Outcome.FAILED, code, "", BAD_SECONDS)


def _grid(since: float, until: float, step: float) -> Iterator[float]:
    """From half a step on, and never at the very end, where the next thing happens."""
    number = 0.5
    while since + number * step < until - BAD_SECONDS:
        yield since + number * step
        number += 1.0


def _good(check: Check, wall: float) -> Ran:
    return _run(check, wall, Outcome.OK, "", "", GOOD_SECONDS)


def _bad(check: Check, wall: float, change: Transition, seconds: float) -> Ran:
    return _run(check, wall, Outcome.FAILED, change.code, change.detail, seconds)


def _run(check: Check, wall: float, outcome: Outcome, code: str, detail: str, seconds: float) -> Ran:
    return Ran(check=check.id, wall=wall, duration_seconds=seconds, outcome=outcome, code=code, detail=detail, single=True)
