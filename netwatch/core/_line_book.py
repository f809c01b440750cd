"""What is known of lines beside beliefs: the router's figures, verdicts of before, tests that wait to be judged. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TypeAlias

from netwatch.line import Clock, Control, Measurement, Past, PortReading, RatePoint

__all__ = ["MOST_PASTS", "Key", "LineBook", "Waiting"]

Key: TypeAlias = tuple[str, str, str]  # site, line, direction
MOST_PASTS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A test that said "below". Times are monotonic."""

    measurement: Measurement
    clock: Clock
    began_at: float
    ended_at: float
    counted_at: float  # from then on the router's figures have all of the test in them
    control: str  # the check whose result is awaited; "" for none
    router: str


@dataclass(kw_only=True)
class LineBook:
    """What is known of lines beside beliefs; all but `pasts`, which the ledger keeps, is learned anew after a restart."""

    points: dict[Key, tuple[RatePoint, ...]] = field(default_factory=dict)
    ports: dict[tuple[str, str], tuple[PortReading, ...]] = field(default_factory=dict)
    cpu_ratio: dict[str, float] = field(default_factory=dict)
    pasts: dict[Key, tuple[Past, ...]] = field(default_factory=dict)
    controls: dict[str, Control] = field(default_factory=dict)
    waiting: dict[str, Waiting] = field(default_factory=dict)
    meetings: dict[int, tuple[float, float] | None] = field(default_factory=dict)  # by place in the inventory: the next, or the one on
    begun: dict[int, float] = field(default_factory=dict)  # the last that began
    looked_at: float = -math.inf
