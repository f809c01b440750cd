"""Moments to come as people write them after `--until` and `--from`, and lengths after `--for`. Pure."""

from __future__ import annotations

import datetime as dt
import re

from netwatch.cli._since import CLOCK, PART, UNITS, NoMoment
from netwatch.lang import fold

__all__ = ["NoMoment", "length_seconds", "until"]

LENGTH = re.compile(r"(?:\d{1,6} ?[a-z]+ ?)+", re.ASCII)
DAY = re.compile(r"(\d{1,2})/(\d{1,2})(?:/(\d{4}))?", re.ASCII)
DAYS = {"hom nay": 0, "today": 0, "ngay mai": 1, "mai": 1, "tomorrow": 1, "ngay kia": 2, "mot": 2}
LONGEST_DAYS = 3_660


def length_seconds(text: str) -> float:
    """Of `45m`, `1d12h`, `2 giờ 30 phút`. Raises NoMoment."""
    plain = " ".join(fold(text).lower().split())
    parts = PART.findall(plain) if LENGTH.fullmatch(plain) else []
    if not parts or any(unit not in UNITS for _, unit in parts):
        raise NoMoment(text)
    seconds = sum(int(count) * UNITS[unit] for count, unit in parts)
    if not 0 < seconds <= LONGEST_DAYS * 86_400:
        raise NoMoment(text)
    return float(seconds)


def until(text: str, now: dt.datetime) -> float:
    """Seconds since 1970 of `45m`, `16:30`, `mai 07:00`, `25/11 06:00`, `2026-11-25T08:00`.

    A clock alone is the next time it stands so. Without an offset it is by the zone of `now`. Raises NoMoment.
    """
    plain = " ".join(fold(text).lower().split())
    try:
        moment = _written(text.strip(), now) or _spoken(plain, now)
        return moment.timestamp() if moment else now.timestamp() + length_seconds(text)
    except (ValueError, OverflowError) as error:
        raise NoMoment(text) from error


def _written(text: str, now: dt.datetime) -> dt.datetime | None:
    if not re.match(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        return None
    moment = dt.datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=now.tzinfo)


def _spoken(plain: str, now: dt.datetime) -> dt.datetime | None:
    """A clock, and perhaps a day before or after it. `2h` is a length, `14h30` a clock; `14h` needs its day."""
    words = plain.replace(" luc ", " ").replace(" at ", " ").split()
    found = next(((word, clock) for word in words if (clock := CLOCK.fullmatch(word))), None)
    if found is None or (len(words) == 1 and found[0].endswith("h")) or (found[0].isdecimal() and len(words) == 1):
        return None
    word, clock = found
    time = dt.time(int(clock[1]), int(clock[2] or clock[4] or 0), int(clock[3] or 0), tzinfo=now.tzinfo)
    rest = list(words)
    rest.remove(word)
    if not rest:
        today = dt.datetime.combine(now.date(), time)
        return today if today > now else today + dt.timedelta(days=1)
    day = _day(" ".join(rest), now)
    return dt.datetime.combine(day, time) if day else None


def _day(text: str, now: dt.datetime) -> dt.date | None:
    if text in DAYS:
        return now.date() + dt.timedelta(days=DAYS[text])
    found = DAY.fullmatch(text)
    if found is None:
        return None
    if found[3]:
        return dt.date(int(found[3]), int(found[2]), int(found[1]))
    this_year = dt.date(now.year, int(found[2]), int(found[1]))
    return this_year if this_year >= now.date() else this_year.replace(year=now.year + 1)
