"""The far end of a line: whom it serves, how much, and what it never does."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch.reflector import Limits
from netwatch.reflector._limits import refusal_of
from probes._capacity import plan
from probes._capacity_udp import UdpTest
from probes._control import Control, Gone, Turned, introduce
from probes._paced import BIN_NS
from probes._wire.capacity import PREAMBLE, Challenge, Done, Framer, GoOn, Heard, Hello, Method, Opened, Ready, Refusal, Request, Stop
from probes._wire.capacity_data import Kind, join, open_datagram, parse_short
from tests.capacity_peer import TOKEN, reflecting

UP = Request(Method.UDP, 0, 0, 5_000_000, 1_000_000, 5000)
ROOT = Path(__file__).parent.parent


@contextlib.contextmanager
def known(port):
    """A control connection on which both have shown that they know the token."""
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        yield introduce(connection, TOKEN)


def wait_for(control, kind):
    while True:
        for message in control.poll():
            if isinstance(message, kind):
                return message
        time.sleep(0.002)


def requests():
    return st.builds(
        Request,
        st.integers(0, 255),
        st.integers(0, 255),
        st.integers(0, 255),
        st.integers(0, 2**64 - 1),
        st.integers(0, 2**64 - 1),
        st.integers(0, 2**32 - 1),
    )


@given(requests(), st.integers(0, 10**12))
def test_whatever_is_asked_for_what_is_taken_is_within_every_limit(request, spent):
    limits = Limits()
    if refusal_of(request, limits, spent) is None:
        assert request.method in set(Method)
        assert request.pace <= limits.bits_per_second
        assert 0 < request.max_bytes <= limits.test_bytes
        assert request.max_bytes + spent <= limits.day_bytes
        assert request.max_milliseconds <= limits.test_seconds * 1000
        assert request.method == Method.UDP or 1 <= request.streams <= 16


@pytest.mark.parametrize(
    ("limits", "refusal", "most"),
    [
        (Limits(bits_per_second=1e6), Refusal.RATE, 1_000_000),
        (Limits(test_bytes=1000), Refusal.BYTES, 1000),
        (Limits(test_seconds=1), Refusal.SECONDS, 1000),
    ],
)
def test_a_test_beyond_a_limit_is_refused_with_the_limit(limits, refusal, most):
    with reflecting(limits) as port, pytest.raises(Turned) as turned:
        UdpTest(plan("up", 5e6), TOKEN).run(socket.AF_INET, ("127.0.0.1", port))
    assert (turned.value.refusal, turned.value.limit) == (refusal, most)


def test_what_was_carried_counts_for_a_day():
    now = [0.0]
    with reflecting(Limits(day_bytes=1_600_000), clock=lambda: now[0]) as port:

        def run():
            return UdpTest(plan("up", 5e6, max_bytes=1_500_000), TOKEN).run(socket.AF_INET, ("127.0.0.1", port)).verdict

        assert run() == "proved"
        with pytest.raises(Turned) as turned:
            run()
        assert turned.value.refusal == Refusal.BYTES
        now[0] = 86_401.0
        assert run() == "proved"


def test_a_second_test_is_told_that_it_is_busy_and_the_first_goes_on():
    with reflecting() as port, known(port) as first, known(port) as second:
        first.send(UP)
        first.receive(Ready)
        second.send(UP)
        with pytest.raises(Turned) as turned:
            second.receive(Ready)
        assert turned.value.refusal == Refusal.BUSY
        assert first.poll() == []


def test_a_prober_that_leaves_before_the_test_leaves_it_free():
    with reflecting() as port:
        with known(port) as first:
            first.send(UP)
            first.receive(Ready)
        assert UdpTest(plan("up", 5e6), TOKEN).run(socket.AF_INET, ("127.0.0.1", port)).verdict == "proved"


def test_who_does_not_know_the_token_gets_no_test():
    with reflecting() as port, socket.create_connection(("127.0.0.1", port), 5) as connection, pytest.raises(Turned) as turned:
        introduce(connection, b"wrong")
    assert turned.value.refusal == Refusal.TOKEN


def test_a_proof_is_looked_at():
    """Whoever only pretends learns nothing that the next could use."""
    with reflecting() as port, socket.create_connection(("127.0.0.1", port), 5) as connection:
        control = Control(connection, Framer(b"prober", b"reflector"))
        connection.sendall(PREAMBLE)
        control.receive(Challenge)
        control.send(Hello(b"n" * 32, b"p" * 32))
        with pytest.raises(Turned):
            control.receive(Ready)
        with pytest.raises(Gone):
            control.receive(Ready)


def test_the_reflector_has_to_know_the_token_too():
    with reflecting(token=b"other") as port, socket.create_connection(("127.0.0.1", port), 5) as connection, pytest.raises(Turned):
        introduce(connection, TOKEN)


@pytest.mark.parametrize("opening", [b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 100, b"NWJ1" + bytes(25), b"NWC"])
def test_strangers_are_shown_the_door(opening):
    with reflecting() as port, socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(opening)
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(100) == b""


def test_a_crowd_of_silent_connections_does_not_grow_and_is_gone_after_seconds():
    with reflecting() as port, contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(socket.create_connection(("127.0.0.1", port), 10)) for _ in range(40)]
        ended = [one for one in crowd if one.recv(10) == b""]
        assert len(ended) == 40
        with known(port) as control:
            control.send(UP)
            assert control.receive(Ready)


def opened(control, datagrams):
    """OPEN, COOKIE, ECHO up to `Opened`; gives the test."""
    ready = control.receive(Ready)
    datagrams.settimeout(5)
    datagrams.connect(("127.0.0.1", ready.port))
    datagrams.send(open_datagram(control.framer.key, ready.test))
    _, _, cookie = parse_short(datagrams.recv(2048))
    datagrams.send(open_datagram(control.framer.key, ready.test, cookie))
    return ready.test


def test_no_datagram_is_answered_that_does_not_come_from_who_proved_himself():
    with reflecting() as port, known(port) as control, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        control.send(UP)
        ready = control.receive(Ready)
        datagrams.connect(("127.0.0.1", ready.port))
        datagrams.settimeout(5)
        strangers = [
            b"",
            b"x" * 1400,
            open_datagram(b"k" * 32, ready.test),
            open_datagram(control.framer.key, b"wrong id"),
            open_datagram(control.framer.key, ready.test, b"guessed cookie!!"),
        ]
        for one in strangers:
            datagrams.send(one)
        question = open_datagram(control.framer.key, ready.test)
        datagrams.send(question)
        answer = datagrams.recv(2048)
        assert parse_short(answer)[0] is Kind.COOKIE
        assert len(answer) <= len(question)
        datagrams.settimeout(0.2)
        with pytest.raises(TimeoutError):
            datagrams.recv(2048)


def test_a_prober_that_says_nothing_more_is_sent_nothing_more():
    with reflecting() as port, known(port) as control, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        control.send(Request(Method.UDP, 0, 0, 1_000_000, 10_000_000, 20_000))
        opened(control, datagrams)
        wait_for(control, Opened)
        done = wait_for(control, Done)
        assert done.nanoseconds < 3_000_000_000
        assert done.bytes_sent < 1_000_000


def test_it_never_sends_more_than_was_asked_for():
    with reflecting() as port, known(port) as control, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        control.send(Request(Method.UDP, 0, 0, 20_000_000, 50_000, 5000))
        opened(control, datagrams)
        assert wait_for(control, Done).bytes_sent == 50_000 // 1400 * 1400


def streams_of(control, port, stack, count):
    ready = control.receive(Ready)
    made = []
    for number in range(count):
        stream = stack.enter_context(socket.create_connection(("127.0.0.1", port), 5))
        stream.sendall(join(control.framer.key, ready.test, number))
        made.append(stream)
    wait_for(control, Opened)
    return made


def test_tcp_streams_are_filled_until_it_is_stopped():
    with reflecting() as port, known(port) as control, contextlib.ExitStack() as stack:
        control.send(Request(Method.TCP, 0, 3, 0, 100_000_000, 5000))
        streams = streams_of(control, port, stack, 3)
        received = [len(stream.recv(1000)) for stream in streams]
        assert all(received)
        control.send(Stop())
        assert wait_for(control, Done).bytes_sent >= sum(received)


def test_tcp_streams_are_emptied_and_their_bins_told():
    with reflecting() as port, known(port) as control, contextlib.ExitStack() as stack:
        control.send(Request(Method.TCP, 1, 2, 0, 10_000_000, 5000))
        for stream in streams_of(control, port, stack, 2):
            stream.sendall(bytes(10_000))
        first = wait_for(control, Heard)
        assert first.microseconds * 1000 >= BIN_NS - 1000
        control.send(Stop())
        assert wait_for(control, Done).bytes_sent == 20_000


def test_who_fills_itself_stops_when_nobody_says_go_on():
    with reflecting() as port, known(port) as control, contextlib.ExitStack() as stack:
        control.send(Request(Method.TCP, 0, 1, 0, 100_000_000, 20_000))
        streams_of(control, port, stack, 1)
        control.send(GoOn())
        assert wait_for(control, Done).nanoseconds < 5_000_000_000


def test_a_stream_without_its_proof_does_not_join():
    with reflecting() as port, known(port) as control:
        control.send(Request(Method.TCP, 0, 1, 0, 1_000_000, 1000))
        ready = control.receive(Ready)
        with socket.create_connection(("127.0.0.1", port), 5) as stream:
            stream.sendall(join(b"k" * 32, ready.test, 0))
            assert stream.recv(10) == b""
        with pytest.raises(Gone):
            wait_for(control, Opened)


def test_a_token_there_must_be():
    with pytest.raises(ValueError, match="token"), reflecting(token=b""):
        pass


def start(*arguments, token):
    environment = {**os.environ, "NETWATCH_LINE_TOKEN": token, "LANG": "en"}
    return subprocess.Popen(
        [sys.executable, "-m", "netwatch", "reflector", *arguments], stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment
    )


def test_the_command_says_where_it_listens_serves_and_stops_at_sigterm():
    with start("--listen", "127.0.0.1:0", token=TOKEN.decode()) as process:
        try:
            told = process.stderr.readline()
            port = int(told.rpartition(":")[2])
            assert UdpTest(plan("down", 5e6), TOKEN).run(socket.AF_INET, ("127.0.0.1", port)).verdict == "proved"
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("arguments", "token", "code"),
    [
        (("--listen", "8621"), "x", 64),
        (("--listen", "fd00::1:8621"), "x", 64),
        (("--listen", ":99999"), "x", 64),
        (("--max-rate", "fast"), "x", 64),
        ((), "", 64),
        (("--token-file", "/nowhere"), "x", 66),
        (("--listen", "203.0.113.1:8621"), "x", 1),
    ],
)
def test_the_command_refuses_what_cannot_be(arguments, token, code):
    with start(*arguments, token=token) as process:
        try:
            assert process.wait(30) == code
            assert "Traceback" not in process.stderr.read()
        finally:
            process.kill()


def test_the_preamble_names_the_protocol_and_its_version():
    assert PREAMBLE == b"NWC1"
