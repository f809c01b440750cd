"""Who stands next to whom at a site, as the devices tell it by LLDP, and which parents follow from that."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from netwatch.model import Check, Site
from probes import ProbeFailed, Shared
from probes import Target as Aim
from probes._snmp_session import Sizes, Value
from probes._snmp_text import clean
from probes.snmp import Snmp

__all__ = ["Told", "ask_all", "links_of", "management_address", "parents_of"]

SECONDS = 30.0
AT_ONCE = 20
MOST = 500
SYS_NAME = "1.3.6.1.2.1.1.5.0"
# LLDP-MIB (IEEE 802.1AB-2005)
LOCAL_NAME = "1.0.8802.1.1.2.1.3.3.0"  # lldpLocSysName
REMOTE_NAME = "1.0.8802.1.1.2.1.4.1.1.9"  # lldpRemSysName, by time mark, local port and number
REMOTE_ADDRESS = "1.0.8802.1.1.2.1.4.2.1.3"  # lldpRemManAddrIfSubtype, whose index ends with the address
IPV4 = 1  # AddressFamilyNumbers


@dataclass(frozen=True, slots=True)
class Told:
    """What one device says: its own names, and of each neighbour its name and management address, either of which may be missing."""

    names: frozenset[str] = frozenset()
    neighbours: frozenset[tuple[str, str]] = frozenset()


def links_of(told: Mapping[str, Told], addresses: Mapping[str, str]) -> tuple[set[frozenset[str]], dict[str, set[str]]]:
    """Pairs of devices of the site that are next to each other, and by device the neighbours that are none of ours."""
    by_name = {address: device for device, address in addresses.items()}
    for device in addresses:
        by_name.setdefault(_plain(device), device)
        for name in told.get(device, Told()).names:
            by_name.setdefault(_plain(name), device)
    links: set[frozenset[str]] = set()
    strangers: dict[str, set[str]] = {}
    for device, one in told.items():
        for name, address in one.neighbours:
            other = by_name.get(address) or by_name.get(_plain(name))
            if other is None:
                strangers.setdefault(device, set()).add(name or address)
            elif other != device:
                links.add(frozenset({device, other}))
    return links, strangers


def parents_of(links: Iterable[frozenset[str]], roots: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Of each device that can be reached from a root: its neighbours that are one step nearer to one."""
    beside: dict[str, set[str]] = {}
    for link in links:
        for one in link:
            beside.setdefault(one, set()).update(link - {one})
    far = dict.fromkeys(roots, 0)
    edge = sorted(far)
    while edge:
        edge = sorted({other for one in edge for other in beside.get(one, ()) if other not in far})
        far |= dict.fromkeys(edge, max(far.values()) + 1)
    return {one: tuple(sorted(other for other in beside[one] if far.get(other) == steps - 1)) for one, steps in far.items() if steps}


def management_address(index: str) -> str:
    """The IPv4 address at the end of an index of lldpRemManAddrTable; "" for one of another family."""
    parts = index.split(".")
    if len(parts) == 9 and parts[3:5] == [str(IPV4), "4"]:
        return ".".join(parts[5:])
    return ""


def neighbour_of(index: str) -> str:
    """Time mark, local port and number: the same neighbour in both tables."""
    return ".".join(index.split(".")[:3])


async def ask_all(sites: Sequence[Site], checks: Iterable[Check]) -> tuple[dict[str, dict[str, Told]], dict[str, str]]:
    """By site and device; and by `site/device` why it could not be asked."""
    ids = {site.id for site in sites}
    askable = {(one.site, one.target): one for one in checks if one.site in ids and isinstance(one.probe, Snmp)}
    told: dict[str, dict[str, Told]] = {site.id: {} for site in sites}
    failed: dict[str, str] = {}
    turn, shared = asyncio.Semaphore(AT_ONCE), Shared()

    async def ask(site: str, device: str, check: Check) -> None:
        async with turn:
            try:
                told[site][device] = await _ask(check, shared)
            except ProbeFailed as failure:
                failed[f"{site}/{device}"] = failure.code

    try:
        async with asyncio.TaskGroup() as group:
            for (site, device), check in askable.items():
                group.create_task(ask(site, device, check))
    finally:
        await shared.aclose()
    return told, failed


async def _ask(check: Check, shared: Shared) -> Told:
    probe: Any = check.probe
    aim = Aim(address=check.address, deadline=asyncio.get_running_loop().time() + SECONDS, secrets=check.secrets)
    with probe.session(aim, shared, Sizes()) as session:
        own: Mapping[str, Value] = await session.get([SYS_NAME, LOCAL_NAME])
        names = (await session.walk(REMOTE_NAME, MOST)).rows
        addresses = (await session.walk(REMOTE_ADDRESS, MOST)).rows
    at = {neighbour_of(index): address for index in addresses if (address := management_address(index))}
    named = {neighbour_of(index): clean(value) for index, value in names.items()}
    neighbours = {(named.get(one, ""), at.get(one, "")) for one in (*named, *at)} - {("", "")}
    return Told(frozenset(filter(None, map(clean, own.values()))), frozenset(neighbours))


def _plain(name: str) -> str:
    """Without its domain."""
    return name if name.replace(".", "").isdigit() else name.partition(".")[0].casefold()
