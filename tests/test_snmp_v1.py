"""SNMPv1: against net-snmp's own agent, and against agents that answer as RFC 1157 lets them."""

import asyncio

import pytest

from netwatch.lab import ber
from netwatch.lab.agent import Layout, LayoutView, answer
from probes import ProbeFailed
from tests.snmp_agent import SYSTEM, UP_TIME, FakeAgent, poll, ports, probe, told
from tests.snmp_daemon import free_udp_port, snmpd

NO_SUCH_NAME, TOO_BIG, GENERAL_ERROR = 2, 1, 5
COUNTER64 = 0x46
IN_OCTETS, OUT_OCTETS = "1.3.6.1.2.1.2.2.1.10", "1.3.6.1.2.1.2.2.1.16"


def as_v1(datagram, status=0, index=0):
    """A v2c answer as version 1: each number takes one octet in both."""
    body = ber._Reader(ber._Reader(datagram).take(0x30)[1])
    body.take(0x02)
    community = body.take(0x04)[1]
    pdu = ber._Reader(body.take(ber.RESPONSE)[1])
    request_id = pdu.take(0x02)[1]
    pdu.take(0x02), pdu.take(0x02)
    listed = pdu.take(0x30)[1]
    told = ber.tagged(0x02, request_id) + ber.integer(status) + ber.integer(index) + ber.tagged(0x30, listed)
    return ber.tagged(0x30, ber.integer(0) + ber.text(community) + ber.tagged(ber.RESPONSE, told))


def old(objects, *, index_told=True, most=100):
    """Answers from `objects` as version 1 does: all or nothing, no 64-bit counters, no GETBULK."""

    def reply(request):
        there = {ber.parse_oid(oid): value for oid, value in objects.items() if value[0] != COUNTER64}
        view = LayoutView(Layout(there), None, 0.0, {})
        if len(request.oids) > most:
            return [as_v1(ber.response(request, [(oid, b"\x05\x00") for oid in request.oids]), TOO_BIG)]
        assert request.kind != ber.GET_BULK
        given = answer(request, view)
        for place, oid in enumerate(request.oids, 1):
            if not has(there, request.kind, ber.decode_oid(oid)):
                nothing = ber.response(request, [(one, b"\x05\x00") for one in request.oids])
                return [as_v1(nothing, NO_SUCH_NAME, place if index_told else 0)]
        return [as_v1(given)]

    return reply


def has(there, kind, oid):
    return oid in there if kind == ber.GET else any(one > oid for one in there)


class OldAgent(FakeAgent):
    """Reads version 1 as if it were version 2c."""

    def datagram_received(self, data, address):
        assert data[:1] == b"\x30"
        at = data.index(b"\x02\x01\x00")
        super().datagram_received(data[:at] + b"\x02\x01\x01" + data[at + 3 :], address)


def with_agent(reply, scenario):
    async def run():
        made = await asyncio.get_running_loop().create_datagram_endpoint(lambda: OldAgent(reply), ("127.0.0.1", 0))
        try:
            return await scenario(made[1])
        finally:
            made[0].close()

    return asyncio.run(run())


def device():
    """Two ports of a device that also has 32-bit counters."""
    objects = ports(["ether1", "ether2"])
    return objects | {f"{column}.{index}": ber.counter32(500) for column in (IN_OCTETS, OUT_OCTETS) for index in (1, 2)}


@pytest.mark.parametrize("version", ["1", 1])
def test_netsnmp_is_read_by_version_1(tmp_path, version):
    async def scenario():
        at = free_udp_port()
        with snmpd(tmp_path, at, "rocommunity canary-community", "sysName máy-chủ"):
            snmp = probe(at, version=version, timeout_seconds=2.0)
            reading = await poll(snmp)
            assert (reading.facts["sysName"], reading.detail) == ("máy-chủ", "")
            assert told(reading, "uptime_seconds")[""] >= 0
            assert 0 < told(reading, "memory_ratio")[""] < 1
            again = await poll(snmp)
            assert told(again, "device_reboots") == {"": 0.0}
            with pytest.raises(ProbeFailed) as wrong:
                await poll(probe(at, version=version), community="another")
            assert wrong.value.code == "timeout"

    asyncio.run(scenario())


@pytest.mark.parametrize("index_told", [True, False])
@pytest.mark.parametrize("most", [100, 7])
def test_one_object_that_is_not_there_does_not_spoil_the_others(index_told, most):
    async def scenario(agent):
        snmp = probe(agent.port, version="1")
        reading = await poll(snmp)
        assert told(reading, "interface_up") == {"ether1": 1.0, "ether2": 1.0}
        assert reading.facts["sysName"] == "router-1"
        await poll(snmp)
        agent.requests.clear()
        again = await poll(snmp)
        assert told(again, "interface_receive_bytes_per_second") == {"ether1": 0.0, "ether2": 0.0}
        assert len(agent.requests) == 1 if most == 100 and index_told else len(agent.requests) < 8

    with_agent(old(device(), index_told=index_told, most=most), scenario)


def test_64_bit_counters_are_not_asked_for():
    async def scenario(agent):
        await poll(probe(agent.port, version="1"))
        asked = {ber.decode_oid(oid)[:11] for request in agent.requests for oid in request.oids}
        assert not asked & {(1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 6), (1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 10)}
        assert (1, 3, 6, 1, 2, 1, 2, 2, 1, 10, 1) in asked

    with_agent(old(device()), scenario)


def test_an_object_that_goes_costs_one_request_and_is_missed_alone():
    objects = device()

    async def scenario(agent):
        snmp = probe(agent.port, version="1")
        await poll(snmp)
        del objects["1.3.6.1.2.1.2.2.1.8.2"]
        agent.requests.clear()
        assert told(await poll(snmp, recheck=True), "interface_up") == {"ether1": 1.0}
        assert [len(request.oids) for request in agent.requests] == [len(snmp._state.plan.oids), len(snmp._state.plan.oids) - 1]

    with_agent(lambda request: old(objects)(request), scenario)  # noqa: PLW0108  # it shall see what has gone


@pytest.mark.parametrize("status", [TOO_BIG, NO_SUCH_NAME, GENERAL_ERROR, 99])
@pytest.mark.parametrize("index", [0, 1, -1, 1000])
def test_an_agent_that_has_nothing_is_empty_and_not_asked_for_ever(status, index):
    async def scenario(agent):
        with pytest.raises(ProbeFailed, match="empty"):
            await poll(probe(agent.port, version="1"))
        assert len(agent.requests) < 400

    def reply(request):
        return [as_v1(ber.response(request, [(oid, b"\x05\x00") for oid in request.oids]), status, index)]

    with_agent(reply, scenario)


def test_an_error_to_another_question_is_not_an_answer():
    async def scenario(agent):
        assert told(await poll(probe(agent.port, version="1")), "interface_up") == {"ether1": 1.0, "ether2": 1.0}

    truth = old(device())

    def reply(request):
        other = ber.Request(request.community, request.kind, b"\x01", 0, 0, request.oids)
        return [as_v1(ber.response(other, [(oid, b"\x05\x00") for oid in request.oids]), NO_SUCH_NAME, 1), *truth(request)]

    with_agent(reply, scenario)


@pytest.mark.parametrize("noise", [b"", b"\x30", b"GET / HTTP/1.1\r\n\r\n", b"\x1f" + b"\xff" * 9 + b"\x01"])
def test_garbage_before_the_true_answer_does_not_lose_it(noise):
    truth = old(device())

    async def scenario(agent):
        reading = await poll(probe(agent.port, version="1"))
        assert set(told(reading, "interface_up")) == {"ether1", "ether2"}

    with_agent(lambda request: [noise, *truth(request)], scenario)


def test_a_walk_in_circles_ends():
    async def scenario(agent):
        reading = await poll(probe(agent.port, version="1"))
        assert "not_increasing" in reading.detail

    truth = old(device())

    def reply(request):
        if request.kind == ber.GET:
            return truth(request)
        start = ber.decode_oid(request.oids[0])
        return [as_v1(ber.response(request, [(ber.encode_oid((*start[:11], 1)), ber.integer(6))]))]

    with_agent(reply, scenario)


def test_system_and_uptime_are_read_from_an_agent_with_nothing_else():
    async def scenario(agent):
        reading = await poll(probe(agent.port, version="1"))
        assert told(reading, "uptime_seconds") == {"": 12.0}
        assert reading.facts["sysName"] == "thing"

    with_agent(old({UP_TIME: ber.ticks(1200), f"{SYSTEM}.5.0": ber.text("thing")}), scenario)
