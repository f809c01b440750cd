"""What a line test would use, asked before it runs: tests together stay under the head-room of what they share, and disturb nobody. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

__all__ = ["Admission", "Claim", "Deny", "Grant", "Leases", "Situation", "Wish", "admit"]

BEFORE_A_MEETING_SECONDS = 900.0
BUSY_RATIO = 0.5  # of what the line carries, used by others
CROWDED_RETRY_SECONDS = 5.0  # another test ends soon
BUSY_RETRY_SECONDS = 600.0
TODAY_RETRY_SECONDS = 3_600.0  # no need to know when the local day ends
DRAIN_SECONDS = 0.5
GRACE_SECONDS = 10.0  # after its deadline a test is over, whatever became of it

Reason: TypeAlias = Literal["fresh", "meeting", "window", "budget", "busy", "shared"]


@dataclass(frozen=True, slots=True)
class Claim:
    """A share of something several checks use: a site's line, a district's ring, the province's uplink. The line is not `shared` with others."""

    resource: str
    bits_per_second: float
    shared: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a test would take. Whoever asked for one `by_hand` is not held to the window in which the daily ones run."""

    claims: tuple[Claim, ...] = ()
    bytes_at_most: float = 0.0
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class Grant:
    claims: tuple[Claim, ...] = ()


@dataclass(frozen=True, slots=True)
class Deny:
    """`retry_at` is monotonic."""

    reason: Reason
    retry_at: float
    resource: str = ""


Admission: TypeAlias = Grant | Deny


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What is in use now, in bits per second by resource, and the head-room of each (one without is free); and how things are at the line.

    Times are wall. `meeting` is from when to when the meeting lasts that is on, or comes next; `opens` is when the window
    of the line is next open, which is in the past while it is. `busy_ratio` is None where no counter tells.
    """

    used: Mapping[str, float] = field(default_factory=dict)
    head_room: Mapping[str, float] = field(default_factory=dict)
    wall: float = 0.0
    meeting: tuple[float, float] | None = None
    opens: float = -math.inf
    left_bytes: float = math.inf  # of the day's budget
    busy_ratio: float | None = None


def admit(wish: Wish, now: float, situation: Situation) -> Admission:
    """Whether a test may run now; if not, the reason that lasts longest and when to ask again."""
    denied = _by_the_clock(wish, now, situation)
    if denied is not None:
        return denied
    if wish.bytes_at_most > situation.left_bytes:
        return Deny("budget", now + TODAY_RETRY_SECONDS)
    if situation.busy_ratio is not None and situation.busy_ratio > BUSY_RATIO:
        return Deny("busy", now + BUSY_RETRY_SECONDS)
    for claim in wish.claims:
        head_room = situation.head_room.get(claim.resource)
        if head_room is not None and situation.used.get(claim.resource, 0.0) + claim.bits_per_second > head_room:
            return Deny("shared", now + CROWDED_RETRY_SECONDS, claim.resource)
    return Grant(wish.claims)


def _by_the_clock(wish: Wish, now: float, situation: Situation) -> Deny | None:
    meeting = situation.meeting
    if meeting is not None and meeting[0] - BEFORE_A_MEETING_SECONDS <= situation.wall < meeting[1]:
        return Deny("meeting", now + meeting[1] - situation.wall)
    if situation.opens > situation.wall and not wish.by_hand:
        return Deny("window", now + situation.opens - situation.wall)
    return None


@dataclass(slots=True)
class Leases:
    """Who holds what. It lives in memory: a crash of ours frees all, and the far end stops by its own limits."""

    _held: dict[str, tuple[tuple[Claim, ...], float]] = field(default_factory=dict)

    def take(self, check: str, claims: tuple[Claim, ...], deadline: float) -> None:
        if claims:
            self._held[check] = claims, deadline + GRACE_SECONDS

    def end(self, check: str, now: float) -> None:
        """What its line had queued still flows for a moment through what is shared."""
        if check in self._held:
            claims, until = self._held[check]
            self._held[check] = tuple(claim for claim in claims if claim.shared), min(until, now + DRAIN_SECONDS)

    def holds(self, check: str, now: float) -> bool:
        return check in self._held and now < self._held[check][1]

    def used(self, now: float) -> Mapping[str, float]:
        """Bits per second by resource. What was held past its end is free."""
        self._held = {check: held for check, held in self._held.items() if now < held[1]}
        total: dict[str, float] = {}
        for claims, _ in self._held.values():
            for claim in claims:
                total[claim.resource] = total.get(claim.resource, 0.0) + claim.bits_per_second
        return total
