"""Meetings out of iCalendar files (RFC 5545): which there are between two moments, repetitions, exceptions and time zones resolved."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from netwatch.lang.writing import clean

__all__ = ["BadCalendar", "Held", "held_in"]

MOST_BYTES = 5_000_000
MOST_MEETINGS = 500  # as many as an inventory holds
LONGEST_NAME = 80
UNNAMED = "?"
ENDLESS = re.compile(rb"FREQ=(SECOND|MINUTE|HOUR)LY|BY(SECOND|MINUTE|HOUR)=", re.IGNORECASE)  # a month of it would be millions
FOLDED = re.compile(rb"\r?\n[ \t]")  # RFC 5545 section 3.1


class BadCalendar(ValueError):
    """What was read is no calendar; the message says why."""


@dataclass(frozen=True, slots=True)
class Held:
    """A meeting on a day, by the local clock of the inventory."""

    name: str
    begins: dt.datetime
    until: dt.datetime


def held_in(path: Path, since: dt.datetime, until: dt.datetime, zone: ZoneInfo) -> list[Held]:
    """The first to begin first; what lasts whole days is no meeting. Raises BadCalendar, OSError, and ImportError without the extra `calendar`."""
    import recurring_ical_events  # type: ignore[import-untyped]  # noqa: PLC0415  # an extra, and slow to load
    from icalendar import Calendar  # noqa: PLC0415

    content = path.read_bytes()
    if len(content) > MOST_BYTES:
        raise BadCalendar(f"more than {MOST_BYTES} bytes")
    if ENDLESS.search(FOLDED.sub(b"", content)):
        raise BadCalendar("repeats within a day")
    try:
        calendar = Calendar.from_ical(content)
        found = recurring_ical_events.of(calendar, skip_bad_series=True).between(since, until)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        raise BadCalendar(f"{type(error).__name__}: {error}"[:200]) from error
    return sorted(_meetings(found, zone), key=lambda one: (one.begins, one.name))[:MOST_MEETINGS]


def _meetings(found: list[object], zone: ZoneInfo) -> Iterator[Held]:
    for event in found:
        begins, ends = getattr(event, "start", None), getattr(event, "end", None)
        if not isinstance(begins, dt.datetime) or not isinstance(ends, dt.datetime) or ends <= begins:
            continue
        status = str(event.get("STATUS", "")).upper()  # type: ignore[attr-defined]  # icalendar's event is a dict of its properties
        if status == "CANCELLED":
            continue
        name = clean(str(event.get("SUMMARY", "")), LONGEST_NAME) or UNNAMED  # type: ignore[attr-defined]  # as above
        yield Held(name, _local(begins, zone), _local(ends, zone))


def _local(moment: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    """A floating time is by the local clock (RFC 5545 section 3.3.5, form 1)."""
    return moment.replace(tzinfo=zone) if moment.tzinfo is None else moment.astimezone(zone)
