"""What `_since` and `_until` read alike: lengths, and moments as machines write them. Pure."""

from __future__ import annotations

import datetime as dt
import re

from netwatch.lang import fold

__all__ = ["CLOCK", "NoMoment", "clock_time", "day_of", "length", "plain", "written"]

UNITS = {
    **dict.fromkeys(("s", "giay"), 1),
    **dict.fromkeys(("m", "min", "phut"), 60),
    **dict.fromkeys(("h", "gio"), 3_600),
    **dict.fromkeys(("d", "ngay"), 86_400),
    **dict.fromkeys(("w", "tuan"), 604_800),
}
LENGTH = re.compile(r"(?:\d{1,6} ?[a-z]+ ?)+", re.ASCII)
PART = re.compile(r"(\d{1,6}) ?([a-z]+)", re.ASCII)
CLOCK = re.compile(r"(\d{1,2})(?::(\d{2})(?::(\d{2}))?|h(\d{2})?)", re.ASCII)
DAY = re.compile(r"(\d{1,2})/(\d{1,2})(?:/(\d{4}))?", re.ASCII)
DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
LONGEST_DAYS = 3_660


class NoMoment(ValueError):
    """Nobody could tell which moment is meant."""


def plain(text: str) -> str:
    """Without marks, capitals and spaces that say nothing."""
    return " ".join(fold(text).lower().split())


def length(text: str) -> float | None:
    """Seconds of plain `45m`, `1d12h`, `2 gio 30 phut`; None for what is no length."""
    parts = PART.findall(text) if LENGTH.fullmatch(text) else []
    if not parts or any(unit not in UNITS for _, unit in parts):
        return None
    seconds = sum(int(count) * UNITS[unit] for count, unit in parts)
    return float(seconds) if 0 < seconds <= LONGEST_DAYS * 86_400 else None


def written(text: str, now: dt.datetime) -> dt.datetime | None:
    """RFC 3339, with or without its parts after the date; by the zone of `now` without an offset. Raises ValueError."""
    if not DATE.match(text):
        return None
    moment = dt.datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=now.tzinfo)


def clock_time(clock: re.Match[str], zone: dt.tzinfo | None) -> dt.time:
    """Of a match of CLOCK. Raises ValueError."""
    return dt.time(int(clock[1]), int(clock[2] or clock[4] or 0), int(clock[3] or 0), tzinfo=zone)


def day_of(text: str, today: dt.date, names: dict[str, int], *, past: bool) -> dt.date | None:
    """`names` are days from today; a day without its year is the nearest on that side. Raises ValueError."""
    if text in names:
        return today + dt.timedelta(days=names[text])
    found = DAY.fullmatch(text)
    if found is None:
        return None
    if found[3]:
        return dt.date(int(found[3]), int(found[2]), int(found[1]))
    this_year = dt.date(today.year, int(found[2]), int(found[1]))
    if past:
        return this_year if this_year <= today else this_year.replace(year=today.year - 1)
    return this_year if this_year >= today else this_year.replace(year=today.year + 1)
