"""What does not count in the SLA: maintenance, and the time when it was us who were cut off."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from netwatch.model import Belief, Cause, Human, Incident, Maintenance
from netwatch.sla import Account, Reach, account, exclusions, isolated_spans, of_sites, without, work_spans
from netwatch.windows import next_occurrence, occurrence, occurrences
from tests.worlds import inventory

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
YEAR = dt.datetime(2026, 1, 1, tzinfo=ZONE).timestamp()
HOUR, DAY = 3_600.0, 86_400.0
REACH = Reach(YEAR, YEAR + 365 * DAY, ZONE)
SITES = inventory("na-tau", "pu-nhi").sites
spans = st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)).map(lambda pair: tuple(map(float, pair))), max_size=6)


def excluded_spans(sites, *told):
    found = exclusions(*told)
    return {slug: [*isolated_spans(found), *work_spans(site, found)] for slug, site in sites.items()}


def act(action, day, hours=2.0, window=1, matcher="na-tau"):
    begins = YEAR + day * DAY
    return Human(at=0.0, wall=begins, action=action, who="x", matcher=matcher, note="x", until=begins + hours * HOUR, window=window)


def test_a_made_year_counts_only_what_is_anybodys_fault():
    weekly = Maintenance(id="weekly", matcher="na-tau", weekdays=(6,), from_minute=60, minutes=60)  # 52 Sundays
    blind = Incident(
        id=1, key="u", cause=Cause("uplink", "isolated"), sites=(), severity="critical", opened=YEAR + 100 * DAY, updated=0.0,
        closed=YEAR + 101 * DAY,
    )  # fmt: skip
    acts = [act("maintenance", 10), act("maintenance", 20, hours=10.0, window=2), act("end", 20.125, window=2), act("silence", 30, hours=9)]
    found = excluded_spans(SITES, acts, [blind], [weekly], REACH)
    changes = {
        "na-tau/line/icmp": [
            (YEAR, Belief.OK),
            *(
                (YEAR + day * DAY, Belief.CRIT) if down else (YEAR + day * DAY + 4 * HOUR, Belief.OK)
                for day in (10, 20, 30)
                for down in (1, 0)
            ),
        ],
        "pu-nhi/line/icmp": [(YEAR, Belief.OK)],
    }
    lines = {"na-tau": ["na-tau/line/icmp"], "pu-nhi": ["pu-nhi/line/icmp"]}
    counted = of_sites(lines, changes, [(REACH.since, REACH.until)], REACH.since, REACH.until, excluded=found)
    assert counted["na-tau"].down == pytest.approx(7 * HOUR)  # 2 of day 10, 1 of day 20 (ended early), all 4 of the silenced one
    assert counted["na-tau"].unknown == pytest.approx((24 + 2 + 3 + 52 - 1) * HOUR)  # day 10 is a Sunday
    assert counted["pu-nhi"].unknown == pytest.approx(24 * HOUR)
    assert sum((counted["na-tau"].up, counted["na-tau"].down, counted["na-tau"].unknown)) == pytest.approx(365 * DAY)


def test_maintenance_of_a_device_and_another_uplinks_trouble_are_no_excuse_for_a_site():
    anchors = Incident(id=1, key="a", cause=Cause("uplink", "anchors"), sites=(), severity="info", opened=YEAR, updated=YEAR)
    assert excluded_spans(SITES, [act("maintenance", 3, matcher="na-tau/router")], [anchors], [], REACH) == {"na-tau": [], "pu-nhi": []}


def test_work_on_one_of_two_lines_is_that_line_s_and_the_site_s_only_while_it_is_on_both():
    two = inventory("na-tau", lines=("main", "backup")).sites["na-tau"]
    acts = [
        act("maintenance", 3, hours=4.0, matcher="na-tau/main"),
        act("maintenance", 3.125, hours=4.0, matcher="na-tau/backup", window=2),
    ]
    found = exclusions(acts, [], [], REACH)
    begins = YEAR + 3 * DAY
    assert work_spans(two, found, "main") == [(begins, begins + 4 * HOUR)]
    assert work_spans(two, found, "backup") == [(begins + 3 * HOUR, begins + 7 * HOUR)]
    assert work_spans(two, found) == [(begins + 3 * HOUR, begins + 4 * HOUR)]
    one = inventory("na-tau").sites["na-tau"]
    assert work_spans(one, exclusions([act("maintenance", 3, matcher="na-tau/line")], [], [], REACH)) == [(begins, begins + 2 * HOUR)]


def test_what_is_listed_is_cut_to_the_window_and_in_order_and_says_who_and_why():
    weekly = Maintenance(id="weekly", matcher="na-tau", weekdays=(3,), from_minute=23 * 60, minutes=120, note="Thay pin")
    blind = Incident(id=1, key="u", cause=Cause("uplink", "isolated"), sites=(), severity="critical", opened=YEAR - DAY, updated=0.0)
    day = Reach(YEAR, YEAR + DAY, ZONE)  # a Thursday
    found = exclusions([act("maintenance", -2, hours=24.0), act("maintenance", 0.5, hours=99.0, window=2)], [blind], [weekly], day)
    assert [(one.since - YEAR, one.until - YEAR, one.matcher, one.who, one.note) for one in found] == [
        (0, DAY, "", "", ""),
        (DAY / 2, DAY, "na-tau", "x", "x"),
        (23 * HOUR, DAY, "na-tau", "", "Thay pin"),
    ]


@given(spans, spans, spans, spans)
def test_an_account_adds_up_to_its_window(down, watched, works, blind):
    changes = [(moment, belief) for span in sorted(down) for moment, belief in ((span[0], Belief.CRIT), (max(span), Belief.OK))]
    counted = of_sites({"s": ["c"]}, {"c": sorted(changes, key=lambda one: one[0])}, watched, 10.0, 90.0, excluded={"s": [*works, *blind]})
    found = account(counted["s"], works, blind, 10.0, 90.0)
    assert min(found.up, found.down, found.maintenance, found.isolated, found.unwatched) >= 0
    assert found.up + found.down + found.maintenance + found.isolated + found.unwatched == pytest.approx(80)
    assert (found.up, found.down) == (counted["s"].up, counted["s"].down)


def test_what_is_both_work_and_our_own_trouble_is_counted_once():
    nothing = of_sites({"s": []}, {}, [], 0.0, 100.0)["s"]
    assert account(nothing, [(0.0, 30.0)], [(20.0, 60.0)], 0.0, 100.0) == Account(up=0, down=0, maintenance=30, isolated=30, unwatched=40)


@example([(50.0, 60.0)], [(0.0, 10.0)], 20)
@given(spans, spans, st.integers(0, 100))
def test_what_is_left_is_what_is_in_the_one_and_not_in_the_other(watched, excluded, moment):
    def inside(found):
        return any(began <= moment + 0.5 < ended for began, ended in found)

    assert inside(without(watched, excluded)) == (inside(watched) and not inside(excluded))


@given(
    st.sets(st.integers(0, 6), min_size=1), st.integers(0, 1_439), st.integers(1, 7 * 1_440), st.floats(0, 400 * DAY, allow_subnormal=False)
)
def test_the_occurrences_of_planned_work_agree(weekdays, begins, minutes, later):
    planned = Maintenance(id="x", matcher="na-tau", weekdays=tuple(weekdays), from_minute=begins, minutes=minutes)
    wall = YEAR + later
    coming = next_occurrence(planned, wall, ZONE)
    assert wall < coming[1]
    assert coming in occurrences(planned, wall, coming[0] + 1, ZONE)
    under_way = occurrence(planned, wall, ZONE)
    assert (under_way is not None) == any(began <= wall < ended for began, ended in occurrences(planned, wall, wall + 1, ZONE))
