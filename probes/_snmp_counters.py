"""From two readings of a counter to a rate, or to nothing: a delta that may be wrong is dropped, never guessed."""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["Clock", "Passed", "passed", "rate"]

TICKS = 2**32  # TimeTicks are hundredths of a second modulo 2^32: 497.1 days (RFC 2578 section 7.1.8)
WRAP_TOLERANCE_SECONDS = 30.0
SLOW_CLOCK_SECONDS = 2.0


class Clock(NamedTuple):
    """What the agent says of its own time. `at` is the local monotonic clock, seconds."""

    at: float
    ticks: int | None = None  # sysUpTime
    host_ticks: int | None = None  # hrSystemUptime
    boots: int | None = None  # snmpEngineBoots


class Passed(NamedTuple):
    """The time between two readings, and whether the agent (its counters) or the whole device began anew in it."""

    seconds: float
    restarted: bool = False
    rebooted: bool = False


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
    # It went up, but an agent that was there a while ago cannot have been up for less than that while. One that stands
    # still to the hundredth has a clock that does not run.
    return now.ticks > before.ticks and now.ticks / 100 + SLOW_CLOCK_SECONDS < elapsed


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


def rate(before: int, now: int, seconds: float, bits: Literal[32, 64], ceiling: float = 0.0) -> float | None:
    """Growth a second of a counter that did not begin anew; `ceiling` is the most it can grow in a second, 0 for not known.

    None for a 64-bit counter that fell (it would wrap in 46 years at 100 Gbit/s), a 32-bit one that may have wrapped
    more than once or may have been reset, and more than 1.1 times the ceiling.
    """
    size = TICKS if bits == 32 else TICKS * TICKS
    if seconds <= 0 or not (0 <= now < size and 0 <= before < size):
        return None
    grown = now - before
    most = ceiling * seconds
    if bits == 32:
        if most > TICKS:
            return None
        if grown < 0:
            if not ceiling and not (before >= 3 * 2**30 and now < 2**30):
                return None
            grown += TICKS
    if grown < 0 or (ceiling and grown > 1.1 * most):
        return None
    return grown / seconds
