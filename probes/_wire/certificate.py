"""The one field of an X.509 certificate that must be known even where nobody verifies it: when it ends."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["not_after"]

SEQUENCE = 0x30
VERSION = 0xA0
UTC_TIME = 0x17
GENERALIZED_TIME = 0x18


def not_after(der: bytes) -> float:
    """The end of validity, in seconds since 1970 UTC (RFC 5280 section 4.1.2.5). Raises ValueError for what is no certificate."""
    _, inside, _ = _element(der, 0, len(der), SEQUENCE)
    _, position, end = _element(der, inside, len(der), SEQUENCE)
    if position < end and der[position] == VERSION:
        position = _element(der, position, end)[2]
    for _field in ("serialNumber", "signature", "issuer"):
        position = _element(der, position, end)[2]
    _, position, end = _element(der, position, end, SEQUENCE)
    after_not_before = _element(der, position, end)[2]
    return _time(*_slice(der, after_not_before, end))


def _element(der: bytes, position: int, limit: int, expected: int | None = None) -> tuple[int, int, int]:
    """Tag, start and end of the content of one DER element (X.690 section 8.1)."""
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
    if expected is not None and tag != expected:
        raise ValueError(f"certificate has tag {tag:#x} where {expected:#x} must be")
    return tag, start, start + length


def _slice(der: bytes, position: int, limit: int) -> tuple[int, bytes]:
    tag, start, end = _element(der, position, limit)
    return tag, der[start:end]


def _time(tag: int, text: bytes) -> float:
    digits = text.decode("ascii")
    if tag == UTC_TIME:
        digits = ("19" if digits >= "50" else "20") + digits
    elif tag != GENERALIZED_TIME:
        raise ValueError(f"certificate has tag {tag:#x} where a time must be")
    return datetime.strptime(digits, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()
