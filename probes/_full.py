"""The long test, asked for by hand: several streams of TCP for some seconds, with the figures of RFC 6349. Standard library only, without asyncio."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import statistics
import time
from typing import Any

from probes._capacity import Decision, Direction, End, Full, Outcome, Plan, Verdict
from probes._capacity_http import HttpTest
from probes._capacity_tcp import TcpTest
from probes._control import Control
from probes._iperf3 import Iperf3Test
from probes._stream_rules import slow_start_bins, stream_plan
from probes._stream_socket import tcp_info_of
from probes._streams import StreamTest
from probes._wire.capacity import BadFrame, Done, Heard
from probes._wire.tcp_info import TcpInfo

__all__ = ["FULL_SECONDS", "FullHttp", "FullIperf3", "FullTcp", "full_plan"]

FULL_SECONDS = 10.0
SPARE_SECONDS = 1.0  # of the pace, so that the time ends the test and not the bytes
ACCOUNT_SECONDS = 1.0  # for the far end's account of what it sent
ACCOUNT_LOOK_SECONDS = 0.005


def full_plan(
    direction: Direction,
    contract_bits_per_second: float,
    *,
    burst_bytes: int | None = None,
    max_bytes: int | None = None,
    max_seconds: float | None = None,
) -> Plan:
    """`max_seconds` is how long it lasts. No faster than the short test: head-room is shared by that rate."""
    seconds = max_seconds or FULL_SECONDS
    short = stream_plan(direction, contract_bits_per_second, burst_bytes=burst_bytes)
    most = math.ceil(short.pace_bits_per_second / 8 * (seconds + SPARE_SECONDS))
    return dataclasses.replace(short, max_bytes=max_bytes or most, max_seconds=seconds)


class _FullTest(StreamTest):
    """Goes on when it is settled, until its time is over. Stands before the class of its method, whose streams it watches."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._found: Decision = self._decision
        self._idle_seconds = 0.0
        self._round_trips: list[float] = []
        self._loaded: list[tuple[float, float]] = []  # when, and the median of the streams' round trips
        self._packet_bytes = 0
        self._sent = (0, 0)  # segments of the whole test, and those of them that were sent again

    def _flow(self) -> None:
        """While nothing flows, the handshakes tell how long a round trip takes."""
        least = [tcp_info_of(pipe.connection).least_rtt_seconds for pipe in self._pipes]
        self._idle_seconds = statistics.median(least)
        super()._flow()

    def _hold_back(self) -> None:
        """Not by the window: how much the line's own queue delays is to be seen. What is read keeps to the pace."""

    def _rtt_of(self, info: TcpInfo) -> float:
        found = super()._rtt_of(info)
        if found > 0:
            self._round_trips.append(found)
        largest = info.segment_bytes if self.sends else info.arrived_segment_bytes
        if self.sends or info.arrived_segments:
            self._packet_bytes = max(self._packet_bytes, largest + info.headers_bytes(ipv6=self.ipv6))
        return found

    def _close_bin(self, seconds: float, bytes_ip: float, goodput_bytes: int) -> None:
        super()._close_bin(seconds, bytes_ip, goodput_bytes)
        self._found = self._decision
        self._decision = dataclasses.replace(self._found, settled=False)
        if self._round_trips:
            self._loaded.append((time.monotonic() - self._began, statistics.median(self._round_trips)))
            self._round_trips.clear()
        if self.sends:
            self._sent = (self._now.segments, self._now.again)

    def _capped(self, by: str) -> None:
        self._decision = self._found
        super()._capped(by)

    def _goodput_rate(self, first: int, seconds: float) -> float:
        """Of all that followed slow start, not of the stretch by which it was judged."""
        del first, seconds
        judged = self._steady()
        lasted = math.fsum(one.seconds for one in self._bins[judged:])
        return sum(self._goodput[judged:]) * 8 / lasted if lasted else 0.0

    def _steady(self) -> int:
        """The first bin after slow start; where it never ended, the first of all."""
        first = slow_start_bins(self._bins, self._idle_seconds)
        return first if first < len(self._bins) else 0

    def _outcome(self, verdict: Verdict, reason: str, limit_end: End) -> Outcome:
        outcome = super()._outcome(verdict, reason, limit_end)
        begins = math.fsum(one.seconds for one in self._bins[: self._steady()])
        loaded = [found for at, found in self._loaded if at >= begins]
        segments, again = self._sent
        full = Full(
            streams=int(outcome.facts["streams"]),
            baseline_rtt_seconds=self._idle_seconds,
            loaded_rtt_seconds=statistics.fmean(loaded) if loaded else None,
            packet_bytes=self._packet_bytes,
            headers_bytes=self._now.headers_bytes,
            sent_again_ratio=again / segments if segments else None,
        )
        return dataclasses.replace(outcome, full=full)


class FullTcp(_FullTest, TcpTest):
    """With our reflector. What it sent again upwards it tells at the end; an older one does not."""

    def _finish(self) -> None:
        super()._finish()
        control = self._control
        if self.sends or control is None:
            return
        until = time.monotonic() + ACCOUNT_SECONDS
        with contextlib.suppress(OSError, BadFrame):  # the test itself is over
            while time.monotonic() < until and not self._accounted(control):
                time.sleep(ACCOUNT_LOOK_SECONDS)

    def _accounted(self, control: Control) -> bool:
        messages = control.poll()
        for message in messages:
            if isinstance(message, Heard) and 0 < message.packets >= message.lost:
                self._sent = (message.packets, message.lost)
        return any(isinstance(message, Done) for message in messages)


class FullIperf3(_FullTest, Iperf3Test):
    """With a stock server."""


class FullHttp(_FullTest, HttpTest):
    """With any server."""
