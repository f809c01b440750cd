"""What a bucket keeps of its samples, as bytes and back."""

import contextlib
import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch.history._codec import Malformed
from netwatch.history._rollup import Summary, decode, encode, merge, summarize, thin

VALUES = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=40)
KEEPS = st.sampled_from(["smoke", "mean"])


@given(VALUES)
def test_quantiles_lie_in_order_between_the_extremes(values):
    found = summarize(values, "smoke")
    figures = [found.minimum, found.p10, found.median, found.p90, found.p99, found.maximum]
    assert figures == sorted(figures)
    assert (found.counted, found.minimum, found.maximum) == (len(values), min(values), max(values))
    assert found.minimum <= found.mean <= found.maximum


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=60))
def test_quantiles_are_those_of_the_standard_library(values):
    found = summarize(values, "smoke")
    hundredths = statistics.quantiles(values, n=100, method="inclusive")
    assert [found.p10, found.median, found.p90, found.p99] == pytest.approx([hundredths[place - 1] for place in (10, 50, 90, 99)])
    assert found.mean == pytest.approx(statistics.fmean(values))


def test_mean_keeps_no_quantiles_and_nothing_measured_leaves_nothing():
    assert summarize([1.0, 3.0], "mean") == Summary(2, 2.0, 3.0)
    assert summarize([], "smoke") is None
    assert summarize([math.nan, math.inf], "mean") is None
    assert summarize([math.nan, 5.0], "mean") == Summary(1, 5.0, 5.0)


@given(st.dictionaries(st.integers(0, 31), st.tuples(VALUES | st.sampled_from([[0.0], [2.5], [2.5, 2.5]]), KEEPS), max_size=24))
def test_what_is_encoded_is_decoded(buckets):
    summaries = {place: summarize(values, keep) for place, (values, keep) in buckets.items()}
    found = decode(encode(summaries))
    assert found.keys() == summaries.keys()
    for place, summary in summaries.items():
        assert found[place].counted == summary.counted
        assert found[place].mean == pytest.approx(summary.mean, rel=1e-6, abs=1e-37)
        assert found[place].maximum == pytest.approx(summary.maximum, rel=1e-6, abs=1e-37)
        if summary.minimum is not None:
            assert found[place].median == pytest.approx(summary.median, rel=1e-6, abs=1e-37)
            assert found[place].p99 == pytest.approx(summary.p99, rel=1e-6, abs=1e-37)


def test_a_quiet_bucket_costs_three_bytes_a_constant_one_seven_and_a_smoke_of_much_31():
    assert len(encode({5: summarize([0.0] * 9, "mean")})) == 3
    assert len(encode({5: summarize([2.5] * 9, "smoke")})) == 7
    assert len(encode({5: summarize([1.0, 2.0], "mean")})) == 11
    assert len(encode({5: summarize([1.0, 2.0], "smoke")})) == 31
    assert decode(encode({5: summarize([2.5] * 9, "smoke")}))[5] == Summary(9, *(2.5,) * 7)


def test_the_same_in_a_row_is_said_once_unless_something_lies_in_between():
    quiet, constant, loud = summarize([0.0] * 9, "mean"), summarize([2.5] * 9, "mean"), summarize([1.0, 2.0], "mean")
    assert len(encode(dict.fromkeys(range(12), quiet))) == 4
    assert len(encode(dict.fromkeys(range(12), constant))) == 8
    assert len(encode(dict.fromkeys(range(12), loud))) == 12 * 11
    assert len(encode(dict.fromkeys((0, 1, 3, 4), quiet))) == 2 * 4
    mixed = {0: quiet, 1: quiet, 3: quiet, 4: constant, 5: constant, 6: summarize([2.5] * 8, "mean"), 7: loud, 31: quiet}
    assert decode(encode(mixed)).keys() == mixed.keys()
    assert decode(encode(mixed))[6].counted == 8
    with pytest.raises(Malformed):
        decode(bytes((4 << 5 | 30, 9, 0, 3)))


def test_a_count_beyond_two_bytes_and_a_value_beyond_float32_do_not_fail():
    assert decode(encode({0: Summary(70_000, 1.0, 2.0)}))[0].counted == 65_535
    assert decode(encode({0: summarize([1e300], "mean")}))[0].maximum == math.inf


@given(st.binary(max_size=80))
def test_foreign_bytes_are_malformed_or_read_but_never_an_error(records):
    with contextlib.suppress(Malformed):
        decode(records)


@given(st.lists(VALUES, min_size=1, max_size=6))
def test_merged_buckets_agree_with_all_their_values(parts):
    everything = [value for part in parts for value in part]
    merged = merge([summarize(part, "smoke") for part in parts])
    whole = summarize(everything, "smoke")
    assert (merged.counted, merged.maximum, merged.minimum) == (whole.counted, whole.maximum, whole.minimum)
    assert merged.mean == pytest.approx(
        whole.mean, rel=1e-6, abs=1e30 if max(map(abs, everything)) > 1e36 else 1e-3 * (1 + max(map(abs, everything)))
    )
    assert (
        whole.minimum <= merged.median <= whole.maximum
        or merged.median == pytest.approx(whole.minimum)
        or merged.median == pytest.approx(whole.maximum)
    )


def test_a_bucket_without_quantiles_leaves_the_whole_without():
    assert merge([Summary(1, 1.0, 1.0), Summary(3, *(5.0,) * 7)]) == Summary(4, 4.0, 5.0)


def test_buckets_begin_at_multiples_of_their_length():
    runs = [(299.0, (1.0,)), (300.0, (2.0, 4.0)), (599.9, ()), (900.0, (math.nan,)), (1_200.0, (7.0,))]
    assert list(thin(runs, 300, "mean")) == [(0.0, Summary(1, 1.0, 1.0)), (300.0, Summary(2, 3.0, 4.0)), (1_200.0, Summary(1, 7.0, 7.0))]
