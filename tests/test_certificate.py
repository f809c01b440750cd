import base64
import contextlib
import subprocess
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes._wire.certificate import not_after
from tests.certificates import Authority


def test_the_end_is_the_one_openssl_prints(tmp_path):
    certificate, _ = Authority(tmp_path).certificate(days=40)
    printed = subprocess.run(
        ["openssl", "x509", "-in", certificate, "-noout", "-enddate"], capture_output=True, text=True, check=True
    ).stdout
    expected = datetime.strptime(printed.strip(), "notAfter=%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC)
    der = base64.b64decode("".join(line for line in certificate.read_text().splitlines() if not line.startswith("-")))
    assert not_after(der) == expected.timestamp()


def element(tag, *parts):
    content = b"".join(parts)
    length = bytes([len(content)]) if len(content) < 128 else b"\x82" + len(content).to_bytes(2)
    return bytes([tag]) + length + content


def certificate(end, *, version=True):
    validity = element(0x30, element(0x17, b"200101000000Z"), end)
    parts = [element(2, b"\1"), element(0x30), element(0x30, bytes(200)), validity]
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


@given(st.binary(max_size=300))
def test_anything_else_is_a_value_error(junk):
    with pytest.raises(ValueError, match=r"certificate|time data|codec"):
        not_after(junk)


@given(st.data())
def test_a_damaged_certificate_is_read_or_a_value_error(data):
    good = bytearray(certificate(element(0x17, b"301231235959Z")))
    good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(good[: data.draw(st.integers(0, len(good)))])
    with contextlib.suppress(ValueError):
        assert isinstance(not_after(cut), float)
