"""What several streams of TCP add up to, by what the kernel tells of each."""

import dataclasses
import math
import socket

import pytest

from probes import _streams
from probes._capacity import Estimate
from probes._capacity_run import Over
from probes._stream_pipe import Receiver
from probes._stream_rules import stream_plan
from probes._streams import StreamTest
from probes._wire.tcp_info import TcpInfo

IDLE = TcpInfo(
    segment_bytes=1448,
    timestamps=True,
    rtt_seconds=0.012,
    least_rtt_seconds=0.010,
    receive_rtt_seconds=0.020,
    acknowledged_bytes=0,
    selectively_acknowledged=0,
    duplicates=0,
    unacknowledged=0,
    sent_segments=0,
    sent_again=0,
    received_bytes=0,
    arrived_segments=0,
    arrived_segment_bytes=1448,
    refused_seconds=0.0,
)


class Bare(StreamTest):
    def _open(self, family, where, source):
        raise NotImplementedError

    def _tick(self, now):
        raise NotImplementedError


class Wire:
    """A test of two streams whose kernel says what it is told to."""

    def __init__(self, monkeypatch, direction):
        self.test = Bare(stream_plan(direction, 100e6))
        self.test._facts["ip_version"] = "4"
        self.infos = {}
        monkeypatch.setattr(_streams, "tcp_info_of", self.infos.__getitem__)
        for ends in (socket.socketpair(), socket.socketpair()):
            ends[1].close()
            pipe = Receiver(ends[0])
            self.test._pipes.append(pipe)
            self.infos[pipe.connection] = IDLE

    def tell(self, place, **changes):
        connection = self.test._pipes[place].connection
        self.infos[connection] = dataclasses.replace(self.infos[connection], **changes)


@pytest.fixture(params=["down"])
def wire(monkeypatch, request):
    made = Wire(monkeypatch, request.param)
    yield made
    for connection in made.infos:
        connection.close()


UP = pytest.mark.parametrize("wire", ["up"], indirect=True)


def test_what_was_sent_counts_with_its_headers_once_it_has_been_delivered(wire):
    wire.tell(0, acknowledged_bytes=144_800, selectively_acknowledged=10, unacknowledged=30)
    wire.tell(1, acknowledged_bytes=14_480)
    total = wire.test._look()
    assert total.bytes_ip == pytest.approx(120 * 1500)
    assert total.cost == pytest.approx(140 * 1500)
    assert total.goodput == 159_280


@UP
def test_segments_that_arrived_count_however_many_are_missing_before_them(wire):
    """The second look has a hole: what is in order grew by one segment, though ten arrived."""
    wire.tell(0, arrived_segments=100, received_bytes=144_800)
    assert wire.test._look().bytes_ip == pytest.approx(100 * 1500)
    wire.tell(0, arrived_segments=110, received_bytes=146_248)
    assert wire.test._look().bytes_ip == pytest.approx(110 * 1500)


@UP
def test_a_stream_that_has_ended_keeps_what_it_brought(wire):
    wire.tell(0, arrived_segments=100, received_bytes=144_800)
    wire.tell(1, arrived_segments=50, received_bytes=72_400)
    wire.test._gone_with(wire.test._pipes[0])
    assert len(wire.test._pipes) == 1
    assert wire.test._look().bytes_ip == pytest.approx(150 * 1500)


def test_a_kernel_that_knows_no_round_trip_yet_tells_none(wire):
    for place in range(2):
        wire.tell(place, least_rtt_seconds=4294.967295, rtt_seconds=0.0)
    wire.test._look()
    assert math.isinf(wire.test._rtt_seconds)
    assert wire.test._queues == []
    wire.tell(0, least_rtt_seconds=0.010, rtt_seconds=0.014)
    wire.test._look()
    assert wire.test._rtt_seconds == 0.010
    assert wire.test._queues == [pytest.approx(0.004)]


def test_the_queue_of_a_bin_is_the_least_that_stood_in_it(wire):
    wire.test._queues = [0.009, 0.004, 0.007]
    wire.test._close_bin(0.05, 600_000, 580_000)
    assert wire.test._bins[0].queue_seconds == 0.004
    assert wire.test._queues == []


def test_of_what_was_acknowledged_most_must_have_reached_the_other_program_and_no_more_than_was_sent(wire):
    wire.tell(0, acknowledged_bytes=20_000_000)
    sent = int(wire.test._look().cost)
    wire.test._compare(sent, 20_000_000)
    wire.test._compare(8_000_001, 20_000_000)
    with pytest.raises(Over, match="peer_lied"):
        wire.test._compare(sent + 1, 20_000_000)
    with pytest.raises(Over, match="peer_disagrees"):
        wire.test._compare(7_900_000, 20_000_000)


def test_goodput_is_no_more_than_the_lines_rate_has_room_for(wire):
    wire.test._goodput = [650_000] * 10
    wire.test._now.segment_bytes, wire.test._now.headers_bytes = 1448, 52
    wire.test._decision = dataclasses.replace(wire.test._decision, estimate=Estimate(99e6, 100e6, 101e6))
    assert wire.test._goodput_rate(0, 0.5) == pytest.approx(100e6 * 1448 / 1500)
    wire.test._goodput = [600_000] * 10
    assert wire.test._goodput_rate(0, 0.5) == 96e6
    assert wire.test._goodput_rate(0, 0.0) == 0.0
