import asyncio
import contextlib
import errno
import ipaddress
import json
import socket
import subprocess
import sys
import time

import pytest

import probes
from netwatch.reflector._stamp import Limits, StampReflector
from probes import ProbeFailed, Shared, Target
from probes._wire.stamp import ErrorEstimate, to_ntp
from probes.stamp import Stamp
from tests.stamp_peer import StampPeer, reply

pytestmark = pytest.mark.needs_private_network

SYNCHRONISED = ErrorEstimate.of(1e-6, synchronised=True)
QUICK = {"spacing_seconds": 0.005, "wait_seconds": 0.3}


@contextlib.contextmanager
def reflecting(address="127.0.0.1", port=0, **limits):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_DGRAM)
    listener.bind((address, port))
    reflector = StampReflector(listener, lambda: SYNCHRONISED, Limits(**limits))
    asyncio.get_running_loop().add_reader(reflector, reflector.read)
    try:
        yield reflector, listener.getsockname()[1]
    finally:
        asyncio.get_running_loop().remove_reader(reflector)
        reflector.close()


def sync(scenario):
    async def bounded():
        async with asyncio.timeout(30):
            return await scenario()

    return asyncio.run(bounded())


def aim(address="127.0.0.1", *, source=None, recheck=False, seconds=10):
    return Target(address, asyncio.get_running_loop().time() + seconds, source, recheck=recheck)


def measured(script, trains=1, **options):
    """The readings of several trains to a scripted far end, or what they raised."""

    async def scenario():
        peer = StampPeer(script)
        with peer.listening() as port:
            probe = Stamp(port=port, **{**QUICK, "count": 6, **options})
            readings = []
            for _ in range(trains):
                try:
                    readings.append(await probe.run(aim(), Shared()))
                except ProbeFailed as failed:
                    readings.append(failed.reading)
        return peer, readings

    return sync(scenario)


def value(reading, name, instance=""):
    return next((one.values for one in reading.samples if (one.name, one.instance) == (f"stamp_{name}", instance)), None)


def single(reading, name, instance=""):
    values = value(reading, name, instance)
    return None if values is None else values[0]


def test_the_type_keeps_the_contract():
    assert probes.get("stamp") is Stamp


def test_every_sample_is_a_metric_that_is_declared():
    _, (reading,) = measured(lambda peer, asked: [reply(asked).encode()])
    declared = Stamp().metrics()
    assert {one.name for one in reading.samples} <= set(declared)
    assert all(bool(declared[one.name].instance_label) == bool(one.instance) for one in reading.samples)


def test_our_reflector_answers_all_and_no_time_is_negative():
    async def scenario():
        with reflecting() as (reflector, port):
            reading = await Stamp(port=port, count=10, **QUICK).run(aim(), Shared())
        return reflector, reading

    reflector, reading = sync(scenario)
    assert (single(reading, "sent"), single(reading, "received"), reflector.reflected) == (10, 10, 10)
    assert len(value(reading, "rtt_seconds")) == 10
    assert all(0 <= rtt < 1 for rtt in value(reading, "rtt_seconds"))
    assert single(reading, "loss_ratio", "round_trip") == 0
    assert (single(reading, "lost", "down"), single(reading, "lost", "up")) == (0, 0)
    assert single(reading, "distrusted") == 0


@pytest.mark.parametrize("address", ["::1", "127.5.6.7"])
def test_the_answer_comes_from_the_address_that_was_asked(address):
    async def scenario():
        wildcard = "::" if ":" in address else "0.0.0.0"
        with reflecting(wildcard) as (_, port):
            return await Stamp(port=port, count=3, **QUICK).run(aim(address), Shared())

    assert single(sync(scenario), "received") == 3


@pytest.mark.parametrize(
    ("address", "source", "asks", "told"),
    [
        ("127.0.0.1", "127.0.0.9", ((0, 13), (0, 12)), {1: 46 << 2, 2: 255}),  # IP_RECVTOS, IP_RECVTTL
        (
            "::1",
            "::1",
            ((41, socket.IPV6_RECVTCLASS), (41, socket.IPV6_RECVHOPLIMIT)),
            {socket.IPV6_TCLASS: 46 << 2, socket.IPV6_HOPLIMIT: 255},
        ),
    ],
    ids=["IPv4", "IPv6"],
)
def test_packets_come_from_the_source_address_in_the_wanted_class_with_all_their_hops(address, source, asks, told):
    async def scenario():
        peer = StampPeer(lambda peer, asked: [reply(asked).encode()])
        with peer.listening(address) as port:
            for level, option in asks:
                peer.socket.setsockopt(level, option, 1)
            await Stamp(port=port, count=1, dscp=46, **QUICK).run(aim(address, source=source), Shared())
        return peer

    peer = sync(scenario)
    assert peer.senders[0][0] == source
    assert peer.headers == [told]


def test_a_recheck_sends_one_packet():
    async def scenario():
        with reflecting() as (reflector, port):
            await Stamp(port=port, **QUICK).run(aim(recheck=True), Shared())
        return reflector.reflected

    assert sync(scenario) == 1


def test_the_packets_are_as_long_as_asked_and_the_answers_no_longer():
    peer, _ = measured(lambda peer, asked: [reply(asked).encode()], size=500)
    assert {len(request) for request in peer.requests} == {500}


def test_the_far_end_sees_one_session_over_all_trains():
    peer, _ = measured(lambda peer, asked: [reply(asked).encode()], trains=3)
    from probes._wire.stamp import Request

    asked = [Request.parse(request) for request in peer.requests]
    assert [one.sequence for one in asked] == list(range(18))
    assert len({one.ssid for one in asked}) == 1
    assert asked[0].ssid > 0
    assert len(set(peer.senders)) == 1


def test_a_port_that_was_taken_meanwhile_begins_a_new_session():
    async def scenario():
        peer = StampPeer(lambda peer, asked: [reply(asked, peer.came).encode()])
        with peer.listening() as port, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as thief:
            probe = Stamp(port=port, count=2, **QUICK)
            await probe.run(aim(), Shared())
            thief.bind(peer.senders[0])
            reading = await probe.run(aim(), Shared())
        return peer, reading

    peer, reading = sync(scenario)
    assert len(set(peer.senders)) == 2
    assert single(reading, "received") == 2


def test_no_answer_is_a_time_out_with_all_lost():
    peer, (reading,) = measured(lambda peer, asked: [])
    assert single(reading, "loss_ratio", "round_trip") == 1
    assert value(reading, "rtt_seconds") is None
    assert value(reading, "loss_ratio", "down") is None
    assert peer.came == 6


def test_nobody_there_is_refused_with_all_lost():
    async def scenario():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with pytest.raises(ProbeFailed) as caught:
            await Stamp(port=port, count=3, **QUICK).run(aim(), Shared())
        return caught.value

    failed = sync(scenario)
    assert failed.code == "refused"
    assert single(failed.reading, "sent") == 3


def test_no_route_propagates_as_our_own_fault():
    with pytest.raises(OSError, match="unreachable") as caught:
        sync(lambda: Stamp(**QUICK).run(aim("192.0.2.1"), Shared()))
    assert caught.value.errno == errno.ENETUNREACH


def test_the_train_ends_in_time_whatever_the_settings():
    async def scenario():
        peer = StampPeer(lambda peer, asked: [])
        with peer.listening() as port, pytest.raises(ProbeFailed):
            await Stamp(port=port, count=1000, spacing_seconds=0.1, wait_seconds=10).run(aim(seconds=0.5), Shared())
        return peer.came

    assert 0 < sync(scenario) < 10


# What the far end counts.


def counting(lost_down=(), lost_up=(), begins=0):
    """A far end that numbers what reaches it; packets are told by their own number."""

    def script(peer, asked):
        if asked.sequence in lost_down:
            return []
        number = peer.__dict__.setdefault("number", begins)
        peer.number += 1
        return [] if asked.sequence in lost_up else [reply(asked, number).encode()]

    return script


def test_loss_is_told_by_direction():
    _, (reading,) = measured(counting(lost_down={1}, lost_up={2, 3}))
    assert (single(reading, "lost", "down"), single(reading, "lost", "up")) == (1, 2)
    assert single(reading, "loss_ratio", "round_trip") == 0.5
    assert single(reading, "loss_ratio", "down") == pytest.approx(1 / 6)
    assert single(reading, "loss_ratio", "up") == pytest.approx(2 / 5)


def test_loss_at_the_end_of_a_train_is_told_with_the_next_one():
    _, (first, second) = measured(counting(lost_down={1, 4}, lost_up={5}), trains=2)
    assert (single(first, "lost", "down"), single(first, "lost", "up")) == (1, 0)
    assert (single(second, "lost", "down"), single(second, "lost", "up")) == (1, 1)


def test_a_reflector_that_copies_our_numbers_tells_no_direction():
    def script(peer, asked):
        return [] if asked.sequence == 2 else [reply(asked).encode()]

    _, (reading,) = measured(script)
    assert single(reading, "loss_ratio", "round_trip") == pytest.approx(1 / 6)
    assert value(reading, "loss_ratio", "down") is None
    assert value(reading, "lost", "up") is None


def test_one_that_is_said_to_count_has_lost_on_the_way_back():
    _, (reading,) = measured(counting(lost_up={2}), counts=True)
    assert (single(reading, "lost", "down"), single(reading, "lost", "up")) == (0, 1)


def test_one_that_counted_once_is_known_to_count_from_then_on():
    _, (_, second) = measured(counting(lost_down={1}, lost_up={8}), trains=2)
    assert (single(second, "lost", "down"), single(second, "lost", "up")) == (0, 1)


def test_a_restart_of_the_far_end_blames_no_direction_and_counting_begins_anew():
    def script(peer, asked):
        if asked.sequence == 9:
            peer.number = 0
        return counting(lost_down={1, 20})(peer, asked)

    _, readings = measured(script, trains=4)
    assert [single(one, "lost", "down") for one in readings] == [1, None, 0, 1]
    assert [single(one, "loss_ratio", "round_trip") for one in readings] == pytest.approx([1 / 6, 0, 0, 1 / 6])


@pytest.mark.parametrize("number", [0, 7, 2**32 - 1])
def test_a_number_that_stands_still_blames_no_direction(number):
    _, readings = measured(lambda peer, asked: [] if asked.sequence == 3 else [reply(asked, number).encode()], trains=2, counts=True)
    assert all(value(one, "lost", "up") is None or single(one, "lost", "up") == 0 for one in readings)
    assert all(not single(one, "lost", "down") for one in readings)


def test_an_outage_is_counted_but_is_not_the_loss_of_now():
    _, readings = measured(counting(lost_down=range(6, 30)), trains=6)
    assert single(readings[-1], "lost", "down") == 24
    assert value(readings[-1], "loss_ratio", "down") is None
    assert single(readings[-1], "loss_ratio", "round_trip") == 0


# Answers that are doubled, late, out of order or not to ours.


def test_doubled_answers_count_once():
    _, (reading,) = measured(lambda peer, asked: [reply(asked).encode()] * 2)
    assert single(reading, "received") == 6
    assert 5 <= single(reading, "duplicates") <= 6  # nobody waits for the second answer to the last packet


def test_answers_out_of_order_are_counted():
    held = []

    def script(peer, asked):
        held.append(reply(asked, peer.came).encode())
        return [held.pop() for _ in range(len(held))] if len(held) == 3 else []

    _, (reading,) = measured(script)
    assert (single(reading, "received"), single(reading, "reordered")) == (6, 4)
    assert single(reading, "lost", "down") == 0


def test_a_late_answer_is_counted_with_the_next_train():
    held = []

    def script(peer, asked):
        answer = reply(asked).encode()
        if asked.sequence == 2:
            held.append(answer)
            return []
        return [answer, *(held.pop() for _ in range(len(held) if asked.sequence > 6 else 0))]

    _, (first, second) = measured(script, trains=2)
    assert (single(first, "received"), single(first, "late")) == (5, 0)
    assert (single(second, "received"), single(second, "late")) == (6, 1)


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda asked: reply(asked).encode()[:40],
        lambda asked: b"",
        lambda asked: bytes(1400),
        lambda asked: reply(type(asked)(asked.sequence, asked.stamp + 1, asked.error, asked.ssid)).encode(),
        lambda asked: reply(type(asked)(asked.sequence + 1, asked.stamp, asked.error, asked.ssid)).encode(),
        lambda asked: reply(type(asked)(asked.sequence, asked.stamp, asked.error, asked.ssid ^ 1 or 3)).encode(),
    ],
    ids=["truncated", "empty", "zeros", "another time", "another number", "another session"],
)
def test_what_is_no_answer_to_ours_is_not_credited(spoilt):
    _, (reading,) = measured(lambda peer, asked: [spoilt(asked)], count=2)
    assert single(reading, "loss_ratio", "round_trip") == 1
    assert "no answers to ours" in reading.detail


def test_an_answer_from_another_address_is_not_credited():
    async def scenario():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.0.66", 0))

            def script(peer, asked):
                stranger.sendto(reply(asked).encode(), peer.senders[-1])
                return []

            peer = StampPeer(script)
            with peer.listening() as port, pytest.raises(ProbeFailed) as caught:
                await Stamp(port=port, count=2, **QUICK).run(aim(), Shared())
        return caught.value

    assert single(sync(scenario).reading, "received") == 0


def test_a_reflector_without_session_identifiers_is_fine():
    def script(peer, asked):
        return [reply(type(asked)(asked.sequence, asked.stamp, asked.error)).encode(41)]  # as short as TWAMP allows

    _, (reading,) = measured(script)
    assert single(reading, "received") == 6


# The reflector.


async def ask(port, *packets, source=("127.0.0.1", 0), wait=0.2):
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as client:
        client.bind(source)
        client.connect(("127.0.0.1", port))
        got = []
        for packet in packets:
            await loop.sock_sendall(client, packet)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    got.append(await loop.sock_recv(client, 2048))
    return got


def request(sequence=0, ssid=5, size=44):
    from probes._wire.stamp import Request

    return Request(sequence, to_ntp(time.time_ns()), ErrorEstimate(), ssid).encode(size)


@pytest.mark.parametrize(("asked", "answered"), [(14, 41), (41, 41), (43, 43), (44, 44), (1400, 1400)])
def test_an_answer_is_as_long_as_what_asked_for_it_but_for_the_least_of_twamp(asked, answered):
    async def scenario():
        with reflecting() as (_, port):
            return await ask(port, request(size=44).ljust(asked, b"\0")[:asked])

    assert [len(one) for one in sync(scenario)] == [answered]


def test_what_is_no_test_packet_gets_no_answer():
    async def scenario():
        with reflecting() as (reflector, port):
            return reflector, await ask(port, b"\0" * 13, b"")

    reflector, got = sync(scenario)
    assert (got, reflector.malformed) == ([], 2)


def test_the_answer_tells_ours_ttl_times_and_clock():
    async def scenario():
        from probes._wire.stamp import Reply

        with reflecting() as (_, port):
            return [Reply.parse(one) for one in await ask(port, request(7), request(8), request(8))]

    answers = sync(scenario)
    assert [one.sequence for one in answers] == [0, 1, 2]
    assert [one.request.sequence for one in answers] == [7, 8, 8]
    assert all(one.ttl == 64 and one.error == SYNCHRONISED and one.received <= one.stamp for one in answers)


def test_nothing_goes_to_a_port_where_a_reflector_or_a_service_may_listen():
    async def scenario():
        with reflecting() as (reflector, port):
            return reflector, [await ask(port, request(), source=source) for source in (("127.0.0.1", 862), ("127.0.0.2", port))]

    reflector, got = sync(scenario)
    assert (got, reflector.refused) == ([[], []], 2)


def test_only_the_networks_that_are_named_are_answered():
    async def scenario():
        with reflecting(networks=(ipaddress.ip_network("127.7.0.0/16"),)) as (_, port):
            return [await ask(port, request(), source=(address, 0)) for address in ("127.7.0.1", "127.8.0.1")]

    named, stranger = sync(scenario)
    assert (len(named), len(stranger)) == (1, 0)


def test_a_flood_is_answered_up_to_the_limit():
    async def scenario():
        with reflecting(session_per_second=5.0) as (reflector, port):
            return reflector, await ask(port, *(request(number) for number in range(12)), wait=0.02)

    reflector, got = sync(scenario)
    assert 5 <= len(got) < 12
    assert reflector.reflected + reflector.refused == 12


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_the_process_that_takes_part_in_line_tests_answers_stamp_too(address):
    from netwatch.reflector import Reflector

    async def scenario():
        far_end = Reflector(b"token")
        far_end.listen(address, 0)
        far_end.listen_stamp(address, 0)
        port = far_end._stamps[0]._socket.getsockname()[1]
        served = asyncio.get_running_loop().run_in_executor(None, far_end.serve)
        try:
            return await Stamp(port=port, count=3, **QUICK).run(aim(address), Shared())
        finally:
            far_end.close()
            await served

    assert single(sync(scenario), "received") == 3


# With the programs that others use.


def test_tshark_reads_our_packets_without_a_warning(tmp_path):
    async def scenario():
        with reflecting(port=862) as (_, _port), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as tap:
            tap.bind(("lo", 3))
            await Stamp(count=3, **QUICK).run(aim(), Shared())
            tap.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    frame, where = tap.recvfrom(4096)
                    if where[2] != socket.PACKET_OUTGOING:
                        frames.append(frame)

    frames = []
    sync(scenario)
    file = tmp_path / "stamp.pcap"
    header = (0xA1B2C3D4, 0x00040002, 0, 0, 65535, 1)  # libpcap, Ethernet
    written = b"".join(word.to_bytes(4, sys.byteorder) for word in header)
    for frame in frames:
        written += b"".join(word.to_bytes(4, sys.byteorder) for word in (0, 0, len(frame), len(frame))) + frame
    file.write_bytes(written)
    decode = ["tshark", "-r", str(file), "-d", "udp.port==862,twamp.test", "-T", "json"]
    done = subprocess.run(decode, capture_output=True, text=True, timeout=60, check=True)
    layers = [packet["_source"]["layers"] for packet in json.loads(done.stdout)]
    tests = [one["twamp.test"] for one in layers]
    assert [one["twamp.test.seq_number"] for one in tests] == ["0", "0", "1", "1", "2", "2"]
    for asked, answer in zip(tests[::2], tests[1::2], strict=True):
        assert answer["twamp.test.sender_seq_number"] == asked["twamp.test.seq_number"]
        assert answer["twamp.test.sender_timestamp"] == asked["twamp.test.timestamp"] <= answer["twamp.test.receive_timestamp"]
        assert (answer["twamp.test.sender_ttl"], answer["twamp.test.error_estimate_tree"]["twamp.test.error_estimate.s"]) == ("255", "1")
    assert "_ws.expert" not in done.stdout
    assert "malformed" not in done.stdout.lower()
