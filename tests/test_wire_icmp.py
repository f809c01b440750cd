import contextlib
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes._wire.icmp import (
    IPV4,
    IPV6,
    BadMessage,
    IcmpError,
    Quote,
    checksum,
    echo_filter,
    message_of,
    parse_error,
    parse_quote,
    parse_stamp,
    reason,
)
from tests import icmp_peer

OFFENDER_V4 = struct.pack("=HH", socket.AF_INET, 0) + socket.inet_aton("10.1.2.3") + bytes(8)
OFFENDER_V6 = struct.pack("=HHI", socket.AF_INET6, 0, 0) + socket.inet_pton(socket.AF_INET6, "fd00::7") + bytes(4)


def extended(origin, kind, code):
    return struct.pack("=IBBBBII", 113, origin, kind, code, 0, 0, 0)


@given(st.binary(max_size=80))
def test_any_bytes_give_an_error_message_or_one_exception(data):
    try:
        assert isinstance(parse_error(data), IcmpError)
    except BadMessage:
        assert len(data) < 16


@given(st.binary(max_size=80), st.sampled_from([IPV4, IPV6]))
def test_any_bytes_give_a_quote_or_one_exception(data, version):
    try:
        quote = parse_quote(data, version)
    except BadMessage:
        assert len(data) < 8 or data[:2] != version.request[:2]
    else:
        assert quote.sequence == data[6:8]
        assert quote.token in {b"", data[6:16]}


@given(st.binary(max_size=40))
def test_any_bytes_give_a_stamp_or_one_exception(data):
    try:
        assert isinstance(parse_stamp(data), int)
    except BadMessage:
        assert len(data) != 16


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255))
def test_every_type_and_code_has_a_word_or_none(origin, kind, code):
    assert reason(origin, kind, code).replace("_", "").isalpha() or reason(origin, kind, code) == ""


@given(st.integers(0, 2**40), st.integers(0, 999_999_999))
def test_a_stamp_is_nanoseconds(seconds, nanoseconds):
    assert parse_stamp(struct.pack("=qq", seconds, nanoseconds)) == seconds * 10**9 + nanoseconds


@pytest.mark.parametrize(
    ("origin", "kind", "code", "word"),
    [
        (2, 3, 0, "net_unreachable"),
        (2, 3, 1, "host_unreachable"),
        (2, 3, 4, "packet_too_big"),
        (2, 3, 13, "admin_prohibited"),
        (2, 3, 99, "unreachable"),
        (2, 11, 0, "ttl_exceeded"),
        (2, 12, 0, "parameter_problem"),
        (3, 1, 0, "net_unreachable"),
        (3, 1, 1, "admin_prohibited"),
        (3, 1, 3, "host_unreachable"),
        (3, 1, 99, "unreachable"),
        (3, 2, 0, "packet_too_big"),
        (3, 3, 0, "ttl_exceeded"),
        (3, 4, 1, "parameter_problem"),
        (2, 5, 1, ""),  # a redirect: the packet goes on
        (2, 4, 0, ""),  # source quench
        (1, 3, 1, ""),  # our own kernel
    ],
)
def test_icmp_errors_have_stable_words(origin, kind, code, word):
    assert parse_error(extended(origin, kind, code) + OFFENDER_V4) == IcmpError(word, "10.1.2.3")


def test_the_offender_may_be_ipv6_or_unknown():
    assert parse_error(extended(3, 1, 3) + OFFENDER_V6).offender == "fd00::7"
    assert parse_error(extended(3, 1, 3) + bytes(16)).offender == ""
    assert parse_error(extended(2, 3, 1)).offender == ""


def test_a_quote_has_a_token_only_when_the_nonce_is_whole():
    header = bytes([8, 0, 1, 2, 3, 4, 5, 6])
    assert parse_quote(header + b"12345678", IPV4) == Quote(b"\5\6", b"\5\x0612345678")
    assert parse_quote(header + b"1234567", IPV4) == Quote(b"\5\6", b"")
    assert parse_quote(header, IPV4) == Quote(b"\5\6", b"")


@pytest.mark.parametrize("data", [bytes([0, 0, 0, 0, 0, 0, 0, 1]), bytes([8, 1, 0, 0, 0, 0, 0, 1]), bytes([128, 0, 0, 0, 0, 0, 0, 1])])
def test_a_quote_of_something_else_is_refused(data):
    with pytest.raises(BadMessage):
        parse_quote(data, IPV4)


@given(st.binary(min_size=1, max_size=1600).filter(any))
def test_the_checksum_is_that_of_rfc_1071_in_its_plain_form(message):
    assert checksum(message) % 0xFFFF == icmp_peer.checksum(message) % 0xFFFF


@given(st.binary(min_size=4, max_size=100), st.binary(max_size=40).map(lambda options: options[: len(options) // 4 * 4]))
def test_a_message_is_found_behind_its_ip_header_and_only_with_a_right_checksum(payload, options):
    body = b"\0\0\0\0" + payload
    message = body[:2] + checksum(body).to_bytes(2) + body[4:]
    header = bytes([0x45 + len(options) // 4]) + bytes(19) + options
    if any(body):
        assert message_of(header + message, IPV4) == message
        spoilt = message[:2] + bytes([message[2] ^ 1]) + message[3:]
        with pytest.raises(BadMessage):
            message_of(header + spoilt, IPV4)
    assert message_of(message, IPV6) == message


@given(st.binary(max_size=100))
def test_any_datagram_gives_a_message_or_one_exception(data):
    with contextlib.suppress(BadMessage):
        assert len(message_of(data, IPV4)) >= 8


@pytest.mark.parametrize(("version", "instructions"), [(IPV4, 7), (IPV6, 6)])
def test_a_filter_is_whole_instructions_and_names_the_identifier(version, instructions):
    program = echo_filter(version, b"\x12\x34")
    assert len(program) == instructions * 8
    assert program != echo_filter(version, b"\x12\x35")
