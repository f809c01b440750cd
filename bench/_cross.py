"""Other people's traffic on a line: a source at one end, a sink at the other, and how many bytes of IP packets arrived."""

from __future__ import annotations

import contextlib
import mmap
import socket
import time
from collections.abc import Iterator

from _canary import served_first

from netwatch.lab import child
from netwatch.lab.namespaces import enter
from netwatch.lab.shaped import FAR, NEAR, ShapedLine

UDP_IP_BYTES, UDP_HEADERS = 1400, 28
TCP_IP_PER_PAYLOAD = 1500 / 1448
TICK_SECONDS = 0.001
PORT = 9000


class Meter:
    """A count that a child writes and its parent reads."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 8)

    @property
    def ip_bytes(self) -> int:
        return int.from_bytes(self._shared[:8], "little")

    @ip_bytes.setter
    def ip_bytes(self, value: int) -> None:
        self._shared[:8] = value.to_bytes(8, "little")


@contextlib.contextmanager
def cross_traffic(line: ShapedLine, kind: str, direction: str, bits_per_second: float) -> Iterator[Meter]:
    """`kind` is "", "udp" at a rate or "tcp", which takes what it gets."""
    meter = Meter()
    if not kind:
        yield meter
        return
    receiver, sender, address = (line.far, line.near, FAR) if direction == "down" else (line.near, line.far, NEAR)
    enter(receiver)
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
    sink.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sink.bind((address, PORT))
    if kind == "tcp":
        sink.listen(1)
    children = [child.fork(lambda: _receive(sink, kind, meter))]
    enter(sender)
    source = socket.socket(socket.AF_INET, sink.type)
    children.append(child.fork(lambda: _send(source, kind, address, bits_per_second)))
    enter(line.near)
    sink.close()
    source.close()
    try:
        while not meter.ip_bytes:
            time.sleep(0.005)
        yield meter
    finally:
        for one in reversed(children):
            child.end(one)


def _receive(sink: socket.socket, kind: str, meter: Meter) -> None:
    served_first()
    if kind == "udp":
        while True:
            meter.ip_bytes += len(sink.recv(2048)) + UDP_HEADERS
    connection, _ = sink.accept()
    payload = 0
    while received := len(connection.recv(65536)):
        payload += received
        meter.ip_bytes = int(payload * TCP_IP_PER_PAYLOAD)


def _send(source: socket.socket, kind: str, address: str, bits_per_second: float) -> None:
    served_first()
    source.connect((address, PORT))
    if kind == "tcp":
        while True:
            source.sendall(bytes(65536))
    packet, sent, began = bytes(UDP_IP_BYTES - UDP_HEADERS), 0, time.monotonic()
    while True:
        due = int((time.monotonic() - began) * bits_per_second / 8 / UDP_IP_BYTES)
        while sent < due:
            with contextlib.suppress(ConnectionRefusedError):
                source.send(packet)
            sent += 1
        time.sleep(TICK_SECONDS)
