"""The datagrams of a capacity test, and what a TCP stream of one opens with. Pure.

OPEN, COOKIE and ECHO prove the way before any load: the reflector sends nothing longer than what it was sent to an address that
has not shown, by an ECHO, that the prober is there.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import struct
from typing import NamedTuple

from probes._wire.capacity import ID_BYTES, TAG_BYTES, VERSION, BadFrame

__all__ = [
    "DATA_BYTES",
    "IP_BYTES",
    "JOIN",
    "JOIN_BYTES",
    "Data",
    "Kind",
    "cookie_datagram",
    "data_header",
    "headers_bytes",
    "join",
    "open_datagram",
    "parse_data",
    "parse_short",
    "poke_datagram",
    "short_tag",
]

IP_BYTES = 1400  # of every data packet: fits PPPoE and the usual tunnels unfragmented
JOIN = b"NWJ1"
JOIN_BYTES = len(JOIN) + ID_BYTES + 1 + TAG_BYTES


class Kind(enum.IntEnum):
    """Of a datagram. RAMP is data that is not judged, POKE a reflector's that dialled in: it makes a way through its NAT."""

    OPEN = 1
    COOKIE = 2
    ECHO = 3
    DATA = 4
    RAMP = 5
    POKE = 6


_SHORT = struct.Struct("!2sBB8s16s")  # all three of one size: an answer is never longer than the question
_DATA = struct.Struct("!2sBB8sIQQ")
_MAGIC = b"NW"
_RAMP = int(Kind.RAMP)
_DATA_KINDS = (int(Kind.DATA), _RAMP)  # comparing with members of an enumeration takes as long as all the rest
DATA_BYTES = _DATA.size


class Data(NamedTuple):
    """The header of a data packet. `sent_nanoseconds` is by the sender's monotonic clock. A tuple: it is made 90,000 times a second."""

    number: int
    sent_nanoseconds: int
    nonce: int
    ramp: bool


def headers_bytes(*, ipv6: bool) -> int:
    """IP and UDP header of one datagram."""
    return (40 if ipv6 else 20) + 8


def short_tag(key: bytes, kind: Kind, about: bytes) -> bytes:
    """What shows that an OPEN or ECHO comes from the prober who proved itself on the control connection."""
    return hmac.digest(key, bytes([kind]) + about, hashlib.sha256)[:TAG_BYTES]


def open_datagram(key: bytes, test: bytes, cookie: bytes = b"") -> bytes:
    """OPEN, or with the reflector's cookie ECHO."""
    kind = Kind.ECHO if cookie else Kind.OPEN
    return _SHORT.pack(_MAGIC, kind, VERSION, test, short_tag(key, kind, test + cookie))


def cookie_datagram(test: bytes, cookie: bytes) -> bytes:
    return _SHORT.pack(_MAGIC, Kind.COOKIE, VERSION, test, cookie)


def poke_datagram(key: bytes, test: bytes) -> bytes:
    return _SHORT.pack(_MAGIC, Kind.POKE, VERSION, test, short_tag(key, Kind.POKE, test))


def parse_short(datagram: bytes) -> tuple[Kind, bytes, bytes]:
    """Kind, test and tag or cookie of an OPEN, COOKIE or ECHO. Raises BadFrame."""
    if len(datagram) != _SHORT.size:
        raise BadFrame(f"datagram of {len(datagram)} bytes")
    magic, kind, version, test, rest = _SHORT.unpack(datagram)
    if magic != _MAGIC or version != VERSION or kind not in {Kind.OPEN, Kind.COOKIE, Kind.ECHO}:
        raise BadFrame("not of ours")
    return Kind(kind), test, rest


def data_header(test: bytes, data: Data) -> bytes:
    return _DATA.pack(_MAGIC, Kind.RAMP if data.ramp else Kind.DATA, VERSION, test, data.number, data.sent_nanoseconds, data.nonce)


def parse_data(datagram: bytes | bytearray, test: bytes) -> Data | None:
    """None for what is not a data packet of this test."""
    if len(datagram) < DATA_BYTES:
        return None
    magic, kind, version, of, number, sent, nonce = _DATA.unpack_from(datagram)
    if magic != _MAGIC or version != VERSION or of != test or kind not in _DATA_KINDS:
        return None
    return Data(number, sent, nonce, kind == _RAMP)


def join(key: bytes, test: bytes, stream: int) -> bytes:
    """What a TCP stream of a test opens with."""
    return JOIN + test + bytes([stream]) + hmac.digest(key, JOIN + test + bytes([stream]), hashlib.sha256)[:TAG_BYTES]
