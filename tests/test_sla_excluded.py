"""What does not count in the SLA: maintenance, and the time when it was us who were cut off."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch.model import Belief, Cause, Human, Incident, Maintenance
from netwatch.sla import Reach, excluded_spans, of_sites, without
from netwatch.windows import next_occurrence, occurrence, occurrences
from tests.worlds import inventory

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
YEAR = dt.datetime(2026, 1, 1, tzinfo=ZONE).timestamp()
HOUR, DAY = 3_600.0, 86_400.0
REACH = Reach(YEAR, YEAR + 365 * DAY, ZONE)
SITES = inventory("na-tau", "pu-nhi").sites
spans = st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)).map(lambda pair: tuple(map(float, pair))), max_size=6)


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
