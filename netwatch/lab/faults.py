"""The nouns of a scenario: faults, where they strike, and what they leave behind. Frozen and pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal, TypeAlias

from netwatch.lab.states import Counting, DeviceState, LineState, Value
from netwatch.model import Cause

__all__ = [
    "ALL_SITES",
    "ONLY_SIMULATED",
    "DeviceState",
    "Expect",
    "ExpectedDigest",
    "ExpectedPage",
    "Fault",
    "FaultKind",
    "LineState",
    "Scenario",
    "Value",
    "Where",
]

ALL_SITES = "*"
FaultKind: TypeAlias = Literal[
    "cut",
    "restore",
    "loss",
    "delay",
    "rate",
    "uplink",
    "power",
    "reboot",
    "ups",
    "paper",
    "toner",
    "registration",
    "calls",
    "licences",
    "traffic",
    "errors",
    "port",
    "negotiate",
    "snmp",
    "service",
    "anchor",
    "reload",
    "kill",
    "human",
    "clock",
    "errors_of_ours",
    "pager",
]
ONLY_SIMULATED: frozenset[FaultKind] = frozenset({"service", "anchor", "kill", "human", "clock", "errors_of_ours", "pager"})
ROLES: Mapping[str, str] = MappingProxyType(
    {"ups": "ups", "paper": "printer", "toner": "printer", "registration": "conference", "calls": "conference", "licences": "pexip"}
)
NO_VALUES: Mapping[str, Value] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """A site's id (or `*`), or a tag; then perhaps one of its lines (id or role) or devices."""

    site: str = ""
    tag: tuple[str, str] | None = None
    line: str = ""
    device: str = ""

    def __str__(self) -> str:
        place = self.site or ("=".join(self.tag) if self.tag else "")
        return "/".join(part for part in (place, self.line or self.device) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that happens. `values` are the keys of its kind; see docs/scenarios.md."""

    at_seconds: float
    kind: FaultKind
    where: Where = field(default_factory=Where)
    values: Mapping[str, Value] = field(default_factory=lambda: NO_VALUES)

    @property
    def role(self) -> str:
        """The role of the devices it strikes when none is named."""
        return ROLES.get(self.kind, "")

    def number(self, key: str, default: float = 0.0) -> float:
        return float(self.values.get(key, default))

    def word(self, key: str, default: str = "") -> str:
        return str(self.values.get(key, default))

    def on_line(self, line: LineState) -> LineState:
        """The line after this fault."""
        match self.kind:
            case "cut":
                return replace(line, cut=True)
            case "loss":
                ratio, way = self.number("ratio"), self.word("direction", "down")
                return replace(
                    line,
                    loss_down_ratio=ratio if way in {"down", "both"} else line.loss_down_ratio,
                    loss_up_ratio=ratio if way in {"up", "both"} else line.loss_up_ratio,
                )
            case "delay":
                return replace(
                    line, round_trip_seconds=self.number("round_trip"), jitter_seconds=self.number("jitter", line.jitter_seconds)
                )
            case "rate":
                down, up = self.number("down", line.down_bits_per_second), self.number("up", line.up_bits_per_second)
                return replace(line, down_bits_per_second=down, up_bits_per_second=up)
            case "traffic":
                down = self.number("down", line.traffic_down_bits_per_second)
                return replace(
                    line, traffic_down_bits_per_second=down, traffic_up_bits_per_second=self.number("up", line.traffic_up_bits_per_second)
                )
            case _:
                return line

    def on_device(self, device: DeviceState, now: float) -> DeviceState:
        """The device after this fault."""
        state = self.word("state")
        match self.kind:
            case "power" if state == "on" and not device.powered:
                return replace(device, powered=True, booted_at=now, back_at=None)
            case "power":
                return replace(device, powered=state == "on", back_at=None)
            case "reboot":
                return replace(device, powered=False, back_at=now + self.number("takes", 60.0))
            case "ups" if state == "mains":
                return replace(device, battery_since=None, battery_ratio=1.0)
            case "ups":
                lasts = self.number("lasts", device.battery_lasts_seconds)
                return replace(device, battery_since=now, battery_lasts_seconds=lasts, battery_ratio=self.number("charge", 1.0))
            case "paper":
                return replace(device, paper=state == "ok")
            case "toner":
                return replace(device, toner_ratio=self.number("ratio"))
            case "registration" | "calls" | "licences":
                return self._on_meetings(device)
            case "errors":
                port = self.word("port")
                counting = Counting(now, device.error_count(port, now), self.number("per_second"))
                return replace(device, errors=MappingProxyType({**device.errors, port: counting}))
            case "port" | "negotiate" | "service":
                return self._on_a_part(device)
            case "snmp":
                return self._set(device)
            case _:
                return device

    def _on_meetings(self, device: DeviceState) -> DeviceState:
        if self.kind == "registration":
            return replace(device, registered=self.word("state") == "ok")
        if self.kind == "calls":
            return replace(device, takes_calls=self.word("state") == "taken")
        return replace(device, licences_ratio=self.number("ratio"))

    def _on_a_part(self, device: DeviceState) -> DeviceState:
        """On one port, or on one check."""
        port, state = self.word("port"), self.word("state")
        if self.kind == "port":
            return replace(device, ports_down=_with(device.ports_down, port, there=state == "down"))
        if self.kind == "service":
            return replace(device, services_dead=_with(device.services_dead, self.word("check"), there=state == "dead"))
        agreed = self.number("speed"), self.word("duplex", "full") == "full"
        return replace(device, negotiated=MappingProxyType({**device.negotiated, port: agreed}))

    def _set(self, device: DeviceState) -> DeviceState:
        if "oid" in self.values:
            return replace(device, oids=MappingProxyType({**device.oids, self.word("oid"): self.values["value"]}))
        key = self.word("metric"), self.word("instance")
        return replace(device, metrics=MappingProxyType({**device.metrics, key: self.number("value")}))


def _with(names: frozenset[str], name: str, *, there: bool) -> frozenset[str]:
    return names | {name} if there else names - {name}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedPage:
    """One incident that must be paged. Times are on the scenario's clock.

    The cause is what the incident ends with, its sites those it named when it was at its largest, its severity the highest:
    an incident may begin as one site and turn out to be a ring. A cause without a name is any of its type.
    """

    open_before_seconds: float
    cause: Cause
    sites: tuple[str, ...] | None = None
    since_seconds: float | None = None  # when what it is about began: the time to the page is counted from there
    open_after_seconds: float = 0.0
    named_before_seconds: float | None = None  # from then on the cause is right
    recover_before_seconds: float | None = None
    recover_after_seconds: float = 0.0
    severity: str = ""
    facts: Mapping[str, Value] = field(default_factory=lambda: NO_VALUES)
    updates_at_least: int = 0
    updates_at_most: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedDigest:
    """One incident that waits for the morning: it must be there, and page nobody."""

    cause: Cause
    sites: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expect:
    """`most_pages` counts every page of the scenario: opened, updated, recovered."""

    pages: tuple[ExpectedPage, ...] = ()
    digest: tuple[ExpectedDigest, ...] = ()
    none_else: bool = True
    most_pages: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """`sites` narrows the inventory; empty means all; `only_lines` leaves the devices out. `faults` are in order of time.

    `haste_seconds`: slower checks run this often and what SNMP tells is held no longer, so that a minute shows something.
    """

    name: str
    description: str = ""
    seed: int = 1
    duration_seconds: float
    haste_seconds: float | None = None
    sites: tuple[str, ...] = ()
    only_lines: bool = False
    faults: tuple[Fault, ...] = ()
    expect: Expect | None = None  # None: it only shows something, and is not judged
