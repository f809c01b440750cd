"""The judge of a line: is its contract met? The evidence ladder, cheapest first; each verdict says by which step. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from netwatch.line._evidence import Bounds, Evidence, Grade, Limits, Measurement, carried, port_ceiling
from netwatch.line._together import together

__all__ = ["Decision", "Past", "Standing", "Step", "Verdict", "below_contract", "judge", "standing"]

Decision: TypeAlias = Literal["proved", "refuted", "inconclusive", "stale"]
Step: TypeAlias = Literal["counters", "port", "test", "full", "none"]

NOTHING = Bounds(0.0, 0.0, float("inf"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found of one direction of a line. `bounds` are IP-layer bits per second; `bytes` and `seconds` what it cost.

    `reason` is a stable word; `line.reason_<word>` says it in every language. `inputs` is what was looked at, for the ledger.
    """

    verdict: Decision
    reason: str
    step: Step
    bounds: Bounds = NOTHING
    bytes: int = 0
    seconds: float = 0.0
    confidence: float = 0.0
    limit_end: str = ""
    method: str = ""
    grade: Grade | Literal["router_counters", "port", ""] = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)


def judge(evidence: Evidence, limits: Limits | None = None) -> Verdict:
    """(a) it has carried the contract, (b) its port cannot, (c) and (d) a test. The first step that decides is the verdict's.

    What a test has cost is in every verdict, whichever step decided it.
    """
    limits = limits or Limits()
    test = evidence.measurement
    spent: dict[str, Any] = {"bytes": test.bytes, "seconds": test.seconds} if test else {}
    if not evidence.contract > 0:
        return Verdict(verdict="inconclusive", reason="no_contract", step="none", **spent)
    reason = "no_evidence"
    if evidence.counters is not None:
        found = carried(evidence.counters, limits)
        fresh = 0 <= evidence.wall - evidence.counters.wall <= limits.counters_fresh_seconds
        reason = found.reason or ("counters_below" if fresh else "counters_old")
        if fresh and found.bounds is not None and found.bounds.low >= evidence.contract:
            spent.setdefault("seconds", found.seconds)
            return Verdict(
                verdict="proved",
                reason="carried",
                step="counters",
                bounds=found.bounds,
                confidence=1.0,
                grade="router_counters",
                inputs={"octets": found.octets, "window_seconds": found.seconds},
                **spent,
            )
    ceiling = port_ceiling(evidence, limits)
    if ceiling is not None:
        return Verdict(
            verdict="refuted", reason=ceiling[1], step="port", bounds=ceiling[0], confidence=1.0, limit_end="port", grade="port", **spent
        )
    if test is None:
        return Verdict(verdict="inconclusive", reason=reason, step="none")
    return _by_test(evidence, test, limits)


def _by_test(evidence: Evidence, test: Measurement, limits: Limits) -> Verdict:
    decision, reason, bounds = _tested(evidence, test, limits)
    limits_end = {"router_cpu": "router", "control": "near"}
    return Verdict(
        verdict=decision,
        reason=reason,
        step="full" if test.full else "test",
        bounds=bounds,
        bytes=test.bytes,
        seconds=test.seconds,
        confidence=test.confidence if decision != "inconclusive" else 0.0,
        limit_end=test.limit_end or limits_end.get(reason, "line" if decision == "refuted" else ""),
        method=test.method,
        grade=test.worth,
        inputs={"received": [test.bounds.low, test.bounds.value, test.bounds.high] if test.bounds else None},
    )


def _tested(evidence: Evidence, test: Measurement, limits: Limits) -> tuple[Decision, str, Bounds]:
    """A probe's own "inconclusive" stands: it knows why its bounds are not the line's. But between them it cannot see what else came through."""
    received = test.bounds or NOTHING
    if abs(evidence.clock.moved_seconds) > limits.clock_ratio * test.seconds:
        return "inconclusive", "clock", received
    cross = evidence.cross
    told_below = test.verdict == "refuted"
    if test.bounds is not None and (not received.sound() or (told_below and received.low >= evidence.contract)):
        return "inconclusive", "contradiction", received
    whole = together(test, cross) if cross is not None and test.bounds is not None else None
    if whole is not None and whole.proves(evidence.contract):
        return "proved", "measured_with_cross", whole.bounds
    if whole is not None and whole.refutes(evidence.contract) and not _against_refuting(evidence, test, whole.bounds.high, limits):
        return "refuted", "below", whole.bounds
    at_contract = test.verdict == "inconclusive" and test.reason == "at_contract" and test.limit_end == "line" and received.sound()
    if at_contract and cross is not None and received.low + cross.low >= evidence.contract:
        return "proved", "measured_with_cross", _sum(received, cross)
    if test.verdict == "inconclusive" or test.bounds is None:
        return "inconclusive", test.reason or "undecided", received
    if not received.sound() or (received.low >= evidence.contract if test.verdict == "refuted" else received.high < evidence.contract):
        return "inconclusive", "contradiction", received
    if received.low >= evidence.contract:
        return "proved", "measured", received
    if cross is not None and received.low + cross.low >= evidence.contract:
        return "proved", "measured_with_cross", _sum(received, cross)
    if received.high >= evidence.contract:
        return "inconclusive", "at_contract", received
    why_not = _against_refuting(evidence, test, received.high + (cross.high if cross else 0.0), limits)
    return ("inconclusive", why_not, received) if why_not else ("refuted", "below", _sum(received, cross) if cross else received)


def _against_refuting(evidence: Evidence, test: Measurement, at_most: float, limits: Limits) -> str:
    """Whatever else than the line may have been slow. "" when nothing may. `at_most` is with what others took."""
    control = evidence.control
    if control is None or control.direction != evidence.direction or control.low < evidence.contract:
        return "control"
    if abs(control.wall - test.wall) > limits.control_fresh_seconds:
        return "control"
    if evidence.cross is None and limits.cross_needed:
        return "cross_unknown"
    if at_most >= evidence.contract:
        return "cross_traffic"
    if evidence.router_cpu_ratio is not None and evidence.router_cpu_ratio >= limits.router_cpu_ratio:
        return "router_cpu"
    if test.limit_end not in {"", "line", "pace"}:
        return "other_end"
    return "assisted" if test.worth == "assisted" else ""


def _sum(one: Bounds, other: Bounds) -> Bounds:
    return Bounds(one.low + other.low, one.value + other.value, one.high + other.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """A verdict of before, of one direction of one line, as the ledger tells it."""

    wall: float
    verdict: Decision
    reason: str = ""
    grade: str = ""
    number: int = 0  # of its record
    value: float = 0.0  # what was measured, IP-layer bits per second; 0 where nothing was


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is so of a line now. `last` is the record it goes by; None where there is none."""

    verdict: Decision
    reason: str
    last: Past | None = None
    proved_wall: float | None = None  # when it was last proved


def standing(pasts: Iterable[Past], wall: float, limits: Limits | None = None) -> Standing:
    """By the newest verdict that decided: an inconclusive run takes nothing back. Too old, it is stale."""
    limits = limits or Limits()
    ordered = sorted(pasts, key=lambda one: (one.wall, one.number))
    proved = [one for one in ordered if one.verdict == "proved"]
    decided = [one for one in ordered if one.verdict in {"proved", "refuted"}]
    proved_wall = proved[-1].wall if proved else None
    if decided and wall - decided[-1].wall > limits.stale_seconds:
        return Standing(verdict="stale", reason="old", last=decided[-1], proved_wall=proved_wall)
    if decided:
        return Standing(verdict=decided[-1].verdict, reason=decided[-1].reason, last=decided[-1], proved_wall=proved_wall)
    if ordered:
        return Standing(verdict="inconclusive", reason=ordered[-1].reason, last=ordered[-1])
    return Standing(verdict="stale", reason="never")


def below_contract(pasts: Iterable[Past], wall: float, limits: Limits | None = None) -> tuple[Past, ...]:
    """The refutations that make a line "below its contract": at least two, made at different times, with no proof since.

    Empty when that is not believed: a single one may have met something that nobody saw.
    """
    limits = limits or Limits()
    since: list[Past] = []
    for one in sorted(pasts, key=lambda past: (past.wall, past.number)):
        if one.verdict == "proved":
            since = []
        elif one.verdict == "refuted" and wall - one.wall <= limits.stale_seconds:
            since.append(one)
    apart = bool(since) and since[-1].wall - since[0].wall >= limits.apart_seconds
    return tuple(since) if apart and any(one.grade != "assisted" for one in since) else ()
