"""Traps and informs of devices: each is only a hint, which has the checks at the sender's address asked at once.

A UDP source can be forged, so nothing that a trap says is believed: not that a device is up, nor that it is down.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, cast

from netwatch._metric_families import Family
from netwatch.model import Check, Inventory
from netwatch.traps._gate import Gate
from netwatch.traps._identity import next_identity
from netwatch.traps._names import LINK_TRAPS, name_of
from netwatch.traps._notification import Community, Credential, Identity, Said, User

if TYPE_CHECKING:
    from netwatch.traps._receiver import Receiver

__all__ = ["Heard", "Outcome", "Traps", "credentials_of"]

log = logging.getLogger(__name__)

Outcome: TypeAlias = Literal["hint", "unknown_source", "not_authentic", "malformed", "rate_limited"]
OUTCOMES: tuple[Outcome, ...] = ("hint", "unknown_source", "not_authentic", "malformed", "rate_limited")
KEPT = 500
AGAIN_SECONDS = 30.0
LONGEST_DATAGRAM = 65_535
LONGEST = 4_096  # bytes; a notification has a few hundred
MOST_AT_ONCE = 16  # datagrams in one turn of the loop
BUFFER_BYTES = 1 << 20  # about 1,500 traps wait while the loop is busy
TICK_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One datagram and what was made of it. `asked` are the checks that were asked to run."""

    number: int
    wall: float
    source: str
    outcome: Outcome
    site: str = ""
    target: str = ""
    version: str = ""
    name: str = ""
    objects: tuple[tuple[str, str], ...] = ()
    asked: tuple[str, ...] = ()

    def document(self) -> dict[str, object]:
        return {
            "number": self.number,
            "wall": self.wall,
            "source": self.source,
            "outcome": self.outcome,
            "site": self.site,
            "target": self.target,
            "version": self.version,
            "name": self.name,
            "objects": [{"oid": oid, "value": value} for oid, value in self.objects],
            "asked": list(self.asked),
        }


class _Signing(Protocol):
    protocol: str


class _Asked(Protocol):
    """What is asked of an SNMP probe."""

    version: str | int
    user: str
    auth: _Signing | None
    privacy: _Signing | None


@dataclass(frozen=True, slots=True)
class _Source:
    """What the inventory knows of an address."""

    checks: tuple[Check, ...]
    lines: tuple[str, ...]  # checks of the lines of its site
    credentials: tuple[Credential, ...]


class Traps:
    """One for a daemon. Listens when the inventory says where; `hint` is given a check and who hinted."""

    def __init__(
        self, inventory: Callable[[], Inventory], hint: Callable[[str, str], None], state_directory: Path, *, wall: Callable[[], float]
    ) -> None:
        self._inventory = inventory
        self._hint = hint
        self._state_directory = state_directory
        self._wall = wall
        self._changed = asyncio.Event()
        self._heard: deque[Heard] = deque(maxlen=KEPT)
        self._number = 0
        self._counts: Counter[Outcome] = Counter()
        self._sources: Mapping[str, _Source] = {}
        self._gate = Gate(0)
        self._receiver: Receiver | None = None
        self._socket: socket.socket | None = None

    def adopt(self) -> None:
        """The inventory in force has changed."""
        self._changed.set()

    @property
    def listening(self) -> bool:
        return self._socket is not None

    def since(self, number: int) -> Sequence[Heard]:
        """What was heard after the one of that number, the oldest first; at most the last 500."""
        return [one for one in self._heard if one.number > number]

    def families(self) -> Iterator[Family]:
        """Nothing as long as nobody asked us to listen."""
        if not self._inventory().settings.trap_listen:
            return
        counts = [({"outcome": one}, float(self._counts[one])) for one in OUTCOMES]
        yield Family("netwatch_traps_total", "counter", "SNMP traps and informs that came, by what was made of them.", counts)
        yield Family("netwatch_traps_listening", "gauge", "Whether the port for traps is open.", [({}, float(self.listening))])

    async def run(self) -> None:
        """Until cancelled. A port that cannot be had is tried again: nothing else of netwatch waits for it."""
        while True:
            self._changed.clear()
            settings = self._inventory().settings
            self._learn()
            if settings.trap_listen:
                await self._listen(settings.trap_listen, settings.trap_port)
            else:
                await self._changed.wait()

    async def _listen(self, host: str, port: int) -> None:
        """Until the inventory names another place."""
        try:
            if self._receiver is None:
                identity = await asyncio.to_thread(next_identity, self._state_directory)
                self._receiver = await asyncio.to_thread(self._made, identity)
            self._socket = _opened(host, port)
        except OSError as error:
            log.error("no port for traps", extra={"listen": f"{host}:{port}", "why": error.strerror or str(error)})
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_SECONDS):
                    await self._changed.wait()
            return
        loop = asyncio.get_running_loop()
        loop.add_reader(self._socket, self._read)
        log.info("listening for traps", extra={"listen": f"{host}:{port}"})
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(TICK_SECONDS):
                        await self._changed.wait()
                self._receiver.tick(time.time())  # pysnmp measures its expiry by this clock
                if self._changed.is_set():
                    self._changed.clear()
                    self._learn()
                    settings = self._inventory().settings
                    if (settings.trap_listen, settings.trap_port) != (host, port):
                        self._changed.set()
                        return
        finally:
            loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _made(self, identity: Identity) -> Receiver:
        from netwatch.traps._receiver import Receiver  # noqa: PLC0415  # pysnmp takes 0.05 s and 3 MB, and most daemons hear no traps

        return Receiver(identity, self._send)

    def _learn(self) -> None:
        inventory = self._inventory()
        self._sources = _sources(inventory)
        if self._gate.per_minute != inventory.settings.traps_per_minute:
            self._gate = Gate(inventory.settings.traps_per_minute)
        self._gate.forget_all_but(frozenset(self._sources))

    def _read(self) -> None:
        if self._socket is None:
            return
        for _ in range(MOST_AT_ONCE):
            try:
                datagram, address = self._socket.recvfrom(LONGEST_DATAGRAM)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                continue  # what an answer of ours met on its way
            self._take(datagram, address)

    def _take(self, datagram: bytes, address: Any) -> None:
        source = _plain(address[0])
        known = self._sources.get(source)
        if not self._gate.admits(source, known=known is not None, now=asyncio.get_running_loop().time(), size=len(datagram)):
            self._counts["rate_limited"] += 1
            return
        if known is None or self._receiver is None:
            self._note(source, "unknown_source")
            return
        at = (str(address[0]), int(address[1]))
        said = self._receiver.take(datagram, at, known.credentials) if len(datagram) <= LONGEST else "malformed"
        if isinstance(said, Said):
            asked = tuple(check.id for check in known.checks) + (known.lines if said.oid in LINK_TRAPS else ())
            self._note(source, "hint", known.checks[0], said, asked)
            for check in asked:
                self._hint(check, source)
        elif said is not None:
            self._note(source, said, known.checks[0])

    def _note(
        self, source: str, outcome: Outcome, check: Check | None = None, said: Said | None = None, asked: tuple[str, ...] = ()
    ) -> None:
        self._number += 1
        self._counts[outcome] += 1
        self._heard.append(
            Heard(
                number=self._number,
                wall=self._wall(),
                source=source,
                outcome=outcome,
                site=check.site if check else "",
                target=check.target if check else "",
                version=said.version if said else "",
                name=name_of(said.oid) if said else "",
                objects=said.objects if said else (),
                asked=asked,
            )
        )

    def _send(self, answer: bytes, address: tuple[str, int]) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):  # a sender that does not hear us sends again
                self._socket.sendto(answer, address)


def _opened(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        opened.bind((host, port))
    except OSError:
        opened.close()
        raise
    return opened


def _plain(address: str) -> str:
    """An IPv4 address as the inventory writes it, also where it came to an IPv6 socket."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)


def _sources(inventory: Inventory) -> dict[str, _Source]:
    """By address; a check that is given by name is not found by the address of a trap."""
    lines: dict[str, list[str]] = {}
    at: dict[str, list[Check]] = {}
    for check in inventory.checks.values():
        if check.kind == "bandwidth":
            continue  # a line test is nothing that a stranger may begin
        site = inventory.sites.get(check.site)
        if check.kind == "icmp" and site is not None and check.target in site.lines:
            lines.setdefault(check.site, []).append(check.id)
        with contextlib.suppress(ValueError):
            at.setdefault(_plain(check.address), []).append(check)
    return {
        address: _Source(
            checks=tuple(checks),
            lines=tuple(id_ for id_ in lines.get(checks[0].site, ()) if id_ not in {check.id for check in checks}),
            credentials=tuple(dict.fromkeys(one for check in checks for one in credentials_of(check))),
        )
        for address, checks in at.items()
    }


def credentials_of(check: Check) -> Iterator[Credential]:
    """A device signs its traps with what it is polled with."""
    if check.kind != "snmp":
        return
    probe = cast("_Asked", check.probe)
    if str(probe.version) != "3":
        yield Community(check.secrets["community"])
    elif probe.auth is not None:
        privacy = check.secrets["privacy"] if probe.privacy else None
        yield User(probe.user, probe.auth.protocol, check.secrets["auth"], probe.privacy.protocol if probe.privacy else "", privacy)
