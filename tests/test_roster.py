"""Who is on duty: shifts, rotations, holidays, leave; gaps and overlaps."""

import datetime as dt
import itertools
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from netwatch._duties import HOLIDAY, WEEKDAYS, Away, Holiday, Person, Roster, Rotation, Shift
from netwatch.roster import check, in_office_hours, members, on_duty, spans, turns

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
DAILY = frozenset({*WEEKDAYS, HOLIDAY})
WORK = frozenset(WEEKDAYS[:5])
DAY = 86_400.0


def at(text, zone=ZONE):
    return dt.datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=zone).timestamp()


def shift(name="all", days=DAILY, begins=0, until=0, who=("an",), **more):
    return Shift(id=name, days=frozenset(days), from_minute=begins, until_minute=until, who=tuple(who), **more)


WEEK = Rotation(id="turns", order=("an", "binh", "chi"), starts=dt.date(2026, 11, 30), handover_minute=450)
PEOPLE = tuple(Person(id=name, name=name.title()) for name in ("an", "binh", "chi", "dung"))


def roster(*shifts, **more):
    return Roster(**{"people": PEOPLE, "rotations": (WEEK,), "shifts": shifts or (shift(who=("turns",)),)} | more)


def duty(found, text):
    return on_duty(found, at(text), ZONE)


def test_a_rotation_hands_over_at_its_minute_of_its_weekday_and_begins_again():
    found = roster()
    assert [duty(found, text) for text in ("2026-11-30 07:29", "2026-11-30 07:30", "2026-12-07 07:29", "2026-12-07 07:30")] == [
        ("chi",),
        ("an",),
        ("an",),
        ("binh",),
    ]
    assert duty(found, "2026-12-21 07:30") == ("an",)
    assert members(found, "turns", at("2026-12-07 08:00"), ZONE) == ("binh", "chi", "an")


def test_a_rotation_of_days_changes_every_day():
    daily = Rotation(id="turns", order=("an", "binh"), starts=dt.date(2026, 12, 1), turn_days=1, handover_minute=60)
    found = roster(rotations=(daily,))
    assert [duty(found, f"2026-12-0{day} 01:00") for day in (1, 2, 3)] == [("an",), ("binh",), ("an",)]
    assert duty(found, "2026-12-02 00:59") == ("an",)


def test_a_night_belongs_to_the_day_it_begins_on():
    found = roster(shift("night", {"fri"}, 1050, 450))
    assert [duty(found, text) for text in ("2026-12-04 17:29", "2026-12-04 17:30", "2026-12-05 07:29", "2026-12-05 07:30")] == [
        (),
        ("an",),
        ("an",),
        (),
    ]


def test_the_backup_is_the_next_of_the_rotation_unless_one_is_named():
    (turn,) = turns(roster(), at("2026-12-01 12:00"), ZONE)
    assert (turn.people, turn.backup) == (("an",), ("binh",))
    (turn,) = turns(roster(shift(who=("turns",), backup=("dung",))), at("2026-12-01 12:00"), ZONE)
    assert (turn.people, turn.backup) == (("an",), ("dung",))


def away(person, instead="", *, swap=False):
    return Away(person=person, starts=at("2026-12-01 00:00"), ends=at("2026-12-02 00:00"), instead=instead, swap=swap)


def test_for_who_is_away_the_next_one_serves_or_who_is_named_and_only_as_long():
    assert duty(roster(away=(away("an"),)), "2026-12-01 12:00") == ("binh",)
    assert duty(roster(away=(away("an"), away("binh"))), "2026-12-01 12:00") == ("chi",)
    assert duty(roster(away=(away("an", "dung"),)), "2026-12-01 12:00") == ("dung",)
    assert duty(roster(away=(away("an", "dung"), away("dung", "chi"))), "2026-12-01 12:00") == ("chi",)
    assert duty(roster(away=(away("an"),)), "2026-12-02 00:00") == ("an",)
    (turn,) = turns(roster(away=(away("an"),)), at("2026-12-01 12:00"), ZONE)
    assert turn.backup == ("chi",)


def test_two_who_swap_serve_for_each_other():
    found = roster(shift("day", DAILY, 0, 720, ("an",)), shift("night", DAILY, 720, 0, ("binh",)), away=(away("an", "binh", swap=True),))
    assert (duty(found, "2026-12-01 06:00"), duty(found, "2026-12-01 18:00")) == (("binh",), ("an",))
    assert (duty(found, "2026-12-02 06:00"), duty(found, "2026-12-02 18:00")) == (("an",), ("binh",))


def test_nobody_serves_for_a_single_person_who_is_away_unless_there_is_a_backup():
    assert duty(roster(shift(), away=(away("an"),)), "2026-12-01 12:00") == ()
    assert duty(roster(shift(backup=("dung",)), away=(away("an"),)), "2026-12-01 12:00") == ("dung",)
    found = check(roster(shift(), away=(away("an"),)), at("2026-11-30 00:00"), at("2026-12-05 00:00"), ZONE)
    assert [(one.kind, one.begins, one.ends) for one in found] == [("gap", at("2026-12-01 00:00"), at("2026-12-02 00:00"))]


TET = Holiday(id="tet", month=1, day=1, lunar=True, before=1, after=4)


def test_on_a_holiday_the_shift_that_names_it_serves_else_the_one_for_holidays():
    usual, festive, feast = shift("usual", WEEKDAYS), shift("festive", {"holiday"}, who=("binh",)), shift("feast", {"tet"}, who=("chi",))
    september = Holiday(id="september", month=9, day=2)
    once = Holiday(id="once", month=12, day=31, year=2026)
    found = roster(usual, festive, feast, holidays=(TET, september, once))
    served = {day: duty(found, f"{day} 12:00") for day in ("2027-02-04", "2027-02-05", "2027-02-10", "2027-02-11", "2027-09-02")}
    assert served == {
        "2027-02-04": ("an",),
        "2027-02-05": ("chi",),
        "2027-02-10": ("chi",),
        "2027-02-11": ("an",),
        "2027-09-02": ("binh",),
    }
    assert (duty(found, "2026-12-31 12:00"), duty(found, "2027-12-31 12:00")) == (("binh",), ("an",))
    assert duty(roster(usual, festive, holidays=(TET,)), "2027-02-06 12:00") == ("binh",)
    assert duty(roster(usual, holidays=(TET,)), "2027-02-06 12:00") == (), "weekdays are not holidays"


def test_days_before_a_holiday_reach_back_over_the_end_of_the_year():
    found = roster(
        shift("usual", WEEKDAYS), shift("festive", {"holiday"}, who=("binh",)), holidays=(Holiday(id="new", month=1, day=1, before=2),)
    )
    assert [duty(found, f"2026-12-{day} 12:00") for day in (29, 30, 31)] == [("an",), ("binh",), ("binh",)]


def test_29_february_is_no_day_of_other_years():
    found = roster(shift("usual", WEEKDAYS), holidays=(Holiday(id="leap", month=2, day=29),))
    assert [duty(found, text) for text in ("2027-02-28 12:00", "2027-03-01 12:00", "2028-02-29 12:00")] == [("an",), ("an",), ()]


def test_office_hours_end_on_holidays():
    office = shift("office", WORK, 450, 1020, ())
    found = roster(office=office, holidays=(TET,))
    hours = {
        text: in_office_hours(found, at(text), ZONE)
        for text in ("2026-12-01 07:30", "2026-12-01 17:00", "2026-12-05 09:00", "2027-02-08 09:00")
    }
    assert list(hours.values()) == [True, False, False, False]
    daily = roster(office=shift("office", DAILY, 450, 1020, ()), holidays=(TET,))
    assert in_office_hours(daily, at("2027-02-08 09:00"), ZONE), "unless they are said to be daily"
    assert in_office_hours(roster(), at("2026-12-05 03:00"), ZONE), "always, when nothing is said"


def test_overlaps_are_named_unless_they_are_meant():
    first, second = shift("day", DAILY, 450, 1080), shift("night", DAILY, 1050, 450, ("binh",))
    begins, ends = at("2026-12-01 08:00"), at("2026-12-02 08:00")
    assert [(one.kind, one.shifts, one.begins, one.ends) for one in check(roster(first, second), begins, ends, ZONE)] == [
        ("overlap", ("day", "night"), at("2026-12-01 17:30"), at("2026-12-01 18:00"))
    ]
    extra = shift("night", DAILY, 1050, 450, ("binh",), extra=True)
    assert check(roster(first, extra), begins, ends, ZONE) == ()


def test_a_gap_that_goes_on_under_another_name_is_one_gap():
    found = roster(shift(), away=(away("an"), Away(person="an", starts=at("2026-12-02 00:00"), ends=at("2026-12-03 00:00"))))
    assert len(check(found, at("2026-11-30 00:00"), at("2026-12-05 00:00"), ZONE)) == 1


def test_shifts_meet_on_the_days_that_the_clocks_change():
    berlin = ZoneInfo("Europe/Berlin")
    found = roster(shift("day", DAILY, 450, 1050), shift("night", DAILY, 1050, 450, ("binh",)))
    assert check(found, at("2026-03-25 00:00", berlin), at("2026-04-02 00:00", berlin), berlin) == ()
    assert check(found, at("2026-10-20 00:00", berlin), at("2026-10-30 00:00", berlin), berlin) == ()
    assert on_duty(found, at("2026-03-29 07:30", berlin), berlin) == ("an",)


# --- any roster

BEGINS = at("2027-01-25 00:00")
DAYS = 14
minutes = st.integers(0, 23).map(lambda hour: hour * 60) | st.integers(0, 1439)
names = st.sampled_from(("an", "binh", "chi", "dung"))
moments = st.integers(-48, 24 * DAYS).map(lambda hour: BEGINS + hour * 3600.0)


@st.composite
def rosters(draw):
    kinds = st.frozensets(st.sampled_from((*WEEKDAYS, HOLIDAY, "tet")), min_size=1) | st.just(DAILY)
    order = st.lists(names, min_size=1, max_size=4, unique=True).map(tuple)
    rotation = Rotation(
        id="turns",
        order=draw(order),
        starts=dt.date(2027, 1, draw(st.integers(1, 31))),
        turn_days=draw(st.sampled_from((1, 7))),
        handover_minute=draw(minutes),
    )
    shifts = [
        shift(f"s{number}", draw(kinds), draw(minutes), draw(minutes), (draw(names | st.just("turns")),), extra=draw(st.booleans()))
        for number in range(draw(st.integers(0, 4)))
    ]
    absences = [
        Away(
            person=person,
            starts=starts,
            ends=starts + draw(st.integers(1, 100)) * 3600.0,
            instead=instead,
            swap=bool(instead) and draw(st.booleans()),
        )
        for person, instead, starts in draw(st.lists(st.tuples(names, names | st.just(""), moments), max_size=3))
    ]
    holidays = draw(st.lists(st.sampled_from((TET, Holiday(id="other", month=2, day=1))), max_size=2, unique=True))
    return Roster(people=PEOPLE, rotations=(rotation,), shifts=tuple(shifts), away=tuple(absences), holidays=tuple(holidays))


zones = st.sampled_from((ZONE, ZoneInfo("Europe/Berlin"), dt.UTC))


@settings(max_examples=60, deadline=None)
@given(rosters(), st.lists(st.integers(0, DAYS * 1440 - 1), min_size=1, max_size=20), zones)
def test_at_every_moment_there_are_the_people_that_the_calendar_prints(found, offsets, zone):
    listed = list(spans(found, BEGINS, BEGINS + DAYS * DAY, zone))
    assert [listed[0].begins, listed[-1].ends] == [BEGINS, BEGINS + DAYS * DAY]
    assert all(one.ends == after.begins and one.turns != after.turns for one, after in itertools.pairwise(listed))
    for wall in (BEGINS + offset * 60.0 for offset in offsets):
        (span,) = (span for span in listed if span.begins <= wall < span.ends)
        assert span.people == on_duty(found, wall, zone)


@settings(max_examples=40, deadline=None)
@given(rosters(), zones)
def test_a_gap_is_told_of_exactly_when_there_is_a_moment_with_nobody(found, zone):
    ends = BEGINS + 4 * DAY
    gaps = [(one.begins, one.ends) for one in check(found, BEGINS, ends, zone) if one.kind == "gap"]
    step = 900.0
    for number in range(int((ends - BEGINS) / step)):
        wall = BEGINS + number * step
        assert any(begins <= wall < until for begins, until in gaps) == (on_duty(found, wall, zone) == ())
    for begins, until in gaps:
        assert on_duty(found, begins, zone) == on_duty(found, until - 1, zone) == ()
