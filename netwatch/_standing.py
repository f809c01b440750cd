"""How a check stands: what is believed of it, under what is known of the way to it. Pure.

A silence that is still being asked about marks a check and is never held against its site; neither is the silence of
something whose parents have not spoken yet. And what cannot be reached is not called well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from netwatch.correlate import PARENT_WAIT_SECONDS
from netwatch.memory import Memory
from netwatch.model import Belief, Check, Incident, State
from netwatch.state import shown

__all__ = ["Standing", "Standings"]

Moment: TypeAlias = tuple[float, float]  # monotonic, when it was settled; wall, when it began
_NEVER = Memory()


@dataclass(frozen=True, slots=True)
class Standing:
    state: State
    rechecking: bool = False  # its last results say otherwise, or nothing new yet: it is being asked again
    since: float | None = None  # wall; None: as its belief
    confirmed: bool = True  # False: nothing may be concluded from it for its site yet


class Standings:
    """Of all checks at one moment; `now` is monotonic. `blind`: it is we who are cut off."""

    def __init__(
        self, checks: Mapping[str, Check], memories: Mapping[str, Memory], incidents: Iterable[Incident], now: float, *, blind: bool = False
    ) -> None:
        self.blind = blind
        self.checks = checks
        self.memories = memories
        self.named = frozenset(member.check for incident in incidents for member in incident.members if not member.rule)
        self.now = now
        self._down = {
            check_id: (memory.answers.changed_at, memory.answers.since) for check_id, memory in memories.items() if memory.is_down
        }
        self._cut: dict[str, Moment | None] = {}

    def of(self, check: Check) -> Standing:
        standing = self._seen(check)
        if self.blind and (standing.state is not State.OK or standing.rechecking):
            return Standing(shown(self.memories.get(check.id, _NEVER).answers, blind=True))
        return standing

    def _seen(self, check: Check) -> Standing:
        memory = self.memories.get(check.id, _NEVER)
        answers = memory.answers
        cut_off = self._cut_off(check)
        if cut_off is not None:
            return Standing(shown(answers, hidden=True), since=cut_off[1])
        if not memory.failed:
            rechecking = answers.candidate is not None
            return Standing(shown(answers), rechecking, confirmed=not rechecking or answers.settled is not Belief.UNKNOWN)
        if check.id in self.named:
            return Standing(shown(answers), answers.candidate is not None)
        if self._came_back(check, memory):
            return Standing(shown(answers, hidden=True), rechecking=True, confirmed=False)
        waits = any(self._may_speak(parent, memory) for parent in _parents(check))
        return Standing(shown(answers), waits or answers.candidate is not None, confirmed=not waits)

    def _cut_off(self, check: Check) -> Moment | None:
        """Since when all of one group of its parents cannot be reached; None if there is a way, or it has answered since."""
        if not self._down:
            return None
        if check.id not in self._cut:
            self._cut[check.id] = self._look_up(check)
        return self._cut[check.id]

    def _look_up(self, check: Check) -> Moment | None:
        answered_at = self.memories.get(check.id, _NEVER).good_at
        for group in check.parents:
            losses = [self._lost(parent) for parent in group]
            known = [loss for loss in losses if loss is not None]
            if known and len(known) == len(losses) and answered_at <= max(known)[0]:
                return max(known)
        return None

    def _lost(self, check_id: str) -> Moment | None:
        if check_id in self._down:
            return self._down[check_id]
        check = self.checks.get(check_id)
        return self._cut_off(check) if check is not None else None

    def _came_back(self, check: Check, memory: Memory) -> bool:
        """A parent is back, and since then this one has not been heard of, or has answered for the first time."""
        if check.parents and memory.answers.candidate is Belief.OK:
            return True
        parents = (self.memories.get(parent, _NEVER).answers for parent in _parents(check))
        return any(parent.belief is Belief.OK and parent.changed_at > memory.last_at for parent in parents)

    def _may_speak(self, parent_id: str, child: Memory) -> bool:
        """Whether a parent has yet to say whether the child's silence is its own."""
        parent = self.memories.get(parent_id, _NEVER)
        if not parent.answers.hard:
            return True
        silent = parent.good_at < child.answers.since_at
        return silent and max(self.now, child.seen_at) - child.answers.changed_at < PARENT_WAIT_SECONDS


def _parents(check: Check) -> Iterator[str]:
    return (parent for group in check.parents for parent in group)
