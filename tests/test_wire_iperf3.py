"""The bytes of iperf3's control connection, and the kernel's tcp_info."""

import contextlib
import json
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes._capacity_http import Head, head_of
from probes._wire import tcp_info
from probes._wire.capacity import BadFrame
from probes._wire.iperf3 import Reader, State, cookie, parameters, received_bytes, results


def framed(body):
    return struct.pack("!I", len(body)) + body


def test_a_cookie_is_36_letters_and_a_zero():
    made = cookie(bytes(range(36)))
    assert (len(made), made[-1], made[:4]) == (37, 0, b"abcd")


def test_a_server_takes_reverse_for_true_whatever_its_value_so_it_is_left_out():
    for reverse in (False, True):
        sent = parameters(streams=4, reverse=reverse, seconds=6, pace_bits_per_second=1e6, block_bytes=1000)
        told = json.loads(sent[4:])
        assert ("reverse" in told, told["parallel"], len(sent) - 4) == (reverse, 4, struct.unpack("!I", sent[:4])[0])


def test_streams_of_results_are_numbered_as_iperf3_numbers_them():
    assert [one["id"] for one in json.loads(results([1, 2, 3], 1.0)[4:])["streams"]] == [1, 3, 4]


@given(st.binary(max_size=60), st.integers(1, 7))
def test_bytes_in_any_portions_are_read_the_same(body, size):
    sent = bytes([State.EXCHANGE_RESULTS]) + framed(json.dumps({"of": body.hex()}).encode()) + b"\xff"
    reader = Reader()
    got = []
    for start in range(0, len(sent), size):
        reader.feed(sent[start : start + size])
        if not got and (state := reader.state()) is not None:
            got.append(state)
        if len(got) == 1 and (document := reader.document()) is not None:
            got.append(document)
    assert got == [State.EXCHANGE_RESULTS, {"of": body.hex()}]
    assert reader.state() is State.ACCESS_DENIED


@given(st.binary(max_size=200))
def test_garbage_is_refused_or_awaited_and_nothing_else(garbage):
    for ask in ("state", "document", "error"):
        reader = Reader()
        reader.feed(garbage)
        with contextlib.suppress(BadFrame):
            getattr(reader, ask)()


@pytest.mark.parametrize(
    "sent", [struct.pack("!I", 1 << 31), framed(b"[1]"), framed(b"{"), framed(b"\xff\xff"), framed(b"[" * 5000), framed(b"")]
)
def test_a_document_that_is_none_is_refused(sent):
    reader = Reader()
    reader.feed(sent)
    with pytest.raises(BadFrame):
        reader.document()


@pytest.mark.parametrize(
    "told", [{}, {"streams": 4}, {"streams": [4]}, {"streams": [{}]}, {"streams": [{"bytes": -1}]}, {"streams": [{"bytes": True}]}]
)
def test_results_without_sums_are_refused(told):
    with pytest.raises(BadFrame):
        received_bytes(told)


def test_received_sums_are_those_of_all_streams():
    assert received_bytes({"streams": [{"bytes": 5}, {"bytes": 7.0}]}) == 12


def test_server_error_is_followed_by_two_numbers():
    reader = Reader()
    reader.feed(struct.pack("!bi", -2, 142))
    assert (reader.state(), reader.error()) == (State.SERVER_ERROR, None)
    reader.feed(struct.pack("!i", 104))
    assert reader.error() == (142, 104)


@given(st.binary(max_size=400))
def test_tcp_info_of_any_bytes_is_figures_or_an_error(told):
    try:
        found = tcp_info.parse(told)
    except ValueError:
        assert len(told) < tcp_info.SIZE
        return
    assert found.delivered_bytes >= found.acknowledged_bytes >= 0
    assert found.headers_bytes(ipv6=True) - found.headers_bytes(ipv6=False) == 20


def test_the_kernels_figures_are_where_we_look_for_them():
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as near:
        far, _ = listener.accept()
        with far:
            near.sendall(bytes(5000))
            received = 0
            while received < 5000:
                received += len(far.recv(5000))
            infos = [tcp_info.parse(one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, tcp_info.SIZE)) for one in (near, far)]
    assert infos[1].received_bytes == 5000
    assert 1 <= infos[1].arrived_segments <= infos[0].sent_segments
    assert infos[0].segment_bytes > 500
    assert 0 < infos[0].least_rtt_seconds <= infos[0].rtt_seconds < 10
    assert (infos[0].sent_again, infos[0].refused_seconds) == (0, 0.0)


@pytest.mark.parametrize(
    ("received", "head"),
    [
        (b"", None),
        (b"HTTP/1.1 200 OK\r\nA: b", None),
        (b"HTTP/1.1 200 OK\r\n\r\nbody", Head(200)),
        (b"HTTP/1.0 404\r\nlocation: x\r\n\r\n", Head(404, "x")),
        (b"HTTP/1.1 302 Found\r\nLOCATION : /b\r\n\r\n", Head(302, "/b")),
    ],
)
def test_the_head_of_an_answer(received, head):
    assert head_of(received) == head


@pytest.mark.parametrize("received", [b"SSH-2.0-x\r\n", b"HTTP/2 200\r\n\r\n", b"HTTP/1.1 99\r\n\r\n", b"HTTP/1.1 200 " + bytes(40_000)])
def test_what_is_no_http_is_refused(received):
    with pytest.raises(BadFrame):
        head_of(received)


@given(st.binary(max_size=100))
def test_any_bytes_after_a_good_start_are_an_answer_or_refused(more):
    with contextlib.suppress(BadFrame):
        head_of(b"HTTP/1.1 " + more)
