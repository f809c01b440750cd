"""Test packets of STAMP (RFC 8762, session identifier of RFC 8972) and TWAMP-Test (RFC 5357), both unauthenticated.

The same bytes: STAMP pads the sender's packet to the length of the answer and gives two of the padding bytes a meaning.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

__all__ = [
    "REPLY_BYTES",
    "STAMP_BYTES",
    "TWAMP_REQUEST_BYTES",
    "BadPacket",
    "ErrorEstimate",
    "Reply",
    "Request",
    "from_ntp",
    "from_ptp",
    "to_ntp",
]

STAMP_BYTES = 44  # RFC 8762 sections 4.2.1 and 4.3.1
TWAMP_REQUEST_BYTES = 14  # RFC 5357 section 4.1.2, before its padding
REPLY_BYTES = 41  # RFC 5357 section 4.2.1, erratum 5045
REQUEST = struct.Struct("!IQHH")  # sequence, T1, error estimate, session
REPLY = struct.Struct("!IQHHQIQHHB")  # sequence, T3, error estimate, session, T2, the request's first three, MBZ, its TTL

NTP_TO_UNIX_SECONDS = 2_208_988_800  # RFC 5905: from 1900 to 1970
ERA_NS = (1 << 32) * 1_000_000_000
SECOND_NS = 1_000_000_000
MOST_MULTIPLIER = 255
MOST_SCALE = 63


class BadPacket(ValueError):
    """Bytes that are no test packet."""


@dataclass(frozen=True, slots=True)
class ErrorEstimate:
    """RFC 4656 section 4.1.2 with the Z bit of RFC 8186: `ptp` says how the times are written. A multiplier of 0 is not allowed."""

    synchronised: bool = False
    ptp: bool = False
    scale: int = 0
    multiplier: int = 1

    @classmethod
    def of(cls, seconds: float, *, synchronised: bool) -> ErrorEstimate:
        """The smallest that can be written and is not below `seconds`."""
        for scale in range(MOST_SCALE + 1):
            multiplier = math.ceil(min(seconds, 2.0**31) * 2.0 ** (32 - scale))
            if multiplier <= MOST_MULTIPLIER:
                return cls(synchronised, scale=scale, multiplier=max(multiplier, 1))
        return cls(synchronised, scale=MOST_SCALE, multiplier=MOST_MULTIPLIER)

    @property
    def seconds(self) -> float:
        return self.multiplier * 2.0 ** (self.scale - 32)

    def encode(self) -> int:
        return self.synchronised << 15 | self.ptp << 14 | self.scale << 8 | self.multiplier

    @classmethod
    def decode(cls, word: int) -> ErrorEstimate:
        return cls(bool(word >> 15), bool(word >> 14 & 1), word >> 8 & MOST_SCALE, word & 0xFF)


@dataclass(frozen=True, slots=True)
class Request:
    """What a sender sends. `stamp` is T1 as it is written; `ssid` 0 means no session identifier."""

    sequence: int
    stamp: int
    error: ErrorEstimate
    ssid: int = 0

    def encode(self, size: int = STAMP_BYTES) -> bytes:
        return REQUEST.pack(self.sequence, self.stamp, self.error.encode(), self.ssid).ljust(size, b"\0")

    @classmethod
    def parse(cls, data: bytes) -> Request:
        """Takes what is shorter than STAMP's as TWAMP's, whose padding is no session identifier. Raises BadPacket."""
        if len(data) < TWAMP_REQUEST_BYTES:
            raise BadPacket(f"request of {len(data)} bytes")
        sequence, stamp, error, ssid = REQUEST.unpack(data[: REQUEST.size].ljust(REQUEST.size, b"\0"))
        return cls(sequence, stamp, ErrorEstimate.decode(error), ssid if len(data) >= STAMP_BYTES else 0)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a reflector sends back: its own number, T3 and T2 as they are written, and what came with the request."""

    sequence: int
    stamp: int
    error: ErrorEstimate
    received: int
    request: Request
    ttl: int

    def encode(self, size: int = STAMP_BYTES) -> bytes:
        asked = self.request
        return REPLY.pack(
            self.sequence,
            self.stamp,
            self.error.encode(),
            asked.ssid,
            self.received,
            asked.sequence,
            asked.stamp,
            asked.error.encode(),
            0,
            self.ttl,
        ).ljust(size, b"\0")

    @classmethod
    def parse(cls, data: bytes) -> Reply:
        """Raises BadPacket."""
        if len(data) < REPLY_BYTES:
            raise BadPacket(f"reply of {len(data)} bytes")
        sequence, stamp, error, ssid, received, asked, asked_stamp, asked_error, _zero, ttl = REPLY.unpack_from(data)
        request = Request(asked, asked_stamp, ErrorEstimate.decode(asked_error), ssid)
        return cls(sequence, stamp, ErrorEstimate.decode(error), received, request, ttl)


def to_ntp(unix_ns: int) -> int:
    """The 64-bit timestamp of RFC 5905 section 6; from 2036 on in its next era."""
    seconds, nanoseconds = divmod(unix_ns, SECOND_NS)
    fraction = ((nanoseconds << 32) + SECOND_NS - 1) // SECOND_NS  # rounded up, so that `from_ntp` gives the same nanosecond
    return ((seconds + NTP_TO_UNIX_SECONDS) & 0xFFFFFFFF) << 32 | fraction


def from_ntp(stamp: int, near_ns: int) -> int:
    """Nanoseconds since 1970, in the era that brings it nearest to `near_ns`."""
    unix_ns = ((stamp >> 32) - NTP_TO_UNIX_SECONDS) * SECOND_NS + ((stamp & 0xFFFFFFFF) * SECOND_NS >> 32)
    return unix_ns + round((near_ns - unix_ns) / ERA_NS) * ERA_NS


def from_ptp(stamp: int) -> int:
    """Nanoseconds since 1970 of a truncated PTP timestamp (RFC 8186, IEEE 1588: seconds and nanoseconds of 32 bits each)."""
    return (stamp >> 32) * SECOND_NS + (stamp & 0xFFFFFFFF)
