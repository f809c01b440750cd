"""When work is planned: once, or every week by local time. Pure."""

from __future__ import annotations

import datetime as dt

from netwatch.model import Maintenance

__all__ = ["next_occurrence", "occurrence", "occurrences"]

MINUTES_A_DAY = 1_440
DAYS_BACK = 8  # a window is a week long at most


def occurrence(planned: Maintenance, wall: float, zone: dt.tzinfo) -> tuple[float, float] | None:
    """From when to when the work is planned that is under way at `wall`; None when none is.

    Local days are counted in the zone, so a window at 22:00 begins at 22:00 on the day the clocks change too.
    """
    if planned.starts is not None and planned.ends is not None:
        return (planned.starts, planned.ends) if planned.starts <= wall < planned.ends else None
    today = dt.datetime.fromtimestamp(wall, zone).date()
    for back in range(DAYS_BACK):
        found = _on(planned, today - dt.timedelta(days=back), zone)
        if found is not None and found[0] <= wall < found[1]:
            return found
    return None


def next_occurrence(planned: Maintenance, wall: float, zone: dt.tzinfo) -> tuple[float, float] | None:
    """The one that is under way, else the next; None when all is over."""
    if planned.starts is not None and planned.ends is not None:
        return (planned.starts, planned.ends) if wall < planned.ends else None
    today = dt.datetime.fromtimestamp(wall, zone).date()
    days = (_on(planned, today + dt.timedelta(days=ahead), zone) for ahead in range(1 - DAYS_BACK, DAYS_BACK))
    return next((found for found in days if found is not None and wall < found[1]), None)


def occurrences(planned: Maintenance, since: float, until: float, zone: dt.tzinfo) -> list[tuple[float, float]]:
    """All that touch the time between two moments, whole."""
    if planned.starts is not None and planned.ends is not None:
        found: list[tuple[float, float] | None] = [(planned.starts, planned.ends)]
    else:
        first = dt.datetime.fromtimestamp(since, zone).date() - dt.timedelta(days=DAYS_BACK)
        days = (dt.datetime.fromtimestamp(until, zone).date() - first).days
        found = [_on(planned, first + dt.timedelta(days=day), zone) for day in range(days + 1)]
    return [span for span in found if span is not None and span[0] < until and since < span[1]]


def _on(planned: Maintenance, day: dt.date, zone: dt.tzinfo) -> tuple[float, float] | None:
    """The one that begins on that local day."""
    if day.weekday() not in planned.weekdays:
        return None
    begins = dt.datetime.combine(day, dt.time(planned.from_minute // 60, planned.from_minute % 60), zone).timestamp()
    return begins, begins + planned.minutes * 60
