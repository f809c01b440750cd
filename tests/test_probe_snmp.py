"""The SNMP probe against net-snmp's own agent and an honest agent that changes."""

import asyncio
import contextlib
import errno
import os
import resource
from pathlib import Path

import pytest

from netwatch.lab import ber
from probes import ProbeFailed, Secret, Shared, Target
from tests.snmp_agent import LAST_CHANGE, SYSTEM, bindings, honest, listening, poll, port, ports, probe, told
from tests.snmp_daemon import free_udp_port, snmpd

RECEIVE = "interface_receive_bytes_per_second"


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


PLAIN = ("rocommunity canary-community", "sysName máy-chủ", "sysLocation Nà Tấu")


def test_netsnmp_is_read_and_told_apart_from_a_wrong_community_and_from_a_closed_port(tmp_path):
    async def scenario():
        at = free_udp_port()
        snmp = probe(at, timeout_seconds=2.0)
        with snmpd(tmp_path, at, *PLAIN):
            reading = await poll(snmp)
            assert reading.facts["sysName"] == "máy-chủ"
            assert reading.facts["sysLocation"] == "Nà Tấu"
            assert told(reading, "uptime_seconds")[""] > 0
            assert 0 < told(reading, "memory_ratio")[""] < 1
            assert "device_reboots" not in {sample.name for sample in reading.samples}
            assert told(await poll(snmp), "device_reboots") == {"": 0.0}
            with pytest.raises(ProbeFailed) as wrong:
                await poll(probe(at), community="another")
            assert wrong.value.code == "timeout"
        with pytest.raises(ProbeFailed) as closed:
            await poll(snmp)
        assert closed.value.code == "refused"
        with snmpd(tmp_path, at, *PLAIN):
            again = await poll(snmp)
            # Its boots grew but the host's uptime did not fall: the agent restarted, the device did not.
            assert told(again, "device_reboots") == {"": 0.0}
            assert snmp._state.plan.learned_at > 0

    asyncio.run(scenario())


def test_only_what_was_learned_is_asked_in_one_request():
    async def scenario():
        objects = ports(["ether1", "ether2", "ether3", "ether4"])
        async with listening(honest(objects)) as agent:
            snmp = probe(agent.port)
            first = await poll(snmp)
            assert told(first, "interface_up") == dict.fromkeys(["ether1", "ether2", "ether3", "ether4"], 1.0)
            assert told(first, RECEIVE) == {}
            assert told(first, "interface_speed_bytes_per_second")["ether1"] == 12_500_000
            agent.requests.clear()
            second = await poll(snmp)
            assert len(agent.requests) == 1
            assert agent.requests[0].kind == ber.GET
            assert len(agent.requests[0].oids) == 2 + 4 * 10
            assert told(second, RECEIVE) == dict.fromkeys(["ether1", "ether2", "ether3", "ether4"], 0.0)

    asyncio.run(scenario())


def test_rates_follow_the_clock_of_the_agent_when_it_is_sane():
    async def scenario():
        objects = ports(["ether1"], ticks=500_000, octets=10_000)
        async with listening(honest(objects)) as agent:
            snmp = probe(agent.port)
            await poll(snmp)
            objects |= ports(["ether1"], ticks=500_050, octets=10_000 + 5_000)
            assert told(await poll(snmp), RECEIVE)["ether1"] == pytest.approx(10_000)

    asyncio.run(scenario())


def test_a_restart_drops_one_rate_and_is_told_once():
    async def scenario():
        objects = ports(["ether1"], ticks=500_000, octets=10_000)
        async with listening(honest(objects)) as agent:
            snmp = probe(agent.port)
            await poll(snmp)
            objects |= ports(["ether1"], ticks=300, octets=12_000)
            after = await poll(snmp)
            assert told(after, RECEIVE) == {}
            assert told(after, "device_reboots") == {"": 1.0}
            objects |= ports(["ether1"], ticks=350, octets=12_500)
            later = await poll(snmp)
            assert told(later, "device_reboots") == {"": 0.0}
            assert told(later, RECEIVE) == {"ether1": pytest.approx(1000)}

    asyncio.run(scenario())


@pytest.mark.parametrize("tells", [True, False])
def test_renumbered_ports_keep_their_names_and_lose_one_rate(tells):
    async def scenario():
        objects = ports(["ether1", "ether2"], octets=10_000)
        if not tells:
            del objects[LAST_CHANGE]
        async with listening(honest(objects)) as agent:
            snmp = probe(agent.port)
            await poll(snmp)
            objects |= port(1, "ether2", octets=99, oper=2) | port(2, "ether1", octets=98)
            if tells:
                objects[LAST_CHANGE] = ber.ticks(9)
            after = await poll(snmp)
            assert told(after, "interface_up") == {"ether2": 0.0, "ether1": 1.0}
            assert told(after, RECEIVE) == {}
            assert set(told(await poll(snmp), RECEIVE)) == {"ether1", "ether2"}

    asyncio.run(scenario())


def test_a_port_that_vanishes_is_missed_and_one_that_comes_is_found():
    async def scenario():
        objects = ports(["ether1", "ether2"])
        async with listening(honest(objects)) as agent:
            snmp = probe(agent.port)
            await poll(snmp)
            for oid in port(2, "ether2"):
                del objects[oid]
            objects |= port(3, "ether3")
            assert set(told(await poll(snmp), "interface_up")) == {"ether1", "ether3"}

    asyncio.run(scenario())


def test_only_ports_that_are_switched_on_are_told_and_uplinks_by_their_alias():
    async def scenario():
        objects = ports(["ether1", "ether2"], aliases={"ether2": "To WAN, carrier A"}) | port(3, "ether3", admin=2, oper=2)
        objects |= port(4, "ether4", oper=4)  # unknown: neither up nor down
        async with listening(honest(objects)) as agent:
            reading = await poll(probe(agent.port))
            assert told(reading, "interface_up") == {"ether1": 1.0, "ether2": 1.0}
            assert told(reading, "interface_uplink_up") == {"ether2": 1.0}
            assert reading.facts["alias ether2"] == "To WAN, carrier A"

    asyncio.run(scenario())


def test_hostile_text_is_cleaned_before_it_becomes_an_instance_or_a_fact():
    async def scenario():
        objects = ports(["eth\x1b[31m0\0\0"]) | {f"{SYSTEM}.5.0": ber.text("a\u202eb\nc" + "d" * 999)}
        async with listening(honest(objects)) as agent:
            reading = await poll(probe(agent.port))
            assert set(told(reading, "interface_up")) == {"eth[31m0"}
            assert reading.facts["sysName"] == ("ab c" + "d" * 999)[:256]

    asyncio.run(scenario())


@pytest.mark.parametrize("says_so", [True, False])
def test_an_agent_that_bears_little_is_asked_for_less_and_that_is_remembered(says_so):
    async def scenario():
        objects = ports([f"ether{number}" for number in range(1, 9)])
        truth = honest(objects)

        def reply(request):
            if len(request.oids) > 20:
                return [bindings(request, [], error_status=1)]  # tooBig
            if request.kind == ber.GET_BULK and request.second > 5:
                return [bindings(request, [], error_status=1)] if says_so else []
            return truth(request)

        async with listening(reply) as agent:
            snmp = probe(agent.port)
            assert len(told(await poll(snmp), "interface_up")) == 8
            agent.requests.clear()
            assert len(told(await poll(snmp), "interface_up")) == 8
            assert all(len(request.oids) <= 20 for request in agent.requests)
            assert snmp._state.sizes.repetitions == 5

    asyncio.run(scenario())


def test_loss_does_not_make_the_requests_smaller():
    async def scenario():
        truth = honest(ports(["ether1", "ether2", "ether3", "ether4"]))
        lose = set()

        def reply(request):
            if lose:
                lose.pop()
                return []
            return truth(request)

        async with listening(reply) as agent:
            snmp = probe(agent.port)
            await poll(snmp)
            lose.add("next")
            agent.requests.clear()
            await poll(snmp)
            assert [len(request.oids) for request in agent.requests] == [42, 42]
            assert snmp._state.sizes.oids == 48

    asyncio.run(scenario())


def test_the_deadline_and_a_cancellation_are_kept():
    async def scenario():
        async with listening(lambda _request: []) as agent:
            snmp = probe(agent.port, timeout_seconds=30.0, retries=5)
            with pytest.raises(ProbeFailed, match="timeout"):
                await poll(snmp, seconds=0.2)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await poll(snmp, seconds=60)

    asyncio.run(scenario())


@contextlib.contextmanager
def no_file_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    taken = []
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.dup(0))
        yield
    finally:
        for one in taken:
            os.close(one)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_want_of_file_descriptors_is_our_fault_with_its_number():
    async def scenario():
        with no_file_descriptors(), pytest.raises(OSError, match="open files") as failed:
            await poll(probe(9))
        assert failed.value.errno == errno.EMFILE

    asyncio.run(scenario())


def test_a_run_leaves_no_descriptor_behind():
    async def scenario():
        async with listening(honest(ports(["ether1"]))) as agent:
            snmp = probe(agent.port)
            await poll(snmp)
            before = descriptors()
            for _ in range(20):
                await poll(snmp)
            assert descriptors() == before

    asyncio.run(scenario())


def test_a_recheck_asks_no_more_than_it_must():
    async def scenario():
        objects = ports(["ether1", "ether2"])
        async with listening(honest(objects)) as agent:
            snmp = probe(agent.port)
            await poll(snmp)
            del objects["1.3.6.1.2.1.2.2.1.8.2"]
            agent.requests.clear()
            assert told(await poll(snmp, recheck=True), "interface_up") == {"ether1": 1.0}
            assert len(agent.requests) == 1

    asyncio.run(scenario())


@pytest.mark.parametrize("target", [{"secrets": {}}, {"secrets": {"community": Secret("x")}, "source": "127.0.0.1"}])
def test_what_the_probe_cannot_do_is_refused_not_ignored(target):
    async def scenario():
        with pytest.raises(ValueError, match="snmp"):
            await probe(9).run(Target(address="127.0.0.1", deadline=asyncio.get_running_loop().time() + 1, **target), Shared())

    asyncio.run(scenario())
