"""One look at all that is failing: what has to be looked up for many findings is looked up once. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from netwatch.causes import Tag
from netwatch.core._incidents import relapsed
from netwatch.core._world import Draft, World
from netwatch.correlate import Finding
from netwatch.model import Incident, Subject

__all__ = ["Look"]


@dataclass
class Look:
    """Lives for one step: beliefs do not change meanwhile, incidents do."""

    world: World
    draft: Draft
    failing: frozenset[Subject]
    _failing_of: dict[int, tuple[tuple[Subject, ...], frozenset[Subject]]] = field(default_factory=dict)
    _back: set[int] = field(default_factory=set)

    def failing_of(self, incident: Incident) -> frozenset[Subject]:
        """What of an open incident is failing now."""
        known = self._failing_of.get(incident.id)
        if known is None or known[0] is not incident.members:
            known = self._failing_of[incident.id] = incident.members, self.failing & self.world.book.members(incident)
        return known[1]

    def is_joined(self, lines: Iterable[str], began_at: float, within_seconds: float) -> bool:
        """Whether lines that share a tag with these began to fail at about that time, and are not known to be down by themselves."""
        for tag in {tag for line in lines for tag in self.world.tags_of.get(line, ())}:
            times = self._just_failing.get(tag, [])
            first = bisect_left(times, began_at - within_seconds)
            if first < len(times) and times[first] <= began_at + within_seconds:
                return True
        return False

    @cached_property
    def _just_failing(self) -> dict[Tag, list[float]]:
        """Since when lines fail that do so softly, or still wait for a sibling line; by tag, sorted."""
        found: dict[Tag, list[float]] = {}
        for line in self.world.failing - self.world.down.keys():
            for tag in self.world.tags_of.get(line, ()):
                found.setdefault(tag, []).append(self.world.memory(line).answers.since_at)
        for times in found.values():
            times.sort()
        return found

    def may_be_back(self, finding: Finding) -> Incident | None:
        """An incident that was over a moment ago, if this is about the same lines, most of them; of several, the latest."""
        old = {number: one for member in finding.members for number, one in self._lately_over.get(member, ())}
        for _, one in sorted(old.items(), reverse=True):
            shared = len(set(finding.members).intersection(one.members))
            if one.facts.get("symptom") == finding.symptom and 2 * shared >= len(finding.members) and one.id not in self._back:
                self._back.add(one.id)
                return one
        return None

    @cached_property
    def _lately_over(self) -> dict[Subject, list[tuple[int, Incident]]]:
        found: dict[Subject, list[tuple[int, Incident]]] = {}
        for number, old in enumerate(self.world.closed):
            for member in old.members if relapsed(old, self.draft) else ():
                found.setdefault(member, []).append((number, old))
        return found
