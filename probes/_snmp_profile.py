"""What to ask a kind of device, and what its answers mean: the `snmp:` and `match:` parts of `profiles/<name>.yaml`.

The other keys of a profile (role, label, audience, checks, rules) belong to the inventory.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import yaml
from pydantic import TypeAdapter, ValidationError

from probes import Metric

__all__ = ["BUILT_IN", "Fact", "Interfaces", "Match", "Profile", "ProfileRefused", "Quantity", "Source", "load", "names", "ranges"]

FOLDER = Path(__file__).parent / "profiles"
PARTS = FOLDER / "parts"  # what several kinds have in common, named by `includes`
_OID = re.compile(r"[0-2](\.(0|[1-9]\d{0,9})){2,127}")
_RANGE = re.compile(r"(-?\d+)?(\.\.)?(-?\d+)?")


class ProfileRefused(ValueError):
    """A profile that is not there or cannot be understood."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One way a device may tell a quantity: an instance (`scalar`) or every row of a `column`. All keys are optional
    but one of these two.

    The value is `scale * (it + add) / divide_by + offset`, or one minus that (`complement`), cut off at `maximum`; `values`
    maps what was answered (a number or a range `1..`) to a number, and what it does not name is unknown, as is all below
    `minimum` or above `highest` of what was answered. `si_scale` and `digits` are the columns of ENTITY-SENSOR-MIB
    (RFC 3433) that say where its point is. A `rate` is growth a second. `bits` are numbered from the most significant of
    the first octet, one instance each. Rows are kept by `keep_if` and dropped by `skip_if` (column: values), named by the
    first of `instance` that is not empty, and made one by `combine`. A source counts only where every scalar of
    `only_if` has one of its values.
    """

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid", "allow_inf_nan": False}

    scalar: str = ""
    column: str = ""
    add: tuple[str, ...] = ()
    divide_by: tuple[str, ...] = ()
    si_scale: str = ""
    digits: str = ""
    scale: float = 1.0
    offset: float = 0.0
    complement: bool = False
    minimum: float | None = None
    maximum: float | None = None
    highest: float | None = None
    values: Mapping[int | str, float] = field(default_factory=dict)
    bits: Mapping[str, int] = field(default_factory=dict)
    rate: Literal[0, 32, 64] = 0
    instance: tuple[str, ...] = ()
    keep_if: Mapping[str, tuple[int | str, ...]] = field(default_factory=dict)
    skip_if: Mapping[str, tuple[int | str, ...]] = field(default_factory=dict)
    only_if: Mapping[str, tuple[int | str, ...]] = field(default_factory=dict)
    combine: Literal["", "mean", "max", "min", "sum", "first"] = ""

    def complaints(self) -> list[str]:
        """What is wrong with it."""
        oids = [self.scalar or self.column, *self.add, *self.divide_by, *self.instance, *self.keep_if, *self.skip_if, *self.only_if]
        oids += [oid for oid in (self.si_scale, self.digits) if oid]
        found = [f"{oid!r} is not a numeric OID" for oid in oids if not _OID.fullmatch(oid)]
        if bool(self.scalar) == bool(self.column):
            found.append("one of `scalar` and `column` is wanted")
        if self.scalar and (self.instance or self.keep_if or self.skip_if or self.combine or self.si_scale or self.digits):
            found.append("`instance`, `keep_if`, `skip_if`, `combine`, `si_scale` and `digits` need a `column`")
        found += [f"{name!r} is not a number or a range" for name in self.values if not _RANGE.fullmatch(str(name)) or str(name) == ""]
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A metric, and the `source`s it can come from: the first that the device answers."""

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid"}

    unit: str
    help: str
    label: str = ""
    kind: Literal["gauge", "counter"] = "gauge"
    keep: Literal["smoke", "mean", "change", "none"] = "mean"
    source: tuple[Source, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A text: the first of `oid` that is not empty. `rows` joins the lines of a column, which is any OID that does not end in
    .0, of those rows that `keep_if` (column: values) keeps; `live` asks at every run.
    """

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid"}

    oid: tuple[str, ...]
    rows: bool = False
    keep_if: Mapping[str, tuple[int | str, ...]] = field(default_factory=dict)
    live: bool = False

    def is_column(self, oid: str) -> bool:
        return self.rows and not oid.endswith(".0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Interfaces:
    """Which rows of IF-MIB are watched. `uplinks` are patterns of ifAlias or ifName, case aside."""

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid"}

    # IANAifType: ethernet (and its three old ones), serial, ppp, fibre channel, 802.11, ADSL, VDSL, aggregate, mobile, GPON
    types: tuple[int, ...] = (6, 22, 23, 56, 62, 69, 71, 94, 97, 117, 161, 243, 250)
    skip: tuple[str, ...] = ()
    uplinks: tuple[str, ...] = ()
    most: int = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """How `auto` knows it: sysObjectID prefixes; else patterns of sysDescr, case aside; else anything answered below one of
    `present`, or a scalar with its value of `answers`, where more `weight` wins.
    """

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid"}

    object_ids: tuple[str, ...] = ()
    descriptions: tuple[str, ...] = ()
    answers: Mapping[str, int] = field(default_factory=dict)
    present: tuple[str, ...] = ()
    weight: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    __pydantic_config__: ClassVar[Any] = {"extra": "forbid"}

    name: str = ""
    interfaces: Interfaces | None = None
    facts: Mapping[str, Fact] = field(default_factory=dict)
    metrics: Mapping[str, Quantity] = field(default_factory=dict)
    match: Match = field(default_factory=Match)

    def all_metrics(self) -> Mapping[str, Metric]:
        """Every sample name it can give, with what is built in."""
        told = {
            name: Metric(one.kind, one.unit, one.help, instance_label=one.label, keep=one.keep, labels=("site", "device"))
            for name, one in self.metrics.items()
        }
        built_in = {name: one for name, one in BUILT_IN.items() if self.interfaces is not None or not one.instance_label}
        return {**built_in, **told}


def _built_in(unit: str, text: str, *, label: str = "", keep: Literal["mean", "change"] = "mean") -> Metric:
    return Metric("gauge", unit, text, instance_label=label, keep=keep, labels=("site", "device"))


BUILT_IN: Mapping[str, Metric] = {
    "uptime_seconds": _built_in("seconds", "Time since the device, or else its SNMP agent, began. The agent's wraps at 497 days."),
    "device_reboots": Metric(
        "counter", "reboots", "Restarts seen: uptime fell, or snmpEngineBoots grew.", keep="change", labels=("site", "device")
    ),
    "interface_up": _built_in("bool", "Whether a port that is switched on has link.", label="interface", keep="change"),
    "interface_uplink_up": _built_in("bool", "The same, of the ports the profile calls uplinks.", label="interface", keep="change"),
    "interface_speed_bytes_per_second": _built_in("bytes/s", "What the port says it can carry.", label="interface", keep="change"),
    "interface_half_duplex": _built_in("bool", "Whether a port with link sends and receives by turns.", label="interface", keep="change"),
    "interface_receive_bytes_per_second": _built_in("bytes/s", "Octets received, framing included.", label="interface"),
    "interface_transmit_bytes_per_second": _built_in("bytes/s", "Octets sent, framing included.", label="interface"),
    "interface_receive_packets_per_second": _built_in("packets/s", "Packets of any kind received, of uplinks.", label="interface"),
    "interface_transmit_packets_per_second": _built_in("packets/s", "Packets of any kind sent, of uplinks.", label="interface"),
    "interface_receive_errors_per_second": _built_in("packets/s", "Packets received in error.", label="interface"),
    "interface_transmit_errors_per_second": _built_in("packets/s", "Packets not sent for an error.", label="interface"),
    "interface_receive_discards_per_second": _built_in("packets/s", "Good packets dropped on arrival.", label="interface"),
    "interface_transmit_discards_per_second": _built_in("packets/s", "Good packets dropped before sending.", label="interface"),
}


@functools.cache
def names() -> tuple[str, ...]:
    """The profiles that say what to ask by SNMP."""
    return tuple(sorted(file.stem for file in FOLDER.glob("*.yaml") if "\nsnmp:" in file.read_text("utf-8")))


def _read(file: Path) -> Mapping[str, Any]:
    document = yaml.load(file.read_text("utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  # both are safe; one is quick
    if not isinstance(document, dict):
        raise ProfileRefused(f"{file.name}: a mapping is wanted")
    return document


@functools.cache
def load(name: str) -> Profile:
    """Raises ProfileRefused."""
    file = FOLDER / f"{name}.yaml"
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name) or not file.is_file():
        raise ProfileRefused(f"unknown snmp profile {name!r}; there are: {', '.join(names())}")
    document = _read(file)
    return parse(name, _with_parts(document.get("snmp") or {}), document.get("match") or {})


def _with_parts(snmp: Mapping[str, Any]) -> dict[str, Any]:
    """With the facts and metrics of the files that it `includes`; its own stand before those of the same name."""
    own = {key: part for key, part in snmp.items() if key != "includes"}
    for part in snmp.get("includes", ()):
        shared = _read(PARTS / f"{part}.yaml")
        own |= {key: {**(shared.get(key) or {}), **(own.get(key) or {})} for key in ("facts", "metrics")}
    return own


def parse(name: str, snmp: Mapping[str, Any], match: Mapping[str, Any]) -> Profile:
    """Raises ProfileRefused with every complaint in one text."""
    try:
        profile = TypeAdapter(Profile).validate_python({**snmp, "name": name, "match": match})
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_url=False)]
        raise ProfileRefused(f"{name}.yaml: {'; '.join(wrong)}") from None
    wrong = [
        f"{metric}: {complaint}" for metric, one in profile.metrics.items() for source in one.source for complaint in source.complaints()
    ]
    wrong += [f"{metric}: built in" for metric in profile.metrics if metric in BUILT_IN]
    wrong += [
        f"{metric}: rows need a `label`, or `combine` to be made one"
        for metric, one in profile.metrics.items()
        if not one.label and any(source.bits or (source.column and not source.combine) for source in one.source)
    ]
    oids = [*match.get("object_ids", ()), *match.get("present", ()), *match.get("answers", ())]
    oids += [oid for fact in profile.facts.values() for oid in (*fact.oid, *fact.keep_if)]
    wrong += [f"{oid!r} is not a numeric OID" for oid in oids if not _OID.fullmatch(str(oid))]
    if wrong:
        raise ProfileRefused(f"{name}.yaml: {'; '.join(wrong)}")
    return profile


def ranges(values: Mapping[int | str, float]) -> tuple[tuple[float, float, float], ...]:
    """`values` of a Source as (lowest, highest, meaning): `3`, `1..`, `..-1` and `2..5` are understood."""
    told = []
    for name, meaning in values.items():
        low, dots, high = str(name).partition("..")
        told.append((float(low or "-inf"), float((high or "inf") if dots else low), meaning))
    return tuple(told)
