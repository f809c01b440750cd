"""Samples of an hour that is over: one row a series and hour instead of one a run, a fifth of the space. Pure.

A row is the number of runs, then three columns: milliseconds from one run to the next (the first from the hour's
beginning), how many values each run has, and the values as float32. A column that says always the same says it once.
"""

from __future__ import annotations

import itertools
import struct
from array import array
from collections.abc import Iterable, Mapping

from netwatch.history._codec import Malformed

__all__ = ["HOUR_MS", "pack_hour", "packable", "unpack_hour"]

HOUR_MS = 3_600_000
COUNT = struct.Struct("<H")
WHOLE = "BHI"
CODES = f"{WHOLE}f"
SAME = 0x80
MOST_RUNS = 0xFFFF
MOST_VALUES = 1 << 20  # what a damaged row may ask for


def packable(runs: Mapping[int, tuple[float, ...]]) -> bool:
    """Whether it fits; what does not stays as it is, run by run."""
    return len(runs) <= MOST_RUNS and sum(map(len, runs.values())) <= MOST_VALUES


def pack_hour(runs: Mapping[int, tuple[float, ...]]) -> bytes:
    """Values by milliseconds since the hour's beginning."""
    moments = sorted(runs)
    steps = [after - before for before, after in itertools.pairwise((0, *moments))]
    values = array("f", [value for moment in moments for value in runs[moment]])
    return b"".join((COUNT.pack(len(moments)), _whole(steps), _whole([len(runs[moment]) for moment in moments]), _column(values)))


def unpack_hour(stored: bytes) -> dict[int, tuple[float, ...]]:
    """In order of time. Raises Malformed for bytes that `pack_hour` does not write."""
    if len(stored) < COUNT.size:
        raise Malformed("less than a count of runs")
    (count,) = COUNT.unpack_from(stored)
    steps, at = _read_whole(stored, COUNT.size, count)
    sizes, at = _read_whole(stored, at, count)
    total = sum(sizes)
    if total > MOST_VALUES:
        raise Malformed(f"{total} values in an hour")
    values, at = _read(stored, at, total, "f")
    if at != len(stored):
        raise Malformed(f"{len(stored) - at} bytes too many")
    ends = list(itertools.accumulate(sizes))
    moments = list(itertools.accumulate(steps))
    if moments and moments[-1] >= HOUR_MS:
        raise Malformed("a run after the hour's end")
    return {moment: tuple(values[end - size : end]) for moment, size, end in zip(moments, sizes, ends, strict=True)}


def _whole(numbers: Iterable[int]) -> bytes:
    """In as few bytes a number as the largest needs."""
    found = list(numbers)
    most = max(found, default=0)
    return _column(array("B" if most <= 0xFF else "H" if most <= 0xFFFF else "I", found))


def _column(numbers: array[int] | array[float]) -> bytes:
    code, said = CODES.index(numbers.typecode), numbers.tobytes()
    width = numbers.itemsize
    if len(numbers) > 1 and said == said[:width] * len(numbers):  # as bytes: NaN is not equal to itself
        return bytes((code | SAME,)) + said[:width]
    return bytes((code,)) + said


def _read_whole(stored: bytes, at: int, count: int) -> tuple[list[int], int]:
    numbers, end = _read(stored, at, count, WHOLE)
    return list(map(int, numbers)), end


def _read(stored: bytes, at: int, count: int, allowed: str) -> tuple[array[int] | array[float], int]:
    """A column, and where the next begins."""
    if at >= len(stored) or (code := stored[at] & ~SAME) >= len(CODES) or CODES[code] not in allowed:
        raise Malformed(f"no column at {at}")
    same = bool(stored[at] & SAME)
    numbers: array[int] | array[float] = array(CODES[code])
    end = at + 1 + numbers.itemsize * (1 if same else count)
    if end > len(stored):
        raise Malformed("a column cut short")
    numbers.frombytes(stored[at + 1 : end])
    return (numbers * count if same else numbers), end
