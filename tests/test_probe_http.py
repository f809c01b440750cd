import asyncio
import contextlib
import gc
import gzip
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from yarl import URL

import probes
from probes import ProbeFailed, Shared, Target
from probes._http_exchange import Notes, clean, unpacked
from probes.http import Http, next_url, status_codes
from tests.certificates import Authority

pytestmark = pytest.mark.needs_private_network


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


def answer(body=b"hello", status="200 OK", *headers):
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


@contextlib.asynccontextmanager
async def serving(script, tls=None, address="127.0.0.1"):
    """A raw server. `script` is bytes to send after each request, a list of them (one a connection), or a coroutine function."""
    server = SimpleNamespace(requests=[], peers=[], port=0)
    answers = list(script) if isinstance(script, list) else None
    transports = []

    async def handle(reader, writer):
        transports.append(writer.transport)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            request = await reader.readuntil(b"\r\n\r\n")
            server.requests.append(request.decode("latin-1"))
            server.peers.append(writer.get_extra_info("peername"))
            if callable(script):
                await script(reader, writer)
            else:
                writer.write(answers[min(len(server.requests), len(answers)) - 1] if answers else script)
                await writer.drain()
        writer.transport.abort() if callable(script) else writer.close()

    listener = await asyncio.start_server(handle, address, 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        await listener.wait_closed()
        for transport in transports:
            transport.abort()
        await asyncio.sleep(0)  # an aborted transport closes its socket in the next turn


async def fetch(port, *, address="127.0.0.1", source=None, seconds=10.0, report=lambda _sample: None, **keys):
    shared = Shared()
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(seconds):
            return await Http(port=port, **keys).run(Target(address, loop.time() + seconds, source, report=report), shared)
    finally:
        await shared.aclose()


def visit(script, *, tls=None, **keys):
    """One run against one server: the reading, or the ProbeFailed, and the server."""

    async def scenario():
        async with serving(script, tls) as server:
            try:
                return await fetch(server.port, **keys), server
            except ProbeFailed as failure:
                return failure, server

    return asyncio.run(scenario())


def values(reading):
    return {(sample.name, sample.instance): sample.values[0] for sample in reading.samples}


def phases(reading):
    return {sample.instance for sample in reading.samples if sample.name == "http_duration_seconds"}


def code(script, **keys):
    failure, _ = visit(script, **keys)
    assert isinstance(failure, ProbeFailed), failure
    return failure.code


# --- a page that answers


def test_the_type_keeps_the_contract():
    assert probes.get("http") is Http


def test_a_page_gives_phases_status_and_size():
    reading, server = visit(answer(b"hello", "200 OK", "Server: lighttpd\x07"))
    assert phases(reading) == {"connect", "processing", "transfer"}
    found = values(reading)
    assert found["http_status_code", ""] == 200
    assert found["http_response_bytes", ""] == 5
    assert found["http_redirects", ""] == 0
    assert {name for name, _ in found} <= set(Http().metrics())
    assert reading.facts["server"] == "lighttpd"
    assert "Accept-Encoding: identity" in server.requests[0]
    assert "Connection: close" in server.requests[0]


def test_the_connection_comes_from_the_source_address_and_every_run_makes_a_new_one():
    async def scenario():
        async with serving(answer()) as server:
            probe, shared = Http(port=server.port), Shared()
            for _ in range(2):
                await probe.run(Target("127.0.0.1", 0.0, "127.0.0.7"), shared)
            return server.peers

    peers = asyncio.run(scenario())
    assert {address for address, _ in peers} == {"127.0.0.7"}
    assert len({port for _, port in peers}) == 2


def test_host_is_what_the_server_hears_but_not_where_we_connect():
    _, server = visit(answer(), host="intranet.example", path="/a%20b?x=1")
    assert server.requests[0].startswith("GET /a%20b?x=1 HTTP/1.1")
    assert f"Host: intranet.example:{server.port}" in server.requests[0]


def test_head_asks_for_no_body():
    reading, server = visit(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n", method="HEAD")
    assert server.requests[0].startswith("HEAD /")
    assert values(reading)["http_response_bytes", ""] == 0


def test_ipv6_literal_is_fetched_and_named_in_brackets():
    async def scenario():
        async with serving(answer(), address="::1") as server:
            await fetch(server.port, address="::1")
            return server

    server = asyncio.run(scenario())
    assert f"Host: [::1]:{server.port}" in server.requests[0]


def test_a_name_is_looked_up_and_the_time_of_it_told():
    reading, _ = visit(answer(), address="localhost")
    assert "resolve" in phases(reading)


def test_cookies_live_for_one_run_only():
    async def scenario():
        first = answer(b"", "302 Found", "Location: /in", "Set-Cookie: session=1; Path=/")
        async with serving([first, answer(), first, answer()]) as server:
            for _ in range(2):
                await fetch(server.port)
            return ["session=1" in request for request in server.requests]

    assert asyncio.run(scenario()) == [False, True, False, True]


# --- what is judged


def test_a_status_that_is_not_expected_fails_with_what_was_measured():
    failure, _ = visit(answer(b"", "503 Service Unavailable"))
    assert failure.code == "status"
    assert failure.reading.detail == "status 503"
    assert values(failure.reading)["http_status_code", ""] == 503
    assert {"connect", "processing"} <= phases(failure.reading)


def test_an_expected_status_may_be_any():
    reading, _ = visit(answer(b"", "401 Unauthorized"), expect_status=[401, "2xx"])
    assert values(reading)["http_status_code", ""] == 401


def test_body_match_is_searched_in_the_text():
    assert visit(answer("Xin chào Điện Biên".encode()), body_match="Điện +Biên")[0].samples
    assert code(answer(b"gateway error"), body_match="Welcome") == "body_mismatch"


def test_the_charset_of_the_answer_is_heeded_and_an_unknown_one_does_no_harm():
    latin = answer("café".encode("latin-1"), "200 OK", "Content-Type: text/html; charset=latin-1")
    assert visit(latin, body_match="café$")[0].samples
    unknown = answer(b"plain", "200 OK", "Content-Type: text/html; charset=no-such")
    assert visit(unknown, body_match="plain")[0].samples


def test_a_body_packed_unasked_is_unpacked_for_body_match():
    packed = answer(gzip.compress(b"Welcome"), "200 OK", "Content-Encoding: gzip")
    assert visit(packed, body_match="Welcome")[0].samples
    assert code(answer(b"not gzip", "200 OK", "Content-Encoding: gzip"), body_match="x") == "bad_response"


# --- hostile servers


async def forever(writer, chunk):
    while True:
        writer.write(chunk)
        await writer.drain()


def test_an_endless_body_is_cut_off():
    async def endless(_reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await forever(writer, b"x" * 65536)

    assert code(endless, max_bytes=100_000) == "too_large"


def test_a_body_of_just_the_cap_is_taken():
    assert visit(answer(b"x" * 1000), max_bytes=1000)[0].samples
    assert code(answer(b"x" * 1001), max_bytes=1000) == "too_large"


def test_a_gzip_bomb_is_not_unpacked():
    bomb = answer(gzip.compress(bytes(50_000_000)), "200 OK", "Content-Encoding: gzip")
    assert visit(bomb)[0].samples
    assert code(bomb, body_match="x") == "too_large"


def test_a_flood_of_headers_is_refused():
    async def flood(_reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\n")
        await forever(writer, b"X-Flood: 1\r\n" * 1000)

    assert code(flood) == "bad_response"


def test_a_header_of_a_mebibyte_is_refused():
    assert code(b"HTTP/1.1 200 OK\r\nX: " + b"x" * (1 << 20) + b"\r\n\r\n") == "bad_response"


def test_headers_that_drip_end_with_the_deadline_and_what_was_measured_is_kept():
    reported = []

    async def drip(_reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nX-Slow:")
        await writer.drain()
        await asyncio.Event().wait()

    async def scenario():
        async with serving(drip) as server, asyncio.TaskGroup() as group:
            run = group.create_task(fetch(server.port, report=reported.append))
            while not server.requests:  # noqa: ASYNC110  # the server's own handler sets it; a turn of the loop is enough
                await asyncio.sleep(0)
            run.cancel()

    asyncio.run(scenario())
    assert {sample.instance for sample in reported if sample.name == "http_duration_seconds"} == {"connect"}


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"HTTP/1.1 200",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"HTTP/1.1 200 OK\r\nBad Header\r\n\r\n",
        b"HTTP/1.1 99999 OK\r\n\r\n",
    ],
)
def test_an_answer_that_is_no_http_is_a_bad_response(wire):
    assert code(wire) == "bad_response"


def test_a_reset_propagates_as_the_connection_error_it_is():
    async def reset(_reader, writer):
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    with pytest.raises(ConnectionResetError):
        visit(reset)


def test_a_closed_port_propagates_as_refused():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        asyncio.run(fetch(port))


# --- redirects


def redirect(location, status="302 Found"):
    return answer(b"", status, f"Location: {location}")


def test_a_redirect_on_the_same_host_is_followed_and_its_time_counted():
    reading, server = visit([redirect("/in?next=1", "301 Moved"), redirect("home"), answer()])
    assert [request.split()[1] for request in server.requests] == ["/", "/in?next=1", "/home"]
    assert values(reading)["http_redirects", ""] == 2


def test_a_redirect_that_never_ends_is_a_loop():
    failure, server = visit(redirect("/"), max_redirects=2)
    assert failure.code == "redirect_loop"
    assert len(server.requests) == 3


def test_with_no_redirects_the_redirect_is_the_answer():
    assert code(redirect("/in"), max_redirects=0) == "status"
    assert visit(redirect("http://evil.example/"), max_redirects=0, expect_status=["3xx"])[0].samples


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "javascript:alert(1)",
        "http://169.254.169.254/latest/meta-data",
        "//169.254.169.254/",
        "http://[::ffff:169.254.169.254]/",
        "http://127.0.0.1.evil.example/",
        "http://127.0.0.1@evil.example/",
        "http://2130706433/",
        "http://127.0.0.2/",
        "http://127.0.0.1:0/",
    ],
)
def test_a_redirect_to_anywhere_else_is_refused(location):
    failure, server = visit(redirect(location))
    assert failure.code == "redirect_refused"
    assert len(server.requests) == 1


def test_a_refused_redirect_tells_neither_user_nor_query():
    failure, _ = visit(redirect("http://admin:hunter2@portal.example/login?token=sesame"))
    assert failure.reading.detail == "redirect to http://portal.example"


def test_userinfo_in_a_redirect_is_not_sent_on():
    assert str(next_url(URL("http://intranet/"), "http://admin:hunter2@intranet/x#top", ("intranet",))) == "http://intranet/x"


def test_a_redirect_to_what_is_no_url_is_a_bad_response():
    assert code(redirect("http://[half/")) == "bad_response"


@given(st.text(max_size=80))
def test_whatever_a_redirect_says_it_leads_to_the_same_machine_or_fails(location):
    with contextlib.suppress(ProbeFailed):
        following = next_url(URL("http://10.45.1.10:8080/a"), location, ("intranet", "10.45.1.10"))
        assert following.scheme in {"http", "https"}
        assert following.host in {"10.45.1.10", "intranet"}
        assert following.user is None


# --- TLS


def over_tls(authority, script=None, *, ca=True, tls=None, **keys):
    keys = {"scheme": "https", "ca_file": str(authority.file) if ca else "", **keys}
    return visit(script or answer(), tls=tls or authority.server(), **keys)[0]


def test_https_gives_the_handshake_time_and_the_days_left(authority):
    reading = over_tls(authority)
    assert phases(reading) == {"connect", "tls", "processing", "transfer"}
    assert 9.9 < values(reading)["http_tls_left_seconds", ""] / 86400 < 10.1
    assert reading.facts["tls_version"] == "TLSv1.3"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", reading.facts["tls_not_after"])


def test_each_way_to_be_wrong_has_its_own_code(authority):
    assert over_tls(authority, tls=authority.server(days=-1)).code == "tls_expired"
    assert over_tls(authority, tls=authority.server(names="DNS:other.example")).code == "tls_name"
    assert over_tls(authority, host="other.example").code == "tls_name"
    # Its common name is "server", where nobody looks any more.
    assert over_tls(authority, tls=authority.server(names="IP:10.9.9.9"), host="server").code == "tls_name"
    assert over_tls(authority, ca=False).code == "tls_untrusted"
    self_signed = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    self_signed.load_cert_chain(authority.file, authority.folder / "ca.key")
    assert over_tls(authority, tls=self_signed, ca=False).code == "tls_self_signed"


def test_a_ca_file_that_was_replaced_is_read_again(authority, tmp_path):
    ca_file = tmp_path / "ca.pem"

    async def scenario():
        async with serving(answer(), authority.server()) as server:
            probe, shared = Http(scheme="https", port=server.port, ca_file=str(ca_file)), Shared()
            with pytest.raises(ProbeFailed, match="certificate"):
                await probe.run(Target("127.0.0.1", 0.0), shared)
            shutil.copy(authority.file, ca_file)
            os.utime(ca_file, ns=(1, 1))
            await probe.run(Target("127.0.0.1", 0.0), shared)

    (tmp_path / "other").mkdir()
    shutil.copy(Authority(tmp_path / "other").file, ca_file)
    asyncio.run(scenario())


def test_a_failed_handshake_keeps_the_connect_time(authority):
    assert phases(over_tls(authority, ca=False).reading) == {"connect"}


def test_without_verification_the_end_of_the_certificate_is_still_seen(authority):
    reading = over_tls(authority, tls=authority.server(days=-1), verify=False, ca=False)
    assert values(reading)["http_tls_left_seconds", ""] < 0


@contextlib.contextmanager
def openssl_server(authority, *options):
    """openssl's own server, for alerts that Python's does not send. Gives its port."""
    certificate, key = authority.certificate()
    command = ["openssl", "s_server", "-www", "-accept", "127.0.0.1:0", "-cert", certificate, "-key", key, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            yield next(int(line.rpartition(":")[2]) for line in server.stdout if line.startswith("ACCEPT"))
        finally:
            server.kill()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], "tls_version"),
        (["-Verify", "1", "-verify_return_error"], "tls"),
    ],
    ids=["TLS 1.1 only", "client certificate demanded"],
)
def test_what_the_server_refuses_has_its_code(authority, options, expected):
    with openssl_server(authority, *options) as port, pytest.raises(ProbeFailed) as caught:
        asyncio.run(fetch(port, scheme="https", ca_file=str(authority.file)))
    assert caught.value.code == expected


def test_openssls_server_is_fetched(authority):
    with openssl_server(authority) as port:
        reading = asyncio.run(fetch(port, scheme="https", ca_file=str(authority.file), body_match="s_server"))
    assert values(reading)["http_status_code", ""] == 200


def test_a_server_that_does_not_speak_tls_is_a_tls_fault(authority):
    async def plain(_reader, writer):
        writer.write(answer())
        await writer.drain()

    async def scenario():
        async def handle(reader, writer):
            await reader.read(10)
            await plain(reader, writer)
            writer.close()

        listener = await asyncio.start_server(handle, "127.0.0.1", 0)
        async with listener:
            await fetch(listener.sockets[0].getsockname()[1], scheme="https", verify=False)

    with pytest.raises(ProbeFailed) as caught:
        asyncio.run(scenario())
    assert caught.value.code == "tls"


def test_a_connection_closed_in_the_handshake_is_a_tls_fault():
    async def scenario():
        async def handle(reader, writer):
            await reader.read(10)
            writer.close()

        async with await asyncio.start_server(handle, "127.0.0.1", 0) as listener:
            await fetch(listener.sockets[0].getsockname()[1], scheme="https", verify=False)

    with pytest.raises(ProbeFailed) as caught:
        asyncio.run(scenario())
    assert caught.value.code == "tls"


def open_descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_handshake_that_hangs_ends_with_the_deadline_and_leaves_nothing_open():
    async def scenario():
        with socket.create_server(("127.0.0.1", 0)) as server:
            before = open_descriptors()
            with pytest.raises(TimeoutError):
                await fetch(server.getsockname()[1], scheme="https", verify=False, seconds=0.05)
            await asyncio.sleep(0)  # an aborted transport closes its socket in the next turn
            await asyncio.sleep(0)
            gc.collect()
            return open_descriptors() - before

    assert asyncio.run(scenario()) == 0


def test_a_peer_that_does_not_say_goodbye_keeps_no_descriptor_of_ours(authority):
    certificate, key = authority.certificate()
    command = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", certificate, "-key", key]

    async def scenario(server):
        port = next(int(line.rpartition(":")[2]) for line in server.stdout if line.startswith("ACCEPT"))
        before = open_descriptors()
        async with asyncio.TaskGroup() as group:
            run = group.create_task(fetch(port, scheme="https", verify=False))
            await asyncio.to_thread(lambda: next(line for line in server.stdout if line.startswith("GET")))
            server.send_signal(signal.SIGSTOP)
            run.cancel()
        await asyncio.sleep(0)
        return open_descriptors() - before

    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert asyncio.run(scenario(server)) == 0
        finally:
            server.kill()


def test_a_ca_file_that_is_not_there_is_our_own_fault():
    with pytest.raises(FileNotFoundError):
        visit(answer(), scheme="https", ca_file="/nonexistent/ca.pem")


# --- keys


@pytest.mark.parametrize(
    "keys",
    [
        '{"port": 0}',
        '{"port": "80"}',
        '{"path": "no-slash"}',
        '{"path": "/a b"}',
        '{"path": "/a\\r\\nX-Evil: 1"}',
        '{"path": "/#fragment"}',
        '{"host": "a/b"}',
        '{"host": "a..b"}',
        '{"host": "user@host"}',
        '{"scheme": "file"}',
        '{"method": "DELETE"}',
        '{"expect_status": []}',
        '{"expect_status": ["6xx"]}',
        '{"expect_status": [20]}',
        '{"body_match": "("}',
        '{"body_match": "x", "method": "HEAD"}',
        '{"max_bytes": 0}',
        '{"max_bytes": 2000000}',
        '{"max_redirects": 4}',
        '{"_pattern": null}',
        '{"unknown": 1}',
    ],
)
def test_a_key_that_cannot_be_right_is_refused(keys):
    with pytest.raises(ValidationError):
        TypeAdapter(Http).validate_json(keys)


def test_classes_and_codes_of_status_mean_what_they_say():
    assert status_codes(["2xx", 304, "401"]) == {*range(200, 300), 304, 401}


# --- pure functions


@given(st.binary(max_size=2000), st.integers(1, 500))
def test_unpacking_anything_gives_at_most_the_limit_or_fails_with_a_code(body, limit):
    with contextlib.suppress(ProbeFailed):
        assert len(unpacked(body, limit)) <= limit


def test_unpacking_a_bomb_takes_no_more_memory_than_the_limit():
    bomb = gzip.compress(bytes(50_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(ProbeFailed):
            unpacked(bomb, 100_000)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_the_time_of_a_phase_adds_up_over_redirects():
    async def scenario():
        notes = Notes(phases={"connect": 5.0})
        with notes.phase("connect"):
            pass
        return notes.phases["connect"]

    assert asyncio.run(scenario()) >= 5.0


@given(st.binary(max_size=400))
def test_unpacking_gives_back_what_was_packed(body):
    assert unpacked(gzip.compress(body), 400) == body


@given(st.text())
def test_clean_text_can_be_printed(hostile):
    assert all(letter.isprintable() for letter in clean(hostile))
    assert len(clean(hostile)) <= 200
