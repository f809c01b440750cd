"""What a test tells of itself, the JSON of `netwatch probe bandwidth`, as the judge takes it. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Literal, cast

from netwatch.line._evidence import Bounds, Grade, Measurement

__all__ = ["Malformed", "measurement_of", "passed_bytes"]

VERDICTS = ("proved", "refuted", "inconclusive")
MOST_BINS = 10_000
RAMP_SECONDS = 0.1  # probes/_paced.py
LAST_BINS = 2
RATIO = re.compile(r"0\.[0-9]{1,6}|1\.0{1,6}")
FIGURES = (
    "baseline_rtt_seconds", "loaded_rtt_seconds", "buffer_delay_ratio", "efficiency_ratio", "transfer_time_ratio", "packet_bytes", "streams",
)  # fmt: skip


class Malformed(ValueError):
    """Not what a test tells."""


def measurement_of(told: Mapping[str, Any], wall: float, *, grade: Grade | None = None, full: bool = False) -> Measurement:
    """`wall` is when the test began. A verdict that its own bounds do not bear is left to the judge. Raises Malformed."""
    verdict = told.get("verdict")
    if verdict not in VERDICTS:
        raise Malformed(f"verdict {str(verdict)[:40]!r}")
    value = _number(told, "line_bits_per_second", 0.0)
    high = told.get("high_bits_per_second")
    bounds = Bounds(
        _number(told, "low_bits_per_second", 0.0), value, math.inf if high is None else _number(told, "high_bits_per_second", math.inf)
    )
    return Measurement(
        method=str(told.get("method", "")),
        method_version=str(told.get("method_version", "")),
        verdict=cast("Literal['proved', 'refuted', 'inconclusive']", verdict),
        reason=str(told.get("reason", "")),
        wall=wall,
        seconds=_number(told, "seconds", 0.0),
        bytes=int(_number(told, "bytes", 0.0)),
        bounds=bounds if value > 0 else None,
        confidence=min(_number(told, "confidence", 0.0), 1.0),
        limit_end=str(told.get("limit_end", "")),
        burst_bytes=int(_number(told, "burst_bytes", 0.0)),
        sent_bits_per_second=_number(told, "sent_bits_per_second", 0.0),
        goodput_bits_per_second=_number(told, "goodput_bits_per_second", 0.0) or None,
        grade=grade,
        full=full,
        figures=_figures(told.get("full")) if full else {},
        bins=_bins(told.get("bins", ())),
        router_cpu_ratio=_fact(told, "router_cpu"),
    )


def passed_bytes(test: Measurement) -> int:
    """How much of what a test by UDP sent came through a line that dropped the rest, at least.

    Its bins tell of what they cover. Of the ramp before them and of what was under way when it stopped no smaller part came through; but what a
    queue holds is not yet known to be dropped, so it is no more than the line carries in that time, and while its queue runs empty.
    """
    received, dropped = sum(one[1] for one in test.bins), 0.0
    for one in test.bins:
        if one[2] > 0:
            dropped += one[3] * one[1] / one[2]
    if test.method != "udp" or not received:
        return int(received)
    outside = max(test.bytes - received - dropped, 0.0)
    lasted = math.fsum(one[0] for one in test.bins)
    queued = min((one[5] for one in test.bins[-LAST_BINS:] if len(one) > 5), default=0.0)
    besides_seconds = max(test.seconds - lasted - RAMP_SECONDS, 0.0) + RAMP_SECONDS / 2 + queued
    return int(received + min(outside * received / (received + dropped), besides_seconds * received / lasted))


def _number(told: Mapping[str, Any], name: str, otherwise: float) -> float:
    found = told.get(name)
    if found is None:
        return otherwise
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found) or found < 0:
        raise Malformed(f"{name} {str(found)[:40]!r}")
    return float(found)


def _figures(found: Any) -> Mapping[str, float | None]:
    """Those that are known by name; what a far end's program may add is left out."""
    if not isinstance(found, Mapping):
        raise Malformed("full")
    return {name: None if found.get(name) is None else _number(found, name, 0.0) for name in FIGURES}


def _fact(told: Mapping[str, Any], name: str) -> float | None:
    """A part of one; facts are text."""
    facts = told.get("facts")
    found = facts.get(name) if isinstance(facts, Mapping) else None
    if found is None:
        return None
    if not isinstance(found, str) or not RATIO.fullmatch(found):
        raise Malformed(f"{name} {str(found)[:40]!r}")
    return float(found)


def _bins(found: Any) -> tuple[tuple[float, ...], ...]:
    if not isinstance(found, list | tuple) or len(found) > MOST_BINS:
        raise Malformed("bins")
    for one in found:
        if not isinstance(one, list | tuple) or not all(isinstance(number, int | float) for number in one):
            raise Malformed("bins")
    return tuple(tuple(float(number) for number in one) for one in found)
