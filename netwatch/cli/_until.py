"""Moments to come as people write them after `--until` and `--from`, and lengths after `--for`. Pure."""

from __future__ import annotations

import datetime as dt

from netwatch.cli._moments import CLOCK, NoMoment, clock_time, day_of, length, plain, written

__all__ = ["NoMoment", "length_seconds", "until"]

DAYS = {"hom nay": 0, "today": 0, "ngay mai": 1, "mai": 1, "tomorrow": 1, "ngay kia": 2, "mot": 2}


def length_seconds(text: str) -> float:
    """Of `45m`, `1d12h`, `2 giờ 30 phút`. Raises NoMoment."""
    seconds = length(plain(text))
    if seconds is None:
        raise NoMoment(text)
    return seconds


def until(text: str, now: dt.datetime) -> float:
    """Seconds since 1970 of `45m`, `16:30`, `mai 07:00`, `25/11 06:00`, `2026-11-25T08:00`.

    A clock alone is the next time it stands so. Without an offset it is by the zone of `now`. Raises NoMoment.
    """
    try:
        moment = written(text.strip(), now) or _spoken(plain(text), now)
        return moment.timestamp() if moment else now.timestamp() + length_seconds(text)
    except (ValueError, OverflowError) as error:
        raise NoMoment(text) from error


def _spoken(text: str, now: dt.datetime) -> dt.datetime | None:
    """A clock, and perhaps a day before or after it. `2h` is a length, `14h30` a clock; `14h` needs its day."""
    words = text.replace(" luc ", " ").replace(" at ", " ").split()
    found = next(((word, clock) for word in words if (clock := CLOCK.fullmatch(word))), None)
    if found is None or (len(words) == 1 and found[0].endswith("h")):
        return None
    word, clock = found
    time = clock_time(clock, now.tzinfo)
    rest = list(words)
    rest.remove(word)
    if not rest:
        today = dt.datetime.combine(now.date(), time)
        return today if today > now else today + dt.timedelta(days=1)
    day = day_of(" ".join(rest), now.date(), DAYS, past=False)
    return dt.datetime.combine(day, time) if day else None
