"""From what a device answered to numbers in base units. Pure."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from probes._snmp_profile import Source, ranges

__all__ = ["Row", "bits", "combine", "measure", "number"]

_NUMBER_IN_TEXT = re.compile(rb"\s*(-?\d{1,15}(?:\.\d{1,6})?)\s*[A-Za-z%]{0,12}\s*\0?")


@dataclass(frozen=True, slots=True)
class Row:
    """The OIDs of one instance of a Source."""

    instance: str
    index: str
    value: str
    add: tuple[str, ...] = ()
    divide_by: tuple[str, ...] = ()
    point: tuple[str, ...] = ()  # where the decimal point is: the scale's unit and the digits of a sensor


def number(raw: object) -> float | None:
    """A number as it came, or written out as some cameras do (`52 PERCENT`); None for anything else."""
    if isinstance(raw, bool):
        return None
    if isinstance(raw, int | float):
        return float(raw)
    if isinstance(raw, bytes) and (found := _NUMBER_IN_TEXT.fullmatch(raw)) is not None:
        return float(found[1])
    return None


def measure(source: Source, row: Row, values: Mapping[str, object]) -> float | None:
    """The value of one instance in base units. None for unknown: not there, not a number, beyond `minimum` or `highest`, no divisor."""
    raw = number(values.get(row.value))
    if raw is None or (source.minimum is not None and raw < source.minimum) or (source.highest is not None and raw > source.highest):
        return None
    if source.values:
        return next((meaning for low, high, meaning in _ranges(source) if low <= raw <= high), None)
    added = [number(values.get(oid)) for oid in row.add]
    divisors = [number(values.get(oid)) for oid in row.divide_by]
    if any(one is None for one in (*added, *divisors)):
        return None
    exponent = _exponent(row, values)
    if exponent is None:
        return None
    value = source.scale * (raw + sum(one or 0.0 for one in added)) * 10.0**exponent
    if divisors:
        divisor = sum(one or 0.0 for one in divisors)
        if divisor <= 0:
            return None
        value /= divisor
    value += source.offset
    if source.complement:
        value = 1.0 - value
    return value if source.maximum is None else min(value, source.maximum)


def _exponent(row: Row, values: Mapping[str, object]) -> int | None:
    """Of ten, by EntitySensorDataScale (units(9), a thousand a step) and EntitySensorPrecision of RFC 3433."""
    if not row.point:
        return 0
    scale, digits = (number(values.get(oid)) for oid in row.point)
    if scale is None or digits is None or not 1 <= scale <= 17 or not -8 <= digits <= 9:
        return None
    return 3 * (int(scale) - 9) - int(digits)


def _ranges(source: Source) -> tuple[tuple[float, float, float], ...]:
    return _ranges_of(tuple(source.values.items()))


@functools.lru_cache(maxsize=256)
def _ranges_of(items: tuple[tuple[int | str, float], ...]) -> tuple[tuple[float, float, float], ...]:
    return ranges(dict(items))


def bits(source: Source, raw: object) -> dict[str, float]:
    """Each named bit as 0 or 1; a bit beyond the octets that came is unknown and left out."""
    if not isinstance(raw, bytes):
        return {}
    return {name: float(raw[place // 8] >> (7 - place % 8) & 1) for name, place in source.bits.items() if 0 <= place < 8 * len(raw)}


def combine(how: str, values: Sequence[float]) -> float:
    """Many rows as one value; `values` is not empty and in the order of the rows."""
    match how:
        case "mean":
            return sum(values) / len(values)
        case "sum":
            return sum(values)
        case "max":
            return max(values)
        case "min":
            return min(values)
        case _:
            return values[0]
