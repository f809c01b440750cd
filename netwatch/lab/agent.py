"""One SNMP v2c agent for all devices of the lab: one UDP socket, the answering device chosen by destination address."""

from __future__ import annotations

import asyncio
import socket
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeAlias, TypeVar

from netwatch.lab import ber
from netwatch.lab.ber import Oid

__all__ = ["Agent", "Layout", "Value", "View", "answer"]

D = TypeVar("D")
D_contra = TypeVar("D_contra", contravariant=True)
IP_PKTINFO = 8  # ip(7); Python 3.11 has no name for it
MAX_REPETITIONS = 100
MAX_RESPONSE_BYTES = 1400
DATAGRAMS_A_CALLBACK = 32


class Compute(Protocol[D_contra]):
    def __call__(self, device: D_contra, now: float, /) -> bytes: ...


Value: TypeAlias = bytes | Compute[D]  # an encoded value, or what gives one


class View(Protocol):
    """What a request is answered from."""

    def get(self, oid: bytes) -> bytes | None: ...
    def after(self, oid: Oid) -> tuple[bytes, bytes] | None: ...


class Layout(Generic[D]):
    """The objects that devices of one kind have; shared by all of them. Values may depend on the device and the time."""

    def __init__(self, objects: Mapping[Oid, Value[D]]) -> None:
        self.order: Sequence[Oid] = sorted(objects)
        self.encoded = [ber.encode_oid(oid) for oid in self.order]
        self.values = {encoded: objects[oid] for oid, encoded in zip(self.order, self.encoded, strict=True)}


@dataclass(slots=True)
class LayoutView(Generic[D]):
    """One device's objects at one moment. `overrides` win over the layout, and only for objects that it has."""

    layout: Layout[D]
    device: D
    now: float
    overrides: Mapping[bytes, bytes]

    def get(self, oid: bytes) -> bytes | None:
        value = self.overrides.get(oid)
        if value is not None:
            return value
        found = self.layout.values.get(oid)
        return found(self.device, self.now) if callable(found) else found

    def after(self, oid: Oid) -> tuple[bytes, bytes] | None:
        place = bisect_right(self.layout.order, oid)
        if place == len(self.layout.order):
            return None
        encoded = self.layout.encoded[place]
        return encoded, self.get(encoded) or ber.NO_SUCH_INSTANCE


def answer(request: ber.Request, view: View) -> bytes:
    """The response to a request (RFC 3416 section 4.2). A GETBULK ends early rather than outgrow a datagram."""
    if request.kind == ber.GET:
        return ber.response(request, [(oid, view.get(oid) or ber.NO_SUCH_INSTANCE) for oid in request.oids])
    once = request.oids if request.kind == ber.GET_NEXT else request.oids[: request.first]
    rows = [_after(view, oid) for oid in once]
    rows += _repeated(view, request.oids[len(once) :], min(request.second, MAX_REPETITIONS))
    return ber.response(request, rows)


def _after(view: View, oid: bytes) -> tuple[bytes, bytes]:
    return view.after(ber.decode_oid(oid)) or (oid, ber.END_OF_VIEW)


def _repeated(view: View, oids: Iterable[bytes], repetitions: int) -> list[tuple[bytes, bytes]]:
    rows: list[tuple[bytes, bytes]] = []
    size = 0
    current = list(oids)
    for _ in range(repetitions if current else 0):
        row = [_after(view, oid) for oid in current]
        size += sum(len(oid) + len(value) + 8 for oid, value in row)
        if rows and size > MAX_RESPONSE_BYTES:
            break
        rows += row
        if all(value == ber.END_OF_VIEW for _oid, value in row):
            break
        current = [oid for oid, _value in row]
    return rows


class Agent:
    """Answers on `port` of every address of this network namespace for which `find` gives a view; else stays silent."""

    def __init__(self, find: Callable[[bytes], View | None], community: bytes, port: int, *, loopback_only: bool) -> None:
        self.find = find
        self.community = community
        self.answered = 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self.socket.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            if loopback_only:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
            self.socket.bind(("0.0.0.0", port))
        except OSError:
            self.socket.close()
            raise
        self.port: int = self.socket.getsockname()[1]
        asyncio.get_running_loop().add_reader(self.socket, self._read)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.socket)
        self.socket.close()

    def _read(self) -> None:
        for _ in range(DATAGRAMS_A_CALLBACK):
            try:
                data, ancillary, _flags, peer = self.socket.recvmsg(65535, 64)
            except OSError:  # nothing left, or an ICMP error about an earlier answer
                return
            for _level, _kind, info in ancillary:
                self._answer(data, info[8:12], peer)

    def _answer(self, data: bytes, destination: bytes, peer: tuple[str, int]) -> None:
        view = self.find(destination)
        if view is None:
            return
        try:
            request = ber.read_request(data)
            if request.community != self.community:
                return
            reply = answer(request, view)
        except ber.BadMessage:
            return
        self.answered += 1
        # ip(7), struct in_pktinfo: interface 0 (any), the address to answer from, unused.
        info = bytes(4) + destination + bytes(4)
        try:
            self.socket.sendmsg([reply], [(socket.IPPROTO_IP, IP_PKTINFO, info)], 0, peer)
        except OSError:  # the asker has gone, or its queue is full: like a lost datagram
            return
