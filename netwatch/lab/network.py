"""The lab's two networks: a hub where probes live and a far side where every address of every site is local."""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network

from netwatch.lab import netlink
from netwatch.lab.namespaces import (
    NamespaceRefused,
    allow_icmp_sockets,
    become_root_in_user_namespace,
    enter_private_network,
    raise_loopback,
    unshare_network,
)

__all__ = ["Networks", "build", "here", "open_tun", "why_not", "why_not_private"]

TUNSETIFF = 0x400454CA
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000
# RFC 2544's range for benchmarks: between the two ends only, so that it meets nobody's address plan.
HUB = IPv4Interface("198.18.0.1/30")
FAR = IPv4Interface("198.18.0.2/30")


@dataclass(frozen=True, slots=True, kw_only=True)
class Networks:
    """Descriptors of the namespaces and of their TUN devices."""

    hub: int
    sites: int
    hub_tun: int
    sites_tun: int

    def close(self) -> None:
        for descriptor in (self.hub, self.sites, self.hub_tun, self.sites_tun):
            os.close(descriptor)


def build(networks: Sequence[IPv4Network]) -> Networks:
    """Makes both namespaces and stays in the hub's; as an ordinary user, inside a user namespace of its own.

    Nothing leads from one to the other until somebody moves packets between the TUN devices. Raises NamespaceRefused.
    """
    if os.geteuid() != 0:
        become_root_in_user_namespace()
    sites = unshare_network()
    raise_loopback()
    sites_tun = open_tun("sites")
    _address("sites", FAR)
    for network in networks:
        netlink.add_local_network(network)
    hub = unshare_network()
    raise_loopback()
    hub_tun = open_tun("hub")
    _address("hub", HUB)
    for network in networks:
        netlink.add_route(network, "hub")
    allow_icmp_sockets()
    return Networks(hub=hub, sites=sites, hub_tun=hub_tun, sites_tun=sites_tun)


def why_not() -> str:
    """Why the two networks cannot be made here; empty when they can."""
    return _why_not(lambda: build(()))


def why_not_private() -> str:
    """Why not even one network of our own can be made here; empty when it can."""
    return _why_not(enter_private_network)


def here() -> int:
    """A descriptor of this thread's network namespace."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _why_not(attempt: Callable[[], object]) -> str:
    """Tries in a child, so that this process stays where it is."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        answer = "the attempt ended without a word"
        try:
            attempt()
            answer = ""
        except OSError as refusal:
            answer = str(refusal.strerror or refusal)
        finally:
            os.write(writer, answer.encode())
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as answers:
        reason = answers.read()
    os.waitpid(child, 0)
    return reason


def _address(interface: str, address: IPv4Interface) -> None:
    netlink.set_up(interface)
    netlink.add_address(interface, address)


def open_tun(name: str) -> int:
    """A TUN device of raw IP packets in the current namespace."""
    device = None
    try:
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    except OSError as error:
        if device is not None:
            os.close(device)
        raise NamespaceRefused(error.errno, f"/dev/net/tun: {error.strerror}") from None
    return device
