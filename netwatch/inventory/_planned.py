"""`anchors:` and `maintenance:` of inventory.yaml: what tells whether we can see, and when work is planned."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import fields
from zoneinfo import ZoneInfo

from netwatch.inventory._collect import Collector, Where, shown
from netwatch.inventory._communes import slug as slug_of
from netwatch.inventory._line_schema import MeetingEntry
from netwatch.inventory._schema import AnchorEntry, MaintenanceEntry
from netwatch.matcher import Matcher, WrongMatcher, of_terms, parse
from netwatch.model import Anchor, Maintenance, Meeting, Site

__all__ = ["ANCHORS", "anchors_of", "maintenance_of", "matcher_of", "meetings_of"]

ANCHORS = "anchors"  # the place that anchors with an address of their own stand at
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_A_DAY = 1_440


def anchors_of(
    entries: Sequence[AnchorEntry], primary: Mapping[tuple[str, str], str], where: Where, collector: Collector
) -> tuple[Anchor, ...]:
    """Each with the check that asks it; `primary` is by site and target."""
    document, path = where
    found = []
    for number, entry in enumerate(entries):
        at: Where = (document, (*path, number))
        if (entry.address is None) == (entry.target is None):
            collector.error(at, "anchor_where")
            continue
        site, _, target = (entry.target or f"{ANCHORS}/{entry.name}").partition("/")
        check = primary.get((site, target))
        if check is None:
            if entry.target is not None:
                collector.unknown((document, (*path, number, "target")), "anchor_target", entry.target, map("/".join, primary))
            continue
        found.append(Anchor(id=entry.name, check=check, carrier=slug_of(entry.carrier or ""), own=entry.target is None))
    return tuple(found)


def matcher_of(entry: Mapping[str, str] | str, where: Where, collector: Collector) -> Matcher | None:
    """What `match:` is about, written as text or by its terms."""
    try:
        return parse(entry) if isinstance(entry, str) else of_terms(entry)
    except WrongMatcher as wrong:
        collector.error(where, "matcher_shape", value=shown(str(wrong)))
        return None


def maintenance_of(
    entries: Sequence[MaintenanceEntry], sites: Mapping[str, Site], zone: ZoneInfo, where: Where, collector: Collector
) -> tuple[Maintenance, ...]:
    document, path = where
    found = []
    for number, entry in enumerate(entries):
        at: Where = (document, (*path, number))
        matcher = matcher_of(entry.match, (document, (*path, number, "match")), collector)
        if matcher is None:
            continue
        if not any(matcher.covers(site, target) for site in sites.values() for target in ("", *site.lines, *site.devices)):
            collector.warn((document, (*path, number, "match")), "matcher_nothing", value=shown(str(matcher)))
        planned = _planned(f"planned-{number + 1}", str(matcher), entry, zone, at, collector)
        if planned is not None:
            found.append(planned)
    return tuple(found)


def meetings_of(
    entries: Sequence[MeetingEntry], sites: Mapping[str, Site], zone: ZoneInfo, where: Where, collector: Collector
) -> tuple[Meeting, ...]:
    """As planned work, with the meeting's name as its id."""
    document, path = where
    found = []
    for number, entry in enumerate(entries):
        at: Where = (document, (*path, number, "match"))
        matcher = None if entry.match is None else matcher_of(entry.match, at, collector)
        if matcher is not None and not any(matcher.covers(site) for site in sites.values()):
            collector.warn(at, "matcher_nothing", value=shown(str(matcher)))
        if entry.match is None or matcher is not None:
            planned = _planned(entry.name, str(matcher or ""), entry, zone, (document, (*path, number)), collector)
            if planned is not None:
                found.append(Meeting(**{one.name: getattr(planned, one.name) for one in fields(planned)}, rate_bits_per_second=entry.rate))
    return tuple(found)


def _planned(
    name: str, matcher: str, entry: MaintenanceEntry | MeetingEntry, zone: ZoneInfo, where: Where, collector: Collector
) -> Maintenance | None:
    document, path = where
    note = entry.note or "" if isinstance(entry, MaintenanceEntry) else ""
    if entry.weekly is not None:
        weekdays, begins, ends = _weekdays(entry.weekly), _minute(entry.begins), _minute(entry.until)
        for key, value, given in (("weekly", weekdays, entry.weekly), ("from", begins, entry.begins), ("until", ends, entry.until)):
            if value is None:
                collector.error((document, (*path, key)), "weekday_shape" if key == "weekly" else "clock_shape", value=shown(given))
        if weekdays is None or begins is None or ends is None:
            return None
        minutes = (ends - begins) % MINUTES_A_DAY or MINUTES_A_DAY
        return Maintenance(id=name, matcher=matcher, note=note, weekdays=weekdays, from_minute=begins, minutes=minutes)
    starts, until = _moment(entry.begins, zone), _moment(entry.until, zone)
    for key, moment, given in (("from", starts, entry.begins), ("until", until, entry.until)):
        if moment is None:
            collector.error((document, (*path, key)), "moment_shape", value=shown(given))
    if starts is None or until is None:
        return None
    if until <= starts:
        collector.error((document, (*path, "until")), "moment_order")
        return None
    return Maintenance(id=name, matcher=matcher, note=note, starts=starts, ends=until)


def _weekdays(text: str) -> tuple[int, ...] | None:
    names = [name.strip() for name in text.lower().split(",")]
    if names == ["daily"]:
        return tuple(range(7))
    if not names or any(name not in WEEKDAYS for name in names):
        return None
    return tuple(sorted({WEEKDAYS.index(name) for name in names}))


def _minute(text: str) -> int | None:
    try:
        clock = dt.datetime.strptime(text, "%H:%M")  # noqa: DTZ007  # a time of any day
    except ValueError:
        return None
    return clock.hour * 60 + clock.minute


def _moment(text: str, zone: ZoneInfo) -> float | None:
    try:
        return dt.datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=zone).timestamp()
    except (ValueError, OverflowError):
        return None
