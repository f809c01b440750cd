"""Numbers, times and strangers' texts, as a person reads them."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch.lang import catalog, writing

VI, EN = catalog("vi"), catalog("en")
NIGHT = 1795463230.0  # 2026-11-24 02:47:10 at +07:00


@given(st.text(max_size=2000), st.integers(min_value=1, max_value=300))
def test_a_cleaned_text_is_one_bounded_line_without_control_or_direction_characters(text, limit):
    cleaned = writing.clean(text, limit)
    assert len(cleaned) <= limit
    assert all(unicodedata.category(letter) not in writing.HARMFUL for letter in cleaned)
    assert cleaned.isprintable()
    assert writing.clean(cleaned, limit) == cleaned


def test_vietnamese_survives_cleaning_and_is_composed():
    assert writing.clean(unicodedata.normalize("NFD", "Điện Biên Phủ")) == "Điện Biên Phủ"


def test_escape_sequences_and_turned_text_do_not_reach_a_terminal():
    assert writing.clean("\x1b[31mred\x1b[0m \u202eevil\nsecond\x00") == "[31mred[0m evil second"


@pytest.mark.parametrize(
    ("value", "decimals", "vietnamese", "english"),
    [(1204.5, 1, "1.204,5", "1,204.5"), (0.0, 1, "0,0", "0.0"), (-0.04, 1, "0,0", "0.0"), (float("nan"), 1, "–", "–")],
)
def test_vietnamese_numbers_have_a_decimal_comma(value, decimals, vietnamese, english):
    assert writing.number(value, decimals, VI) == vietnamese
    assert writing.number(value, decimals, EN) == english


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.000_028, "0,03 ms"),
        (0.0, "0,0 ms"),
        (0.000_84, "0,8 ms"),
        (0.0118, "12 ms"),
        (0.9999, "1,0 s"),
        (0.34, "340 ms"),
        (1.25, "1,2 s"),
        (12.0, "12 s"),
    ],
)
def test_a_round_trip_has_as_many_figures_as_a_person_needs(value, text):
    assert writing.seconds(value, VI) == text


@pytest.mark.parametrize(
    ("ratio", "text"), [(0.032, "3,2%"), (0.0, "0%"), (1.0, "100%"), (0.12, "12%"), (0.0996, "10%"), (0.07, "7%"), (0.999, "99,9%")]
)
def test_a_ratio_is_written_as_per_cent(ratio, text):
    assert writing.percent(ratio, VI) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 giây"), (59.9, "59 giây"), (60, "1 phút"), (7500, "2 giờ 5 phút"), (7200, "2 giờ"), (86400 * 3 + 60, "3 ngày"), (-5, "0 giây")],
)
def test_an_age_has_at_most_two_units(value, text):
    assert writing.age(value, VI) == text


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_every_float_can_be_written(value):
    for words in (VI, EN):
        assert writing.age(value, words)
        assert writing.seconds(value, words)
        assert writing.percent(value, words)
        assert writing.bits_per_second(value, words)


def test_today_needs_no_date_and_another_year_does():
    assert writing.clock(NIGHT, NIGHT + 3600, VI) == "02:47"
    assert writing.clock(NIGHT, NIGHT + 86400, VI) == "24/11 02:47"
    assert writing.clock(NIGHT, NIGHT + 86400 * 60, VI) == "24/11/2026 02:47"
    assert writing.clock(NIGHT, NIGHT + 86400, EN) == "2026-11-24 02:47"
    assert writing.clock_or_day(NIGHT, NIGHT + 86400, VI) == "24/11"
    assert writing.clock_or_day(NIGHT, NIGHT, EN) == "02:47"


def test_midnight_is_that_of_the_reader_and_not_of_utc():
    evening = NIGHT - 3 * 3600  # 23:47:10 the day before, the same UTC day
    assert writing.clock(evening, NIGHT, VI) == "23/11 23:47"


def test_machines_get_the_offset():
    assert writing.rfc3339(NIGHT) == "2026-11-24T02:47:10.000+07:00"


def test_contract_rates_are_read_as_written_in_the_contract():
    assert writing.bits_per_second(100e6, VI) == "100 Mbps"
    assert writing.bits_per_second(64.3e6, VI) == "64,3 Mbps"
    assert writing.bits_per_second(950.0, VI) == "950 bps"
