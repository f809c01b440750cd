import asyncio
import contextlib
import itertools
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

import probes
from probes import ProbeFailed, Sample, Shared, Target
from probes._sip_exchange import MOST_BYTES, MOST_STRANGERS, T1_SECONDS, T2_SECONDS
from probes._wire import sip as wire
from probes.sip import MOST_QUIET_SECONDS, Sip
from tests.certificates import Authority
from tests.sip_peer import SIPP, Scripted, answer, pause, reply, sipp
from tests.virtual_time import VirtualLoop

pytestmark = pytest.mark.needs_private_network


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


async def ask(probe, address, *, seconds=20.0, source=None, report=lambda _sample: None):
    loop, shared = asyncio.get_running_loop(), Shared()
    try:
        async with asyncio.timeout(seconds):
            return await probe.run(Target(address, loop.time() + seconds, source, report=report), shared)
    except (ProbeFailed, OSError) as failure:
        return failure
    finally:
        await shared.aclose()
        await asyncio.sleep(0)  # an aborted transport closes its socket in the next turn


def asked_of_sipp(folder, *steps, transport="udp", seconds=20.0):
    with sipp(folder, *steps, transport=transport):
        return asyncio.run(ask(Sip(transport=transport), SIPP[0], seconds=seconds))


def scripted(script, transport="udp", seconds=20.0, tls=None, report=lambda _sample: None, **keys):
    """One run against a scripted server: the reading or what it raised, and the server."""

    async def scenario():
        async with Scripted(script, tls).listening(transport) as peer:
            probe = Sip(port=peer.port, transport="tls" if tls else transport, **keys)
            return await ask(probe, "127.0.0.1", seconds=seconds, report=report), peer

    return asyncio.run(scenario())


def values(reading):
    return {sample.name: sample.values[0] for sample in reading.samples}


# --- sipp


def test_the_type_keeps_the_contract():
    assert probes.get("sip") is Sip


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("status", ["200 OK", "401 Unauthorized", "404 Not Found", "486 Busy Here", "501 Not Implemented"])
def test_any_final_answer_shows_that_it_is_alive(tmp_path, status, transport):
    reading = asked_of_sipp(tmp_path, answer(status), transport=transport)
    found = values(reading)
    assert 0 < found.pop("sip_answer_seconds") < 10
    assert found == {"sip_status_code": float(status[:3]), "sip_refusing": 0, "sip_retransmissions": 0}
    assert reading.facts == {"sip_status": status, "sip_server": "sipp", "sip_allow": "INVITE, OPTIONS"}
    assert reading.detail == ""


def test_503_is_alive_but_takes_no_calls(tmp_path):
    reading = asked_of_sipp(tmp_path, answer("503 Service Unavailable", "Retry-After: 120"))
    assert values(reading)["sip_refusing"] == 1
    assert reading.detail == "503 Service Unavailable"


def test_408_says_that_nobody_answers_behind_it(tmp_path):
    failure = asked_of_sipp(tmp_path, answer("408 Request Timeout"))
    assert (failure.code, failure.reading.detail) == ("sip_no_answer", "408 Request Timeout")
    assert values(failure.reading)["sip_status_code"] == 408


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_silence_is_a_timeout(tmp_path, transport):
    assert isinstance(asked_of_sipp(tmp_path, pause(60000), transport=transport, seconds=0.3), TimeoutError)


def test_a_provisional_answer_and_then_silence_is_told_apart(tmp_path):
    failure = asked_of_sipp(tmp_path, answer("100 Trying"), pause(60000), seconds=1.0)
    assert (failure.code, failure.reading.detail) == ("timeout", "a 100, and then no answer")


def test_a_late_answer_counts_and_the_request_was_sent_again_meanwhile(tmp_path):
    found = values(asked_of_sipp(tmp_path, pause(700), answer("200 OK")))
    assert found["sip_retransmissions"] == 1
    assert found["sip_answer_seconds"] >= 0.7


@pytest.mark.parametrize(
    "wrong",
    [
        {"via": "Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKsomebody"},
        {"call_id": "Call-ID: another"},
        {"cseq": "CSeq: 2 OPTIONS"},
        {"cseq": "CSeq: 1 INVITE"},
    ],
)
def test_an_answer_to_somebody_else_is_none(tmp_path, wrong):
    failure = asked_of_sipp(tmp_path, answer("200 OK", **wrong), pause(60000), seconds=0.4)
    assert (failure.code, failure.reading.detail) == ("bad_response", "what came was not an answer to ours")


# --- what is sent


def test_a_request_says_all_that_is_asked_of_it():
    _, peer = scripted(lambda request, _: [reply(request)], user="room1")
    first, *lines = peer.asked[0].decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines if line)
    assert first == f"OPTIONS sip:room1@127.0.0.1:{peer.port} SIP/2.0"
    assert headers["Max-Forwards"] == "70"
    assert headers["Via"].startswith("SIP/2.0/UDP 127.0.0.1:")
    assert ";branch=z9hG4bK" in headers["Via"]
    assert headers["Via"].endswith(";rport")
    assert ";tag=" in headers["From"]
    assert headers["CSeq"] == "1 OPTIONS"
    assert headers["Contact"].startswith("<sip:netwatch@127.0.0.1:")
    assert (headers["Accept"], headers["Content-Length"]) == ("application/sdp", "0")


def test_each_run_has_a_branch_and_a_call_of_its_own():
    async def scenario():
        async with Scripted(lambda request, _: [reply(request)]).listening() as peer:
            probe = Sip(port=peer.port)
            await ask(probe, "127.0.0.1")
            await ask(probe, "127.0.0.1")
            return [dict(line.split(": ", 1) for line in data.decode().split("\r\n")[1:] if line) for data in peer.asked]

    first, second = asyncio.run(scenario())
    assert first["Call-ID"] != second["Call-ID"]
    assert first["Via"] != second["Via"]


def test_an_address_of_version_six_is_written_as_a_url_wants_it():
    request = wire.Options(remote=("2001:db8::1", 5061), local=("2001:db8::2", 4000), transport="tls", branch="b", tag="t", call_id="c")
    head = request.to_wire().decode()
    assert head.startswith("OPTIONS sip:[2001:db8::1]:5061;transport=tls SIP/2.0\r\nVia: SIP/2.0/TLS [2001:db8::2]:4000;")


def test_it_is_measured_from_the_source_it_was_told():
    peers = []

    class Peer(asyncio.DatagramProtocol):
        def connection_made(self, transport):
            self.transport = transport

        def datagram_received(self, data, peer):
            peers.append(peer[0])
            self.transport.sendto(reply(data), peer)

    async def scenario():
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Peer, local_addr=("127.0.0.1", 0))
        with contextlib.closing(transport):
            return await ask(Sip(port=transport.get_extra_info("sockname")[1]), "127.0.0.1", source="127.0.0.77")

    assert values(asyncio.run(scenario()))["sip_status_code"] == 200
    assert peers == ["127.0.0.77"]


# --- the timers, on a virtual clock


class Silent:
    """Stands in for a socket that takes everything; `answers` says what it has to say at which send."""

    def __init__(self, answers):
        self.answers = answers


def times_of_requests(monkeypatch, provisional_at=None, seconds=40.0):
    """When each request was sent, on a virtual clock, to a peer that says at most a 100 to the request of that number."""
    loop = VirtualLoop()
    sent, inbox = [], asyncio.Queue()

    async def send(_connection, data):
        sent.append(loop.time())
        if len(sent) == provisional_at:
            inbox.put_nowait(reply(data, "100 Trying"))

    async def receive(_connection, _size):
        return await inbox.get()

    monkeypatch.setattr(loop, "sock_sendall", send)
    monkeypatch.setattr(loop, "sock_recv", receive)
    with contextlib.closing(loop):
        began = loop.time()
        with contextlib.suppress(TimeoutError, ProbeFailed):
            loop.run_until_complete(Sip().run(Target("127.0.0.1", began + seconds), Shared()))
        return [round(moment - began, 3) for moment in sent], round(loop.time() - began, 3)


def test_requests_are_repeated_with_timer_e_and_given_up_with_timer_f(monkeypatch):
    sent, ended = times_of_requests(monkeypatch)
    assert sent == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert ended == 32


def test_a_provisional_answer_slows_them_down_at_once(monkeypatch):
    sent, _ = times_of_requests(monkeypatch, provisional_at=1, seconds=12.0)
    assert sent == [0, 0.5, 4.5, 8.5]
    assert (T1_SECONDS, T2_SECONDS) == (0.5, 4.0)


def test_it_is_over_before_the_deadline(monkeypatch):
    assert 4.9 < times_of_requests(monkeypatch, seconds=5.0)[1] < 5.0


# --- Retry-After


def refused_then_fine(monkeypatch, retry_after):
    """How many seconds a server that refused is left alone."""

    async def scenario():
        said = itertools.chain(["503 Service Unavailable"], itertools.repeat("200 OK"))
        async with Scripted(lambda request, _: [reply(request, next(said), Retry_After=retry_after)]).listening() as peer:
            probe, loop = Sip(port=peer.port), asyncio.get_running_loop()
            first = await ask(probe, "127.0.0.1")
            now = loop.time
            quiet = 0
            for later in (1, 100, MOST_QUIET_SECONDS - 1, MOST_QUIET_SECONDS + 1):
                monkeypatch.setattr(loop, "time", lambda later=later: now() + later)
                again = await ask(probe, "127.0.0.1", seconds=20)
                if len(peer.asked) > 1:
                    assert values(again)["sip_refusing"] == 0
                    return first, quiet
                assert values(again)["sip_refusing"] == 1
                assert "sip_answer_seconds" not in values(again)  # nothing was measured
                assert (again.facts, again.detail) == (first.facts, first.detail)
                quiet = later
            return first, quiet

    return asyncio.run(scenario())[1]


@pytest.mark.parametrize(
    ("retry_after", "quiet"),
    [
        (None, 0),
        ("0", 0),
        ("soon", 0),
        ("50", 1),
        ("120 (I'm in a meeting)", 100),
        ("200;duration=3600", 100),
        ("1000000000", MOST_QUIET_SECONDS - 1),
        ("9" * 5000, MOST_QUIET_SECONDS - 1),
    ],
)
def test_who_refuses_is_left_alone_as_long_as_asked_but_never_for_ever(monkeypatch, retry_after, quiet):
    assert refused_then_fine(monkeypatch, retry_after) == quiet


# --- TLS


def test_over_tls_the_certificate_is_judged_and_its_days_told(authority):
    reported = []
    tls = authority.server()
    reading, _ = scripted(lambda request, _: [reply(request)], "tcp", tls=tls, ca_file=str(authority.file), report=reported.append)
    assert values(reading)["sip_status_code"] == 200
    assert reading.facts["tls_version"] == "TLSv1.3"
    assert reading.facts["tls_not_after"].endswith("Z")
    ((name, seconds),) = [(sample.name, sample.values[0]) for sample in reported]
    assert name == "sip_tls_left_seconds"
    assert 9 < seconds / 86400 < 10.1


@pytest.mark.parametrize(
    ("which", "keys", "code"),
    [
        ({}, {"ca_file": ""}, "tls_untrusted"),
        ({"names": "DNS:other.example"}, {}, "tls_name"),
        ({"days": -1}, {}, "tls_expired"),
        ({}, {"server_name": "room.example"}, "tls_name"),
    ],
)
def test_a_wrong_certificate_is_told_and_nothing_is_sent(authority, which, keys, code):
    keys = {"ca_file": str(authority.file), **keys}
    failure, peer = scripted(lambda request, _: [reply(request)], "tcp", tls=authority.server(**which), **keys)
    assert failure.code == code
    assert peer.asked == []


def test_without_verification_any_certificate_will_do(authority):
    reading, _ = scripted(lambda request, _: [reply(request)], "tcp", tls=authority.server(names="DNS:x.example", days=-1), verify=False)
    assert values(reading)["sip_status_code"] == 200


def test_plain_tcp_where_tls_is_spoken_is_a_bad_answer(authority):
    async def scenario():
        async with Scripted(lambda _request, _: [], authority.server()).listening("tcp") as peer:
            return await ask(Sip(port=peer.port, transport="tcp"), "127.0.0.1")

    failure = asyncio.run(scenario())
    assert isinstance(failure, ConnectionError) or failure.code == "bad_response"


# --- hostile peers

HUGE = b"X-Junk: " + b"x" * (2 * MOST_BYTES)


@pytest.mark.parametrize(
    "script",
    [
        lambda _request, _: [b"\xff" * 900],
        lambda _request, _: [b"SIP/2.0 200"],
        lambda request, _: [request],
        lambda request, _: [reply(request).replace(b"CSeq", b"C Seq")],
        lambda request, _: [reply(request) [:40]],
        lambda request, _: [reply(request).replace(b"200", b"999")],
        lambda request, _: [reply(request, Via=";branch=" * 4000)],
    ],
)  # fmt: skip
def test_garbage_over_udp_is_passed_over_and_named_at_the_end(script):
    failure, _ = scripted(script, seconds=0.3)
    assert failure.code == "bad_response"


def test_a_right_answer_after_garbage_counts():
    reading, _ = scripted(lambda request, _: [b"\x00", reply(request, Call_ID="x"), reply(request), reply(request, "404 Twice")])
    assert values(reading)["sip_status_code"] == 200


def test_a_flood_of_garbage_is_cut_off_long_before_the_deadline():
    failure, _ = scripted(lambda _request, _: [b"junk"] * (MOST_STRANGERS + 1))
    assert failure.reading.detail == f"{MOST_STRANGERS} messages, none of them an answer to ours"


def test_an_answer_from_another_port_is_none():
    def script(request, _):
        via = dict(line.split(": ", 1) for line in request.decode().split("\r\n")[1:] if line)["Via"]
        port = int(via.split(":")[1].split(";")[0])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.sendto(reply(request), ("127.0.0.1", port))
        return []

    assert isinstance(scripted(script, seconds=0.3)[0], TimeoutError)


def test_a_closed_port_is_refused():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    assert isinstance(asyncio.run(ask(Sip(port=port), "127.0.0.1")), ConnectionRefusedError)


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (lambda _request, _: [None], "bad_response"),
        (lambda request, _: [reply(request)[:50], None], "bad_response"),
        (lambda _request, _: [b"HTTP/1.1 400 Bad Request\r\n\r\n"], "bad_response"),
        (lambda _request, _: [b"SIP/2.0 200 OK\r\n", HUGE], "too_large"),
        (lambda request, _: [reply(request, "100 Trying", Content_Length=str(MOST_BYTES + 1))], "too_large"),
        (lambda request, _: [reply(request, "100 Trying", Content_Length="-1")], "bad_response"),
        (lambda request, _: [reply(request, Call_ID="x")] * (MOST_STRANGERS + 1), "bad_response"),
        (lambda request, _: [reply(request, more_than_enough="\r\nA: b" * 300)], "bad_response"),
    ],
)
def test_a_hostile_stream_is_a_fault_of_the_server(script, code):
    assert scripted(script, "tcp")[0].code == code


def test_a_stream_is_read_piece_by_piece_past_bodies_and_empty_lines():
    def script(request, _):
        whole = (
            b"\r\n\r\n" + reply(request, "183 Progress", Content_Length="5") + b"v=0\r\n" + b"\r\n" + reply(request, Content_Length="99")
        )
        return [whole[at : at + 7] for at in range(0, len(whole), 7)]

    assert values(scripted(script, "tcp")[0])["sip_status_code"] == 200


def test_a_half_open_connection_is_a_timeout_and_is_closed():
    async def scenario():
        async with Scripted(lambda _request, _: []).listening("tcp") as peer:
            found = await ask(Sip(port=peer.port, transport="tcp"), "127.0.0.1", seconds=0.3)
            async with asyncio.timeout(20):
                await peer.closed.wait()
            return found

    assert isinstance(asyncio.run(scenario()), TimeoutError)


def test_what_it_says_of_itself_is_shown_inert():
    reading, _ = scripted(lambda request, _: [reply(request, "200 \x1b[31mRed", Server="<b>\x07x\u202e", Allow="I" * 5000)])
    assert reading.facts["sip_status"] == "200 [31mRed"
    assert reading.facts["sip_server"] == "<b>x"
    assert len(reading.facts["sip_allow"]) <= 256


# --- the parser


@given(st.binary(max_size=600))
def test_any_bytes_are_a_response_or_a_bad_message(data):
    with contextlib.suppress(wire.BadMessage):
        response = wire.read(data)
        wire.content_length(response)
        assert 100 <= response.status < 700
        assert response.retry_after_seconds >= 0


NAMES = st.sampled_from(["Via", "v", "VIA", "Call-ID", "i", "CSeq", "l", "Retry-After", "X"])
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=30)


@given(st.integers(100, 699), TEXTS, st.lists(st.tuples(NAMES, TEXTS), max_size=20))
def test_headers_of_any_form_are_read_and_the_first_of_each_counts(status, reason, headers):
    data = "\r\n".join([f"SIP/2.0 {status} {reason}", *(f"{name}: {value}" for name, value in headers), "", ""]).encode()
    with contextlib.suppress(wire.BadMessage):
        response = wire.read(data)
        assert response.status == status
        long = {"v": "via", "i": "call-id", "l": "content-length"}
        expected = {}
        for name, value in headers:
            expected.setdefault(long.get(name.lower(), name.lower()), value.strip())
        assert {name: value.strip() for name, value in response.headers.items()} == expected


@given(st.integers(0, 400))
def test_an_answer_cut_at_any_byte_never_belongs_to_more_than_it_says(cut):
    request = wire.Options(remote=("10.0.0.1", 5060), local=("10.0.0.2", 4000), transport="udp", branch="b", tag="t", call_id="c")
    whole = reply(request.to_wire())
    try:
        response = wire.read(whole[:cut])
    except wire.BadMessage:
        return
    assert not request.is_answered_by(response) or cut > whole.index(b"CSeq: 1 OPTIONS")


@pytest.mark.parametrize(
    ("header", "branch"),
    [
        ("SIP / 2.0 / UDP first.example: 4000 ;rport=9;branch = z9hG4bKb", "z9hG4bKb"),
        ("SIP/2.0/UDP a;branch=z9hG4bKb;received=10.0.0.1, SIP/2.0/UDP b;branch=z9hG4bKc", "z9hG4bKb"),
        ("SIP/2.0/UDP a;rport, SIP/2.0/UDP b;branch=z9hG4bKc", ""),
        ("", ""),
    ],
)
def test_the_branch_is_that_of_the_topmost_via(header, branch):
    assert wire.Response(200, "", {"via": header}).branch == branch


def test_compact_and_folded_headers_are_read():
    data = b"sip/2.0  200\r\nv: SIP/2.0/UDP h\r\n ;branch=z9hG4bKb\r\ni:c\r\nCSEQ:  1\toptions\r\n\r\nbody"
    response = wire.read(data)
    request = wire.Options(remote=("h", 1), local=("h", 2), transport="udp", branch="B", tag="t", call_id="c")
    assert request.is_answered_by(response)
    assert response.reason == ""


# --- settings


@pytest.mark.parametrize(
    "keys",
    [
        {"transport": "sctp"},
        {"port": 0},
        {"user": "a b"},
        {"user": "a\r\nVia: x"},
        {"user": "a@b"},
        {"server_name": "x" * 70},
        {"server_name": "a\nb"},
        {"unknown": 1},
    ],
)
def test_a_wrong_key_is_refused(keys):
    with pytest.raises(ValidationError):
        TypeAdapter(Sip).validate_python(keys)


def test_every_sample_is_a_metric():
    reading, _ = scripted(lambda request, _: [reply(request)])
    assert {sample.name for sample in reading.samples} | {"sip_tls_left_seconds"} == set(Sip().metrics())
    assert all(isinstance(sample, Sample) for sample in reading.samples)
