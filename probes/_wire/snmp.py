"""What gufo_snmp does not tell of an SNMP message: error-status, and the security of version 3.

RFC 1157 and 3416 (PDUs), RFC 3412 section 6 (version 3 messages), RFC 3414 section 2.4 (their security parameters).
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

__all__ = ["AUTHENTICATED", "ENCRYPTED", "SIGNATURES", "BadMessage", "Plain", "Secured", "is_signed", "read_plain", "read_secured"]

INTEGER, OCTETS, OBJECT_ID, SEQUENCE, RESPONSE, REPORT = 0x02, 0x04, 0x06, 0x30, 0xA2, 0xA8
AUTHENTICATED, ENCRYPTED = 0x01, 0x02  # msgFlags
USM = 3  # msgSecurityModel
SIGNATURES = {  # how many octets of which digest: RFC 3414 section 6.3.1, RFC 7860 section 4.2
    "sha1": 12,
    "sha224": 16,
    "sha256": 24,
    "sha384": 32,
    "sha512": 48,
}


class BadMessage(ValueError):
    """Bytes that are no SNMP answer of the version that was expected."""


@dataclass(frozen=True, slots=True)
class Plain:
    """The head of an answer by version 1 or 2c; `error_index` counts the OIDs from 1."""

    error_status: int
    error_index: int


@dataclass(frozen=True, slots=True)
class Secured:
    """The head of a version 3 message. `report` is the dotted OID of the first object of a Report in the clear.

    `signature_at` is where in the message `signature` lies: the digest is over the message with zeros in its place.
    """

    flags: int
    engine_id: bytes
    boots: int
    time_seconds: int
    user: bytes
    signature: bytes
    signature_at: int
    report: str = ""

    @property
    def authenticated(self) -> bool:
        return bool(self.flags & AUTHENTICATED)

    @property
    def encrypted(self) -> bool:
        return bool(self.flags & ENCRYPTED)


class _Reader:
    """BER (X.690) of definite length, within `start` and `end` of a message."""

    __slots__ = ("at", "data", "end")

    def __init__(self, data: bytes, start: int, end: int) -> None:
        self.data, self.at, self.end = data, start, end

    def take(self, tag: int) -> tuple[int, int]:
        """Where the contents of the next element begin and end. Raises BadMessage for another tag."""
        data, at = self.data, self.at
        if at + 2 > self.end or data[at] != tag:
            raise BadMessage("another element was expected")
        size = data[at + 1]
        at += 2
        if size & 0x80:
            octets = size & 0x7F
            if not 1 <= octets <= 4 or at + octets > self.end:
                raise BadMessage("a length that cannot be")
            size = int.from_bytes(data[at : at + octets], "big")
            at += octets
        self.at = at + size
        if self.at > self.end:
            raise BadMessage("cut off")
        return at, self.at

    def inside(self, tag: int) -> _Reader:
        return _Reader(self.data, *self.take(tag))

    def octets(self, tag: int = OCTETS) -> bytes:
        start, end = self.take(tag)
        return self.data[start:end]

    def number(self) -> int:
        start, end = self.take(INTEGER)
        if not 1 <= end - start <= 8:
            raise BadMessage("a number that cannot be")
        return int.from_bytes(self.data[start:end], "big", signed=True)

    def next_tag(self) -> int:
        return self.data[self.at] if self.at < self.end else 0


def read_plain(data: bytes) -> Plain:
    """Raises BadMessage."""
    message = _Reader(data, 0, len(data)).inside(SEQUENCE)
    if message.number() not in {0, 1}:
        raise BadMessage("another version")
    message.take(OCTETS)
    answer = message.inside(RESPONSE)
    answer.number()
    return Plain(answer.number(), answer.number())


def read_secured(data: bytes) -> Secured:
    """Raises BadMessage. Nothing of it is proven: see `is_signed`."""
    message = _Reader(data, 0, len(data)).inside(SEQUENCE)
    if message.number() != 3:
        raise BadMessage("another version")
    head = message.inside(SEQUENCE)
    head.number()
    head.number()
    flags = head.octets()
    if len(flags) != 1 or head.number() != USM:
        raise BadMessage("another security model")
    wrapped = message.inside(OCTETS)
    security = wrapped.inside(SEQUENCE)
    engine_id = security.octets()
    boots, time_seconds = security.number(), security.number()
    user = security.octets()
    start, end = security.take(OCTETS)
    encrypted = bool(flags[0] & ENCRYPTED)
    return Secured(flags[0], engine_id, boots, time_seconds, user, data[start:end], start, "" if encrypted else _report(message))


def _report(message: _Reader) -> str:
    scoped = message.inside(SEQUENCE)
    scoped.take(OCTETS)
    scoped.take(OCTETS)
    if scoped.next_tag() != REPORT:
        return ""
    told = scoped.inside(REPORT)
    for _ in range(3):
        told.number()
    return _dotted(told.inside(SEQUENCE).inside(SEQUENCE).octets(OBJECT_ID))


def _dotted(content: bytes) -> str:
    if not content or content[-1] & 0x80 or len(content) > 128:
        raise BadMessage("an OID that cannot be")
    parts = [*divmod(content[0], 40)]
    part = 0
    for byte in content[1:]:
        part = part << 7 | byte & 0x7F
        if not byte & 0x80:
            parts.append(part)
            part = 0
    return ".".join(map(str, parts))


def is_signed(data: bytes, head: Secured, digest: str, key: bytes) -> bool:
    """Whether the holder of the localized `key` made this message, and nobody changed it since. `digest` is a key of SIGNATURES."""
    size = SIGNATURES[digest]
    if not head.authenticated or len(head.signature) != size:
        return False
    blank = data[: head.signature_at] + bytes(size) + data[head.signature_at + size :]
    return hmac.compare_digest(hmac.digest(key, blank, digest)[:size], head.signature)
