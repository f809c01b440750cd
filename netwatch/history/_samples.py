"""Samples between the probes and the disk: bounded, and nobody waits. How runs ended is kept beside them, thinned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from netwatch.history._codec import pack, storable
from netwatch.history._writer import Statement
from netwatch.model import Metric, Outcome, Sample

__all__ = ["NOTHING_KNOWN", "OUTCOMES", "OUTCOME_METRIC", "Batch", "Kinds", "Known", "SampleBuffer", "SeriesName"]

SeriesName: TypeAlias = tuple[str, str, str]  # check id, metric, instance
Stored: TypeAlias = float | bytes | None
Kinds: TypeAlias = Mapping[str, Metric]  # what a probe can measure, by the name of the sample
OUTCOME_METRIC = ""  # values: how it ended (place in OUTCOMES), duration in seconds
OUTCOMES = tuple(Outcome)
OUTCOME_CODES = {outcome.value: float(code) for code, outcome in enumerate(OUTCOMES)}
OUTCOME_EVERY_SECONDS = 300.0  # a run that ended as the one before is kept this often; a bad one always
UNSAID = ""  # nobody said how it is to be kept: raw, without a roll-up
CHANGES = "change"
NEVER = "none"


@dataclass(frozen=True, slots=True)
class Known:
    """What the file knows of its series: number and keep by name, and the last value of those kept as changes by number."""

    series: Mapping[SeriesName, tuple[int, str]]
    last_changes: Mapping[int, Stored]


NOTHING_KNOWN = Known({}, {})


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction stores; hand it back to `stored` once it is."""

    rows: int
    series: Mapping[SeriesName, tuple[int, str]]  # new, or kept in another way than before
    statements: tuple[Statement, ...]


class SampleBuffer:
    """Used from the event loop only."""

    def __init__(self, limit: int, known: Known) -> None:
        self._limit = limit
        self._series = dict(known.series)
        self._keeps: dict[int, str] = dict(self._series.values())  # the same by number: asked for twice a second
        self._newest_series = max((number for number, _ in self._series.values()), default=0)
        self._waiting: list[tuple[SeriesName, int, Stored, str]] = []
        self._last_changes = {
            name: known.last_changes[number] for name, (number, _) in self._series.items() if number in known.last_changes
        }
        self._last_outcomes: dict[str, tuple[str, float]] = {}
        self.dropped = 0

    @property
    def newest_series(self) -> int:
        """Series are numbered from 1 without gaps."""
        return self._newest_series

    def keeps(self) -> Mapping[int, str]:
        """How each series on the disk is kept, by its number."""
        return self._keeps

    def add(
        self, check_id: str, wall: float, outcome: str, duration_seconds: float, samples: Sequence[Sample], kinds: Kinds | None = None
    ) -> None:
        """Raises ValueError for an outcome there is not."""
        if outcome not in OUTCOME_CODES:
            raise ValueError(f"outcome {outcome!r}")
        check_id = storable(check_id)
        at_ms = round(wall * 1000)
        if self._worth_keeping(check_id, wall, outcome) and self._append(
            (check_id, OUTCOME_METRIC, ""), at_ms, pack((OUTCOME_CODES[outcome], duration_seconds)), UNSAID
        ):
            self._last_outcomes[check_id] = (outcome, wall)
        for sample in samples:
            keep = _keep(kinds, sample.name)
            if keep == NEVER:
                continue
            name = (check_id, storable(sample.name), storable(sample.instance))
            value = pack(sample.values)
            if keep != CHANGES:
                self._append(name, at_ms, value, keep)
            elif (name not in self._last_changes or self._last_changes[name] != value) and self._append(name, at_ms, value, keep):
                self._last_changes[name] = value

    def rename(self, old: str, new: str) -> None:
        """Check ids that began with `old` begin with `new` from now on, unless that name is taken already."""

        def renamed(check_id: str) -> str:
            return new + check_id.removeprefix(old) if check_id.startswith(old) else check_id

        self._waiting = [((renamed(name[0]), *name[1:]), at_ms, value, keep) for name, at_ms, value, keep in self._waiting]
        for name in [name for name in self._series if name[0].startswith(old)]:
            target = (renamed(name[0]), *name[1:])
            if target not in self._series:
                self._series[target] = self._series.pop(name)
                if name in self._last_changes:
                    self._last_changes[target] = self._last_changes.pop(name)

    def batch(self) -> Batch:
        """Everything that waits; it goes on waiting until `stored`."""
        told: dict[SeriesName, tuple[int, str]] = {}
        newest = self._newest_series
        samples: list[tuple[int, int, Stored]] = []
        changes: list[tuple[int, int, Stored]] = []
        for name, at_ms, value, keep in self._waiting:
            number, kept = told.get(name) or self._series.get(name) or (0, UNSAID)
            if not number:
                number = newest = newest + 1
                told[name] = (number, keep)
            elif keep not in {kept, UNSAID}:
                told[name] = (number, keep)
            (changes if keep == CHANGES else samples).append((number, at_ms, value))
        statements = (
            (
                "INSERT OR REPLACE INTO series (id, check_id, metric, instance, keep) VALUES (?, ?, ?, ?, ?)",
                [(number, *name, keep) for name, (number, keep) in told.items()],
            ),
            ("INSERT OR REPLACE INTO sample (series, at_ms, value) VALUES (?, ?, ?)", samples),
            ("INSERT OR REPLACE INTO change (series, at_ms, value) VALUES (?, ?, ?)", changes),
        )
        return Batch(len(self._waiting), told, tuple(statement for statement in statements if statement[1]))

    def stored(self, batch: Batch) -> None:
        del self._waiting[: batch.rows]
        self._series.update(batch.series)
        self._keeps.update(batch.series.values())
        self._newest_series = max([self._newest_series, *(number for number, _ in batch.series.values())])

    def _worth_keeping(self, check_id: str, wall: float, outcome: str) -> bool:
        last_outcome, last_wall = self._last_outcomes.get(check_id, ("", 0.0))
        return outcome != Outcome.OK or outcome != last_outcome or not 0 <= wall - last_wall < OUTCOME_EVERY_SECONDS

    def _append(self, name: SeriesName, at_ms: int, value: Stored, keep: str) -> bool:
        if len(self._waiting) >= self._limit:
            self.dropped += 1
            return False
        self._waiting.append((name, at_ms, value, keep))
        return True


def _keep(kinds: Kinds | None, name: str) -> str:
    if kinds is None:
        return UNSAID
    metric = kinds.get(name)
    return NEVER if metric is None else metric.keep
