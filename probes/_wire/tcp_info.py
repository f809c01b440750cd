"""What the kernel knows of a TCP connection (Linux, `struct tcp_info` of linux/tcp.h). Standard library only, pure."""

from __future__ import annotations

import struct
from dataclasses import dataclass

__all__ = ["SIZE", "TcpInfo", "parse"]

# Up to tcpi_reord_seen, which Linux has since 5.0; later fields are not read.
_LAYOUT = struct.Struct("=8B24I4Q6I4Q2I2Q2I")
SIZE = _LAYOUT.size
TIMESTAMPS = 1  # TCPI_OPT_TIMESTAMPS
HEADER_BYTES = {False: 40, True: 60}  # IP and TCP without options, by whether it is IPv6
TIMESTAMP_BYTES = 12


@dataclass(frozen=True, slots=True)
class TcpInfo:
    """Counters of one connection since it began. Times are seconds; `segment_bytes` is payload of a full segment sent.

    `arrived_segments` counts every segment with payload as it comes, in order or not; `received_bytes` only what is in order.
    """

    segment_bytes: int
    timestamps: bool
    rtt_seconds: float
    least_rtt_seconds: float
    receive_rtt_seconds: float  # by the echo of our time stamps; 0 where nothing was received
    acknowledged_bytes: int
    selectively_acknowledged: int  # segments
    duplicates: int  # segments that the other end had already
    unacknowledged: int  # segments
    sent_segments: int
    sent_again: int  # segments
    received_bytes: int
    arrived_segments: int
    arrived_segment_bytes: int  # payload of the largest that came
    refused_seconds: float  # while the other end's window was closed: it did not read

    @property
    def delivered_bytes(self) -> int:
        """Payload that has reached the other end's kernel, twice where it came twice."""
        return self.acknowledged_bytes + (self.selectively_acknowledged + self.duplicates) * self.segment_bytes

    @property
    def spent_bytes(self) -> int:
        """Payload that has left. The kernel's own sum counts again what its own queue had no room for."""
        return self.acknowledged_bytes + (self.unacknowledged + self.sent_again) * self.segment_bytes

    def headers_bytes(self, *, ipv6: bool) -> int:
        return HEADER_BYTES[ipv6] + (TIMESTAMP_BYTES if self.timestamps else 0)


def parse(told: bytes) -> TcpInfo:
    """Raises ValueError for what an older kernel tells."""
    if len(told) < SIZE:
        raise ValueError(f"tcp_info of {len(told)} bytes; Linux 5.0 is needed")
    found = _LAYOUT.unpack_from(told)
    words, longs = found[8:32], found[32:36]
    counts = found[36:42]
    return TcpInfo(
        segment_bytes=words[2],
        timestamps=bool(found[5] & TIMESTAMPS),
        rtt_seconds=words[15] / 1e6,
        least_rtt_seconds=counts[3] / 1e6,
        receive_rtt_seconds=words[21] / 1e6,
        acknowledged_bytes=longs[2],
        selectively_acknowledged=words[5],
        duplicates=found[50],
        unacknowledged=words[4],
        sent_segments=counts[5],
        sent_again=words[23],
        received_bytes=longs[3],
        arrived_segments=counts[4],
        arrived_segment_bytes=words[3],
        refused_seconds=found[44] / 1e6,
    )
