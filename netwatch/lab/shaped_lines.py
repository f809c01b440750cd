"""Many lines that the kernel shapes, behind one uplink: a hub, a router, and a network for each site. See shaped.py for one line alone."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from netwatch.lab import netlink
from netwatch.lab.namespaces import allow_icmp_sockets, become_root_in_user_namespace, enter, raise_loopback, unshare_network
from netwatch.lab.shaped import ETHERNET_BYTES, Shaping, command, pair, shape

__all__ = ["HUB", "UPLINK", "Carried", "ShapedLines", "Site", "carried"]

HUB, ROUTER = "198.18.0.1", "198.18.0.2"
UPLINK = "uplink"  # the router's end of it
LINE = "line"  # the site's end of its own


@dataclass(frozen=True, slots=True)
class Site:
    """`addresses` are in one /24, in which the router has .1."""

    name: str
    addresses: tuple[str, ...]
    down: Shaping
    up: Shaping


@dataclass(frozen=True, slots=True)
class Carried:
    """What went over one interface of the router up to a moment (monotonic), in bytes of IP packets. `down` is towards the sites."""

    at: float
    down: int
    up: int


@dataclass(slots=True, eq=False)
class ShapedLines:
    """Made by `build`, which leaves the caller in the hub's network."""

    hub: int
    router: int
    sites: Mapping[str, int]

    @classmethod
    def build(cls, uplink: Shaping, sites: Iterable[Site]) -> ShapedLines:
        """Before this process has threads. Works as root and in a user namespace of one's own; needs `ip` and `tc`. Raises NamespaceRefused, OSError."""
        if os.geteuid() != 0:
            become_root_in_user_namespace()
        made = list(sites)
        networks = {site.name: _network() for site in made}
        router = _network()
        Path("/proc/sys/net/ipv4/ip_forward").write_bytes(b"1")
        hub = _network()
        allow_icmp_sockets()
        pair("hub", UPLINK, router)
        _segment("hub")
        _address("hub", HUB, 30)
        command("ip", "route", "add", "default", "via", ROUTER)
        shape("hub", uplink, ETHERNET_BYTES)
        enter(router)
        _address(UPLINK, ROUTER, 30)
        shape(UPLINK, uplink, ETHERNET_BYTES)
        for site in made:
            _connect(site, router, networks[site.name])
        enter(hub)
        return cls(hub=hub, router=router, sites=networks)

    def close(self) -> None:
        for descriptor in (self.hub, self.router, *self.sites.values()):
            os.close(descriptor)


def carried() -> Iterator[tuple[str, Carried]]:
    """By site, and as `UPLINK`, from where this thread is: the router."""
    before = time.monotonic()
    rows = Path("/proc/thread-self/net/dev").read_text("ascii").splitlines()[2:]
    at = (before + time.monotonic()) / 2
    for row in rows:
        name, _, counted = row.strip().partition(":")
        figures = [int(one) for one in counted.split()]
        received, sent = (figures[place] - ETHERNET_BYTES * figures[place + 1] for place in (0, 8))
        down, up = (received, sent) if name == UPLINK else (sent, received)
        if name != "lo":
            yield name, Carried(at, down, up)


def _network() -> int:
    made = unshare_network()
    raise_loopback()
    return made


def _connect(site: Site, router: int, network: int) -> None:
    """From the router's network, and back to it."""
    gateway = site.addresses[0].rpartition(".")[0] + ".1"
    pair(site.name, LINE, network)
    _address(site.name, gateway, 24)
    shape(site.name, site.down, ETHERNET_BYTES)
    enter(network)
    _segment(LINE)
    for address in site.addresses:
        _address(LINE, address, 24)
    command("ip", "route", "add", "default", "via", gateway)
    shape(LINE, site.up, ETHERNET_BYTES)
    enter(router)


def _segment(interface: str) -> None:
    """Has the kernel cut large packets before they leave: else a counter counts the headers of one in place of all."""
    command("ip", "link", "set", interface, "gso_max_segs", "1")


def _address(interface: str, address: str, prefix: int) -> None:
    netlink.set_up(interface)
    command("ip", "address", "add", f"{address}/{prefix}", "dev", interface)
