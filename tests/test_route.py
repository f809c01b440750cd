"""Who is told: by shift, area and step; what waits; what the roster in an inventory may be."""

import datetime as dt
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch import _yaml, inventory, route
from netwatch._duties import Away
from netwatch.inventory import _roster_days
from netwatch.inventory._collect import Collector
from netwatch.inventory._duty_schema import HolidayEntry
from netwatch.matcher import target_of
from netwatch.model import Cause, Incident
from tests.duty_inventory import DUTY, ENVIRONMENT, PAGERS, ZONE, written
from tests.inventories import keys, load, refused

ALL = ("an-zalo", "binh-zalo", "binh-sms", "chi-zalo", "chief-zalo", "wall")
NOON = "2026-12-01 12:00"  # a Tuesday


def at(text):
    return dt.datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=ZoneInfo(ZONE)).timestamp()


@pytest.fixture
def watched(tmp_path):
    return load(tmp_path, written(), environment=ENVIRONMENT)


def incident(*sites, severity="critical", cause=None, wall=NOON, **more):
    cause = cause or Cause("site", (sites or ("netwatch",))[0])
    return Incident(id=1, key="k", cause=cause, sites=sites, severity=severity, opened=at(wall), updated=at(wall), **more)


def told(watched, wall=NOON, step=0, sites=("na-tau",), pagers=ALL):
    return route.pagers_for(incident(*sites), pagers, watched, at(wall), step)


def test_without_a_roster_every_pager_is_told_and_nothing_waits(watched):
    bare = replace(watched, duty=None)
    assert told(bare) == ALL
    assert route.digest_pagers(ALL, bare, at(NOON)) == ALL
    assert route.repeat_seconds(bare) == (900.0, 2_700.0)
    assert not route.waits(incident("na-tau", severity="warning"), bare, at("2026-12-01 23:00"))


def test_what_can_wait_for_the_morning_wakes_nobody(watched):
    assert route.pagers_for(incident("na-tau", audience="digest"), ALL, watched, at(NOON)) == ()


def test_whoever_is_on_duty_is_told_and_pagers_that_are_nobodys(watched):
    assert watched.duty.always == ("wall",), "what stands in for another is told by it alone"
    assert told(watched) == ("an-zalo", "wall")
    assert told(watched, "2026-12-07 12:00") == ("binh-zalo", "wall")
    assert told(watched, "2026-12-03 12:00") == ("chi-zalo", "wall"), "an is away"
    assert told(watched, "2027-02-06 12:00") == ("chi-zalo", "wall"), "mồng 1 Tết"


def test_each_step_adds_people(watched):
    assert route.repeat_seconds(watched) == (900.0, 1_800.0, 2_700.0)
    assert told(watched, step=1) == ("an-zalo", "binh-zalo", "wall")
    assert told(watched, step=2) == told(watched, step=9) == ("an-zalo", "binh-zalo", "binh-sms", "chief-zalo", "wall")


def test_an_area_alone_spares_the_shift_in_its_hours_and_only_for_its_sites(watched):
    assert told(watched, sites=("muong-phang",)) == ("chi-zalo", "wall")
    assert told(watched, sites=("muong-phang",), wall="2026-12-01 17:00") == ("an-zalo", "wall")
    assert told(watched, sites=("muong-phang", "na-tau")) == ("an-zalo", "chi-zalo", "wall")
    assert told(watched, sites=("muong-phang",), step=1) == ("binh-zalo", "chi-zalo", "wall")


def test_an_area_whose_only_person_is_away_does_not_spare_the_shift(watched):
    gone = Away(person="chi", starts=at("2026-12-01 00:00"), ends=at("2026-12-02 00:00"))
    away = replace(watched, duty=replace(watched.duty, away=(gone,)))
    assert told(away, sites=("muong-phang",)) == ("an-zalo", "wall")


def test_a_site_that_only_lost_a_line_counts_for_areas_too(watched):
    ring = incident("na-tau", degraded=("muong-phang",))
    assert route.pagers_for(ring, ALL, watched, at(NOON)) == ("an-zalo", "chi-zalo", "wall")


def test_a_shift_whose_people_are_all_away_takes_nothing(watched):
    everybody = tuple(Away(person=name, starts=at("2026-12-01 00:00"), ends=at("2026-12-02 00:00")) for name in ("an", "binh"))
    away = replace(watched, duty=replace(watched.duty, away=everybody))
    assert route.waits(incident("na-tau", severity="warning"), away, at(NOON))


def test_where_the_roster_names_nobody_all_are_told(watched):
    assert told(replace(watched, duty=replace(watched.duty, shifts=()))) == ALL
    assert told(watched, pagers=("wall", "new")) == ("wall", "new"), "nobody's own pager is there"
    nobody = tuple(replace(person, pagers=()) for person in watched.duty.people)
    assert told(replace(watched, duty=replace(watched.duty, people=nobody))) == ALL
    assert route.pagers_for(incident(), ALL, watched, at(NOON)) == ("an-zalo", "wall"), "netwatch's own trouble has no site"


def test_the_morning_digest_goes_to_whoever_is_on_duty_or_is_named(watched):
    assert route.digest_pagers(ALL, watched, at(NOON)) == ("an-zalo", "wall")
    named = replace(watched, duty=replace(watched.duty, digest=("chief", "binh-sms")))
    assert route.digest_pagers(ALL, named, at(NOON)) == ("binh-sms", "chief-zalo", "wall")
    assert route.digest_pagers(ALL, replace(watched, duty=replace(watched.duty, shifts=())), at(NOON)) == ALL


def test_a_warning_waits_for_a_shift_that_takes_all(watched):
    night, day = at("2026-12-01 22:00"), at("2026-12-02 07:30")
    warning = incident("na-tau", severity="warning", wall="2026-12-01 22:00")
    assert (route.waits(warning, watched, night), route.waits(warning, watched, day)) == (True, False)
    assert not route.waits(incident("na-tau", wall="2026-12-01 22:00"), watched, night), "critical"
    assert not route.waits(replace(warning, sites=()), watched, night), "about netwatch itself"


def test_nothing_waits_for_longer_than_three_days(watched):
    warning = incident("na-tau", severity="warning", wall="2026-09-02 22:00")
    always = replace(watched, duty=replace(watched.duty, shifts=()))
    assert route.waits(warning, always, warning.opened + 3 * 86_400.0 - 1)
    assert not route.waits(warning, always, warning.opened + 3 * 86_400.0)
    assert not route.waits(warning, replace(watched, duty=replace(watched.duty, shifts=(), waits_for_duty=False)), warning.opened)


def test_the_line_or_device_of_an_incident_is_what_matchers_are_asked_with():
    assert target_of(incident("a", cause=Cause("device", "a/ups"))) == "ups"
    assert target_of(incident("a", cause=Cause("check", "a/ups/snmp"))) == "ups"
    assert target_of(incident("a", cause=Cause("site", "a"))) == target_of(incident("a", cause=Cause("tag", "x=y/z"))) == ""


def test_a_pager_that_stands_in_for_another_is_told_for_itself_when_the_roster_names_it(watched):
    assert route.named_pagers(watched) == {"an-zalo", "binh-zalo", "binh-sms", "chi-zalo", "chief-zalo"}
    assert route.named_pagers(replace(watched, duty=None)) == frozenset()


# --- in the inventory


def test_quiet_classes_wait_for_the_morning(tmp_path, watched):
    loud = load(tmp_path, written(DUTY.replace("  quiet: [role=printer]\n", "")), environment=ENVIRONMENT)
    louder = written(DUTY.replace("role=printer", "na-tau/router"))
    quiet = load(tmp_path, louder, environment=ENVIRONMENT)
    assert {check.audience for check in quiet.checks.values() if check.target == "router" and check.site == "na-tau"} == {"digest"}
    assert {check.audience for check in quiet.checks.values() if check.target == "router" and check.site == "muong-phang"} == {"page"}
    assert inventory.difference(loud, quiet) == inventory.Difference(), "beliefs are kept"


def test_a_sound_roster_has_no_warnings(watched):
    assert [one for one in watched.warnings if "duty" in one] == []


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("holiday}", "holiday}", None),
        ('days: "sat,sun,holiday"', 'days: "sat,holiday"', "duty_gap"),
        ('days: "sat,sun,holiday"', "days: daily", "duty_overlap"),
        ('days: "sat,sun,holiday"', 'days: "sat,sun"', "duty_holiday_unserved"),
        ("pagers: [an-zalo]", "pagers: []", "duty_no_pager"),
        ("    chief: {", "    dung: {name: Dũng, pagers: [wall]}\n    chief: {", "duty_unused"),
        ("role=printer", "role=nothing", "matcher_nothing"),
        ("{site: muong-phang}", "{site: elsewhere}", "matcher_nothing"),
    ],
)
def test_what_is_odd_is_warned_of(tmp_path, old, new, key):
    assert old in DUTY or key is None
    path = tmp_path / "inventory.yaml"
    path.write_text(written(DUTY.replace(old, new)))
    _found, warnings = inventory.examine(path, environment=ENVIRONMENT)
    assert {one.key for one in warnings if one.path.startswith("duty")} == ({key} if key else set())
    assert all(one.line(language) for one in warnings for language in ("vi", "en"))


@pytest.mark.parametrize(
    ("old", "new", "key", "path"),
    [
        ("[an, binh]", "[an, bin]", "duty_unknown", "duty.rotations.noc.order"),
        ("pagers: [chi-zalo]", "pagers: [chi]", "duty_unknown", "duty.people.chi.pagers"),
        ("who: chi}", "who: nobody}", "duty_unknown", "duty.shifts.tet.who"),
        ("to: backup", "to: backups", "duty_unknown", "duty.escalation[0].to"),
        ("tell: chi", "tell: duty", "duty_unknown", "duty.areas[0].tell"),
        ("instead: chi", "instead: ci", "duty_unknown", "duty.exceptions[0]"),
        ("    noc: {", "    an: {", "duty_name_twice", "duty.rotations.an"),
        ("    chief: {", "    backup: {", "duty_name_twice", "duty.people.backup"),
        ("    chief: {", "    wall: {", "duty_name_twice", "pagers.wall"),
        ("starts: 2026-11-30", "starts: 2026-11-31", "duty_day_shape", "duty.rotations.noc.starts"),
        ('handover: "07:30"', 'handover: "7h30"', "clock_shape", "duty.rotations.noc.handover"),
        ('until: "17:30", who', 'until: "24:00", who', "clock_shape", "duty.shifts.day.until"),
        ('"sat,sun,holiday"', '"sat,chu-nhat"', "duty_days_shape", "duty.shifts.weekend.days"),
        ("days: tet", "days: tat", "duty_days_shape", "duty.shifts.tet.days"),
        ("    september:", "    mon:", "duty_holiday_name", "duty.holidays.mon"),
        ('date: "09-02"', 'date: "09-31"', "duty_holiday_shape", "duty.holidays.september.date"),
        ('lunar: "01-01"', 'lunar: "2026-01-01"', "duty_holiday_shape", "duty.holidays.tet.lunar"),
        ('date: "09-02"', 'date: "09-02", lunar: "01-01"', "duty_holiday_when", "duty.holidays.september"),
        ('date: "09-02"', "before: 1", "duty_holiday_when", "duty.holidays.september"),
        ("person: an, ", "", "duty_away_who", "duty.exceptions[0]"),
        ("person: an, ", "swap: [an, binh], ", "duty_away_who", "duty.exceptions[0]"),
        ("until: 2026-12-03,", "until: 2026-12-02,", "moment_order", "duty.exceptions[0].until"),
        ("from: 2026-12-03,", "from: tomorrow,", "duty_moment_shape", "duty.exceptions[0].from"),
        ("{site: muong-phang}", "'site= a b'", "matcher_shape", "duty.areas[0].match"),
        ("after: 15m", "after: 0m", "duration_not_positive", "duty.escalation[0].after"),
        ("wakes: critical}\n    weekend", "wakes: some}\n    weekend", "not_one_of", "duty.shifts.night.wakes"),
        ("  queue: on-duty", "  queue: yes", "not_one_of", "duty.queue"),
    ],
)
def test_what_is_wrong_is_named_at_its_place(tmp_path, old, new, key, path):
    assert old in DUTY
    assert (key, path) in keys(refused(tmp_path, written(DUTY.replace(old, new)), environment=ENVIRONMENT))


def test_a_pager_that_is_wrong_is_still_a_name(tmp_path):
    text = written(pagers=PAGERS.replace('"http://127.0.0.1:1/an"', '"nowhere"'))
    assert {key for key, _ in keys(refused(tmp_path, text, environment=ENVIRONMENT))} == {"pager_option"}


written_days = st.text(max_size=20) | st.from_regex(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}( [0-9]{2}:[0-9]{2})?|[0-9]{2}-[0-9]{2}|[0-9]{2}:[0-9]{2}", fullmatch=True
)
SOMEWHERE = (_yaml.parse(b"duty: {}\n", "inventory.yaml"), ("duty",))


@given(written_days, st.booleans())
def test_whatever_stands_for_a_day_or_time_is_understood_or_refused_once(text, lunar):
    readers = [
        lambda collector: _roster_days.clock(text, SOMEWHERE, collector),
        lambda collector: _roster_days.day(text, SOMEWHERE, collector),
        lambda collector: _roster_days.days(text, frozenset({"tet"}), SOMEWHERE, collector),
        lambda collector: _roster_days.moment(text, ZoneInfo(ZONE), SOMEWHERE, collector, last=lunar),
        lambda collector: _roster_days.holiday(
            "x", HolidayEntry.model_construct(**{"lunar" if lunar else "date": text}), SOMEWHERE, collector
        ),
    ]
    for reader in readers:
        collector = Collector()
        assert (reader(collector) is None) == (len(collector.errors) == 1)
