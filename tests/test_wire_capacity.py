"""The bytes of a capacity test: what goes in comes out, and nothing else comes in."""

import contextlib
import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes._wire import capacity, capacity_data
from probes._wire.capacity import TYPES, BadFrame, Framer, GoOn, Heard, Hello, Request, Stop
from probes._wire.capacity_data import (
    DATA_BYTES,
    JOIN_BYTES,
    Data,
    Kind,
    cookie_datagram,
    data_header,
    join,
    open_datagram,
    parse_data,
    parse_short,
    short_tag,
)

KEY = b"k" * 32
TEST = b"12345678"
SIZES = {"B": 8, "H": 16, "I": 32, "Q": 64}


def field_values(kind):
    """A strategy for each field, from the layout."""
    codes, number = [], ""
    for letter in kind.LAYOUT.format.removeprefix("!"):
        if letter.isdigit():
            number += letter
        else:
            codes.append((letter, int(number or 1)))
            number = ""
    for letter, count in codes:
        if letter == "s":
            yield st.binary(min_size=count, max_size=count)
        else:
            yield from (st.integers(0, 2 ** SIZES[letter] - 1) for _ in range(count))


def messages():
    made = []
    for kind in TYPES.values():
        rest = [st.binary(max_size=600)] if kind is Heard else []
        made.append(st.tuples(*field_values(kind), *rest).map(lambda values, kind=kind: kind(*values)))
    return st.one_of(made)


def pair(key=KEY):
    ours, theirs = Framer(b"a", b"b"), Framer(b"b", b"a")
    ours.key = theirs.key = key
    return ours, theirs


@given(st.lists(messages(), max_size=6), st.integers(1, 40))
def test_messages_come_out_as_they_went_in_however_the_bytes_are_cut(sent, size):
    ours, theirs = pair()
    stream = b"".join(ours.pack(message) for message in sent)
    read = [message for start in range(0, len(stream), size) for message in theirs.feed(stream[start : start + size])]
    assert read == sent


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_or_waited_for(received):
    for framer in (Framer(b"a", b"b"), pair()[0]):
        try:
            for message in framer.feed(received):
                assert dataclasses.is_dataclass(message)
        except BadFrame:
            pass


@given(messages(), st.data())
def test_a_changed_bit_is_found(message, data):
    ours, theirs = pair()
    frame = bytearray(ours.pack(message))
    place = data.draw(st.integers(0, len(frame) * 8 - 1))
    frame[place // 8] ^= 1 << place % 8
    with contextlib.suppress(BadFrame):
        assert list(theirs.feed(bytes(frame))) == []  # a longer length: it waits for the rest


def test_a_frame_cannot_be_replayed_reordered_or_sent_back():
    ours, theirs = pair()
    go_on, stop = ours.pack(GoOn()), ours.pack(Stop())
    assert list(theirs.feed(go_on)) == [GoOn()]
    with pytest.raises(BadFrame):
        list(theirs.feed(go_on))
    with pytest.raises(BadFrame):
        list(pair()[1].feed(stop))
    with pytest.raises(BadFrame):
        list(ours.feed(go_on))


def test_before_it_is_known_who_speaks_only_short_frames_are_taken():
    with pytest.raises(BadFrame):
        list(Framer(b"a", b"b").feed((5000).to_bytes(2, "big") + b"\x02"))
    assert list(pair()[0].feed((5000).to_bytes(2, "big") + b"\x0b")) == []


def test_a_frame_of_the_wrong_length_is_refused():
    length = Request.LAYOUT.size - 1
    with pytest.raises(BadFrame):
        list(Framer(b"a", b"b").feed(length.to_bytes(2, "big") + b"\x05" + bytes(length)))


def test_a_proof_depends_on_the_token_both_nonces_and_who_gives_it():
    proofs = {
        capacity.proof(token, who, one, other)
        for token in (b"x", b"y")
        for who in (b"prober", b"reflector")
        for one in (b"1" * 32, b"2" * 32)
        for other in (b"3" * 32, b"4" * 32)
    }
    assert len(proofs) == 16
    assert Hello(b"n" * 32, b"p" * 32).proof == b"p" * 32


@given(
    st.builds(Data, st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.booleans()), st.binary(max_size=64)
)
def test_a_data_packet_is_read_back_whatever_fills_it(data, filler):
    assert parse_data(data_header(TEST, data) + filler, TEST) == data
    assert parse_data(data_header(TEST, data) + filler, b"87654321") is None
    assert parse_data(data_header(TEST, data)[: DATA_BYTES - 1], TEST) is None


@given(st.binary(max_size=80))
def test_any_datagram_is_read_or_refused(datagram):
    parse_data(datagram, TEST)
    try:
        kind, test, rest = parse_short(datagram)
    except BadFrame:
        return
    assert (kind in {Kind.OPEN, Kind.COOKIE, Kind.ECHO}, len(test), len(rest)) == (True, 8, 16)


def test_what_the_reflector_answers_is_no_longer_than_what_asked():
    question, answer = open_datagram(KEY, TEST), cookie_datagram(TEST, b"c" * 16)
    assert len(answer) <= len(question)
    assert parse_short(answer) == (Kind.COOKIE, TEST, b"c" * 16)
    assert parse_short(open_datagram(KEY, TEST, b"c" * 16)) == (Kind.ECHO, TEST, short_tag(KEY, Kind.ECHO, TEST + b"c" * 16))


def test_an_echo_shows_the_key_and_the_cookie():
    echoes = {open_datagram(key, TEST, cookie) for key in (KEY, b"l" * 32) for cookie in (b"c" * 16, b"d" * 16)}
    assert len(echoes) == 4


def test_a_stream_that_joins_shows_the_key_the_test_and_its_number():
    joins = {join(key, test, stream) for key in (KEY, b"l" * 32) for test in (TEST, b"87654321") for stream in (0, 1)}
    assert {len(one) for one in joins} == {JOIN_BYTES}
    assert len(joins) == 8


@pytest.mark.parametrize(("ipv6", "headers"), [(False, 28), (True, 48)])
def test_headers_are_counted(ipv6, headers):
    assert capacity_data.headers_bytes(ipv6=ipv6) == headers
