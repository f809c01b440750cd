"""What stands at one site: its lines and devices, from the role, the site itself and the defaults, with their addresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pydantic import BaseModel

from netwatch._complaint import closest, dotted
from netwatch._yaml_document import Document, Keys
from netwatch.inventory import _line_methods
from netwatch.inventory._addresses import Address, Network, WrongAddress, address, host
from netwatch.inventory._collect import Collector, Where
from netwatch.inventory._communes import slug as slug_of
from netwatch.inventory._line_schema import LineTestEntry
from netwatch.inventory._profiles import LINE, Profile, Profiles
from netwatch.inventory._schema import AnchorEntry, DeviceEntry, File, HubEntry, LineEntry, RoleEntry, SiteEntry
from netwatch.inventory._snmp import SnmpSettings
from netwatch.model import Device, Line

__all__ = ["Place", "Target", "Targets"]

ROUTER = "router"
NOT_OF_LINES = frozenset({"feeder", "carrier", "district"})
E = TypeVar("E", LineEntry, DeviceEntry)
Place = SiteEntry | HubEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A line or a device that is going to be checked."""

    id: str
    where: Where
    address: str
    profile: Profile
    snmp: SnmpSettings
    thing: Line | Device
    test: LineTestEntry | None = None  # of a line
    test_where: Where | None = None


class Targets:
    """Builds the targets of one site after the other; keeps the books of addresses over all of them."""

    def __init__(self, file: File, document: Document, profiles: Profiles, collector: Collector) -> None:
        self._file = file
        self._document = document
        self._profiles = profiles
        self._collector = collector
        self._taken: dict[Address, tuple[Keys, Where]] = {}
        self._changed: dict[tuple[str, int, int], tuple[LineEntry | DeviceEntry, Profile]] = {}
        self.outside: list[tuple[Address, Where]] = []

    def of(self, path: Keys, place: Place, net: Network | None, snmp: SnmpSettings) -> dict[str, Target]:
        role = self._file.roles.get(place.role) if place.role is not None else None
        lower = role or RoleEntry()
        lines = self._merged(path, "lines", place.role, lower.lines, place.lines)
        devices = self._merged(path, "devices", place.role, lower.devices, place.devices)
        found: dict[str, Target] = {}
        for name, (line, where) in lines.items():
            if name in devices:
                self._collector.error(devices[name][1], "line_and_device", at_key=True, word=name)
            target = self._line(path, place, name, line, where, net, snmp)
            if target is not None:
                found[name] = target
        for name, (device, where) in devices.items():
            made = self._device(path, name, device, where, net, snmp)
            if made is not None:
                found[name] = made
        if not lines and not devices:
            self._collector.error((self._document, path), "nothing_here", at_key=True)
        return self._with_parents(found, devices)

    def _merged(
        self, path: Keys, part: str, role: str | None, lower: Mapping[str, E], upper: Mapping[str, E | None]
    ) -> dict[str, tuple[E, Where]]:
        """Role below, site above; null takes away. Where the site says nothing, complaints point at the site's key."""
        merged: dict[str, tuple[E, Where]] = {
            name: (entry, (self._document, ("roles", role or "", part, name))) for name, entry in lower.items()
        }
        for name, entry in upper.items():
            where: Where = (self._document, (*path, part, name))
            if entry is None:
                if name not in lower:
                    self._collector.unknown(where, "no_such_target", name, lower)
                merged.pop(name, None)
            else:
                merged[name] = (_over(merged[name][0], entry) if name in merged else entry, where)
        return merged

    def _line(
        self, path: Keys, place: Place, name: str, entry: LineEntry, where: Where, net: Network | None, snmp: SnmpSettings
    ) -> Target | None:
        written = entry.test
        if entry.role != "backup":
            own = place.line if place.lines.get(name) is None else _over(place.line, place.lines[name] or LineEntry())
            entry = _over(_over(self._file.defaults.line, entry), own)
            written = written or own.test
        profile = self._profile(entry.profile or LINE, entry, where)
        at = self._address((*path, "lines", name), name, entry, where, net)
        if profile is None or at is None:
            return None
        line = Line(
            id=name,
            address=at,
            label=entry.label or profile.label,
            carrier=entry.carrier or "",
            circuit=entry.circuit or "",
            hotline=entry.hotline or "",
            contract_down_bits_per_second=entry.contract.down if entry.contract else 0.0,
            contract_up_bits_per_second=entry.contract.up if entry.contract else 0.0,
            role=entry.role or "primary",
            interface=entry.interface or "",
            metered=bool(entry.metered),
            tags=_shared(entry, place),
        )
        test = None if line.metered and written is None else entry.test  # what a test takes of a SIM is paid for
        nearest = ((*path, "lines", name, "test"), (*path, "line", "test"), (*where[1], "test"), ("defaults", "line", "test"))
        spot = next((one for one in nearest if one in where[0].marks), path)
        return Target(id=name, where=where, address=at, profile=profile, snmp=snmp, thing=line, test=test, test_where=(where[0], spot))

    def _device(self, path: Keys, name: str, entry: DeviceEntry, where: Where, net: Network | None, snmp: SnmpSettings) -> Target | None:
        if entry.profile is None:
            self._collector.error(where, "missing", name="profile")
            return None
        profile = self._profile(entry.profile, entry, where)
        at = self._address((*path, "devices", name), name, entry, where, net)
        if profile is None or at is None:
            return None
        settings = snmp.under(entry.snmp, (where[0], (*where[1], "snmp")), self._collector)
        label = entry.label or profile.label
        device = Device(
            id=name,
            address=at,
            profile=profile.name,
            role=entry.role or profile.role,
            label=label,
            serial=entry.serial or "",
            warranty_until=entry.warranty_until or "",
        )
        return Target(id=name, where=where, address=at, profile=profile, snmp=settings, thing=device)

    def anchor(self, entry: AnchorEntry, where: Where, snmp: SnmpSettings) -> Target | None:
        """An anchor is asked as a line is."""
        asked = DeviceEntry(address=entry.address)
        profile = self._profile(LINE, asked, where)
        at = self._address((*where[1], "address"), entry.name, asked, where, None)
        if profile is None or at is None:
            return None
        label = f"{entry.name} ({entry.carrier})" if entry.carrier else entry.name
        thing = Device(id=entry.name, address=at, profile="anchor", role="anchor", label=label)
        return Target(id=entry.name, where=where, address=at, profile=profile, snmp=snmp, thing=thing)

    def _profile(self, name: str, entry: LineEntry | DeviceEntry, where: Where) -> Profile | None:
        profile = self._profiles.get(name, (where[0], (*where[1], "profile")))
        if profile is None or not (entry.checks or entry.rules):
            return profile
        key = (name, id(entry.checks), id(entry.rules))  # what a role says is one object for all its sites
        if key not in self._changed:
            self._changed[key] = (entry, profile.changed(entry.checks, entry.rules, where, self._collector))
        return self._changed[key][1]

    def _address(self, owner: Keys, name: str, entry: LineEntry | DeviceEntry, where: Where, net: Network | None) -> str | None:
        """The one written, or the plan's. Each belongs to one target only."""
        document = where[0]
        key = "address" if entry.address is not None else "host" if entry.host is not None else ""
        spot: Where = (document, (*where[1], key)) if key else (document, owner)
        try:
            if entry.address is not None:
                at = address(entry.address)
                self.outside.append((at, spot))
            elif (number := entry.host or self._file.plan.hosts.get(name)) is None:
                self._collector.error(where, "no_host", at_key=True, word=name, hint=closest(name, self._file.plan.hosts))
                return None
            elif net is None:
                return None
            else:
                at = host(net, number)
        except WrongAddress as wrong:
            self._collector.error(spot, wrong.key, at_key=False, hint="", name="", **wrong.fields)
            return None
        other, earlier = self._taken.setdefault(at, (owner, spot))
        if other != owner:
            line = earlier[0].place(earlier[1]).line
            self._collector.error(spot, "duplicate_address", address=str(at), other=dotted(other), line=str(line))
            return None
        return str(at)

    def _with_parents(self, found: dict[str, Target], entries: Mapping[str, tuple[DeviceEntry, Where]]) -> dict[str, Target]:
        lines = tuple(target.id for target in found.values() if isinstance(target.thing, Line))
        parents: dict[str, tuple[str, ...]] = {}
        for name, (entry, where) in entries.items():
            if "parent" in entry.model_fields_set:
                at: Where = (where[0], (*where[1], "parent"))
                for parent in entry.parent or ():
                    if parent not in found and parent not in entries:
                        self._collector.unknown(at, "unknown_parent", parent, found)
                parents[name] = tuple(entry.parent or ())
            else:
                parents[name] = (ROUTER,) if name != ROUTER and ROUTER in entries else lines
        for circle in _circles(parents):
            self._collector.error(entries[circle[0]][1], "parent_cycle", at_key=True, chain=" → ".join((*circle, circle[0])))
        made = dict(found)
        for name, group in parents.items():
            target = made.get(name)
            if target is not None and isinstance(target.thing, Device) and group:
                made[name] = replace(target, thing=replace(target.thing, parents=(group,)))
        return made


def _shared(entry: LineEntry, place: Place) -> dict[str, str]:
    """What a line has in common with others. What a site is tagged with is about its primary line: a SIM does not run in the ring."""
    of_site = {} if entry.role == "backup" else {key: value for key, value in place.tags.items() if key not in NOT_OF_LINES}
    carrier = {"carrier": slug_of(entry.carrier)} if entry.carrier else {}
    return {**of_site, **carrier, **entry.tags}


def _over(lower: E, upper: E) -> E:
    """`upper`'s keys win; checks and rules of the two are merged by name, theirs by key."""
    merged: dict[str, Any] = {name: getattr(lower, name) for name in lower.model_fields_set}
    for name in upper.model_fields_set:
        value = getattr(upper, name)
        if name == "tags" and name in merged:
            value = merged[name] | value
        elif name == "test" and value is not None and merged.get(name) is not None:
            value = _line_methods.laid_over(merged[name], value)
        elif name in {"checks", "rules"} and name in merged:
            below = merged[name]
            value = below | {key: {**(below.get(key) or {}), **part} if part is not None else None for key, part in value.items()}
        merged[name] = value
    return _constructed(type(lower), merged)


def _constructed(model: type[E], values: dict[str, Any]) -> E:
    made: BaseModel = model.model_construct(set(values), **values)
    return made  # type: ignore[return-value]  # model_construct gives the model it was called on


def _circles(parents: Mapping[str, tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Circles of parents, each from the device where it was entered; every device is looked at once."""
    done: set[str] = set()
    circles = []
    for start in parents:
        trail: list[str] = []
        pending = [iter((start,))]
        while pending:
            name = next(pending[-1], None)
            if name is None:
                pending.pop()
                if trail:
                    done.add(trail.pop())
            elif name in trail:
                circles.append(tuple(trail[trail.index(name) :]))
            elif name not in done:
                trail.append(name)
                pending.append(iter(parents.get(name, ())))
    return circles
