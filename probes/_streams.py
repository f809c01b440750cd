"""Fills or empties several TCP connections and says, bin by bin, what the kernel saw of it. Standard library only, without asyncio."""

from __future__ import annotations

import dataclasses
import math
import selectors
import socket
import statistics
import threading
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass

from probes._capacity import BIN_SECONDS, NOTHING_KNOWN, Bin, Decision, End, Method, Outcome, Plan, Verdict
from probes._capacity_run import Over, over_by
from probes._paced import hurry
from probes._stream_pipe import Ended, Pipe
from probes._stream_rules import decide_streams, mathis_bits_per_second
from probes._stream_socket import clamp_window, tcp_info_of
from probes._wire.capacity import BadFrame
from probes._wire.tcp_info import TcpInfo

__all__ = ["STREAMS", "StreamTest", "Total"]

STREAMS = 8
LOOK_SECONDS = 0.01
WAIT_SECONDS = 0.002
SPARED_RATIO = 0.97  # of the cap: what is under way when we stop comes on top
MOVED_RATIO = 0.92  # of the cap, without headers: looked at in between, for a busy machine may look late
# What may be under way to us: a far end that knows no pace floods the line no longer than that.
LEAST_WINDOW_SECONDS, WINDOW_ROUND_TRIPS = 0.04, 3
# Of what was acknowledged: less than that has reached the far end's program when something on the way answers in its place.
REACHED_RATIO = 0.8
UNREAD_BYTES = 8_000_000  # what the far end's kernel may hold
SILENCE_SECONDS = 1.0  # of what arrives: a lost segment's timer alone may take a third of that


@dataclass(slots=True)
class Total:
    """Of all streams, those that have ended included. Bytes are of IP packets, but for `goodput`."""

    bytes_ip: float = 0.0
    goodput: int = 0
    segments: int = 0
    again: int = 0
    cost: float = 0.0
    refused_seconds: float = 0.0  # of all streams together
    segment_bytes: int = 0  # payload of the largest that is sent
    headers_bytes: int = 0  # of one segment


class StreamTest(ABC):
    """What the methods over TCP have in common. `run` once, in a thread; `stop` may be set from anywhere.

    A method opens its streams in `_open` and does what its protocol wants of it in `_tick`, `_finish` and `_leave`.
    """

    method: Method = "tcp"
    told_bins = False  # whether the far end tells what has arrived, bin by bin

    def __init__(self, plan: Plan) -> None:
        self.plan, self.stop = plan, threading.Event()
        self._facts: dict[str, str] = {}
        self._pipes: list[Pipe] = []
        self._bins: list[Bin] = []
        self._goodput: list[int] = []
        self._gone = Total()
        self._last = Total()
        self._now = Total()
        self._average_bytes: dict[Pipe, float] = {}
        self._rtt_seconds = math.inf
        self._moved = 0
        self._queues: list[float] = []
        self._began = self._binned = self._heard = 0.0
        self._most_bytes = 0.0
        self._decision = Decision("inconclusive", "too_few", NOTHING_KNOWN)

    @property
    def bytes_ip(self) -> int:
        """What the test has cost so far, up to the last look."""
        return math.ceil(self._last.cost)

    @property
    def sends(self) -> bool:
        return self.plan.direction == "down"

    @property
    def ipv6(self) -> bool:
        return self._facts.get("ip_version") == "6"

    def run(self, family: socket.AddressFamily, where: tuple[object, ...], source: str | None = None) -> Outcome:
        """Raises Turned, BadFrame, TimeoutError, OSError while nothing is measured yet; afterwards whatever happens is an Outcome."""
        self._facts["ip_version"] = "6" if family == socket.AF_INET6 else "4"
        try:
            self._open(family, where, source)
            return self._measure()
        finally:
            for pipe in self._pipes:
                pipe.close()
            self._leave()

    @abstractmethod
    def _open(self, family: socket.AddressFamily, where: tuple[object, ...], source: str | None) -> None:
        """Fills `_pipes`."""

    @abstractmethod
    def _tick(self, now: float) -> None:
        """Between two looks. Raises Over."""

    def _finish(self) -> None:  # noqa: B027  # not every protocol has an end to agree on
        """Once it is settled. Raises Over when what the far end says at last does not fit."""

    def _leave(self) -> None:  # noqa: B027  # nor a connection beside its streams
        """Whatever has happened."""

    def _ended(self) -> None:
        """A stream has ended by itself. Raises Over where none should."""
        raise Over("peer_gone")

    def _measure(self) -> Outcome:
        try:
            self._flow()
            self._finish()
        except (Over, BadFrame, OSError) as error:
            over = over_by(error, self._facts)
            return self._outcome("inconclusive", over.reason, over.limit_end)
        return self._outcome(self._decision.verdict, self._decision.reason, self._decision.limit_end)

    def _flow(self) -> None:
        hurry()
        self._began = self._binned = self._heard = time.monotonic()
        self._last = self._now = self._look()
        if not self.sends:
            self._hold_back()
        enough = SPARED_RATIO * self.plan.max_bytes - self.plan.pace_bits_per_second / 8 * (min(self._rtt_seconds, 1.0) + 2 * LOOK_SECONDS)
        looked, most = self._began, MOVED_RATIO * self.plan.max_bytes
        with selectors.DefaultSelector() as selector:
            for pipe in self._pipes:
                selector.register(pipe.connection, selectors.EVENT_WRITE if pipe.sends else selectors.EVENT_READ, pipe)
            while not self._decision.settled:
                if self.stop.is_set():
                    raise Over("yielded")
                self._move(selector)
                now = time.monotonic()
                self._tick(now)
                if now - looked < LOOK_SECONDS and self._moved < most:
                    continue
                looked = now
                self._take(self._look(), now)
                is_enough = self._last.cost >= enough or self._moved >= most
                if is_enough or now - self._began > self.plan.max_seconds:
                    self._capped("bytes" if is_enough else "seconds")
                    return
                if now - self._heard > SILENCE_SECONDS:
                    raise Over("peer_silent" if any(one.bytes_ip for one in self._bins) else "nothing_arrived")

    def _hold_back(self) -> None:
        window = self.plan.pace_bits_per_second / 8 * max(LEAST_WINDOW_SECONDS, WINDOW_ROUND_TRIPS * min(self._rtt_seconds, 1.0))
        for pipe in self._pipes:
            clamp_window(pipe.connection, math.ceil(window / len(self._pipes)))

    def _move(self, selector: selectors.BaseSelector) -> None:
        if not selector.get_map():
            raise Over("too_short", "far")
        if not self.sends and self._moved * 8 > self.plan.pace_bits_per_second * (time.monotonic() - self._began):
            time.sleep(WAIT_SECONDS)  # what we do not read the far end soon stops sending, whatever pace it has been asked for
            return
        for key, _ in selector.select(WAIT_SECONDS):
            try:
                self._moved += key.data.move()
            except BlockingIOError:
                continue
            except Ended:
                self._ended()
                selector.unregister(key.fileobj)
                self._gone_with(key.data)

    def _gone_with(self, pipe: Pipe) -> None:
        self._add(self._gone, pipe, tcp_info_of(pipe.connection))
        self._pipes.remove(pipe)
        pipe.close()

    def _look(self) -> Total:
        total = dataclasses.replace(self._gone)
        infos = [(pipe, tcp_info_of(pipe.connection)) for pipe in self._pipes]
        for pipe, info in infos:
            self._add(total, pipe, info)
        rtts = [found for _, info in infos if (found := self._rtt_of(info)) > 0]
        if rtts:
            self._queues.append(max(statistics.median(rtts) - self._rtt_seconds, 0.0))
        return total

    def _rtt_of(self, info: TcpInfo) -> float:
        if info.least_rtt_seconds < 1000:  # the kernel's largest number stands for none yet
            self._rtt_seconds = min(self._rtt_seconds, info.least_rtt_seconds)
        return info.rtt_seconds if self.sends else info.receive_rtt_seconds

    def _add(self, total: Total, pipe: Pipe, info: TcpInfo) -> None:
        headers = info.headers_bytes(ipv6=self.ipv6)
        total.segment_bytes, total.headers_bytes = max(total.segment_bytes, info.segment_bytes), max(total.headers_bytes, headers)
        if self.sends:
            per_byte = 1 + headers / max(info.segment_bytes, 1)
            total.bytes_ip += info.delivered_bytes * per_byte
            total.goodput += info.acknowledged_bytes
            total.segments += info.sent_segments
            total.again += info.sent_again
            total.refused_seconds += info.refused_seconds
            total.cost += info.spent_bytes * per_byte
            return
        # Each segment as it comes, in order or not; how large they are on average is told by what is in order, at the least.
        if info.arrived_segments:
            least = info.received_bytes / info.arrived_segments
            self._average_bytes[pipe] = max(self._average_bytes.get(pipe, 0.0), least)
        arrived = info.arrived_segments * (self._average_bytes.get(pipe, 0.0) + headers)
        total.bytes_ip += arrived
        total.goodput += info.received_bytes
        total.segments += info.arrived_segments
        total.cost += arrived

    def _take(self, total: Total, now: float) -> None:
        if total.bytes_ip > self._most_bytes and not self.told_bins:
            self._heard, self._most_bytes = now, total.bytes_ip
        self._last.cost = total.cost
        if self.told_bins:
            self._now = total
        elif now - self._binned >= BIN_SECONDS:
            self._now = total
            self._close_bin(now - self._binned, total.bytes_ip - self._last.bytes_ip, total.goodput - self._last.goodput)
            self._binned = now

    def _close_bin(self, seconds: float, bytes_ip: float, goodput_bytes: int) -> None:
        now, last = self._now, self._last
        self._bins.append(
            Bin(
                seconds=seconds,
                bytes_ip=max(round(bytes_ip), 0),
                packets=max(now.segments - last.segments, 0),
                lost=max(now.again - last.again, 0),
                idle_seconds=min(max(now.refused_seconds - last.refused_seconds, 0.0) / max(len(self._pipes), 1), seconds),
                queue_seconds=min(self._queues, default=0.0),
            )
        )
        self._goodput.append(goodput_bytes)
        self._last, self._queues = dataclasses.replace(now), []
        self._decision = decide_streams(self._bins, self.plan, self._rtt_seconds)

    def _compare(self, reached_bytes: int, acknowledged_bytes: int) -> None:
        """What was acknowledged must have reached the far end's program, or something between has answered in its place."""
        if reached_bytes > self._look().cost:
            raise Over("peer_lied")
        if reached_bytes + UNREAD_BYTES < acknowledged_bytes * REACHED_RATIO:
            raise Over("peer_disagrees")

    def _capped(self, by: str) -> None:
        if not self._decision.settled and self._decision.reason not in {"at_contract", "below_contract", "tcp_limited", "receiver_slow"}:
            raise Over(f"cap_{by}", self._decision.limit_end)

    def _outcome(self, verdict: Verdict, reason: str, limit_end: End) -> Outcome:
        first = self._decision.first
        seconds = math.fsum(one.seconds for one in self._bins[first:])
        self._note(first)
        return Outcome(
            verdict=verdict,
            reason=reason,
            method=self.method,
            plan=self.plan,
            estimate=self._decision.estimate,
            bytes_ip=self.bytes_ip,
            seconds=time.monotonic() - self._began,
            goodput_bits_per_second=self._goodput_rate(first, seconds),
            limit_end=limit_end,
            bins=tuple(self._bins),
            facts=dict(self._facts),
        )

    def _goodput_rate(self, first: int, seconds: float) -> float:
        """No more than the line's rate has room for: what fills a hole acknowledges all that had come after it, in one bin."""
        if not seconds:
            return 0.0
        counted = sum(self._goodput[first:]) * 8 / seconds
        payload, headers = self._now.segment_bytes, self._now.headers_bytes
        most = self._decision.estimate.value * (payload / (payload + headers) if payload else 1.0)
        return min(counted, most) if most else counted

    def _note(self, first: int) -> None:
        """Figures to judge the verdict by."""
        judged = self._bins[first:] or self._bins
        packets, lost = sum(one.packets for one in judged), sum(one.lost for one in judged)
        self._facts["streams"] = str(len(self._pipes))
        self._facts["judged_from_bin"] = str(first)
        if math.isfinite(self._rtt_seconds):
            self._facts["rtt_seconds"] = f"{self._rtt_seconds:.6f}"
        if judged:
            self._facts["queue_seconds"] = f"{statistics.median(one.queue_seconds for one in judged):.6f}"
        if not self.sends or not packets:
            return
        self._facts["sent_again_ratio"] = f"{lost / packets:.6f}"
        limit = mathis_bits_per_second(self._now.segment_bytes, self._rtt_seconds, lost / packets, len(self._pipes))
        if math.isfinite(limit):
            self._facts["mathis_bits_per_second"] = str(round(limit))
