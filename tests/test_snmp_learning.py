"""What the SNMP probe learns of a device before it polls: names, supplies, and what to do when that goes wrong."""

import asyncio

from netwatch.lab import ber
from tests.snmp_agent import LAST_CHANGE, SYSTEM, UP_TIME, honest, listening, poll, port, ports, probe, told

SUPPLIES = "1.3.6.1.2.1.43.11.1.1"


def test_ports_of_one_name_are_told_apart_by_their_index():
    async def scenario():
        objects = ports(["eth"]) | port(2, "eth", oper=2)
        async with listening(honest(objects)) as agent:
            assert told(await poll(probe(agent.port)), "interface_up") == {"eth": 1.0, "eth #2": 0.0}

    asyncio.run(scenario())


def test_supplies_are_named_kept_by_class_and_told_apart():
    async def scenario():
        objects = {UP_TIME: ber.ticks(500), f"{SYSTEM}.2.0": ber.object_id((1, 3, 6, 1, 4, 1, 11, 2, 3, 9, 1))}
        rows = (("Black", 3, 30), ("Black", 3, 60), ("Waste box", 4, 90), ("", 3, 10), ("Drum", 3, -3))
        for index, (name, kind, level) in enumerate(rows, 1):
            objects |= {
                f"{SUPPLIES}.4.1.{index}": ber.integer(kind),
                f"{SUPPLIES}.6.1.{index}": ber.text(name),
                f"{SUPPLIES}.8.1.{index}": ber.integer(100),
                f"{SUPPLIES}.9.1.{index}": ber.integer(level),
            }
        objects |= {"1.3.6.1.2.1.25.3.5.1.2.1": ber.text(b"\x40"), "1.3.6.1.2.1.43.16.5.1.2.1.1": ber.text("Hết giấy")}
        async with listening(honest(objects)) as agent:
            printer = probe(agent.port, "auto")
            reading = await poll(printer)
            assert told(reading, "printer_supply_ratio") == {"Black": 0.3, "Black #1.2": 0.6, "1.4": 0.1}
            assert told(reading, "printer_error")["no_paper"] == 1.0
            assert len(told(reading, "printer_error")) == 8
            assert (reading.facts["profile"], reading.facts["console"]) == ("printer", "Hết giấy")
            objects |= {"1.3.6.1.2.1.43.16.5.1.2.1.1": ber.text("Sẵn sàng")}
            assert (await poll(printer)).facts["console"] == "Sẵn sàng"

    asyncio.run(scenario())


def test_while_renumbered_ports_cannot_be_learned_nothing_is_said_of_them():
    async def scenario():
        objects = ports(["ether1", "ether2"])
        truth = honest(objects)
        walks = [True]
        async with listening(lambda request: truth(request) if walks[0] or request.kind == ber.GET else []) as agent:
            snmp = probe(agent.port, timeout_seconds=0.1, retries=0)
            await poll(snmp)
            objects |= port(1, "ether2", oper=2) | port(2, "ether1") | {LAST_CHANGE: ber.ticks(9)}
            walks[0] = False
            for _ in range(2):
                blind = await poll(snmp)
                assert told(blind, "interface_up") == {}
                assert told(blind, "uptime_seconds") == {"": 1000.0}
                if snmp._state.learning is not None:
                    break
            walks[0] = True
            assert told(await poll(snmp), "interface_up") == {"ether2": 0.0, "ether1": 1.0}

    asyncio.run(scenario())
