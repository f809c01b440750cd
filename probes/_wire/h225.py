"""H.225.0 RAS messages, as far as asking a gatekeeper needs: aligned PER (X.691) written and read by hand. Pure.

GatekeeperRequest and LocationRequest are written, their confirms and rejects read. The ASN.1 is that of H.225.0 annex H (version 4).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Literal

__all__ = ["PROTOCOL", "BadMessage", "Heard", "Kind", "Writer", "gatekeeper_request", "location_request", "read"]

PROTOCOL = bytes((0, 8, 0x91, 0x4A, 0, 4))  # itu-t(0) recommendation(0) h(8) 2250 version(0) 4
CHOICES = 25  # RasMessage, of which the extensions are not counted
GATEKEEPER_REQUEST, GATEKEEPER_CONFIRM, GATEKEEPER_REJECT = 0, 1, 2
LOCATION_REQUEST, LOCATION_CONFIRM, LOCATION_REJECT = 18, 19, 20
UNKNOWN_MESSAGE_RESPONSE = 24
LONGEST_IDENTIFIER = 128
MOST_BYTES = 4096
REASONS = {
    GATEKEEPER_REJECT: ("resourceUnavailable", "terminalExcluded", "invalidRevision", "undefinedReason"),
    LOCATION_REJECT: ("notRegistered", "invalidPermission", "requestDenied", "undefinedReason"),
}
# Those added after the "…", in their order.
LATER_REASONS = {
    GATEKEEPER_REJECT: ("securityDenial", "genericDataReason", "neededFeatureNotSupported", "securityError"),
    LOCATION_REJECT: (
        "securityDenial", "aliasesInconsistent", "routeCalltoSCN", "resourceUnavailable", "genericDataReason",
        "neededFeatureNotSupported", "hopCountExceeded", "incompleteAddress", "securityError", "securityDHmismatch",
        "noRouteToDestination", "unallocatedNumber",
    ),
}  # fmt: skip
Kind = Literal[
    "gatekeeper_confirm", "gatekeeper_reject", "location_confirm", "location_reject", "unknown_message_response", "in_progress", "other"
]


class BadMessage(ValueError):
    """Bytes that are no RAS message, or one cut short."""


@dataclass(frozen=True, slots=True)
class Heard:
    """`in_progress` asks to wait. `reason` is H.225's own word, empty where it is not known."""

    kind: Kind
    sequence: int
    gatekeeper: str = ""
    reason: str = ""


class Writer:
    """Bits from the left; `align` fills up to a whole octet."""

    def __init__(self) -> None:
        self._bits: list[int] = []

    def bits(self, value: int, count: int) -> None:
        self._bits.extend(value >> place & 1 for place in reversed(range(count)))

    def octets(self, data: bytes) -> None:
        self.align()
        for octet in data:
            self.bits(octet, 8)

    def align(self) -> None:
        self._bits.extend([0] * (-len(self._bits) % 8))

    def to_bytes(self) -> bytes:
        self.align()
        return bytes(int("".join(map(str, self._bits[at : at + 8])), 2) for at in range(0, len(self._bits), 8))


class Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def bits(self, count: int) -> int:
        value = 0
        for _ in range(count):
            octet, place = divmod(self._at, 8)
            if octet >= len(self._data):
                raise BadMessage("cut short")
            value = value << 1 | self._data[octet] >> 7 - place & 1
            self._at += 1
        return value

    def octets(self, count: int) -> bytes:
        start = -(-self._at // 8)
        if start + count > len(self._data):
            raise BadMessage("cut short")
        self._at = (start + count) * 8
        return self._data[start : start + count]

    def length(self) -> int:
        """X.691 section 10.9, without fragments."""
        first = self.octets(1)[0]
        if first < 0x80:
            return first
        if first < 0xC0:
            return (first & 0x3F) << 8 | self.octets(1)[0]
        raise BadMessage("a length in fragments")

    def small_number(self) -> int:
        """X.691 section 10.6."""
        return self.bits(6) if self.bits(1) == 0 else int.from_bytes(self.octets(self.length()))


def gatekeeper_request(sequence: int, address: tuple[str, int], alias: str = "", gatekeeper: str = "") -> bytes:
    """A terminal that looks for a gatekeeper, and takes the answer at `address`. `sequence` is 1 to 65,535."""
    writer = Writer()
    _choice(writer, GATEKEEPER_REQUEST)
    writer.bits(0, 1)  # no extension
    writer.bits(0b0000 | (0b0100 if gatekeeper else 0) | (0b0001 if alias else 0), 4)  # nonStandardData, identifier, callServices, alias
    writer.octets((sequence - 1).to_bytes(2))
    writer.octets(bytes((len(PROTOCOL),)) + PROTOCOL)
    _transport_address(writer, address)
    # EndpointType: nothing of it but an empty TerminalInfo; mc and undefinedNode false.
    writer.bits(0b0_000001_00_0_0, 11)
    if gatekeeper:
        text = gatekeeper[:LONGEST_IDENTIFIER]
        writer.bits(len(text) - 1, 7)
        writer.octets(text.encode("utf-16-be", "replace"))
    if alias:
        _aliases(writer, alias)
    return writer.to_bytes()


def location_request(sequence: int, address: tuple[str, int], alias: str) -> bytes:
    """Where is `alias`? A gatekeeper confirms it when it is registered."""
    writer = Writer()
    _choice(writer, LOCATION_REQUEST)
    writer.bits(0, 1)  # no extension
    writer.bits(0b00, 2)  # endpointIdentifier, nonStandardData
    writer.octets((sequence - 1).to_bytes(2))
    _aliases(writer, alias)
    _transport_address(writer, address)
    return writer.to_bytes()


def _choice(writer: Writer, index: int) -> None:
    writer.bits(0, 1)
    writer.bits(index, 5)  # 0 … 24


def _transport_address(writer: Writer, address: tuple[str, int]) -> None:
    ip = ipaddress.ip_address(address[0])
    if ip.version == 4:
        writer.bits(0b0_000, 4)  # ipAddress
    else:
        writer.bits(0b0_011_0, 5)  # ip6Address, whose sequence has an extension mark
    writer.octets(ip.packed + address[1].to_bytes(2))


def _aliases(writer: Writer, alias: str) -> None:
    """One AliasAddress: dialedDigits where it is a number, else h323-ID."""
    writer.octets(b"\x01")
    if alias and set(alias) <= set("0123456789#*,"):
        writer.bits(0b0_0, 2)
        _digits(writer, alias[:LONGEST_IDENTIFIER])
    else:
        text = alias[:LONGEST_IDENTIFIER]
        writer.bits(0b0_1, 2)
        writer.octets(bytes((len(text) - 1,)) + text.encode("utf-16-be", "replace"))


def _digits(writer: Writer, digits: str) -> None:
    """IA5String (SIZE (1..128)) (FROM ("0123456789#*,")): four bits a letter, by its place among them in the order of ASCII."""
    writer.bits(len(digits) - 1, 7)
    writer.align()
    for digit in digits:
        writer.bits("#*,0123456789".index(digit), 4)


def read(data: bytes) -> Heard:
    """Raises BadMessage."""
    reader = Reader(data[:MOST_BYTES])
    if reader.bits(1):
        return Heard("in_progress" if reader.small_number() == 0 else "other", _extension_sequence(reader))
    choice = reader.bits(5)
    if choice >= CHOICES:
        raise BadMessage("no RAS message")
    reader.bits(1)
    if choice in {GATEKEEPER_CONFIRM, GATEKEEPER_REJECT}:
        return _gatekeeper_answer(reader, choice)
    if choice == LOCATION_CONFIRM:
        reader.bits(1)
        return Heard("location_confirm", _sequence(reader))
    if choice == LOCATION_REJECT:
        has_other = reader.bits(1)
        sequence = _sequence(reader)
        return Heard("location_reject", sequence, reason="" if has_other else _reason(reader, choice))
    if choice == UNKNOWN_MESSAGE_RESPONSE:
        return Heard("unknown_message_response", _sequence(reader))
    raise BadMessage("not an answer to what was asked")


def _gatekeeper_answer(reader: Reader, choice: int) -> Heard:
    has_other, has_identifier = reader.bits(1), reader.bits(1)
    sequence = _sequence(reader)
    reader.octets(reader.length())  # protocolIdentifier
    if has_other:
        _leave_out_non_standard(reader)
    gatekeeper = ""
    if has_identifier:
        length = reader.bits(7) + 1
        gatekeeper = reader.octets(2 * length).decode("utf-16-be", "replace")
    if choice == GATEKEEPER_CONFIRM:
        return Heard("gatekeeper_confirm", sequence, gatekeeper)
    return Heard("gatekeeper_reject", sequence, gatekeeper, _reason(reader, choice))


def _sequence(reader: Reader) -> int:
    """INTEGER (1..65535)."""
    return int.from_bytes(reader.octets(2)) + 1


def _extension_sequence(reader: Reader) -> int:
    """Of a message added after the "…": an open type, whose first field is the sequence number again; RequestInProgress has two options."""
    inner = Reader(reader.octets(reader.length()))
    inner.bits(1 + 1)
    return _sequence(inner)


def _reason(reader: Reader, choice: int) -> str:
    if reader.bits(1):
        later = reader.small_number()
        return LATER_REASONS[choice][later] if later < len(LATER_REASONS[choice]) else ""
    return REASONS[choice][reader.bits(2)]


def _leave_out_non_standard(reader: Reader) -> None:
    """NonStandardParameter: whose it is, and octets."""
    if reader.bits(1):
        reader.small_number()
        reader.octets(reader.length())
    elif reader.bits(1) == 0:
        reader.octets(reader.length())  # an object identifier
    else:
        reader.bits(1)
        reader.octets(4)  # country, extension, manufacturer
    reader.octets(reader.length())
