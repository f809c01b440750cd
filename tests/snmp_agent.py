"""SNMP agents for tests: one that answers from a dictionary, and ones that lie."""

import asyncio
import contextlib

from netwatch.lab import ber
from netwatch.lab.agent import Layout, LayoutView, answer
from probes import Secret, Shared, Target
from probes.snmp import Snmp

SYSTEM = "1.3.6.1.2.1.1"
UP_TIME = f"{SYSTEM}.3.0"
LAST_CHANGE = "1.3.6.1.2.1.31.1.5.0"


class FakeAgent(asyncio.DatagramProtocol):
    """`reply(request)` gives the datagrams to send back; `datagrams` counts what came."""

    def __init__(self, reply):
        self.reply = reply
        self.requests = []

    def connection_made(self, transport):
        self.transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data, address):
        request = ber.read_request(data)
        self.requests.append(request)
        self.address = address
        for datagram in self.reply(request):
            self.transport.sendto(datagram, address)


@contextlib.asynccontextmanager
async def listening(reply):
    transport, agent = await asyncio.get_running_loop().create_datagram_endpoint(lambda: FakeAgent(reply), ("127.0.0.1", 0))
    try:
        yield agent
    finally:
        transport.close()


def honest(objects):
    """Answers from `objects` (dotted OID: encoded value), which may change between requests."""

    def reply(request):
        layout = Layout({ber.parse_oid(oid): value for oid, value in objects.items()})
        return [answer(request, LayoutView(layout, None, 0.0, {}))]

    return reply


def bindings(request, pairs, error_status=0):
    return ber.response(request, [(ber.encode_oid(ber.parse_oid(oid)), value) for oid, value in pairs], error_status)


def ports(names, *, ticks=100_000, octets=1000, oper=1, admin=1, aliases=None):
    """A device with IF-MIB: 64-bit counters, 100 Mbit/s ports numbered from 1."""
    objects = {
        f"{SYSTEM}.1.0": ber.text("a device"),
        f"{SYSTEM}.2.0": ber.object_id((1, 3, 6, 1, 4, 1, 14988, 1)),
        UP_TIME: ber.ticks(ticks),
        f"{SYSTEM}.5.0": ber.text("router-1"),
        LAST_CHANGE: ber.ticks(7),
    }
    for index, name in enumerate(names, 1):
        objects |= port(index, name, octets=octets, oper=oper, admin=admin, alias=(aliases or {}).get(name, ""))
    return objects


def port(index, name, *, octets=1000, oper=1, admin=1, alias=""):
    low, high = f"1.3.6.1.2.1.2.2.1.{{}}.{index}", f"1.3.6.1.2.1.31.1.1.1.{{}}.{index}"
    return {
        low.format(2): ber.text(name),
        low.format(3): ber.integer(6),
        low.format(7): ber.integer(admin),
        low.format(8): ber.integer(oper),
        low.format(13): ber.counter32(0),
        low.format(14): ber.counter32(0),
        low.format(19): ber.counter32(0),
        low.format(20): ber.counter32(0),
        high.format(1): ber.text(name),
        high.format(6): ber.counter64(octets),
        high.format(10): ber.counter64(octets),
        high.format(15): ber.gauge(100),
        high.format(18): ber.text(alias),
        high.format(19): ber.ticks(0),
    }


def probe(port, profile="router", **settings):
    return Snmp(profile=profile, port=port, **{"timeout_seconds": 0.3, "retries": 1} | settings)


async def poll(snmp, *, seconds=20.0, community="canary-community", recheck=False):
    deadline = asyncio.get_running_loop().time() + seconds
    target = Target(address="127.0.0.1", deadline=deadline, secrets={"community": Secret(community)}, recheck=recheck)
    shared = Shared()
    try:
        return await snmp.run(target, shared)
    finally:
        await shared.aclose()


def told(reading, name):
    """instance: value of one sample name."""
    return {sample.instance: sample.values[0] for sample in reading.samples if sample.name == name}
