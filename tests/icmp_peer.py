"""A scripted peer for ICMP: the kernel of the private network is told to be silent, and raw sockets answer in its place."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

# Runs a command without CAP_NET_RAW, though it be root's.
WITHOUT_RAW_SOCKETS = ("setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw")
ECHO_REPLY, UNREACHABLE, ECHO_REQUEST = 0, 3, 8
IPV4_HEADER = struct.Struct("!BBHHHBBH4s4s")


@dataclass
class Request:
    """One echo request as it arrived. `icmp` is the message from its type on."""

    source: str
    destination: str
    packet: bytes
    icmp: bytes

    @property
    def reply(self) -> bytes:
        return bytes([ECHO_REPLY, 0, 0, 0]) + self.icmp[4:]


@dataclass
class EchoPeer:
    """Hands each echo request to `script`, which answers with `send`. Must be used inside a running loop."""

    script: Callable[["EchoPeer", Request], None]
    requests: list[Request] = field(default_factory=list)

    def send(self, source: str, destination: str, icmp: bytes, good_sum: bool = True) -> None:
        """Sends an ICMP message from any address; its checksum is filled in, or spoilt."""
        summed = icmp[:2] + struct.pack("!H", checksum(icmp[:2] + b"\0\0" + icmp[4:]) ^ (not good_sum)) + icmp[4:]
        header = IPV4_HEADER.pack(0x45, 0, 0, 0, 0, 64, socket.IPPROTO_ICMP, 0, socket.inet_aton(source), socket.inet_aton(destination))
        self._raw_out.sendto(header + summed, (destination, 0))

    def answer(self, request: Request) -> None:
        self.send(request.destination, request.source, request.reply)

    def complain(self, request: Request, code: int, *, kind: int = UNREACHABLE, quoted: int = 576, by: str = "127.9.9.9") -> None:
        """Sends an ICMP error that quotes `quoted` bytes of the request."""
        self.send(by, request.source, bytes([kind, code, 0, 0, 0, 0, 0, 0]) + request.packet[: 20 + quoted])

    @contextlib.contextmanager
    def listening(self) -> Iterator["EchoPeer"]:
        loop = asyncio.get_running_loop()
        with (
            kernel_silent("/proc/sys/net/ipv4/icmp_echo_ignore_all"),
            socket.socket(socket.AF_INET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.IPPROTO_ICMP) as raw_in,
            socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as self._raw_out,
        ):
            loop.add_reader(raw_in, self._take, raw_in)
            try:
                yield self
            finally:
                loop.remove_reader(raw_in)

    def _take(self, raw_in: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                packet = raw_in.recv(2048)
                icmp = packet[(packet[0] & 15) * 4 :]
                if icmp[0] == ECHO_REQUEST:
                    request = Request(socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20]), packet, icmp)
                    self.requests.append(request)
                    self.script(self, request)


@contextlib.contextmanager
def kernel_silent(switch: str) -> Iterator[None]:
    """The kernel of this network namespace answers no echo request."""
    Path(switch).write_text("1", "ascii")
    try:
        yield
    finally:
        Path(switch).write_text("0", "ascii")


@contextlib.contextmanager
def datagrams_refused() -> Iterator[None]:
    """Nobody in this network namespace may open an ICMP datagram socket."""
    allowed = Path("/proc/sys/net/ipv4/ping_group_range")
    before = allowed.read_text("ascii")
    allowed.write_text("1 0", "ascii")
    try:
        yield
    finally:
        allowed.write_text(before, "ascii")


def checksum(data: bytes) -> int:
    """RFC 1071."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data[: len(data) // 2 * 2])) + (data[-1] << 8 if len(data) % 2 else 0)
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF
