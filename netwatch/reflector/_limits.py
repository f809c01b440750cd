"""What a reflector lets be asked of it. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from probes._wire.capacity import Denied, Method, Refusal, Request

__all__ = ["MOST_STREAMS", "Limits", "Network", "holds", "refusal_of"]

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

MOST_STREAMS = 16
DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Rates are IP-layer bits per second; bytes are of one test, and of all in a day."""

    bits_per_second: float = 1.5e9
    test_bytes: int = 500_000_000
    test_seconds: float = 40.0
    day_bytes: int = 20_000_000_000


def refusal_of(request: Request, limits: Limits, spent_bytes: int) -> Denied | None:
    """Why this test is not taken, when `spent_bytes` went through in the last day."""
    if request.method not in {Method.UDP, Method.TCP} or request.to_reflector not in {0, 1} or not request.max_bytes:
        return Denied(Refusal.REQUEST)
    if request.method == Method.UDP and not request.pace:
        return Denied(Refusal.REQUEST)
    if request.method == Method.TCP and not 1 <= request.streams <= MOST_STREAMS:
        return Denied(Refusal.REQUEST, MOST_STREAMS)
    if request.pace > limits.bits_per_second:
        return Denied(Refusal.RATE, int(limits.bits_per_second))
    if request.max_milliseconds > limits.test_seconds * 1000:
        return Denied(Refusal.SECONDS, int(limits.test_seconds * 1000))
    most = min(limits.test_bytes, max(limits.day_bytes - spent_bytes, 0))
    return Denied(Refusal.BYTES, most) if request.max_bytes > most else None


def holds(networks: Iterable[Network], address: str) -> bool:
    """Also when an IPv4 address comes to an IPv6 socket."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    plain = getattr(parsed, "ipv4_mapped", None) or parsed
    return any(plain in network for network in networks)
