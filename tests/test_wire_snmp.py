"""Heads of SNMP messages: what net-snmp sent, and whatever else may come."""

import contextlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch.lab import ber
from probes import Secret
from probes._snmp_user import Engines, User
from probes._wire.snmp import SIGNATURES, BadMessage, Plain, Secured, is_signed, read_plain, read_secured

ENGINE = bytes.fromhex("80001f8880b1f73526e97c056b00000000")
# From net-snmp 5.9.3: the user `watcher`, SHA-256 "authpassword" and AES "privpassword".
LATE = bytes.fromhex(
    "30818d020103301102044831dd23020300ffe30401010201030440303e041180001f8880b1f73526e97c056b0000000002010102010004077761746368657204183c"
    "241e2e4f0e260bec87b859b26eee2c456431b0383b9f4504003033041180001f8880b1f73526e97c056b000000000400a81c0201000201000201003011300f060a2b"
    "060106030f01010200410101"
)
ENCRYPTED = bytes.fromhex(
    "3081a80201033011020403771aec020300ffe304010302010304483046041180001f8880b1f73526e97c056b000000000201010201000407776174636865720418f5"
    "858ce61e986439da2d81ef384eb04c194c4cd0982c6ad004081852a9b08954bb9d044697e61845651d6037e8b940c6f9e4c51fe863952effe48b53169b8566985140"
    "effe4f9712fb22f90a99f7651883aa6095f1b5874b24fb72eba1003877e57fa617226e5387fa30"
)
NOT_THERE = bytes.fromhex(
    "303702010004067075626c6963a22a02041c706b5e020102020102301c300c06082b060102010103000500300c06082b060102010163000500"
)
KEY = Engines().keys(ENGINE, User("watcher", "sha256", Secret("authpassword"))).auth
READERS = [read_plain, read_secured]


def test_a_report_of_netsnmp_is_read_and_its_signature_holds():
    head = read_secured(LATE)
    assert (head.engine_id, head.user, head.boots, head.time_seconds) == (ENGINE, b"watcher", 1, 0)
    assert (head.authenticated, head.encrypted, head.report) == (True, False, "1.3.6.1.6.3.15.1.1.2.0")
    assert is_signed(LATE, head, "sha256", KEY)


def test_what_is_encrypted_is_signed_too():
    head = read_secured(ENCRYPTED)
    assert (head.authenticated, head.encrypted, head.report) == (True, True, "")
    assert is_signed(ENCRYPTED, head, "sha256", KEY)


def test_an_error_of_version_1_says_which_object():
    assert read_plain(NOT_THERE) == Plain(2, 2)


@pytest.mark.parametrize("message", [LATE, ENCRYPTED])
@given(data=st.data())
def test_no_octet_can_be_changed_unseen(message, data):
    place = data.draw(st.integers(0, len(message) - 1))
    changed = bytearray(message)
    changed[place] ^= data.draw(st.integers(1, 255))
    try:
        head = read_secured(bytes(changed))
    except BadMessage:
        return
    assert not is_signed(bytes(changed), head, "sha256", KEY)


@given(st.sampled_from(sorted(SIGNATURES)), st.binary(min_size=16, max_size=64), st.binary(max_size=64), st.integers(0, 3))
def test_only_the_holder_of_the_key_signs(digest, key, other, flags):
    size = SIGNATURES[digest]

    def message(signature):
        return b"before" + signature + b"after"

    signature = hmac.digest(key, message(bytes(size)), digest)[:size]
    head = Secured(flags, b"", 0, 0, b"", signature, 6)
    assert is_signed(message(signature), head, digest, key) is bool(flags & 1)
    assert is_signed(message(signature), head, digest, other + b"x") is False or other + b"x" == key


@pytest.mark.parametrize("size", [0, 12, 23, 25])
def test_a_shorter_signature_is_none(size):
    head = Secured(1, b"", 0, 0, b"", hmac.digest(KEY, bytes(24), "sha256")[:size], 0)
    assert not is_signed(bytes(24), head, "sha256", KEY)


@pytest.mark.parametrize("read", READERS)
@given(st.one_of(st.binary(max_size=200), st.builds(lambda tail: b"\x30\x82\x01\x00\x02\x01\x03\x30" + tail, st.binary(max_size=200))))
def test_rubbish_is_refused_and_nothing_else_is_raised(read, data):
    with contextlib.suppress(BadMessage):
        read(data)


@pytest.mark.parametrize("message", [LATE, ENCRYPTED, NOT_THERE])
def test_a_message_cut_anywhere_is_refused(message):
    for size in range(len(message)):
        for read in READERS:
            with pytest.raises(BadMessage):
                read(message[:size])


@pytest.mark.parametrize("message", [LATE, ENCRYPTED, NOT_THERE])
@given(data=st.data())
def test_a_spoilt_message_is_read_or_refused(message, data):
    spoilt = bytearray(message)
    for _ in range(data.draw(st.integers(1, 4))):
        spoilt[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    for read in READERS:
        with contextlib.suppress(BadMessage):
            read(bytes(spoilt))


def test_another_version_and_another_security_model_are_refused():
    with pytest.raises(BadMessage):
        read_plain(LATE)
    with pytest.raises(BadMessage):
        read_secured(NOT_THERE)
    with pytest.raises(BadMessage):
        read_secured(LATE.replace(b"\x04\x01\x01\x02\x01\x03", b"\x04\x01\x01\x02\x01\x02"))


@given(st.lists(st.integers(0, 2**32 - 1), max_size=12))
def test_the_oid_of_a_report_is_told_in_dots(parts):
    oid = (1, 3, *parts)
    pdu = ber.tagged(0xA8, ber.integer(0) * 3 + ber.tagged(0x30, ber.tagged(0x30, ber.object_id(oid) + ber.counter32(1))))
    scoped = ber.tagged(0x30, ber.text("") + ber.text("") + pdu)
    security = ber.text(ber.tagged(0x30, ber.text("") + ber.integer(1) * 2 + ber.text("") * 3))
    head = ber.tagged(0x30, ber.integer(1) * 2 + ber.text(b"\0") + ber.integer(3))
    assert read_secured(ber.tagged(0x30, ber.integer(3) + head + security + scoped)).report == ".".join(map(str, oid))
