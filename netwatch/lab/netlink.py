"""Addresses, routes and link state by rtnetlink(7), so that the lab needs no `ip` program."""

from __future__ import annotations

import os
import socket
import struct
from ipaddress import IPv4Interface, IPv4Network

__all__ = ["add_address", "add_local_network", "add_route", "set_up"]

RTM_NEWLINK = 16
RTM_NEWADDR = 20
RTM_NEWROUTE = 24
NLMSG_ERROR = 2
REQUEST_ACK = 0x1 | 0x4
CREATE = 0x400
IFLA_TXQLEN = 13
IFA_ADDRESS = 1
IFA_LOCAL = 2
RTA_DST = 1
RTA_OIF = 4
TABLE_MAIN, TABLE_LOCAL = 254, 255
SCOPE_LINK, SCOPE_HOST = 253, 254
TYPE_UNICAST, TYPE_LOCAL = 1, 2
RTPROT_STATIC = 4
IFF_UP = 1


def set_up(interface: str, queue_packets: int = 2000) -> None:
    """Turns an interface up, with a transmit queue of so many packets."""
    index = socket.if_nametoindex(interface)
    _ask(RTM_NEWLINK, 0, struct.pack("=BxHiII", 0, 0, index, IFF_UP, IFF_UP) + _attribute(IFLA_TXQLEN, struct.pack("=I", queue_packets)))


def add_address(interface: str, address: IPv4Interface) -> None:
    index = socket.if_nametoindex(interface)
    head = struct.pack("=BBBBI", socket.AF_INET, address.network.prefixlen, 0, 0, index)
    _ask(RTM_NEWADDR, CREATE, head + _attribute(IFA_LOCAL, address.ip.packed) + _attribute(IFA_ADDRESS, address.ip.packed))


def add_route(network: IPv4Network, interface: str) -> None:
    _route(network, interface, TABLE_MAIN, SCOPE_LINK, TYPE_UNICAST)


def add_local_network(network: IPv4Network) -> None:
    """Makes every address of a network an address of this host."""
    _route(network, "lo", TABLE_LOCAL, SCOPE_HOST, TYPE_LOCAL)


def _route(network: IPv4Network, interface: str, table: int, scope: int, kind: int) -> None:
    head = struct.pack("=8BI", socket.AF_INET, network.prefixlen, 0, 0, table, RTPROT_STATIC, scope, kind, 0)
    output = struct.pack("=I", socket.if_nametoindex(interface))
    _ask(RTM_NEWROUTE, CREATE, head + _attribute(RTA_DST, network.network_address.packed) + _attribute(RTA_OIF, output))


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _ask(kind: int, flags: int, body: bytes) -> None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.send(struct.pack("=IHHII", 16 + len(body), kind, REQUEST_ACK | flags, 1, 0) + body)
        answer = kernel.recv(65536)
    answered, code = struct.unpack_from("=4xH10xi", answer)
    if answered != NLMSG_ERROR or code != 0:
        raise OSError(-code, f"rtnetlink request {kind}: {os.strerror(-code)}")
