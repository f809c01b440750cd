"""Stretches of time. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

from netwatch.replay._tape import Span

__all__ = ["around", "clipped", "holds", "merged"]


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """In order, none touching another."""
    found: list[Span] = []
    for begins, ends in sorted(spans):
        if found and begins <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], ends))
        elif ends > begins:
            found.append((begins, ends))
    return tuple(found)


def around(moments: Iterable[float], before: float, after: float) -> tuple[Span, ...]:
    return merged((moment - before, moment + after) for moment in moments)


def clipped(spans: Iterable[Span], since: float, until: float) -> tuple[Span, ...]:
    return tuple((max(begins, since), min(ends, until)) for begins, ends in spans if begins < until and ends > since)


def holds(spans: Sequence[Span], moment: float) -> bool:
    """Whether a moment is in one of the spans, which are in order and apart."""
    place = bisect_right(spans, (moment, float("inf")))
    return place > 0 and moment <= spans[place - 1][1]
