"""Just enough BER (X.690) for an SNMP v2c agent: requests in, responses out. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

__all__ = [
    "END_OF_VIEW",
    "GET",
    "GET_BULK",
    "GET_NEXT",
    "NO_SUCH_INSTANCE",
    "BadMessage",
    "Oid",
    "Request",
    "counter32",
    "counter64",
    "encode_oid",
    "gauge",
    "integer",
    "object_id",
    "parse_oid",
    "read_request",
    "response",
    "text",
    "ticks",
]

Oid: TypeAlias = tuple[int, ...]
GET, GET_NEXT, RESPONSE, GET_BULK = 0xA0, 0xA1, 0xA2, 0xA5
NO_SUCH_INSTANCE = b"\x81\x00"  # RFC 3416 section 3
END_OF_VIEW = b"\x82\x00"


class BadMessage(ValueError):
    """Not a v2c request that an agent answers."""


@dataclass(frozen=True, slots=True)
class Request:
    """`request_id` stays encoded. `first` and `second` are non-repeaters and max-repetitions of a GETBULK."""

    community: bytes
    kind: int
    request_id: bytes
    first: int
    second: int
    oids: tuple[bytes, ...]  # contents of the encoded OIDs


def tagged(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def _number(tag: int, value: int) -> bytes:
    return tagged(tag, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def integer(value: int) -> bytes:
    return _number(0x02, value)


def counter32(value: int) -> bytes:
    return _number(0x41, value % 2**32)


def gauge(value: int) -> bytes:
    return _number(0x42, value)


def ticks(value: int) -> bytes:
    """Hundredths of a second; wraps after 497 days as on a real device."""
    return _number(0x43, value % 2**32)


def counter64(value: int) -> bytes:
    return _number(0x46, value % 2**64)


def text(value: str | bytes) -> bytes:
    return tagged(0x04, value.encode() if isinstance(value, str) else value)


def object_id(value: Oid) -> bytes:
    return tagged(0x06, encode_oid(value))


def encode_oid(oid: Oid) -> bytes:
    """The contents of an OID, without tag and length."""
    encoded = bytearray((oid[0] * 40 + oid[1],))
    for part in oid[2:]:
        encoded += bytes(0x80 | part >> shift & 0x7F for shift in range((max(part.bit_length(), 1) - 1) // 7 * 7, 0, -7))
        encoded.append(part & 0x7F)
    return bytes(encoded)


def parse_oid(dotted: str) -> Oid:
    """`1.3.6.1` or `.1.3.6.1`. Raises ValueError."""
    parts = tuple(int(part) for part in dotted.removeprefix(".").split("."))
    if len(parts) < 2 or parts[0] > 2 or parts[1] > 39 or not all(0 <= part < 2**32 for part in parts):
        raise ValueError(dotted)
    return parts


def decode_oid(content: bytes) -> Oid:
    """Raises BadMessage."""
    if not content or content[-1] & 0x80:
        raise BadMessage("broken OID")
    parts = [*divmod(content[0], 40)]
    part = 0
    for byte in content[1:]:
        part = part << 7 | byte & 0x7F
        if not byte & 0x80:
            parts.append(part)
            part = 0
    return tuple(parts)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, tag: int | None) -> tuple[int, bytes]:
        try:
            found, size = self.data[self.at], self.data[self.at + 1]
        except IndexError:
            raise BadMessage("cut off") from None
        self.at += 2
        if size & 0x80:
            octets = size & 0x7F
            size = int.from_bytes(self.data[self.at : self.at + octets], "big")
            self.at += octets
        content = self.data[self.at : self.at + size]
        self.at += size
        if len(content) != size or (tag is not None and found != tag):
            raise BadMessage(f"unexpected tag {found:#x}")
        return found, content


def read_request(data: bytes) -> Request:
    """Raises BadMessage, and nothing else, for anything but a v2c GET, GETNEXT or GETBULK."""
    message = _Reader(_Reader(data).take(0x30)[1])
    if message.take(0x02)[1] != b"\x01":
        raise BadMessage("not v2c")
    community = message.take(0x04)[1]
    kind, content = message.take(None)
    if kind not in {GET, GET_NEXT, GET_BULK}:
        raise BadMessage(f"PDU {kind:#x}")
    body = _Reader(content)
    request_id = body.take(0x02)[1]
    first = int.from_bytes(body.take(0x02)[1], "big", signed=True)
    second = int.from_bytes(body.take(0x02)[1], "big", signed=True)
    listed = _Reader(body.take(0x30)[1])
    oids = []
    while listed.at < len(listed.data):
        oids.append(_Reader(listed.take(0x30)[1]).take(0x06)[1])
    return Request(community, kind, request_id, max(first, 0), max(second, 0), tuple(oids))


def response(request: Request, bindings: Iterable[tuple[bytes, bytes]], error_status: int = 0) -> bytes:
    """A response with (OID contents, encoded value) pairs."""
    listed = b"".join(tagged(0x30, tagged(0x06, oid) + value) for oid, value in bindings)
    body = tagged(0x02, request.request_id) + integer(error_status) + integer(0) + tagged(0x30, listed)
    return tagged(0x30, integer(1) + text(request.community) + tagged(RESPONSE, body))
