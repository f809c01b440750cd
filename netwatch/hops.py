"""Who answers at each distance on the way to an address: icmplib where raw sockets are allowed, else a ping socket (ADR 0010)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import struct
import time
from collections.abc import Sequence
from ipaddress import ip_address

from netwatch.model import Hop

__all__ = ["MOST_HOPS", "PathFailed", "ended", "hop", "walk"]

ECHOES = 2
MOST_HOPS = 20
MOST_SILENT_HOPS = 4
HOP_SECONDS = 1.0
WALK_SECONDS = 15.0
DISCARD_PORT = 9  # nothing is sent there: connecting a datagram socket only asks the kernel for a route
IP_RECVERR, IPV6_RECVERR = 11, 25  # linux/in.h, linux/in6.h; the socket module has no names for them
EXTENDED_ERROR = struct.Struct("=IBBBBII")  # struct sock_extended_err, linux/errqueue.h; the offender's sockaddr follows
FROM_ICMP = frozenset({2, 3})  # SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6
ECHO_REQUEST = {socket.AF_INET: 8, socket.AF_INET6: 128}


class PathFailed(Exception):
    """The host this runs on cannot ask. `permission`: it may not."""

    def __init__(self, why: str, *, permission: bool = False) -> None:
        self.permission = permission
        super().__init__(why)


async def walk(
    address: str, source: str | None = None, *, most_hops: int = MOST_HOPS, within_seconds: float = WALK_SECONDS
) -> tuple[Hop | None, ...]:
    """Hop by hop until it has `ended`, or as far as it comes in the time. Raises PathFailed.

    Each hop is waited for in a thread, which may outlive a cancellation by the wait of one hop.
    """
    way: list[Hop | None] = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_seconds):
            while len(way) < most_hops and not ended(way, address):
                way.append(await asyncio.to_thread(hop, address, len(way) + 1, HOP_SECONDS, source))
    return tuple(way)


def ended(way: Sequence[Hop | None], address: str) -> bool:
    """Arrived, nobody answers any more, or the same router says again that there is no way."""
    last = way[-1] if way else None
    if last is None:
        return len(way) >= MOST_SILENT_HOPS and not any(way[-MOST_SILENT_HOPS:])
    before = way[-2] if len(way) > 1 else None
    return last.address == address or (before is not None and before.address == last.address)


def hop(address: str, distance: int, wait_seconds: float, source: str | None = None) -> Hop | None:
    """None when nobody answers. Raises PathFailed."""
    import icmplib  # type: ignore[import-untyped]  # noqa: PLC0415  # it ships no types; half of netwatch's commands never need it

    _ask_for_a_route(address, source)
    try:
        found = icmplib.traceroute(
            address, count=ECHOES, interval=0.02, timeout=wait_seconds, first_hop=distance, max_hops=distance, source=source
        )
    except icmplib.SocketPermissionError:
        return _unprivileged(address, distance, wait_seconds, source)
    except icmplib.ICMPLibError as error:
        raise PathFailed(str(error)) from error
    return Hop(found[0].address, tuple(rtt / 1000 for rtt in found[0].rtts)) if found else None


def _ask_for_a_route(address: str, source: str | None) -> None:
    """That this host has no route would be a router's silence to icmplib."""
    try:
        with socket.socket(_family(address), socket.SOCK_DGRAM) as asker:
            if source:
                asker.bind((source, 0))
            asker.connect((address, DISCARD_PORT))
    except OSError as error:
        raise PathFailed(error.strerror or str(error), permission=isinstance(error, PermissionError)) from error


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET


def _unprivileged(address: str, distance: int, wait_seconds: float, source: str | None = None) -> Hop | None:
    """By icmp(7)'s datagram socket: routers' complaints come through its error queue (ip(7), IP_RECVERR)."""
    family = _family(address)
    try:
        with socket.socket(family, socket.SOCK_DGRAM, socket.getprotobyname("ipv6-icmp" if family == socket.AF_INET6 else "icmp")) as asker:
            _prepare(asker, family, distance)
            if source:
                asker.bind((source, 0))
            who, times = "", []
            for number in range(ECHOES):
                answer = _ask(asker, address, number, wait_seconds)
                if answer is None:
                    break
                who = answer[0]
                times.append(answer[1])
    except OSError as error:
        raise PathFailed(error.strerror or str(error), permission=isinstance(error, PermissionError)) from error
    return Hop(who, tuple(times)) if who else None


def _prepare(asker: socket.socket, family: int, distance: int) -> None:
    if family == socket.AF_INET6:
        asker.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
        asker.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, distance)
    else:
        asker.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        asker.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, distance)
    asker.setblocking(False)


def _ask(asker: socket.socket, address: str, number: int, wait_seconds: float) -> tuple[str, float] | None:
    """Who answers one echo, and how soon. The payload is ours alone: an answer to another is not taken for it."""
    token = os.urandom(16)
    poll = select.poll()
    poll.register(asker, select.POLLIN)
    began = time.monotonic()
    asker.sendto(struct.pack("!BBHHH", ECHO_REQUEST[asker.family], 0, 0, 0, number) + token, (address, 0))
    while (left := began + wait_seconds - time.monotonic()) > 0:
        if not poll.poll(left * 1000):
            break
        who = _complaint(asker, token) or _reply(asker, token)
        if who:
            return who, time.monotonic() - began
    return None


def _reply(asker: socket.socket, token: bytes) -> str:
    with contextlib.suppress(OSError):  # nothing there; or a router's complaint, which waits in the queue as well
        data, where = asker.recvfrom(2048)
        return str(where[0]) if data[8:] == token else ""
    return ""


def _complaint(asker: socket.socket, token: bytes) -> str:
    with contextlib.suppress(BlockingIOError):
        data, control, _, _ = asker.recvmsg(2048, 512, socket.MSG_ERRQUEUE)
        for _level, kind, body in control:
            if kind in {IP_RECVERR, IPV6_RECVERR} and data.endswith(token):
                return offender(body)
    return ""


def offender(body: bytes) -> str:
    """Whose ICMP error a queued error tells of; nothing when it is this host's own."""
    if len(body) < EXTENDED_ERROR.size + 8 or EXTENDED_ERROR.unpack_from(body)[1] not in FROM_ICMP:
        return ""
    address = body[EXTENDED_ERROR.size :]
    family = struct.unpack_from("=H", address)[0]
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, address[4:8])
    if family == socket.AF_INET6 and len(address) >= 24:
        return socket.inet_ntop(socket.AF_INET6, address[8:24])
    return ""
