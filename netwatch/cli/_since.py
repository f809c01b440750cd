"""Moments as people write them after `--since`. Pure: the present comes in as an argument."""

from __future__ import annotations

import datetime as dt

from netwatch.cli._moments import CLOCK, NoMoment, clock_time, day_of, length, plain, written

__all__ = ["NoMoment", "since"]

DAYS = {"hom nay": 0, "today": 0, "hom qua": -1, "yesterday": -1, "hom kia": -2}


def since(text: str, now: dt.datetime) -> float:
    """Seconds since 1970 of `8h`, `1d12h`, `2026-11-24T02:00`, `02:00`, `hôm qua 22:00`, `24/11 22:00`.

    A clock alone is the last time it stood so. Without an offset it is by the zone of `now`. Raises NoMoment.
    """
    try:
        moment = _age(plain(text), now) or written(text.strip(), now) or _spoken(plain(text), now)
        if moment is None:
            raise NoMoment(text)
        return moment.timestamp()
    except (ValueError, OverflowError) as error:
        raise NoMoment(text) from error


def _age(text: str, now: dt.datetime) -> dt.datetime | None:
    seconds = length(text.removesuffix("truoc").removesuffix("ago"))
    return None if seconds is None else now - dt.timedelta(seconds=seconds)


def _spoken(text: str, now: dt.datetime) -> dt.datetime | None:
    """A day and a clock, in either order; each may be missing."""
    words = text.replace(" luc ", " ").replace(" at ", " ")
    clock = next((found for word in words.split() if (found := CLOCK.fullmatch(word))), None)
    day_text = " ".join(word for word in words.split() if clock is None or word != clock[0])
    time = clock_time(clock, now.tzinfo) if clock else None
    if not day_text:
        if time is None:
            return None
        today = dt.datetime.combine(now.date(), time)
        return today if today <= now else today - dt.timedelta(days=1)
    day = day_of(day_text, now.date(), DAYS, past=True)
    return dt.datetime.combine(day, time or dt.time(tzinfo=now.tzinfo)) if day else None
