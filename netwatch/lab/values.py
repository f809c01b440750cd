"""How single values of a scenario file are written: durations, rates, ratios, OIDs. Each reader gives None for a bad one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeAlias

from netwatch.lab.ber import parse_oid
from netwatch.lab.faults import Value

__all__ = ["Reader", "name", "number", "number_or_text", "oid", "one_of", "rate", "ratio", "seconds"]

Reader: TypeAlias = Callable[[Any], Value | None]
UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
UNIT_BITS = {"kbps": 1e3, "Mbps": 1e6, "Gbps": 1e9}


def seconds(value: Any) -> float | None:
    """`90`, `1.5s`, `2m`, `1h30m`; None for anything else."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value) if 0 <= value < 1e9 else None
    if not isinstance(value, str) or not re.fullmatch(r"(\d{1,9}(\.\d{1,6})?(ms|s|m|h|d))+", value):
        return None
    return sum(float(number) * UNIT_SECONDS[unit] for number, unit in re.findall(r"([\d.]+)(ms|s|m|h|d)", value))


def ratio(value: Any) -> float | None:
    """`15%` or `0.15`."""
    if isinstance(value, str) and (percent := re.fullmatch(r"(\d{1,3}(\.\d{1,6})?) ?%", value)):
        value = float(percent[1]) / 100
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if 0 <= value <= 1 else None


def rate(value: Any) -> float | None:
    """`64 Mbps`: bits a second of IP packets."""
    found = re.fullmatch(r"(\d{1,6}(\.\d{1,6})?) ?(kbps|Mbps|Gbps)", value) if isinstance(value, str) else None
    return float(found[1]) * UNIT_BITS[found[3]] or None if found else None


def number(value: Any) -> float | None:
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 2**63
    return float(value) if good else None


def number_or_text(value: Any) -> Value | None:
    return value if isinstance(value, str) and len(value) <= 255 else number(value)


def name(value: Any) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= 255 else None


def oid(value: Any) -> str | None:
    try:
        return value if isinstance(value, str) and parse_oid(value) else None
    except ValueError:
        return None


def one_of(*words: str) -> Reader:
    def read(value: Any) -> Value | None:
        return value if isinstance(value, str) and value in words else None

    read.__doc__ = " | ".join(words)
    return read
