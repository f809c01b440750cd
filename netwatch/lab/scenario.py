"""Scenario files: what happens when, and which pages must follow. Reading is pure; every complaint is collected first.

The format is in scenario.schema.json and docs/scenarios.md; the lab and `netwatch simulate` run the same files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from netwatch._yaml import Keys
from netwatch.lab.complaints import Locate, ScenarioRefused, nowhere
from netwatch.lab.expectations import ExpectReading
from netwatch.lab.faults import ALL_SITES, Fault, FaultKind, Scenario, Value, Where
from netwatch.lab.values import NAME, NUMBER, NUMBER_OR_TEXT, OID, RATE, RATIO, SECONDS, UNIT_BITS, Reader, one_of
from netwatch.lab.world import lines_of, tags_of
from netwatch.model import Inventory

__all__ = ["KINDS", "ScenarioRefused", "as_document", "read_fault", "read_scenario"]

MAX_FLAPS = 1000


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault: what it strikes, its keys, and which of them it must have."""

    place: Literal["lines", "devices", "any", "site", "none"]
    keys: Mapping[str, Reader] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    device_required: bool = False


ACTIONS = ("acknowledge", "unacknowledge", "note", "silence", "maintenance")
ABOUT_AN_INCIDENT = frozenset({"acknowledge", "unacknowledge", "note"})
ON_OFF = one_of("on", "off")
UP_DOWN = one_of("up", "down")
KINDS: Mapping[str, Kind] = {
    "cut": Kind("lines"),
    "restore": Kind("any"),
    "loss": Kind("lines", {"ratio": RATIO, "direction": one_of("down", "up", "both")}, ("ratio",)),
    "delay": Kind("lines", {"round_trip": SECONDS, "jitter": SECONDS}, ("round_trip",)),
    "rate": Kind("lines", {"down": RATE, "up": RATE}),
    "traffic": Kind("lines", {"down": RATE, "up": RATE}),
    "flap": Kind("lines", {"every": SECONDS, "down": SECONDS, "times": NUMBER}, ("every", "down", "times")),
    "uplink": Kind("none", {"state": UP_DOWN}, ("state",)),
    "power": Kind("devices", {"state": ON_OFF, "lasts": SECONDS}, ("state",)),
    "reboot": Kind("devices", {"takes": SECONDS}, device_required=True),
    "ups": Kind("devices", {"state": one_of("battery", "mains"), "lasts": SECONDS, "charge": RATIO}, ("state",)),
    "paper": Kind("devices", {"state": one_of("out", "ok")}, ("state",)),
    "toner": Kind("devices", {"ratio": RATIO}, ("ratio",)),
    "registration": Kind("devices", {"state": one_of("lost", "ok")}, ("state",)),
    "calls": Kind("devices", {"state": one_of("refused", "taken")}, ("state",)),
    "licences": Kind("devices", {"ratio": RATIO}, ("ratio",)),
    "errors": Kind("devices", {"port": NAME, "per_second": NUMBER}, ("port", "per_second"), device_required=True),
    "port": Kind("devices", {"port": NAME, "state": UP_DOWN}, ("port", "state"), device_required=True),
    "negotiate": Kind("devices", {"port": NAME, "speed": RATE, "duplex": one_of("half", "full")}, ("port", "speed"), device_required=True),
    "snmp": Kind("devices", {"oid": OID, "metric": NAME, "instance": NAME, "value": NUMBER_OR_TEXT}, ("value",), device_required=True),
    "service": Kind("devices", {"check": NAME, "state": one_of("dead", "ok")}, ("check", "state"), device_required=True),
    "anchor": Kind("none", {"name": NAME, "state": UP_DOWN}, ("name", "state")),
    "reload": Kind("none", {"file": NAME}),
    "kill": Kind("none"),
    "human": Kind("site", {"action": one_of(*ACTIONS), "who": NAME, "matcher": NAME, "lasts": SECONDS, "note": NAME}, ("action", "who")),
    "clock": Kind("none", {"forward": SECONDS, "back": SECONDS}),
    "errors_of_ours": Kind("none", {"state": ON_OFF, "code": NAME}, ("state",)),
    "pager": Kind("none", {"state": one_of("dead", "alive")}, ("state",)),
}


class _Reading(ExpectReading):
    """Reads faults and scenarios."""

    def faults(self, path: Keys, value: Any) -> tuple[Fault, ...]:
        """One entry of `faults:`; a flap becomes its cuts and restores."""
        entry = self.mapping(path, value, ("at", *KINDS))
        kinds = [kind for kind in entry if kind != "at"]
        if len(kinds) != 1:
            if isinstance(value, dict) and len(entry) == len(value):
                self.complain(path, "want_one_fault", choices=", ".join(KINDS))
            return ()
        at = self.value((*path, "at"), entry.get("at", 0), SECONDS) or 0.0
        kind = kinds[0]
        where, values = self.fault_body((*path, kind), kind, entry[kind])
        if kind == "flap":
            return self.flaps((*path, kind), at, where, values)
        fault: FaultKind = kind  # type: ignore[assignment]  # KINDS has the names of FaultKind, and flap
        return (Fault(at_seconds=at, kind=fault, where=where, values=values),)

    def fault_body(self, path: Keys, kind_name: str, body: Any) -> tuple[Where, dict[str, Value]]:
        kind = KINDS[kind_name]
        if kind.place == "none" and isinstance(body, str) and (len(kind.keys) == 1 or kind.required):
            body = {next(iter(kind.keys)): body}  # uplink: down
        places = {
            "lines": ("site", "tag", "line"),
            "devices": ("site", "tag", "device"),
            "any": ("site", "tag", "line", "device"),
            "site": ("site",),
            "none": (),
        }
        entry = self.mapping(path, body if body is not None else {}, (*places[kind.place], *kind.keys))
        values = {key: self.value((*path, key), entry[key], reader) for key, reader in kind.keys.items() if key in entry}
        required = [*kind.required, *(["device"] if kind.device_required else [])]
        for missing in [key for key in required if key not in entry]:
            self.complain(path, "missing", name=missing)
        if kind_name == "snmp" and ("oid" in entry) == ("metric" in entry):
            self.complain(path, "want_oid_or_metric")
        if kind_name in {"rate", "traffic"} and not {"down", "up"} & entry.keys():
            self.complain(path, "want_down_or_up")
        if kind_name == "clock" and ("forward" in entry) == ("back" in entry):
            self.complain(path, "want_forward_or_back")
        if kind_name == "human" and values.get("action"):
            self.human(path, str(values["action"]), entry)
        if kind_name == "anchor" and values.get("name") and self.inventory is not None:
            self.known((*path, "name"), "anchor", str(values["name"]), [anchor.id for anchor in self.inventory.anchors])
        where = Where() if kind.place == "none" or (kind.place == "site" and "site" not in entry) else self.where(path, entry)
        return where, {key: value for key, value in values.items() if value is not None}

    def human(self, path: Keys, action: str, entry: dict[str, Any]) -> None:
        """An acknowledgement is about an incident, the newest of a site or of all; a silence about what a matcher says, for so long."""
        wrong = ("matcher",) if action in ABOUT_AN_INCIDENT else ("site",)
        for key in [key for key in wrong if key in entry]:
            self.complain((*path, key), "not_with", name=action)
        for missing in [key for key in ("matcher", "lasts") if action not in ABOUT_AN_INCIDENT and key not in entry]:
            self.complain(path, "missing", name=missing)

    def where(self, path: Keys, entry: dict[str, Any]) -> Where:
        texts = {key: str(self.value((*path, key), entry[key], NAME) or "") for key in ("site", "line", "device") if key in entry}
        tag = None
        if "tag" in entry:
            given = entry["tag"]
            if isinstance(given, dict) and len(given) == 1 and all(isinstance(word, str) for pair in given.items() for word in pair):
                tag = next(iter(given.items()))
            else:
                self.complain((*path, "tag"), "want_tag")
        if ("site" in entry) == ("tag" in entry):
            self.complain(path, "want_site_or_tag")
        where = Where(tag=tag, **texts)
        if self.inventory is not None:
            self.place(path, where, self.inventory)
        return where

    def place(self, path: Keys, where: Where, inventory: Inventory) -> None:
        """Is there such a place in the inventory?"""
        if where.tag is not None and where.tag not in tags_of(inventory.sites):
            self.known((*path, "tag"), "tag", "=".join(where.tag), ["=".join(tag) for tag in tags_of(inventory.sites)])
        if not where.site or where.site == ALL_SITES:
            return
        self.known((*path, "site"), "site", where.site, inventory.sites)
        if where.site in inventory.sites:
            site = inventory.sites[where.site]
            lines = [word for line in lines_of(site) for word in (line.id, line.role)]
            if where.line:
                self.known((*path, "line"), "line", where.line, lines)
            if where.device:
                self.known((*path, "device"), "device", where.device, site.devices)

    def flaps(self, path: Keys, at: float, where: Where, values: Mapping[str, Value]) -> tuple[Fault, ...]:
        every, down, times = (float(values.get(key, 0)) for key in ("every", "down", "times"))
        if not 0 < down < every or not 1 <= times <= MAX_FLAPS or times != int(times):
            self.complain(path, "bad_flap")
            return ()
        pairs: list[Fault] = []
        for turn in range(int(times)):
            start = at + turn * every
            pairs.append(Fault(at_seconds=start, kind="cut", where=where))
            pairs.append(Fault(at_seconds=start + down, kind="restore", where=where))
        return tuple(pairs)

    # --- the rest

    def scenario(self, document: Any) -> Scenario:
        keys = ("name", "description", "seed", "duration", "haste", "sites", "only_lines", "faults", "expect")
        entry = self.mapping((), document, keys)
        for missing in [key for key in ("name", "duration") if key not in entry]:
            self.complain((), "missing", name=missing)
        seed = self.value(("seed",), entry.get("seed", 1), NUMBER)
        sites = [self.value(("sites", index), site, NAME) for index, site in enumerate(self.sequence(("sites",), entry.get("sites", [])))]
        if self.inventory is not None:
            for index, site in enumerate(sites):
                self.known(("sites", index), "site", str(site), self.inventory.sites)
        faults = [
            fault
            for index, each in enumerate(self.sequence(("faults",), entry.get("faults", [])))
            for fault in self.faults(("faults", index), each)
        ]
        return Scenario(
            name=str(self.value(("name",), entry.get("name", "-"), NAME)),
            description=str(entry.get("description", "")),
            seed=int(seed or 0),
            duration_seconds=self.value(("duration",), entry.get("duration", 0), SECONDS) or 0.0,
            haste_seconds=self.value(("haste",), entry["haste"], SECONDS) if "haste" in entry else None,
            sites=tuple(str(site) for site in sites),
            only_lines=self.flag(("only_lines",), entry.get("only_lines", False)),
            faults=tuple(sorted(faults, key=lambda fault: fault.at_seconds)),
            expect=self.expect(("expect",), entry["expect"]) if "expect" in entry else None,
        )


def read_scenario(document: Any, inventory: Inventory | None = None, locate: Locate = nowhere) -> Scenario:
    """A scenario from plain YAML data. With an inventory, its sites, lines, devices and tags must exist. Raises ScenarioRefused."""
    reading = _Reading(inventory, locate)
    scenario = reading.scenario(document)
    if reading.complaints:
        raise ScenarioRefused(reading.complaints)
    return scenario


def read_fault(document: Any, inventory: Inventory | None = None) -> Fault:
    """One fault, such as `{"cut": {"site": "na-tau"}}`. Raises ScenarioRefused."""
    reading = _Reading(inventory, nowhere)
    faults = reading.faults((), document)
    if not reading.complaints and len(faults) != 1:
        reading.complain((), "want_one_fault", choices=", ".join(kind for kind in KINDS if kind != "flap"))
    if reading.complaints:
        raise ScenarioRefused(reading.complaints)
    return replace(faults[0], at_seconds=0.0)


def as_document(fault: Fault) -> dict[str, Any]:
    """The fault as a file would say it, less its time: what `read_fault` reads back to the same."""
    where = fault.where
    body: dict[str, Any] = {key: word for key, word in (("site", where.site), ("line", where.line), ("device", where.device)) if word}
    if where.tag is not None:
        body["tag"] = dict([where.tag])
    readers = KINDS[fault.kind].keys
    for key, value in fault.values.items():
        body[key] = f"{float(value) / UNIT_BITS['kbps']:.6f} kbps" if readers[key] is RATE else value
    return {fault.kind: body}
