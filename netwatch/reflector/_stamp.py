"""Answers STAMP and TWAMP-light test packets (RFC 8762, RFC 5357 appendix I), numbering what each sender's packets reach it.

Nobody signs in, so it must be of no use to whoever lies about his address: an answer is as long as what asked for it (the
least of RFC 5357 is 41 bytes), there are limits, and nothing goes to a port where another reflector or service may listen.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic, time_ns
from typing import Any, TypeAlias

from netwatch.reflector._limits import Network, holds
from probes._wire.icmp import BadMessage, parse_stamp
from probes._wire.stamp import REPLY_BYTES, BadPacket, ErrorEstimate, Reply, Request, to_ntp

__all__ = ["Limits", "Sessions", "StampReflector", "open_stamp"]

SO_TIMESTAMPNS = 35  # asm-generic/socket.h and linux/in.h; Python 3.11 has no names for these four
IP_PKTINFO = 8
IP_RECVTTL = 12
IN_PKTINFO = struct.Struct("=i4s4s")  # interface, the address that was meant, the packet's destination
READ_BYTES = 2048
CONTROL_BYTES = 256
READS_AT_ONCE = 256
REFLECTOR_TTL = 255  # RFC 8762 section 4.3
LEAST_PORT = 1024  # services, reflectors on 862 among them: two of them would answer each other for ever
UNKNOWN_TTL = 0
ESTIMATE_SECONDS = 1.0
LINUX = sys.platform == "linux"

Key: TypeAlias = tuple[str, int, int]  # address, port, session identifier


@dataclass(frozen=True, slots=True)
class Limits:
    """`networks`: who is answered; empty is everybody. A session that is idle for `idle_seconds` (RFC 5357 REFWAIT) is forgotten."""

    sessions: int = 1000
    idle_seconds: float = 900.0
    spare_seconds: float = 60.0  # one that is idle for so long may have to make room
    session_per_second: float = 1000.0
    all_per_second: float = 20_000.0
    networks: tuple[Network, ...] = ()


@dataclass(slots=True)
class _Bucket:
    """Holds a second's worth."""

    per_second: float
    at: float
    tokens: float

    def take(self, now: float) -> bool:
        self.tokens = min(self.per_second, self.tokens + max(0.0, now - self.at) * self.per_second)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass(slots=True)
class Sessions:
    """How many packets of each sender have come. Pure: time comes in."""

    limits: Limits
    _known: dict[Key, tuple[_Bucket, int]] = field(default_factory=dict)  # the least recently used first

    def __len__(self) -> int:
        return len(self._known)

    def number(self, key: Key, now: float) -> int | None:
        """The number of this packet in its session, from 0; None when it is one too many."""
        found = self._known.pop(key, None)
        if found is None or now - found[0].at > self.limits.idle_seconds:
            if found is None and not self._room(now):
                return None
            found = (_Bucket(self.limits.session_per_second, now, self.limits.session_per_second), 0)
        bucket, number = found
        taken = bucket.take(now)
        self._known[key] = (bucket, number + 1 & 0xFFFFFFFF)  # what is not answered has come all the same
        return number if taken else None

    def _room(self, now: float) -> bool:
        if len(self._known) < self.limits.sessions:
            return True
        oldest = next(iter(self._known))
        if now - self._known[oldest][0].at < self.limits.spare_seconds:
            return False
        del self._known[oldest]
        return True


class StampReflector:
    """Serves one bound UDP socket, which it closes: whoever waits for `fileno` to be readable calls `read`.

    `estimate` tells how well this host's clock is set; it is asked at most once a second.
    """

    def __init__(self, listener: socket.socket, estimate: Callable[[], ErrorEstimate], limits: Limits | None = None) -> None:
        self._socket = listener
        self._estimate_now = estimate
        self._limits = limits or Limits()
        self._sessions = Sessions(self._limits)
        self._all = _Bucket(self._limits.all_per_second, monotonic(), self._limits.all_per_second)
        self._estimate = (float("-inf"), ErrorEstimate())
        self._port: int = listener.getsockname()[1]
        self.reflected = 0
        self.refused = 0
        self.malformed = 0
        _prepare(listener)

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def read(self) -> None:
        """Answers what has come. Never waits."""
        for _ in range(READS_AT_ONCE):
            try:
                data, control, source = _receive(self._socket)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error about an answer of ours
                continue
            self._reflect(data, control, source)

    def _reflect(self, data: bytes, control: list[tuple[int, int, bytes]], source: tuple[Any, ...]) -> None:
        try:
            request = Request.parse(data)
            received = _received(control)
        except (BadPacket, BadMessage):
            self.malformed += 1
            return
        now = monotonic()
        number = self._admitted(source, request, now)
        if number is None:
            self.refused += 1
            return
        if now - self._estimate[0] >= ESTIMATE_SECONDS:
            self._estimate = (now, self._estimate_now())
        reply = Reply(number, to_ntp(time_ns()), self._estimate[1], to_ntp(received), request, _ttl(control))
        try:
            _answer(self._socket, reply.encode(max(len(data), REPLY_BYTES)), control, source)
            self.reflected += 1
        except OSError:  # no room or no way back: the sender counts it as lost
            self.refused += 1

    def _admitted(self, source: tuple[Any, ...], request: Request, now: float) -> int | None:
        address, port = source[:2]
        networks = self._limits.networks
        if port < LEAST_PORT or port == self._port or (networks and not holds(networks, address)) or not self._all.take(now):
            return None
        return self._sessions.number((address, port, request.ssid), now)


def open_stamp(host: str, port: int, estimate: Callable[[], ErrorEstimate], limits: Limits | None = None) -> list[StampReflector]:
    """One for each family, on all addresses when `host` is empty. Port 0 takes any. Raises OSError, and leaves nothing open then."""
    with contextlib.ExitStack() as opened:
        found = []
        for family, kind, _, _, where in socket.getaddrinfo(host or None, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE):
            listener = opened.enter_context(socket.socket(family, kind))
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind(where)
            found.append(StampReflector(listener, estimate, limits))
        opened.pop_all()
    return found


def _prepare(listener: socket.socket) -> None:
    listener.setblocking(False)
    ipv6 = listener.family is socket.AF_INET6
    if ipv6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, REFLECTOR_TTL)
    else:
        listener.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, REFLECTOR_TTL)
    if not LINUX:
        return
    listener.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    if ipv6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        listener.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
        listener.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)


def _receive(listener: socket.socket) -> tuple[bytes, list[tuple[int, int, bytes]], tuple[Any, ...]]:
    if LINUX:
        data, control, _flags, source = listener.recvmsg(READ_BYTES, CONTROL_BYTES)
        return data, control, source
    data, source = listener.recvfrom(READ_BYTES)
    return data, [], source


def _received(control: list[tuple[int, int, bytes]]) -> int:
    """When the kernel got it, or now where the kernel does not say. Raises BadMessage."""
    for level, kind, value in control:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
            return parse_stamp(value)
    return time_ns()


def _ttl(control: list[tuple[int, int, bytes]]) -> int:
    for level, kind, value in control:
        if (level, kind) in {(socket.IPPROTO_IP, socket.IP_TTL), (socket.IPPROTO_IPV6, getattr(socket, "IPV6_HOPLIMIT", -1))}:
            return int.from_bytes(value, sys.byteorder) & 0xFF
    return UNKNOWN_TTL


def _answer(listener: socket.socket, packet: bytes, control: list[tuple[int, int, bytes]], source: tuple[Any, ...]) -> None:
    """From the address that was asked: the sender takes no answer from another one of this host."""
    if not LINUX:
        listener.sendto(packet, source)
        return
    listener.sendmsg([packet], [one for one in map(_sender, control) if one is not None], 0, source)


def _sender(message: tuple[int, int, bytes]) -> tuple[int, int, bytes] | None:
    level, kind, value = message
    if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO):
        _interface, meant, _destination = IN_PKTINFO.unpack(value)
        return level, kind, IN_PKTINFO.pack(0, meant, bytes(4))
    if (level, kind) == (socket.IPPROTO_IPV6, getattr(socket, "IPV6_PKTINFO", -1)):
        return level, kind, value
    return None
