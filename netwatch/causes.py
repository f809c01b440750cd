"""Which failures have one cause, by what they share and by when they began. Pure; no topology is drawn anywhere.

Failures that began within a window and share a tag (ring, OLT, carrier, feeder, district) are one cause when enough of the
tag's bearers failed; bearers that stand speak against it, those that failed long before or are not known say nothing.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
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
    groups = tuple(_explained(left, _bearers_of(began, bearers, stands), owner, window_seconds))
    alone: dict[str, list[str]] = {}
    for part in left:
        alone.setdefault(owner(part), []).append(part)
    return (*groups, *(Group(tag=None, parts=tuple(parts)) for parts in alone.values()))


@dataclass(slots=True)
class _Bearers:
    """Those of one tag that failed, and are not explained yet; how many of the others stand."""

    tag: Tag
    units: Units
    failing: dict[str, float]  # since the last of its parts failed
    standing: int

    def drop_explained(self, left: Mapping[str, float]) -> None:
        self.failing = {unit: at for unit, at in self.failing.items() if all(part in left for part in self.units[unit])}


def _bearers_of(began: Mapping[str, float], bearers: Mapping[Tag, Units], stands: Callable[[str], bool]) -> list[_Bearers]:
    """What bears the tags that may explain anything at all."""
    found: list[_Bearers] = []
    if len(began) < 2:
        return found
    for tag, units in bearers.items():
        failing = {
            unit: max([began[part] for part in parts]) for unit, parts in units.items() if parts and all(map(began.__contains__, parts))
        }
        if len(failing) < LEAST.get(tag[0], OTHERWISE)[0]:
            continue
        standing = sum(any(part not in began and stands(part) for part in units[unit]) for unit in units.keys() - failing.keys())
        found.append(_Bearers(tag, units, failing, standing))
    return found


def _explained(left: dict[str, float], tags: list[_Bearers], owner: Callable[[str], str], window_seconds: float) -> Iterator[Group]:
    """What tags explain, the best first; it is taken from `left`.

    The less is left, the less a tag explains: a tag that was not the best yet need not be looked at before its turn.
    """
    queue = [((float("-inf"), 0, 0), number) for number in range(len(tags))]
    idle: list[tuple[tuple[float, int, int], int]] = []
    while queue and len(left) > 1:
        thought, number = heapq.heappop(queue)
        bearers = tags[number]
        bearers.drop_explained(left)
        together = _together(bearers.failing, window_seconds)
        order = _order(bearers, len(together))
        if not _is_enough(bearers, len(together)):
            continue
        if order != thought:
            heapq.heappush(queue, (order, number))
            continue
        parts = tuple(part for unit in together for part in bearers.units[unit])
        if len({owner(part) for part in parts}) < LEAST.get(bearers.tag[0], OTHERWISE)[0]:
            idle.append((order, number))  # others of its bearers may do, once these are explained
            continue
        yield Group(tag=bearers.tag, parts=parts, failed=len(together), standing=bearers.standing)
        for part in parts:
            del left[part]
        queue += [(order, number), *idle]
        heapq.heapify(queue)
        idle.clear()


def _order(bearers: _Bearers, failed: int) -> tuple[float, int, int]:
    """The best first: what explains most, then what is most bodily, then what is most particular."""
    return (AGAINST * bearers.standing - failed, RANKS.get(bearers.tag[0], 0), len(bearers.units))


def _is_enough(bearers: _Bearers, failed: int) -> bool:
    least, share = LEAST.get(bearers.tag[0], OTHERWISE)
    return len(bearers.failing) >= least and failed >= share * (failed + bearers.standing)


def _together(failing: Mapping[str, float], window_seconds: float) -> list[str]:
    """The most units that failed one after another with no gap longer than the window; of equals, the latest."""
    ordered = sorted(failing.items(), key=lambda item: (item[1], item[0]))
    start = best_start = best_end = 0
    for end in range(1, len(ordered) + 1):
        if end - start > 1 and ordered[end - 1][1] - ordered[end - 2][1] > window_seconds:
            start = end - 1
        if end - start >= best_end - best_start:
            best_start, best_end = start, end
    return [unit for unit, _ in ordered[best_start:best_end]]
