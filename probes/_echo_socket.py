"""One ICMP socket: sends echoes, takes replies with the kernel's receive stamp, and reads ICMP errors."""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from collections.abc import Callable
from time import monotonic_ns, time_ns

from probes._echo import Book, Train
from probes._wire import icmp as wire

__all__ = ["EchoSocket"]

SO_TIMESTAMPNS = 35  # asm-generic/socket.h; Python 3.11 has none of these three
SO_RCVBUFFORCE = 33
SO_MEMINFO = 55
MEMINFO_DROPS = 8  # linux/sock_diag.h, SK_MEMINFO_DROPS
RECEIVE_BUFFER_BYTES = 16 << 20
READ_BYTES = 64  # the header and the nonce are enough; the kernel has checked the sum over all of it
READ_CONTROL_BYTES = 64
READS_AT_ONCE = 1 << 16
ERROR_CONTROL_BYTES = 512
# An ICMP error that is pending makes one sendto fail, whomever it is for; our own errors come back each time.
SEND_TRIES = 4
TOKENS_AT_ONCE = 256
SEQUENCE = struct.Struct("!H")


class EchoSocket:
    """A datagram ICMP socket: unprivileged, and the kernel gives it only replies to its own identifier.

    Raises OSError: EACCES where `net.ipv4.ping_group_range` leaves this process out.
    """

    kind = socket.SOCK_DGRAM
    no_room = errno.EAGAIN

    def __init__(self, version: wire.Version, source: str | None) -> None:
        self._version = version
        self.book = Book(version.reply_type)
        self._sequence = 0
        self._tokens: list[bytes] = []
        self._read_bytes = READ_BYTES
        self._take: Callable[[bytes, str, int | None, int, int], None] = self.book.reply
        self._socket = socket.socket(version.family, self.kind | socket.SOCK_NONBLOCK, version.protocol)
        try:
            self._configure(source)
        except BaseException:
            self._socket.close()
            raise

    def _configure(self, source: str | None) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.setsockopt(self._version.level, self._version.receive_errors, 1)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)
        except PermissionError:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        if source is not None:
            self._socket.bind((source, 0))

    def close(self) -> None:
        self._socket.close()

    def drops(self) -> int:
        """Replies the kernel had no room for: our loss, not the line's."""
        info = self._socket.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 4 * (MEMINFO_DROPS + 1))
        return int.from_bytes(info[4 * MEMINFO_DROPS :], sys.byteorder)

    def send(self, train: Train) -> bool:
        """Sends one echo, its send stamp taken right before. False when there is no room to send now.

        Raises OSError for what is wrong on this host: no route, no permission, no buffers.
        """
        token = (self._tokens or self._more_tokens()).pop()
        packet = self._packet(token, train.padding)
        for tries in range(1, SEND_TRIES + 1):
            monotonic = monotonic_ns()
            wall = time_ns()
            try:
                self._socket.sendto(packet, train.where)
            except OSError as error:
                if error.errno == self.no_room:
                    return False
                self._read_errors()
                if tries == SEND_TRIES:
                    raise
            else:
                self.book.sent(train, token, wall, wall - monotonic)
                break
        return True

    def _packet(self, token: bytes, padding: bytes) -> bytes:
        return self._version.request + token + padding

    def _more_tokens(self) -> list[bytes]:
        """Sequence numbers, counting up from the end of the list, each with its nonce; made in lots because that is cheaper."""
        nonces = os.urandom(TOKENS_AT_ONCE * wire.NONCE_BYTES)
        self._sequence += TOKENS_AT_ONCE
        self._tokens = [
            SEQUENCE.pack(self._sequence - number & 0xFFFF) + nonces[number * wire.NONCE_BYTES : (number + 1) * wire.NONCE_BYTES]
            for number in range(TOKENS_AT_ONCE)
        ]
        return self._tokens

    def read(self) -> None:
        """Takes the datagrams that have come, and the ICMP errors."""
        receive, take, most = self._socket.recvmsg, self._take, self._read_bytes
        for _ in range(READS_AT_ONCE):
            try:
                data, control, _flags, source = receive(most, READ_CONTROL_BYTES)
            except BlockingIOError:
                break
            except OSError:  # an ICMP error is pending
                self._read_errors()
                continue
            stamp = wire.parse_stamp(control[0][2]) if control else None
            take(data, source[0], stamp, time_ns(), monotonic_ns())

    def _read_errors(self) -> None:
        """Empties the error queue."""
        for _ in range(READS_AT_ONCE):
            try:
                quoted, control, _flags, destination = self._socket.recvmsg(READ_BYTES, ERROR_CONTROL_BYTES, socket.MSG_ERRQUEUE)
            except OSError:
                return
            for level, kind, data in control:
                if (level, kind) == (self._version.level, self._version.receive_errors):
                    self._take_error(quoted, data, destination[0])

    def _take_error(self, quoted: bytes, control: bytes, destination: str) -> None:
        try:
            error = wire.parse_error(control)
            quote = wire.parse_quote(quoted, self._version)
        except wire.BadMessage:
            self.book.foreign += 1
            return
        if error.reason:
            self.book.error(quote, destination, error.reason, error.offender)
