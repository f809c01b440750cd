"""Quantities as people write them, and names as they become ids."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch.inventory._communes import slug
from netwatch.inventory._units import WrongUnit, duration, rate, ratio, threshold
from netwatch.lang import fold


def test_units_are_read_as_people_write_them():
    assert [duration(text) for text in ("5s", "1d12h", "2 m", "250ms", "1.5h")] == [5, 129_600, 120, 0.25, 5400]
    assert [rate(text) for text in ("100 Mbps", "100Mbps", "1 Gbps", "512 kbps", "100 Mbit/s", "100 mbps")] == [
        1e8,
        1e8,
        1e9,
        512e3,
        1e8,
        1e8,
    ]
    assert [ratio(value) for value in ("15%", 0.15, 1, 0)] == [0.15, 0.15, 1, 0]
    assert [threshold(value) for value in ("15%", 0.5, "10m", -3)] == [0.15, 0.5, 600, -3]


@pytest.mark.parametrize("parse", [duration, rate, ratio, threshold])
@given(
    value=st.text(max_size=20)
    | st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.from_regex(r"\d{0,3}[.,]?\d{0,2} ?(ms|s|%|Mbps|MB/s)?", fullmatch=True)
)
def test_a_quantity_is_a_number_or_refused(parse, value):
    with contextlib.suppress(WrongUnit):
        assert isinstance(parse(value), float)


@given(st.integers(1, 400 * 86_400))
def test_a_duration_comes_back_as_it_was_split(seconds):
    minutes, rest = divmod(seconds, 60)
    assert duration((f"{minutes}m" if minutes else "") + (f"{rest}s" if rest else "")) == seconds


@given(st.text(max_size=80))
def test_a_slug_is_a_slug(text):
    found = slug(text)
    assert slug(found) == found
    assert found.isascii()
    assert len(found) <= 63
    assert slug(fold(text)) == found
