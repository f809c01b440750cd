"""Seconds up, down and unknown, from what was believed of a site's lines."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch.model import Belief
from netwatch.sla import Availability, availability, hard_changes

OK, CRIT, UNKNOWN, WARN = Belief.OK, Belief.CRIT, Belief.UNKNOWN, Belief.WARN
ALWAYS = [(0.0, 1_000.0)]


def test_a_site_is_down_only_while_every_line_is():
    first = [(0.0, OK), (100.0, CRIT), (300.0, OK)]
    second = [(0.0, OK), (200.0, CRIT), (400.0, OK)]
    assert availability([first, second], ALWAYS, 0, 1_000) == Availability(up=900, down=100, unknown=0)
    assert availability([first], ALWAYS, 0, 1_000) == Availability(up=800, down=200, unknown=0)


def test_what_began_before_the_window_counts_from_its_start_and_what_lasts_to_its_end():
    assert availability([[(0.0, OK), (50.0, CRIT)]], ALWAYS, 100, 200) == Availability(down=100)
    assert availability([[(0.0, OK), (150.0, CRIT), (250.0, OK)]], ALWAYS, 100, 200) == Availability(up=50, down=50)


def test_a_line_nobody_has_heard_of_is_unknown_and_one_good_line_is_enough():
    assert availability([[]], ALWAYS, 0, 100) == Availability(unknown=100)
    assert availability([], ALWAYS, 0, 100) == Availability(unknown=100)
    assert availability([[(0.0, CRIT)], []], ALWAYS, 0, 100) == Availability(unknown=100)
    assert availability([[(0.0, WARN)], [(0.0, CRIT)]], ALWAYS, 0, 100) == Availability(up=100)
    assert availability([[(0.0, UNKNOWN)], [(0.0, OK)]], ALWAYS, 0, 100) == Availability(up=100)


def test_time_in_which_netwatch_did_not_run_is_no_part_of_the_base():
    watched = [(0.0, 100.0), (50.0, 120.0), (500.0, 600.0), (700.0, 650.0)]
    found = availability([[(0.0, OK), (510.0, CRIT)]], watched, 0, 1_000)
    assert found == Availability(up=130, down=90, unknown=780)
    assert found.ratio == pytest.approx(130 / 220)
    assert Availability(unknown=5).ratio is None
    assert Availability(up=0.25, down=0.25).ratio == 0.5


@pytest.mark.parametrize(("last", "expected"), [(OK, Availability(up=100)), (CRIT, Availability(down=100))])
def test_of_two_changes_at_the_same_moment_the_later_told_holds(last, expected):
    first = OK if last is CRIT else CRIT
    assert availability([[(0.0, first), (0.0, last)]], ALWAYS, 0, 100) == expected


def test_only_what_is_settled_counts_from_when_it_began():
    told = [(10.0, OK, True), (100.0, CRIT, False), (100.0, CRIT, True), (300.0, CRIT, True), (290.0, OK, True), (400.0, CRIT, False)]
    assert hard_changes(told) == [(10.0, OK), (100.0, CRIT), (290.0, OK)]
    assert hard_changes([(200.0, CRIT, True), (150.0, OK, True)]) == [(200.0, CRIT), (200.0, OK)]


MOMENTS = st.floats(0, 1_000)
CHANGES = st.lists(st.tuples(MOMENTS, st.sampled_from(list(Belief))), max_size=8).map(lambda found: sorted(found, key=lambda one: one[0]))
SPANS = st.lists(st.tuples(MOMENTS, MOMENTS), max_size=5)


def believed(changes, moment):
    return next((belief for wall, belief in reversed(changes) if wall <= moment), UNKNOWN)


@given(st.lists(CHANGES, min_size=1, max_size=3), SPANS, MOMENTS, MOMENTS)
def test_the_parts_are_the_whole_and_agree_with_asking_moment_by_moment(lines, watched, first, second):
    since, until = min(first, second), max(first, second)
    found = availability(lines, watched, since, until)
    assert found.up + found.down + found.unknown == pytest.approx(until - since, abs=1e-6)
    edges = sorted({since, until, *(wall for line in lines for wall, _ in line), *(edge for span in watched for edge in span)})
    expected = {OK: 0.0, CRIT: 0.0, UNKNOWN: 0.0}
    for start, end in itertools.pairwise(edges):
        if start < since or end > until:
            continue
        beliefs = [believed(line, start) for line in lines]
        state = OK if {OK, WARN} & set(beliefs) else CRIT if set(beliefs) == {CRIT} else UNKNOWN
        seen = any(began <= start and end <= ended for began, ended in watched)
        expected[state if seen else UNKNOWN] += end - start
    assert (found.up, found.down, found.unknown) == pytest.approx(tuple(expected.values()), abs=1e-6)
