"""What people write after `--since`."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch.cli._since import NoMoment, since
from netwatch.lang.writing import VIETNAM

NOW = dt.datetime(2026, 11, 24, 2, 47, 10, tzinfo=VIETNAM)


def at(*parts):
    return dt.datetime(*parts, tzinfo=VIETNAM)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("8h", at(2026, 11, 23, 18, 47, 10)),
        ("1d12h", at(2026, 11, 22, 14, 47, 10)),
        ("45s", at(2026, 11, 24, 2, 46, 25)),
        ("3660d", at(2016, 11, 16, 2, 47, 10)),
        ("24/11", at(2026, 11, 24)),
        ("02:47:10", at(2026, 11, 24, 2, 47, 10)),
        ("90m", at(2026, 11, 24, 1, 17, 10)),
        ("30 phút", at(2026, 11, 24, 2, 17, 10)),
        ("2 giờ trước", at(2026, 11, 24, 0, 47, 10)),
        ("1 ngày 2 giờ", at(2026, 11, 23, 0, 47, 10)),
        ("2 d ago", at(2026, 11, 22, 2, 47, 10)),
        ("2026-11-24T02:00", at(2026, 11, 24, 2)),
        ("2026-11-24 02:00:30", at(2026, 11, 24, 2, 0, 30)),
        ("2026-11-23", at(2026, 11, 23)),
        ("2026-11-23T22:00:00Z", at(2026, 11, 24, 5)),
        ("2026-11-23T22:00:00+07:00", at(2026, 11, 23, 22)),
        ("02:00", at(2026, 11, 24, 2)),
        ("22:00", at(2026, 11, 23, 22)),
        ("0h", at(2026, 11, 24)),
        ("7h30", at(2026, 11, 23, 7, 30)),
        ("hôm qua 22:00", at(2026, 11, 23, 22)),
        ("22:00 hôm qua", at(2026, 11, 23, 22)),
        ("Hôm Qua lúc 22h", at(2026, 11, 23, 22)),
        ("hom qua 22:00", at(2026, 11, 23, 22)),
        ("hôm kia", at(2026, 11, 22)),
        ("hôm nay", at(2026, 11, 24)),
        ("yesterday 22:00", at(2026, 11, 23, 22)),
        ("today", at(2026, 11, 24)),
        ("20/11 07:30", at(2026, 11, 20, 7, 30)),
        ("25/12", at(2025, 12, 25)),
        ("1/7/2025 00:00", at(2025, 7, 1)),
    ],
)
def test_moments_as_people_write_them(text, moment):
    assert since(text, NOW) == moment.timestamp()


@pytest.mark.parametrize(
    "text", ["", " ", "8", "8x", "-8h", "soon", "25:00", "31/2", "2026-13-01", "hôm qua hôm kia", "99999999h", "999999d"]
)
def test_what_is_no_moment_is_refused(text):
    with pytest.raises(NoMoment):
        since(text, NOW)


@given(st.text(max_size=30))
def test_any_text_is_a_moment_or_is_refused(text):
    try:
        since(text, NOW)
    except NoMoment:
        return


@given(st.floats(6e8, 4e9).map(round), st.integers(-12, 14))
def test_rfc_3339_means_what_it_says(wall, hours):
    written = dt.datetime.fromtimestamp(wall, dt.timezone(dt.timedelta(hours=hours))).isoformat()
    assert since(written, NOW) == wall


@given(st.integers(1, 99), st.integers(1, 59))
def test_parts_add_up(hours, minutes):
    assert since(f"{hours}h{minutes}m", NOW) == pytest.approx(NOW.timestamp() - hours * 3600 - minutes * 60)


@given(st.times(), st.integers(0, 23))
def test_a_clock_alone_is_never_in_the_future_and_at_most_a_day_ago(clock, hour):
    now = NOW.replace(hour=hour)
    assert 0 <= now.timestamp() - since(f"{clock:%H:%M}", now) < 86_400
