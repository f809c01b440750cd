"""/metrics: what probes measured, what is believed, how netwatch itself is doing. Nobody else names prometheus_client.

Series of probes are kept by the labels they are exported with. A gauge is only exported while the last run of its check
gave it: an old value is not shown as a fresh one. Lines are joined in portions, between which the pings go on.
"""

from __future__ import annotations

import asyncio
import bisect
import itertools
import math
import platform
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest

from netwatch._metric_families import Family, Told, families, header, label_text, number
from netwatch.lang.writing import clean
from netwatch.model import Check, Metric, Outcome, Result, Sample
from netwatch.snapshot import Snapshot

__all__ = ["BUCKETS_SECONDS", "Metrics", "Overloaded"]

BUCKETS_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0)
LINES_AT_A_TIME = 100
MOST_SERIES = 50_000
MOST_WAITING = 8
LONGEST_INSTANCE = 100


class Overloaded(Exception):
    """Too many ask for /metrics at once."""


@dataclass(slots=True, eq=False)
class _Scalar:
    text: str  # its labels
    head: str
    kind: Literal["gauge", "counter"]
    value: float = 0.0
    users: int = 0

    def add(self, values: Iterable[float]) -> None:
        for value in values:
            if self.kind == "gauge":
                self.value = value
            elif math.isfinite(value) and value > 0:
                self.value += value

    def lines(self) -> Iterator[str]:
        yield f"{self.head}{number(self.value)}\n"


@dataclass(slots=True, eq=False)
class _Histogram:
    text: str
    heads: tuple[str, ...]  # a bucket each, the sum, the count
    kind: Literal["histogram"] = "histogram"
    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_SECONDS) + 1))
    total: float = 0.0
    users: int = 0

    def add(self, values: Iterable[float]) -> None:
        for value in values:
            if math.isfinite(value):
                self.counts[bisect.bisect_left(BUCKETS_SECONDS, value)] += 1
                self.total += value

    def lines(self) -> Iterator[str]:
        running = list(itertools.accumulate(self.counts))
        for head, value in zip(self.heads, (*running, self.total, running[-1]), strict=True):
            yield f"{head}{number(value)}\n"


_Series: TypeAlias = _Scalar | _Histogram


@dataclass(slots=True, eq=False)
class _Gathered:
    """One metric of the probes, with every series of it by label text."""

    name: str
    metric: Metric
    series: dict[str, _Series] = field(default_factory=dict)


class Metrics:
    def __init__(self, most_series: int = MOST_SERIES) -> None:
        self._most_series = most_series
        self._gathered: dict[str, _Gathered] = {}
        self._by_check: dict[str, dict[tuple[str, str], _Series]] = {}
        self._kinds: dict[str, tuple[object, Mapping[str, Metric]]] = {}
        self._runs: Counter[tuple[str, Outcome]] = Counter()
        self._durations: dict[str, _Histogram] = {}
        self._series_count = 0
        self._series_dropped = 0
        self._rendering = asyncio.Lock()
        self._rendered = 0
        self._waiting = 0
        self._body = b""
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def observe(self, check: Check, result: Result) -> None:
        """Takes in what a run measured. What it did not measure again is no longer shown."""
        self._runs[check.kind, result.outcome] += 1
        if check.kind not in self._durations:
            self._durations[check.kind] = _histogram("netwatch_check_duration_seconds", label_text({"kind": check.kind}))
        self._durations[check.kind].add((result.duration_seconds,))
        known = self._by_check.setdefault(check.id, {})
        fresh = {(sample.name, sample.instance) for sample in result.samples if sample.values}
        for key in [key for key, series in known.items() if series.kind == "gauge" and key not in fresh]:
            self._release(key[0], known.pop(key))
        for sample in result.samples:
            series = known.get((sample.name, sample.instance)) or self._enter(check, sample, known)
            if series is not None:
                series.add(sample.values)

    def forget(self, checks: Iterable[Check]) -> None:
        """The series of checks that are no more vanish with them."""
        for check in checks:
            self._kinds.pop(check.id, None)
            for (name, _), series in self._by_check.pop(check.id, {}).items():
                self._release(name, series)

    def _enter(self, check: Check, sample: Sample, known: dict[tuple[str, str], _Series]) -> _Series | None:
        metric = self._metric(check, sample.name)
        if metric is None or not sample.values:
            return None
        gathered = self._gathered.setdefault(sample.name, _Gathered(_exported_name(sample.name, metric), metric))
        text = label_text(_labels(check, sample, metric))
        series = gathered.series.get(text)
        if series is None:
            if self._series_count >= self._most_series or gathered.metric.kind != metric.kind:
                self._series_dropped += 1
                return None
            series = gathered.series[text] = _made(gathered, text)
            self._series_count += 1
        series.users += 1
        known[sample.name, sample.instance] = series
        return series

    def _release(self, name: str, series: _Series) -> None:
        series.users -= 1
        if series.users == 0:
            del self._gathered[name].series[series.text]
            self._series_count -= 1

    def _metric(self, check: Check, name: str) -> Metric | None:
        probe, kinds = self._kinds.get(check.id, (None, {}))
        if probe is not check.probe or name not in kinds:
            kinds = check.probe.metrics()
            self._kinds[check.id] = (check.probe, kinds)
        return kinds.get(name)

    async def render(
        self,
        snapshot: Snapshot,
        *,
        notifications: Mapping[tuple[str, str], int] | None = None,
        trials: Mapping[str, bool] | None = None,
        dead_man: bool | None = None,
        sse_clients: int | None = None,
        revision: str = "",
        more: Iterable[Family] = (),
    ) -> bytes:
        """The whole text. One at a time: who asks meanwhile gets the next one made. Raises Overloaded."""
        if self._waiting >= MOST_WAITING:
            raise Overloaded
        self._waiting += 1
        asked = self._rendered
        try:
            async with self._rendering:
                if self._rendered == asked:
                    told = Told(attempts=notifications or {}, trials=trials or {}, dead_man=dead_man)
                    own = families(snapshot, told, sse_clients, revision, platform.python_version())
                    self._body = await self._written((*own, *more))
                    self._rendered += 1
                return self._body
        finally:
            self._waiting -= 1

    async def _written(self, own: Iterable[Family]) -> bytes:
        parts: list[str] = []
        portions: list[bytes] = []
        for line in self._lines(own):
            parts.append(line)
            if len(parts) == LINES_AT_A_TIME:
                portions.append("".join(parts).encode())
                parts.clear()
                await asyncio.sleep(0)
        portions.append("".join(parts).encode())
        portions.append(generate_latest(self._registry))
        return b"".join(portions)

    def _lines(self, own: Iterable[Family]) -> Iterator[str]:
        for family in (*own, *self._own_counts()):
            yield from family.lines()
        yield header("netwatch_check_duration_seconds", "histogram", "How long runs took.")
        for durations in list(self._durations.values()):
            yield from durations.lines()
        for gathered in list(self._gathered.values()):
            series = list(gathered.series.values())
            if series:
                yield header(gathered.name, gathered.metric.kind, gathered.metric.help)
            for one in series:
                yield from one.lines()

    def _own_counts(self) -> Iterator[Family]:
        runs = [({"kind": kind, "outcome": outcome.value}, float(count)) for (kind, outcome), count in self._runs.items()]
        yield Family("netwatch_checks_total", "counter", "Runs of checks by how they ended.", runs)
        yield Family(
            "netwatch_series_dropped_total", "counter", "Series not exported: there are too many.", [({}, float(self._series_dropped))]
        )


def _exported_name(name: str, metric: Metric) -> str:
    suffix = "_total" if metric.kind == "counter" and not name.endswith("_total") else ""
    return f"netwatch_{name}{suffix}"


def _labels(check: Check, sample: Sample, metric: Metric) -> dict[str, str]:
    values = {"site": check.site, "target": check.target, "device": check.target, "check": check.name}
    labels: dict[str, str] = {name: values[name] for name in metric.labels}
    if metric.instance_label:
        labels[metric.instance_label] = clean(sample.instance, LONGEST_INSTANCE)
    return labels


def _made(gathered: _Gathered, text: str) -> _Series:
    kind = gathered.metric.kind
    return _histogram(gathered.name, text) if kind == "histogram" else _Scalar(text, f"{gathered.name}{text} ", kind)


def _histogram(name: str, text: str) -> _Histogram:
    inner = text[1:-1] + "," if text else ""
    buckets = (f'{name}_bucket{{{inner}le="{number(bound)}"}} ' for bound in (*BUCKETS_SECONDS, math.inf))
    return _Histogram(text, (*buckets, f"{name}_sum{text} ", f"{name}_count{text} "))
