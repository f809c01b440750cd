"""From two readings of a counter to a rate, or to nothing: a delta that may be wrong is dropped, never guessed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Clock", "Counter", "Passed", "passed", "rate"]

TICKS = 2**32  # TimeTicks are hundredths of a second modulo 2^32: 497.1 days (RFC 2578 section 7.1.8)
WRAP_TOLERANCE_SECONDS = 30.0
SLOW_CLOCK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Clock:
    """What the agent says of its own time. `at` is the local monotonic clock, seconds."""

    at: float
    ticks: int | None = None  # sysUpTime
    host_ticks: int | None = None  # hrSystemUptime
    boots: int | None = None  # snmpEngineBoots


@dataclass(frozen=True, slots=True)
class Passed:
    """The time between two readings, and whether the agent (its counters) or the whole device began anew in it."""

    seconds: float
    restarted: bool = False
    rebooted: bool = False


@dataclass(frozen=True, slots=True)
class Counter:
    """One reading. `index` is the row it was read from; `ceiling` the most it can grow in a second (0: not known)."""

    value: int
    index: str = ""
    discontinuity: int | None = None  # ifCounterDiscontinuityTime
    ceiling: float = 0.0


def passed(before: Clock, now: Clock) -> Passed:
    """Judges whether the agent restarted. The agent's own clock is used where it agrees with ours."""
    elapsed = now.at - before.at
    restarted = _restarted(before, now, elapsed)
    if restarted:
        return Passed(elapsed, restarted=True, rebooted=_rebooted(before, now, elapsed))
    if before.ticks is None or now.ticks is None:
        return Passed(elapsed)
    by_agent = (now.ticks - before.ticks) % TICKS / 100
    agrees = by_agent > 0 and abs(by_agent - elapsed) <= max(1.0, 0.05 * elapsed)
    return Passed(by_agent if agrees else elapsed)


def _restarted(before: Clock, now: Clock, elapsed: float) -> bool:
    if before.boots is not None and now.boots is not None and now.boots > before.boots:
        return True
    if before.ticks is None or now.ticks is None:
        return False
    if now.ticks < before.ticks:
        return not _wrapped(before.ticks, now.ticks, elapsed)
    # It went up, but an agent that was there a while ago cannot have been up for less than that while.
    return now.ticks / 100 + SLOW_CLOCK_SECONDS < elapsed


def _wrapped(before: int, now: int, elapsed: float) -> bool:
    """Fell because it had to: it was due past 2^32, and is where it should be."""
    due = before + round(elapsed * 100)
    tolerance = WRAP_TOLERANCE_SECONDS * 100
    astray = (now - due) % TICKS
    return due >= TICKS - tolerance and min(astray, TICKS - astray) <= tolerance


def _rebooted(before: Clock, now: Clock, elapsed: float) -> bool:
    """An agent can restart on its own: the device rebooted only if its own uptime fell too, or it tells none."""
    if before.host_ticks is None or now.host_ticks is None:
        return True
    return now.host_ticks < before.host_ticks and not _wrapped(before.host_ticks, now.host_ticks, elapsed)


def rate(before: Counter | None, now: Counter, gap: Passed, bits: Literal[32, 64]) -> float | None:
    """Growth a second; None where the two readings cannot be compared or the answer is absurd.

    Dropped: a first reading, a restart, another row, another discontinuity time, a 64-bit counter that fell (it would
    wrap in 46 years at 100 Gbit/s), a 32-bit one that may have wrapped more than once or may have been reset, and
    more than 1.1 times what the interface can carry.
    """
    if before is None or gap.restarted or gap.seconds <= 0 or not (_fits(before, bits) and _fits(now, bits)):
        return None
    if before.index != now.index or before.discontinuity != now.discontinuity:
        return None
    ceiling = max(before.ceiling, now.ceiling)
    grown = now.value - before.value
    if bits == 32:
        if ceiling * gap.seconds > TICKS:
            return None
        if grown < 0:
            if not ceiling and not (before.value >= 3 * 2**30 and now.value < 2**30):
                return None
            grown += TICKS
    if grown < 0 or (ceiling and grown > 1.1 * ceiling * gap.seconds):
        return None
    return grown / gap.seconds


def _fits(counter: Counter, bits: int) -> bool:
    return 0 <= counter.value < 1 << bits
