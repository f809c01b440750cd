"""One notification, from bytes to what it says: pysnmp decodes and authenticates it and answers informs (RFC 3416 section 4.2.7).

pysnmp is given each datagram by hand and nothing else, so its transports, tasks and timers stay out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pyasn1.error import PyAsn1Error  # type: ignore[import-untyped]  # neither ships types
from pysnmp.carrier.asyncio.dgram import udp  # type: ignore[import-untyped]
from pysnmp.carrier.base import AbstractTransportDispatcher  # type: ignore[import-untyped]
from pysnmp.entity import config, engine  # type: ignore[import-untyped]
from pysnmp.entity.rfc3413 import ntfrcv  # type: ignore[import-untyped]
from pysnmp.error import PySnmpError  # type: ignore[import-untyped]

from netwatch.lang.writing import clean
from netwatch.traps._notification import Address, Community, Credential, Identity, Refusal, Said, User
from probes import Secret
from probes._wire.snmp import BadMessage, read_secured

__all__ = ["Receiver"]

SNMP_TRAP_OID = "1.3.6.1.6.3.1.1.4.1.0"
UNSAID = {SNMP_TRAP_OID, "1.3.6.1.6.3.18.1.4.0"}  # snmpTrapCommunity.0 is a secret (SNMP-COMMUNITY-MIB)
V3 = 3
MOST_ENGINES = 4  # of one source: a device has one, and a forger may invent any number
MOST_OBJECTS = 12
LONGEST_VALUE = 120
DIGESTS = {
    "sha1": config.USM_AUTH_HMAC96_SHA,
    "sha224": config.USM_AUTH_HMAC128_SHA224,
    "sha256": config.USM_AUTH_HMAC192_SHA256,
    "sha384": config.USM_AUTH_HMAC256_SHA384,
    "sha512": config.USM_AUTH_HMAC384_SHA512,
}
CIPHERS = {  # stretched keys as of draft-blumenthal-aes-usm-04, as the snmp probe has them
    "aes128": config.USM_PRIV_CFB128_AES,
    "aes192": config.USM_PRIV_CFB192_AES_BLUMENTHAL,
    "aes256": config.USM_PRIV_CFB256_AES_BLUMENTHAL,
}
# What pysnmp and pyasn1 raise at bytes that are no message, besides their own errors; found by feeding them such.
GARBAGE = (PySnmpError, PyAsn1Error, TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError)


class _Dispatcher(AbstractTransportDispatcher):  # type: ignore[misc]  # pysnmp's are untyped
    """What pysnmp takes for the network: answers go out by `send`, and nothing comes in."""

    def __init__(self, send: Callable[[bytes, Address], None]) -> None:
        super().__init__()
        self._send = send

    def send_message(self, outgoing: Any, _domain: object, address: Any) -> None:
        self._send(bytes(outgoing), (str(address[0]), int(address[1])))


class Receiver:
    """Takes datagrams one by one. Making one reads pysnmp's MIBs: a quarter of a second, better not on the loop."""

    def __init__(self, identity: Identity, send: Callable[[bytes, Address], None]) -> None:
        self._engine = engine.SnmpEngine()
        self._own_id = self._become(identity)
        self._dispatcher = _Dispatcher(send)
        self._engine.register_transport_dispatcher(self._dispatcher)
        ntfrcv.NotificationReceiver(self._engine, self._told)
        self._engine.observer.register_observer(self._note_level, "rfc3412.receiveMessage:request")
        self._communities: dict[Secret, str] = {}
        self._users: dict[tuple[bytes, str], User] = {}
        self._engines: dict[str, set[bytes]] = {}
        self._heard: list[tuple[int, str, int, Any]] = []
        self._context: tuple[int, str, int] = (0, "", 0)

    def take(self, datagram: bytes, source: Address, credentials: Sequence[Credential]) -> Said | Refusal | None:
        """What it says, when it comes with one of the credentials. None: no notification, but part of how version 3 begins one."""
        is_v3 = False
        try:
            is_v3 = _version(datagram) == V3
            if is_v3:
                self._introduce(datagram, source[0], credentials)
            else:
                for one in credentials:
                    if isinstance(one, Community):
                        self._name_of(one.community)
            self._heard.clear()
            self._engine.message_dispatcher.receive_message(self._engine, udp.DOMAIN_NAME, udp.UdpTransportAddress(source), datagram)
        except GARBAGE:
            return "malformed"
        if not self._heard:
            return None if is_v3 and _is_discovery(datagram) else "not_authentic"
        model, name, level, objects = self._heard.pop()
        if not self._is_of(model, name, level, credentials):
            return "not_authentic"
        return _said(model, objects)

    def tick(self, now: float) -> None:
        """Lets what pysnmp remembers of senders expire; about once a second."""
        self._dispatcher.handle_timer_tick(now)

    def close(self) -> None:
        self._engine.close_dispatcher()

    def _become(self, identity: Identity) -> bytes:
        symbols = self._engine.get_mib_builder().import_symbols("__SNMP-FRAMEWORK-MIB", "snmpEngineID", "snmpEngineBoots")
        for symbol, value in zip(symbols, (identity.engine_id, identity.boots), strict=True):
            symbol.syntax = symbol.syntax.clone(value)
        self._engine.snmpEngineID = symbols[0].syntax
        return identity.engine_id

    def _name_of(self, community: Secret) -> str:
        """A community is known to pysnmp by a name of ours, which comes back with what was said."""
        name = self._communities.get(community)
        if name is None:
            name = self._communities[community] = f"community-{len(self._communities)}"
            config.add_v1_system(self._engine, name, community.reveal(), securityName=name)
        return name

    def _introduce(self, datagram: bytes, source: str, credentials: Sequence[Credential]) -> None:
        """A user's keys belong to an engine (RFC 3414 section 2.6): the sender's for a trap, ours for an inform."""
        try:
            head = read_secured(datagram)
        except BadMessage as error:
            raise ValueError(str(error)) from error
        user = next((one for one in credentials if isinstance(one, User) and one.name.encode() == head.user), None)
        if user is None or not head.engine_id or self._users.get((head.engine_id, user.name)) == user:
            return
        if head.engine_id != self._own_id:
            engines = self._engines.setdefault(source, set())
            if len(engines) >= MOST_ENGINES and head.engine_id not in engines:
                return
            engines.add(head.engine_id)
        self._users[head.engine_id, user.name] = user
        privacy = user.privacy.reveal() if user.privacy else None
        config.add_v3_user(
            self._engine,
            user.name,
            DIGESTS[user.digest],
            user.auth.reveal(),
            CIPHERS[user.cipher] if user.privacy else config.USM_PRIV_NONE,
            privacy,
            securityEngineId=self._engine.snmpEngineID.clone(head.engine_id),
        )

    def _is_of(self, model: int, name: str, level: int, credentials: Sequence[Credential]) -> bool:
        """Because pysnmp takes what any credential that it knows would allow, and less security than a user has."""
        if model == V3:
            return any(isinstance(one, User) and one.name == name and level >= one.level for one in credentials)
        return any(isinstance(one, Community) and self._communities.get(one.community) == name for one in credentials)

    def _note_level(self, _engine: object, _point: str, variables: dict[str, Any], _context: object) -> None:
        self._context = int(variables["securityModel"]), str(variables["securityName"]), int(variables["securityLevel"])

    def _told(self, _engine: object, _state: object, _engine_id: object, _name: object, objects: Any, _context: object) -> None:
        self._heard.append((*self._context, objects))


def _version(datagram: bytes) -> int:
    """Of the message, as it stands behind the outermost header. Raises ValueError."""
    start = 2 + (datagram[1] & 0x7F if datagram[1] & 0x80 else 0)
    if datagram[0] != 0x30 or datagram[start : start + 2] != b"\x02\x01":
        raise ValueError("no SNMP message")
    return datagram[start + 2]


def _is_discovery(datagram: bytes) -> bool:
    """A sender of informs first asks who we are, without a user (RFC 3414 section 4)."""
    return not read_secured(datagram).user


def _said(model: int, objects: Any) -> Said:
    found = [(str(oid), value) for oid, value in objects[: MOST_OBJECTS + 2]]
    oid = next((str(value) for name, value in found if name == SNMP_TRAP_OID), "")
    told = tuple((name, clean(value.prettyPrint(), LONGEST_VALUE)) for name, value in found if name not in UNSAID)
    return Said(("1", "2c", "3")[model - 1], oid, told)
