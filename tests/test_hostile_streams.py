"""Far ends of a test by TCP that count wrongly, break off or keep to no pace: whatever they do, no line is refuted for it."""

import socket
import struct

import pytest

from netwatch.reflector import _tcp
from probes._capacity_tcp import TcpTest
from tests.capacity_peer import TOKEN, reflecting
from tests.test_capacity_streams import plan, run

NOW = struct.pack("ii", 1, 0)
LONG = {"burst_bytes": 5_000_000, "max_bytes": 40_000_000}
HALF = {"tcp_limited", "too_few", "cap_bytes", "cap_seconds", "peer_disagrees", "above_contract"}  # half of loopback is above it, too
arrived, move = _tcp._Streams._arrived, _tcp._Streams._move


def counting(times):
    """What arrived, so many times over."""
    return "_arrived", lambda streams: tuple(int(one * times) for one in arrived(streams))


def resetting(streams, stream):
    """Each stream, once some of it has come."""
    move(streams, stream)
    if streams._total > 1_000_000 and stream in streams._selector.get_map():  # not gone by itself
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NOW)
        streams._selector.unregister(stream)
        stream.close()


def ending(streams, stream):
    """In order, though nobody has asked for that."""
    move(streams, stream)
    if streams._total > 1_000_000 and stream in streams._selector.get_map():  # not gone by itself
        stream.shutdown(socket.SHUT_RDWR)
        streams._selector.unregister(stream)


@pytest.mark.parametrize(
    ("direction", "part", "behave", "reasons"),
    [
        ("down", *counting(3), {"peer_lied"}),
        ("down", *counting(0.5), HALF),
        ("down", "_move", resetting, {"peer_gone"}),
        ("up", "_move", resetting, {"peer_gone"}),
        ("down", "_move", ending, {"peer_gone"}),
        ("up", "_move", ending, {"peer_gone"}),
    ],
)
def test_for_a_far_end_that_counts_wrongly_or_breaks_off_no_line_is_refuted(monkeypatch, direction, part, behave, reasons):
    monkeypatch.setattr(_tcp._Streams, part, behave)
    with reflecting() as port:
        outcome = run(TcpTest(plan(direction, **LONG), TOKEN), port)
    assert outcome.reason in reasons, outcome
    assert outcome.verdict == ("proved" if outcome.reason == "above_contract" else "inconclusive"), outcome


def test_a_far_end_that_keeps_to_no_pace_costs_no_more_than_the_cap_and_refutes_nothing(monkeypatch):
    monkeypatch.setattr(_tcp, "pace_stream", lambda *_: None)
    with reflecting() as port:
        test = TcpTest(plan("up"), TOKEN)
        outcome = run(test, port)
    assert outcome.verdict in {"proved", "inconclusive"}, outcome
    assert outcome.bytes_ip <= test.plan.max_bytes
