"""What is asked of the kernel for one TCP connection of a test. Standard library only; both ends use it."""

from __future__ import annotations

import contextlib
import socket
import struct

from probes._wire import tcp_info
from probes._wire.tcp_info import TcpInfo

__all__ = ["clamp_window", "has_ended", "pace_stream", "tcp_info_of"]

# Linux's numbers, which Python names only there or not at all.
SO_MAX_PACING_RATE, TCP_INFO, TCP_CONGESTION, TCP_NOTSENT_LOWAT = 47, 11, 13, 25
UNLIMITED = 0xFFFF_FFFF
UNSENT_BYTES = 1 << 17


def pace_stream(connection: socket.socket, bits_per_second: float = 0.0, congestion: str = "cubic") -> None:
    """The kernel then spreads what is sent, queues little unsent, and takes losses as most systems do. Where it cannot, the caps hold."""
    pace = min(round(bits_per_second / 8), UNLIMITED - 1) or UNLIMITED
    for level, option, value in (
        (socket.SOL_SOCKET, SO_MAX_PACING_RATE, struct.pack("=I", pace)),
        (socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT_BYTES),
        (socket.IPPROTO_TCP, TCP_CONGESTION, congestion.encode()),
    ):
        with contextlib.suppress(OSError):
            connection.setsockopt(level, option, value)


def clamp_window(connection: socket.socket, size_bytes: int) -> None:
    """No more than about so much may be under way towards us. A window clamp would follow the buffer as the kernel lets that grow."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size_bytes)


def has_ended(connection: socket.socket) -> bool:
    """Whether the other end has said that it sends no more and all it sent was read. Raises OSError where it broke off."""
    try:
        return not connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False


def tcp_info_of(connection: socket.socket) -> TcpInfo:
    """Raises OSError, also where the system tells nothing or too little."""
    try:
        return tcp_info.parse(connection.getsockopt(socket.IPPROTO_TCP, TCP_INFO, tcp_info.SIZE))
    except ValueError as error:
        raise OSError(str(error)) from error
