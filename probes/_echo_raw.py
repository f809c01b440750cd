"""Echo over a raw ICMP socket, where the datagram one is refused but this process has CAP_NET_RAW."""

from __future__ import annotations

import array
import contextlib
import errno
import os
import socket
import struct

from probes._echo_socket import EchoSocket
from probes._wire import icmp as wire

__all__ = ["RawEchoSocket", "open_echo_socket"]

SO_ATTACH_FILTER = 26  # asm-generic/socket.h
FILTER_PROGRAM = struct.Struct("HP")  # linux/filter.h, sock_fprog: how many instructions, and where they are
IDENTIFIER_BYTES = 2
IDENTIFIER = slice(4, 6)
LARGEST_DATAGRAM = 65535  # its checksum is over all of it


def open_echo_socket(version: wire.Version, source: str | None) -> EchoSocket:
    """A datagram socket, or a raw one in its place. Raises the OSError of the datagram socket where this process may have neither."""
    try:
        return EchoSocket(version, source)
    except PermissionError:
        with contextlib.suppress(PermissionError):
            return RawEchoSocket(version, source)
        raise


class RawEchoSocket(EchoSocket):
    """Does itself what the kernel does for a datagram socket: an identifier of its own, the checksums of IPv4, the choice of replies.

    A filter in the kernel lets only replies with the identifier in. Errors about anybody's echoes come, and are chosen here.
    """

    kind = socket.SOCK_RAW
    no_room = errno.ENOBUFS  # the kernel's word for a full send buffer where it makes no transport header

    def __init__(self, version: wire.Version, source: str | None) -> None:
        self._identifier = os.urandom(IDENTIFIER_BYTES)
        super().__init__(version, source)
        self._take = self._take_datagram
        if version.family == socket.AF_INET:
            self._read_bytes = LARGEST_DATAGRAM

    def _configure(self, source: str | None) -> None:
        program = array.array("B", wire.echo_filter(self._version, self._identifier))
        place, length = program.buffer_info()
        self._socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, FILTER_PROGRAM.pack(length // wire.FILTER_INSTRUCTION.size, place))
        super()._configure(source)

    def _packet(self, token: bytes, padding: bytes) -> bytes:
        head, rest = self._version.request[:2], self._identifier + token + padding
        return head + wire.checksum(head + bytes(2) + rest).to_bytes(2) + rest  # of ICMPv6 the kernel overwrites it

    def _take_datagram(self, data: bytes, source: str, stamp: int | None, wall: int, monotonic: int) -> None:
        try:
            message = wire.message_of(data, self._version)
        except wire.BadMessage:
            self.book.foreign += 1
            return
        self.book.reply(message, source, stamp, wall, monotonic)

    def _take_error(self, quoted: bytes, control: bytes, destination: str) -> None:
        if quoted[IDENTIFIER] == self._identifier:
            super()._take_error(quoted, control, destination)
