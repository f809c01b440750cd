"""How long this machine itself left packets lying, meanwhile: a busy one does, and then a run says nothing of a line.

A datagram to itself every few milliseconds on each processor, by a process that is served before others: what it waits for is the
kernel's own work on packets, which an overloaded machine leaves to threads that wait for their turn (ksoftirqd).
"""

from __future__ import annotations

import contextlib
import mmap
import os
import socket
import time
from collections.abc import Iterator

from netwatch.lab import child

EVERY_SECONDS = 0.002
PRIORITY = 2
SLOT = 8  # bytes: microseconds of the longest wait since last asked


class Canary:
    """The longest wait since the last `rest`."""

    def __init__(self, count: int) -> None:
        self._shared = mmap.mmap(-1, SLOT * count)
        self._count = count

    def rest(self) -> None:
        self._shared[:] = bytes(SLOT * self._count)

    @property
    def longest_seconds(self) -> float:
        return max(int.from_bytes(self._shared[SLOT * place : SLOT * (place + 1)], "little") for place in range(self._count)) / 1e6

    def sing(self, place: int, processor: int) -> None:
        os.sched_setaffinity(0, {processor})
        served_first()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as itself:
            itself.bind(("127.0.0.1", 0))
            itself.connect(itself.getsockname())
            while True:
                began = time.monotonic()
                time.sleep(EVERY_SECONDS)
                itself.send(b"?")
                itself.recv(1)
                waited = int((time.monotonic() - began - EVERY_SECONDS) * 1e6)
                at = slice(SLOT * place, SLOT * (place + 1))
                if waited > int.from_bytes(self._shared[at], "little"):
                    self._shared[at] = waited.to_bytes(SLOT, "little")


def served_first() -> None:
    """Where that is allowed."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(PRIORITY))


@contextlib.contextmanager
def canary() -> Iterator[Canary]:
    """Before this process has threads."""
    processors = sorted(os.sched_getaffinity(0))
    one = Canary(len(processors))
    children = [
        child.fork(lambda place=place, processor=processor: one.sing(place, processor)) for place, processor in enumerate(processors)
    ]
    try:
        yield one
    finally:
        for process in children:
            child.end(process)
