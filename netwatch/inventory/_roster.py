"""`duty:` of inventory.yaml: who is on duty, who is told of what, and when more people are."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from zoneinfo import ZoneInfo

from netwatch import roster as rosters
from netwatch._duties import BACKUP, DUTY, HOLIDAY, WEEKDAYS, Area, Away, Person, Roster, Rotation, Shift, Step
from netwatch.inventory._collect import Collector, Where, shown
from netwatch.inventory._duty_schema import DutyEntry, ShiftEntry
from netwatch.inventory._planned import matcher_of
from netwatch.inventory._roster_days import clock, day, days, holiday, moment
from netwatch.inventory._schema import PagerEntry
from netwatch.model import Check, Site

__all__ = ["hushed", "roster_of"]

WEEK_SECONDS = 7 * 86_400.0


def roster_of(
    entry: DutyEntry, pagers: Mapping[str, PagerEntry], sites: Mapping[str, Site], zone: ZoneInfo, where: Where, collector: Collector
) -> Roster:
    """What is wrong goes to the collector; a weekly pattern with gaps or overlaps is a warning, `netwatch duty check` has the dates."""
    reader = _Reader(entry, pagers, sites, zone, where, collector)
    found = Roster(
        people=reader.people(),
        rotations=reader.rotations(),
        shifts=reader.shifts(),
        holidays=tuple(
            one for name, written in entry.holidays.items() if (one := holiday(name, written, reader.at("holidays", name), collector))
        ),
        away=reader.away(),
        areas=reader.areas(),
        steps=reader.steps(),
        office=reader.office(),
        waits_for_duty=entry.queue == "on-duty",
        digest=reader.known(entry.digest, "digest", people=True, pagers=True),
    )
    found = replace(found, always=_nobodys(found, pagers))
    reader.judge(found)
    return found


def hushed(
    checks: Mapping[str, Check],
    entries: Iterable[Mapping[str, str] | str],
    sites: Mapping[str, Site],
    where: Where,
    collector: Collector,
) -> dict[str, Check]:
    """The checks, with those that a quiet class covers waiting for the morning."""
    document, path = where
    found = dict(checks)
    for number, entry in enumerate(entries):
        at: Where = (document, (*path, number))
        matcher = matcher_of(entry, at, collector)
        quiet = [one for one in found.values() if matcher and one.site in sites and matcher.covers(sites[one.site], one.target)]
        if matcher is not None and not quiet:
            collector.warn(at, "matcher_nothing", value=shown(str(matcher)))
        for check in quiet:
            rules = tuple(replace(rule, audience="digest") if rule.audience == "page" else rule for rule in check.rules)
            found[check.id] = replace(check, rules=rules, audience="digest" if check.audience == "page" else check.audience)
    return found


def _nobodys(roster: Roster, pagers: Mapping[str, PagerEntry]) -> tuple[str, ...]:
    """Pagers that no person and no rule names, and that stand in for no other: told of everything."""
    named = {pager for person in roster.people for pager in person.pagers} | set(roster.digest)
    named |= {name for area in roster.areas for name in area.tell} | {name for step in roster.steps for name in step.tell}
    named |= {str((pager.model_extra or {}).get("fallback", "")) for pager in pagers.values()}
    return tuple(name for name in pagers if name not in named)


class _Reader:
    def __init__(
        self,
        entry: DutyEntry,
        pagers: Mapping[str, PagerEntry],
        sites: Mapping[str, Site],
        zone: ZoneInfo,
        where: Where,
        collector: Collector,
    ) -> None:
        self._entry, self._pagers, self._sites, self._zone = entry, pagers, sites, zone
        self._document, self._path = where
        self._collector = collector
        owners: dict[str, str] = {DUTY: "duty", BACKUP: "duty"}
        for part, names in (("people", entry.people), ("rotations", entry.rotations), ("pagers", pagers)):
            for name in names:
                if name in owners:
                    at = (self._document, ("pagers", name)) if part == "pagers" else self.at(part, name)
                    collector.error(at, "duty_name_twice", at_key=True, word=shown(name), other=owners[name])
                owners[name] = part

    def at(self, *path: str | int) -> Where:
        return self._document, (*self._path, *path)

    def known(
        self,
        names: Collection[str],
        *path: str | int,
        people: bool = False,
        rotations: bool = False,
        pagers: bool = False,
        duty: bool = False,
    ) -> tuple[str, ...]:
        """The names there are; of each of the others it is said which there might be."""
        there = [*(self._entry.people if people else ()), *(self._entry.rotations if rotations else ())]
        there += [*(self._pagers if pagers else ()), *((DUTY, BACKUP) if duty else ())]
        for name in names:
            if name not in there:
                self._collector.unknown(self.at(*path), "duty_unknown", name, there)
        return tuple(name for name in names if name in there)

    def people(self) -> tuple[Person, ...]:
        found = []
        for name, entry in self._entry.people.items():
            pagers = self.known(entry.pagers, "people", name, "pagers", pagers=True)
            if not entry.pagers:
                self._collector.warn(self.at("people", name), "duty_no_pager", at_key=True, word=name)
            found.append(Person(id=name, name=entry.name, phone=entry.phone, pagers=pagers))
        return tuple(found)

    def rotations(self) -> tuple[Rotation, ...]:
        found = []
        for name, entry in self._entry.rotations.items():
            order = self.known(entry.order, "rotations", name, "order", people=True)
            starts = day(entry.starts, self.at("rotations", name, "starts"), self._collector)
            handover = clock(entry.handover, self.at("rotations", name, "handover"), self._collector)
            if order and starts is not None and handover is not None:
                turn_days = 7 if entry.turn == "week" else 1
                found.append(Rotation(id=name, order=order, starts=starts, turn_days=turn_days, handover_minute=handover))
        return tuple(found)

    def shifts(self) -> tuple[Shift, ...]:
        return tuple(
            shift
            for name, entry in self._entry.shifts.items()
            if (shift := self._shift(name, entry, frozenset(self._entry.holidays))) is not None
        )

    def _shift(self, name: str, entry: ShiftEntry, holidays: frozenset[str]) -> Shift | None:
        on = days(entry.days, holidays, self.at("shifts", name, "days"), self._collector)
        begins = clock(entry.begins, self.at("shifts", name, "from"), self._collector)
        until = clock(entry.until, self.at("shifts", name, "until"), self._collector)
        who = self.known(entry.who, "shifts", name, "who", people=True, rotations=True)
        backup = self.known(entry.backup, "shifts", name, "backup", people=True, rotations=True)
        if on is None or begins is None or until is None:
            return None
        return Shift(id=name, days=on, from_minute=begins, until_minute=until, who=who, backup=backup, wakes=entry.wakes, extra=entry.extra)

    def office(self) -> Shift | None:
        written = self._entry.office
        if written is None:
            return None
        on = days(written.days, frozenset(), self.at("office", "days"), self._collector)
        begins = clock(written.begins, self.at("office", "from"), self._collector)
        until = clock(written.until, self.at("office", "until"), self._collector)
        if on is None or begins is None or until is None:
            return None
        return Shift(id="office", days=on, from_minute=begins, until_minute=until, who=())

    def away(self) -> tuple[Away, ...]:
        found = []
        for number, entry in enumerate(self._entry.exceptions):
            here = ("exceptions", number)
            starts = moment(entry.begins, self._zone, self.at(*here, "from"), self._collector)
            ends = moment(entry.until, self._zone, self.at(*here, "until"), self._collector, last=True)
            if (entry.person is None) == (entry.swap is None) or (entry.swap is not None and entry.instead is not None):
                self._collector.error(self.at(*here), "duty_away_who")
                continue
            if starts is not None and ends is not None and ends <= starts:
                self._collector.error(self.at(*here, "until"), "moment_order")
                continue
            pair = entry.swap or [one for one in (entry.person, entry.instead) if one is not None]
            named = self.known(pair, *here, people=True)
            if starts is not None and ends is not None and len(named) == len(pair):
                instead = named[1] if len(named) > 1 else ""
                found.append(Away(person=named[0], starts=starts, ends=ends, instead=instead, swap=entry.swap is not None))
        return tuple(found)

    def areas(self) -> tuple[Area, ...]:
        found = []
        for number, entry in enumerate(self._entry.areas):
            matcher = matcher_of(entry.match, self.at("areas", number, "match"), self._collector)
            tell = self.known(entry.tell, "areas", number, "tell", people=True, rotations=True, pagers=True)
            if matcher is None:
                continue
            if not any(matcher.covers(site, target) for site in self._sites.values() for target in ("", *site.lines, *site.devices)):
                self._collector.warn(self.at("areas", number, "match"), "matcher_nothing", value=shown(str(matcher)))
            found.append(Area(matcher=str(matcher), tell=tell, office_hours=entry.hours == "office", alone=entry.alone))
        return tuple(found)

    def steps(self) -> tuple[Step, ...]:
        found = []
        for number, entry in enumerate(self._entry.escalation):
            to = self.known(entry.to, "escalation", number, "to", people=True, rotations=True, pagers=True, duty=True)
            found.append(Step(after_seconds=entry.after, tell=to))
        return tuple(sorted(found, key=lambda step: step.after_seconds))

    def judge(self, found: Roster) -> None:
        """A week as it is when nobody is away and nothing is celebrated; there is no clock here to ask for the dates."""
        used = {name for shift in found.shifts for name in (*shift.who, *shift.backup)}
        used |= {name for area in found.areas for name in area.tell} | {name for step in found.steps for name in step.tell}
        used |= set(found.digest)
        used |= {name for rotation in found.rotations if rotation.id in used for name in rotation.order}
        used |= {away.instead for away in found.away}
        for part, names in (("people", self._entry.people), ("rotations", self._entry.rotations)):
            for name in names:
                if name not in used:
                    self._collector.warn(self.at(part, name), "duty_unused", at_key=True, word=name)
        usual = replace(found, away=(), holidays=())
        monday = dt.datetime(2026, 1, 5, tzinfo=self._zone)
        problems = rosters.check(usual, monday.timestamp(), monday.timestamp() + WEEK_SECONDS, self._zone) if found.shifts else ()
        for problem in problems[:1]:
            begins, ends = (dt.datetime.fromtimestamp(at, self._zone) for at in (problem.begins, problem.ends))
            fields = {"begins": f"{WEEKDAYS[begins.weekday()]} {begins:%H:%M}", "ends": f"{WEEKDAYS[ends.weekday()]} {ends:%H:%M}"}
            self._collector.warn(self.at("shifts"), "duty_gap" if problem.kind == "gap" else "duty_overlap", at_key=True, **fields)
        if HOLIDAY not in {one for shift in found.shifts for one in shift.days} and found.holidays:
            served = {one for shift in found.shifts for one in shift.days}
            for celebrated in found.holidays:
                if celebrated.id not in served:
                    self._collector.warn(self.at("holidays", celebrated.id), "duty_holiday_unserved", at_key=True, word=celebrated.id)
