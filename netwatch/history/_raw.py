"""The samples of a series, from both places where they lie: run by run, and hours that are over as one row each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from netwatch.history._codec import unpack
from netwatch.history._hours import HOUR_MS, unpack_hour
from netwatch.history._rollup import Run

__all__ = ["Ask", "reaches_back", "runs"]

Ask: TypeAlias = Callable[..., Sequence[Any]]  # SQL and its values; raises sqlite3.Error


def runs(ask: Ask, series: int, since_ms: int, until_ms: int) -> list[Run]:
    """Oldest first; `until_ms` is outside. Raises sqlite3.Error, Malformed."""
    # In this order: what the writer moves between the two questions is then found twice, and never missed.
    loose = ask("SELECT at_ms, value FROM sample WHERE series = ? AND at_ms >= ? AND at_ms < ? ORDER BY at_ms", series, since_ms, until_ms)
    hours = ask(
        "SELECT at * 1000, runs FROM sample_hour WHERE series = ? AND at > ? AND at < ? ORDER BY at",
        series,
        (since_ms - HOUR_MS) / 1000,
        until_ms / 1000,
    )
    found = {hour_ms + moment: values for hour_ms, stored in hours for moment, values in unpack_hour(stored).items()}
    found = {at_ms: values for at_ms, values in found.items() if since_ms <= at_ms < until_ms}
    late = {at_ms: unpack(value) for at_ms, value in loose}
    return [(at_ms / 1000, values) for at_ms, values in sorted((found | late).items())]


def reaches_back(ask: Ask, series: int, wall: float) -> bool:
    """Whether there are samples of that time, or older ones. Raises sqlite3.Error."""
    asked = (
        "SELECT EXISTS (SELECT 1 FROM sample_hour WHERE series = ?1 AND at <= ?2)"
        " OR EXISTS (SELECT 1 FROM sample WHERE series = ?1 AND at_ms <= ?2 * 1000)"
    )
    ((found,),) = ask(asked, series, wall)
    return bool(found)
