import datetime as dt
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from netwatch.model import Maintenance
from netwatch.windows import occurrence

VIETNAM = ZoneInfo("Asia/Ho_Chi_Minh")


def at(text, zone=VIETNAM):
    return dt.datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


NIGHT = Maintenance(id="1", matcher="site=a", weekdays=(4,), from_minute=22 * 60, minutes=8 * 60)  # Friday 22:00 to Saturday 06:00


def test_a_weekly_window_goes_on_past_midnight_by_local_time():
    begins, ends = at("2026-11-27 22:00"), at("2026-11-28 06:00")
    assert occurrence(NIGHT, begins, VIETNAM) == (begins, ends)
    assert occurrence(NIGHT, ends - 1, VIETNAM) == (begins, ends)
    assert occurrence(NIGHT, ends, VIETNAM) is None
    assert occurrence(NIGHT, begins - 1, VIETNAM) is None


def test_a_window_that_is_once_is_once():
    once = Maintenance(id="1", matcher="site=a", starts=100.0, ends=200.0)
    assert [occurrence(once, wall, VIETNAM) for wall in (99.0, 100.0, 199.9, 200.0)] == [None, (100.0, 200.0), (100.0, 200.0), None]


def test_a_window_begins_at_its_hour_on_the_day_the_clocks_change():
    berlin = ZoneInfo("Europe/Berlin")
    sunday = Maintenance(id="1", matcher="site=a", weekdays=(6,), from_minute=60, minutes=4 * 60)
    begins = at("2026-03-29 01:00", berlin)
    assert occurrence(sunday, begins + 60, berlin) == (begins, begins + 4 * 3600)


@given(
    st.integers(0, 2_000_000_000),
    st.sets(st.integers(0, 6), min_size=1),
    st.integers(0, 1_439),
    st.integers(1, 1_440),
)
def test_an_occurrence_holds_the_moment_it_was_asked_for(wall, weekdays, from_minute, minutes):
    planned = Maintenance(id="1", matcher="site=a", weekdays=tuple(sorted(weekdays)), from_minute=from_minute, minutes=minutes)
    found = occurrence(planned, float(wall), VIETNAM)
    if found is None:
        return
    assert found[0] <= wall < found[1]
    begins = dt.datetime.fromtimestamp(found[0], VIETNAM)
    assert begins.weekday() in weekdays
    assert begins.hour * 60 + begins.minute == from_minute
