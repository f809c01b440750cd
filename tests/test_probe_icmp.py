import asyncio
import contextlib
import errno
import ipaddress
import resource
import select
import socket
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

import probes
from probes import BEAT_SECONDS, ProbeFailed, Shared, Target
from probes._echo import Book, Train
from probes._echo_raw import RawEchoSocket
from probes._echo_socket import EchoSocket
from probes._flight import QUICK_SECONDS, Flight, Plan, beat_at
from probes._pinger import padding
from probes.icmp import Icmp, Pinger, host_address, ping_many
from tests.icmp_peer import EchoPeer, datagrams_refused, kernel_silent

pytestmark = pytest.mark.needs_private_network

SILENT = "198.51.100.7"  # routed to the loopback device, where nobody owns it


@pytest.fixture(scope="module", autouse=True)
def routes():
    for route in (("198.51.100.0/24", "dev", "lo"), ("prohibit", "203.0.113.0/24")):
        subprocess.run(["ip", "route", "replace", *route], check=True)
    yield
    for network in ("198.51.100.0/24", "203.0.113.0/24"):
        subprocess.run(["ip", "route", "del", network], check=True)


@pytest.fixture(scope="module", autouse=True, params=["datagram", "raw"])
def form(request):
    """All that holds of echoes over a datagram socket holds over the raw one that stands in for it."""
    if request.param == "datagram":
        yield request.param
        return
    try:
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()
    except PermissionError as refusal:
        pytest.skip(f"no raw socket: {refusal.strerror}")
    with datagrams_refused():
        yield request.param


@contextlib.asynccontextmanager
async def opened():
    shared = Shared()
    try:
        async with asyncio.timeout(30):
            yield shared
    finally:
        await shared.aclose()


def aim(address, within=20.0, **options):
    return Target(address, asyncio.get_running_loop().time() + within, **options)


def one_run(probe, address, **options):
    async def scenario():
        async with opened() as shared:
            return await probe.run(aim(address, **options), shared)

    return asyncio.run(scenario())


def with_peer(script, scenario):
    """Runs `scenario(peer, shared)` while the peer answers in place of the kernel."""

    async def run():
        with EchoPeer(script).listening() as peer:
            async with opened() as shared:
                return await scenario(peer, shared)

    return asyncio.run(run())


def measured(reading):
    return {sample.name: sample.values for sample in reading.samples}


def failed_run(script, probe, **options):
    """The failure of one run against a scripted peer, and the counters after it."""

    async def scenario(_peer, shared):
        with pytest.raises(ProbeFailed) as caught:
            await probe.run(aim("127.1.1.1", **options), shared)
        return caught.value, shared.get(Pinger).totals()

    return with_peer(script, scenario)


def quick(**fields):
    return Icmp(**{"count": 1, "spacing_seconds": 0.01, "wait_seconds": 0.05, **fields})


def test_the_type_keeps_the_contract():
    assert probes.get("icmp") is Icmp


@pytest.mark.parametrize("address", ["127.0.0.1", "127.45.7.1", "::1", "localhost"])
def test_a_train_is_measured_whole(address):
    probe = Icmp(spacing_seconds=0.01)
    found = measured(one_run(probe, address))
    assert len(found["icmp_rtt_seconds"]) == 5
    assert all(0 < rtt < 1 for rtt in found["icmp_rtt_seconds"])
    assert found["icmp_sent"] == found["icmp_received"] == (5.0,)
    assert found["icmp_loss_ratio"] == found["icmp_late"] == found["icmp_duplicates"] == (0.0,)
    assert found["icmp_jitter_seconds"][0] >= 0
    assert set(found) == set(probe.metrics())


def test_a_recheck_sends_one_echo():
    found = measured(one_run(Icmp(), "127.0.0.1", recheck=True))
    assert found["icmp_sent"] == (1.0,)
    assert "icmp_jitter_seconds" not in found


def test_silence_is_a_timeout_with_what_was_measured():
    with pytest.raises(ProbeFailed) as caught:
        one_run(quick(count=3), SILENT)
    assert caught.value.code == "timeout"
    assert measured(caught.value.reading)["icmp_loss_ratio"] == (1.0,)
    assert measured(caught.value.reading)["icmp_sent"] == (3.0,)


def test_a_run_ends_when_all_replies_are_in():
    async def scenario():
        async with opened() as shared, asyncio.timeout(5):
            await Icmp(count=2, spacing_seconds=0.01, wait_seconds=10).run(aim("127.0.0.1"), shared)

    asyncio.run(scenario())


@pytest.mark.parametrize(("count", "spacing"), [(1, 0.01), (100, 0.05)])
def test_a_run_ends_by_its_deadline_with_what_it_has(count, spacing):
    async def scenario():
        async with opened() as shared, asyncio.timeout(5):
            with pytest.raises(ProbeFailed) as caught:
                await Icmp(count=count, spacing_seconds=spacing, wait_seconds=10).run(aim(SILENT, within=0.2), shared)
            return measured(caught.value.reading)["icmp_sent"][0]

    assert 1 <= asyncio.run(scenario()) < 100


class Counting:
    """Stands for an echo socket where only time is of interest."""

    def __init__(self):
        self.echoes = 0
        self.book = Book(0)

    def drops(self):
        return 0

    def send(self, train):
        self.echoes += 1
        self.book.sent(train, bytes(10), 0, 0)
        return True


def flight(**options):
    ended = []
    plan = {"echoes": 5, "spacing": 0.2, "wait": 1.0, "payload": b"", "source": None, "deadline": 100.0, **options}
    return Flight(Counting(), ("10.0.0.1", 0), Plan(**plan), lambda _train, error: ended.append(error)), ended


def test_echoes_are_due_at_their_spacing_from_the_first_however_late_each_was():
    train, _ = flight()
    assert train.step(50.0) == pytest.approx(50.2)
    assert train.step(50.31) == pytest.approx(50.4)
    assert train.step(50.8) == pytest.approx(50.8)  # the fourth is overdue
    assert train.echo.echoes == 3


def test_a_train_that_began_between_two_beats_falls_in_with_them():
    train, _ = flight()
    assert train.step(50.013) == pytest.approx(50.2)
    train, _ = flight()
    assert train.step(50.05) == pytest.approx(50.4)
    assert train.step(50.4) == pytest.approx(50.6)


def test_close_echoes_and_what_somebody_waits_for_keep_a_quicker_beat():
    train, _ = flight(spacing=0.03)
    assert train.step(50.0) == pytest.approx(50.04)
    train, _ = flight(echoes=1)
    assert train.step(50.0) == pytest.approx(50.02)
    train, _ = flight(echoes=2, spacing=0.01)
    train.step(50.0)
    assert train.step(50.02) == pytest.approx(50.2)


def test_the_end_of_a_wait_is_no_whole_beat_late():
    train, ended = flight(echoes=2, spacing=0.01, wait=0.25)
    train.step(50.0)
    assert train.step(50.02) == pytest.approx(50.2)
    assert train.step(50.2) == pytest.approx(50.28)
    train.step(50.28)
    assert ended == [None]


@given(st.floats(0, 1e7), st.sampled_from([BEAT_SECONDS, QUICK_SECONDS]))
def test_a_beat_is_never_early_and_less_than_one_late(when, beat):
    assert when - 1e-5 * beat <= beat_at(when, beat) < when + beat + 1e-6
    assert beat_at(beat_at(when, beat), beat) == beat_at(when, beat)


def test_no_echo_is_sent_that_could_not_be_waited_for():
    train, _ = flight(deadline=50.3)
    train.step(50.0)
    train.step(50.2)
    train.step(50.4)
    assert train.echo.echoes == 2
    assert not train.train.sending


def test_one_echo_is_sent_though_the_deadline_has_passed():
    train, _ = flight(deadline=10.0)
    train.step(50.0)
    assert train.echo.echoes == 1


def test_a_remembered_train_does_not_keep_alive_who_waited_for_it():
    train, ended = flight(echoes=1, wait=0.1)
    train.step(50.0)
    train.step(50.2)
    assert ended == [None]
    assert getattr(train.train.on_settled, "__self__", None) is None


def test_after_the_last_echo_the_wait_is_counted():
    train, ended = flight(echoes=1)
    train.step(50.0)
    train.step(50.99)
    assert not ended
    train.step(51.0)
    assert ended == [None]


def begun(probe, address, **options):
    """What a run without a task ended with, and how many tasks there were meanwhile."""

    async def scenario():
        ended = asyncio.get_running_loop().create_future()
        async with opened() as shared:
            if not probe.begin(aim(address, **options), shared, ended.set_result):
                return None
            return (await ended)(), len(asyncio.all_tasks())

    return asyncio.run(scenario())


def test_a_literal_address_needs_no_task():
    reading, tasks = begun(Icmp(spacing_seconds=0.01), "127.0.0.1")
    assert measured(reading)["icmp_received"] == (5.0,)
    assert tasks == 1


def test_without_a_task_silence_and_our_own_faults_are_raised_as_by_run():
    with pytest.raises(ProbeFailed) as caught:
        begun(quick(), SILENT)
    assert caught.value.code == "timeout"
    with pytest.raises(PermissionError):
        begun(quick(), "203.0.113.1")


@pytest.mark.parametrize("address", ["localhost", "not a name", "224.0.0.1"])
def test_a_name_and_what_is_no_hosts_address_are_left_to_run(address):
    assert begun(quick(), address) is None


def test_jitter_is_the_mean_step_between_neighbouring_replies():
    from probes.icmp import _samples

    train = Train(("10.0.0.1", 0), b"", 10**9)
    train.rtts = [10_000_000, None, 40_000_000, 20_000_000]
    (jitter,) = [sample for sample in _samples(train, train.rtt_seconds) if sample.name == "icmp_jitter_seconds"]
    assert jitter.values == pytest.approx((0.025,))


def test_some_lost_is_a_reading_and_not_a_failure():
    def every_second(peer, request):
        if len(peer.requests) % 2:
            peer.answer(request)

    async def scenario(_peer, shared):
        return measured(await quick(count=4).run(aim("127.1.1.1"), shared))

    found = with_peer(every_second, scenario)
    assert found["icmp_loss_ratio"] == (0.5,)
    assert len(found["icmp_rtt_seconds"]) == 2


# --- replies that are not ours


@pytest.mark.parametrize(
    "forge",
    [
        lambda peer, request: peer.send("127.6.6.6", request.source, request.reply),
        lambda peer, request: peer.send(request.destination, request.source, request.reply[:8] + b"8guesses" + request.reply[16:]),
        lambda peer, request: peer.send(request.destination, request.source, request.reply[:6] + b"\xff\xfe" + request.reply[8:]),
        lambda peer, request: peer.send(request.destination, request.source, request.reply[:8]),
    ],
    ids=["source", "nonce", "sequence", "short"],
)
def test_a_forged_reply_is_never_credited(forge):
    failure, totals = failed_run(forge, quick())
    assert failure.code == "timeout"
    assert totals["foreign"] == 1


def test_a_reply_with_a_bad_checksum_is_never_credited():
    failure, _ = failed_run(lambda peer, request: peer.send(request.destination, request.source, request.reply, good_sum=False), quick())
    assert failure.code == "timeout"


def test_a_huge_reply_with_our_nonce_is_still_our_reply():
    def swollen(peer, request):
        peer.send(request.destination, request.source, request.reply + bytes(30_000))

    async def scenario(_peer, shared):
        return measured(await quick().run(aim("127.1.1.1"), shared))

    assert with_peer(swollen, scenario)["icmp_received"] == (1.0,)


def test_a_double_reply_counts_once():
    def twice(peer, request):
        peer.answer(request)
        peer.answer(request)

    async def scenario(_peer, shared):
        return measured(await quick(count=3).run(aim("127.1.1.1"), shared)), shared.get(Pinger).totals()

    found, totals = with_peer(twice, scenario)
    assert found["icmp_received"] == (3.0,)
    assert totals["duplicates"] >= 2
    assert found["icmp_duplicates"][0] >= 2


def test_a_late_reply_is_reported_by_the_next_run_and_not_credited():
    async def scenario(peer, shared):
        probe = quick()
        with pytest.raises(ProbeFailed):
            await probe.run(aim("127.1.1.1"), shared)
        peer.answer(peer.requests[0])
        with pytest.raises(ProbeFailed) as caught:
            await probe.run(aim("127.1.1.1"), shared)
        return measured(caught.value.reading)

    found = with_peer(lambda _peer, _request: None, scenario)
    assert found["icmp_late"] == (1.0,)
    assert found["icmp_received"] == (0.0,)


def test_late_replies_are_reported_once():
    async def scenario(peer, shared):
        probe = quick()
        seen = []
        for turn in range(3):
            if turn == 1:
                peer.answer(peer.requests[0])
            with pytest.raises(ProbeFailed) as caught:
                await probe.run(aim("127.1.1.1"), shared)
            seen.append(measured(caught.value.reading)["icmp_late"])
        return seen

    assert with_peer(lambda _peer, _request: None, scenario) == [(0.0,), (1.0,), (0.0,)]


def test_late_replies_within_a_run_are_not_reported_again_by_the_next():
    def last_but_one(peer, request):
        if len(peer.requests) == 20:
            peer.answer(peer.requests[0])
            peer.answer(request)

    async def scenario(_peer, shared):
        probe = quick(count=20, wait_seconds=0.1)
        first = measured(await probe.run(aim("127.1.1.1"), shared))
        with pytest.raises(ProbeFailed) as caught:
            await probe.run(aim("127.1.1.1", recheck=True), shared)
        return first["icmp_late"], measured(caught.value.reading)["icmp_late"]

    assert with_peer(last_but_one, scenario) == ((1.0,), (0.0,))


def test_a_duplicate_after_its_run_is_reported_once_by_the_next():
    async def scenario(peer, shared):
        probe = quick()
        seen = []
        for turn in range(3):
            if turn == 1:
                peer.answer(peer.requests[0])
            seen.append(measured(await probe.run(aim("127.1.1.1"), shared))["icmp_duplicates"])
        return seen

    assert with_peer(EchoPeer.answer, scenario) == [(0.0,), (1.0,), (0.0,)]


def test_a_reply_slower_than_the_wait_is_lost_though_the_train_is_still_under_way():
    """The first echo is answered only when the last has been sent."""

    def first_at_last(peer, request):
        if len(peer.requests) == 20:
            peer.answer(peer.requests[0])
            peer.answer(request)

    async def scenario(_peer, shared):
        return measured(await quick(count=20, wait_seconds=0.1).run(aim("127.1.1.1"), shared))

    found = with_peer(first_at_last, scenario)
    assert found["icmp_received"] == (1.0,)
    assert found["icmp_late"] == (1.0,)


def test_a_flood_that_leaves_no_room_for_replies_is_our_fault_and_not_the_lines():
    def flood(peer, request):
        for _ in range(300):
            peer.send(request.destination, request.source, request.reply[:8] + b"8guesses" + bytes(1000))

    async def scenario(_peer, shared):
        pinger = shared.get(Pinger)
        pinger.echo_socket(host_address("127.1.1.1"))._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        with pytest.raises(OSError, match="receive buffer") as caught:
            await quick().run(aim("127.1.1.1"), shared)
        assert caught.value.errno == errno.ENOBUFS
        assert pinger.totals()["dropped"] > 0

    with_peer(flood, scenario)


# --- ICMP errors


@pytest.mark.parametrize(
    ("kind", "code", "word"), [(3, 0, "net_unreachable"), (3, 1, "host_unreachable"), (3, 13, "admin_prohibited"), (11, 0, "ttl_exceeded")]
)
def test_an_icmp_error_is_the_reason_and_ends_the_wait(kind, code, word):
    failure, _ = failed_run(lambda peer, request: peer.complain(request, code, kind=kind), quick(wait_seconds=10), within=25)
    assert failure.code == word
    assert "127.9.9.9" in failure.reading.detail


def test_an_icmp_error_with_a_wrong_nonce_is_ignored():
    def forge(peer, request):
        request.packet = request.packet[:28] + b"8guesses" + request.packet[36:]
        peer.complain(request, 1)

    failure, totals = failed_run(forge, quick())
    assert failure.code == "timeout"
    assert totals["foreign"] == 1


def test_an_icmp_error_that_quotes_eight_bytes_is_a_hint_that_a_reply_overrides():
    def hint_then_answer(peer, request):
        peer.complain(request, 1, quoted=8)
        peer.answer(request)

    async def scenario(_peer, shared):
        return measured(await quick(count=2).run(aim("127.1.1.1"), shared))

    assert with_peer(hint_then_answer, scenario)["icmp_received"] == (2.0,)
    failure, _ = failed_run(lambda peer, request: peer.complain(request, 1, quoted=8), quick())
    assert failure.code == "host_unreachable"


def test_a_pending_icmp_error_does_not_spoil_the_next_echo_to_another_host():
    """The kernel hands a pending error to whatever sendto comes next."""

    complained = asyncio.Event()

    def unreachable(peer, request):
        if request.destination == "127.1.1.1":
            peer.complain(request, 1)
            complained.set()
        else:
            peer.answer(request)

    async def scenario(_peer, shared):
        pinger = shared.get(Pinger)
        echo = pinger.echo_socket(host_address("127.1.1.1"))
        trains = [Train(host_address(address), padding(56), 10**9) for address in ("127.1.1.1", "127.1.1.2")]
        assert echo.send(trains[0])
        await complained.wait()
        poller = select.poll()
        poller.register(echo._socket, 0)
        assert poller.poll(5000) == [(echo._socket.fileno(), select.POLLERR)]
        assert echo.send(trains[1])
        async with asyncio.timeout(10):
            while not trains[1].rtt_seconds:
                await asyncio.sleep(0)
                echo.read()
        return trains[0].reason, trains[1].rtt_seconds

    reason, rtts = with_peer(unreachable, scenario)
    assert reason == "host_unreachable"
    assert len(rtts) == 1


async def ping(pinger, address, count=1, wait=0.2):
    loop = asyncio.get_running_loop()
    plan = Plan(echoes=count, spacing=0.01, wait=wait, payload=padding(56), source=None, deadline=loop.time() + 20)
    return await pinger.ping(host_address(address), plan)


def test_ipv6_errors_are_reasons_as_well():
    """Quotes a whole echo request to ::1 in a destination unreachable of our own making (RFC 4443 §3.1)."""

    def complain(raw_in, raw_out):
        message = raw_in.recv(2048)
        if message[0] == 128:
            loopback = ipaddress.IPv6Address("::1").packed
            header = struct.pack("!IHBB", 6 << 28, len(message), socket.IPPROTO_ICMPV6, 64) + loopback + loopback
            raw_out.sendto(bytes([1, 3, 0, 0, 0, 0, 0, 0]) + header + message, ("::1", 0))

    async def scenario():
        loop = asyncio.get_running_loop()
        raw = (socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        with kernel_silent("/proc/sys/net/ipv6/icmp/echo_ignore_all"), socket.socket(*raw) as raw_in, socket.socket(*raw) as raw_out:
            loop.add_reader(raw_in, complain, raw_in, raw_out)
            async with opened() as shared:
                with pytest.raises(ProbeFailed) as caught:
                    await quick(wait_seconds=10).run(aim("::1"), shared)
            loop.remove_reader(raw_in)
        return caught.value.code

    assert asyncio.run(scenario()) == "host_unreachable"


# --- what is wrong on this host


def test_no_route_propagates_as_it_is():
    with pytest.raises(OSError, match="unreachable") as caught:
        one_run(quick(), "192.0.2.1")
    assert caught.value.errno == errno.ENETUNREACH


def test_a_prohibited_route_propagates_as_our_own_fault():
    with pytest.raises(PermissionError):
        one_run(quick(), "203.0.113.1")


def test_running_out_of_descriptors_propagates_as_our_own_fault():
    async def scenario():
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (1, before[1]))
        try:
            with pytest.raises(OSError, match="open files"):
                await quick().run(aim("127.0.0.1"), Shared())
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)

    asyncio.run(scenario())


@pytest.mark.parametrize("address", ["224.0.0.1", "0.0.0.0", "255.255.255.255", "ff02::1", "::"])
def test_what_is_not_one_hosts_address_is_never_pinged(address):
    with pytest.raises(OSError, match="not the address of one host"):
        one_run(quick(), address)
    with pytest.raises(ValueError, match="not the address of one host"):
        host_address(address)


@given(st.ip_addresses())
def test_every_address_of_one_host_is_taken(address):
    if address.is_multicast or address.is_unspecified or address == ipaddress.ip_address("255.255.255.255"):
        return
    assert ipaddress.ip_address(host_address(str(address))[0]) == address


@given(st.text(max_size=20))
def test_other_text_is_no_address(text):
    with contextlib.suppress(ValueError):
        assert ipaddress.ip_address(host_address(text)[0])


def test_a_name_that_does_not_exist_is_the_targets_fault():
    with pytest.raises(ProbeFailed) as caught:
        one_run(quick(), "not a name")
    assert caught.value.code == "resolve"


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_raw_socket_stands_in_only_where_the_datagram_socket_is_refused(form, address):
    async def scenario():
        async with opened() as shared:
            return type(shared.get(Pinger).echo_socket(host_address(address)))

    assert asyncio.run(scenario()) is (RawEchoSocket if form == "raw" else EchoSocket)


def test_prepare_says_at_once_whether_echo_is_allowed():
    async def scenario():
        async with opened() as shared:
            await Icmp().prepare(shared)

    asyncio.run(scenario())


@pytest.fixture
def dead_neighbour():
    """The address of nobody on a link of our own, where ARP gives up at once."""
    for words in (
        ("link", "add", "icmp0", "type", "veth", "peer", "name", "icmp1"),
        ("addr", "add", "10.99.0.1/24", "dev", "icmp0"),
        ("link", "set", "icmp1", "up"),
        ("link", "set", "icmp0", "up"),
    ):
        subprocess.run(["ip", *words], check=True)
    Path("/proc/sys/net/ipv4/neigh/icmp0/retrans_time_ms").write_text("20", "ascii")
    yield "10.99.0.2"
    subprocess.run(["ip", "link", "del", "icmp0"], check=True)


def test_a_neighbour_that_answers_no_arp_is_an_unreachable_host(dead_neighbour):
    with pytest.raises(ProbeFailed) as caught:
        one_run(quick(wait_seconds=10), dead_neighbour)
    assert caught.value.code == "host_unreachable"


def test_a_full_send_buffer_is_waited_for(dead_neighbour):
    """Until ARP gives up, echo requests stay in the buffer, and the next ones find no room."""

    async def scenario():
        async with opened() as shared:
            pinger = shared.get(Pinger)
            pinger.echo_socket(host_address(dead_neighbour))._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
            return await ping_many(pinger, [dead_neighbour] * 20 + ["127.0.0.1"], count=1, rate=10_000, wait=0.3)

    *dead, good = asyncio.run(scenario())
    assert [train.sent for train in dead] == [1] * 20
    assert len(good.rtt_seconds) == 1


# --- one socket for all


def test_the_source_address_is_used():
    async def scenario(peer, shared):
        await quick().run(aim("127.1.1.1", source="127.0.0.9"), shared)
        await quick().run(aim("127.1.1.1"), shared)
        return [request.source for request in peer.requests]

    assert with_peer(EchoPeer.answer, scenario) == ["127.0.0.9", "127.0.0.1"]


def test_a_hundred_checks_at_once_share_one_socket_and_mix_nothing_up():
    async def scenario():
        async with opened() as shared, asyncio.TaskGroup() as group:
            runs = [group.create_task(Icmp(spacing_seconds=0.01).run(aim(f"127.7.0.{n}"), shared)) for n in range(1, 101)]
            await asyncio.sleep(0)
            assert len(shared.get(Pinger)._sockets) == 1
            return [await run for run in runs]

    assert all(measured(reading)["icmp_received"] == (5.0,) for reading in asyncio.run(scenario()))


def test_the_sequence_number_wraps():
    async def scenario(peer, shared):
        echo = shared.get(Pinger).echo_socket(host_address("127.1.1.1"))
        echo._sequence = 0xFFFF - 2
        train = await ping(shared.get(Pinger), "127.1.1.1", count=6)
        return [int.from_bytes(request.icmp[6:8], "big") for request in peer.requests], train.rtt_seconds

    sequences, rtts = with_peer(EchoPeer.answer, scenario)
    assert sequences == [65534, 65535, 0, 1, 2, 3]
    assert len(rtts) == 6


def test_every_nonce_is_new():
    async def scenario(peer, shared):
        await ping_many(shared.get(Pinger), ["127.1.1.1"] * 300, count=2, rate=20_000, wait=1.0, spacing=0.01)
        return [request.icmp[8:16] for request in peer.requests]

    nonces = with_peer(EchoPeer.answer, scenario)
    assert len(set(nonces)) == len(nonces) == 600


def test_the_payload_has_the_size_asked_for():
    async def scenario(peer, shared):
        for size in (8, 56, 1472):
            await quick(size=size).run(aim("127.1.1.1"), shared)
        return [len(request.icmp) - 8 for request in peer.requests]

    assert with_peer(EchoPeer.answer, scenario) == [8, 56, 1472]


def test_a_cancelled_run_leaves_nothing_behind():
    async def scenario():
        async with opened() as shared:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await Icmp(wait_seconds=10).run(aim(SILENT), shared)
            assert shared.get(Pinger).echo_socket(host_address(SILENT)).book._open == {}

    asyncio.run(scenario())


def test_replies_that_came_in_time_are_credited_though_this_process_was_slow_to_read_them():
    async def scenario():
        async with opened() as shared, asyncio.TaskGroup() as group:
            pinger = shared.get(Pinger)
            running = group.create_task(ping(pinger, "127.0.0.1", wait=0.05))
            await asyncio.sleep(0)
            pinger._timer.cancel()
            await asyncio.sleep(0.1)  # the next beat comes long after the wait has ended
            pinger._beat()
            return (await running).rtt_seconds

    assert len(asyncio.run(scenario())) == 1


def test_an_idle_pinger_has_no_beat():
    async def scenario():
        async with opened() as shared:
            pinger = shared.get(Pinger)
            await ping(pinger, "127.0.0.1", count=2)
            for _ in range(100):
                if pinger._timer is None:
                    break
                await asyncio.sleep(BEAT_SECONDS)
            assert pinger._timer is None
            assert not pinger._due
            await ping(pinger, "127.0.0.1")

    asyncio.run(scenario())


def test_an_earlier_beat_takes_the_place_of_a_later_one():
    async def scenario():
        async with opened() as shared, asyncio.TaskGroup() as group:
            pinger = shared.get(Pinger)
            slow = group.create_task(Icmp(count=2, spacing_seconds=10).run(aim("127.0.0.1"), shared))
            for _ in range(100):
                if pinger._timer is not None and pinger._timer.when() > asyncio.get_running_loop().time() + 5:
                    break
                await asyncio.sleep(BEAT_SECONDS)
            later = pinger._timer
            await ping(pinger, "127.0.0.1")
            slow.cancel()
        assert later.cancelled()

    asyncio.run(scenario())


def test_closing_while_a_train_is_under_way_leaves_no_timer():
    async def scenario():
        shared = Shared()
        async with asyncio.TaskGroup() as group:
            running = group.create_task(Icmp(wait_seconds=10).run(aim(SILENT), shared))
            await asyncio.sleep(0)
            timer = shared.get(Pinger)._timer
            await shared.aclose()
            running.cancel()
        assert timer.cancelled()

    asyncio.run(scenario())


# --- many at once


def bulk(addresses, **options):
    async def scenario():
        async with opened() as shared:
            settings = {"count": 3, "rate": 20_000.0, "wait": 0.3, "spacing": 0.01, **options}
            return await ping_many(shared.get(Pinger), addresses, **settings)

    return asyncio.run(scenario())


def test_the_same_targets_answer_us_and_fping():
    addresses = [f"127.45.{x}.{y}" for x in range(20) for y in range(1, 21)] + [f"198.51.100.{n}" for n in range(1, 20)]
    ours = {address for address, train in zip(addresses, bulk(addresses), strict=True) if train.rtt_seconds}
    fping = subprocess.run(
        ["fping", "-a", "-i", "0.1", "-r", "0", "-t", "300"],
        input="\n".join(addresses),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ours == set(fping.stdout.split()) == set(addresses[:400])


def test_bulk_trains_come_back_in_order_and_whole():
    addresses = ["127.0.0.5", "::1", SILENT, "127.0.0.5"]
    trains = bulk(addresses)
    assert [train.address for train in trains] == addresses
    assert [train.sent for train in trains] == [3, 3, 3, 3]
    assert [len(train.rtt_seconds) for train in trains] == [3, 3, 0, 3]


def test_a_target_that_cannot_be_sent_to_does_not_stop_the_others():
    bad, prohibited, good = bulk(["192.0.2.1", "203.0.113.1", "127.0.0.1"])
    assert (bad.reason, bad.sent) == ("enetunreach", 0)
    assert (prohibited.reason, prohibited.sent) == ("eacces", 0)
    assert len(good.rtt_seconds) == 3


def test_bulk_echoes_to_one_address_keep_their_spacing():
    async def scenario():
        async with opened() as shared:
            began = asyncio.get_running_loop().time()
            await ping_many(shared.get(Pinger), ["127.0.0.1"], count=3, rate=10_000, wait=1, spacing=0.05)
            return asyncio.get_running_loop().time() - began

    assert asyncio.run(scenario()) >= 0.1


def test_replies_are_read_while_a_bulk_run_is_sending():
    async def scenario():
        async with opened() as shared:
            pinger = shared.get(Pinger)
            echo = pinger.echo_socket(host_address("127.0.0.1"))
            echo._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)  # room for two batches, not for all
            trains = await ping_many(pinger, [f"127.3.{n // 200}.{n % 200 + 1}" for n in range(1000)], count=1, rate=10_000, wait=1)
            assert echo.book._open == {}
            return sum(len(train.rtt_seconds) for train in trains), pinger.totals()["dropped"]

    assert asyncio.run(scenario()) == (1000, 0)


def test_no_addresses_is_no_work():
    assert bulk([]) == []


def test_a_bulk_run_ends_when_all_are_in():
    async def scenario():
        async with opened() as shared, asyncio.timeout(5):
            await ping_many(shared.get(Pinger), ["127.0.0.1", "::1"], count=2, rate=1000, wait=10, spacing=0.01)

    asyncio.run(scenario())


# --- the schema


@pytest.mark.parametrize(
    "keys",
    [
        '{"count": 0}',
        '{"count": 101}',
        '{"count": 2.5}',
        '{"spacing_seconds": 0}',
        '{"wait_seconds": 0}',
        '{"wait_seconds": 11}',
        '{"size": 7}',
        '{"size": 1473}',
        '{"sise": 56}',
        '{"_train": null}',
    ],
)
def test_keys_out_of_range_or_unknown_are_refused(keys):
    with pytest.raises(ValidationError):
        TypeAdapter(Icmp).validate_json(keys)


@given(st.integers(8, 1472))
def test_padding_fills_the_payload(size):
    assert len(padding(size)) == size - 8
