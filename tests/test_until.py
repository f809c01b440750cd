"""Moments to come, as people write them."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch.cli._until import NoMoment, length_seconds, until

NOW = dt.datetime(2026, 11, 24, 15, 30, tzinfo=ZoneInfo("Asia/Ho_Chi_Minh"))


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("45m", "2026-11-24T16:15"),
        ("2 giờ 30 phút", "2026-11-24T18:00"),
        ("2h", "2026-11-24T17:30"),
        ("16:30", "2026-11-24T16:30"),
        ("15:30", "2026-11-25T15:30"),
        ("07:00", "2026-11-25T07:00"),
        ("16h30", "2026-11-24T16:30"),
        ("mai 07:00", "2026-11-25T07:00"),
        ("22h hôm nay", "2026-11-24T22:00"),
        ("1/1 06:00", "2027-01-01T06:00"),
        ("25/11/2026 06:00", "2026-11-25T06:00"),
        ("2026-11-25T08:00", "2026-11-25T08:00"),
    ],
)
def test_a_moment_to_come(text, moment):
    assert dt.datetime.fromtimestamp(until(text, NOW), NOW.tzinfo).isoformat(timespec="minutes") == f"{moment}+07:00"


@pytest.mark.parametrize("text", ["", "2", "bao giờ", "25:00", "31/2 08:00", "0m", "9999999h", "-5m", "mai"])
def test_what_is_no_moment(text):
    with pytest.raises(NoMoment):
        until(text, NOW)


@given(st.text(max_size=40))
def test_any_text_is_a_finite_moment_or_none(text):
    for read in (lambda: until(text, NOW), lambda: length_seconds(text)):
        try:
            assert abs(read()) < 1e12
        except NoMoment:
            continue
