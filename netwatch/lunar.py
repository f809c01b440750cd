"""Days of the Vietnamese lunar calendar, for holidays: mồng 1 Tết, Giỗ Tổ. Pure.

Reckoned as the calendar is defined: months begin on the day of the new moon at 105° E (UTC+7), the month of the winter solstice
is the eleventh, and in a year of thirteen months the first one without a principal term is the leap month. New moons and the
sun's longitude after Jean Meeus, Astronomical Formulae for Calculators (1979), ch. 32, and Astronomical Algorithms (1998), ch. 25.
"""

from __future__ import annotations

import datetime as dt
import math
from functools import lru_cache

__all__ = ["solar_date"]

ZONE_DAYS = 7 / 24  # UTC+7
MONTH_DAYS = 29.530588853
EPOCH = 2415021.076998695  # the new moon numbered 0, Julian days
ORDINAL = 1_721_425  # Julian day number of the day before 0001-01-01


@lru_cache(maxsize=512)
def solar_date(year: int, month: int, day: int) -> dt.date:
    """The day that is this one in the lunar year that begins in `year`; never one of a leap month. Right for 1900 to 2100.

    Day 30 of a month of 29 days is the first of the next.
    """
    first = year if month >= 11 else year - 1
    begins, ends = _eleventh(first), _eleventh(first + 1)
    number, months = _number(begins), (month - 11) % 12
    if ends - begins > 365 and months >= _leap(number):
        months += 1
    return dt.date.fromordinal(_new_moon_day(number + months) + day - 1 - ORDINAL)


def _number(day: int) -> int:
    return math.floor(0.5 + (day - EPOCH) / MONTH_DAYS)


def _eleventh(year: int) -> int:
    """The day that the month of the winter solstice begins on."""
    number = math.floor((dt.date(year, 12, 31).toordinal() + ORDINAL - 2_415_021) / MONTH_DAYS)
    day = _new_moon_day(number)
    return day if _term(day) < 9 else _new_moon_day(number - 1)


def _leap(number: int) -> int:
    """How many months after the eleventh, numbered `number`, the leap month comes."""
    terms = [_term(_new_moon_day(number + months)) for months in range(15)]
    return next(months for months in range(1, 14) if terms[months] == terms[months + 1])


def _new_moon_day(number: int) -> int:
    """Julian day number of the local day that a new moon falls on."""
    century = number / 1236.85
    square, cube = century**2, century**3
    sun = math.radians(359.2242 + 29.10535608 * number - 0.0000333 * square - 0.00000347 * cube)
    moon = math.radians(306.0253 + 385.81691806 * number + 0.0107306 * square + 0.00001236 * cube)
    node = math.radians(21.2964 + 390.67050646 * number - 0.0016528 * square - 0.00000239 * cube)
    mean = 2415020.75933 + 29.53058868 * number + 0.0001178 * square - 0.000000155 * cube
    mean += 0.00033 * math.sin(math.radians(166.56 + 132.87 * century - 0.009173 * square))
    true = (0.1734 - 0.000393 * century) * math.sin(sun) + 0.0021 * math.sin(2 * sun)
    true += -0.4068 * math.sin(moon) + 0.0161 * math.sin(2 * moon) - 0.0004 * math.sin(3 * moon)
    true += 0.0104 * math.sin(2 * node) - 0.0051 * math.sin(sun + moon) - 0.0074 * math.sin(sun - moon)
    true += 0.0004 * math.sin(2 * node + sun) - 0.0004 * math.sin(2 * node - sun)
    true += -0.0006 * math.sin(2 * node + moon) + 0.0010 * math.sin(2 * node - moon) + 0.0005 * math.sin(2 * moon + sun)
    dynamical = -0.000278 + 0.000265 * century + 0.000262 * square  # from dynamical to universal time
    return math.floor(mean + true - dynamical + 0.5 + ZONE_DAYS)


def _term(day: int) -> int:
    """The sun's longitude at the beginning of a local day, in twelfths of the circle from the spring equinox."""
    century = (day - 0.5 - ZONE_DAYS - 2451545.0) / 36525
    anomaly = math.radians(357.52910 + 35999.05030 * century - 0.0001559 * century**2)
    longitude = 280.46645 + 36000.76983 * century + 0.0003032 * century**2
    longitude += (1.914600 - 0.004817 * century) * math.sin(anomaly)
    longitude += (0.019993 - 0.000101 * century) * math.sin(2 * anomaly) + 0.000290 * math.sin(3 * anomaly)
    return math.floor(longitude % 360 / 30)
