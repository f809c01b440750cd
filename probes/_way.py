"""The prober's part in proving, before any load, that datagrams come through both ways. Standard library only."""

from __future__ import annotations

import hmac
import socket
import time
from typing import Any

from probes._control import ANSWER_SECONDS, Control, Gone
from probes._wire.capacity import BadFrame, Opened
from probes._wire.capacity_data import Kind, open_datagram, parse_short, poke_datagram

__all__ = ["WayBlocked", "open_way", "poked"]

OPEN_AGAIN_SECONDS = 0.25
OPEN_WAIT_SECONDS = 0.005


class WayBlocked(OSError):
    """The reflector answers on TCP, but datagrams do not come through, one way or the other."""


def poked(control: Control, datagrams: socket.socket, test: bytes) -> tuple[Any, ...]:
    """Where the reflector's datagrams come from, as its NAT has it. Raises WayBlocked when none comes."""
    wanted = poke_datagram(control.framer.key, test)
    until = time.monotonic() + ANSWER_SECONDS
    datagrams.settimeout(OPEN_AGAIN_SECONDS)
    while time.monotonic() < until:
        try:
            datagram, where = datagrams.recvfrom(2048)
        except TimeoutError:
            continue
        if hmac.compare_digest(datagram, wanted):
            return tuple(where)
    raise WayBlocked("no datagram of the reflector came")


def open_way(control: Control, datagrams: socket.socket, test: bytes) -> int:
    """When the reflector may have begun to send, in monotonic ns. Raises WayBlocked when no cookie came, or it did not hear it again."""
    question = open_datagram(control.framer.key, test)
    again, began_ns = 0.0, 0
    until = time.monotonic() + ANSWER_SECONDS
    datagrams.settimeout(OPEN_WAIT_SECONDS)
    while (now := time.monotonic()) < until:
        try:
            if now >= again:
                again = now + OPEN_AGAIN_SECONDS
                datagrams.send(question)
            kind, of, cookie = parse_short(datagrams.recv(2048))
        except (TimeoutError, ConnectionRefusedError, BadFrame):
            pass
        else:
            if kind is Kind.COOKIE and of == test:
                question, again = open_datagram(control.framer.key, test, cookie), 0.0
                began_ns = began_ns or time.monotonic_ns()
        try:
            if any(isinstance(one, Opened) for one in control.poll()):
                return began_ns or time.monotonic_ns()
        except Gone as gone:
            raise WayBlocked(str(gone)) from gone
    raise WayBlocked("no datagram came through")
