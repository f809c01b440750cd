"""What is asked again and when, and what the next process must know of that. Pure."""

from __future__ import annotations

import math

from netwatch.core._world import World
from netwatch.memory import Memory
from netwatch.model import Belief, Check, Effects, Event, Outcome, Result, Run

__all__ = ["first_questions", "next_try", "to_store"]

RETRY_TOLERANCE = 0.05  # a wait of 1.003 s for an echo does not cost a whole further second, nor does one of 0.997 s


def next_try(check: Check, result: Result, memory: Memory) -> float:
    """On the check's own grid of `retry_seconds` from the failed run's start, so that tries stay one a second.

    A try that would end just before the failure may be hard begins later by as much: the one after it would cost a whole second.
    """
    tries = max(1, math.ceil(result.duration_seconds / check.retry_seconds - RETRY_TOLERANCE))
    try_at = result.at + tries * check.retry_seconds
    answers = memory.answers
    if answers.candidate is not Belief.CRIT or answers.candidate_runs + 1 < check.attempts:
        return try_at
    is_train = result.reason in {"schedule", "quality"}  # which lasts longer than a try
    lasts = check.retry_seconds if is_train and result.duration_seconds > check.retry_seconds else result.duration_seconds
    missing = answers.candidate_at + check.hard_after_seconds - (try_at + lasts)
    return try_at + missing + RETRY_TOLERANCE if 0 < missing < check.retry_seconds - RETRY_TOLERANCE else try_at


def first_questions(world: World, at: float) -> list[Run]:
    """What cannot wait for its place in time once an inventory is in force.

    After a restart nobody is being asked again yet, what is down is believed again only after a word of its own, and what failed
    just before it is not known: every line not heard of yet is asked at once, with one echo.
    """
    doubted = {check for check, known in world.memories.items() if known.answers.candidate is not None or (known.failed and not known.last)}
    unheard = {check for check in world.line_checks | world.anchor_checks if world.memory(check).last is None} - doubted
    return [
        *(Run(check=check, not_before=at, reason="soft") for check in sorted(doubted)),
        *(Run(check=check, not_before=at, reason="parent") for check in sorted(unheard)),
    ]


def to_store(world: World, event: Event, effects: Effects) -> set[str]:
    """The checks whose memory the next process must know: a belief has changed, or one more failed run is enough to make it hard."""
    changed = {transition.subject.check for transition in effects.transitions}
    if isinstance(event, Result) and event.outcome is Outcome.FAILED:
        check, answers = world.inventory.checks.get(event.check), world.memory(event.check).answers
        if check is not None and answers.candidate is Belief.CRIT and answers.candidate_runs == check.attempts - 1:
            changed.add(check.id)
    return changed
