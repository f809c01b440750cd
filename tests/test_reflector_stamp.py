"""How a STAMP reflector counts, and whom it leaves out. The packets themselves: test_probe_stamp.py."""

import ipaddress
import socket
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch.reflector._stamp import Limits, Sessions, StampReflector, open_stamp
from probes._wire.stamp import ErrorEstimate, Reply, Request

FIRST, SECOND, THIRD = (("10.1.1.1", 5000, 7), ("10.1.1.1", 5001, 7), ("10.1.1.1", 5000, 8))


def test_each_sender_port_and_session_is_counted_by_itself():
    sessions = Sessions(Limits())
    assert [sessions.number(key, 0.0) for key in (FIRST, FIRST, SECOND, THIRD, FIRST)] == [0, 1, 0, 0, 2]


def test_a_session_that_was_idle_for_fifteen_minutes_begins_anew():
    sessions = Sessions(Limits())
    assert [sessions.number(FIRST, at) for at in (0.0, 900.0, 1800.0, 2700.1)] == [0, 1, 2, 0]
    assert len(sessions) == 1


def test_what_is_too_much_is_counted_but_not_answered():
    sessions = Sessions(Limits(session_per_second=2.0))
    assert [sessions.number(FIRST, at) for at in (0.0, 0.0, 0.0, 0.0, 0.5, 0.5)] == [0, 1, None, None, 4, None]


def test_a_clock_that_goes_back_gives_nothing_away():
    sessions = Sessions(Limits(session_per_second=1.0))
    assert [sessions.number(FIRST, at) for at in (10.0, 0.0, 0.5)] == [0, None, None]


def test_only_who_has_been_idle_for_a_minute_makes_room():
    sessions = Sessions(Limits(sessions=2))
    assert [sessions.number(key, at) for key, at in ((FIRST, 0.0), (SECOND, 30.0), (FIRST, 40.0), (THIRD, 80.0))] == [0, 0, 1, None]
    assert sessions.number(THIRD, 90.0) == 0, "the second has been idle for a minute, the first has not"
    assert [sessions.number(FIRST, 91.0), sessions.number(SECOND, 92.0)] == [2, None]


@given(st.lists(st.tuples(st.integers(0, 30), st.floats(0, 400)), max_size=100))
def test_there_are_never_more_sessions_than_allowed_and_numbers_never_repeat(packets):
    sessions, now, seen = Sessions(Limits(sessions=5)), 0.0, set()
    for sender, pause in packets:
        now += pause
        number = sessions.number(("10.1.1.1", sender, 1), now)
        assert len(sessions) <= 5
        if number == 0:
            seen = {one for one in seen if one[0] != sender}
        if number is not None:
            assert (sender, number) not in seen
            seen.add((sender, number))


def admitted(source, limits=None):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        reflector = StampReflector(listener, ErrorEstimate, limits or Limits())
        port = listener.getsockname()[1] if source[1] == "own" else source[1]
        return reflector._admitted((source[0], port, *source[2:]), Request(0, 0, ErrorEstimate()), monotonic())


@pytest.mark.parametrize(("port", "number"), [(7, None), (862, None), (1023, None), ("own", None), (1024, 0), (40_000, 0)])
def test_nothing_is_sent_to_where_a_service_or_a_reflector_may_listen(port, number):
    assert admitted(("10.1.1.1", port)) == number


@pytest.mark.parametrize(
    ("address", "number"),
    [("10.1.2.3", 0), ("::ffff:10.1.2.3", 0), ("fd00::1", 0), ("fe80::1%lo", None), ("10.2.2.3", None), ("fe00::1", None)],
)
def test_networks_hold_for_both_families(address, number):
    networks = (ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("fd00::/8"))
    assert admitted((address, 40_000), Limits(networks=networks)) == number


def test_all_senders_together_have_a_limit():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        reflector = StampReflector(listener, ErrorEstimate, Limits(all_per_second=3.0))
        now = monotonic()
        found = [reflector._admitted(("10.1.1.1", 2000 + one), Request(0, 0, ErrorEstimate()), now) for one in range(5)]
    assert found == [0, 0, 0, None, None]


def test_the_clock_is_asked_at_most_once_a_second():
    asked = []

    def estimate():
        asked.append(1)
        return ErrorEstimate.of(0.001, synchronised=True)

    (reflector,) = open_stamp("127.0.0.1", 0, estimate)
    began = monotonic()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.connect(reflector._socket.getsockname())
        for number in range(20):
            client.send(Request(number, 0, ErrorEstimate()).encode())
            reflector.read()
            assert Reply.parse(client.recv(100)).error.synchronised
    reflector.close()
    assert len(asked) <= 1 + (monotonic() - began)


def test_a_port_that_is_taken_leaves_nothing_open():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(OSError, match="in use"):
            open_stamp("127.0.0.1", taken.getsockname()[1], ErrorEstimate)
