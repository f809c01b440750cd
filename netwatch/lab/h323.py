"""A gatekeeper by RAS (H.225.0): finds itself for who asks, or rejects, and says which aliases are registered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Any

from probes._wire.h225 import PROTOCOL, Writer

__all__ = ["Gatekeeper", "gatekeeper_confirm", "gatekeeper_reject", "in_progress", "location_confirm", "location_reject", "sequence_of"]

IDENTIFIER = "GK-LAB"
ADDRESS = bytes((10, 45, 250, 12)) + (1719).to_bytes(2)
REQUESTS = {0: "gatekeeper", 18: "location"}


def sequence_of(request: bytes) -> tuple[str, bytes]:
    """What is asked, and the sequence number as it was written; empty for what is neither a GRQ nor an LRQ."""
    kind = REQUESTS.get(request[0] >> 2, "") if request else ""
    return kind, request[2:4]


def gatekeeper_confirm(sequence: bytes, identifier: str = IDENTIFIER) -> bytes:
    writer = _gatekeeper_answer(1, sequence, identifier)
    writer.bits(0b0_000, 4)
    writer.octets(ADDRESS)
    return writer.to_bytes()


def gatekeeper_reject(sequence: bytes, reason: int = 1, identifier: str = IDENTIFIER) -> bytes:
    """`reason`: 0 resourceUnavailable, 1 terminalExcluded, 2 invalidRevision, 3 undefinedReason."""
    writer = _gatekeeper_answer(2, sequence, identifier)
    writer.bits(reason, 1 + 2)
    return writer.to_bytes()


def location_confirm(sequence: bytes) -> bytes:
    writer = _begun(19, 1, 0, sequence)
    for _ in range(2):  # where calls go, and where RAS
        writer.bits(0b0_000, 4)
        writer.octets(ADDRESS)
    return writer.to_bytes()


def location_reject(sequence: bytes, reason: int = 2) -> bytes:
    """`reason`: 0 notRegistered, 1 invalidPermission, 2 requestDenied, 3 undefinedReason."""
    writer = _begun(20, 1, 0, sequence)
    writer.bits(reason, 1 + 2)
    return writer.to_bytes()


def in_progress(sequence: bytes, milliseconds: int = 5000) -> bytes:
    """RequestInProgress, the first of the messages that were added later."""
    inner = Writer()
    inner.bits(0, 1 + 1)  # no extension, nonStandardData
    inner.octets(sequence)
    inner.octets((milliseconds - 1).to_bytes(2))
    writer = Writer()
    writer.bits(0b1_0_000000, 8)
    body = inner.to_bytes()
    writer.octets(bytes((len(body),)) + body)
    return writer.to_bytes()


def _begun(choice: int, options: int, present: int, sequence: bytes) -> Writer:
    writer = Writer()
    writer.bits(choice, 1 + 5)
    writer.bits(0, 1)  # no extension
    writer.bits(present, options)
    writer.octets(sequence)
    return writer


def _gatekeeper_answer(choice: int, sequence: bytes, identifier: str) -> Writer:
    writer = _begun(choice, 2, 0b01 if identifier else 0b00, sequence)
    writer.octets(bytes((len(PROTOCOL),)) + PROTOCOL)
    if identifier:
        writer.bits(len(identifier) - 1, 7)
        writer.octets(identifier.encode("utf-16-be"))
    return writer


class Gatekeeper(asyncio.DatagramProtocol):
    """`registered` gives the aliases it knows now; `answers` says whether it answers strangers at all."""

    def __init__(self, registered: Callable[[], Collection[str]], answers: Callable[[], bool] = lambda: True) -> None:
        self._registered = registered
        self._answers = answers
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        kind, sequence = sequence_of(data)
        if not kind or not self._answers():
            return
        if kind == "gatekeeper":
            answer = gatekeeper_confirm(sequence)
        else:
            known = any(alias.encode("utf-16-be") in data for alias in self._registered())
            answer = location_confirm(sequence) if known else location_reject(sequence)
        self._transport.sendto(answer, addr)
