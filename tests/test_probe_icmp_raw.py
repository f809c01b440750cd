"""What is different where a raw socket stands in; all else of tests/test_probe_icmp.py holds for both."""

import asyncio
import socket
import struct

import pytest

from probes import ProbeFailed, Shared, Target
from probes._wire import icmp as wire
from probes.icmp import Icmp, Pinger
from tests.icmp_peer import EchoPeer, datagrams_refused

pytestmark = pytest.mark.needs_private_network
QUICK = {"count": 2, "spacing_seconds": 0.01, "wait_seconds": 0.1}


@pytest.fixture(autouse=True)
def raw_only():
    try:
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()
    except PermissionError as refusal:
        pytest.skip(f"no raw socket: {refusal.strerror}")
    with datagrams_refused():
        yield


class NoRawSocket(socket.socket):
    """A socket as a process without CAP_NET_RAW gets it."""

    def __init__(self, family, kind, protocol=0):
        if kind & socket.SOCK_RAW == socket.SOCK_RAW:
            raise PermissionError(1, "Operation not permitted")
        super().__init__(family, kind, protocol)


def run(scenario, script=None):
    """`scenario(shared, peer)`, with the kernel's own answers or a scripted peer's."""

    async def whole():
        shared = Shared()
        try:
            async with asyncio.timeout(30):
                if script is None:
                    return await scenario(shared, None)
                with EchoPeer(script).listening() as peer:
                    return await scenario(shared, peer)
        finally:
            await shared.aclose()

    return asyncio.run(whole())


async def measured(shared):
    reading = await Icmp(**QUICK).run(Target("127.1.1.1", asyncio.get_running_loop().time() + 20), shared)
    return {sample.name: sample.values for sample in reading.samples}


def test_where_neither_is_permitted_the_datagram_sockets_refusal_is_told():
    async def scenario(shared, _peer):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(socket, "socket", NoRawSocket)
            with pytest.raises(PermissionError, match="Permission denied"):
                await Icmp().prepare(shared)

    run(scenario)


def test_every_socket_has_an_identifier_of_its_own_and_right_checksums():
    async def scenario(_shared, peer):
        for _ in range(4):
            other = Shared()
            await measured(other)
            await other.aclose()
        return peer.requests

    requests = run(scenario, EchoPeer.answer)
    assert len({request.icmp[4:6] for request in requests}) > 1
    assert all(wire.checksum(request.icmp) == 0 for request in requests)


def test_replies_with_another_identifier_are_dropped_in_the_kernel_and_are_nobodys_loss():
    def flood_then_answer(peer, request):
        stranger = request.reply[:4] + bytes([request.reply[4] ^ 1]) + request.reply[5:]
        for _ in range(100):
            peer.send(request.destination, request.source, stranger)
        peer.answer(request)

    async def scenario(shared, _peer):
        found = await measured(shared)
        return found["icmp_received"], shared.get(Pinger).totals()

    received, totals = run(scenario, flood_then_answer)
    assert received == (2.0,)
    assert (totals["foreign"], totals["dropped"]) == (0, 0)


def test_a_reply_with_a_wrong_checksum_is_counted_as_foreign():
    def spoil_then_answer(peer, request):
        peer.send(request.destination, request.source, request.reply, good_sum=False)
        peer.answer(request)

    async def scenario(shared, _peer):
        found = await measured(shared)
        return found["icmp_received"], shared.get(Pinger).totals()["foreign"]

    assert run(scenario, spoil_then_answer) == ((2.0,), 2)


def test_errors_about_another_programs_echoes_are_not_ours():
    def complain_of_another(peer, request):
        packet = bytearray(request.packet)
        packet[24] ^= 1  # its identifier
        request.packet = bytes(packet)
        peer.complain(request, 1, quoted=8)

    async def scenario(shared, _peer):
        with pytest.raises(ProbeFailed) as caught:
            await measured(shared)
        return caught.value.code, shared.get(Pinger).totals()["foreign"]

    assert run(scenario, complain_of_another) == ("timeout", 0)


def test_options_in_the_ip_header_of_a_reply_are_stepped_over():
    def with_options(peer, request):
        reply = request.reply[:2] + struct.pack("!H", wire.checksum(request.reply)) + request.reply[4:]
        addresses = socket.inet_aton(request.destination) + socket.inet_aton(request.source)
        header = struct.pack("!BBHHHBBH", 0x46, 0, 0, 0, 0, 64, socket.IPPROTO_ICMP, 0) + addresses + bytes([1, 1, 1, 0])
        peer._raw_out.sendto(header + reply, (request.source, 0))

    async def scenario(shared, _peer):
        return (await measured(shared))["icmp_received"]

    assert run(scenario, with_options) == (2.0,)
