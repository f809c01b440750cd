"""Stretches of time. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

from netwatch.sla import Span, merged

__all__ = ["around", "clipped", "holds"]


def around(moments: Iterable[float], before: float, after: float) -> list[Span]:
    """The time near any of these moments, in order, none touching another."""
    return merged((moment - before, moment + after) for moment in moments)


def clipped(spans: Iterable[Span], since: float, until: float) -> tuple[Span, ...]:
    return tuple((max(begins, since), min(ends, until)) for begins, ends in spans if begins < until and ends > since)


def holds(spans: Sequence[Span], moment: float) -> bool:
    """Whether a moment is in one of the spans, which are in order and apart."""
    place = bisect_right(spans, (moment, float("inf")))
    return place > 0 and moment <= spans[place - 1][1]
