"""What a check would use, asked before it runs: so that tests together stay under the head-room of what they share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from netwatch.model import Check

__all__ = ["Admission", "Claim", "Deny", "Grant", "Situation", "admit"]


@dataclass(frozen=True, slots=True)
class Claim:
    """A share of something several checks use: a site's line, a district's ring, the province's uplink."""

    resource: str
    bits_per_second: float


@dataclass(frozen=True, slots=True)
class Grant:
    claims: tuple[Claim, ...] = ()


@dataclass(frozen=True, slots=True)
class Deny:
    reason: str
    retry_at: float


Admission: TypeAlias = Grant | Deny


@dataclass(frozen=True, slots=True)
class Situation:
    """What is in use now: bits per second by resource, and the head-room of each. A resource without one is free."""

    used: Mapping[str, float]
    capacity: Mapping[str, float]
    retry_seconds: float = 5.0


def admit(check: Check, claims: tuple[Claim, ...], now: float, situation: Situation) -> Admission:
    """Whether a check may run now. A check that claims nothing always may."""
    for claim in claims:
        capacity = situation.capacity.get(claim.resource)
        if capacity is not None and situation.used.get(claim.resource, 0.0) + claim.bits_per_second > capacity:
            return Deny(f"{check.id}: {claim.resource} has no room for {claim.bits_per_second:.0f} bit/s", now + situation.retry_seconds)
    return Grant(claims)
