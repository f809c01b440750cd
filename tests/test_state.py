from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch import memory as remembered
from netwatch import state
from netwatch.memory import ANSWERS, Memory, SubjectMemory
from netwatch.model import Belief, Outcome, Result, Rule, Sample, State
from tests.worlds import WALL, check

LINE = check("na-tau/line/icmp", interval=5.0)
outcomes = st.lists(st.sampled_from(list(Outcome)), max_size=60)


def result(at, outcome, samples=(), reason="schedule", duration=0.5):
    return Result(check=LINE.id, at=at, wall=WALL + at, duration_seconds=duration, outcome=outcome, samples=tuple(samples), reason=reason)


def feed(item, results, memory=None):
    memory, transitions = memory or Memory(), []
    for one in results:
        memory, more = state.observe(item, memory, one)
        transitions += more
    return memory, transitions


def at_each_second(said, start=0.0):
    return [result(start + n, outcome) for n, outcome in enumerate(said)]


OK, FAILED, ERROR = Outcome.OK, Outcome.FAILED, Outcome.ERROR


def test_one_lost_run_is_soft_and_shown_as_before():
    memory, transitions = feed(LINE, at_each_second([OK, FAILED]))
    assert (memory.answers.belief, memory.answers.hard) == (Belief.CRIT, False)
    assert state.shown(memory.answers) is State.OK
    assert [(t.old, t.new, t.hard) for t in transitions] == [(Belief.UNKNOWN, Belief.OK, True), (Belief.OK, Belief.CRIT, False)]


def test_hard_only_after_nine_seconds_of_continuous_loss():
    memory, _ = feed(LINE, at_each_second([OK] + [FAILED] * 9))
    assert not memory.answers.hard  # the ninth loss was sent 8 s after the first and ended at 8.5 s
    memory, transitions = feed(LINE, at_each_second([FAILED], start=10.0), memory)
    assert memory.answers.hard
    assert transitions[0].hard
    assert transitions[0].since == WALL + 1.0  # since the first loss, not since it was believed


def test_one_good_run_ends_a_soft_failure_but_not_a_hard_one():
    soft, _ = feed(LINE, at_each_second([OK, FAILED, FAILED, OK]))
    assert soft.answers.belief is Belief.OK
    hard, _ = feed(LINE, at_each_second([OK] + [FAILED] * 12))
    once, _ = feed(LINE, at_each_second([OK], start=13.0), hard)
    assert once.answers.belief is Belief.CRIT
    twice, transitions = feed(LINE, at_each_second([OK], start=14.0), once)
    assert twice.answers.belief is Belief.OK
    assert transitions[0].since == WALL + 13.0
    relapse, _ = feed(LINE, at_each_second([FAILED, OK], start=14.0), once)
    assert relapse.answers.belief is Belief.CRIT


def test_fewer_runs_than_attempts_are_never_hard_however_long_it_takes():
    memory, _ = feed(LINE, [result(0, OK), result(10, FAILED), result(500, FAILED)])
    assert not memory.answers.hard


@given(outcomes)
def test_transitions_alternate_and_start_where_the_last_one_ended(said):
    _, transitions = feed(LINE, at_each_second(said))
    belief, hard = Belief.UNKNOWN, True
    for transition in transitions:
        assert transition.old is belief
        assert (transition.new, transition.hard) != (belief, hard)
        belief, hard = transition.new, transition.hard


@given(outcomes)
def test_error_never_makes_crit_and_never_makes_ok(said):
    memory = Memory()
    for one in at_each_second(said):
        memory, transitions = state.observe(LINE, memory, one)
        if one.outcome is ERROR:
            assert all(transition.new is Belief.UNKNOWN for transition in transitions)


def test_three_errors_in_a_row_are_unknown_and_one_good_result_ends_it():
    memory, transitions = feed(LINE, at_each_second([OK, ERROR, ERROR, ERROR]))
    assert memory.answers.belief is Belief.UNKNOWN
    assert len(transitions) == 2
    memory, _ = feed(LINE, at_each_second([OK], start=9), memory)
    assert memory.answers.belief is Belief.OK


@given(outcomes)
def test_overlays_do_not_touch_the_belief(said):
    memory, _ = feed(LINE, at_each_second(said))
    answers = memory.answers
    assert state.shown(answers, maintenance=True) is State.MAINTENANCE
    assert state.shown(answers, blind=True) is State.UNKNOWN
    assert state.shown(answers, hidden=True) in {State.UNREACHABLE, State.OK}
    assert memory.answers is answers


@given(outcomes, outcomes, st.floats(-1e6, 1e6))
def test_a_belief_outlives_a_restart(before, after, moved):
    memory, _ = feed(LINE, at_each_second(before))
    now = float(len(before))
    text = remembered.dump(memory, now, WALL + now)
    again = remembered.load(text, now + moved, WALL + now)
    assert again.answers.belief is memory.answers.belief
    assert again.answers.since == memory.answers.since
    continued, _ = feed(LINE, at_each_second(after, start=now), memory)
    restored, _ = feed(LINE, [result(now + moved + n, outcome) for n, outcome in enumerate(after)], again)
    if not any(outcome is ERROR for outcome in before):
        assert (restored.answers.belief, restored.answers.hard) == (continued.answers.belief, continued.answers.hard)


def rule(**keys):
    return Rule(name="loss", metric="icmp_loss_ratio", **keys)


def loss(*ratios, rule_check, step=5.0, start=0.0, reason="schedule", memory=None):
    results = [result(start + n * step, OK, [Sample("icmp_loss_ratio", (ratio,))], reason) for n, ratio in enumerate(ratios)]
    return feed(rule_check, results, memory)


def level(memory, name="loss", instance=""):
    return memory.subjects[(name, instance)].belief


def test_a_threshold_holds_before_it_is_believed_and_clears_only_past_clear():
    held = check(LINE.id, rules=[rule(warn=0.1, crit=0.5, clear=0.05, hold_seconds=10)])
    memory, _ = loss(0.0, 0.6, 0.6, rule_check=held)
    assert level(memory) is Belief.OK
    memory, _ = loss(0.6, rule_check=held, start=15, memory=memory)
    assert level(memory) is Belief.CRIT
    memory, _ = loss(0.07, rule_check=held, start=20, memory=memory)
    assert level(memory) is Belief.WARN
    memory, _ = loss(0.05, rule_check=held, start=25, memory=memory)
    assert level(memory) is Belief.OK


def test_below_is_bad_at_or_under_the_threshold():
    low = check(LINE.id, rules=[Rule(name="toner", metric="toner", compare="below", warn=0.15, crit=0.05)])
    for value, expected in [(0.5, Belief.OK), (0.15, Belief.WARN), (0.05, Belief.CRIT), (0.1, Belief.WARN)]:
        memory, _ = feed(low, [result(0, OK, [Sample("toner", (value,), "black")])])
        assert level(memory, "toner", "black") is expected


def test_a_window_judges_the_mean_and_ignores_rechecks():
    windowed = check(LINE.id, rules=[rule(crit=0.10, window_seconds=100)])
    memory, _ = loss(*[0.0, 0.4] * 10, rule_check=windowed)
    assert level(memory) is Belief.CRIT
    memory, _ = loss(*[0.0] * 8 + [0.4], rule_check=windowed)
    assert level(memory) is Belief.OK
    memory, _ = loss(1.0, 1.0, 1.0, rule_check=windowed, start=50, reason="soft", memory=memory)
    assert level(memory) is Belief.OK


def test_a_failed_run_says_nothing_of_its_thresholds():
    watched = check(LINE.id, rules=[rule(crit=0.5)])
    memory, _ = loss(0.6, rule_check=watched)
    memory, _ = feed(watched, [result(10, FAILED, [Sample("icmp_loss_ratio", (0.0,))])], memory)
    assert level(memory) is Belief.CRIT


def test_each_instance_is_a_subject_of_its_own_and_an_absent_one_becomes_unknown():
    trays = check(LINE.id, rules=[Rule(name="paper", metric="paper", crit=1)])
    both = [Sample("paper", (1.0,), "tray 1"), Sample("paper", (0.0,), "tray 2")]
    memory, _ = feed(trays, [result(0, OK, both)])
    assert (level(memory, "paper", "tray 1"), level(memory, "paper", "tray 2")) == (Belief.CRIT, Belief.OK)
    memory, transitions = feed(trays, [result(n, OK, both[1:]) for n in (1, 2, 3)], memory)
    assert level(memory, "paper", "tray 1") is Belief.UNKNOWN
    assert [t.new for t in transitions] == [Belief.UNKNOWN]


def test_forgetting_is_said_once():
    memory, _ = feed(LINE, at_each_second([OK]))
    memory, transitions = state.forget(LINE, memory, 100.0, WALL, "stale", "")
    assert [t.new for t in transitions] == [Belief.UNKNOWN]
    assert state.forget(LINE, memory, 130.0, WALL, "stale", "") == (memory, ())
    assert memory.subjects[ANSWERS].code == "stale"


def test_a_window_that_is_not_half_full_says_nothing_bad_even_at_the_start():
    windowed = check(LINE.id, rules=[rule(crit=0.1, clear=0.08, window_seconds=300)])
    memory, _ = loss(0.2, rule_check=windowed)
    assert level(memory) is Belief.UNKNOWN
    memory, _ = loss(0.0, 0.0, rule_check=windowed, start=5, memory=memory)
    assert level(memory) is Belief.OK
    memory, _ = loss(*[0.4] * 29, rule_check=windowed)
    assert level(memory) is Belief.UNKNOWN
    memory, _ = loss(0.4, 0.4, rule_check=windowed, start=145, memory=memory)
    assert level(memory) is Belief.CRIT


def test_of_a_train_it_is_the_mean_that_is_judged():
    slow = Rule(name="slow", metric="icmp_rtt_seconds", warn=0.2)
    watched = check("a/line/icmp", rules=[slow])
    told = Result(
        check=watched.id,
        at=1.0,
        wall=1.0,
        duration_seconds=0.1,
        outcome=Outcome.OK,
        samples=(Sample("icmp_rtt_seconds", (0.1, 0.1, 0.1, 0.5)),),
    )
    memory, _ = state.observe(watched, Memory(), told)
    assert memory.subjects["slow", ""].belief is Belief.WARN
    assert memory.subjects["slow", ""].value == pytest.approx(0.2)


def test_more_samples_are_asked_for_only_near_what_wakes_somebody():
    page = Rule(name="loss", metric="m", crit=0.1, window_seconds=300.0)
    digest = replace(page, name="slight", audience="digest")
    for value, rule, near in [(0.05, page, False), (0.08, page, True), (0.12, page, True), (0.2, page, False), (0.08, digest, False)]:
        watched = check("a/line/icmp", rules=[rule])
        memory = Memory(subjects={(rule.name, ""): SubjectMemory(belief=Belief.OK, value=value)})
        assert state.near_a_limit(watched, memory) is near


def test_a_long_window_is_kept_in_few_slices_and_forgets_what_is_older():
    windowed = check(LINE.id, rules=[rule(crit=0.9, window_seconds=300)])
    memory, _ = loss(*[1.0, 0.0] * 30, rule_check=windowed)
    full = len(memory.subjects["loss", ""].window)
    memory, _ = loss(*[0.2] * 400, rule_check=windowed, start=300, memory=memory)
    assert len(memory.subjects["loss", ""].window) <= full <= 3 * 21
    assert memory.subjects["loss", ""].value == pytest.approx(0.2)
