import asyncio
import contextlib
import json
import socket
import struct
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

import probes
from netwatch.lab import h323 as lab
from probes import ProbeFailed, Shared, Target
from probes._ras import MOST_STRANGERS
from probes._wire import h225 as wire
from probes.h323 import H323

pytestmark = pytest.mark.needs_private_network
SEQUENCE = (76).to_bytes(2)


class Scripted(asyncio.DatagramProtocol):
    """Sends what `script(kind, sequence, how_many_before)` makes of each request."""

    def __init__(self, script):
        self.script, self.asked = script, []

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, peer):
        self.asked.append(data)
        for answer in self.script(*lab.sequence_of(data), len(self.asked) - 1):
            self.transport.sendto(answer, peer)


@contextlib.asynccontextmanager
async def udp(protocol, address="127.0.0.1"):
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: protocol, local_addr=(address, 0))
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def tcp(*, closes=False):
    ended = asyncio.Event()

    async def handle(reader, writer):
        if not closes:
            await reader.read()
        ended.set()
        writer.transport.abort()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], ended
    finally:
        server.close()
        await asyncio.sleep(0)


async def ask(probe, *, address="127.0.0.1", seconds=20.0, source=None):
    """What came of it, and all that was measured."""
    reported = []
    loop, shared = asyncio.get_running_loop(), Shared()
    try:
        async with asyncio.timeout(seconds):
            reading = await probe.run(Target(address, loop.time() + seconds, source, report=reported.append), shared)
    except (ProbeFailed, OSError) as failure:
        return failure, {sample.name: sample.values[0] for sample in reported}
    return reading, {sample.name: sample.values[0] for sample in (*reported, *reading.samples)}


def asked_of_gatekeeper(protocol, *, address="127.0.0.1", seconds=20.0, source=None, **keys):
    async def scenario():
        async with udp(protocol, address) as port:
            return await ask(H323(port=None, ras_port=port, **keys), address=address, seconds=seconds, source=source)

    return asyncio.run(scenario())


# --- the signalling port


def test_the_type_keeps_the_contract():
    assert probes.get("h323") is H323


def test_a_connection_is_timed_and_closed_and_nothing_is_sent():
    heard = asyncio.Queue()

    async def scenario():
        async def handle(reader, writer):
            heard.put_nowait(await reader.read())
            writer.transport.abort()

        async with await asyncio.start_server(handle, "127.0.0.1", 0) as server, asyncio.timeout(20):
            return *await ask(H323(port=server.sockets[0].getsockname()[1])), await heard.get()

    reading, values, sent = asyncio.run(scenario())
    assert set(values) == {"h323_connect_seconds"}
    assert 0 < values["h323_connect_seconds"] < 10
    assert (reading.facts, sent) == ({}, b"")


def test_a_port_that_drops_whoever_comes_is_no_working_device():
    async def scenario():
        async with tcp(closes=True) as (port, _):
            return await ask(H323(port=port))

    failure, values = asyncio.run(scenario())
    assert failure.code == "closed"
    assert values == {}


def test_a_closed_port_is_refused():
    failure, _ = asyncio.run(ask(H323(port=1)))
    assert isinstance(failure, ConnectionRefusedError)


# --- the gatekeeper


def test_a_confirm_shows_the_gatekeeper_alive():
    reading, values = asked_of_gatekeeper(lab.Gatekeeper(lambda: ()))
    assert 0 < values.pop("h323_gatekeeper_seconds") < 10
    assert values == {"h323_gatekeeper_answers": 1, "h323_gatekeeper_rejects": 0}
    assert reading.facts == {"h323_gatekeeper": "GK-LAB"}


@pytest.mark.parametrize(
    ("reason", "word"), [(0, "resourceUnavailable"), (1, "terminalExcluded"), (2, "invalidRevision"), (3, "undefinedReason")]
)
def test_a_reject_shows_it_alive_too_and_tells_why(reason, word):
    reading, values = asked_of_gatekeeper(Scripted(lambda _kind, sequence, _: [lab.gatekeeper_reject(sequence, reason)]))
    assert (values["h323_gatekeeper_answers"], values["h323_gatekeeper_rejects"]) == (1, 1)
    assert reading.facts["h323_reject"] == word


def test_silence_fails_where_nothing_else_is_asked():
    failure, values = asked_of_gatekeeper(Scripted(lambda *_: []), seconds=0.5)
    assert (failure.code, values) == ("gatekeeper_silent", {})


@pytest.mark.parametrize("silent", [True, False])
def test_silence_is_no_failure_of_a_device_that_takes_connections(silent):
    async def scenario():
        async with tcp() as (port, _), udp(Scripted(lambda *_: [])) as ras:
            return await ask(H323(port=port, ras_port=ras if silent else 1), seconds=1.0)

    reading, values = asyncio.run(scenario())
    assert not isinstance(reading, Exception)
    assert values.pop("h323_connect_seconds") > 0
    assert values == {"h323_gatekeeper_answers": 0}


def test_a_gatekeeper_whose_port_is_closed_is_refused():
    assert isinstance(asyncio.run(ask(H323(port=None, ras_port=1)))[0], ConnectionRefusedError)


def test_it_is_asked_again_when_a_packet_was_lost_and_waited_for_when_it_asks_to():
    peer = Scripted(lambda _kind, sequence, before: [[], [lab.in_progress(sequence)], [lab.gatekeeper_confirm(sequence)]][before])
    _, values = asked_of_gatekeeper(peer)
    assert values["h323_gatekeeper_answers"] == 1
    assert values["h323_gatekeeper_seconds"] > 1.9
    assert peer.asked[0] == peer.asked[1] == peer.asked[2]


def test_another_gatekeeper_than_the_target_may_be_asked():
    async def scenario():
        async with tcp() as (port, _), udp(lab.Gatekeeper(lambda: ("na-tau",)), "127.0.0.9") as ras:
            return await ask(H323(port=port, ras_port=ras, gatekeeper="127.0.0.9", lookup="na-tau"))

    assert asyncio.run(scenario())[1]["h323_registered"] == 1


@pytest.mark.parametrize(("alias", "registered"), [("na-tau", 1), ("sin-thau", 0)])
def test_an_alias_is_looked_up(alias, registered):
    assert asked_of_gatekeeper(lab.Gatekeeper(lambda: ("na-tau",)), lookup=alias)[1]["h323_registered"] == registered


@pytest.mark.parametrize(("reason", "registered"), [(0, 0), (1, None), (2, 0), (3, None)])
def test_a_reject_that_is_about_us_says_nothing_of_the_alias(reason, registered):
    answers = {"gatekeeper": lab.gatekeeper_confirm, "location": lambda sequence: lab.location_reject(sequence, reason)}
    _, values = asked_of_gatekeeper(Scripted(lambda kind, sequence, _: [answers[kind](sequence)]), lookup="x")
    assert values.get("h323_registered") == registered


def test_a_gatekeeper_that_does_not_look_up_leaves_it_open():
    peer = Scripted(lambda kind, sequence, _: [lab.gatekeeper_confirm(sequence)] if kind == "gatekeeper" else [])
    reading, values = asked_of_gatekeeper(peer, lookup="x", seconds=1.0)
    assert not isinstance(reading, Exception)
    assert "h323_registered" not in values


def test_version_six_and_the_source_are_kept_to():
    peer = Scripted(lambda _kind, sequence, _: [lab.gatekeeper_confirm(sequence)])
    assert asked_of_gatekeeper(peer, address="::1")[1]["h323_gatekeeper_answers"] == 1
    peer = Scripted(lambda _kind, sequence, _: [lab.gatekeeper_confirm(sequence)])
    assert asked_of_gatekeeper(peer, source="127.0.0.66")[1]["h323_gatekeeper_answers"] == 1
    assert bytes((127, 0, 0, 66)) in peer.asked[0]


# --- hostile gatekeepers


def wrong(sequence):
    return (int.from_bytes(sequence) ^ 1).to_bytes(2)


@pytest.mark.parametrize(
    "make",
    [
        lambda _sequence: b"",
        lambda _sequence: b"\xff" * 1400,
        lambda sequence: lab.gatekeeper_confirm(wrong(sequence)),
        lambda sequence: lab.gatekeeper_confirm(sequence)[:3],
        lab.location_confirm,
        lambda sequence: wire.gatekeeper_request(int.from_bytes(sequence) + 1, ("10.0.0.1", 1719)),
    ],
)
def test_what_is_no_answer_to_ours_is_passed_over(make):
    failure, _ = asked_of_gatekeeper(Scripted(lambda _kind, sequence, _: [make(sequence)]), seconds=0.3)
    assert failure.code == "gatekeeper_silent"
    _, values = asked_of_gatekeeper(Scripted(lambda _kind, sequence, _: [make(sequence), lab.gatekeeper_confirm(sequence)]))
    assert values["h323_gatekeeper_answers"] == 1


def test_a_flood_does_not_keep_us_busy():
    peer = Scripted(
        lambda _kind, sequence, before: [b"junk"] * (MOST_STRANGERS + 20) if before == 0 else [lab.gatekeeper_confirm(sequence)]
    )
    assert asked_of_gatekeeper(peer)[1]["h323_gatekeeper_answers"] == 1


def test_an_answer_from_another_port_is_none():
    def script(_kind, sequence, _):
        port = int.from_bytes(peer.asked[-1][16:18])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.sendto(lab.gatekeeper_confirm(sequence), ("127.0.0.1", port))
        return []

    peer = Scripted(script)
    assert asked_of_gatekeeper(peer, seconds=0.3)[0].code == "gatekeeper_silent"


def test_its_name_is_shown_inert():
    peer = Scripted(lambda _kind, sequence, _: [lab.gatekeeper_confirm(sequence, "\x1b[31m<b>\u202ex")])
    assert asked_of_gatekeeper(peer)[0].facts == {"h323_gatekeeper": "[31m<b>x"}


# --- PER, by Wireshark's own decoder


def decoded(folder, *messages):
    """What tshark makes of RAS messages, and that it finds nothing wrong with them."""
    file = folder / "ras.pcap"
    with file.open("wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))  # libpcap, raw IP
        for message in messages:
            datagram = struct.pack("!HHHH", 40000, 1719, 8 + len(message), 0) + message
            packet = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(datagram), 1, 0, 64, 17, 0, bytes(4), bytes(4)) + datagram
            out.write(struct.pack("<IIII", 0, 0, len(packet), len(packet)) + packet)
    done = subprocess.run(["tshark", "-r", str(file), "-T", "json"], capture_output=True, text=True, timeout=60, check=True)
    assert "Malformed" not in done.stdout
    return [json.dumps(packet["_source"]["layers"]["h225.RasMessage"] if "h225.RasMessage" in packet["_source"]["layers"] else packet["_source"]["layers"], ensure_ascii=False) for packet in json.loads(done.stdout)]  # fmt: skip


def test_tshark_reads_what_we_ask(tmp_path):
    found = decoded(
        tmp_path,
        wire.gatekeeper_request(1234, ("10.45.1.9", 40000), "netwatch", "GK-Điện Biên"),
        wire.gatekeeper_request(1, ("10.45.1.9", 40000)),
        wire.gatekeeper_request(65535, ("2001:db8::1", 40000), "123"),
        wire.gatekeeper_request(7, ("10.1.1.1", 1), "0123456789#*,"),
        wire.location_request(77, ("10.45.1.9", 40000), "na-tau"),
        wire.location_request(77, ("2001:db8::1", 40000), "12"),
    )
    for text, wanted in zip(
        found,
        (
            ('requestSeqNum": "1234"', "GK-Điện Biên", '"netwatch"', "10.45.1.9", '"40000"'),
            ('requestSeqNum": "1"', "gatekeeperRequest"),
            ('requestSeqNum": "65535"', '"123"', "2001:db8::1"),
            ('"0123456789#*,"', "10.1.1.1"),
            ("locationRequest", '"na-tau"', "10.45.1.9"),
            ("locationRequest", '"12"', "2001:db8::1"),
        ),
        strict=True,
    ):
        for word in wanted:
            assert word in text


def test_tshark_reads_the_answers_that_we_are_tested_with(tmp_path):
    found = decoded(
        tmp_path, lab.gatekeeper_confirm(SEQUENCE), lab.gatekeeper_reject(SEQUENCE), lab.location_confirm(SEQUENCE),
        lab.location_reject(SEQUENCE), lab.in_progress(SEQUENCE),
    )  # fmt: skip
    for text, word in zip(
        found, ("gatekeeperConfirm", "terminalExcluded", "locationConfirm", "requestDenied", "requestInProgress"), strict=True
    ):
        assert word in text
        assert 'requestSeqNum": "77"' in text


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(data):
    with contextlib.suppress(wire.BadMessage):
        assert 0 < wire.read(data).sequence <= 65_536


ANSWERS = (lab.gatekeeper_confirm(SEQUENCE), lab.gatekeeper_reject(SEQUENCE), lab.location_reject(SEQUENCE), lab.in_progress(SEQUENCE))


@given(st.sampled_from(ANSWERS), st.integers(0, 40), st.integers(0, 319))
def test_answers_cut_or_changed_anywhere_are_read_or_refused(answer, cut, flip):
    changed = bytearray(answer)
    if flip < 8 * len(changed):
        changed[flip // 8] ^= 0x80 >> flip % 8
    for data in (answer[:cut], bytes(changed), bytes(changed)[:cut]):
        with contextlib.suppress(wire.BadMessage):
            wire.read(data)


@pytest.mark.parametrize(
    "answer", [lab.gatekeeper_confirm(SEQUENCE)[:20], lab.gatekeeper_reject(SEQUENCE)[:-1], lab.location_reject(SEQUENCE)[:-1], b""]
)
def test_an_answer_cut_short_is_refused(answer):
    with pytest.raises(wire.BadMessage):
        wire.read(answer)


def test_what_is_not_of_the_standard_is_left_out():
    for owner in ((b"\x00", bytes((2, 0x2A, 3))), (b"\x40", bytes((0xB5, 0, 0, 9)))):
        writer = wire.Writer()
        writer.bits(1, 6)  # gatekeeperConfirm
        writer.bits(0b0_1_1, 3)
        writer.octets(SEQUENCE)
        writer.octets(bytes((6,)) + wire.PROTOCOL)
        writer.octets(b"".join(owner) + bytes((3, 1, 2, 3)))
        writer.bits(1, 7)
        writer.octets("GK".encode("utf-16-be"))
        assert wire.read(writer.to_bytes()).gatekeeper == "GK"


def test_a_reason_that_came_later_is_named():
    writer = wire.Writer()
    writer.bits(2, 6)
    writer.bits(0, 3)
    writer.octets(SEQUENCE)
    writer.octets(bytes((6,)) + wire.PROTOCOL)
    writer.bits(0b1_0_000000, 8)  # the first of those added: securityDenial
    writer.octets(bytes((1, 0)))
    assert wire.read(writer.to_bytes()).reason == "securityDenial"


# --- settings


@pytest.mark.parametrize(
    "keys",
    [
        {"port": 0},
        {"port": None},
        {"ras_port": 70000},
        {"lookup": "x"},
        {"gatekeeper": "10.0.0.1"},
        {"gatekeeper_id": "x"},
        {"ras_port": 1719, "gatekeeper": "a b"},
        {"ras_port": 1719, "lookup": "x" * 129},
        {"ras_port": 1719, "lookup": "\U0001f600"},
        {"alias": "a\nb"},
    ],
)
def test_keys_that_cannot_be_right_are_refused(keys):
    with pytest.raises(ValidationError):
        TypeAdapter(H323).validate_python(keys)


def test_every_sample_is_a_metric():
    async def scenario():
        async with tcp() as (port, _), udp(lab.Gatekeeper(lambda: ("a",))) as ras:
            return await ask(H323(port=port, ras_port=ras, lookup="a"))

    assert set(asyncio.run(scenario())[1]) == set(H323().metrics())
