import asyncio
import contextlib
import socket

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

import probes
from probes import ProbeFailed, Shared, Target
from probes._dns_exchange import MOST_BYTES, MOST_STRANGERS
from probes._wire import dns as wire
from probes.dns import Dns
from tests.dns_peer import NSD, Scripted, nsd

pytestmark = pytest.mark.needs_private_network


@pytest.fixture(scope="module", autouse=True)
def resolver(tmp_path_factory):
    with nsd(tmp_path_factory.mktemp("nsd")):
        yield


async def look_up(address, port, *, seconds=20.0, source=None, **keys):
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(seconds):
        return await Dns(port=port, **keys).run(Target(address, loop.time() + seconds, source), Shared())


def ask(name, **keys):
    """One run against NSD: the reading, or the ProbeFailed."""
    try:
        return asyncio.run(look_up(*NSD, name=name, **keys))
    except ProbeFailed as failure:
        return failure


def scripted(udp, tcp=None, seconds=20.0, **keys):
    """One run against a scripted resolver: the reading, or what it raised, and the resolver."""

    async def scenario():
        async with Scripted(udp, tcp).listening() as peer:
            try:
                return await look_up("127.0.0.1", peer.port, seconds=seconds, **{"name": "www.example", **keys}), peer
            except (ProbeFailed, TimeoutError) as failure:
                return failure, peer

    return asyncio.run(scenario())


def values(reading):
    return {sample.name: sample.values[0] for sample in reading.samples}


def good(data, *records, truncated=False):
    """A right answer to the question in `data`."""
    asked = dns.message.from_wire(data)
    answer = dns.message.make_response(asked)
    owner = asked.question[0].name
    answer.answer = [dns.rrset.from_text(owner, 300, "IN", "A", *(records or ("10.45.1.1",)))]
    answer.flags |= dns.flags.TC if truncated else 0
    return answer.to_wire()


def framed(data):
    return len(data).to_bytes(2, "big") + data


# --- a real resolver


def test_the_type_keeps_the_contract():
    assert probes.get("dns") is Dns


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_an_answer_gives_its_time_its_records_and_their_ttl(transport):
    reading = ask("www.example", transport=transport)
    found = values(reading)
    assert 0 < found.pop("dns_lookup_seconds") < 10
    assert found == {"dns_answers": 2, "dns_ttl_seconds": 300}
    assert reading.facts == {"dns_answer": "10.45.1.1, 10.45.1.2"}
    assert {sample.name for sample in reading.samples} == set(Dns(name="x").metrics())


@pytest.mark.parametrize(
    ("name", "record", "expect"),
    [
        ("WWW.example.", "A", ["10.45.1.2", "10.45.1.1"]),
        ("www.example", "AAAA", ["2001:DB8:0::1"]),
        ("example", "MX", ["20 mail2.example", "10 mail1.EXAMPLE."]),
        ("example", "NS", ["ns.example"]),
        ("_sip._udp.example", "SRV", ["0 5 5060 sip.example"]),
        ("text.example", "TXT", ["v=spf1 -all more"]),
        ("portal.example", "CNAME", ["www.example"]),
        ("10.45.1.1", "PTR", ["router.example"]),
        ("1.1.45.10.in-addr.arpa", "PTR", ["router.example"]),
    ],
)
def test_records_of_every_kind_are_as_expected_in_any_order(name, record, expect):
    assert values(ask(name, record=record, expect=expect))["dns_answers"] == len(expect)


def test_aliases_are_followed_and_their_ttl_counts():
    assert values(ask("portal.example", expect=["10.45.1.1", "10.45.1.2"]))["dns_ttl_seconds"] == 60


@pytest.mark.parametrize(
    ("expect", "detail"),
    [
        (["10.45.1.1"], "not expected: 10.45.1.2"),
        (["10.45.1.1", "10.45.1.2", "10.45.1.3"], "missing: 10.45.1.3"),
        (["10.9.9.9"], "missing: 10.9.9.9; not expected: 10.45.1.1, 10.45.1.2"),
    ],
)
def test_a_record_too_many_or_too_few_is_a_mismatch_with_what_was_measured(expect, detail):
    failure = ask("www.example", expect=expect)
    assert (failure.code, failure.reading.detail) == ("mismatch", detail)
    assert values(failure.reading)["dns_answers"] == 2


def test_a_txt_record_is_compared_by_letter_case():
    assert ask("text.example", record="TXT", expect=["V=SPF1 -all more"]).code == "mismatch"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("nobody.example", "nxdomain"),
        ("www.broken", "servfail"),
        ("www.elsewhere", "dns_refused"),
        ("text.example", "nodata"),
        ("dangling.example", "nodata"),
        ("loop.example", "cname_loop"),
    ],
)
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_what_the_resolver_says_instead_is_a_code(name, code, transport):
    assert ask(name, transport=transport).code == code


def test_a_refusal_keeps_the_time_it_took():
    assert set(values(ask("nobody.example").reading)) == {"dns_lookup_seconds"}
    assert values(ask("text.example").reading)["dns_answers"] == 0


def test_an_answer_too_big_for_udp_comes_over_tcp():
    assert ask("big.example", record="TXT", expect=["x" * 1200]).samples


def test_the_question_comes_from_the_source_address_with_a_new_id_and_port_each_time():
    async def scenario():
        async with Scripted(lambda data: [good(data)]).listening() as peer:
            for _ in range(5):
                await look_up("127.0.0.1", peer.port, name="www.example", source="127.0.0.9")
            return peer

    peer = asyncio.run(scenario())
    assert {address for address, _ in peer.peers} == {"127.0.0.9"}
    assert len({port for _, port in peer.peers}) > 1
    assert len({question.id for question in peer.asked}) > 1


@pytest.mark.parametrize("recursion", [True, False])
def test_recursion_is_desired_unless_it_is_not(recursion):
    _, peer = scripted(lambda data: [good(data)], recursion=recursion)
    assert bool(peer.asked[0].flags & dns.flags.RD) == recursion


def test_a_resolver_over_ipv6_or_by_name_is_asked():
    async def scenario(address, bound):
        def receive(server):
            data, peer = server.recvfrom(512)
            server.sendto(good(data), peer)

        with socket.socket(socket.AF_INET6 if ":" in bound else socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind((bound, 0))
            asyncio.get_running_loop().add_reader(server, receive, server)
            try:
                return await look_up(address, server.getsockname()[1], name="www.example")
            finally:
                asyncio.get_running_loop().remove_reader(server)

    assert asyncio.run(scenario("::1", "::1")).samples
    first = socket.getaddrinfo("localhost", 53, type=socket.SOCK_STREAM)[0][4][0]
    assert asyncio.run(scenario("localhost", first)).samples


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_nobody_at_the_port_propagates_as_refused(transport):
    with pytest.raises(ConnectionRefusedError):
        asyncio.run(look_up("127.0.53.9", 5300, name="www.example", transport=transport))


def test_silence_ends_with_the_deadline_and_leaves_nothing_open():
    failure, _ = scripted(lambda _data: [], seconds=0.05)
    assert isinstance(failure, TimeoutError)


# --- hostile resolvers


def other_id(data):
    return bytes([data[0] ^ 0xFF]) + good(data)[1:]


def test_an_answer_with_another_id_is_not_taken_and_the_right_one_after_it_is():
    assert isinstance(scripted(lambda data: [other_id(data)], seconds=0.05)[0], TimeoutError)
    reading, _ = scripted(lambda data: [other_id(data), b"", b"\0", good(data)])
    assert values(reading)["dns_answers"] == 1


def test_an_answer_from_another_address_is_not_taken():
    def from_elsewhere(data):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.0.66", 0))
            stranger.sendto(good(data), peer.peers[-1])
        return []

    async def scenario():
        async with peer.listening():
            await look_up("127.0.0.1", peer.port, name="www.example", seconds=0.1)

    peer = Scripted(from_elsewhere)
    with pytest.raises(TimeoutError):
        asyncio.run(scenario())


def test_a_flood_of_strangers_ends_the_run():
    failure, _ = scripted(lambda data: [other_id(data)] * MOST_STRANGERS)
    assert failure.code == "bad_response"


def another_question(data):
    question = dns.message.from_wire(data)
    question.question[0].name = dns.name.from_text("evil.example")
    return good(question.to_wire())


@pytest.mark.parametrize(
    "answer",
    [
        another_question,
        lambda data: data,  # an echo service
        lambda data: data[:2],
        lambda data: good(data)[:20],
        lambda data: good(data)[:-1],
        lambda data: good(data) + b"junk",
        lambda data: data[:2] + bytes(10),
        lambda data: data[:2] + b"\xff" * 40,
        lambda data: good(data)[:2] + b"\x81\x8f" + good(data)[4:],  # a code that nobody has defined
    ],
    ids=["other question", "echo", "id only", "cut in the question", "cut in the answer", "junk behind", "zeros", "ones", "code 15"],
)
def test_an_answer_with_our_id_that_is_none_is_a_bad_response(answer):
    assert scripted(lambda data: [answer(data)])[0].code == "bad_response"
    assert scripted(lambda _data: [], lambda data: framed(answer(data)), transport="tcp")[0].code == "bad_response"


@pytest.mark.parametrize(
    "stream",
    [
        lambda _data: b"",
        lambda _data: b"\0",
        lambda data: framed(good(data))[:-1],
        lambda data: framed(other_id(data)),
        lambda data: framed(good(data, truncated=True)),
    ],
    ids=["closed", "half a length", "cut short", "other id", "truncated"],
)
def test_a_connection_that_does_not_give_a_whole_answer_is_a_bad_response(stream):
    assert scripted(lambda _data: [], stream, transport="tcp")[0].code == "bad_response"


def test_an_answer_over_tcp_that_is_too_long_is_not_waited_for():
    failure, _ = scripted(lambda _data: [], lambda _data: (MOST_BYTES + 1).to_bytes(2, "big"), transport="tcp")
    assert (failure.code, failure.reading.detail) == ("bad_response", f"an answer of {MOST_BYTES + 1} bytes")


def test_what_is_left_in_a_truncated_answer_is_not_used():
    reading, _ = scripted(lambda data: [good(data, "10.9.9.9", truncated=True)[:-3]], lambda data: framed(good(data)), expect=["10.45.1.1"])
    assert values(reading)["dns_answers"] == 1


def test_a_truncated_answer_without_tcp_says_so():
    refused, _ = scripted(lambda data: [good(data, truncated=True)])
    assert (refused.code, "Connection refused" in refused.reading.detail) == ("truncated", True)
    silent, _ = scripted(lambda data: [good(data, truncated=True)], lambda _data: None, seconds=0.5)
    assert (silent.code, "none came" in silent.reading.detail) == ("truncated", True)


def test_a_txt_record_cannot_write_to_the_terminal():
    def colourful(data):
        answer = dns.message.make_response(dns.message.from_wire(data))
        answer.answer = [dns.rrset.from_text(answer.question[0].name, 1, "IN", "TXT", '"\\027[31m\\226\\128\\174red"')]
        return [answer.to_wire()]

    assert scripted(colourful, record="TXT")[0].facts["dns_answer"] == "[31mred"
    assert scripted(colourful, record="TXT", expect=["x"])[0].reading.detail == "missing: x; not expected: [31mred"


# --- keys


@pytest.mark.parametrize(
    "keys",
    [
        "{}",
        '{"name": ""}',
        '{"name": "a..b"}',
        f'{{"name": "{"a" * 64}.example"}}',
        '{"name": "x", "record": "ANY"}',
        '{"name": "x", "port": 0}',
        '{"name": "x", "port": "53"}',
        '{"name": "x", "transport": "tls"}',
        '{"name": "x", "expect": ["not an address"]}',
        '{"name": "x", "expect": ["10.45.1.1.1"]}',
        '{"name": "x", "record": "MX", "expect": ["mail.example"]}',
        '{"name": "x", "expect": "10.45.1.1"}',
        '{"name": "x", "_expected": []}',
        '{"name": "x", "unknown": 1}',
    ],
)
def test_a_key_that_cannot_be_right_is_refused(keys):
    with pytest.raises(ValidationError):
        TypeAdapter(Dns).validate_json(keys)


@given(st.text(max_size=80), st.sampled_from(["A", "AAAA", "CNAME", "MX", "NS", "PTR", "SRV", "TXT"]))
def test_any_text_is_a_name_and_a_record_or_a_value_error(text, record):
    with contextlib.suppress(ValueError):
        wire.question(text, record, recursion=True).to_wire()
    with contextlib.suppress(ValueError):
        wire.expected([text], record)


# --- bytes


ASKED = wire.question("www.example", "A", recursion=True)
RIGHT = good(ASKED.to_wire(), "10.45.1.1", "10.45.1.2")


@given(st.binary(max_size=600))
def test_any_bytes_are_an_answer_or_one_of_two_exceptions(data):
    for message in (data, ASKED.to_wire()[:2] + data, RIGHT[:12] + data):
        with contextlib.suppress(wire.NotOurs, wire.BadAnswer):
            assert wire.read(message, ASKED).rcode


@given(st.integers(0, len(RIGHT) - 1), st.integers(0, 255), st.integers(0, len(RIGHT)))
def test_a_damaged_answer_is_an_answer_or_one_of_two_exceptions(place, value, length):
    damaged = bytearray(RIGHT)
    damaged[place] = value
    for message in (bytes(damaged), bytes(damaged[:length])):
        with contextlib.suppress(wire.NotOurs, wire.BadAnswer):
            answer = wire.read(message, ASKED)
            assert answer.truncated or answer.rcode != "noerror" or len(answer.records) <= 2


def test_an_answer_of_more_records_than_anyone_needs_is_refused_unread():
    addresses = [f"10.45.{number >> 8}.{number & 255}" for number in range(wire.MOST_RECORDS)]
    assert len(wire.read(good(ASKED.to_wire(), *addresses[1:]), ASKED).records) == wire.MOST_RECORDS - 1  # and the question
    with pytest.raises(wire.BadAnswer):
        wire.read(good(ASKED.to_wire(), *addresses), ASKED)


@given(st.sets(st.ip_addresses(v=4), min_size=1, max_size=20))
def test_an_answer_reads_as_what_is_expected_of_it(addresses):
    texts = [str(address) for address in addresses]
    assert frozenset(wire.read(good(ASKED.to_wire(), *texts), ASKED).records) == wire.expected(texts, "A")
