"""What a chart shows: the level that gives about as many points as were asked for, and the newest minutes from the samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, NamedTuple, TypeAlias

from netwatch.history._codec import unpack
from netwatch.history._raw import Ask, reaches_back, runs
from netwatch.history._rollup import FIVE_MINUTES, HOUR, Level, Run, Summary, decode, merge, summarize, thin

__all__ = ["MOST_POINTS", "Point", "Series", "level_for", "series"]

MOST_POINTS = 5_000
RAW_FROM_SECONDS = 150.0  # buckets of five minutes give at least half the points of a finer chart
HOUR_FROM_SECONDS = 1_800.0

LevelName: TypeAlias = Literal["raw", "5m", "1h", "change"]


class Point(NamedTuple):
    """What was measured from `wall` on, for `seconds`; 0 for a single run or a change, which holds until the next."""

    wall: float
    seconds: float
    summary: Summary


@dataclass(frozen=True, slots=True)
class Series:
    """`level` says where the points come from; where nothing was measured there is none."""

    level: LevelName
    points: tuple[Point, ...]


def level_for(seconds_a_point: float) -> Level | None:
    """None means the samples themselves."""
    if seconds_a_point >= HOUR_FROM_SECONDS:
        return HOUR
    return FIVE_MINUTES if seconds_a_point >= RAW_FROM_SECONDS else None


def series(ask: Ask, name: tuple[str, str, str], since: float, until: float, points: int) -> Series:
    """`since` belongs to it, `until` does not. Raises sqlite3.Error, Malformed."""
    found = ask("SELECT id, keep FROM series WHERE check_id = ? AND metric = ? AND instance = ?", *name)
    if not found or until <= since:
        return Series("raw", ())
    ((number, keep),) = found
    if keep == "change":
        return Series("change", tuple(_changes(ask, number, since, until)))
    seconds_a_point = (until - since) / min(max(points, 1), MOST_POINTS)
    level = level_for(seconds_a_point)
    if level is None and reaches_back(ask, number, since):
        return Series("raw", tuple(_drawn(runs(ask, number, round(since * 1000), round(until * 1000)), seconds_a_point, keep)))
    level = level or FIVE_MINUTES
    if level is FIVE_MINUTES and not ask("SELECT 1 FROM rollup_5m WHERE series = ? AND at <= ? LIMIT 1", number, since):
        level = _coarser_if_longer(ask, number)
    return Series("1h" if level is HOUR else "5m", tuple(_rolled(ask, number, level, since, until, seconds_a_point, keep)))


def _coarser_if_longer(ask: Ask, number: int) -> Level:
    """Five minutes do not reach back as far as was asked: hours are better if they reach further."""
    ((fine,),) = ask("SELECT min(at) FROM rollup_5m WHERE series = ?", number)
    days = ask("SELECT at, records FROM rollup_1h WHERE series = ? ORDER BY at LIMIT 1", number)
    hours = [day + place * HOUR.bucket_seconds for day, records in days for place in decode(records)]
    return HOUR if hours and (fine is None or min(hours) < fine) else FIVE_MINUTES


def _rolled(ask: Ask, number: int, level: Level, since: float, until: float, seconds_a_point: float, keep: str) -> list[Point]:
    rows = ask(
        f"SELECT at, records FROM {level.table} WHERE series = ? AND at > ? AND at < ? ORDER BY at",  # noqa: S608  # Level.table
        number,
        since - level.row_seconds,
        until,
    )
    buckets = [(at + place * level.bucket_seconds, summary) for at, records in rows for place, summary in decode(records).items()]
    reached = buckets[-1][0] + level.bucket_seconds if buckets else since
    first = since // level.bucket_seconds * level.bucket_seconds
    newest = runs(ask, number, round(max(reached, first) * 1000), round(until * 1000))
    buckets += list(thin(newest, level.bucket_seconds, keep))
    shown = [(start, summary) for start, summary in buckets if first <= start < until]
    return list(_grouped(shown, level.bucket_seconds, max(1, round(seconds_a_point / level.bucket_seconds))))


def _grouped(buckets: Iterable[tuple[float, Summary]], bucket_seconds: float, together: int) -> Iterator[Point]:
    if together == 1:
        yield from (Point(start, bucket_seconds, summary) for start, summary in buckets)
        return
    width = bucket_seconds * together
    for start, found in groupby(buckets, key=lambda bucket: bucket[0] // width):
        yield Point(start * width, width, merge([summary for _, summary in found]))


def _drawn(found: Sequence[Run], seconds_a_point: float, keep: str) -> Iterator[Point]:
    """Runs as they are while they are few enough, else in buckets."""
    if len(found) < 2 or (found[-1][0] - found[0][0]) / (len(found) - 1) >= seconds_a_point:
        for wall, values in found:
            summary = summarize(values, keep)
            if summary is not None:
                yield Point(wall, 0.0, summary)
        return
    for start, summary in thin(found, seconds_a_point, keep):
        yield Point(start, seconds_a_point, summary)


def _changes(ask: Ask, number: int, since: float, until: float) -> list[Point]:
    """The value that held at `since` comes first, dated then."""
    before = ask("SELECT value FROM change WHERE series = ? AND at_ms <= ? ORDER BY at_ms DESC LIMIT 1", number, since * 1000)
    rows = ask(
        "SELECT at_ms, value FROM change WHERE series = ? AND at_ms > ? AND at_ms < ? ORDER BY at_ms", number, since * 1000, until * 1000
    )
    held = [*((since, unpack(value)) for (value,) in before), *((at_ms / 1000, unpack(value)) for at_ms, value in rows)]
    return [Point(wall, 0.0, summary) for wall, values in held if (summary := summarize(values, "change")) is not None]
