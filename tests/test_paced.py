"""The clockwork of a test by UDP: what is in which bin, who was silent, what queued; and a sender whose route cannot cut packets."""

import errno
import socket
import struct
import sys
import time

import pytest

from probes._paced import SO_RXQ_OVFL, SO_TIMESTAMPNS, UDP_SEGMENT, Counter, Sender
from probes._wire.capacity import Heard
from probes._wire.capacity_data import Data, data_header
from tests.capacity_peer import TEST

MS = 1_000_000
PACE = 1400 * 8 * 1000  # a packet a millisecond, fifty a bin
WALL = 1_800_000_000_000_000_000
DELAY = 10 * MS


class Script:
    """Stands for a socket: hands over packets as the kernel would, with its stamps."""

    family = socket.AF_INET

    def __init__(self):
        self.queue = []

    def setsockopt(self, *_told):
        pass

    def recvmsg_into(self, buffers, _ancillary_bytes, _flags):
        if not self.queue:
            raise BlockingIOError
        data, stamp, dropped = self.queue.pop(0)
        header = data_header(TEST, data)
        buffers[0][: len(header)] = header
        ancillary = [
            (socket.SOL_SOCKET, SO_TIMESTAMPNS, struct.pack("=qq", *divmod(stamp, 1_000_000_000))),
            (socket.SOL_SOCKET, SO_RXQ_OVFL, dropped.to_bytes(4, sys.byteorder)),
        ]
        return 1400 - 28, ancillary, 0, None


class Line:
    """Packets given as number, when it was sent and how long it was under way, in milliseconds."""

    def __init__(self):
        self.now = WALL
        self.script = Script()
        self.counter = Counter(self.script, TEST, PACE, 10_000_000, lambda: self.now)

    def bins(self, packets, until=1_000, dropped=lambda _number: 0):
        self.script.queue += [
            (Data(number, WALL + int(sent * MS), 7, False), WALL + int((sent + delay) * MS), dropped(number))
            for number, sent, delay in packets
        ]
        self.now = WALL + int(until * MS)
        return self.counter.drain()


def even(count, first=0):
    return [(number, number, 10) for number in range(first, first + count)]


def test_a_packet_at_the_end_of_a_bin_is_the_first_of_the_next():
    first, second, *_ = Line().bins(even(60))
    assert (first.packets, second.packets) == (50, 10)
    assert (first.lost, first.idle_microseconds, first.queue_microseconds) == (0, 0, 0)


def test_a_bin_is_over_once_what_was_stamped_in_it_has_been_read():
    line = Line()
    assert line.bins(even(50), until=10 + 50 + 4.9) == []
    assert [one.packets for one in line.bins([], until=10 + 50 + 5)] == [50]


def test_the_queue_of_a_bin_is_the_most_above_the_least_of_the_test():
    packets = [(number, number, {20: 16, 40: 13}.get(number, 10)) for number in range(50)]
    assert [one.queue_microseconds for one in Line().bins(packets)[:2]] == [6_000, 0]


def test_a_sender_that_pauses_left_the_line_idle_but_for_what_was_queued():
    """It stops for 10 ms, and makes up for it at once; 6 ms of packets still stood in the line."""
    packets = [(number, number if number <= 20 else max(number, 31), 16 if number == 20 else 10) for number in range(50)]
    assert Line().bins(packets)[0].idle_microseconds == 4_000
    without_queue = [(number, sent, 10) for number, sent, _ in packets]
    assert Line().bins(without_queue)[0].idle_microseconds == 8_000


def test_a_sender_that_is_always_a_little_late_was_idle_too():
    packets = [(number, 1.5 * number, 10) for number in range(33)]
    assert Line().bins(packets)[0].idle_microseconds == pytest.approx(32 * 500 - 2_000, abs=1)


def test_no_bin_was_idle_for_longer_than_it_lasted():
    packets = [*even(20), (20, 200, 10)]
    assert [one.idle_microseconds for one in Line().bins(packets) if one.idle_microseconds] == [50_000]


def test_what_is_lost_is_told_once_and_is_nobodys_silence():
    packets = [one for one in even(100) if not 20 <= one[0] < 35]
    assert [(one.lost, one.idle_microseconds) for one in Line().bins(packets)[:2]] == [(15, 0), (0, 0)]


def test_packets_out_of_order_are_neither_lost_nor_late():
    line = Line()
    packets = even(50)
    packets[48], packets[49] = packets[49], packets[48]
    one = line.bins([(number, sent, 10 + (number == 48) * 1.5) for number, sent, _ in packets])[0]
    assert (one.packets, one.lost, one.idle_microseconds, line.counter.highest) == (50, 0, 0, 49)


def test_what_the_socket_dropped_is_told_of_the_bin_in_which_it_did():
    found = Line().bins(even(150), dropped=lambda number: 3 if number >= 70 else 0)
    assert [bool(one.flags & Heard.DROPPED) for one in found[:3]] == [False, True, False]


@pytest.mark.parametrize(("moved", "stepped"), [(0.0, False), (0.004, False), (0.006, True), (-0.006, True)])
def test_a_clock_that_is_set_forwards_or_back_is_noticed(monkeypatch, moved, stepped):
    monkeypatch.setattr(time, "monotonic_ns", lambda: 1_000 * MS)
    line = Line()
    line.now += int(moved * 1e9)
    line.counter._watch_clock()
    assert bool(line.counter.flags & Heard.CLOCK_STEPPED) is stepped


class Route:
    """A socket whose device cannot cut large packets."""

    family = socket.AF_INET

    def __init__(self):
        self.sent, self.options = [], []

    def setsockopt(self, *told):
        self.options.append(told)

    def send(self, datagrams):
        if len(datagrams) > 1400:
            raise OSError(errno.EIO, "no")
        self.sent.append(len(datagrams))


def test_where_the_device_cannot_cut_packets_they_are_sent_one_by_one():
    route = Route()
    sender = Sender(route, TEST, 400e6, 10_000_000)
    sender.send_due(1)
    sender.send_due(50 * MS)
    assert route.options == [(socket.IPPROTO_UDP, UDP_SEGMENT, 1372), (socket.IPPROTO_UDP, UDP_SEGMENT, 0)]
    sender.send_due(60 * MS)
    assert set(route.sent) == {1372}
    assert sender.sent == len(route.sent) > 100
