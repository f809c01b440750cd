"""A line measured by whoever is there, with a browser: whom the page is for, and what the kernel's counters of its streams say.

Rates are IP-layer bits per second. Bytes are what the other end acknowledged (down), or what came in order (up), at our socket.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from probes._capacity import Bin, Decision, Plan
from probes._stream_rules import decide_streams, stream_plan
from probes._wire.tcp_info import SIZE, TcpInfo, parse

__all__ = ["LIFE_SECONDS", "METHOD", "Measuring", "opens", "token"]

LIFE_SECONDS = 86_400.0
METHOD = "page"
METHOD_VERSION = "1"
MOST_SECONDS = 10.0
CONTRACT_SECONDS = 3.0  # what may be carried, at the contract's rate
AHEAD_SECONDS = 0.02
LEAST_WAIT_SECONDS = 0.002
TOKEN = re.compile(r"([0-9]{1,11})\.([0-9a-f]{40})", re.ASCII)


def token(key: bytes, site: str, ends: float) -> str:
    """What goes after `?k=`."""
    signed = json.dumps(["line-test", site, int(ends)]).encode()
    return f"{int(ends)}.{hmac.digest(key, signed, hashlib.sha256).hex()[:40]}"


def opens(key: bytes, site: str, text: str, wall: float) -> bool:
    found = TOKEN.fullmatch(text[:60])
    return found is not None and hmac.compare_digest(token(key, site, float(found[1])), text) and wall < float(found[1])


@dataclass(slots=True)
class _Stream:
    socket: socket.socket
    ipv6: bool
    counted: int = 0


@dataclass(slots=True)
class Measuring:
    """One direction of one line. `look` every 50 ms or so until it says that it is over."""

    direction: Literal["down", "up"]
    contract: float
    plan: Plan = field(init=False)
    bytes_ip: int = 0
    _streams: dict[int, _Stream] = field(default_factory=dict)
    _bins: list[Bin] = field(default_factory=list)
    _began: float | None = None
    _looked: float = 0.0
    _moved: int = 0
    _least_rtt: float = float("inf")
    _decision: Decision | None = None

    def __post_init__(self) -> None:
        self.plan = stream_plan(
            self.direction, self.contract, max_bytes=int(self.contract / 8 * CONTRACT_SECONDS), max_seconds=MOST_SECONDS
        )

    def join(self, connection: socket.socket) -> None:
        """What a connection has carried before it first joined does not count; between two portions upwards it goes on."""
        if id(connection) not in self._streams:
            stream = _Stream(connection, connection.family == socket.AF_INET6)
            stream.counted = self._payload(_told(stream))
            self._streams[id(connection)] = stream

    def wait_seconds(self, now: float, portion_bytes: int) -> float:
        """How long the next portion has to wait, so that all streams together keep to the pace; 0 when it may go."""
        rate = self.plan.pace_bits_per_second / 8
        since = now - (self._began if self._began is not None else now)
        late = self._moved + portion_bytes - rate * (since + AHEAD_SECONDS)
        if late > 0:
            return max(late / rate, LEAST_WAIT_SECONDS)
        self._moved += portion_bytes
        return 0.0

    def look(self, now: float) -> bool:
        """Takes a bin; True when it is settled, or all that may be spent is spent."""
        if self._began is None:
            if not self._streams:
                return False
            self._began = self._looked = now
            return False
        before = self.bytes_ip
        queues = [self._count(stream) for stream in self._streams.values()]
        seconds, self._looked = now - self._looked, now
        if seconds > 0:
            self._bins.append(Bin(seconds, self.bytes_ip - before, queue_seconds=min(queues, default=0.0)))
        self._decision = decide_streams(self._bins, self.plan, self._rtt)
        return self._decision.settled or self.bytes_ip >= self.plan.max_bytes or now - self._began >= self.plan.max_seconds

    def document(self, reason: str = "") -> Mapping[str, Any]:
        """As `netwatch probe bandwidth` tells it; with a `reason` nothing was decided."""
        decision = self._decision
        seconds = sum(one.seconds for one in self._bins)
        known = decision.estimate if decision is not None else None
        return {
            "verdict": "inconclusive" if reason or decision is None else decision.verdict,
            "reason": reason or (decision.reason if decision is not None else "nothing_arrived"),
            "method": METHOD,
            "method_version": METHOD_VERSION,
            "direction": self.direction,
            "contract_bits_per_second": self.contract,
            "bytes": self.bytes_ip,
            "seconds": round(seconds, 6),
            "goodput_bits_per_second": 0,
            "line_bits_per_second": round(known.value) if known else 0,
            "low_bits_per_second": round(min(known.low, known.value)) if known else 0,
            "high_bits_per_second": round(known.high) if known and known.high != float("inf") else None,
            "confidence": 1 - self.plan.error_rate,
            "limit_end": decision.limit_end if decision is not None else "",
            "burst_bytes": self.plan.burst_bytes,
            "bins": [[one.seconds, one.bytes_ip, 0, 0, 0.0, round(one.queue_seconds, 6)] for one in self._bins],
        }

    @property
    def _rtt(self) -> float:
        return self._least_rtt if self._least_rtt != float("inf") else 0.05

    def _payload(self, told: TcpInfo) -> int:
        return told.acknowledged_bytes if self.direction == "down" else told.received_bytes

    def _count(self, stream: _Stream) -> float:
        """What it has carried since, as IP packets; its queue in seconds, which only a sender's own round trips tell."""
        told = _told(stream)
        payload = max(self._payload(told) - stream.counted, 0)
        stream.counted += payload
        if told.segment_bytes:
            self.bytes_ip += payload + payload * told.headers_bytes(ipv6=stream.ipv6) // told.segment_bytes
        if told.least_rtt_seconds and self.direction == "down":
            self._least_rtt = min(self._least_rtt, told.least_rtt_seconds)
            return max(told.rtt_seconds - self._least_rtt, 0.0)
        return 0.0


NOTHING = parse(bytes(SIZE))


def _told(stream: _Stream) -> TcpInfo:
    try:
        return parse(stream.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, SIZE))
    except (OSError, ValueError):
        return NOTHING  # closed meanwhile, or a kernel that tells nothing
