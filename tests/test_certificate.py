import base64
import contextlib
import subprocess
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes._wire.certificate import Certificate, not_after, parse
from tests.certificates import Authority


def der_of(file):
    return base64.b64decode("".join(line for line in file.read_text().splitlines() if not line.startswith("-")))


def test_the_end_is_the_one_openssl_prints(tmp_path):
    certificate, _ = Authority(tmp_path).certificate(days=40)
    printed = subprocess.run(
        ["openssl", "x509", "-in", certificate, "-noout", "-enddate"], capture_output=True, text=True, check=True
    ).stdout
    expected = datetime.strptime(printed.strip(), "notAfter=%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC)
    assert not_after(der_of(certificate)) == parse(der_of(certificate)).not_after == expected.timestamp()


def element(tag, *parts):
    content = b"".join(parts)
    length = bytes([len(content)]) if len(content) < 128 else b"\x82" + len(content).to_bytes(2)
    return bytes([tag]) + length + content


def certificate(end, *more, version=True):
    validity = element(0x30, element(0x17, b"200101000000Z"), end)
    parts = [element(2, b"\1"), element(0x30), element(0x30, *[element(0x31)] * 100), validity, *more]
    return element(0x30, element(0x30, *([element(0xA0, element(2, b"\2"))] if version else []), *parts))


@pytest.mark.parametrize(
    ("end", "year"),
    [
        (element(0x17, b"491231235959Z"), 2049),
        (element(0x17, b"500101000000Z"), 1950),
        (element(0x18, b"20500101000000Z"), 2050),
        (element(0x18, b"99991231235959Z"), 9999),
    ],
)
@pytest.mark.parametrize("version", [True, False])
def test_both_kinds_of_time_and_certificates_without_version_are_read(end, year, version):
    assert datetime.fromtimestamp(not_after(certificate(end, version=version)), UTC).year == year


def test_a_certificate_says_whose_it_is_and_whom_it_is_for(tmp_path):
    authority = Authority(tmp_path)
    certificate, _ = authority.certificate(
        names="DNS:a.example,IP:10.45.1.1,email:x@example,DNS:*.b.example,IP:2001:db8::1", begins="260101000000Z"
    )
    assert parse(der_of(certificate)) == Certificate(
        subject="server",
        issuer="Test CA",
        not_before=datetime(2026, 1, 1, tzinfo=UTC).timestamp(),
        not_after=datetime(2049, 12, 31, tzinfo=UTC).timestamp(),
        names=("a.example", "*.b.example"),
        addresses=(bytes([10, 45, 1, 1]), bytes.fromhex("20010db8000000000000000000000001")),
    )
    assert parse(der_of(authority.file)).names == ()


def distinguished(kind, tag, text):
    return element(0x30, element(0x31, element(0x30, element(6, kind), element(tag, text))))


@pytest.mark.parametrize(
    ("subject", "read"),
    [
        (distinguished(b"\x55\x04\x03", 0x0C, "máy in".encode()), "máy in"),
        (distinguished(b"\x55\x04\x03", 0x1E, "máy in".encode("utf-16-be")), "máy in"),
        (distinguished(b"\x55\x04\x03", 0x14, b"m\xe1y in"), "máy in"),
        (distinguished(b"\x55\x04\x03", 0x13, b"m\xe1y"), "m\N{REPLACEMENT CHARACTER}y"),
        (distinguished(b"\x55\x04\x0a", 0x0C, b"Polycom"), "Polycom"),
        (distinguished(b"\x55\x04\x06", 0x13, b"VN"), ""),
        (element(0x30), ""),
    ],
)
def test_a_subject_is_read_in_any_of_its_encodings(subject, read):
    assert parse(certificate(element(0x17, b"301231235959Z"), subject, element(0x30))).subject == read


@given(st.binary(max_size=300))
def test_anything_else_is_a_value_error(junk):
    for read in (not_after, parse):
        with pytest.raises(ValueError, match=r"certificate|time data|codec"):
            read(junk)


ALTERNATIVES = element(0x30, element(0x82, b"a.example"), element(0x87, bytes(4)))
WHOLE = certificate(
    element(0x17, b"301231235959Z"),
    distinguished(b"\x55\x04\x03", 0x0C, b"server"),
    element(0x30),
    element(0xA3, element(0x30, element(0x30, element(6, b"\x55\x1d\x11"), element(4, ALTERNATIVES)))),
)


def test_names_are_found_in_an_extension_that_is_critical():
    critical = element(0x30, element(6, b"\x55\x1d\x11"), element(1, b"\xff"), element(4, ALTERNATIVES))
    made = certificate(element(0x17, b"301231235959Z"), element(0x30), element(0x30), element(0xA3, element(0x30, critical)))
    assert (parse(made).names, parse(made).addresses) == (("a.example",), (bytes(4),))


@given(st.data())
def test_a_damaged_certificate_is_read_or_a_value_error(data):
    good = bytearray(WHOLE)
    assert parse(WHOLE).names == ("a.example",)
    good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(good[: data.draw(st.integers(0, len(good)))])
    for read in (not_after, parse):
        for damaged in (bytes(good), cut):
            with contextlib.suppress(ValueError):
                assert read(damaged)
