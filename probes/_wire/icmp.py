"""ICMP echo and ICMP errors as Linux gives them.

A datagram ICMP socket has no IP header, and the kernel does the checksums; a raw one has both to be done here for IPv4.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import sys
from dataclasses import dataclass

__all__ = [
    "IPV4",
    "IPV6",
    "NONCE_BYTES",
    "TOKEN",
    "BadMessage",
    "IcmpError",
    "Quote",
    "Version",
    "checksum",
    "echo_filter",
    "message_of",
    "parse_error",
    "parse_quote",
    "parse_stamp",
    "reason",
]

# RFC 792 and RFC 4443: type, code, checksum, identifier, sequence number; our nonce opens the payload.
HEADER_BYTES = 8
NONCE_BYTES = 8
# The sequence number and the nonce: what a reply must give back. The kernel writes the identifier itself.
TOKEN = slice(6, 16)

# linux/errqueue.h
ORIGIN_LOCAL = 1
ORIGIN_ICMP = 2
ORIGIN_ICMP6 = 3
EXTENDED_ERROR = struct.Struct("=IBBBBII")  # errno, origin, type, code, padding, info, data
# linux/filter.h
FILTER_INSTRUCTION = struct.Struct("=HBBI")  # code, jump when true, jump when false, operand
OFFENDER_IPV4 = struct.Struct("=HH4s")  # sockaddr_in: family, port, address
OFFENDER_IPV6 = struct.Struct("=HHI16s")  # sockaddr_in6: family, port, flow, address
TIMESPEC = struct.Struct("=qq")


class BadMessage(ValueError):
    """Bytes that are not what they should be."""


@dataclass(frozen=True, slots=True)
class Version:
    """What differs between ICMP and ICMPv6. `request` is an echo request up to its sequence number."""

    family: socket.AddressFamily
    protocol: int
    request: bytes
    reply_type: int
    request_type: int
    level: int
    receive_errors: int


# IP_RECVERR and IPV6_RECVERR of linux/in.h and linux/in6.h; Python 3.11 has neither.
IPV4 = Version(socket.AF_INET, socket.IPPROTO_ICMP, struct.pack("!BBHH", 8, 0, 0, 0), 0, 8, socket.IPPROTO_IP, 11)
IPV6 = Version(socket.AF_INET6, socket.IPPROTO_ICMPV6, struct.pack("!BBHH", 128, 0, 0, 0), 129, 128, socket.IPPROTO_IPV6, 25)


@dataclass(frozen=True, slots=True)
class Quote:
    """What an ICMP error quotes of an echo request. RFC 792 asks for 8 bytes only: then there is no nonce, `token` is empty."""

    sequence: bytes
    token: bytes


@dataclass(frozen=True, slots=True)
class IcmpError:
    """An ICMP error from the error queue: `reason` is a stable word, empty where the packet may still arrive."""

    reason: str
    offender: str


V4_UNREACHABLE = {
    0: "net_unreachable",
    1: "host_unreachable",
    2: "protocol_unreachable",
    3: "port_unreachable",
    4: "packet_too_big",
    6: "net_unreachable",
    7: "host_unreachable",
    9: "admin_prohibited",
    10: "admin_prohibited",
    11: "net_unreachable",
    12: "host_unreachable",
    13: "admin_prohibited",
}
V6_UNREACHABLE = {
    0: "net_unreachable",
    1: "admin_prohibited",
    3: "host_unreachable",
    4: "port_unreachable",
    5: "admin_prohibited",
    6: "admin_prohibited",
}


def reason(origin: int, kind: int, code: int) -> str:
    """A word for an ICMP type and code (RFC 792, 1122, 1812, 4443); empty for one that does not end the packet, such as a redirect."""
    if origin == ORIGIN_ICMP:
        words = {3: V4_UNREACHABLE.get(code, "unreachable"), 11: "ttl_exceeded", 12: "parameter_problem"}
    elif origin == ORIGIN_ICMP6:
        words = {1: V6_UNREACHABLE.get(code, "unreachable"), 2: "packet_too_big", 3: "ttl_exceeded", 4: "parameter_problem"}
    else:
        words = {}
    return words.get(kind, "")


def parse_error(control: bytes) -> IcmpError:
    """The control message of IP_RECVERR or IPV6_RECVERR: a `sock_extended_err` and the sender's address. Raises BadMessage."""
    if len(control) < EXTENDED_ERROR.size:
        raise BadMessage(f"extended error of {len(control)} bytes")
    _errno, origin, kind, code, _padding, _info, _data = EXTENDED_ERROR.unpack_from(control)
    return IcmpError(reason(origin, kind, code), _offender(control[EXTENDED_ERROR.size :]))


def _offender(address: bytes) -> str:
    """Empty when the kernel knows no sender."""
    family = int.from_bytes(address[:2], sys.byteorder)
    if family == socket.AF_INET and len(address) >= OFFENDER_IPV4.size:
        return str(ipaddress.IPv4Address(OFFENDER_IPV4.unpack_from(address)[2]))
    if family == socket.AF_INET6 and len(address) >= OFFENDER_IPV6.size:
        return str(ipaddress.IPv6Address(OFFENDER_IPV6.unpack_from(address)[3]))
    return ""


def parse_quote(data: bytes, version: Version) -> Quote:
    """The start of our echo request as an ICMP error quotes it. Raises BadMessage for anything else."""
    if len(data) < HEADER_BYTES:
        raise BadMessage(f"quote of {len(data)} bytes")
    if data[0] != version.request_type or data[1] != 0:
        raise BadMessage(f"quote of type {data[0]} code {data[1]}")
    whole = len(data) >= HEADER_BYTES + NONCE_BYTES
    return Quote(data[6:8], data[TOKEN] if whole else b"")


def parse_stamp(control: bytes) -> int:
    """SO_TIMESTAMPNS of a 64-bit kernel, in nanoseconds since 1970. Raises BadMessage."""
    if len(control) != TIMESPEC.size:
        raise BadMessage(f"timespec of {len(control)} bytes")
    seconds: int
    nanoseconds: int
    seconds, nanoseconds = TIMESPEC.unpack(control)
    return seconds * 1_000_000_000 + nanoseconds


def checksum(message: bytes) -> int:
    """RFC 1071, for a message whose own checksum is 0 as yet; 0 for one whose checksum is right.

    2^16 is 1 modulo 65535: the remainder of the whole message is the sum of its words with the carries added in.
    """
    return 0xFFFF - ((int.from_bytes(message) << 8 * (len(message) % 2)) % 0xFFFF or 0xFFFF)


def message_of(datagram: bytes, version: Version) -> bytes:
    """The ICMP message in what a raw socket gives: IPv4 comes with its header and unchecked. Raises BadMessage."""
    if version.family == socket.AF_INET6:
        return datagram
    message = datagram[(datagram[0] & 0xF) * 4 :] if datagram else b""
    if len(message) < HEADER_BYTES:
        raise BadMessage(f"datagram of {len(datagram)} bytes")
    if checksum(message):
        raise BadMessage("checksum is wrong")
    return message


def echo_filter(version: Version, identifier: bytes) -> bytes:
    """A classic BPF program that lets in only replies with this identifier: a raw socket is given everybody's.

    IPv4 is seen from its IP header on: the X register holds how long that is.
    """
    ipv4 = version.family == socket.AF_INET
    program = [
        (0x50 if ipv4 else 0x30, 0, 0, 0),  # load the byte of the type
        (0x15, 0, 3, version.reply_type),  # unless it is this, go to the end
        (0x48 if ipv4 else 0x28, 0, 0, 4),  # load the half-word of the identifier
        (0x15, 0, 1, int.from_bytes(identifier)),
        (0x06, 0, 0, 0xFFFFFFFF),  # take it whole
        (0x06, 0, 0, 0),  # drop it
    ]
    header_length = [(0xB1, 0, 0, 0)] if ipv4 else []
    return b"".join(FILTER_INSTRUCTION.pack(*each) for each in header_length + program)
