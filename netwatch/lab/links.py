"""Emulated lines: delay, jitter, loss, rate and cut, each direction, over two TUN devices in a process of its own.

`Shaper` and `Emulator` are pure: time is passed in. `serve` is the loop that moves packets.
"""

from __future__ import annotations

import contextlib
import heapq
import json
import os
import select
import socket
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from random import Random
from typing import Any, Literal

__all__ = ["DOWN", "UP", "Emulator", "LinkSettings", "Shaper", "as_change", "order", "serve"]

Direction = Literal["down", "up"]
DOWN: Direction = "down"
UP: Direction = "up"
BATCH_PACKETS = 64
SOURCE = slice(12, 16)  # RFC 791 section 3.1
DESTINATION = slice(16, 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """One direction of a line. Rates count IP packets, header included; a line of rate 0 has no limit.

    Other people's traffic waits in the same queue, as a steady flow.
    """

    delay_seconds: float = 0.0
    jitter_seconds: float = 0.0
    loss_ratio: float = 0.0
    rate_bits_per_second: float = 0.0
    queue_seconds: float = 0.1
    traffic_bits_per_second: float = 0.0
    cut: bool = False


@dataclass(slots=True, eq=False)
class Shaper:
    """One direction of one line. The n-th packet's fate depends only on the seed and the settings."""

    settings: LinkSettings
    random: Random
    busy_until: float = 0.0
    last_due: float = 0.0
    looked_at: float = 0.0

    def due(self, size: int, now: float) -> float | None:
        """When a packet of `size` bytes leaves the line; None when it is lost. Order is kept, as on a real line."""
        settings = self.settings
        lost = self.random.random() < settings.loss_ratio
        wander = self.random.random() * settings.jitter_seconds
        if settings.cut or lost:
            return None
        sent = now
        if settings.rate_bits_per_second:
            self._queue_traffic(now)
            start = max(self.busy_until, now)
            if start - now > settings.queue_seconds:
                return None
            sent = self.busy_until = start + size * 8 / settings.rate_bits_per_second
        self.last_due = max(self.last_due, sent + settings.delay_seconds + wander)
        return self.last_due

    def _queue_traffic(self, now: float) -> None:
        """What of it has come since the last packet stands before this one; what finds the queue full is dropped, as packets are."""
        settings, since = self.settings, self.looked_at
        self.looked_at = now
        if settings.traffic_bits_per_second:
            come_seconds = (now - since) * settings.traffic_bits_per_second / settings.rate_bits_per_second
            self.busy_until = min(max(self.busy_until, since) + come_seconds, max(self.busy_until, now + settings.queue_seconds))


@dataclass(slots=True)
class Emulator:
    """All lines, and which address lies behind which line. An address without a line gets silence."""

    seed: int
    shapers: dict[tuple[str, Direction], Shaper] = field(default_factory=dict)
    line_of: dict[bytes, str | None] = field(default_factory=dict)
    passed: int = 0
    dropped: int = 0
    _paths: dict[bytes, tuple[Shaper, Shaper]] = field(default_factory=dict)
    _waiting: list[tuple[float, int, Direction, bytes]] = field(default_factory=list)
    _order: int = 0

    def configure(self, change: Mapping[str, Any]) -> None:
        """Takes `{"lines": {id: {"down": {…}, "up": {…}}}, "addresses": {address: id or None}}`, both parts optional."""
        for line, directions in change.get("lines", {}).items():
            for direction in (DOWN, UP):
                settings = LinkSettings(**directions[direction])
                shaper = self.shapers.get((line, direction))
                if shaper is None:
                    self.shapers[line, direction] = Shaper(settings, Random(f"{self.seed}/{line}/{direction}"))
                else:
                    shaper.settings = settings
        for address, line in change.get("addresses", {}).items():
            self.line_of[socket.inet_aton(address)] = line
        self._paths = {
            address: (self.shapers[line, DOWN], self.shapers[line, UP]) for address, line in self.line_of.items() if line is not None
        }

    def take(self, direction: Direction, packet: bytes, now: float) -> None:
        """A packet has come in from the hub (down) or from the sites (up)."""
        path = self._paths.get(packet[DESTINATION] if direction == DOWN else packet[SOURCE])
        due = path[direction == UP].due(len(packet), now) if path is not None else None
        if due is None:
            self.dropped += 1
            return
        self._order += 1
        heapq.heappush(self._waiting, (due, self._order, direction, packet))

    def next_due(self) -> float | None:
        return self._waiting[0][0] if self._waiting else None

    def release(self, now: float) -> list[tuple[Direction, bytes]]:
        """The packets that leave by now, in order."""
        waiting = self._waiting
        leaving = []
        while waiting and waiting[0][0] <= now:
            _due, _order, direction, packet = heapq.heappop(waiting)
            leaving.append((direction, packet))
        self.passed += len(leaving)
        return leaving


def as_change(lines: Mapping[str, tuple[LinkSettings, LinkSettings]]) -> dict[str, Any]:
    """The `lines` part of a change, from (down, up) settings."""
    return {line: {DOWN: asdict(down), UP: asdict(up)} for line, (down, up) in lines.items()}


def order(control: socket.socket, change: Mapping[str, Any]) -> None:
    """Has the emulator at the other end of `control` change its lines, and waits until that holds."""
    control.sendall(json.dumps(change).encode() + b"\n")
    answer = b""
    while not answer.endswith(b"\n"):
        received = control.recv(65536)
        if not received:
            raise ConnectionError("the process that moves packets has ended")
        answer += received


def serve(emulator: Emulator, hub: int, sites: int, control: socket.socket, clock: Callable[[], float]) -> None:
    """Moves packets until the other end of `control` is closed.

    Each line of JSON on `control` is a change for `Emulator.configure`, answered by the counters once it holds.
    select(2) rather than epoll: its timeout is not rounded up to whole milliseconds.
    """
    buffered = b""
    orders = control.fileno()
    while True:
        due = emulator.next_due()
        ready, _, _ = select.select((hub, sites, orders), (), (), None if due is None else max(0.0, due - clock()))
        if orders in ready:
            received = control.recv(1 << 20)
            if not received:
                return
            *changes, buffered = (buffered + received).split(b"\n")
            for change in changes:
                emulator.configure(json.loads(change))
                control.sendall(json.dumps({"passed": emulator.passed, "dropped": emulator.dropped}).encode() + b"\n")
        if hub in ready:
            _read(hub, emulator, DOWN, clock())
        if sites in ready:
            _read(sites, emulator, UP, clock())
        for direction, packet in emulator.release(clock()):
            # A full queue on the far side drops the packet, as a router would.
            with contextlib.suppress(BlockingIOError):
                os.write(sites if direction == DOWN else hub, packet)


def _read(device: int, emulator: Emulator, direction: Direction, now: float) -> None:
    for _ in range(BATCH_PACKETS):
        try:
            packet = os.read(device, 65535)
        except BlockingIOError:
            return
        emulator.take(direction, packet, now)
