"""Looks for what answers in one network, gently, and guesses what it is."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from netwatch.model import Check, Outcome
from netwatch.runner import Runner
from probes.icmp import Pinger, ping_many

__all__ = ["MOST_ADDRESSES", "Found", "candidates", "explore", "guess", "ports_of"]

MOST_ADDRESSES = 1024
ECHOES_PER_SECOND = 200.0
ECHOES = 2
WAIT_SECONDS = 1.0
CONNECT_SECONDS = 1.0
AT_A_TIME = 16
# What an open port says of a device that does not speak SNMP: a printer takes jobs there, a room endpoint H.323 calls, a camera streams.
BY_PORT = {9100: "printer", 1720: "room", 554: "camera", 443: "server", 80: "server", 22: "server"}


@dataclass(frozen=True, slots=True)
class Found:
    """One address that answers."""

    address: str
    rtt_seconds: float
    ports: tuple[int, ...] = ()
    profile: str = ""  # by SNMP
    name: str = ""


def candidates(network: IPv4Network | IPv6Network, known: Collection[str]) -> list[str]:
    """Every host of the network that is not known yet. Raises ValueError when there are too many to look at."""
    if network.num_addresses > MOST_ADDRESSES:
        raise ValueError(str(network))
    return [str(host) for host in network.hosts() if str(host) not in known]


def ports_of(profiles: Collection[str]) -> tuple[int, ...]:
    """The ports worth a look: those that would say something with these profiles."""
    return tuple(port for port, profile in BY_PORT.items() if profile in profiles)


def guess(found: Found, profiles: Collection[str]) -> str:
    """The profile it probably has, or nothing."""
    if found.profile in profiles:
        return found.profile
    return next((profile for port, profile in BY_PORT.items() if port in found.ports and profile in profiles), "")


async def explore(addresses: Sequence[str], ports: Sequence[int], snmp: Check | None) -> list[Found]:
    """Pings all, then asks only those that answer. `snmp` is a check of the same site, for how SNMP is spoken there."""
    pinger = Pinger()
    try:
        trains = await ping_many(pinger, addresses, count=ECHOES, rate=ECHOES_PER_SECOND, wait=WAIT_SECONDS)
    finally:
        await pinger.aclose()
    answering = [Found(address, min(train.rtt_seconds)) for address, train in zip(addresses, trains, strict=True) if train.rtt_seconds]
    runner, gate = Runner(time.time), asyncio.Semaphore(AT_A_TIME)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_ask(one, ports, snmp, runner, gate)) for one in answering]
    finally:
        await runner.aclose()
    return [task.result() for task in tasks]


async def _ask(found: Found, ports: Sequence[int], snmp: Check | None, runner: Runner, gate: asyncio.Semaphore) -> Found:
    async with gate:
        opened = tuple([port for port in ports if await _accepts(found.address, port)])
        facts = {}
        if snmp is not None:
            probe = dataclasses.replace(snmp.probe, profile="auto")  # type: ignore[call-arg]  # the caller gives one of kind snmp
            result = await runner.run(dataclasses.replace(snmp, address=found.address, probe=probe))
            facts = dict(result.facts) if result.outcome is Outcome.OK else {}
    return dataclasses.replace(found, ports=opened, profile=facts.get("profile", ""), name=facts.get("sysName", ""))


async def _accepts(address: str, port: int) -> bool:
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(address, port)
            writer.transport.abort()
            return True
    return False
