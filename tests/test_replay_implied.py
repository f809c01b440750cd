"""What changes of belief imply: played to the state machine, the implied runs make the same changes again."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from netwatch import state
from netwatch.memory import Memory
from netwatch.model import Belief, Check, Outcome, Result
from netwatch.replay._implied import implied
from netwatch.replay._spans import around, clipped, holds, merged
from probes.icmp import Icmp

UNTIL = 4_000.0


def check(attempts, hard_after_seconds):
    return Check(
        id="a/main/icmp",
        site="a",
        target="main",
        name="icmp",
        kind="icmp",
        probe=Icmp(),
        address="127.0.0.1",
        interval_seconds=10.0,
        timeout_seconds=2.0,
        retry_seconds=1.0,
        attempts=attempts,
        hard_after_seconds=hard_after_seconds,
    )


def observed(of, results):
    memory, found = Memory(), []
    for one in results:
        memory, transitions = state.observe(of, memory, one)
        found += transitions
    return found


def lived(of, outcomes):
    """A run every second or two, each of a tenth of a second."""
    at = 10.0
    for outcome, pause in outcomes:
        code = {"ok": "", "failed": "timeout", "error": "EMFILE"}[outcome]
        yield Result(check=of.id, at=at, wall=at, duration_seconds=0.1, outcome=outcome, code=code)
        at += pause


@given(
    st.builds(check, st.integers(1, 4), st.sampled_from([0.0, 3.0, 9.0])),
    st.lists(
        st.tuples(st.sampled_from([Outcome.OK, Outcome.OK, Outcome.FAILED, Outcome.FAILED, Outcome.ERROR]), st.sampled_from([1.0, 2.0])),
        max_size=60,
    ),
    st.lists(st.floats(0, 200), max_size=3),
)
def test_implied_runs_make_the_changes_that_implied_them(of, outcomes, moments):
    changes = observed(of, lived(of, outcomes))
    runs = sorted(implied(of, changes, 5.0, UNTIL, around(moments, 30.0, 60.0)), key=lambda run: run.wall)
    again = observed(
        of,
        (
            Result(check=of.id, at=run.wall, wall=run.wall, duration_seconds=run.duration_seconds, outcome=run.outcome, code=run.code)
            for run in runs
        ),
    )
    assert [(one.new, one.hard) for one in again if one.old is not Belief.UNKNOWN or one.new is not Belief.OK] == [
        (one.new, one.hard) for one in changes if one.old is not Belief.UNKNOWN or one.new is not Belief.OK
    ]
    walls = {(one.new, one.hard, round(one.wall, 3)) for one in again}
    assert all((one.new, one.hard, round(one.wall, 3)) in walls for one in changes if one.hard and one.new is Belief.CRIT)


def test_what_goes_on_failing_is_said_seldom_and_often_near_a_change():
    of = check(1, 0.0)
    [down] = observed(of, lived(of, [(Outcome.FAILED, 1.0)]))
    far = [run.wall for run in implied(of, [down], 0.0, UNTIL, ())]
    assert 10 < len(far) < 20
    near = [run.wall for run in implied(of, [down], 0.0, UNTIL, ((1_000.0, 1_100.0),))]
    assert sum(1_000 <= wall <= 1_100 for wall in near) == 10


SPANS = st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)).map(sorted).map(tuple), max_size=12)


@given(SPANS, st.floats(0, 100))
def test_merged_spans_hold_what_any_of_them_held(spans, moment):
    found = merged(spans)
    assert all(before[1] < after[0] for before, after in itertools.pairwise(found))
    inside = any(begins < moment < ends for begins, ends in spans)
    assert holds(found, moment) or not inside
    assert not holds(found, moment) or any(begins <= moment <= ends for begins, ends in spans)


@given(SPANS, st.floats(0, 100), st.floats(0, 100))
def test_clipped_spans_stay_inside(spans, one, other):
    since, until = sorted((one, other))
    assert all(since <= begins <= ends <= until for begins, ends in clipped(merged(spans), since, until))
