"""What the methods of a capacity test do alike: connect, ask our reflector for a test, end. Standard library only, without asyncio."""

from __future__ import annotations

import math
import socket

from probes._capacity import End, Plan
from probes._wire.capacity import BadFrame, Method, Request

__all__ = ["Over", "connect", "over_by", "request"]

GRACE_MILLISECONDS = 2000


class Over(Exception):
    """Nothing more can be learnt, and not because enough was seen."""

    def __init__(self, reason: str, limit_end: End = "") -> None:
        self.reason, self.limit_end = reason, limit_end
        super().__init__(reason)


def over_by(error: Over | BadFrame | OSError, facts: dict[str, str]) -> Over:
    """What a test that was under way ended by; `facts` gets what the system said."""
    if isinstance(error, Over):
        return error
    if isinstance(error, BadFrame):
        return Over("peer_garbled")
    if isinstance(error, TimeoutError):
        return Over("peer_silent")
    if isinstance(error, ConnectionError):
        return Over("peer_gone")
    facts["error"] = error.strerror or str(error)
    return Over("own_network", "near")


def connect(family: socket.AddressFamily, where: tuple[object, ...], source: str | None, seconds: float) -> socket.socket:
    """Raises OSError."""
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(seconds)
        if source is not None:
            connection.bind((source, 0))
        connection.connect(where)
    except BaseException:
        connection.close()
        raise
    return connection


def request(plan: Plan, method: Method, streams: int = 0) -> Request:
    """The reflector's own limit is a little beyond ours, so that it is us who end the test."""
    milliseconds = math.ceil(plan.max_seconds * 1000) + GRACE_MILLISECONDS
    return Request(method, int(plan.direction == "down"), streams, round(plan.pace_bits_per_second), plan.max_bytes, milliseconds)
