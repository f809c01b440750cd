"""A line that the kernel shapes: a near network, a router with `tc tbf` towards either side, a far network.

Delay and loss come from the link emulator (links.py), which then stands between the router and the far network.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from netwatch.lab import child, netlink, network
from netwatch.lab.links import Emulator, LinkSettings, as_change, order, serve
from netwatch.lab.namespaces import become_root_in_user_namespace, enter, raise_loopback, unshare_network

__all__ = ["ETHERNET_BYTES", "FAR", "NEAR", "NEAR_ROUTER", "ShapedLine", "Shaping", "command", "pair", "shape"]

NEAR, NEAR_ROUTER, FAR_ROUTER, FAR = "198.18.0.1", "198.18.0.2", "198.18.0.5", "198.18.0.6"
PACKET_BYTES = 1400  # of a capacity test: the size by which a rate of IP packets becomes one of frames
ETHERNET_BYTES = 14  # what tbf counts besides; a TUN device has no frames
LINE = "line"
COMMAND_SECONDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaping:
    """One direction. A rate is of IP packets of 1,400 bytes, in bits per second; 0 is no limit.

    A bucket of `burst_bytes` (0: what flows in 4 ms) with `queue_bytes` behind it: with hardly a queue it is a policer.
    """

    rate_bits_per_second: float = 0.0
    burst_bytes: int = 0
    queue_bytes: int = 200_000


@dataclass(slots=True, eq=False)
class ShapedLine:
    """Made by `build`, which leaves the caller in the near network; `close` ends what it started."""

    near: int
    router: int
    far: int
    emulated: bool
    _emulator: int = 0
    _orders: socket.socket | None = None
    _descriptors: list[int] = field(default_factory=list)

    @classmethod
    def build(cls, *, emulated: bool = False, hurry: bool = False, seed: int = 1) -> ShapedLine:
        """Before this process has threads. Works as root and in a user namespace of one's own; needs `ip` and `tc`.

        With `emulated` there can be delay and loss; with `hurry` the emulator is served before others. Raises NamespaceRefused, OSError.
        """
        if os.geteuid() != 0:
            become_root_in_user_namespace()
        far = unshare_network()
        raise_loopback()
        far_tun = network.open_tun("far") if emulated else -1
        router = unshare_network()
        raise_loopback()
        Path("/proc/sys/net/ipv4/ip_forward").write_bytes(b"1")
        router_tun = network.open_tun("tofar") if emulated else -1
        if not emulated:
            pair("tofar", "far", far)
        near = unshare_network()
        raise_loopback()
        pair("near", "tonear", router)
        for namespace, interface, address, gateway in (
            (far, "far", FAR, FAR_ROUTER),
            (router, "tonear", NEAR_ROUTER, ""),
            (router, "tofar", FAR_ROUTER, ""),
            (near, "near", NEAR, NEAR_ROUTER),
        ):
            enter(namespace)
            netlink.set_up(interface)
            command("ip", "address", "add", f"{address}/30", "dev", interface)
            if gateway:
                command("ip", "route", "add", "default", "via", gateway)
        line = cls(near=near, router=router, far=far, emulated=emulated)
        if emulated:
            line._emulate_from(router_tun, far_tun, seed, hurry=hurry)
        return line

    def shape(self, down: Shaping, up: Shaping) -> None:
        """Sets both rates, with empty queues and full buckets."""
        enter(self.router)
        try:
            shape("tofar", down, 0 if self.emulated else ETHERNET_BYTES)
            shape("tonear", up, ETHERNET_BYTES)
        finally:
            enter(self.near)

    def emulate(self, down: LinkSettings, up: LinkSettings) -> None:
        """Sets delay and loss, and returns when they hold; on a line built with `emulated`."""
        if self._orders is None:
            raise ValueError("this line has no emulator")
        order(self._orders, {"lines": as_change({LINE: (down, up)}), "addresses": {FAR: LINE}})

    def close(self) -> None:
        if self._orders is not None:
            child.end(self._emulator)
            self._orders.close()
        for descriptor in (*self._descriptors, self.near, self.router, self.far):
            os.close(descriptor)

    def _emulate_from(self, router_tun: int, far_tun: int, seed: int, *, hurry: bool) -> None:
        ours, theirs = socket.socketpair()

        def main() -> None:
            ours.close()
            if hurry:
                os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
            serve(Emulator(seed), router_tun, far_tun, theirs, time.monotonic)

        self._emulator = child.fork(main)
        theirs.close()
        self._orders, self._descriptors = ours, [router_tun, far_tun]
        self.emulate(LinkSettings(), LinkSettings())


def pair(here: str, there: str, namespace: int) -> None:
    command("ip", "link", "add", here, "type", "veth", "peer", "name", there, "netns", f"/proc/self/fd/{namespace}", keep=(namespace,))


def shape(interface: str, shaping: Shaping, framing_bytes: int) -> None:
    command("tc", "qdisc", "replace", "dev", interface, "root", "handle", "1:", "pfifo", "limit", "2000")
    if not shaping.rate_bits_per_second:
        return
    rate = round(shaping.rate_bits_per_second * (PACKET_BYTES + framing_bytes) / PACKET_BYTES)
    burst = shaping.burst_bytes or max(10_000, round(shaping.rate_bits_per_second / 8 * 0.004))
    told = ("rate", f"{rate}bit", "burst", str(burst), "limit", str(shaping.queue_bytes))
    command("tc", "qdisc", "replace", "dev", interface, "root", "handle", "2:", "tbf", *told)


def command(*words: str, keep: Iterable[int] = ()) -> None:
    """In the network that this thread is in. Raises OSError with what the program said."""
    ended = subprocess.run(words, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False, pass_fds=tuple(keep))
    if ended.returncode:
        raise OSError(f"{' '.join(words)}: {ended.stderr.strip()}")
