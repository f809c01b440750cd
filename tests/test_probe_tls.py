import asyncio
import contextlib
import socket
import ssl
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

import probes
from probes import ProbeFailed, Shared, Target
from probes._tls import handshake, is_named
from probes._wire.certificate import Certificate, parse
from probes.tls import NAMES_SHOWN, Tls, whom
from tests.certificates import Authority

pytestmark = pytest.mark.needs_private_network


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


def serving(certificate, key, **options):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    for name, value in options.items():
        setattr(context, name, value)
    return context


async def greet(port, *, address="127.0.0.1", seconds=20.0, source=None, report=lambda _sample: None, **keys):
    loop, shared = asyncio.get_running_loop(), Shared()
    try:
        async with asyncio.timeout(seconds):
            return await Tls(port=port, **keys).run(Target(address, loop.time() + seconds, source, report=report), shared)
    finally:
        await shared.aclose()
        await asyncio.sleep(0)  # an aborted transport closes its socket in the next turn


@contextlib.asynccontextmanager
async def listening(handle, tls=None, address="127.0.0.1"):
    async with await asyncio.start_server(handle, address, 0, ssl=tls) as listener:
        yield listener.sockets[0].getsockname()[1]
        await asyncio.sleep(0)


class Answers:
    """One run against one server, whatever came of it."""

    def __init__(self, tls, **keys):
        self.connections = []
        self.reported = []
        self.failure = None

        async def handle(reader, writer):
            self.connections.append(writer.get_extra_info("peername"))
            with contextlib.suppress(OSError):
                await reader.read()
            writer.transport.abort()

        async def scenario():
            async with listening(handle, tls) as port:
                try:
                    return await greet(port, report=self.reported.append, **keys)
                except ProbeFailed as failure:
                    self.failure = failure
                    return failure.reading

        reading = asyncio.run(scenario())
        self.facts, self.detail = reading.facts, reading.detail
        self.values = {sample.name: sample.values[0] for sample in (*self.reported, *reading.samples)}

    @property
    def code(self):
        return self.failure.code if self.failure else ""

    @property
    def days(self):
        return round(self.values["tls_left_seconds"] / 86400, 1)


def run(authority, certificate=None, *, ca=True, **keys):
    certificate, key = certificate or authority.certificate()
    return Answers(serving(certificate, key), **{"ca_file": str(authority.file) if ca else "", **keys})


# --- what is good


def test_the_type_keeps_the_contract():
    assert probes.get("tls") is Tls


def test_a_good_certificate_gives_times_and_the_days_left(authority):
    found = run(authority)
    assert found.code == ""
    assert set(found.values) == set(Tls().metrics())
    assert 0 < found.values["tls_connect_seconds"] < 10
    assert 0 < found.values["tls_handshake_seconds"] < 10
    assert (found.values["tls_chain_ok"], found.values["tls_name_ok"], found.days) == (1, 1, 10.0)
    assert found.facts.pop("tls_not_after").endswith("Z")
    assert found.facts == {"tls_version": "TLSv1.3", "tls_subject": "server", "tls_issuer": "Test CA"}


def test_the_server_name_is_asked_for_and_the_connection_goes_to_the_address(authority):
    asked = []
    context = serving(*authority.certificate(names="DNS:portal.example"))
    context.sni_callback = lambda _connection, name, _context: asked.append(name)
    found = Answers(context, ca_file=str(authority.file), server_name="portal.example.")
    assert (found.code, asked) == ("", ["portal.example"])


def test_the_connection_comes_from_the_source_address(authority):
    async def scenario():
        peers = []

        async def handle(_reader, writer):
            peers.append(writer.get_extra_info("peername")[0])
            writer.transport.abort()

        async with listening(handle, serving(*authority.certificate())) as port:
            await greet(port, source="127.0.0.9", ca_file=str(authority.file))
            while not peers:  # noqa: ASYNC110  # the server's handler sets it; turns of the loop are enough
                await asyncio.sleep(0)
        return peers

    assert asyncio.run(scenario()) == ["127.0.0.9"]


def test_a_service_that_is_not_web_is_not_asked_for_a_web_page(authority):
    """A server that names its protocols must refuse a client that names only others (RFC 7301 section 3.2)."""
    certificate, key = authority.certificate()
    command = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", certificate, "-key", key, "-alpn", "sip"]
    with openssl_server(command) as port:
        assert asyncio.run(greet(port, ca_file=str(authority.file))).samples


# --- what is wrong


def test_a_certificate_that_has_ended_says_so_and_how_long_ago(authority):
    found = run(authority, authority.certificate(days=-1))
    assert (found.code, found.days, found.detail) == ("tls_expired", -1.0, "certificate has expired")
    assert (found.values["tls_chain_ok"], found.values["tls_name_ok"]) == (0, 1)
    assert "tls_handshake_seconds" not in found.values


def test_a_certificate_that_has_yet_to_begin_is_not_an_expired_one(authority):
    found = run(authority, authority.certificate(begins="480101000000Z"))
    assert found.code == "tls_not_yet_valid"
    assert found.days > 365


def test_a_name_that_is_not_in_it_leaves_the_chain_good(authority):
    found = run(authority, authority.certificate(names="DNS:other.example,IP:10.45.1.1"))
    assert (found.code, found.values["tls_chain_ok"], found.values["tls_name_ok"]) == ("tls_name", 1, 0)
    assert found.detail == "the certificate is for other.example, 10.45.1.1, not for 127.0.0.1"
    assert len(found.connections) == 1


def test_a_chain_and_a_name_that_are_both_wrong_are_both_told(authority):
    found = run(authority, authority.certificate(names="DNS:other.example", days=-1))
    assert (found.code, found.values["tls_chain_ok"], found.values["tls_name_ok"]) == ("tls_expired", 0, 0)
    assert "expired; the certificate is for other.example" in found.detail


def test_an_authority_that_is_not_known_is_untrusted(authority):
    found = run(authority, ca=False)
    assert (found.code, found.days, found.facts["tls_issuer"]) == ("tls_untrusted", 10.0, "Test CA")


def test_a_self_signed_certificate_is_told_apart_from_an_unknown_authority(authority):
    found = run(authority, authority.self_signed())
    assert (found.code, found.facts["tls_subject"]) == ("tls_self_signed", "máy-in")
    assert run(authority, authority.self_signed(), ca_file=str(authority.self_signed()[0])).code == ""


@pytest.mark.parametrize("days", [10, -1])
def test_without_verification_any_certificate_will_do_and_its_days_are_told(authority, days):
    found = run(authority, authority.self_signed(names="DNS:other.example", days=days), ca=False, verify=False)
    assert (found.code, found.days, found.values["tls_name_ok"]) == ("", days, 0)
    assert "tls_chain_ok" not in found.values


@contextlib.contextmanager
def openssl_server(command):
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            yield next(int(line.rpartition(":")[2]) for line in server.stdout if line.startswith("ACCEPT"))
        finally:
            server.kill()


def test_an_old_version_has_its_code_and_no_second_handshake(authority):
    certificate, key = authority.certificate()
    command = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-naccept", "1", "-cert", certificate, "-key", key]
    with openssl_server([*command, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]) as port, pytest.raises(ProbeFailed) as caught:
        asyncio.run(greet(port, verify=False))
    assert caught.value.code == "tls_version"


@pytest.mark.parametrize("answer", [b"", b"220 mail.example ESMTP\r\n", b"\x15\x03\x01\x00\x02\x02\x28"], ids=["closed", "smtp", "alert"])
def test_a_server_that_does_not_shake_hands_is_a_tls_fault_with_its_connect_time(answer):
    async def scenario():
        connections = []

        async def handle(reader, writer):
            connections.append(writer)
            await reader.read(10)
            writer.write(answer)
            writer.close()

        reported = []
        async with listening(handle) as port:
            with pytest.raises(ProbeFailed) as caught:
                await greet(port, report=reported.append)
        return caught.value.code, [sample.name for sample in reported], len(connections)

    assert asyncio.run(scenario()) == ("tls", ["tls_connect_seconds"], 1)


def open_descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_handshake_that_hangs_ends_with_the_deadline_and_leaves_nothing_open():
    async def scenario():
        with socket.create_server(("127.0.0.1", 0)) as server:
            before, reported = open_descriptors(), []
            with pytest.raises(TimeoutError):
                await greet(server.getsockname()[1], seconds=0.1, report=reported.append)
            await asyncio.sleep(0)
            return open_descriptors() - before, [sample.name for sample in reported]

    assert asyncio.run(scenario()) == (0, ["tls_connect_seconds"])


def test_a_connection_is_closed_though_the_handshake_could_not_begin():
    async def scenario(connection):
        with pytest.raises(ValueError, match="label"):
            await handshake(connection, ssl.create_default_context(), "a..example", asyncio.Protocol())
        await asyncio.sleep(0)
        return connection.fileno()

    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as connection:
        connection.setblocking(False)
        assert asyncio.run(scenario(connection)) == -1


def test_a_second_handshake_that_hangs_hides_no_verdict(authority):
    context = serving(*authority.self_signed())

    async def scenario():
        connections = []

        async def handle(reader, writer):
            connections.append(writer)
            with contextlib.suppress(OSError):
                if len(connections) == 1:
                    await writer.start_tls(context)
                await reader.read()
            writer.transport.abort()

        async with listening(handle) as port:
            with pytest.raises(ProbeFailed) as caught:
                await greet(port, seconds=0.5)
            return caught.value, len(connections)

    failure, connections = asyncio.run(scenario())
    assert (failure.code, connections) == ("tls_self_signed", 2)
    assert [sample.name for sample in failure.reading.samples] == ["tls_chain_ok"]


def test_a_closed_port_propagates_as_refused():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        asyncio.run(greet(port))


def test_a_ca_file_that_is_not_there_is_our_own_fault():
    with pytest.raises(FileNotFoundError):
        asyncio.run(greet(1, ca_file="/nonexistent/ca.pem"))


# --- keys


@pytest.mark.parametrize(
    "keys",
    [
        '{"port": 0}',
        '{"port": "443"}',
        '{"server_name": "a b"}',
        '{"server_name": ".example"}',
        '{"server_name": "a..example"}',
        '{"server_name": "user@host"}',
        '{"verify": "no"}',
        '{"starttls": "smtp"}',
    ],
)
def test_a_key_that_cannot_be_right_is_refused(keys):
    with pytest.raises(ValidationError):
        TypeAdapter(Tls).validate_json(keys)


# --- names


NAMES = [
    "DNS:portal.example",
    "DNS:*.example",
    "DNS:*.dienbien.example",
    "DNS:*.PORTAL.example",
    "DNS:p*.dienbien.example",
    "DNS:a.*.example",
    "IP:10.45.1.1",
    "IP:2001:db8::1",
]
HOSTS = [
    "portal.example",
    "PORTAL.EXAMPLE",
    "a.portal.example",
    "portal.dienbien.example",
    "a.b.dienbien.example",
    "dienbien.example",
    "a.x.example",
    "server",
    "10.45.1.1",
    "10.45.1.2",
    "2001:db8:0::1",
]


def openssl_accepts(authority, server, host):
    """What Python's own client makes of a name, in memory."""
    client = ssl.create_default_context(cafile=authority.file)
    client.hostname_checks_common_name = False
    one, other = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [client.wrap_bio(one, other, server_hostname=host), server.wrap_bio(other, one, server_side=True)]
    for _ in range(4):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError as error:
                if error.verify_code in {62, 64}:
                    return False
                raise
    return True


@pytest.mark.parametrize("names", NAMES)
def test_names_are_judged_as_openssl_judges_them(authority, names):
    certificate, key = authority.certificate(names=names)
    server = serving(certificate, key)
    der = ssl.PEM_cert_to_DER_cert(certificate.read_text())
    ours = {host: is_named(parse(der), host) for host in HOSTS}
    assert ours == {host: openssl_accepts(authority, server, host) for host in HOSTS}


@given(st.lists(st.text(max_size=20)), st.text(max_size=20))
def test_a_certificate_without_a_host_in_any_form_is_not_for_it(names, host):
    named = is_named(Certificate("", "", 0, 0, tuple(names)), host)
    assert not named or any(name.lower() == host.rstrip(".").lower() or name.startswith("*.") for name in names)


def test_of_many_names_a_few_are_shown():
    many = Certificate("", "", 0, 0, tuple(f"host{number}.example" for number in range(100)), (b"odd",))
    assert whom(many).count(",") == NAMES_SHOWN
    assert whom(Certificate("", "", 0, 0, (), (b"odd",))) == "nobody"
