"""One capacity test by UDP with our reflector, as RFC 9097 and ITU-T Y.1540 Annex A measure IP-layer capacity: paced packets, received rate.

It runs in a thread: a millisecond's pacing and a daemon's event loop do not go together.
"""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from probes._capacity import NOTHING_KNOWN, Bin, Decision, End, Outcome, Plan, Verdict
from probes._capacity_run import Over, connect, over_by, request
from probes._control import ANSWER_SECONDS, Control, introduce
from probes._dialled import Switchboard
from probes._paced import BIN_NS, RAMP_NS, Counter, Sender, hurry, receive_buffer
from probes._sequential import decide
from probes._way import open_way, poked
from probes._wire.capacity import BadFrame, Done, GoOn, Heard, Method, Ready, Stop
from probes._wire.capacity_data import IP_BYTES, headers_bytes

__all__ = ["UdpTest"]

SEND_SLEEP_SECONDS = 0.0005
COUNT_SLEEP_SECONDS = 0.002
POLL_NS = 5_000_000
SILENCE_NS = 1_000_000_000  # of the other end: then it has gone
TAIL_SECONDS = 0.5  # for what is still on its way when all is sent
AHEAD_RATIO = 1.02  # by how much two good clocks may differ, with room
AHEAD_PACKETS = 128


class UdpTest:
    """`run` once, in a thread. `stop` may be set from anywhere and ends it within milliseconds, as `yielded`.

    Raises Turned, BadFrame, TimeoutError, OSError while nothing is measured yet; afterwards whatever happens is an Outcome.
    """

    def __init__(self, plan: Plan, token: bytes) -> None:
        self.plan, self.stop = plan, threading.Event()
        self._token = token
        self._bins: list[Bin] = []
        self._facts: dict[str, str] = {}
        self._bytes: Callable[[], int] = lambda: 0
        self._began_ns = 0
        self._judged = 0
        self._decision = Decision("inconclusive", "too_few", NOTHING_KNOWN)

    @property
    def bytes_ip(self) -> int:
        """What the test has cost so far."""
        return self._bytes()

    def run(self, family: socket.AddressFamily, where: tuple[Any, ...], source: str | None = None) -> Outcome:
        began = time.monotonic()
        with connect(family, where, source, ANSWER_SECONDS) as connection, socket.socket(family, socket.SOCK_DGRAM) as datagrams:
            self._facts["ip_version"] = "6" if family == socket.AF_INET6 else "4"
            self._facts["rtt_seconds"] = f"{time.monotonic() - began:.6f}"
            control = introduce(connection, self._token)
            control.send(request(self.plan, Method.UDP))
            ready = control.receive(Ready)
            datagrams.bind((connection.getsockname()[0], 0))
            datagrams.connect((where[0], ready.port, *where[2:]))
            return self._run_over(control, datagrams, ready.test)

    def run_dialled(self, board: Switchboard, name: bytes, until: float) -> Outcome | None:
        """As `run`, over a connection that the reflector of that name opens by `until`, or has opened; None when it does not."""
        taken = board.take(name, self._token, until, self.stop)
        if taken is None:
            return None
        control, rtt_seconds = taken
        self._facts["ip_version"] = "6" if control.connection.family == socket.AF_INET6 else "4"
        self._facts["rtt_seconds"] = f"{rtt_seconds:.6f}"
        self._facts["dialled_in"] = "yes"
        with control.connection, socket.socket(control.connection.family, socket.SOCK_DGRAM) as datagrams:
            datagrams.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # tests that are under way have theirs, connected
            with board.alone:
                here = control.connection.getsockname()
                datagrams.bind((here[0], board.port, *here[2:]))
                control.send(request(self.plan, Method.UDP))
                ready = control.receive(Ready)
                datagrams.connect(poked(control, datagrams, ready.test))
            return self._run_over(control, datagrams, ready.test)

    def _run_over(self, control: Control, datagrams: socket.socket, test: bytes) -> Outcome:
        self._began_ns = open_way(control, datagrams, test)
        receive_buffer(datagrams)
        datagrams.setblocking(False)
        hurry()
        return self._measure(control, datagrams, test)

    def _measure(self, control: Control, datagrams: socket.socket, test: bytes) -> Outcome:
        try:
            if self.plan.direction == "down":
                self._send(control, datagrams, test)
            else:
                self._count(control, datagrams, test)
        except (Over, BadFrame, OSError) as error:
            over = over_by(error, self._facts)
            return self._outcome("inconclusive", over.reason, over.limit_end)
        return self._outcome(self._decision.verdict, self._decision.reason, self._decision.limit_end)

    def _outcome(self, verdict: Verdict, reason: str, limit_end: End = "") -> Outcome:
        ipv6 = self._facts.get("ip_version") == "6"
        payload = 1 - headers_bytes(ipv6=ipv6) / IP_BYTES
        estimate = self._decision.estimate
        return Outcome(
            verdict=verdict,
            reason=reason,
            method="udp",
            plan=self.plan,
            estimate=estimate,
            bytes_ip=self._bytes(),
            seconds=(time.monotonic_ns() - self._began_ns) / 1e9,
            goodput_bits_per_second=estimate.value * payload,
            limit_end=limit_end,
            bins=tuple(self._bins),
            facts=dict(self._facts),
        )

    def _send(self, control: Control, datagrams: socket.socket, test: bytes) -> None:
        plan = self.plan
        sender = Sender(datagrams, test, plan.pace_bits_per_second, plan.max_bytes)
        checked = _Checked(sender)
        self._bytes = lambda: sender.bytes_ip
        now_ns = polled_ns = heard_ns = self._began_ns = time.monotonic_ns()
        full = math.inf  # how many bins can be full, once no more may be sent
        until_ns = math.inf
        while not self._decision.settled:
            self._yield()
            if full is math.inf:
                sender.send_due(now_ns)
                if sender.spent or now_ns - self._began_ns > plan.max_seconds * 1e9:
                    full = (now_ns - sender.began_ns - RAMP_NS) // BIN_NS
                    until_ns = now_ns + (TAIL_SECONDS + float(self._facts["rtt_seconds"])) * 1e9
            elif len(self._bins) >= full or now_ns > until_ns:
                self._capped("bytes" if sender.spent else "seconds")
                return
            if now_ns - polled_ns > POLL_NS:
                polled_ns = now_ns
                heard = [one for one in control.poll() if isinstance(one, Heard)]
                for one in heard:
                    checked.check(one, now_ns)
                    if len(self._bins) < full:
                        self._take(one)
                self._judge()
                heard_ns = now_ns if heard else heard_ns
            if now_ns - heard_ns > SILENCE_NS:
                raise Over("peer_silent" if self._bins else "nothing_arrived")
            time.sleep(SEND_SLEEP_SECONDS)
            now_ns = time.monotonic_ns()
        control.send(Stop())

    def _count(self, control: Control, datagrams: socket.socket, test: bytes) -> None:
        plan = self.plan
        counter = Counter(datagrams, test, plan.pace_bits_per_second, plan.max_bytes)
        self._bytes = lambda: (counter.highest + 1) * IP_BYTES
        lag_seconds = float(self._facts["rtt_seconds"]) + 2 * BIN_NS / 1e9
        enough = plan.max_bytes - plan.pace_bits_per_second / 8 * lag_seconds  # what comes after the Stop is within the cap
        now_ns = told_ns = heard_ns = self._began_ns
        while not self._decision.settled:
            self._yield()
            before = counter.datagrams
            for one in counter.drain():
                self._take(one)
            self._judge()
            now_ns = time.monotonic_ns()
            heard_ns = now_ns if counter.datagrams > before else heard_ns
            allowed = plan.pace_bits_per_second / 8 / IP_BYTES * (now_ns - self._began_ns) / 1e9 * AHEAD_RATIO + AHEAD_PACKETS
            if max(counter.highest, counter.datagrams) > allowed:
                raise Over("peer_too_fast")
            spent = self.bytes_ip >= enough
            if spent or now_ns - self._began_ns > plan.max_seconds * 1e9:
                self._stop(control, counter)
                self._capped("bytes" if spent else "seconds")
                return
            if now_ns - heard_ns > SILENCE_NS:
                raise Over("peer_silent" if self._bins else "nothing_arrived")
            if now_ns - told_ns >= BIN_NS:
                told_ns = now_ns
                control.send(GoOn())
                control.poll()
            time.sleep(COUNT_SLEEP_SECONDS)
        self._stop(control, counter)

    def _stop(self, control: Control, counter: Counter) -> None:
        """What was still sent meanwhile has cost too, and comes to nobody's harm to a port that is still there."""
        control.send(Stop())
        until = time.monotonic() + TAIL_SECONDS + float(self._facts["rtt_seconds"])
        while time.monotonic() < until and not any(isinstance(one, Done) for one in control.poll()):
            counter.drain()
            time.sleep(COUNT_SLEEP_SECONDS)
        counter.drain()

    def _yield(self) -> None:
        if self.stop.is_set():
            raise Over("yielded")

    def _take(self, heard: Heard) -> None:
        receiver: End = "far" if self.plan.direction == "down" else "near"
        if heard.flags & Heard.CLOCK_STEPPED:
            raise Over("clock_stepped", receiver)
        if heard.flags & Heard.DROPPED:
            raise Over("receiver_slow", receiver)
        self._facts["stamps"] = "user" if heard.flags & Heard.USER_CLOCK else "kernel"
        self._bins.append(
            Bin(
                seconds=heard.microseconds / 1e6,
                bytes_ip=heard.bytes_received,
                packets=heard.packets,
                lost=heard.lost,
                idle_seconds=heard.idle_microseconds / 1e6,
                queue_seconds=heard.queue_microseconds / 1e6,
            )
        )

    def _judge(self) -> None:
        if len(self._bins) > self._judged:
            self._judged = len(self._bins)
            self._decision = decide(self._bins, self.plan)

    def _capped(self, by: str) -> None:
        """What there is when no more may be spent."""
        self._judge()
        if not self._decision.settled and self._decision.reason not in {"at_contract", "below_contract", "sender_slow", "stalled"}:
            raise Over(f"cap_{by}", self._decision.limit_end)


class _Checked:
    """Whether what the reflector says it heard can be true."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._index = 0
        self._claimed = bytearray()

    def check(self, heard: Heard, now_ns: int) -> None:
        """Raises Over: more than was sent, packets that it cannot have seen, or time that has not passed."""
        self._claimed.extend(bytes(self._sender.sent - len(self._claimed)))
        numbers = list(_numbers(heard))
        honest = (
            heard.index == self._index
            and heard.microseconds * 1000 == BIN_NS
            and len(numbers) == heard.packets
            and heard.bytes_received == heard.packets * IP_BYTES
            and (heard.index + 1) * BIN_NS <= (now_ns - self._sender.began_ns) * AHEAD_RATIO
            and (not numbers or numbers[-1] < self._sender.sent)
            and not any(self._claimed[number] for number in numbers)
            and self._sender.digest(iter(numbers)) == heard.digest
        )
        if not honest:
            raise Over("peer_lied")
        for number in numbers:
            self._claimed[number] = 1
        self._index += 1


def _numbers(heard: Heard) -> Iterator[int]:
    for place, eight in enumerate(heard.seen):
        for bit in range(8):
            if eight >> bit & 1:
                yield heard.base + 8 * place + bit
