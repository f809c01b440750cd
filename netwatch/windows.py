"""When work is planned: once, or every week by local time. Pure."""

from __future__ import annotations

import datetime as dt

from netwatch.model import Maintenance

__all__ = ["occurrence"]

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
        day = today - dt.timedelta(days=back)
        if day.weekday() not in planned.weekdays:
            continue
        begins = dt.datetime.combine(day, dt.time(planned.from_minute // 60, planned.from_minute % 60), zone).timestamp()
        if begins <= wall < begins + planned.minutes * 60:
            return begins, begins + planned.minutes * 60
    return None
