"""Other people's traffic on a line: a source at one end, a sink at the other."""

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
TICK_SECONDS = 0.001
PORT = 9000


@contextlib.contextmanager
def cross_traffic(line: ShapedLine, kind: str, direction: str, bits_per_second: float) -> Iterator[None]:
    """`kind` is "", "udp", or "tcp", which offers as much but takes what it gets; at rate 0 it is a bulk transfer."""
    if not kind:
        yield
        return
    arrived = mmap.mmap(-1, 1)
    receiver, sender, address = (line.far, line.near, FAR) if direction == "down" else (line.near, line.far, NEAR)
    enter(receiver)
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
    sink.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sink.bind((address, PORT))
    if kind == "tcp":
        sink.listen(1)
    children = [child.fork(lambda: _receive(sink, kind, arrived))]
    enter(sender)
    source = socket.socket(socket.AF_INET, sink.type)
    children.append(child.fork(lambda: _send(source, kind, address, bits_per_second)))
    enter(line.near)
    sink.close()
    source.close()
    try:
        while not arrived[0]:
            time.sleep(0.005)
        yield
    finally:
        for one in reversed(children):
            child.end(one)


def _receive(sink: socket.socket, kind: str, arrived: mmap.mmap) -> None:
    served_first()
    receiver = sink if kind == "udp" else sink.accept()[0]
    while receiver.recv(65536):
        arrived[0] = 1


def _send(source: socket.socket, kind: str, address: str, bits_per_second: float) -> None:
    served_first()
    source.connect((address, PORT))
    if kind == "tcp" and not bits_per_second:
        while True:
            source.sendall(bytes(65536))
    packet, sent, began = bytes(UDP_IP_BYTES - UDP_HEADERS), 0, time.monotonic()
    while True:
        due = int((time.monotonic() - began) * bits_per_second / 8 / UDP_IP_BYTES)
        while sent < due:
            with contextlib.suppress(ConnectionRefusedError):
                source.sendall(packet) if kind == "tcp" else source.send(packet)
            sent += 1
        time.sleep(TICK_SECONDS)
