"""From results to beliefs: soft, then hard. Pure: the only clock is the result's own.

One good result ends a soft problem; a hard one ends after RECOVERY_RUNS good results in a row, so that a line that
lets one echo in ten through is not "recovered" every minute. ERROR is ours: it never makes DOWN and never makes OK.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from netwatch.memory import ANSWERS, NOTHING, Memory, SubjectMemory
from netwatch.model import Belief, Check, Outcome, Result, Rule, State, Subject, Transition

__all__ = [
    "ABSENT_KEPT_SECONDS",
    "ERROR_RUNS",
    "RECOVERY_RUNS",
    "forget",
    "near_a_limit",
    "observe",
    "observe_rules",
    "quiet_seconds",
    "shown",
]

RECOVERY_RUNS = 2
ERROR_RUNS = 3
WINDOW_SLICES = 20
SLICE = 3  # numbers: since when, sum, count
NEAR = 0.7  # of the limit
ABSENT_RUNS = 3
ABSENT_KEPT_SECONDS = 86_400.0  # a port or a tray that is no more
QUIET_INTERVALS = 3.0
QUIET_FLOOR_SECONDS = 60.0


def quiet_seconds(check: Check) -> float:
    """How long a check may go unheard of; after that what was said before and what is said now are not one story."""
    return max(QUIET_INTERVALS * check.interval_seconds, QUIET_FLOOR_SECONDS) + check.timeout_seconds


def observe(check: Check, memory: Memory, result: Result) -> tuple[Memory, tuple[Transition, ...]]:
    """What is believed after one more result, and every change of belief it made."""
    if result.outcome is Outcome.ERROR:
        return _observe_error(check, memory, result)
    subjects = dict(memory.subjects)
    if result.at - memory.seen_at > quiet_seconds(check):
        # We were stopped or away: a failure before and one after are not one long one.
        subjects = {key: replace(subject, candidate=None, candidate_runs=0) for key, subject in subjects.items()}
    transitions = list(_observe_answer(check, subjects, result))
    if result.outcome is Outcome.OK and not result.under_test:
        for rule in check.rules:
            transitions += _observe_rule(check, rule, subjects, result)
    good_at = result.at if result.outcome is Outcome.OK else memory.good_at
    return (
        Memory(
            subjects=subjects,
            errors=0,
            fingerprint=check.fingerprint,
            last=result,
            last_at=result.at,
            good_at=good_at,
            seen_at=result.at,
            spells=memory.spells,
        ),
        tuple(transitions),
    )


def observe_rules(check: Check, memory: Memory, result: Result) -> tuple[Memory, tuple[Transition, ...]]:
    """What is believed once more is known than its own runs tell; whether it answers is left as it was."""
    subjects = dict(memory.subjects)
    transitions: list[Transition] = []
    for rule in check.rules:
        transitions += _observe_rule(check, rule, subjects, result)
    return replace(memory, subjects=subjects, fingerprint=check.fingerprint, seen_at=result.at), tuple(transitions)


def forget(check: Check, memory: Memory, at: float, wall: float, code: str, detail: str) -> tuple[Memory, tuple[Transition, ...]]:
    """The check has not been heard of: `unknown`, which resolves nothing."""
    before = memory.answers
    if before.belief is Belief.UNKNOWN and before.hard:
        return memory, ()
    after = replace(
        _become(before, Belief.UNKNOWN, hard=True, at=at, since=wall, since_at=at),
        code=code,
        detail=detail,
        was_down=before.was_down or (before.hard and before.belief is Belief.CRIT),
    )
    changed = replace(memory, subjects={**memory.subjects, ANSWERS: after})
    return changed, (_transition(check, ANSWERS, before, after, wall),)


def shown(memory: SubjectMemory, *, hidden: bool = False, maintenance: bool = False, blind: bool = False) -> State:
    """A belief under its overlays. Overlays never alter the belief, so "since" survives the end of a window.

    What is still being asked again is shown as it was; `hidden` is what cannot be reached and has not answered since.
    """
    if maintenance:
        return State.MAINTENANCE
    if blind:
        return State.UNKNOWN
    if hidden:
        return State.UNREACHABLE
    return State((memory.belief if memory.hard else memory.settled).value)


def _observe_error(check: Check, memory: Memory, result: Result) -> tuple[Memory, tuple[Transition, ...]]:
    counted = replace(memory, errors=memory.errors + 1, fingerprint=check.fingerprint, last=result, seen_at=result.at)
    if counted.errors < ERROR_RUNS:
        return counted, ()
    return forget(check, counted, result.at, result.wall, result.code, result.detail)


def _observe_answer(check: Check, subjects: dict[tuple[str, str], SubjectMemory], result: Result) -> Iterator[Transition]:
    before = subjects.get(ANSWERS, NOTHING)
    said = Belief.OK if result.outcome is Outcome.OK else Belief.CRIT
    if said is before.belief and before.hard and before.candidate is None and (before.code, before.detail) == (result.code, result.detail):
        return
    after = replace(_settle(check, before, said, result), code=result.code, detail=result.detail)
    subjects[ANSWERS] = after
    if (before.belief, before.hard) != (after.belief, after.hard):
        yield _transition(check, ANSWERS, before, after, result.wall)


def _settle(check: Check, before: SubjectMemory, said: Belief, result: Result) -> SubjectMemory:
    """Soft at once, hard when enough runs and enough time agree; back to ok at once from soft, after two runs from hard."""
    if said is before.belief and before.hard:
        return replace(before, candidate=None, candidate_runs=0)
    counted = _count(before, said, result)
    ended_at = result.at + result.duration_seconds
    if said is Belief.OK:
        enough = counted.candidate_runs >= RECOVERY_RUNS or not before.hard or before.belief is Belief.UNKNOWN
        if not enough:
            return counted
        return _become(counted, said, hard=True, at=result.at, since=counted.candidate_wall, since_at=counted.candidate_at)
    enough = counted.candidate_runs >= check.attempts and ended_at - counted.candidate_at >= check.hard_after_seconds
    if before.belief is said and not enough:
        return counted
    became = _become(counted, said, hard=enough, at=result.at, since=counted.candidate_wall, since_at=counted.candidate_at)
    return became if enough else replace(became, candidate=said, candidate_runs=counted.candidate_runs)


def _count(before: SubjectMemory, said: Belief, result: Result) -> SubjectMemory:
    if before.candidate is said:
        return replace(before, candidate_runs=before.candidate_runs + 1)
    return replace(before, candidate=said, candidate_at=result.at, candidate_wall=result.wall, candidate_runs=1)


def _become(before: SubjectMemory, belief: Belief, *, hard: bool, at: float, since: float, since_at: float) -> SubjectMemory:
    return replace(
        before,
        belief=belief,
        hard=hard,
        settled=belief if hard else before.settled,
        since=since,
        since_at=since_at,
        changed_at=at,
        candidate=None,
        candidate_runs=0,
        was_down=before.was_down and not hard,
    )


def _observe_rule(check: Check, rule: Rule, subjects: dict[tuple[str, str], SubjectMemory], result: Result) -> Iterator[Transition]:
    seen = set()
    for sample in result.samples:
        if sample.name != rule.metric or not sample.values or not fnmatchcase(sample.instance, rule.instance):
            continue
        key = (rule.name, sample.instance)
        seen.add(key)
        before = subjects.get(key, NOTHING)
        after = _judge(rule, before, sum(sample.values) / len(sample.values), result)
        subjects[key] = after
        if before.belief is not after.belief:
            yield _transition(check, key, before, after, result.wall)
    for key in [key for key in subjects if key[0] == rule.name and key not in seen]:
        before = subjects[key]
        if before.code == "absent" and result.at - before.changed_at > ABSENT_KEPT_SECONDS:
            del subjects[key]
            continue
        after = replace(before, absent_runs=before.absent_runs + 1)
        if after.absent_runs >= ABSENT_RUNS and before.belief is not Belief.UNKNOWN:
            after = replace(_become(after, Belief.UNKNOWN, hard=True, at=result.at, since=result.wall, since_at=result.at), code="absent")
            yield _transition(check, key, before, after, result.wall)
        subjects[key] = after


def _judge(rule: Rule, before: SubjectMemory, value: float, result: Result) -> SubjectMemory:
    """One value against one rule: worse after `hold_seconds`, better at once but only past `clear`."""
    window = before.window
    if rule.window_seconds:
        if result.reason not in {"schedule", "quality"}:
            return replace(before, absent_runs=0)  # a re-check is one echo: it would weigh as much as a train
        window = _slide(window, result.at, value, rule.window_seconds)
        value = sum(window[1::SLICE]) / sum(window[2::SLICE])
        young = result.at - window[0] < rule.window_seconds / 2
        if young and (before.belief is not Belief.UNKNOWN or _level(rule, value, before.belief) is not Belief.OK):
            return replace(before, absent_runs=0, window=window)  # one echo of the first train lost is not a fifth of all that is sent
    said = _level(_in_meeting(rule) if result.in_meeting and rule.strict_in_meetings else rule, value, before.belief)
    if said is before.belief:
        # One copy and no more: this is what nearly every result of nearly every check comes to.
        return replace(before, absent_runs=0, window=window, value=value, candidate=None, candidate_runs=0)
    counted = _count(replace(before, absent_runs=0, window=window, value=value), said, result)
    worse = _RANK[said] > _RANK[before.belief]
    if worse and rule.hold_seconds and result.at - counted.candidate_at < rule.hold_seconds:
        return counted
    return replace(
        _become(counted, said, hard=True, at=result.at, since=counted.candidate_wall, since_at=counted.candidate_at), code=rule.name
    )


def near_a_limit(check: Check, memory: Memory) -> bool:
    """Whether a mean is so near what somebody would be woken for that more samples are worth their packets."""
    for rule in check.rules:
        limit = rule.crit if rule.crit is not None else rule.warn
        if not rule.window_seconds or rule.audience != "page" or limit is None or rule.compare != "above":
            continue
        for key, subject in memory.subjects.items():
            if key[0] == rule.name and subject.value is not None and NEAR * limit <= subject.value < limit / NEAR:
                return True
    return False


def _slide(window: Sequence[float], at: float, value: float, seconds: float) -> array[float]:
    """A window with one more value; it is kept in slices, so that a long one costs no more than a short one."""
    slid = array("d", window)
    while slid and slid[0] <= at - seconds:
        del slid[:SLICE]
    if slid and at - slid[-SLICE] < seconds / WINDOW_SLICES:
        slid[-2] += value
        slid[-1] += 1
    else:
        slid.extend((at, value, 1.0))
    return slid


def _in_meeting(rule: Rule) -> Rule:
    """What is no longer good is a warning. Good is up to and with the limit, a warning from its own on: the next number above makes them one."""
    if rule.clear is None or rule.warn is None:
        return rule
    return replace(rule, warn=math.nextafter(rule.clear, math.inf if rule.compare == "above" else -math.inf))


def _level(rule: Rule, value: float, current: Belief) -> Belief:
    sign = 1.0 if rule.compare == "above" else -1.0
    if rule.crit is not None and sign * value >= sign * rule.crit:
        return Belief.CRIT
    if rule.warn is not None and sign * value >= sign * rule.warn:
        return Belief.WARN
    if rule.clear is not None and current in {Belief.WARN, Belief.CRIT} and sign * value > sign * rule.clear:
        return Belief.WARN if rule.warn is not None else current
    return Belief.OK


def _transition(check: Check, key: tuple[str, str], before: SubjectMemory, after: SubjectMemory, wall: float) -> Transition:
    return Transition(
        subject=Subject(check.id, *key),
        old=before.belief,
        new=after.belief,
        hard=after.hard,
        wall=wall,
        since=after.since,
        code=after.code,
        detail=after.detail,
    )


_RANK = {Belief.UNKNOWN: 0, Belief.OK: 0, Belief.WARN: 1, Belief.CRIT: 2}
