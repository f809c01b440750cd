"""GO, RISK or NO-GO for one place, with the reasons, the worst first. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from netwatch import quality
from netwatch.conference._evidence import Evidence, Leg, Limits
from netwatch.model import Belief

__all__ = ["LEVELS", "Level", "Readiness", "Reason", "Whom", "quality_reason", "readiness"]

Level: TypeAlias = Literal["go", "risk", "no_go"]
Whom: TypeAlias = Literal["carrier", "site", "power", "us", ""]  # us: whoever runs the bridge and netwatch
LEVELS: tuple[Level, ...] = ("go", "risk", "no_go")

DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """`code` names the text, what to do about it and where it stands in the order; `fields` fill the text."""

    level: Level
    code: str
    whom: Whom
    fields: Mapping[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    site: str
    level: Level
    reasons: tuple[Reason, ...] = ()

    @property
    def first(self) -> Reason | None:
        return self.reasons[0] if self.reasons else None


def readiness(evidence: Evidence, limits: Limits | None = None) -> Readiness:
    """What hinders most stands first, and of what hinders as much, what causes the rest: a dark place has no endpoint either."""
    limits = limits or Limits()
    found = [reason for judge in JUDGES for reason in judge(evidence, limits)]
    if evidence.blind:
        found = [reason for reason in found if reason.code == "blind"]
    elif evidence.up is False:
        found = [reason for reason in found if reason.code in OF_THE_DARK]
    found.sort(key=lambda reason: -LEVELS.index(reason.level))  # stable: among equals the order of JUDGES
    level = found[0].level if found else "go"
    return Readiness(site=evidence.site, level=level, reasons=tuple(found))


def _sight(evidence: Evidence, _limits: Limits) -> Iterator[Reason]:
    if evidence.blind:
        yield Reason(level="risk", code="blind", whom="us")


def _line(evidence: Evidence, _limits: Limits) -> Iterator[Reason]:
    if evidence.up is False:
        code = "without_power" if evidence.without_power else "dark"
        fields = {} if evidence.dark_since is None else {"since": evidence.dark_since}
        yield Reason(level="no_go", code=code, whom="power" if evidence.without_power else "carrier", fields=fields)
    elif evidence.up is None:
        yield Reason(level="risk", code="unknown", whom="us")
    elif evidence.back_since is not None:
        yield Reason(level="risk", code="back_lately", whom="carrier", fields={"since": evidence.back_since})
    if evidence.maintenance:
        yield Reason(level="risk", code="maintenance", whom="us")


def _bridge(evidence: Evidence, limits: Limits) -> Iterator[Reason]:
    for bridge in evidence.bridges:
        name = {"bridge": bridge.name}
        if bridge.reachable is False:
            yield Reason(level="no_go", code="bridge_down", whom="us", fields=name)
            continue
        if bridge.ports_left is not None and bridge.ports_left < evidence.ports_needed:
            yield Reason(
                level="no_go" if bridge.ports_left == 0 else "risk",
                code="bridge_full",
                whom="us",
                fields={**name, "left": bridge.ports_left, "needed": evidence.ports_needed},
            )
        if bridge.reachable is None:
            yield Reason(level="risk", code="bridge_unknown", whom="us", fields=name)
        if bridge.media_load_ratio is not None and bridge.media_load_ratio >= limits.media_load_ratio:
            yield Reason(level="risk", code="bridge_loaded", whom="us", fields={**name, "ratio": bridge.media_load_ratio})
        if bridge.alarms:
            yield Reason(level="risk", code="bridge_alarms", whom="us", fields={**name, "count": bridge.alarms})


def _endpoint(evidence: Evidence, limits: Limits) -> Iterator[Reason]:
    """Several rooms of a place stand in for each other: one that can be called is enough."""
    usable = [one for one in evidence.endpoints if one.reachable and one.registered is not False and not one.refusing]
    level: Level = "risk" if usable else "no_go"
    for one in evidence.endpoints:
        name = {"endpoint": one.label or one.id}
        if one.reachable is False:
            since = {} if one.since is None else {"since": one.since}
            yield Reason(level=level, code="endpoint_silent", whom="site", fields={**name, **since})
        elif one.reachable is None:
            yield Reason(level="risk", code="endpoint_unknown", whom="us", fields=name)
        elif one.registered is False:
            yield Reason(level=level, code="not_registered", whom="site", fields=name)
        elif one.refusing:
            yield Reason(level=level, code="endpoint_refuses", whom="site", fields=name)
    if not evidence.endpoints:
        yield Reason(level="risk", code="no_endpoint", whom="us")
    calls = [one.good_call_age_seconds for one in evidence.endpoints if one.good_call_age_seconds is not None]
    if usable and calls and min(calls) > limits.call_age_seconds:
        yield Reason(level="risk", code="no_call_lately", whom="site", fields={"days": min(calls) / DAY_SECONDS})


def _quality(evidence: Evidence, limits: Limits) -> Iterator[Reason]:
    leg = evidence.leg
    if leg is None or leg.sent < limits.least_packets:
        if evidence.up:
            yield Reason(level="risk", code="quality_unknown", whom="us")
        return
    strict = evidence.starts_in_seconds <= 0
    graded = quality.grade_video(leg.rtt_seconds, leg.jitter_seconds, leg.sent, leg.received, strict=strict)
    if graded is not Belief.OK:
        yield quality_reason(leg, graded, strict=strict)


def quality_reason(leg: Leg, graded: Belief, *, strict: bool) -> Reason:
    """What of a way that is not good is furthest beyond its limit."""
    over = quality.VIDEO_HD.crit if graded is Belief.CRIT else quality.VIDEO_HD.good if strict else quality.VIDEO_HD.warn
    values = {"loss": leg.loss_ratio, "jitter": leg.jitter_seconds or 0.0, "rtt": leg.rtt_seconds or 0.0}
    limit = {"rtt": over[0], "jitter": over[1], "loss": over[2]}
    worst = max(values, key=lambda name: values[name] / limit[name])
    return Reason(
        level="no_go" if graded is Belief.CRIT else "risk",
        code=f"quality_{worst}",
        whom="carrier",
        fields={"value": values[worst], "limit": limit[worst], **values},
    )


def _room(evidence: Evidence, limits: Limits) -> Iterator[Reason]:
    free, rate = evidence.free_bits_per_second, evidence.rate_bits_per_second
    if free is None or free >= limits.room_risk * rate:
        return
    yield Reason(
        level="no_go" if free < limits.room_none * rate else "risk", code="no_room", whom="site", fields={"free": free, "rate": rate}
    )


def _ups(evidence: Evidence, _limits: Limits) -> Iterator[Reason]:
    power = evidence.power
    if power is None or not power.on_battery:
        return
    needed = max(0.0, evidence.starts_in_seconds) + evidence.lasts_seconds
    if power.runtime_seconds is None:
        yield Reason(level="risk", code="on_battery", whom="power")
    elif power.runtime_seconds < max(0.0, evidence.starts_in_seconds):
        yield Reason(level="no_go", code="battery_ends_before", whom="power", fields={"runtime": power.runtime_seconds})
    elif power.runtime_seconds < needed:
        yield Reason(level="risk", code="battery_ends_during", whom="power", fields={"runtime": power.runtime_seconds})
    else:
        yield Reason(level="risk", code="on_battery", whom="power")


def _proof(evidence: Evidence, limits: Limits) -> Iterator[Reason]:
    """A line below its contract may carry a meeting all the same: what it carries is judged by the room that is left."""
    if evidence.on_backup:
        yield Reason(level="risk", code="on_backup", whom="carrier")
    proof = evidence.proof
    if proof is None:
        return
    if proof.verdict == "refuted":
        measured = {} if proof.measured_bits_per_second is None else {"value": proof.measured_bits_per_second}
        enough = proof.measured_bits_per_second is None or proof.measured_bits_per_second >= evidence.rate_bits_per_second
        yield Reason(level="risk" if enough else "no_go", code="below_contract", whom="carrier", fields=measured)
    elif proof.age_seconds is None:
        yield Reason(level="risk", code="never_tested", whom="us")
    elif proof.age_seconds > limits.proof_age_seconds or proof.verdict == "stale":
        yield Reason(level="risk", code="proof_old", whom="us", fields={"days": proof.age_seconds / DAY_SECONDS})
    elif proof.verdict == "inconclusive":
        yield Reason(level="risk", code="proof_open", whom="us")


JUDGES: tuple[Callable[[Evidence, Limits], Iterator[Reason]], ...] = (_sight, _line, _bridge, _endpoint, _quality, _room, _ups, _proof)
OF_THE_DARK = frozenset({"dark", "without_power", "maintenance", "bridge_down", "bridge_full"})
