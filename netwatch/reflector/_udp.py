"""A reflector's part in a test by UDP: prove the way, then send or count."""

from __future__ import annotations

import hmac
import secrets
import socket
import time
from typing import Any

from probes._control import ANSWER_SECONDS, Control, Gone
from probes._paced import Counter, Sender, hurry, receive_buffer
from probes._wire.capacity import BadFrame, Done, GoOn, Opened, Request, Stop
from probes._wire.capacity_data import Kind, cookie_datagram, open_datagram, parse_short, poke_datagram, short_tag

__all__ = ["SILENCE_NS", "open_way", "serve_udp"]

SILENCE_NS = 1_000_000_000  # a prober that says nothing for so long has gone: the line is spared
POLL_NS = 5_000_000
SEND_SLEEP_SECONDS = 0.0005
COUNT_SLEEP_SECONDS = 0.002
COOKIE_BYTES = 16
LOOK_SECONDS = 0.05  # whether the prober is still there


def serve_udp(control: Control, datagrams: socket.socket, request: Request, test: bytes) -> int:
    """Runs the test to its end and gives the bytes it carried. The way must be open. Raises what `Control` does."""
    receive_buffer(datagrams)
    datagrams.setblocking(False)
    hurry()
    if request.to_reflector:
        return _count(control, datagrams, request, test)
    return _send(control, datagrams, request, test)


def open_way(control: Control, datagrams: socket.socket, test: bytes, prober: tuple[Any, ...] | None = None) -> None:
    """Waits for the prober's OPEN and ECHO and connects the socket to where they came from. Raises TimeoutError, Gone.

    Pokes the `prober` meanwhile, when nothing can reach this socket that it has not written to.
    """
    cookie = secrets.token_bytes(COOKIE_BYTES)
    opening = open_datagram(control.framer.key, test)
    echo_tag = short_tag(control.framer.key, Kind.ECHO, test + cookie)
    until = time.monotonic() + ANSWER_SECONDS
    datagrams.settimeout(LOOK_SECONDS)
    while time.monotonic() < until:
        control.poll()
        try:
            if prober is not None:
                datagrams.sendto(poke_datagram(control.framer.key, test), prober)
            datagram, where = datagrams.recvfrom(2048)
        except TimeoutError:
            continue
        if hmac.compare_digest(datagram, opening):
            datagrams.sendto(cookie_datagram(test, cookie), where)
            continue
        try:
            kind, _, tag = parse_short(datagram)
        except BadFrame:
            continue
        if kind is Kind.ECHO and hmac.compare_digest(tag, echo_tag):
            datagrams.connect(where)
            control.send(Opened())
            return
    raise TimeoutError("no datagram of the prober arrived")


def _send(control: Control, datagrams: socket.socket, request: Request, test: bytes) -> int:
    sender = Sender(datagrams, test, float(request.pace), request.max_bytes)
    began_ns = heard_ns = polled_ns = now_ns = time.monotonic_ns()
    until_ns = began_ns + request.max_milliseconds * 1_000_000
    stopped = False
    while not (stopped or sender.spent or now_ns > until_ns or now_ns - heard_ns > SILENCE_NS):
        sender.send_due(now_ns)
        if now_ns - polled_ns > POLL_NS:
            polled_ns = now_ns
            messages = control.poll()
            stopped = any(isinstance(one, Stop) for one in messages)
            if any(isinstance(one, GoOn) for one in messages):
                heard_ns = now_ns
        time.sleep(SEND_SLEEP_SECONDS)
        now_ns = time.monotonic_ns()
    control.send(Done(sender.bytes_ip, now_ns - began_ns))
    return sender.bytes_ip


def _count(control: Control, datagrams: socket.socket, request: Request, test: bytes) -> int:
    counter = Counter(datagrams, test, float(request.pace), request.max_bytes)
    until_ns = time.monotonic_ns() + request.max_milliseconds * 1_000_000 + SILENCE_NS
    stopped = False
    try:
        while not stopped and time.monotonic_ns() < until_ns:
            for heard in counter.drain():
                control.send(heard)
            stopped = any(isinstance(one, Stop) for one in control.poll())
            time.sleep(COUNT_SLEEP_SECONDS)
    except Gone:
        pass  # a prober that has seen enough may simply leave
    return counter.bytes_ip
