from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from netwatch.causes import AGAINST, LEAST, OTHERWISE, RANKS, explain

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


def by_trying_all(began, bearers, stands):
    """The same rules, with nothing remembered: every tag is weighed anew for each group."""
    left, found = dict(began), []
    while len(left) > 1:
        weighed = [one for tag, units in bearers.items() if (one := weigh(tag, units, left, began, stands))]
        if not weighed:
            break
        _, tag, parts, failed, standing = min(weighed, key=lambda one: one[0])
        found.append((tag, parts, failed, standing))
        left = {part: at for part, at in left.items() if part not in parts}
    return found


def weigh(tag, units, left, began, stands):
    least, share = LEAST.get(tag[0], OTHERWISE)
    failing = sorted((max(left[part] for part in parts), unit) for unit, parts in units.items() if all(part in left for part in parts))
    runs = []
    for at, unit in failing:
        if runs and at - runs[-1][-1][0] <= 120.0:
            runs[-1].append((at, unit))
        else:
            runs.append([(at, unit)])
    together = [unit for _, unit in max(reversed(runs), key=len)] if runs else []
    parts = tuple(part for unit in together for part in units[unit])
    standing = sum(any(part not in began and part in stands for part in parts) for parts in units.values())
    if len(failing) < least or len({owner(part) for part in parts}) < least or len(together) < share * (len(together) + standing):
        return None
    return (AGAINST * standing - len(together), RANKS.get(tag[0], 0), len(units)), tag, parts, len(together), standing


PAIRS = [f"site-{number}/{line}/icmp" for number in range(6) for line in ("main", "backup")]
PLACES = st.sets(st.integers(0, 5)).map(lambda places: {f"site-{n}": (PAIRS[2 * n], PAIRS[2 * n + 1]) for n in sorted(places)})
SHARED = st.one_of(PLACES, st.sets(st.sampled_from(PAIRS)).map(lambda lines: units(*sorted(lines))))


@given(
    st.dictionaries(st.sampled_from(PAIRS), st.sampled_from([0.0, 50.0, 130.0, 400.0]), max_size=12),
    st.dictionaries(TAGS, SHARED, max_size=6),
    st.sets(st.sampled_from(PAIRS)),
)
@settings(deadline=None, max_examples=300)
def test_remembering_what_tags_explained_finds_what_weighing_them_all_anew_would(began, bearers, stand):
    found = explain(began, bearers, stand.__contains__, owner, window_seconds=120.0)
    shared = [(group.tag, group.parts, group.failed, group.standing) for group in found if group.tag is not None]
    assert shared == by_trying_all(began, bearers, stand)
