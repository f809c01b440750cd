"""What is remembered of a check between two results, and its form in the history, so that beliefs outlive a restart."""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from netwatch.model import Belief, Result

__all__ = ["ANSWERS", "NOTHING", "Memory", "SubjectMemory", "dump", "load"]

ANSWERS = ("", "")  # the subject "does it answer at all"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectMemory:
    """What is believed of one subject, and what recent results say instead while that is not yet settled."""

    belief: Belief = Belief.UNKNOWN
    hard: bool = True
    settled: Belief = Belief.UNKNOWN  # the last hard belief: what is shown while soft
    since: float = 0.0  # wall: the first result that spoke for this belief
    since_at: float = 0.0  # the same, monotonic, like all *_at
    changed_at: float = 0.0  # when belief or hard last changed
    candidate: Belief | None = None
    candidate_at: float = 0.0
    candidate_wall: float = 0.0
    candidate_runs: int = 0
    value: float | None = None
    code: str = ""
    detail: str = ""
    absent_runs: int = 0
    was_down: bool = False  # it had failed when we could no longer tell: it hides what is behind it still
    window: Sequence[float] = ()  # since at, sum, count of each slice of the window, one after another; not stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """All that is remembered of one check."""

    subjects: Mapping[tuple[str, str], SubjectMemory] = field(default_factory=dict)
    errors: int = 0
    fingerprint: str = ""  # of the check it is about
    last: Result | None = None
    last_at: float = float("-inf")  # start of the last run that was not an ERROR
    good_at: float = float("-inf")  # start of the last OK run
    seen_at: float = float("-inf")  # start of the last run, whatever it gave
    spells: Sequence[float] = ()  # when it went down of late, the last times at least

    @property
    def answers(self) -> SubjectMemory:
        return self.subjects.get(ANSWERS, NOTHING)

    @property
    def failed(self) -> bool:
        """Whether it is settled that it does not answer."""
        answers = self.answers
        return answers.hard and answers.belief is Belief.CRIT

    @property
    def is_down(self) -> bool:
        """Failed, or it had when we became unable to ask it: trouble of ours does not bring it back."""
        return self.failed or self.answers.was_down


NOTHING = SubjectMemory()


def dump(memory: Memory, at: float, wall: float) -> str:
    """A memory as JSON; monotonic times become wall times, since the next process has another monotonic clock."""
    offset = wall - at
    subjects = [
        {
            "rule": rule,
            "instance": instance,
            "belief": subject.belief,
            "hard": subject.hard,
            "settled": subject.settled,
            "since": subject.since,
            "since_wall": subject.since_at + offset,
            "changed_wall": subject.changed_at + offset,
            "candidate": subject.candidate,
            "candidate_started_wall": subject.candidate_at + offset,
            "candidate_wall": subject.candidate_wall,
            "candidate_runs": subject.candidate_runs,
            "value": subject.value,
            "code": subject.code,
            "detail": subject.detail,
            "was_down": subject.was_down,
        }
        for (rule, instance), subject in memory.subjects.items()
    ]
    document = {
        "errors": memory.errors,
        "fingerprint": memory.fingerprint,
        "seen_wall": memory.seen_at + offset if math.isfinite(memory.seen_at) else None,
        "subjects": subjects,
        "spells": [then + offset for then in memory.spells],
    }
    return json.dumps(document, ensure_ascii=False)


def load(text: str, at: float, wall: float) -> Memory:
    """The memory that `dump` wrote, on this process's monotonic clock. Raises ValueError for anything else.

    Nothing was in the future: what a clock set back would put there counts as just now.
    """
    try:
        return _load(json.loads(text), at, wall - at)
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"not a stored memory: {error!r}") from error


def _load(document: Mapping[str, Any], at: float, offset: float) -> Memory:
    def moment(stored: float) -> float:
        return min(float(stored) - offset, at)

    subjects = {
        (str(entry["rule"]), str(entry["instance"])): SubjectMemory(
            belief=Belief(entry["belief"]),
            hard=bool(entry["hard"]),
            settled=Belief(entry["settled"]),
            since=float(entry["since"]),
            since_at=moment(entry["since_wall"]),
            changed_at=moment(entry["changed_wall"]),
            candidate=Belief(entry["candidate"]) if entry["candidate"] else None,
            candidate_at=moment(entry["candidate_started_wall"]),
            candidate_wall=float(entry["candidate_wall"]),
            candidate_runs=int(entry["candidate_runs"]),
            value=None if entry["value"] is None else float(entry["value"]),
            code=str(entry["code"]),
            detail=str(entry["detail"]),
            was_down=bool(entry["was_down"]),
        )
        for entry in document["subjects"]
    }
    seen_wall = document["seen_wall"]
    return Memory(
        subjects=subjects,
        errors=int(document["errors"]),
        fingerprint=str(document["fingerprint"]),
        seen_at=-math.inf if seen_wall is None else moment(seen_wall),
        spells=array("d", map(moment, document.get("spells", ()))),
    )
