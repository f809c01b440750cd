"""What the lab's devices of video meetings say, read off its world: rooms, the Pexip platform, who is registered."""

from __future__ import annotations

import datetime as dt
import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from netwatch.lab import pexip
from netwatch.lab.pexip import Platform
from netwatch.lab.poly import RoomState
from netwatch.lab.world import WorldModel

__all__ = ["Meetings", "own_certificate"]

ROOM, NODE = "conference", "pexip-node"
PORT_LICENCES, ROOM_LICENCES = 50, 100
USUAL_NODES = ("nut-1", "nut-2")


class Meetings:
    """`now` is on the world's clock, `wall` seconds since 1970."""

    def __init__(self, world: WorldModel, now: Callable[[], float], wall: Callable[[], float]) -> None:
        self._world = world
        self._now = now
        self._wall = wall

    def takes_calls(self, site: str, device: str) -> bool:
        return self._world.device(site, device).takes_calls

    def room(self, site: str, device: str) -> RoomState:
        state = self._world.device(site, device)
        parts = {"sipserver": "up" if state.registered else "down"}
        return RoomState(uptime_seconds=max(0.0, self._now() - state.booted_at), parts=parts)

    def registered(self) -> frozenset[str]:
        """The site's id for each room that a call would reach, and `site-device`."""
        found: set[str] = set()
        for site in self._world.inventory.sites.values():
            for device in site.devices.values():
                there = device.role == ROOM and self._world.reachable(site.id, device.id).up
                if there and self._world.device(site.id, device.id).registered:
                    found |= {site.id, f"{site.id}-{device.id}"}
        return frozenset(found)

    def platform(self, site: str, device: str) -> Platform:
        """As the manager of that name tells it."""
        ratio = self._world.device(site, device).licences_ratio
        licensing = {"port_count": round(ratio * PORT_LICENCES), "port_total": PORT_LICENCES, "vmr_count": 5, "vmr_total": ROOM_LICENCES}
        return Platform(
            worker_vm=[pexip.node(name, self._wall() - age) for name, age in self._nodes()],
            alarm=[pexip.alarm("licenses_exhausted", details="no port licence is left")] if ratio >= 1 else [],
            licensing=[licensing],
            registration_alias=[pexip.registration(f"{alias}@lab") for alias in sorted(self.registered())],
        )

    def _nodes(self) -> list[tuple[str, float]]:
        """Names, and how long ago each was last heard of: one that is off, when it went off is not known, so long ago."""
        found = [
            (device.id, 20.0 if self._world.reachable(site.id, device.id).up else 600.0)
            for site in self._world.inventory.sites.values()
            for device in site.devices.values()
            if device.role == NODE
        ]
        return found or [(name, 20.0) for name in USUAL_NODES]


def own_certificate() -> ssl.SSLContext:
    """As most rooms have: signed by themselves, so that checks need `verify: false`."""
    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "lab")])
    now = dt.datetime.now(dt.UTC)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    certificate = built.not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=365)).sign(key, SHA256())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "lab.pem")
        file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate.public_bytes(Encoding.PEM))
        context.load_cert_chain(file)
    return context
