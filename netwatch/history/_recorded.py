"""What a replay must know before it reads the samples themselves: what there is, and how far back it goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from netwatch.history._raw import Ask
from netwatch.history._samples import OUTCOME_METRIC
from netwatch.history._upkeep import RAW_KEPT_SECONDS
from netwatch.sla import Span

__all__ = ["Recorded", "recorded", "settled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Wall times; None where there is nothing. From `runs_since` on every bad run is there, and every change of how runs ended."""

    series: frozenset[tuple[str, str, str, str]]  # check id, metric, instance, Metric.keep
    runs_since: float | None
    transitions_since: float | None
    last_wall: float | None
    watched: tuple[Span, ...]


def recorded(ask: Ask) -> Recorded:
    """Raises sqlite3.Error."""
    ((first,),) = ask("SELECT min(wall) FROM transition")
    alive = ask("SELECT value FROM meta WHERE key = 'last_wall'")
    last_wall = float(alive[0][0]) if alive else None
    oldest = _oldest_run(ask)
    if oldest is not None and last_wall is not None:
        oldest = max(oldest, last_wall - RAW_KEPT_SECONDS)  # what is older goes series by series
    return Recorded(
        series=frozenset(tuple(row) for row in ask("SELECT check_id, metric, instance, keep FROM series")),
        runs_since=oldest,
        transitions_since=first,
        last_wall=last_wall,
        watched=tuple(tuple(row) for row in ask("SELECT began, ended FROM life ORDER BY began")),
    )


def _oldest_run(ask: Ask) -> float | None:
    """The first moment of which any check's runs are known."""
    of_series = "FROM series WHERE metric = ?"
    ((loose, hour),) = ask(
        "SELECT min((SELECT min(at_ms) FROM sample WHERE series = series.id)),"  # noqa: S608  # constants
        f" min((SELECT min(at) FROM sample_hour WHERE series = series.id)) {of_series}",
        OUTCOME_METRIC,
    )
    found = [*([loose / 1000] if loose is not None else []), *([float(hour)] if hour is not None else [])]
    return min(found, default=None)


def settled(ask: Ask, wall: float) -> Sequence[Any]:
    """The last transition of each subject before then. Raises sqlite3.Error."""
    return ask(
        "SELECT check_id, rule, instance, old, new, hard, wall, since, code, detail FROM transition"
        " WHERE id IN (SELECT max(id) FROM transition WHERE wall < ? GROUP BY check_id, rule, instance) ORDER BY id",
        wall,
    )
