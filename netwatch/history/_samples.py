"""Samples between the probes and the disk: bounded, and nobody waits. How runs ended is kept beside them, thinned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from netwatch.history._codec import pack, storable
from netwatch.history._writer import Statement
from netwatch.model import Outcome, Sample

__all__ = ["OUTCOMES", "OUTCOME_METRIC", "Batch", "SampleBuffer", "SeriesName"]

SeriesName: TypeAlias = tuple[str, str, str]  # check id, metric, instance
OUTCOME_METRIC = ""  # values: how it ended (place in OUTCOMES), duration in seconds
OUTCOMES = tuple(Outcome)
OUTCOME_CODES = {outcome.value: float(code) for code, outcome in enumerate(OUTCOMES)}
OUTCOME_EVERY_SECONDS = 300.0  # a run that ended as the one before is kept this often; a bad one always


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction stores; hand it back to `stored` once it is."""

    rows: int
    new_series: Mapping[SeriesName, int]
    statements: tuple[Statement, ...]


class SampleBuffer:
    """Used from the event loop only."""

    def __init__(self, limit: int, series: Mapping[SeriesName, int]) -> None:
        self._limit = limit
        self._series = dict(series)
        self._newest_series = max(self._series.values(), default=0)
        self._waiting: list[tuple[SeriesName, int, float | bytes | None]] = []
        self._last_outcomes: dict[str, tuple[str, float]] = {}
        self.dropped = 0

    @property
    def newest_series(self) -> int:
        """Series are numbered from 1 without gaps."""
        return self._newest_series

    def add(self, check_id: str, wall: float, outcome: str, duration_seconds: float, samples: Sequence[Sample]) -> None:
        """Raises ValueError for an outcome there is not."""
        if outcome not in OUTCOME_CODES:
            raise ValueError(f"outcome {outcome!r}")
        check_id = storable(check_id)
        at_ms = round(wall * 1000)
        if self._worth_keeping(check_id, wall, outcome) and self._append(
            (check_id, OUTCOME_METRIC, ""), at_ms, (OUTCOME_CODES[outcome], duration_seconds)
        ):
            self._last_outcomes[check_id] = (outcome, wall)
        for sample in samples:
            self._append((check_id, storable(sample.name), storable(sample.instance)), at_ms, sample.values)

    def batch(self) -> Batch:
        """Everything that waits; it goes on waiting until `stored`."""
        new: dict[SeriesName, int] = {}
        rows: list[tuple[int, int, float | bytes | None]] = []
        for name, at_ms, value in self._waiting:
            number = self._series.get(name) or new.get(name)
            if number is None:
                number = new[name] = self._newest_series + len(new) + 1
            rows.append((number, at_ms, value))
        statements: list[Statement] = []
        if new:
            statements.append(
                (
                    "INSERT OR REPLACE INTO series (id, check_id, metric, instance) VALUES (?, ?, ?, ?)",
                    [(number, *name) for name, number in new.items()],
                )
            )
        if rows:
            statements.append(("INSERT OR REPLACE INTO sample (series, at_ms, value) VALUES (?, ?, ?)", rows))
        return Batch(len(rows), new, tuple(statements))

    def stored(self, batch: Batch) -> None:
        del self._waiting[: batch.rows]
        self._series.update(batch.new_series)
        self._newest_series += len(batch.new_series)

    def _worth_keeping(self, check_id: str, wall: float, outcome: str) -> bool:
        last_outcome, last_wall = self._last_outcomes.get(check_id, ("", 0.0))
        return outcome != Outcome.OK or outcome != last_outcome or not 0 <= wall - last_wall < OUTCOME_EVERY_SECONDS

    def _append(self, name: SeriesName, at_ms: int, values: tuple[float, ...]) -> bool:
        if len(self._waiting) >= self._limit:
            self.dropped += 1
            return False
        self._waiting.append((name, at_ms, pack(values)))
        return True
