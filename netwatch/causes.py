"""Which failures have one cause, by what they share and by when they began. Pure; no topology is drawn anywhere.

Failures that began within a window and share a tag (ring, OLT, carrier, feeder, district) are one cause when enough of the
tag's bearers failed; bearers that stand speak against it, those that failed long before or are not known say nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["PROVINCE", "Group", "Tag", "Units", "explain"]

Tag: TypeAlias = tuple[str, str]
Units: TypeAlias = Mapping[str, tuple[str, ...]]  # of a tag: a line with itself, or a site with all of its lines
PROVINCE: Tag = ("province", "all")

AGAINST = 0.5  # what a bearer that stands takes from a cause; one that fails gives 1
LEAST: Mapping[str, tuple[int, float]] = {"carrier": (3, 0.6), "district": (3, 0.6), "feeder": (2, 0.5), "province": (12, 0.8)}
OTHERWISE = (2, 0.4)  # a ring, an OLT: two that fail together by chance are rarer than a cut between two others
RANKS: Mapping[str, int] = {"carrier": 1, "feeder": 2, "district": 3, "province": 4}
ALONE = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """What failed by one cause; without a tag, the parts of one owner."""

    tag: Tag | None
    parts: tuple[str, ...]
    failed: int = 1
    standing: int = 0

    @property
    def confidence(self) -> float:
        """The share of the bearers that failed, discounted while they are few."""
        if self.tag is None:
            return ALONE
        return round(self.failed / (self.failed + self.standing) * (1 - 0.5**self.failed), 2)


@dataclass(frozen=True, slots=True)
class _Candidate:
    group: Group
    score: float
    rank: int
    size: int

    def order(self) -> tuple[float, int, int]:
        """The best first: what explains most, then what is most bodily, then what is most particular."""
        return (-self.score, self.rank, self.size)


def explain(
    began: Mapping[str, float],
    bearers: Mapping[Tag, Units],
    stands: Callable[[str], bool],
    owner: Callable[[str], str],
    *,
    window_seconds: float,
) -> tuple[Group, ...]:
    """Every failed part in one group: the best explanation first, then the best of what is left.

    `began` is when each part failed (monotonic seconds); `stands` says whether a part is known to work; `owner` names the
    site of a part: what no tag explains is one group a site.
    """
    left = dict(began)
    groups: list[Group] = []
    while len(left) > 1:
        found = [
            candidate
            for tag, units in bearers.items()
            if (candidate := _candidate(tag, units, left, began, stands, owner, window_seconds)) is not None
        ]
        if not found:
            break
        best = min(found, key=_Candidate.order).group
        groups.append(best)
        for part in best.parts:
            del left[part]
    alone: dict[str, list[str]] = {}
    for part in left:
        alone.setdefault(owner(part), []).append(part)
    return (*groups, *(Group(tag=None, parts=tuple(parts)) for parts in alone.values()))


def _candidate(
    tag: Tag,
    units: Units,
    left: Mapping[str, float],
    began: Mapping[str, float],
    stands: Callable[[str], bool],
    owner: Callable[[str], str],
    window_seconds: float,
) -> _Candidate | None:
    least, share = LEAST.get(tag[0], OTHERWISE)
    failing = {unit: max(left[part] for part in parts) for unit, parts in units.items() if parts and all(part in left for part in parts)}
    if len(failing) < least:
        return None
    together = _together(failing, window_seconds)
    parts = tuple(part for unit in together for part in units[unit])
    failed = len({owner(part) for part in parts})
    if failed < least:
        return None
    standing = sum(any(part not in began and stands(part) for part in units[unit]) for unit in units if unit not in failing)
    if len(together) < share * (len(together) + standing):
        return None
    group = Group(tag=tag, parts=parts, failed=len(together), standing=standing)
    return _Candidate(group, len(together) - AGAINST * standing, RANKS.get(tag[0], 0), len(units))


def _together(failing: Mapping[str, float], window_seconds: float) -> list[str]:
    """The most units that failed one after another with no gap longer than the window; of equals, the latest."""
    best: list[str] = []
    run: list[str] = []
    last = 0.0
    for unit, at in sorted(failing.items(), key=lambda item: (item[1], item[0])):
        run = [*run, unit] if run and at - last <= window_seconds else [unit]
        last = at
        if len(run) >= len(best):
            best = run
    return best
