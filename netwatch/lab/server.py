"""The lab's own process: devices, the way to them, and the socket that takes faults."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path
from typing import Any

from netwatch.lab.agent import Agent, Layout, LayoutView
from netwatch.lab.complaints import LabComplaint, ScenarioRefused
from netwatch.lab.devices import LabDevice, layouts, view
from netwatch.lab.faults import ONLY_SIMULATED, Fault, LineState
from netwatch.lab.links import LinkSettings, as_change
from netwatch.lab.meetings import Meetings
from netwatch.lab.responders import Responders, Service, ServiceKind
from netwatch.lab.scenario import read_fault
from netwatch.lab.world import WorldModel, lines_of
from netwatch.model import Check, Inventory

__all__ = ["LINE_FAULTS", "LabServer", "addresses_of", "lab_services"]

SNMP_PORT = 161
PORT_OFFSETS = (0, 10_000, 20_000)
LINE_FAULTS = frozenset({"cut", "restore", "loss", "delay", "rate", "traffic", "uplink"})
MESSAGE_LIMIT_BYTES = 1 << 20


@dataclass(slots=True)
class LabServer:
    """`emulator` is the link emulator's control socket; None in the loopback lab, where no line can be touched."""

    world: WorldModel
    control_path: Path
    community: bytes
    emulator: socket.socket | None = None
    why_not: str = ""
    port_offset: int = 0
    counters: dict[str, int] = field(default_factory=dict)
    _sent_lines: dict[str, LineState] = field(default_factory=dict)
    _sent_addresses: dict[str, str | None] = field(default_factory=dict)
    _agent: Agent = field(init=False)
    _responders: Responders = field(init=False)
    _layouts: dict[str, Layout[LabDevice]] = field(default_factory=dict)
    _devices: dict[bytes, LabDevice] = field(default_factory=dict)
    _started: float = 0.0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _applying: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self, ready: Callable[[dict[str, Any]], None]) -> None:
        """Serves until cancelled; `ready` is told once everything answers. Raises OSError when a port cannot be had."""
        self._layouts = dict(layouts())
        for site in self.world.inventory.sites.values():
            for device in site.devices.values():
                with contextlib.suppress(AddressValueError):
                    key = IPv4Address(device.address).packed
                    state = _state_of(self.world, site.id, device.id)
                    self._devices[key] = LabDevice(site.id, device.id, device.role, state, self.world.seed)
        self._started = asyncio.get_running_loop().time()
        self._agent, self._responders = await self._open_ports()
        try:
            await self._tell_emulator()
            server = await asyncio.start_unix_server(self._converse, self.control_path, limit=MESSAGE_LIMIT_BYTES)
            ready({"port_offset": self.port_offset})
            async with server:
                while True:
                    await self._until_next_change()
                    self.world.advance(self.now())
                    await self._follow()
        finally:
            self._agent.close()
            self._responders.close()

    def now(self) -> float:
        return asyncio.get_running_loop().time() - self._started

    # --- devices

    def find(self, destination: bytes) -> LayoutView[LabDevice] | None:
        """The answering device of an address; None for an unknown or a dead one."""
        device = self._devices.get(destination)
        if device is None or not self.world.alive(device.site, device.name):
            return None
        return view(self._layouts.get(device.role) or self._layouts[""], device, self.now())

    async def _open_ports(self) -> tuple[Agent, Responders]:
        """In the loopback lab the usual ports may be taken or forbidden: then all of them move by one offset."""
        loopback = self.emulator is None
        for offset in PORT_OFFSETS if loopback else PORT_OFFSETS[:1]:
            meetings = Meetings(self.world, self.now, time.time)
            responders = Responders(tuple(lab_services(self.world.inventory)), self.world.alive, meetings, offset)
            try:
                agent = Agent(self.find, self.community, SNMP_PORT + offset, loopback_only=loopback)
            except OSError as error:
                if not loopback or error.errno not in {errno.EACCES, errno.EADDRINUSE}:
                    raise
                continue
            try:
                await responders.refresh()
            except OSError as error:
                agent.close()
                responders.close()
                if not loopback or error.errno not in {errno.EACCES, errno.EADDRINUSE}:
                    raise
                continue
            self.port_offset = offset
            return agent, responders
        raise OSError(errno.EADDRINUSE, f"no free ports for the lab's devices: UDP {SNMP_PORT} and the same plus {PORT_OFFSETS[1:]}")

    # --- faults

    async def _until_next_change(self) -> None:
        due = self.world.next_change()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if due is None else max(0.0, due - self.now())):
                await self._changed.wait()
        self._changed.clear()

    async def apply(self, fault: Fault) -> None:
        """Makes a fault true; when it returns, packets already feel it."""
        self.world.advance(self.now())
        self.world.apply(fault)
        await self._follow()
        self._changed.set()

    async def _follow(self) -> None:
        """Brings lines and ports to what the world says."""
        async with self._applying:
            await self._tell_emulator()
            await self._responders.refresh()

    async def _tell_emulator(self) -> None:
        if self.emulator is None:
            return
        lines, addresses = dict(_lines(self.world)), dict(_ways(self.world))
        changed = {name: _settings(state) for name, state in lines.items() if self._sent_lines.get(name) != state}
        moved = {address: line for address, line in addresses.items() if self._sent_addresses.get(address, "?") != line}
        self._sent_lines, self._sent_addresses = lines, addresses
        message = json.dumps({**({"lines": as_change(changed)} if changed else {}), "addresses": moved}).encode() + b"\n"
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self.emulator, message)
        answer = b""
        while not answer.endswith(b"\n"):
            received = await loop.sock_recv(self.emulator, 65536)
            if not received:
                raise OSError(errno.EPIPE, "the link emulator has ended")
            answer += received
        self.counters |= json.loads(answer)

    # --- conversation

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ValueError):
            while line := await reader.readline():
                writer.write(json.dumps(await self._reply(line)).encode() + b"\n")
                await writer.drain()
        writer.close()

    async def _reply(self, line: bytes) -> dict[str, Any]:
        """What is so now; or `ok: false` with a code that is a text of the area `lab`, and why."""
        try:
            asked = json.loads(line)
            if "fault" in asked:
                fault = read_fault(asked["fault"], self.world.inventory)
                if refusal := self._cannot(fault):
                    return {"ok": False, "code": refusal, "why": self.why_not}
                await self.apply(fault)
        except ScenarioRefused as refused:
            return {
                "ok": False,
                "code": "refused",
                "complaints": [each.as_json() for each in refused.complaints if isinstance(each, LabComplaint)],
            }
        except (ValueError, TypeError) as error:
            return {"ok": False, "code": "not_understood", "why": str(error)}
        await self._follow()
        self.counters["answered"] = self._agent.answered
        mode = "loopback" if self.emulator is None else "namespaces"
        state = {"now": self.now(), "mode": mode, "why_not": self.why_not, "port_offset": self.port_offset}
        return {"ok": True, **state, "troubles": list(self.world.troubles()), "counters": self.counters}

    def _cannot(self, fault: Fault) -> str:
        """Why a fault cannot be shown here; empty when it can."""
        if fault.kind in ONLY_SIMULATED:
            return "only_simulated"
        if self.emulator is None and fault.kind in LINE_FAULTS and not fault.where.device:
            return "no_line_here"
        return "no_metric_here" if fault.kind == "snmp" and "oid" not in fault.values else ""


def _state_of(world: WorldModel, site: str, device: str) -> Callable[[], Any]:
    return lambda: world.device(site, device)


def _lines(world: WorldModel) -> Iterator[tuple[str, LineState]]:
    for site in world.inventory.sites.values():
        for line in lines_of(site):
            yield f"{site.id}/{line.id}", world.line(site.id, line.id)


def _ways(world: WorldModel) -> Iterator[tuple[str, str | None]]:
    """Address → the line that carries its packets now."""
    for site_id, target, address in addresses_of(world.inventory):
        carrier = world.carrier(site_id, target)
        yield address, None if carrier is None else f"{site_id}/{carrier}"


def addresses_of(inventory: Inventory) -> Iterator[tuple[str, str, str]]:
    """(site, line or device, address) of everything with an IPv4 address."""
    for site in inventory.sites.values():
        targets = {line.id: line.address for line in site.lines.values()} | {device.id: device.address for device in site.devices.values()}
        for target, address in targets.items():
            with contextlib.suppress(AddressValueError):
                yield site.id, target, str(IPv4Address(address))


def _settings(line: LineState) -> tuple[LinkSettings, LinkSettings]:
    half = line.round_trip_seconds / 2
    down = LinkSettings(
        delay_seconds=half,
        jitter_seconds=line.jitter_seconds,
        loss_ratio=line.loss_down_ratio,
        rate_bits_per_second=line.down_bits_per_second,
        traffic_bits_per_second=line.traffic_down_bits_per_second,
    )
    up = LinkSettings(
        delay_seconds=half,
        jitter_seconds=line.jitter_seconds,
        loss_ratio=line.loss_up_ratio,
        rate_bits_per_second=line.up_bits_per_second,
        traffic_bits_per_second=line.traffic_up_bits_per_second,
    )
    return down, up


def lab_services(inventory: Inventory) -> Iterator[Service]:
    """What the inventory's checks but those by ICMP and SNMP ask of devices, each once."""
    seen = set()
    for check in inventory.checks.values():
        if check.target not in inventory.sites[check.site].devices:
            continue
        for port, kind in _services_of(check):
            key = (check.address, port, kind in {"sip-udp", "ras"})
            if key not in seen:
                seen.add(key)
                yield Service(check.site, check.target, check.address, port, kind)


def _services_of(check: Check) -> Iterator[tuple[int, ServiceKind]]:
    probe: Any = check.probe
    match check.kind:
        case "tcp":
            yield probe.port, "hold"
        case "http":
            yield probe.port or (443 if probe.scheme == "https" else 80), "http"
        case "tls":
            yield probe.port, "tls"
        case "sip":
            yield probe.port or (5061 if probe.transport == "tls" else 5060), f"sip-{probe.transport}"  # type: ignore[misc]  # one of ServiceKind
        case "h323":
            if probe.port is not None:
                yield probe.port, "hold"
            if probe.ras_port is not None and not probe.gatekeeper:
                yield probe.ras_port, "ras"
        case "poly":
            yield probe.port, "poly"
        case "pexip":
            yield probe.port, "pexip"
