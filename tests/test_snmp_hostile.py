"""The SNMP probe against agents that lie: each ends in a code or a partial reading, none in a hang."""

import asyncio

import pytest
from gufo.snmp._fast import SnmpV2cClientSocket

from netwatch.lab import ber
from probes import ProbeFailed
from probes._snmp_session import Limits, Session, Sizes
from probes._snmp_sockets import Sockets, open_by_community
from tests.snmp_agent import UP_TIME, bindings, honest, listening, poll, ports, probe, told

PANICS = b"\x1f" + b"\xff" * 9 + b"\x01"  # a tag that never ends: the decoder indexes past its buffer


def with_id(request, other):
    return ber.Request(request.community, request.kind, other, request.first, request.second, request.oids)


def endless(request):
    """The next OIDs of any table, for ever."""
    if request.kind == ber.GET:
        return [ber.response(request, [(oid, ber.integer(1)) for oid in request.oids])]
    start = ber.decode_oid(request.oids[0])
    inside = start if len(start) > 14 else (*start, 0)
    return [
        ber.response(
            request, [(ber.encode_oid((*inside[:-1], inside[-1] + step)), ber.integer(6)) for step in range(1, request.second + 1)]
        )
    ]


def in_turn(*steps):
    """Answers a GETBULK with these last numbers below what was asked."""

    def reply(request):
        if request.kind == ber.GET:
            return [ber.response(request, [(oid, ber.integer(1)) for oid in request.oids[:2]])]
        start = ber.decode_oid(request.oids[0])
        root = start if len(start) <= 11 else start[:-1]
        return [ber.response(request, [(ber.encode_oid((*root, step)), ber.integer(6)) for step in steps])]

    return reply


HOSTILE = {
    "silent": (lambda _request: [], {"timeout"}),
    "garbage": (lambda _request: [b"", b"\x30", b"\x30\x84\xff\xff\xff\xff", b"GET / HTTP/1.1\r\n\r\n"], {"malformed"}),
    "panicking garbage": (lambda _request: [PANICS], {"malformed"}),
    "a flood of garbage": (lambda _request: [b"\x30\x03\x02\x01\x07"] * 200, {"malformed"}),
    "cut off": (lambda request: [bindings(request, [(UP_TIME, ber.ticks(5))])[:-2]], {"malformed"}),
    "wrong request-id": (lambda request: [bindings(with_id(request, b"\x01"), [(UP_TIME, ber.ticks(5))])], {"timeout"}),
    "wrong community": (
        lambda request: [bindings(ber.Request(b"other", request.kind, request.request_id, 0, 0, request.oids), [(UP_TIME, ber.ticks(5))])],
        {"timeout"},
    ),
    "another OID": (lambda request: [bindings(request, [("1.3.6.1.4.1.99.1.0", ber.integer(5))])], {"timeout"}),
    "always tooBig": (lambda request: [bindings(request, [], error_status=1)], {"empty"}),
    "always genErr": (lambda request: [ber.response(request, [(oid, b"\x05\x00") for oid in request.oids], 5)], {"empty"}),
    "not allowed": (lambda request: [ber.response(request, [(oid, b"\x05\x00") for oid in request.oids], 16)], {"denied"}),
    "nothing there": (lambda request: [ber.response(request, [(oid, ber.NO_SUCH_INSTANCE) for oid in request.oids])], {"empty"}),
    "the same row again": (in_turn(1, 1, 1), {"not_increasing"}),
    "a circle": (in_turn(1, 2, 3, 1), {"not_increasing"}),
    "backwards": (in_turn(9, 8, 7), {"not_increasing"}),
    "numbers compared as text": (in_turn(9, 10, 9), {"not_increasing"}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_agent_ends_in_a_code_and_never_in_a_hang(name, capfd):
    reply, codes = HOSTILE[name]

    async def scenario():
        async with listening(reply) as agent:
            with pytest.raises(ProbeFailed) as failed:
                await poll(probe(agent.port), seconds=60)
            assert failed.value.code in codes
            assert len(agent.requests) <= 601
            assert "canary" not in f"{failed.value!r} {failed.value} {failed.value.reading}"

    asyncio.run(scenario())
    assert len(capfd.readouterr().err.splitlines()) < 100  # the decoder's panics say two lines each, no backtrace


def test_endless_tables_are_cut_off_and_told():
    async def scenario():
        async with listening(endless) as agent:
            snmp, before = probe(agent.port), 0
            for _ in range(10):  # a run has so many requests and no more; the next goes on from there
                reading = await poll(snmp, seconds=60)
                assert len(agent.requests) - before <= 600
                before = len(agent.requests)
                if "learning" not in reading.detail:
                    break
            assert "too_many_rows" in reading.detail
            assert len(told(reading, "interface_up")) == 128

    asyncio.run(scenario())


def test_garbage_before_the_right_answer_does_not_lose_it():
    async def scenario():
        truth = honest(ports(["ether1"]))
        noise = [PANICS, b"\x30\x03\x02\x01\x07", b""]

        def reply(request):
            return [*noise, bindings(with_id(request, b"\x09"), [(UP_TIME, ber.ticks(1))]), *truth(request)]

        async with listening(reply) as agent:
            assert told(await poll(probe(agent.port)), "interface_up") == {"ether1": 1.0}

    asyncio.run(scenario())


def test_what_was_not_asked_is_not_taken_and_a_session_comes_to_an_end():
    async def scenario():
        async with listening(
            lambda request: [bindings(request, [(UP_TIME, ber.ticks(5)), ("1.3.6.1.4.1.9.9.0", ber.integer(1))])]
        ) as agent:
            deadline = asyncio.get_running_loop().time() + 60
            client = open_by_community(SnmpV2cClientSocket, "127.0.0.1", agent.port, "x")
            with Session(sockets := Sockets(), client, Limits(5, 0, deadline), Sizes()) as session:
                assert await session.get([UP_TIME]) == {UP_TIME: 5}
                for _ in range(599):
                    await session.get([UP_TIME])
                with pytest.raises(ProbeFailed, match="too_long"):
                    await session.get([UP_TIME])
            await sockets.aclose()
            assert len(agent.requests) == 600

    asyncio.run(scenario())


def test_a_trickle_of_garbage_does_not_put_off_the_end_of_a_request():
    async def scenario():
        loop = asyncio.get_running_loop()
        timers = []

        def trickle(transport, address):
            transport.sendto(b"\x30\x03\x02\x01\x07", address)
            timers.append(loop.call_later(0.02, trickle, transport, address))

        def reply(_request):
            trickle(agent.transport, agent.address)
            return []

        async with listening(reply) as agent:
            with pytest.raises(ProbeFailed, match="malformed"):
                await poll(probe(agent.port))
            assert len(agent.requests) == 2
            for timer in timers:
                timer.cancel()

    asyncio.run(scenario())


def test_a_walk_that_goes_wrong_keeps_what_it_had_and_says_so():
    async def scenario():
        truth = honest(ports(["ether1", "ether2"]))

        def reply(request):
            if request.kind == ber.GET_BULK and ber.decode_oid(request.oids[0])[:11] == (1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 18):
                return in_turn(1, 1)(request)
            return truth(request)

        async with listening(reply) as agent:
            reading = await poll(probe(agent.port))
            assert set(told(reading, "interface_up")) == {"ether1", "ether2"}
            assert "not_increasing" in reading.detail

    asyncio.run(scenario())


def test_a_device_too_slow_to_be_learned_in_one_run_is_up_all_the_while_and_learned_in_several():
    async def scenario():
        truth = honest(ports(["ether1", "ether2"]))
        left = [0]

        def reply(request):
            left[0] -= 1
            return truth(request) if left[0] >= 0 else []

        async with listening(reply) as agent:
            snmp = probe(agent.port, timeout_seconds=0.05, retries=0)
            runs = 0
            while not told(reading := (await limited(snmp, left)), "interface_up"):
                runs += 1
                assert told(reading, "uptime_seconds") == {"": 1000.0}
                assert reading.detail == "still learning what the device has"
                assert reading.facts["sysName"] == "router-1"
            assert 1 < runs < 20

    async def limited(snmp, left):
        left[0] = 4
        return await poll(snmp)

    asyncio.run(scenario())


def test_a_device_that_answers_no_walk_at_all_fails():
    async def scenario():
        truth = honest(ports(["ether1"]))
        async with listening(lambda request: truth(request) if request.kind == ber.GET else []) as agent:
            snmp = probe(agent.port, timeout_seconds=0.05, retries=0)
            assert told(await poll(snmp), "interface_up") == {}  # its scalars were learned
            with pytest.raises(ProbeFailed, match="timeout"):
                await poll(snmp)

    asyncio.run(scenario())
