import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes._wire.stamp import (
    REPLY_BYTES,
    STAMP_BYTES,
    TWAMP_REQUEST_BYTES,
    BadPacket,
    ErrorEstimate,
    Reply,
    Request,
    from_ntp,
    from_ptp,
    to_ntp,
)

NOW_NS = 1_795_543_000_123_456_789
ERA_ENDS_NS = (2**32 - 2_208_988_800) * 10**9  # 2036-02-07T06:28:16Z

words = st.integers(0, 2**32 - 1)
stamps = st.integers(0, 2**64 - 1)
estimates = st.builds(ErrorEstimate, st.booleans(), st.booleans(), st.integers(0, 63), st.integers(0, 255))
requests = st.builds(Request, words, stamps, estimates, st.integers(0, 0xFFFF))
replies = st.builds(Reply, words, stamps, estimates, stamps, requests, st.integers(0, 255))


@given(st.binary(max_size=80))
def test_any_bytes_are_a_request_or_one_exception(data):
    try:
        request = Request.parse(data)
    except BadPacket:
        assert len(data) < TWAMP_REQUEST_BYTES
    else:
        assert request.encode()[:TWAMP_REQUEST_BYTES] == data[:TWAMP_REQUEST_BYTES]


@given(st.binary(max_size=80))
def test_any_bytes_are_a_reply_or_one_exception(data):
    try:
        reply = Reply.parse(data)
    except BadPacket:
        assert len(data) < REPLY_BYTES
    else:
        assert Reply.parse(reply.encode()) == reply


@given(requests, st.integers(STAMP_BYTES, 1472))
def test_a_request_is_read_as_it_was_written(request, size):
    packet = request.encode(size)
    assert (len(packet), Request.parse(packet)) == (size, request)


@given(replies, st.integers(REPLY_BYTES, 1472))
def test_a_reply_is_read_as_it_was_written(reply, size):
    packet = reply.encode(size)
    assert (max(size, REPLY_BYTES), Reply.parse(packet)) == (len(packet), reply)


@given(requests)
def test_padding_of_a_twamp_sender_is_no_session_identifier(request):
    assert Request.parse(request.encode()[: STAMP_BYTES - 1]).ssid == 0


def test_every_field_stands_where_the_rfc_puts_it():
    request = Request(0x01020304, 0x1112131415161718, ErrorEstimate(True, False, 5, 0x86), 0x2122)
    assert request.encode().hex() == "01020304" + "1112131415161718" + "8586" + "2122" + "00" * 28
    reply = Reply(0x31323334, 0x4142434445464748, ErrorEstimate(False, True, 6, 7), 0x5152535455565758, request, 0xFE)
    expected = "31323334" + "4142434445464748" + "4607" + "2122" + "5152535455565758" + "01020304" + "1112131415161718" + "8586" + "0000"
    assert reply.encode().hex() == expected + "fe" + "000000"


@given(st.floats(0, 1e9))
def test_an_error_estimate_is_never_below_the_error_and_never_much_above(seconds):
    written = ErrorEstimate.decode(ErrorEstimate.of(seconds, synchronised=True).encode())
    assert written.synchronised
    assert written.multiplier > 0
    assert seconds <= written.seconds <= max(seconds * 1.01, 2.0**-32)


def test_an_error_beyond_all_writing_is_the_greatest_that_can_be_written():
    assert ErrorEstimate.of(float("inf"), synchronised=False).seconds >= 2**31


@given(st.integers(0, 2**62), st.integers(-(10**18), 10**18))
def test_a_time_is_read_back_to_the_nanosecond_in_any_era(wall_ns, off_ns):
    assert from_ntp(to_ntp(wall_ns), wall_ns + off_ns) == wall_ns


def test_the_known_second_of_ntp():
    # RFC 5905 figure 4: 1970-01-01 is 2,208,988,800 of era 0.
    assert to_ntp(0) == 2_208_988_800 << 32
    assert to_ntp(500_000_000) & 0xFFFFFFFF == 0x80000000
    assert to_ntp(ERA_ENDS_NS) == 0
    assert from_ntp(0, NOW_NS) == ERA_ENDS_NS


def test_a_ptp_time_is_seconds_and_nanoseconds():
    assert from_ptp(1_795_543_000 << 32 | 123_456_789) == NOW_NS


@pytest.mark.parametrize("size", range(TWAMP_REQUEST_BYTES))
def test_a_truncated_request_is_refused(size):
    with pytest.raises(BadPacket, match=f"{size} bytes"):
        Request.parse(bytes(size))


@pytest.mark.parametrize("size", range(REPLY_BYTES))
def test_a_truncated_reply_is_refused(size):
    with pytest.raises(BadPacket, match=f"{size} bytes"):
        Reply.parse(bytes(size))
