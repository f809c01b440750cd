"""Moments as people write them after `--since`. Pure: the present comes in as an argument."""

from __future__ import annotations

import datetime as dt
import re

from netwatch.lang import fold

__all__ = ["NoMoment", "since"]

UNITS = {
    **dict.fromkeys(("s", "giay"), 1),
    **dict.fromkeys(("m", "min", "phut"), 60),
    **dict.fromkeys(("h", "gio"), 3_600),
    **dict.fromkeys(("d", "ngay"), 86_400),
    **dict.fromkeys(("w", "tuan"), 604_800),
}
AGE = re.compile(r"(?:\d{1,6} ?[a-z]+ ?)+(?:truoc|ago)?", re.ASCII)
PART = re.compile(r"(\d{1,6}) ?([a-z]+)", re.ASCII)
CLOCK = re.compile(r"(\d{1,2})(?::(\d{2})(?::(\d{2}))?|h(\d{2})?)", re.ASCII)
DAY = re.compile(r"(\d{1,2})/(\d{1,2})(?:/(\d{4}))?", re.ASCII)
DAYS = {"hom nay": 0, "today": 0, "hom qua": 1, "yesterday": 1, "hom kia": 2}
LONGEST_DAYS = 3_660


class NoMoment(ValueError):
    """Nobody could tell which moment is meant."""


def since(text: str, now: dt.datetime) -> float:
    """Seconds since 1970 of `8h`, `1d12h`, `2026-11-24T02:00`, `02:00`, `hôm qua 22:00`, `24/11 22:00`.

    A clock alone is the last time it stood so. Without an offset it is by the zone of `now`. Raises NoMoment.
    """
    plain = " ".join(fold(text).lower().split())
    try:
        moment = _age(plain, now) or _written(text.strip(), now) or _spoken(plain, now)
        if moment is None:
            raise NoMoment(text)
        return moment.timestamp()
    except (ValueError, OverflowError) as error:
        raise NoMoment(text) from error


def _age(plain: str, now: dt.datetime) -> dt.datetime | None:
    if not AGE.fullmatch(plain):
        return None
    parts = PART.findall(plain.removesuffix("truoc").removesuffix("ago"))
    if not parts or any(unit not in UNITS for _, unit in parts):
        return None
    seconds = sum(int(count) * UNITS[unit] for count, unit in parts)
    return now - dt.timedelta(seconds=seconds) if 0 < seconds <= LONGEST_DAYS * 86_400 else None


def _written(text: str, now: dt.datetime) -> dt.datetime | None:
    """RFC 3339, with or without its parts after the date."""
    if not re.match(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        return None
    moment = dt.datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=now.tzinfo)


def _spoken(plain: str, now: dt.datetime) -> dt.datetime | None:
    """A day and a clock, in either order; each may be missing."""
    words = plain.replace(" luc ", " ").replace(" at ", " ")
    clock = next((found for word in words.split() if (found := CLOCK.fullmatch(word))), None)
    day_text = " ".join(word for word in words.split() if clock is None or word != clock[0])
    time = dt.time(int(clock[1]), int(clock[2] or clock[4] or 0), int(clock[3] or 0), tzinfo=now.tzinfo) if clock else None
    if not day_text:
        if time is None:
            return None
        today = dt.datetime.combine(now.date(), time)
        return today if today <= now else today - dt.timedelta(days=1)
    day = _day(day_text, now)
    return dt.datetime.combine(day, time or dt.time(tzinfo=now.tzinfo)) if day else None


def _day(text: str, now: dt.datetime) -> dt.date | None:
    if text in DAYS:
        return now.date() - dt.timedelta(days=DAYS[text])
    found = DAY.fullmatch(text)
    if found is None:
        return None
    if found[3]:
        return dt.date(int(found[3]), int(found[2]), int(found[1]))
    this_year = dt.date(now.year, int(found[2]), int(found[1]))
    return this_year if this_year <= now.date() else this_year.replace(year=now.year - 1)
