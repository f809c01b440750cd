from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from netwatch.causes import explain

RING = ("ring", "tuan-giao")
CARRIER = ("carrier", "vnpt")
FEEDER = ("feeder", "371")
LINES = [f"site-{number}/main/icmp" for number in range(12)]


def owner(part):
    return part.split("/", 1)[0]


def units(*lines):
    return {line: (line,) for line in lines}


def groups(began, bearers, window_seconds=120.0):
    return explain(began, bearers, lambda part: part not in began, owner, window_seconds=window_seconds)


def test_all_of_a_ring_are_one_cause_that_names_it():
    (group,) = groups(dict.fromkeys(LINES[:5], 10.0), {RING: units(*LINES[:5]), CARRIER: units(*LINES)})
    assert (group.tag, set(group.parts), group.standing) == (RING, set(LINES[:5]), 0)
    assert group.confidence > 0.9


def test_bearers_that_stand_speak_against_a_cause():
    (alone,) = groups({LINES[0]: 10.0}, {RING: units(*LINES[:5])})
    assert alone.tag is None
    two_of_twelve = groups(dict.fromkeys(LINES[:2], 10.0), {CARRIER: units(*LINES)})
    assert [group.tag for group in two_of_twelve] == [None, None]


def test_failures_far_apart_in_time_have_nothing_in_common():
    found = groups({LINES[0]: 0.0, LINES[1]: 500.0}, {RING: units(*LINES[:2])})
    assert [group.tag for group in found] == [None, None]


def test_what_failed_long_before_speaks_neither_for_nor_against():
    began = {LINES[0]: 0.0, **dict.fromkeys(LINES[1:5], 500.0)}
    shared, alone = groups(began, {RING: units(*LINES[:5])})
    assert (shared.tag, set(shared.parts), shared.standing) == (RING, set(LINES[1:5]), 0)
    assert alone.parts == (LINES[0],)


def test_the_cause_that_explains_more_wins_and_what_is_left_is_explained_by_itself():
    bearers = {RING: units(*LINES[:3]), ("ring", "b"): units(*LINES[3:6]), CARRIER: units(*LINES[:6])}
    (all_of_it,) = groups(dict.fromkeys(LINES[:6], 1.0), bearers)
    assert all_of_it.tag == CARRIER
    one, other = groups(dict.fromkeys([*LINES[:3], LINES[7]], 1.0), bearers)
    assert (one.tag, other.tag, other.parts) == (RING, None, (LINES[7],))


def test_of_two_tags_that_explain_as_much_the_more_particular_and_bodily_one_is_named():
    olt = ("olt", "2")
    (group,) = groups(dict.fromkeys(LINES[:3], 1.0), {RING: units(*LINES[:5]), olt: units(*LINES[:3]), FEEDER: units(*LINES[:3])})
    assert group.tag == olt


def test_a_site_of_two_lines_is_a_bearer_of_its_feeder_only_when_both_failed():
    both = {"a": ("a/main/icmp", "a/backup/icmp"), "b": ("b/main/icmp",)}
    found = groups({"a/main/icmp": 1.0, "b/main/icmp": 1.0}, {FEEDER: both})
    assert [group.tag for group in found] == [None, None]
    (group,) = groups({"a/main/icmp": 1.0, "a/backup/icmp": 2.0, "b/main/icmp": 1.0}, {FEEDER: both})
    assert (group.tag, group.failed) == (FEEDER, 2)


def test_two_lines_of_one_site_share_no_ring_with_anybody():
    pair = ("a/main/icmp", "a/backup/icmp")
    (group,) = groups(dict.fromkeys(pair, 1.0), {RING: units(*pair)})
    assert (group.tag, set(group.parts)) == (None, set(pair))


TAGS = st.sampled_from([RING, ("ring", "b"), CARRIER, FEEDER, ("district", "x"), ("olt", "1")])


@given(
    st.dictionaries(st.sampled_from(LINES), st.floats(0, 1_000), max_size=12),
    st.dictionaries(TAGS, st.sets(st.sampled_from(LINES), max_size=12).map(lambda lines: units(*sorted(lines))), max_size=6),
)
@settings(deadline=None)
def test_every_failure_is_in_exactly_one_group_whatever_is_shared(began, bearers):
    found = groups(began, bearers)
    assert sorted(part for group in found for part in group.parts) == sorted(began)
    for group in found:
        assert 0.0 <= group.confidence <= 1.0
        if group.tag is not None:
            assert set(group.parts) <= set(bearers[group.tag])
            times = sorted(began[part] for part in group.parts)
            assert all(later - earlier <= 120.0 for earlier, later in pairwise(times))
