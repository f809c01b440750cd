"""Starts and ends a lab: its networks, the process that moves packets and the process in which the devices live."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import socket
import time
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, Literal

from netwatch.lab import child, network
from netwatch.lab.faults import Scenario
from netwatch.lab.links import Emulator, serve
from netwatch.lab.namespaces import enter, enter_private_network
from netwatch.lab.server import LabServer, addresses_of
from netwatch.lab.world import WorldModel
from netwatch.model import Inventory

__all__ = ["Lab", "LabFailed"]

PATH_LIMIT_BYTES = 107  # sun_path of unix(7), less its ending NUL


class LabFailed(Exception):
    """The lab could not be started; says why."""


@dataclass(slots=True, eq=False)
class Lab:
    """A running lab. Start it before the process has threads or an event loop: it forks.

    With mode "namespaces" the caller is left in the hub's network namespace. With mode "loopback" there are only devices,
    on 127/8, and `port_offset` is added to each of their ports.
    """

    mode: Literal["namespaces", "loopback"]
    why_not: str
    control_path: Path
    port_offset: int
    networks: network.Networks | None
    original: int
    children: tuple[int, ...]

    @classmethod
    def start(
        cls, inventory: Inventory, control_path: Path, *, community: str, seed: int = 1, why_not: str | None = None, private: bool = False
    ) -> Lab:
        """`why_not` is what network.why_not() said, asked anew when None. Raises LabFailed.

        With `private`, the loopback lab too moves into a network of its own where that is allowed: no port there is taken.
        """
        if len(os.fsencode(control_path)) > PATH_LIMIT_BYTES:
            raise LabFailed(f"{control_path}: too long for a socket's path; at most {PATH_LIMIT_BYTES} bytes")
        reason = network.why_not() if why_not is None else why_not
        world = WorldModel(Scenario(name="lab", seed=seed, duration_seconds=0), inventory)
        control_path.unlink(missing_ok=True)
        original = network.here()
        networks = network.build(_networks_of(inventory)) if not reason else None
        if networks is None and private and not network.why_not_private():
            enter_private_network()
        ours, theirs = socket.socketpair()
        children = []
        if networks is not None:
            emulator = Emulator(seed)
            children.append(child.fork(lambda: _emulate(emulator, networks, theirs, ours)))
        reader, writer = os.pipe()
        server = LabServer(world, control_path, community.encode(), ours if networks is not None else None, reason)
        children.append(child.fork(lambda: _serve(server, networks, theirs, writer)))
        os.close(writer)
        ours.close()
        theirs.close()
        with os.fdopen(reader, encoding="utf-8") as answer:
            said = json.loads(answer.readline() or "{}")
        lab = cls(
            "loopback" if reason else "namespaces", reason, control_path, said.get("port_offset", 0), networks, original, tuple(children)
        )
        if "port_offset" not in said:
            lab.close()
            raise LabFailed(said.get("error", "the lab's process ended at once"))
        return lab

    def close(self) -> None:
        """Ends the lab's processes and goes back to where the caller came from, where the kernel allows it."""
        for process in reversed(self.children):
            child.end(process)
        with contextlib.suppress(OSError):  # not out of a user namespace
            enter(self.original)
        os.close(self.original)
        if self.networks is not None:
            self.networks.close()
        self.control_path.unlink(missing_ok=True)


def _networks_of(inventory: Inventory) -> list[IPv4Network]:
    return sorted({IPv4Network((address, 24), strict=False) for _site, _target, address in addresses_of(inventory)})


def _emulate(emulator: Emulator, networks: network.Networks, control: socket.socket, other_end: socket.socket) -> None:
    other_end.close()
    serve(emulator, networks.hub_tun, networks.sites_tun, control, time.monotonic)


def _serve(server: LabServer, networks: network.Networks | None, other_end: socket.socket, writer: int) -> None:
    other_end.close()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))
    if server.emulator is not None:
        server.emulator.setblocking(False)
    if networks is not None:
        enter(networks.sites)

    def say(document: dict[str, Any]) -> None:
        os.write(writer, json.dumps(document).encode() + b"\n")
        os.close(writer)

    try:
        asyncio.run(server.run(say))
    except OSError as error:
        with contextlib.suppress(OSError):
            say({"error": str(error)})
