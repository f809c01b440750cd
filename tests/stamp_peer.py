"""A scripted far end for STAMP: it answers each test packet with what the script makes of it."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from time import time_ns

from probes._wire.stamp import ErrorEstimate, Reply, Request, to_ntp


@dataclass
class StampPeer:
    """`script` gives the datagrams that go back for one request; must be used inside a running loop."""

    script: Callable[["StampPeer", Request], Iterable[bytes]]
    requests: list[bytes] = field(default_factory=list)
    senders: list[tuple] = field(default_factory=list)
    headers: list[dict[int, int]] = field(default_factory=list)  # what the receiver asked the kernel to be told of each
    came: int = 0

    @contextlib.contextmanager
    def listening(self, address: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
        loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as self.socket:
            self.socket.bind((address, port))
            loop.add_reader(self.socket, self._take)
            try:
                yield self.socket.getsockname()[1]
            finally:
                loop.remove_reader(self.socket)

    def _take(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                data, control, _flags, sender = self.socket.recvmsg(2048, 128)
                self.requests.append(data)
                self.headers.append({kind: value[0] for _, kind, value in control})
                self.senders.append(sender)
                for answer in self.script(self, Request.parse(data)):
                    self.socket.sendto(answer, sender)
                self.came += 1


def reply(request: Request, number: int | None = None, error: ErrorEstimate | None = None, **times: int) -> Reply:
    """An honest answer: T2 and T3 are now, the number is copied unless given."""
    received = times.get("received", to_ntp(time_ns()))
    return Reply(
        request.sequence if number is None else number,
        times.get("left", to_ntp(time_ns())),
        error or ErrorEstimate(),
        received,
        request,
        255,
    )
