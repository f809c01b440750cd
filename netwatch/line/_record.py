"""What the ledger keeps of a verdict: all that was looked at and all that was found, so that anybody can judge again. Pure."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from netwatch.lang import writing
from netwatch.line._evidence import Evidence, Limits
from netwatch.line._judge import Past, Verdict
from netwatch.model import Line, Site

__all__ = ["SCHEMA", "Subject", "figures_of", "past_of", "record_of", "wall_of"]

SCHEMA = "netwatch/v1/line-record"


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose verdict it is, as the inventory said at that time: names and contracts change."""

    site: Site
    line: Line


def record_of(
    subject: Subject, evidence: Evidence, verdict: Verdict, limits: Limits, *, recorded_wall: float, zone: dt.tzinfo, version: str
) -> dict[str, Any]:
    """`at` is when the evidence is from, `judged_at` what was recent then, `recorded_at` now; all with their offset. Rates are of the IP layer."""
    test = evidence.measurement
    site, line = subject.site, subject.line
    at = test.wall if test else evidence.counters.wall if verdict.step == "counters" and evidence.counters else evidence.wall
    return {
        "schema": SCHEMA,
        "netwatch": version,
        "at": writing.rfc3339(at, zone),
        "judged_at": writing.rfc3339(evidence.wall, zone),
        "recorded_at": writing.rfc3339(recorded_wall, zone),
        "site": site.id,
        "site_name": site.full_name or site.name,
        "line": line.id,
        "line_label": line.label,
        "carrier": line.carrier,
        "circuit": line.circuit,
        "direction": evidence.direction,
        "contract_bits_per_second": evidence.contract,
        "verdict": verdict.verdict,
        "reason": verdict.reason,
        "step": verdict.step,
        "method": verdict.method,
        "method_version": test.method_version if test else "",
        "grade": verdict.grade,
        "low_bits_per_second": verdict.bounds.low,
        "value_bits_per_second": verdict.bounds.value,
        "high_bits_per_second": verdict.bounds.high,  # null: nothing is known of the most
        "goodput_bits_per_second": test.goodput_bits_per_second if test else None,
        "bytes": verdict.bytes,
        "seconds": verdict.seconds,
        "confidence": verdict.confidence,
        "limit_end": verdict.limit_end,
        "inputs": _inputs(evidence, verdict, limits),
        "clock": _plain(evidence.clock),
    }


def _inputs(evidence: Evidence, verdict: Verdict, limits: Limits) -> dict[str, Any]:
    test = evidence.measurement
    return {
        "counters": _plain(evidence.counters),
        "ports": [_plain(one) for one in evidence.ports],
        "measurement": _plain(test),
        "control": _plain(evidence.control),
        "cross_bits_per_second": _plain(evidence.cross),
        "router_cpu_ratio": evidence.router_cpu_ratio,
        "other_contract_bits_per_second": evidence.other_contract,
        "found": dict(verdict.inputs),
        "limits": _plain(limits),
    }


def _plain(found: Any) -> dict[str, Any] | None:
    return dataclasses.asdict(found) if dataclasses.is_dataclass(found) and not isinstance(found, type) else None


def figures_of(record: Mapping[str, Any]) -> Mapping[str, float | None]:
    """Of a full test; empty for what is none."""
    inputs = record.get("inputs")
    test = inputs.get("measurement") if isinstance(inputs, Mapping) else None
    found = test.get("figures") if isinstance(test, Mapping) and record.get("step") == "full" else None
    return found if isinstance(found, Mapping) else {}


def wall_of(record: Mapping[str, Any], name: str = "at") -> float:
    """Raises KeyError and ValueError for a record that is no line record."""
    return dt.datetime.fromisoformat(record[name]).timestamp()


def past_of(record: Mapping[str, Any]) -> Past:
    """Raises KeyError and ValueError for a record that is no line record."""
    value = record.get("value_bits_per_second")
    return Past(
        wall=wall_of(record),
        verdict=record["verdict"],
        reason=record["reason"],
        grade=record["grade"],
        number=record.get("number", 0),
        value=float(value) if isinstance(value, int | float) else 0.0,
    )
