"""Days and times as `duty:` writes them."""

from __future__ import annotations

import datetime as dt
import re
from zoneinfo import ZoneInfo

from netwatch._duties import HOLIDAY, WEEKDAYS, Holiday
from netwatch.inventory._collect import Collector, Where, shown
from netwatch.inventory._duty_schema import HolidayEntry

__all__ = ["clock", "day", "days", "holiday", "moment"]

YEARLY = re.compile(r"([0-9]{2})-([0-9]{2})")
CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
MOMENT = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}) ((?:[01][0-9]|2[0-3]):[0-5][0-9])")
FIRST_YEAR, LAST_YEAR = 2000, 2100  # far from where the calendar of Python, or the lunar one, ends


def clock(text: str, where: Where, collector: Collector) -> int | None:
    """The minute of the day of a `07:30`."""
    found = CLOCK.fullmatch(text)
    if found is None:
        collector.error(where, "clock_shape", value=shown(text))
        return None
    return int(found[1]) * 60 + int(found[2])


def day(text: str, where: Where, collector: Collector) -> dt.date | None:
    found = _day(text)
    if found is None:
        collector.error(where, "duty_day_shape", value=shown(text))
    return found


def _day(text: str) -> dt.date | None:
    try:
        found = dt.date.fromisoformat(text) if DAY.fullmatch(text) else None
    except ValueError:
        return None
    return found if found is not None and FIRST_YEAR <= found.year <= LAST_YEAR else None


def moment(text: str, zone: ZoneInfo, where: Where, collector: Collector, *, last: bool = False) -> float | None:
    """The wall time of `2026-12-01 07:30`, or of the beginning of a day; with `last` of its end."""
    written = MOMENT.fullmatch(text)
    found = _day(written[1] if written else text)
    if found is None:
        collector.error(where, "duty_moment_shape", value=shown(text))
        return None
    if written is not None:
        return dt.datetime.combine(found, dt.time.fromisoformat(written[2]), zone).timestamp()
    return dt.datetime.combine(found + dt.timedelta(days=int(last)), dt.time(), zone).timestamp()


def days(text: str, holidays: frozenset[str], where: Where, collector: Collector) -> frozenset[str] | None:
    """Weekdays, `daily`, `holiday`, or the ids of holidays."""
    names = {name.strip() for name in text.lower().split(",")}
    found = {one for name in names for one in ((*WEEKDAYS, HOLIDAY) if name == "daily" else (name,))}
    if not found <= {*WEEKDAYS, HOLIDAY, *holidays}:
        collector.error(where, "duty_days_shape", value=shown(text))
        return None
    return frozenset(found)


def holiday(name: str, entry: HolidayEntry, where: Where, collector: Collector) -> Holiday | None:
    document, path = where
    if name in {*WEEKDAYS, HOLIDAY, "daily"}:
        collector.error(where, "duty_holiday_name", at_key=True, word=shown(name))
        return None
    written = entry.date or entry.lunar
    if written is None or (entry.date is None) == (entry.lunar is None):
        collector.error(where, "duty_holiday_when")
        return None
    yearly = YEARLY.fullmatch(written)
    once = _day(written) if entry.date else None
    month, of_month = (int(yearly[1]), int(yearly[2])) if yearly else (once.month, once.day) if once else (0, 0)
    longest = 30 if entry.lunar else 29 if month == 2 else 30 if month in {4, 6, 9, 11} else 31
    if not (1 <= month <= 12 and 1 <= of_month <= longest):
        collector.error((document, (*path, "date" if entry.date else "lunar")), "duty_holiday_shape", value=shown(written))
        return None
    return Holiday(
        id=name,
        month=month,
        day=of_month,
        year=once.year if once else None,
        lunar=entry.lunar is not None,
        before=entry.before,
        after=entry.after,
    )
