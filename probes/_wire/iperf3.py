"""What an iperf3 client and server say to each other on their control connection (iperf 3.x, `iperf_api.h`). Pure."""

from __future__ import annotations

import enum
import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from probes._wire.capacity import BadFrame

__all__ = ["COOKIE_BYTES", "Reader", "State", "cookie", "parameters", "received_bytes", "results"]

COOKIE_BYTES = 37
COOKIE_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
MOST_DOCUMENT_BYTES = 65_536
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


def results(streams: Sequence[int], seconds: float) -> bytes:
    """What we counted, by stream."""
    return _framed(
        {
            "cpu_util_total": 0,
            "cpu_util_user": 0,
            "cpu_util_system": 0,
            "sender_has_retransmits": 0,
            "streams": [
                {
                    "id": number,
                    "bytes": bytes_,
                    "retransmits": -1,
                    "jitter": 0,
                    "errors": 0,
                    "packets": 0,
                    "start_time": 0,
                    "end_time": seconds,
                }
                for number, bytes_ in zip((1, *range(3, len(streams) + 2)), streams, strict=True)
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
