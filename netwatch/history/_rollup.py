"""Samples in a few figures: what a bucket of time keeps of them, as bytes and back. Pure.

A row of a level holds the buckets of one hour (or day) of one series as records one after another: a byte of shape and
place, the count, then as many float32 as the shape has. Buckets in a row that are constant and the same are one record
with their number after the count: a quiet hour, such as the errors of a good port, costs four bytes.
"""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from netwatch.history._codec import Malformed

__all__ = ["FIVE_MINUTES", "HOUR", "LEVELS", "ROLLED", "Level", "Run", "Summary", "decode", "encode", "merge", "summarize", "thin"]

ROLLED = frozenset({"smoke", "mean"})  # values of Metric.keep that leave buckets behind
HEAD = struct.Struct("<BH")
MOST_COUNTED = 0xFFFF
PLACE_BITS = 5
PLACES = 1 << PLACE_BITS
ZERO, CONSTANT, MEAN, SMOKE, ZEROS, CONSTANTS = range(6)
FLOATS = {ZERO: 0, CONSTANT: 1, MEAN: 2, SMOKE: 7, ZEROS: 0, CONSTANTS: 1}
OF_MANY = {ZERO: ZEROS, CONSTANT: CONSTANTS}
RECORDS = {shape: struct.Struct(f"<BH{'B' if shape in OF_MANY.values() else ''}{floats}f") for shape, floats in FLOATS.items()}

Run = tuple[float, tuple[float, ...]]  # wall seconds, values


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """Buckets of `bucket_seconds`, stored `row_seconds` to a row of `table`."""

    table: str
    bucket_seconds: int
    row_seconds: int
    kept_seconds: float


FIVE_MINUTES = Level(table="rollup_5m", bucket_seconds=300, row_seconds=3_600, kept_seconds=28 * 86_400.0)
HOUR = Level(table="rollup_1h", bucket_seconds=3_600, row_seconds=86_400, kept_seconds=2 * 366 * 86_400.0)
LEVELS = (FIVE_MINUTES, HOUR)


class Summary(NamedTuple):
    """What is kept of `counted` values. The quantiles are None where only mean and maximum are kept."""

    counted: int
    mean: float
    maximum: float
    minimum: float | None = None
    p10: float | None = None
    median: float | None = None
    p90: float | None = None
    p99: float | None = None


def summarize(values: Iterable[float], keep: str) -> Summary | None:
    """None when nothing finite was measured. Quantiles interpolate between neighbours, as in R's type 7."""
    found = sorted(value for value in values if math.isfinite(value))
    if not found:
        return None
    mean = min(max(math.fsum(value / len(found) for value in found), found[0]), found[-1])
    if keep != "smoke":
        return Summary(len(found), mean, found[-1])
    return Summary(len(found), mean, found[-1], found[0], *(_quantile(found, share) for share in (0.1, 0.5, 0.9, 0.99)))


def encode(buckets: Mapping[int, Summary]) -> bytes:
    """`buckets` by their place in the row, 0 to 31."""
    records = [(place, *_record(buckets[place])) for place in sorted(buckets)]
    # What is alike has the same distance between its place and its number, as long as nothing lies in between.
    runs = groupby(enumerate(records), key=lambda one: (one[1][0] - one[0] if one[1][1] in OF_MANY else one[1][0], *one[1][1:]))
    return b"".join(_written([record for _, record in found]) for _, found in runs)


def decode(records: bytes) -> dict[int, Summary]:
    """Raises Malformed for bytes that `encode` does not write."""
    found: dict[int, Summary] = {}
    at, end = 0, len(records)
    while at < end:
        shape, place = records[at] >> PLACE_BITS, records[at] % PLACES
        record = RECORDS.get(shape)
        if record is None or at + record.size > end:
            raise Malformed(f"a record of shape {shape} cut short")
        _, count, *figures = record.unpack_from(records, at)
        at += record.size
        if shape not in OF_MANY.values():
            found[place] = _summary(shape, count, figures)
            continue
        times, *figures = figures
        if place + times > PLACES:
            raise Malformed(f"{times} buckets from {place} on")
        found.update(dict.fromkeys(range(place, place + times), _summary(shape, count, figures)))
    return found


def merge(parts: Sequence[Summary]) -> Summary:
    """Several buckets as one. Count, mean and extremes are exact; a quantile is the mean of the parts' by count."""
    if len(parts) == 1:
        return parts[0]
    count = sum(part.counted for part in parts)
    mean, p10, median, p90, p99 = (
        _weighted([(part.counted, figure) for part, figure in zip(parts, column, strict=True)])
        for column in zip(*((part.mean, part.p10, part.median, part.p90, part.p99) for part in parts), strict=True)
    )
    lowest = [part.minimum for part in parts if part.minimum is not None]
    return Summary(
        count, mean or 0.0, max(part.maximum for part in parts), min(lowest) if len(lowest) == len(parts) else None, p10, median, p90, p99
    )


def thin(runs: Iterable[Run], bucket_seconds: float, keep: str) -> Iterator[tuple[float, Summary]]:
    """Runs in order of time as (start of bucket, summary); buckets begin at multiples of their length since 1970."""
    for bucket, found in groupby(runs, key=lambda run: run[0] // bucket_seconds):
        summary = summarize((value for _, values in found for value in values), keep)
        if summary is not None:
            yield bucket * bucket_seconds, summary


def _record(summary: Summary) -> tuple[int, int, bytes]:
    """Shape, count, figures."""
    smoke = (summary.minimum, summary.p10, summary.median, summary.p90, summary.p99)
    floats = [summary.mean, summary.maximum]
    shape = MEAN
    if summary.minimum is not None:
        shape = SMOKE
        floats += [figure for figure in smoke if figure is not None]
    packed = array("f", floats)
    # A constant says all there is to say of quantiles as well; whether there were any is lost with it, and not missed.
    if packed.count(packed[0]) == len(packed):
        shape, packed = (CONSTANT, packed[:1]) if packed[0] else (ZERO, packed[:0])
    return shape, min(summary.counted, MOST_COUNTED), packed.tobytes()


def _written(alike: Sequence[tuple[int, int, int, bytes]]) -> bytes:
    place, shape, count, figures = alike[0]
    if len(alike) == 1:
        return HEAD.pack(shape << PLACE_BITS | place, count) + figures
    return HEAD.pack(OF_MANY[shape] << PLACE_BITS | place, count) + bytes((len(alike),)) + figures


def _summary(shape: int, count: int, floats: Sequence[float]) -> Summary:
    if shape in {MEAN, SMOKE}:
        return Summary(count, *floats)
    value = floats[0] if floats else 0.0
    return Summary(count, value, value, value, value, value, value, value)


def _quantile(ordered: Sequence[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _weighted(parts: Sequence[tuple[int, float | None]]) -> float | None:
    known = [(count, figure) for count, figure in parts if figure is not None]
    weight = sum(count for count, _ in known)
    if len(known) < len(parts) or not weight:
        return None
    return math.fsum(count / weight * figure for count, figure in known)
