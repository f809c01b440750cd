"""What a capacity test and our reflector say to each other on their TCP connection. Pure; datagrams: `capacity_data`.

The prober opens with PREAMBLE; the reflector answers `Challenge`, the prober `Hello`, the reflector `Welcome`: each has then shown
that it knows the token without saying it. A reflector that dials in is met with `Challenge`, answers `Dial` and gets `Welcome`.
From there every frame carries an authentication code over its place in the sequence.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import hmac
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, TypeAlias

__all__ = [
    "ID_BYTES",
    "NONCE_BYTES",
    "PREAMBLE",
    "TAG_BYTES",
    "VERSION",
    "BadFrame",
    "Challenge",
    "Denied",
    "Dial",
    "Done",
    "Framer",
    "GoOn",
    "Heard",
    "Hello",
    "Message",
    "Method",
    "Opened",
    "Ready",
    "Refusal",
    "Request",
    "Stop",
    "Welcome",
    "proof",
    "session_key",
]

PREAMBLE = b"NWC1"
VERSION = 1
NONCE_BYTES = 32
ID_BYTES = 8
TAG_BYTES = 16
MOST_STRANGERS_FRAME_BYTES = 128  # a Dial; before who it is has been shown
_LENGTH = struct.Struct("!HB")  # of what follows the type, and the type


class BadFrame(ValueError):
    """Bytes that are not what they should be, or not from whom they should be."""


class Method(enum.IntEnum):
    UDP = 0
    TCP = 1


class Refusal(enum.IntEnum):
    """Why a reflector does not take a test."""

    TOKEN = 1
    BUSY = 2
    RATE = 3
    BYTES = 4
    SECONDS = 5
    REQUEST = 6
    UDP_PORT = 7
    UNKNOWN = 8
    REPLACED = 9


@dataclass(frozen=True, slots=True)
class Challenge:
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("!B32s")
    version: int
    nonce: bytes


@dataclass(frozen=True, slots=True)
class Hello:
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("!32s32s")
    nonce: bytes
    proof: bytes


@dataclass(frozen=True, slots=True)
class Dial:
    """A reflector that calls the prober, where nothing can call it: who it is, padded with zeros, instead of `Hello`."""

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("!64s32s32s")
    name: bytes
    nonce: bytes
    proof: bytes


@dataclass(frozen=True, slots=True)
class Welcome:
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("!32s")
    proof: bytes


@dataclass(frozen=True, slots=True)
class Denied:
    """`limit` is what would be allowed, where that is the reason."""

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("!BQ")
    refusal: int
    limit: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """`to_reflector`: the prober sends, the reflector counts. `pace` is in IP-layer bits per second; for TCP of all streams, 0 for none."""

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("!BBBQQI")
    method: int
    to_reflector: int
    streams: int
    pace: int
    max_bytes: int
    max_milliseconds: int


@dataclass(frozen=True, slots=True)
class Ready:
    """`port` takes the datagrams; `test` names them, and the TCP streams that join."""

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("!8sH")
    test: bytes
    port: int


@dataclass(frozen=True, slots=True)
class Opened:
    """The way for datagrams is proved both ways, or all streams have joined: data may flow."""

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("!")


@dataclass(frozen=True, slots=True)
class GoOn:
    """Sent by who receives, so that nobody keeps sending into the dark."""

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("!")


@dataclass(frozen=True, slots=True)
class Stop:
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("!")


@dataclass(frozen=True, slots=True)
class Done:
    """What the sender sent in all, and for how long, by its own account."""

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("!QQ")
    bytes_sent: int
    nanoseconds: int


@dataclass(frozen=True, slots=True)
class Heard:
    """One bin. `digest` is the sum of the nonces of the packets in `seen`, a bit map that begins at number `base`:

    nobody can count a packet that never came. TCP bins have neither.
    """

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("!IIQIIIIBIQ")
    index: int
    microseconds: int
    bytes_received: int
    packets: int
    lost: int
    idle_microseconds: int
    queue_microseconds: int
    flags: int
    base: int
    digest: int
    seen: bytes = b""

    DROPPED: ClassVar[int] = 1  # by the receiver's own socket, which was not read fast enough
    CLOCK_STEPPED: ClassVar[int] = 2
    USER_CLOCK: ClassVar[int] = 4  # no kernel stamps on this system


Message: TypeAlias = Challenge | Hello | Welcome | Denied | Request | Ready | Opened | GoOn | Stop | Done | Heard | Dial
TYPES: Mapping[int, type[Message]] = MappingProxyType(
    {1: Challenge, 2: Hello, 3: Welcome, 4: Denied, 5: Request, 6: Ready, 7: Opened, 8: GoOn, 9: Stop, 10: Done, 11: Heard, 12: Dial}
)
CODES: Mapping[type[Message], int] = MappingProxyType({kind: code for code, kind in TYPES.items()})


def proof(token: bytes, who: bytes, reflector_nonce: bytes, prober_nonce: bytes) -> bytes:
    """That `who` knows the token (challenge and response, both ways, as in RFC 4422's mutual mechanisms)."""
    return hmac.digest(token, b"netwatch capacity " + who + reflector_nonce + prober_nonce, hashlib.sha256)


def session_key(token: bytes, reflector_nonce: bytes, prober_nonce: bytes) -> bytes:
    return proof(token, b"session", reflector_nonce, prober_nonce)


class Framer:
    """One end of a control connection: bytes in, messages out, and back. `key` is set once both have proved themselves.

    `own` and `others` name the directions, so that nothing can be sent back to where it came from.
    """

    def __init__(self, own: bytes, others: bytes) -> None:
        self.key = b""
        self._own, self._others = own, others
        self._sent = self._read = 0
        self._buffer = bytearray()

    def pack(self, message: Message) -> bytes:
        code = CODES[type(message)]
        fields = [getattr(message, name) for name in _fields(type(message))]
        seen = fields.pop() if isinstance(message, Heard) else b""
        body = type(message).LAYOUT.pack(*fields) + seen
        frame = _LENGTH.pack(len(body), code) + body
        if self.key:
            frame += self._tag(self._own, self._sent, frame)
            self._sent += 1
        return frame

    def feed(self, received: bytes) -> Iterator[Message]:
        """The messages complete by now. Raises BadFrame, after which the connection is worth nothing."""
        self._buffer += received
        while len(self._buffer) >= _LENGTH.size:
            length, code = _LENGTH.unpack_from(self._buffer)
            if code not in TYPES or (length > MOST_STRANGERS_FRAME_BYTES and not self.key):
                raise BadFrame(f"frame of {length} bytes, type {code}")
            end = _LENGTH.size + length
            if len(self._buffer) < end + (TAG_BYTES if self.key else 0):
                return
            frame = bytes(self._buffer[:end])
            if self.key:
                tag = self._tag(self._others, self._read, frame)
                self._read += 1
                if not hmac.compare_digest(tag, bytes(self._buffer[end : end + TAG_BYTES])):
                    raise BadFrame("wrong authentication code")
                end += TAG_BYTES
            del self._buffer[:end]
            yield _message(TYPES[code], frame[_LENGTH.size :])

    def _tag(self, direction: bytes, place: int, frame: bytes) -> bytes:
        return hmac.digest(self.key, direction + place.to_bytes(8, "big") + frame, hashlib.sha256)[:TAG_BYTES]


def _fields(kind: type[Message]) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))


def _message(kind: type[Message], body: bytes) -> Message:
    size = kind.LAYOUT.size
    if len(body) != size and not (kind is Heard and len(body) > size):
        raise BadFrame(f"{kind.__name__} of {len(body)} bytes")
    rest = (body[size:],) if kind is Heard else ()
    return kind(*kind.LAYOUT.unpack(body[:size]), *rest)
