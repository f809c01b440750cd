"""Days of the Vietnamese lunar calendar, against published dates."""

import datetime as dt
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch.lunar import solar_date

# Mồng 1 Tết as celebrated or as published in calendars. 1968, 1985, 2007 and 2030 are a day or a month ahead of the Chinese calendar.
NEW_YEARS = [
    "1968-01-29",
    "1985-01-21",
    "2000-02-05",
    "2007-02-17",
    "2019-02-05",
    "2020-01-25",
    "2021-02-12",
    "2022-02-01",
    "2023-01-22",
    "2024-02-10",
    "2025-01-29",
    "2026-02-17",
    "2027-02-06",
    "2028-01-26",
    "2029-02-13",
    "2030-02-02",
]
ANCESTORS = [
    "2020-04-02",
    "2021-04-21",
    "2022-04-10",
    "2023-04-29",
    "2024-04-18",
    "2025-04-07",
    "2026-04-26",
]  # Giỗ Tổ Hùng Vương, 10 of the third


@pytest.mark.parametrize("day", NEW_YEARS)
def test_the_new_year_falls_on_the_published_day(day):
    assert solar_date(int(day[:4]), 1, 1).isoformat() == day


@pytest.mark.parametrize("day", ANCESTORS)
def test_the_day_of_the_ancestors_falls_on_the_published_day_after_a_leap_month_too(day):
    assert solar_date(int(day[:4]), 3, 10).isoformat() == day


@given(st.integers(1950, 2090))
def test_months_have_29_or_30_days_and_a_year_12_or_13_months(year):
    starts = [solar_date(year, month, 1) for month in range(1, 13)] + [solar_date(year + 1, 1, 1)]
    lengths = [(after - before).days for before, after in itertools.pairwise(starts)]
    assert sum(length in {29, 30} for length in lengths) >= 11
    assert all(length in {29, 30, 58, 59, 60} for length in lengths), "58 to 60 with its leap month"
    assert sum(lengths) in {353, 354, 355, 383, 384, 385}
    assert dt.date(year, 1, 20) <= starts[0] <= dt.date(year, 2, 21)
    assert solar_date(year, 11, 1) <= dt.date(year, 12, 22) < solar_date(year, 12, 1) + dt.timedelta(days=2), "the month of the solstice"
