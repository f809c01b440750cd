"""Who is on duty: shifts, rotations, holidays and leave, by local time. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from netwatch._duties import HOLIDAY, WEEKDAYS, Away, Holiday, Problem, Roster, Shift, Span, Turn
from netwatch.lunar import solar_date

__all__ = ["check", "in_office_hours", "members", "on_duty", "spans", "stand_in", "turns"]


def on_duty(roster: Roster, wall: float, zone: dt.tzinfo) -> tuple[str, ...]:
    """The ids of the people on duty at a moment, each once."""
    return _people(turns(roster, wall, zone))


def _people(served: tuple[Turn, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(person for turn in served for person in turn.people))


def turns(roster: Roster, wall: float, zone: dt.tzinfo) -> tuple[Turn, ...]:
    """The shifts in effect at a moment. Pure of the roster: nothing is remembered from one moment to the next."""
    today = dt.datetime.fromtimestamp(wall, zone).date()
    found: dict[str, Turn] = {}
    for day in (today - dt.timedelta(days=1), today):
        named = _day_names(roster, day)
        for shift in roster.shifts:
            begins, ends = _edges(shift, day, zone)
            if shift.days & named and begins <= wall < ends:
                found[shift.id] = _turn(roster, shift, wall, zone)
    return tuple(found.values())


def in_office_hours(roster: Roster, wall: float, zone: dt.tzinfo) -> bool:
    """Always, when the roster does not say when they are."""
    if roster.office is None:
        return True
    today = dt.datetime.fromtimestamp(wall, zone).date()
    for day in (today - dt.timedelta(days=1), today):
        begins, ends = _edges(roster.office, day, zone)
        if begins <= wall < ends and roster.office.days & ({HOLIDAY} if _holidays(roster, day) else {WEEKDAYS[day.weekday()]}):
            return True
    return False


# --- days


def _day_names(roster: Roster, day: dt.date) -> frozenset[str]:
    """What the days of a shift must name to be served: on a holiday its id if any shift names it, else `holiday`."""
    holidays = _holidays(roster, day)
    named = holidays.intersection(day_name for shift in roster.shifts for day_name in shift.days)
    return named or (frozenset({HOLIDAY}) if holidays else frozenset({WEEKDAYS[day.weekday()]}))


def _holidays(roster: Roster, day: dt.date) -> frozenset[str]:
    return frozenset(holiday.id for holiday in roster.holidays if _falls_on(holiday, day))


def _falls_on(holiday: Holiday, day: dt.date) -> bool:
    for year in (day.year - 1, day.year, day.year + 1) if holiday.year is None else (holiday.year,):
        try:
            middle = solar_date(year, holiday.month, holiday.day) if holiday.lunar else dt.date(year, holiday.month, holiday.day)
        except ValueError:  # 29 February
            continue
        if -holiday.before <= (day - middle).days <= holiday.after:
            return True
    return False


def _moment(day: dt.date, minute: int, zone: dt.tzinfo) -> float:
    return dt.datetime.combine(day, dt.time(minute // 60, minute % 60), zone).timestamp()


def _edges(shift: Shift, day: dt.date, zone: dt.tzinfo) -> tuple[float, float]:
    last = day if shift.until_minute > shift.from_minute else day + dt.timedelta(days=1)
    return _moment(day, shift.from_minute, zone), _moment(last, shift.until_minute, zone)


# --- people


def _turn(roster: Roster, shift: Shift, wall: float, zone: dt.tzinfo) -> Turn:
    people: list[str] = []
    backup: list[str] = []
    named = tuple(person for name in shift.backup for person in members(roster, name, wall, zone)[:1])
    for name in shift.who:
        order = members(roster, name, wall, zone)
        present = [stand_in(roster, person, (*order[place + 1 :], *named), wall) for place, person in enumerate(order)]
        present = [person for person in present if person]
        people += present[:1]
        backup += present[1:]
    backup = [stand_in(roster, person, (), wall) for person in named] if shift.backup else backup
    serving = tuple(dict.fromkeys(people))
    spare = tuple(dict.fromkeys(person for person in backup if person and person not in serving))
    return Turn(shift=shift.id, people=serving, backup=spare[:1] if not shift.backup else spare, wakes=shift.wakes, extra=shift.extra)


def members(roster: Roster, name: str, wall: float, zone: dt.tzinfo) -> tuple[str, ...]:
    """The people of a rotation, from whose turn it is on; a person is a rotation of one."""
    rotation = next((one for one in roster.rotations if one.id == name), None)
    if rotation is None:
        return (name,)
    local = dt.datetime.fromtimestamp(wall, zone)
    day = local.date() if wall >= _moment(local.date(), rotation.handover_minute, zone) else local.date() - dt.timedelta(days=1)
    turn = (day - rotation.starts).days // rotation.turn_days % len(rotation.order)
    return rotation.order[turn:] + rotation.order[:turn]


def stand_in(roster: Roster, person: str, others: tuple[str, ...], wall: float) -> str:
    """Who serves for a person: that one, who was named instead, or the first of `others` who is not away; nobody is ''."""
    used: set[int] = set()
    while True:
        found = next(
            ((number, away) for number, away in enumerate(roster.away) if number not in used and _is_away(away, person, wall)), None
        )
        if found is None:
            return person
        number, away = found
        used.add(number)
        if away.swap:
            person = away.instead if person == away.person else away.person
        elif away.instead:
            person = away.instead
        else:
            return next((other for other in others if not any(_is_away(one, other, wall) for one in roster.away)), "")


def _is_away(away: Away, person: str, wall: float) -> bool:
    return away.starts <= wall < away.ends and (person == away.person or (away.swap and person == away.instead))


# --- the calendar


def spans(roster: Roster, begins: float, ends: float, zone: dt.tzinfo) -> Iterator[Span]:
    """From `begins` to `ends` without a hole: as long as the same shifts are served by the same people."""
    edges = _changes(roster, begins, ends, zone)
    start, served = begins, turns(roster, begins, zone)
    for edge in edges:
        now = turns(roster, edge, zone)
        if now != served:
            yield Span(begins=start, ends=edge, turns=served)
            start, served = edge, now
    if start < ends:
        yield Span(begins=start, ends=ends, turns=served)


def _changes(roster: Roster, begins: float, ends: float, zone: dt.tzinfo) -> list[float]:
    """Every moment within at which anything may change."""
    found = {moment for away in roster.away for moment in (away.starts, away.ends)}
    day = dt.datetime.fromtimestamp(begins, zone).date() - dt.timedelta(days=2)
    last = dt.datetime.fromtimestamp(ends, zone).date()
    while day <= last:
        found |= {edge for shift in roster.shifts for edge in _edges(shift, day, zone)}
        found |= {_moment(day, rotation.handover_minute, zone) for rotation in roster.rotations}
        day += dt.timedelta(days=1)
    return sorted(moment for moment in found if begins < moment < ends)


def check(roster: Roster, begins: float, ends: float, zone: dt.tzinfo) -> tuple[Problem, ...]:
    """Gaps, and shifts that overlap though neither is `extra`; what follows at once on its like is one."""
    found: list[Problem] = []
    for span in spans(roster, begins, ends, zone):
        shifts = tuple(turn.shift for turn in span.turns if not turn.extra)
        problems = [Problem(kind="gap", begins=span.begins, ends=span.ends)] if not span.people else []
        if len(shifts) > 1:
            problems.append(Problem(kind="overlap", begins=span.begins, ends=span.ends, shifts=shifts))
        for problem in problems:
            before = next(
                (one for one in found if (one.kind, one.shifts, one.ends) == (problem.kind, problem.shifts, problem.begins)), None
            )
            if before is None:
                found.append(problem)
            else:
                found[found.index(before)] = Problem(kind=problem.kind, begins=before.begins, ends=problem.ends, shifts=problem.shifts)
    return tuple(found)
