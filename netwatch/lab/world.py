"""What is true in the lab at time t: every fault so far, applied to an inventory. Pure, on a clock of its own from 0.

The lab turns it into packets and SNMP answers; a simulation asks it directly.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from random import Random
from typing import NamedTuple

from netwatch.lab.faults import ALL_SITES, DeviceState, Fault, LineState, Scenario, Where
from netwatch.lang import fold
from netwatch.model import Device, Inventory, Line, Site

__all__ = ["OWN_LINE", "Reach", "WorldModel"]

DAY_SECONDS = 86_400.0
DEFAULT_RATE = 100e6
ANCHOR_SECONDS = 0.02
BATTERY_SECONDS = 1200.0, 3600.0  # how long batteries last that a scenario says nothing of: each its own time
OWN_LINE = ""  # the line of a place whose inventory entry has none, such as a hub


class Reach(NamedTuple):
    """What an echo to a target meets: loss and delay are of the round trip."""

    up: bool
    loss_ratio: float
    delay_seconds: float


class WorldModel:
    """`advance` moves time on; the rest answers for that moment. The same seed and faults give the same world."""

    def __init__(self, scenario: Scenario, inventory: Inventory) -> None:
        self.inventory = inventory
        self.seed = seed = scenario.seed
        self.now = 0.0
        self.uplink_up = True
        self._anchors_down: set[str] = set()
        self._anchors = {inventory.checks[anchor.check].target: anchor.id for anchor in inventory.anchors if anchor.own}
        self._anchor_sites = {inventory.checks[anchor.check].site for anchor in inventory.anchors if anchor.own}
        self._lines: dict[tuple[str, str], LineState] = {}
        self._base_lines: dict[tuple[str, str], LineState] = {}
        self._devices: dict[tuple[str, str], DeviceState] = {}
        self._dark: set[str] = set()
        self._numbers = itertools.count()
        self._later: list[tuple[float, int, Callable[[], Fault | None]]] = []
        for site in inventory.sites.values():
            for line in lines_of(site):
                self._lines[site.id, line.id] = self._base_lines[site.id, line.id] = self._new_line(site, line)
            for device in site.devices.values():
                days = Random(f"{seed}/{site.id}/{device.id}/days").uniform(1, 90)
                self._devices[site.id, device.id] = DeviceState(booted_at=-days * DAY_SECONDS)
        for fault in scenario.faults:
            self._at(fault.at_seconds, partial(self._apply_given, fault))

    # --- time

    def advance(self, to_seconds: float) -> tuple[Fault, ...]:
        """Moves time on and returns the faults that have come true, so that a caller can act on `kill` and `reload`."""
        happened = []
        while self._later and self._later[0][0] <= to_seconds:
            self.now, _number, act = heapq.heappop(self._later)
            fault = act()
            if fault is not None:
                happened.append(fault)
        self.now = max(self.now, to_seconds)
        return tuple(happened)

    def next_change(self) -> float | None:
        """When something changes by itself next."""
        return self._later[0][0] if self._later else None

    def apply(self, fault: Fault) -> None:
        """Makes a fault true now, whatever its time says."""
        self._apply_given(fault)

    # --- answers

    def line(self, site_id: str, line_id: str) -> LineState:
        return self._lines[site_id, line_id]

    def device(self, site_id: str, device_id: str) -> DeviceState:
        return self._devices[site_id, device_id]

    def dark(self, site_id: str) -> bool:
        """Whether the whole site has no electricity."""
        return site_id in self._dark

    def reachable(self, site_id: str, target_id: str) -> Reach:
        """Whether a line or a device answers somebody at the hub, and what the way there costs."""
        if site_id in self._anchor_sites:
            up = self.uplink_up and self._anchors.get(target_id) not in self._anchors_down
            return Reach(up=up, loss_ratio=0.0 if up else 1.0, delay_seconds=ANCHOR_SECONDS)
        carrier = self.carrier(site_id, target_id)
        if carrier is None:
            return Reach(up=False, loss_ratio=1.0, delay_seconds=0.0)
        line = self._lines[site_id, carrier]
        through = (1 - line.loss_down_ratio) * (1 - line.loss_up_ratio)
        return Reach(up=True, loss_ratio=1 - through, delay_seconds=line.round_trip_seconds)

    def carrier(self, site_id: str, target_id: str) -> str | None:
        """The line that carries packets to a line's or a device's address; None when they get no answer.

        Devices use the primary line while it works, then the next one.
        """
        site = self.inventory.sites[site_id]
        if not self.uplink_up or site_id in self._dark:
            return None
        if target_id not in site.devices:
            return None if self._lines[site_id, target_id].cut else target_id
        if not self._stands(site, site.devices[target_id]):
            return None
        working = (line.id for line in lines_of(site) if not self._lines[site_id, line.id].cut)
        return next(working, None)

    def alive(self, site_id: str, device_id: str) -> bool:
        """Whether a device has power, whatever the way to it."""
        return site_id not in self._dark and self._devices[site_id, device_id].powered

    def troubles(self) -> tuple[str, ...]:
        """What is not as it was at the start, one `site/target: word …` each."""
        found = [] if self.uplink_up else ["uplink: down"]
        found += [f"anchor {name}: down" for name in sorted(self._anchors_down)]
        found += [f"{site}: dark" for site in sorted(self._dark)]
        found += [f"{site}/{line}: {state.words(self._base_lines[site, line])}" for (site, line), state in self._lines.items()]
        found += [f"{site}/{device}: {state.words()}" for (site, device), state in self._devices.items()]
        return tuple(trouble for trouble in found if not trouble.endswith(": "))

    def _stands(self, site: Site, device: Device) -> bool:
        """Powered, and in each group of parents something that stands."""
        if not self._devices[site.id, device.id].powered:
            return False
        return all(any(self._parent_stands(site, parent) for parent in group) for group in device.parents if group)

    def _parent_stands(self, site: Site, parent: str) -> bool:
        if parent in site.devices:
            return self._stands(site, site.devices[parent])
        line = self._lines.get((site.id, parent))
        return line is not None and not line.cut

    # --- faults

    def _apply_given(self, fault: Fault) -> Fault:
        match fault.kind:
            case "cut" | "restore" | "loss" | "delay" | "rate" | "traffic":
                self._apply_to_lines(fault)
            case "uplink":
                self.uplink_up = fault.word("state") == "up"
            case "anchor":
                change = self._anchors_down.add if fault.word("state") == "down" else self._anchors_down.discard
                change(fault.word("name"))
            case "power" if not fault.where.device:
                for site in self._sites(fault.where):
                    self._apply_power(fault, site)
            case "reload" | "kill" | "human" | "clock" | "errors_of_ours" | "pager":
                pass  # the caller's to do: nothing changes out there
            case _:
                for site, device in self._devices_of(fault):
                    self._apply_to_device(fault, site, device)
        return fault

    def _apply_to_lines(self, fault: Fault) -> None:
        for site in self._sites(fault.where):
            if fault.kind == "restore" and fault.where.device:
                key = site.id, fault.where.device
                if key in self._devices:
                    self._devices[key] = DeviceState(booted_at=self._devices[key].booted_at)
                continue
            for line in self._lines_at(site, fault.where):
                key = site.id, line.id
                self._lines[key] = self._base_lines[key] if fault.kind == "restore" else fault.on_line(self._lines[key])
                self._count_traffic(site, line)

    def _count_traffic(self, site: Site, line: Line) -> None:
        """Its router counts what a line carries of other people's."""
        for device in site.devices.values():
            if device.role == "router":
                key = site.id, device.id
                self._devices[key] = self._devices[key].carrying(line.role, self._lines[site.id, line.id], self.now)

    def _apply_power(self, fault: Fault, site: Site) -> None:
        """Mains of a site, or of all on a feeder: there a UPS carries its site until its battery is empty."""
        on = fault.word("state") == "on"
        batteries = [device for device in site.devices.values() if device.role == "ups"]
        if fault.where.tag is None or not batteries:
            self._set_dark(site, dark=not on)
            return
        lasts = fault.number("lasts") or Random(f"{self.seed}/{site.id}/battery").uniform(*BATTERY_SECONDS)
        turned = replace(fault, kind="ups", values={"state": "mains"} if on else {"state": "battery", "lasts": lasts})
        for device in batteries:
            self._apply_to_device(turned, site, device)

    def _apply_to_device(self, fault: Fault, site: Site, device: Device) -> None:
        key = site.id, device.id
        state = fault.on_device(self._devices[key], self.now)
        if state.back_at is not None:
            self._at(state.back_at, partial(self._boot, key, state.back_at))
        elif fault.kind == "ups":
            if fault.word("state") == "battery":
                self._at(self.now + state.battery_seconds_left(self.now), partial(self._battery_empty, site, device.id, self.now))
            elif site.id in self._dark:
                self._devices[key] = state
                self._set_dark(site, dark=False)
                return
        self._devices[key] = state

    def _battery_empty(self, site: Site, device_id: str, since: float) -> None:
        if self._devices[site.id, device_id].battery_since == since:
            self._set_dark(site, dark=True)

    def _boot(self, key: tuple[str, str], due: float) -> None:
        if self._devices[key].back_at == due:
            self._devices[key] = replace(self._devices[key], powered=True, booted_at=self.now, back_at=None)

    def _set_dark(self, site: Site, *, dark: bool) -> None:
        if dark:
            self._dark.add(site.id)
        elif site.id in self._dark:
            self._dark.remove(site.id)
            for device in site.devices.values():
                key = site.id, device.id
                self._devices[key] = replace(self._devices[key], booted_at=self.now, battery_since=None, battery_ratio=1.0)

    def _at(self, when: float, act: Callable[[], Fault | None]) -> None:
        heapq.heappush(self._later, (when, next(self._numbers), act))

    # --- who is meant

    def _sites(self, where: Where) -> Iterator[Site]:
        if where.site and where.site != ALL_SITES:
            yield self.inventory.sites[where.site]
            return
        for site in self.inventory.sites.values():
            if where.site == ALL_SITES or (where.tag is not None and tag_matches(site, *where.tag)):
                yield site

    def _lines_at(self, site: Site, where: Where) -> Iterator[Line]:
        for line in lines_of(site):
            if where.line:
                wanted = where.line in {line.id, line.role}
            elif where.tag is None:
                wanted = True
            elif where.tag[0] == "carrier":
                wanted = _slug(line.carrier or site.tags.get("carrier", "")) == _slug(where.tag[1])
            else:
                wanted = line.role == "primary"  # a ring or a feeder carries the fibre, not the backup
            if wanted:
                yield line

    def _devices_of(self, fault: Fault) -> Iterator[tuple[Site, Device]]:
        for site in self._sites(fault.where):
            for device in site.devices.values():
                if fault.where.device == device.id or (not fault.where.device and device.role == fault.role):
                    yield site, device

    def _new_line(self, site: Site, line: Line) -> LineState:
        dice = Random(f"{self.seed}/{site.id}/{line.id}/line")
        backup = line.role == "backup"
        return LineState(
            round_trip_seconds=dice.uniform(0.045, 0.070) if backup else dice.uniform(0.004, 0.024),
            jitter_seconds=0.006 if backup else 0.0005,
            down_bits_per_second=line.contract_down_bits_per_second or DEFAULT_RATE,
            up_bits_per_second=line.contract_up_bits_per_second or line.contract_down_bits_per_second or DEFAULT_RATE,
        )


def lines_of(site: Site) -> tuple[Line, ...]:
    """A site's lines, primary ones first; one without name or address for a place that has none."""
    lines = sorted(site.lines.values(), key=lambda line: line.role != "primary")
    return tuple(lines) or (Line(id=OWN_LINE, address=""),)


def tag_matches(site: Site, key: str, value: str) -> bool:
    if key == "carrier":
        return _slug(value) in {_slug(name) for name in (site.tags.get(key, ""), *(line.carrier for line in site.lines.values())) if name}
    return value in {site.tags.get(key), site.district if key == "district" else None}


def _slug(name: str) -> str:
    """A carrier as tags name it: people write it with capitals and accents."""
    return fold(name).casefold().replace(" ", "-")


def tags_of(sites: Mapping[str, Site]) -> set[tuple[str, str]]:
    """Every tag a fault may name."""
    tags = {tag for site in sites.values() for tag in site.tags.items()}
    tags |= {("carrier", line.carrier) for site in sites.values() for line in site.lines.values() if line.carrier}
    return tags | {("district", site.district) for site in sites.values() if site.district}
