"""What must be known of an X.509 certificate even where nobody verifies it: whose it is, whom it is for, and when it ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

__all__ = ["Certificate", "not_after", "parse"]

SEQUENCE = 0x30
VERSION = 0xA0
EXTENSIONS = 0xA3
OCTET_STRING = 0x04
UTC_TIME = 0x17
GENERALIZED_TIME = 0x18
DNS_NAME = 0x82
IP_ADDRESS = 0x87
# Object identifiers as DER has them: RFC 5280 appendix A.
COMMON_NAME = bytes.fromhex("550403")
ORGANIZATION = bytes.fromhex("55040a")
SUBJECT_ALTERNATIVE_NAME = bytes.fromhex("551d11")
ENCODINGS = {0x0C: "utf-8", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1E: "utf-16-be"}


@dataclass(frozen=True, slots=True)
class Certificate:
    """`subject` and `issuer` are the common name, or else the organization; `addresses` are packed. Times are in seconds since 1970 UTC.

    Texts are the maker's: whoever shows them cleans them.
    """

    subject: str
    issuer: str
    not_before: float
    not_after: float
    names: tuple[str, ...] = ()
    addresses: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Element:
    """One DER element of `der`: its tag, and where its content lies."""

    der: bytes
    tag: int
    start: int
    end: int

    @property
    def content(self) -> bytes:
        return self.der[self.start : self.end]

    def inside(self) -> Iterator[Element]:
        position = self.start
        while position < self.end:
            element = _element(self.der, position, self.end)
            yield element
            position = element.end


def not_after(der: bytes) -> float:
    """The end of validity, in seconds since 1970 UTC (RFC 5280 section 4.1.2.5). Raises ValueError for what is no certificate."""
    return _validity(_fields(der, 4)[3])[1]


def parse(der: bytes) -> Certificate:
    """Raises ValueError for what is no certificate."""
    _serial, _signature, issuer, validity, subject, _key, *rest = _fields(der, 6)
    begins, ends = _validity(validity)
    names = [name for extensions in rest if extensions.tag == EXTENSIONS for name in _alternative_names(extensions)]
    return Certificate(
        subject=_name(subject),
        issuer=_name(issuer),
        not_before=begins,
        not_after=ends,
        names=tuple(name.content.decode("ascii", "replace") for name in names if name.tag == DNS_NAME),
        addresses=tuple(name.content for name in names if name.tag == IP_ADDRESS),
    )


def _fields(der: bytes, least: int) -> list[Element]:
    """The fields of the TBSCertificate from the serial number on, `least` of them or more (RFC 5280 section 4.1)."""
    signed = next(_expect(_element(der, 0, len(der)), SEQUENCE).inside(), None)
    fields = list(_expect(signed, SEQUENCE).inside())
    if fields and fields[0].tag == VERSION:
        del fields[0]
    if len(fields) < least:
        raise ValueError("certificate is cut short")
    return fields


def _expect(element: Element | None, tag: int) -> Element:
    if element is None or element.tag != tag:
        raise ValueError(f"certificate has {f'tag {element.tag:#x}' if element else 'nothing'} where tag {tag:#x} must be")
    return element


def _element(der: bytes, position: int, limit: int) -> Element:
    """X.690 section 8.1."""
    if position + 2 > limit:
        raise ValueError("certificate is cut short")
    tag, length = der[position], der[position + 1]
    start = position + 2
    if length & 0x80:
        octets = length & 0x7F
        if not 1 <= octets <= 4 or start + octets > limit:
            raise ValueError("certificate has a length that cannot be")
        length = int.from_bytes(der[start : start + octets])
        start += octets
    if start + length > limit:
        raise ValueError("certificate is cut short")
    return Element(der, tag, start, start + length)


def _validity(validity: Element) -> tuple[float, float]:
    times = list(_expect(validity, SEQUENCE).inside())
    if len(times) != 2:
        raise ValueError("certificate has no two times where they must be")
    return _time(times[0]), _time(times[1])


def _time(element: Element) -> float:
    if element.tag not in {UTC_TIME, GENERALIZED_TIME}:
        raise ValueError("certificate has no time where one must be")
    digits = element.content.decode("ascii")
    if element.tag == UTC_TIME:
        digits = ("19" if digits >= "50" else "20") + digits
    return datetime.strptime(digits, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _name(name: Element) -> str:
    """The most telling part of a distinguished name (RFC 5280 section 4.1.2.4); empty when it has neither."""
    found: dict[bytes, str] = {}
    for relative in _expect(name, SEQUENCE).inside():
        for pair in relative.inside():
            parts = list(pair.inside())
            if len(parts) == 2:
                found[parts[0].content] = parts[1].content.decode(ENCODINGS.get(parts[1].tag, "utf-8"), "replace")
    return found.get(COMMON_NAME) or found.get(ORGANIZATION, "")


def _alternative_names(extensions: Element) -> Iterator[Element]:
    """GeneralNames of the subject (RFC 5280 section 4.2.1.6)."""
    for listed in extensions.inside():
        for extension in listed.inside():
            parts = list(extension.inside())
            if len(parts) > 1 and parts[0].content == SUBJECT_ALTERNATIVE_NAME:
                value = _expect(parts[-1], OCTET_STRING)
                yield from _expect(_element(value.der, value.start, value.end), SEQUENCE).inside()
