"""What an iperf3 client and server say to each other on their control connection (iperf 3.x, `iperf_api.h`). Pure."""

from __future__ import annotations

import enum
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from probes._wire.capacity import BadFrame

__all__ = [
    "COOKIE_BYTES",
    "DENIED",
    "Asked",
    "Reader",
    "Refused",
    "State",
    "asked_of",
    "cookie",
    "parameters",
    "received_bytes",
    "refusal",
    "results",
]

COOKIE_BYTES = 37
COOKIE_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
MOST_DOCUMENT_BYTES = 65_536
MOST_NUMBER = 1 << 53
OTHER_PROTOCOLS = ("udp", "sctp")
_LENGTH = struct.Struct("!I")


class State(enum.IntEnum):
    """One byte each, signed."""

    TEST_START = 1
    TEST_RUNNING = 2
    TEST_END = 4
    PARAM_EXCHANGE = 9
    CREATE_STREAMS = 10
    SERVER_TERMINATE = 11
    CLIENT_TERMINATE = 12
    EXCHANGE_RESULTS = 13
    DISPLAY_RESULTS = 14
    IPERF_START = 15
    IPERF_DONE = 16
    ACCESS_DENIED = -1
    SERVER_ERROR = -2


DENIED = struct.pack("b", State.ACCESS_DENIED)  # another test runs


class Refused(enum.IntEnum):
    """What a server may say after SERVER_ERROR: of iperf3's own numbers, those that fit ours."""

    TOO_MANY_STREAMS = 6
    NOT_IMPLEMENTED = 13
    BEYOND_THE_LIMIT = 27


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a client asks of a server. `seconds` and `bytes` are 0 where it does not say; `pace` is of each stream, 0 for none."""

    streams: int
    reverse: bool
    seconds: float
    omit_seconds: float
    bytes: int
    pace_bits_per_second: float
    implemented: bool  # TCP in one direction


def asked_of(document: Mapping[str, Any]) -> Asked:
    """Raises BadFrame."""
    blocks = _number(document, "blockcount")
    return Asked(
        streams=int(_number(document, "parallel", 1)),
        reverse=bool(document.get("reverse")),
        seconds=_number(document, "time"),
        omit_seconds=_number(document, "omit"),
        bytes=int(_number(document, "num") or blocks * _number(document, "len")),
        pace_bits_per_second=min((rate for name in ("fqrate", "bandwidth") if (rate := _number(document, name))), default=0.0),
        implemented=not any(document.get(name) for name in (*OTHER_PROTOCOLS, "bidirectional")),
    )


def _number(document: Mapping[str, Any], name: str, otherwise: float = 0.0) -> float:
    found = document.get(name, otherwise)
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found <= MOST_NUMBER:
        raise BadFrame(f"{name} of {str(found)[:40]}")
    return float(found)


def refusal(why: Refused) -> bytes:
    return struct.pack("!bii", State.SERVER_ERROR, why, 0)


def cookie(random_bytes: bytes) -> bytes:
    """Names a test on all its connections: 36 letters, made of as many random bytes, and a zero."""
    return "".join(COOKIE_LETTERS[one % 32] for one in random_bytes[: COOKIE_BYTES - 1]).encode().ljust(COOKIE_BYTES, b"\0")


class Reader:
    """Bytes in; states and documents out, as asked: the protocol does not mark which comes next."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, received: bytes) -> None:
        self._buffer += received

    def state(self) -> State | None:
        """None until it has come. Raises BadFrame."""
        if not self._buffer:
            return None
        (code,) = struct.unpack_from("b", self._buffer)
        try:
            found = State(code)
        except ValueError as error:
            raise BadFrame(f"state {code}") from error
        del self._buffer[:1]
        return found

    def document(self) -> Mapping[str, Any] | None:
        """None until all of it has come. Raises BadFrame, also when it says it is very long."""
        if len(self._buffer) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._buffer)
        if length > MOST_DOCUMENT_BYTES:
            raise BadFrame(f"document of {length} bytes")
        if len(self._buffer) < _LENGTH.size + length:
            return None
        body = bytes(self._buffer[_LENGTH.size : _LENGTH.size + length])
        del self._buffer[: _LENGTH.size + length]
        try:
            found = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise BadFrame("document is no JSON") from error
        if not isinstance(found, dict):
            raise BadFrame("document is no object")
        return found

    def error(self) -> tuple[int, int] | None:
        """What follows SERVER_ERROR: iperf3's own number and the system's."""
        if len(self._buffer) < 8:
            return None
        first, second = struct.unpack_from("!ii", self._buffer)
        del self._buffer[:8]
        return first, second


def _framed(document: Mapping[str, Any]) -> bytes:
    body = json.dumps(document, separators=(",", ":")).encode()
    return _LENGTH.pack(len(body)) + body


def parameters(*, streams: int, reverse: bool, seconds: int, pace_bits_per_second: float, block_bytes: int) -> bytes:
    """`pace` is of each stream; the server keeps it where its kernel can (`--fq-rate`)."""
    return _framed(
        {
            "tcp": True,
            "omit": 0,
            "time": seconds,
            "num": 0,
            "blockcount": 0,
            "parallel": streams,
            "len": block_bytes,
            "fqrate": round(pace_bits_per_second),
            "pacing_timer": 1000,
            "congestion": "cubic",
            "client_version": "3.12",
            **({"reverse": True} if reverse else {}),  # a server takes it for true whatever its value
        }
    )


def results(streams: Sequence[int], seconds: float, sent_again: Sequence[int] | None = None) -> bytes:
    """What we counted, by stream: bytes; and segments that were sent again, where we sent."""
    again = sent_again if sent_again is not None else [-1] * len(streams)
    return _framed(
        {
            "cpu_util_total": 0,
            "cpu_util_user": 0,
            "cpu_util_system": 0,
            "sender_has_retransmits": int(sent_again is not None),
            "streams": [
                {
                    "id": number,
                    "bytes": bytes_,
                    "retransmits": retransmits,
                    "jitter": 0,
                    "errors": 0,
                    "packets": 0,
                    "start_time": 0,
                    "end_time": seconds,
                }
                for number, bytes_, retransmits in zip((1, *range(3, len(streams) + 2)), streams, again, strict=True)
            ],
        }
    )


def received_bytes(document: Mapping[str, Any]) -> int:
    """The sum over its streams of what the server says it moved. Raises BadFrame."""
    streams = document.get("streams")
    if not isinstance(streams, list):
        raise BadFrame("results without streams")
    total = 0
    for stream in streams:
        found = stream.get("bytes") if isinstance(stream, dict) else None
        if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found < 1 << 63:
            raise BadFrame("results without bytes")
        total += int(found)
    return total
