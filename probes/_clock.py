"""Whether this host's clock is set by something, and how far off it may be, as the kernel was told."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["ClockState", "ahead_seconds", "read"]

STA_UNSYNC = 0x0040  # linux/timex.h
LOOKS = 5


@dataclass(frozen=True, slots=True)
class ClockState:
    synchronised: bool
    error_seconds: float


UNKNOWN = ClockState(synchronised=False, error_seconds=0.0)


class _Timex(ctypes.Structure):
    """`struct timex` of adjtimex(2), up to what is read here, and room for the rest."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


def read() -> ClockState:
    """Not synchronised where the kernel cannot be asked: another system, or a filter on system calls.

    The error is the estimate; a daemon that gives none (systemd-timesyncd) leaves the bound, which grows until it is set again.
    """
    if sys.platform != "linux":
        return UNKNOWN
    told = _Timex()
    if ctypes.CDLL(None).adjtimex(ctypes.byref(told)) < 0:
        return UNKNOWN
    return ClockState(synchronised=not told.status & STA_UNSYNC, error_seconds=(told.esterror or told.maxerror) / 1e6)


def ahead_seconds(wall: Callable[[], float], monotonic: Callable[[], float]) -> float:
    """How far a wall clock is ahead of a monotonic one, by the quickest of a few looks: anything may come between two reads."""
    looks = []
    for _ in range(LOOKS):
        before, told, after = monotonic(), wall(), monotonic()
        looks.append((after - before, told - (before + after) / 2))
    return min(looks)[1]
