"""How two communes would hear each other, from the leg of each to the bridge. A prediction: nobody measured between them. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from netwatch import quality
from netwatch.conference._evidence import Leg
from netwatch.model import Belief

__all__ = ["Pair", "matrix", "predicted"]

SAMPLES = 10_000  # a predicted loss is a ratio, not a count: graded as of so many packets


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """From one place by the bridge to another and back."""

    rtt_seconds: float | None
    jitter_seconds: float | None
    loss_ratio: float
    video: Belief


def predicted(one: Leg, other: Leg) -> Pair:
    """Delays add up, jitter as the root of the sum of squares (independent of each other), loss as 1 − (1 − a)(1 − b)."""
    rtt = None if one.rtt_seconds is None or other.rtt_seconds is None else one.rtt_seconds + other.rtt_seconds
    jitter = None if one.jitter_seconds is None or other.jitter_seconds is None else math.hypot(one.jitter_seconds, other.jitter_seconds)
    loss = 1 - (1 - one.loss_ratio) * (1 - other.loss_ratio)
    if not one.sent or not other.sent:
        return Pair(rtt_seconds=rtt, jitter_seconds=jitter, loss_ratio=loss, video=Belief.UNKNOWN)
    received = SAMPLES - math.ceil(loss * SAMPLES - 1e-9)
    return Pair(rtt_seconds=rtt, jitter_seconds=jitter, loss_ratio=loss, video=quality.grade_video(rtt, jitter, SAMPLES, received))


def matrix(legs: Mapping[str, Leg]) -> dict[tuple[str, str], Pair]:
    """Of every two places, once; in the order of the names."""
    names = sorted(legs)
    return {(one, other): predicted(legs[one], legs[other]) for at, one in enumerate(names) for other in names[at + 1 :]}
