"""A record's evidence as it was looked at, so that anybody can judge it again. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from netwatch.line._evidence import Bounds, Clock, Control, CounterReading, Counters, Evidence, Limits, Measurement, PortReading
from netwatch.line._judge import Verdict, judge
from netwatch.line._record import wall_of

__all__ = ["evidence_of", "judged_again"]


def evidence_of(record: Mapping[str, Any]) -> Evidence:
    """Raises KeyError, TypeError and ValueError for what is no line record of this version."""
    inputs = record["inputs"]
    measurement, counters, control = inputs["measurement"], inputs["counters"], inputs["control"]
    return Evidence(
        direction=record["direction"],
        contract=record["contract_bits_per_second"],
        other_contract=inputs["other_contract_bits_per_second"],
        wall=wall_of(record, "judged_at"),
        counters=None if counters is None else _counters(counters),
        ports=tuple(PortReading(**one) for one in inputs["ports"]),
        measurement=None if measurement is None else _measurement(measurement),
        control=None if control is None else Control(**control),
        cross=_bounds(inputs["cross_bits_per_second"]),
        router_cpu_ratio=inputs["router_cpu_ratio"],
        clock=Clock(**record["clock"]),
    )


def judged_again(record: Mapping[str, Any]) -> Verdict:
    """What the judge says today of what was looked at then, by the limits of then. Raises as `evidence_of`."""
    return judge(evidence_of(record), Limits(**record["inputs"]["limits"]))


def _counters(told: Mapping[str, Any]) -> Counters:
    return Counters(**{**told, "readings": tuple(CounterReading(**one) for one in told["readings"])})


def _measurement(told: Mapping[str, Any]) -> Measurement:
    return Measurement(**{**told, "bounds": _bounds(told["bounds"]), "bins": tuple(tuple(one) for one in told["bins"])})


def _bounds(told: Mapping[str, Any] | None) -> Bounds | None:
    """The ledger writes what is not finite as null."""
    return None if told is None else Bounds(**{name: math.inf if value is None else value for name, value in told.items()})
