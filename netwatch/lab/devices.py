"""What each kind of device in the lab says over SNMP: believable tables whose counters move with the lab's clock."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from types import MappingProxyType

from netwatch.lab import ber
from netwatch.lab.agent import Layout, LayoutView, Value
from netwatch.lab.ber import Oid
from netwatch.lab.faults import DeviceState

__all__ = ["LabDevice", "layouts", "view"]

SYSTEM = (1, 3, 6, 1, 2, 1, 1)
INTERFACES = (1, 3, 6, 1, 2, 1, 2)
INTERFACES_X = (1, 3, 6, 1, 2, 1, 31, 1)
HOST = (1, 3, 6, 1, 2, 1, 25)
ETHER_LIKE = (1, 3, 6, 1, 2, 1, 10, 7)
PRINTER = (1, 3, 6, 1, 2, 1, 43)
UPS = (1, 3, 6, 1, 2, 1, 33, 1)
SWELL_SECONDS = 600.0  # traffic rises and falls over ten minutes
LOW_TONER_RATIO = 0.15

Objects = dict[Oid, "Value[LabDevice]"]


@dataclass(slots=True, eq=False)
class LabDevice:
    """One device: who it is, its state from the world, and dice of its own that make it differ from its neighbours."""

    site: str
    name: str
    role: str
    state: Callable[[], DeviceState]
    seed: int = 1
    spread: float = field(init=False)

    def __post_init__(self) -> None:
        self.spread = Random(f"{self.seed}/{self.site}/{self.name}/spread").uniform(0.6, 1.4)

    def uptime_seconds(self, now: float) -> float:
        return max(0.0, now - self.state().booted_at)

    def moved(self, mean_per_second: float, now: float) -> int:
        """What a counter of that mean rate shows: it never falls, and its rate swings between half and one and a half."""
        seconds = self.uptime_seconds(now)
        turns = 2 * math.pi / SWELL_SECONDS
        return int(mean_per_second * self.spread * (seconds + 0.5 * (1 - math.cos(turns * seconds)) / turns))


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    name: str
    alias: str = ""
    megabits: int = 1000
    receive: float = 20_000.0  # mean bytes a second
    transmit: float = 20_000.0
    kind: int = 6  # ethernetCsmacd
    carries: str = ""  # the role of the line behind it

    def received(self, device: LabDevice, now: float) -> int:
        return device.moved(self.receive, now) + int(device.state().carried_bytes(self.carries, "down", now))

    def transmitted(self, device: LabDevice, now: float) -> int:
        return device.moved(self.transmit, now) + int(device.state().carried_bytes(self.carries, "up", now))

    def negotiated(self, device: LabDevice) -> tuple[float, bool]:
        """Bits per second, and whether both ways at once."""
        return device.state().negotiated.get(self.name, (self.megabits * 1e6, True))


def layouts() -> Mapping[str, Layout[LabDevice]]:
    """The objects of each role; the role "" is for a device that has only the system group and one port."""
    ports = {
        "router": (
            Port(name="ether1", alias="WAN", receive=3e6, transmit=8e5, carries="primary"),
            Port(name="ether2", alias="LAN", receive=9e5, transmit=3e6),
            Port(name="ether3", receive=2e3, transmit=2e3),
            Port(name="lte1", alias="4G", megabits=100, receive=500, transmit=500, carries="backup"),
        ),
        "switch": tuple(Port(name=f"GigabitEthernet0/0/{n}", alias="uplink" if n == 1 else "") for n in range(1, 9)),
        "wifi-ap": (Port(name="eth0"), Port(name="wifi0", megabits=300, kind=71), Port(name="wifi1", megabits=866, kind=71)),
    }
    makers: Mapping[str, tuple[str, Oid, Objects]] = {
        "router": ("RouterOS RB4011iGS+", (1, 3, 6, 1, 4, 1, 14988, 1), _host_objects()),
        "switch": ("Huawei S5720-12TP-LI-AC", (1, 3, 6, 1, 4, 1, 2011, 2, 23, 400), _host_objects()),
        "wifi-ap": ("UAP-AC-Pro-Gen2", (1, 3, 6, 1, 4, 1, 41112, 1, 6, 3), _host_objects() | _wifi_objects()),
        "printer": ("HP LaserJet Pro M404dn", (1, 3, 6, 1, 4, 1, 11, 2, 3, 9, 1), _printer_objects()),
        "ups": ("Eaton Ellipse PRO, Network-M2", (1, 3, 6, 1, 4, 1, 534, 1), _ups_objects()),
        "": ("Linux embedded", (1, 3, 6, 1, 4, 1, 8072, 3, 2, 10), {}),
    }
    return MappingProxyType(
        {
            role: Layout(_system_objects(described, kind) | _port_objects(ports.get(role, (Port(name="eth0", megabits=100),))) | objects)
            for role, (described, kind, objects) in makers.items()
        }
    )


def view(layout: Layout[LabDevice], device: LabDevice, now: float) -> LayoutView[LabDevice]:
    """What a device would answer now, with the values set by `snmp` faults in the type of the object they replace."""
    overrides: dict[bytes, bytes] = {}
    plain = LayoutView(layout, device, now, overrides)
    for dotted, value in device.state().oids.items():
        oid = ber.encode_oid(ber.parse_oid(dotted))
        before = plain.get(oid) or ber.integer(0)
        overrides[oid] = ber.text(value) if isinstance(value, str) else before[:1] + ber.integer(int(value))[1:]
    return plain


def _system_objects(described: str, kind: Oid) -> Objects:
    return {
        (*SYSTEM, 1, 0): ber.text(described),
        (*SYSTEM, 2, 0): ber.object_id(kind),
        (*SYSTEM, 3, 0): lambda device, now: ber.ticks(int(device.uptime_seconds(now) * 100)),
        (*SYSTEM, 4, 0): ber.text("lab"),
        (*SYSTEM, 5, 0): lambda device, _now: ber.text(f"{device.site}-{device.name}"),
        (*SYSTEM, 6, 0): lambda device, _now: ber.text(device.site),
        (*SYSTEM, 7, 0): ber.integer(72),
        (*HOST, 1, 1, 0): lambda device, now: ber.ticks(int(device.uptime_seconds(now) * 100)),
    }


def _port_objects(ports: Sequence[Port]) -> Objects:
    objects: Objects = {
        (*INTERFACES, 1, 0): ber.integer(len(ports)),
        (*INTERFACES_X, 5, 0): ber.ticks(0),
    }
    for index, port in enumerate(ports, 1):
        objects |= _one_port(index, port)
    return objects


def _one_port(index: int, port: Port) -> Objects:
    """One row of ifTable and ifXTable, RFC 2863."""

    def column(number: int) -> Oid:
        return (*INTERFACES, 2, 1, number, index)

    def column_x(number: int) -> Oid:
        return (*INTERFACES_X, 1, 1, number, index)

    def oper(device: LabDevice, _now: float) -> bytes:
        return ber.integer(2 if port.name in device.state().ports_down else 1)

    def errors(device: LabDevice, now: float) -> bytes:
        return ber.counter32(int(device.state().error_count(port.name, now)))

    return {
        column(1): ber.integer(index),
        column(2): ber.text(port.name),
        column(3): ber.integer(port.kind),
        column(4): ber.integer(1500),
        column(5): lambda device, _now: ber.gauge(min(int(port.negotiated(device)[0]), 2**32 - 1)),
        column(6): ber.text(bytes((0x02, 0, 0, 0, 0, index))),
        column(7): ber.integer(1),
        column(8): oper,
        column(9): ber.ticks(0),
        column(10): lambda device, now: ber.counter32(port.received(device, now)),
        column(11): lambda device, now: ber.counter32(port.received(device, now) // 700),
        column(13): ber.counter32(0),
        column(14): errors,
        column(16): lambda device, now: ber.counter32(port.transmitted(device, now)),
        column(17): lambda device, now: ber.counter32(port.transmitted(device, now) // 700),
        column(19): ber.counter32(0),
        column(20): ber.counter32(0),
        column_x(1): ber.text(port.name),
        column_x(6): lambda device, now: ber.counter64(port.received(device, now)),
        column_x(7): lambda device, now: ber.counter64(port.received(device, now) // 700),
        column_x(10): lambda device, now: ber.counter64(port.transmitted(device, now)),
        column_x(11): lambda device, now: ber.counter64(port.transmitted(device, now) // 700),
        column_x(15): lambda device, _now: ber.gauge(int(port.negotiated(device)[0] / 1e6)),
        column_x(17): ber.integer(1),
        column_x(18): ber.text(port.alias),
        column_x(19): ber.ticks(0),
        # dot3StatsDuplexStatus, RFC 3635: halfDuplex 2, fullDuplex 3
        (*ETHER_LIKE, 2, 1, 19, index): lambda device, _now: ber.integer(3 if port.negotiated(device)[1] else 2),
    }


def _host_objects() -> Objects:
    """Processor and memory of HOST-RESOURCES-MIB (RFC 2790)."""
    return {
        (*HOST, 2, 3, 1, 1, 65536): ber.integer(65536),
        (*HOST, 2, 3, 1, 2, 65536): ber.object_id((*HOST, 2, 1, 2)),
        (*HOST, 2, 3, 1, 3, 65536): ber.text("main memory"),
        (*HOST, 2, 3, 1, 4, 65536): ber.integer(1024),
        (*HOST, 2, 3, 1, 5, 65536): ber.integer(1_048_576),
        (*HOST, 2, 3, 1, 6, 65536): lambda device, _now: ber.integer(int(330_000 * device.spread)),
        (*HOST, 3, 3, 1, 1, 1): ber.object_id((0, 0)),
        (*HOST, 3, 3, 1, 2, 1): lambda device, now: ber.integer(int(18 * device.spread + 6 * math.sin(now / 45))),
    }


def _wifi_objects() -> Objects:
    """Stations of each radio network: unifiVapNumStations of UBNT-UniFi-MIB."""
    vaps = (1, 3, 6, 1, 4, 1, 41112, 1, 6, 1, 2, 1)
    objects: Objects = {}
    for index, (essid, people) in enumerate((("UBND", 14), ("Khach", 6)), 1):
        objects[*vaps, 1, index] = ber.integer(index)
        objects[*vaps, 6, index] = ber.text(essid)
        objects[*vaps, 8, index] = _stations(people)
    return objects


def _stations(people: int) -> Value[LabDevice]:
    return lambda device, now: ber.integer(max(0, int(people * device.spread + 2 * math.sin(now / 90))))


def _printer_objects() -> Objects:
    """HOST-RESOURCES-MIB (RFC 2790) and Printer-MIB (RFC 3805): one tray of paper, one black toner."""
    return {
        (*HOST, 3, 2, 1, 1, 1): ber.integer(1),
        (*HOST, 3, 2, 1, 2, 1): ber.object_id((*HOST, 3, 1, 5)),
        (*HOST, 3, 2, 1, 3, 1): ber.text("HP LaserJet Pro M404dn"),
        (*HOST, 3, 2, 1, 5, 1): lambda device, _now: ber.integer(2 if device.state().paper else 5),
        (*HOST, 3, 5, 1, 1, 1): lambda device, _now: ber.integer(3 if device.state().paper else 1),
        (*HOST, 3, 5, 1, 2, 1): lambda device, _now: ber.text(_printer_errors(device.state())),
        (*PRINTER, 5, 1, 1, 17, 1): lambda device, _now: ber.text(f"VNC{int(device.spread * 1e6)}"),
        (*PRINTER, 8, 2, 1, 2, 1, 1): ber.integer(3),
        (*PRINTER, 8, 2, 1, 8, 1, 1): ber.integer(8),
        (*PRINTER, 8, 2, 1, 9, 1, 1): ber.integer(250),
        (*PRINTER, 8, 2, 1, 10, 1, 1): lambda device, _now: ber.integer(180 if device.state().paper else 0),
        (*PRINTER, 8, 2, 1, 11, 1, 1): lambda device, _now: ber.integer(0 if device.state().paper else 9),
        (*PRINTER, 8, 2, 1, 13, 1, 1): ber.text("Tray 1"),
        (*PRINTER, 10, 2, 1, 4, 1, 1): lambda device, now: ber.counter32(device.moved(0.01, now)),
        (*PRINTER, 11, 1, 1, 2, 1, 1): ber.integer(1),
        (*PRINTER, 11, 1, 1, 3, 1, 1): ber.integer(1),
        (*PRINTER, 11, 1, 1, 4, 1, 1): ber.integer(3),
        (*PRINTER, 11, 1, 1, 5, 1, 1): ber.integer(3),
        (*PRINTER, 11, 1, 1, 6, 1, 1): ber.text("Black Cartridge"),
        (*PRINTER, 11, 1, 1, 7, 1, 1): ber.integer(19),
        (*PRINTER, 11, 1, 1, 8, 1, 1): ber.integer(100),
        (*PRINTER, 11, 1, 1, 9, 1, 1): lambda device, _now: ber.integer(round(device.state().toner_ratio * 100)),
        (*PRINTER, 16, 5, 1, 2, 1, 1): lambda device, _now: ber.text("Ready" if device.state().paper else "Load paper Tray 1"),
    }


def _printer_errors(state: DeviceState) -> bytes:
    """hrPrinterDetectedErrorState: noPaper is bit 1, lowToner 2, noToner 3, inputTrayEmpty 13, from the top."""
    first = 0x40 if not state.paper else 0
    if state.toner_ratio <= LOW_TONER_RATIO:
        first |= 0x20 if state.toner_ratio > 0 else 0x10
    return bytes((first, 0 if state.paper else 0x04))


def _ups_objects() -> Objects:
    """UPS-MIB, RFC 1628."""

    def mains(on_mains: int, on_battery: int) -> Value[LabDevice]:
        return lambda device, _now: ber.integer(on_battery if device.state().on_battery else on_mains)

    return {
        (*UPS, 1, 1, 0): ber.text("EATON"),
        (*UPS, 1, 2, 0): ber.text("Ellipse PRO 1600"),
        (*UPS, 1, 5, 0): lambda device, _now: ber.text(device.name),
        (*UPS, 2, 1, 0): lambda device, now: ber.integer(3 if device.state().battery_low(now) else 2),
        (*UPS, 2, 2, 0): lambda device, now: ber.integer(int(_battery_age(device.state(), now))),
        (*UPS, 2, 3, 0): lambda device, now: ber.integer(int(device.state().battery_seconds_left(now) // 60)),
        (*UPS, 2, 4, 0): lambda device, now: ber.integer(round(device.state().charge_ratio(now) * 100)),
        (*UPS, 2, 5, 0): ber.integer(272),
        (*UPS, 2, 7, 0): lambda device, _now: ber.integer(int(26 * device.spread)),
        (*UPS, 3, 1, 0): mains(0, 1),
        (*UPS, 3, 2, 0): ber.integer(1),
        (*UPS, 3, 3, 1, 2, 1): mains(500, 0),
        (*UPS, 3, 3, 1, 3, 1): mains(226, 0),
        (*UPS, 4, 1, 0): mains(3, 5),
        (*UPS, 4, 2, 0): ber.integer(500),
        (*UPS, 4, 3, 0): ber.integer(1),
        (*UPS, 4, 4, 1, 2, 1): ber.integer(230),
        (*UPS, 4, 4, 1, 5, 1): lambda device, _now: ber.integer(int(35 * device.spread)),
        (*UPS, 6, 1, 0): mains(0, 1),
    }


def _battery_age(state: DeviceState, now: float) -> float:
    return 0.0 if state.battery_since is None else now - state.battery_since
