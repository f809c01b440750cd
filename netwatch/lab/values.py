"""How single values of a scenario file are written: durations, rates, ratios, OIDs."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from netwatch.lab.ber import parse_oid
from netwatch.lab.faults import Value

__all__ = ["COUNT", "NAME", "NUMBER", "NUMBER_OR_TEXT", "OID", "RATE", "RATIO", "SECONDS", "UNIT_BITS", "Reader", "one_of"]

UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
UNIT_BITS = {"kbps": 1e3, "Mbps": 1e6, "Gbps": 1e9}
LONGEST_SECONDS = 1e9
LONGEST_TEXT = 255


@dataclass(frozen=True, slots=True)
class Reader:
    """`read` gives None for a bad value; `lab.want_<kind>` says what to write instead."""

    kind: str
    read: Callable[[Any], Value | None]
    choices: str = ""


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _seconds(value: Any) -> float | None:
    if isinstance(value, str) and re.fullmatch(r"(\d{1,9}(\.\d{1,6})?(ms|s|m|h|d))+", value, re.ASCII):
        value = sum(float(number) * UNIT_SECONDS[unit] for number, unit in re.findall(r"([\d.]+)(ms|s|m|h|d)", value))
    return float(value) if _is_number(value) and 0 <= value < LONGEST_SECONDS else None


def _ratio(value: Any) -> float | None:
    if isinstance(value, str) and (percent := re.fullmatch(r"(\d{1,3}(\.\d{1,6})?) ?%", value, re.ASCII)):
        value = float(percent[1]) / 100
    return float(value) if _is_number(value) and 0 <= value <= 1 else None


def _rate(value: Any) -> float | None:
    found = re.fullmatch(r"(\d{1,9}(\.\d{1,6})?) ?(kbps|Mbps|Gbps)", value, re.ASCII) if isinstance(value, str) else None
    return float(found[1]) * UNIT_BITS[found[3]] or None if found else None


def _number(value: Any) -> float | None:
    return float(value) if _is_number(value) and abs(value) < 2**63 else None


def _count(value: Any) -> float | None:
    return float(value) if isinstance(value, int) and _is_number(value) and 0 <= value < LONGEST_SECONDS else None


def _name(value: Any) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= LONGEST_TEXT else None


def _number_or_text(value: Any) -> Value | None:
    return value if isinstance(value, str) and len(value) <= LONGEST_TEXT else _number(value)


def _oid(value: Any) -> str | None:
    try:
        return value if isinstance(value, str) and parse_oid(value) else None
    except ValueError:
        return None


def one_of(*words: str) -> Reader:
    return Reader("one_of", lambda value: value if isinstance(value, str) and value in words else None, " | ".join(words))


SECONDS = Reader("seconds", _seconds)
RATIO = Reader("ratio", _ratio)
RATE = Reader("rate", _rate)
NUMBER = Reader("number", _number)
COUNT = Reader("number", _count)
NUMBER_OR_TEXT = Reader("number_or_text", _number_or_text)
NAME = Reader("name", _name)
OID = Reader("oid", _oid)
