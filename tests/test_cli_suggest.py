"""`netwatch inventory suggest-parents`: who stands behind whom, from what devices say of their neighbours."""

import asyncio
import contextlib

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from netwatch.cli._neighbours import Told, links_of, management_address, parents_of
from netwatch.lab import ber
from tests.snmp_agent import FakeAgent, honest, ports
from tests.test_cli_status import netwatch

LLDP = "1.0.8802.1.1.2.1"
names = st.sampled_from(["router", "switch", "ap1", "ap2", "printer", "x"])
pairs = st.sets(st.frozensets(names, min_size=2, max_size=2), max_size=8)


@given(pairs, st.sets(names, min_size=1, max_size=2))
def test_parents_are_beside_it_and_one_step_nearer_and_never_in_a_circle(links, roots):
    found = parents_of(links, roots)
    assert not roots & found.keys()
    for device, group in found.items():
        assert group
        assert all(frozenset({device, parent}) in links for parent in group)
        steps, at = 0, device
        while at not in roots:
            at, steps = found[at][0], steps + 1
            assert steps <= len(found)


def test_two_ways_to_a_device_are_both_its_parents():
    links = [frozenset(pair) for pair in (("router", "sw1"), ("router", "sw2"), ("sw1", "ap"), ("sw2", "ap"), ("sw1", "sw2"))]
    assert parents_of(links, ["router"]) == {"sw1": ("router",), "sw2": ("router",), "ap": ("sw1", "sw2")}


def test_a_neighbour_is_known_by_its_address_by_its_own_name_or_by_its_id():
    told = {
        "router": Told(frozenset({"R1.commune.vn"}), frozenset({("whatever", "10.0.0.2"), ("", "10.0.0.99")})),
        "switch": Told(frozenset(), frozenset({("r1", ""), ("AP1", ""), ("unknown", "")})),
    }
    links, strangers = links_of(told, {"router": "10.0.0.1", "switch": "10.0.0.2", "ap1": "10.0.0.3"})
    assert links == {frozenset({"router", "switch"}), frozenset({"switch", "ap1"})}
    assert strangers == {"router": {"10.0.0.99"}, "switch": {"unknown"}}


@pytest.mark.parametrize(
    ("index", "address"),
    [("0.1.1.1.4.10.0.0.2", "10.0.0.2"), ("0.1.1.2.16.1.2", ""), ("0.1.1.6.6.1.2.3.4.5.6", ""), ("", ""), ("0.1.1.1.4.10", "")],
)
def test_management_addresses_of_version_four_are_read_from_the_index(index, address):
    assert management_address(index) == address


INVENTORY = """\
version: 1
plan: {{site_net: "127.46.{{n}}.0/24"}}
defaults: {{contact: noc, snmp: {{community: "${{C}}", port: {port}}}}}
contacts: {{noc: {{name: Trực ban}}}}
roles: {{commune: {{devices: {{router: {{profile: router, host: 1}}, switch: {{profile: switch, host: 2}}, ap: {{profile: wifi-ap, host: 3}}, ups: {{profile: ups, host: 4}}}}}}}}
sites: {{na-tau: {{n: 34, code: "03316"}}}}
"""
AT = {"router": "127.46.34.1", "switch": "127.46.34.2", "ap": "127.46.34.3"}


def device(name, *neighbours):
    """`neighbours` are (name, address)."""
    objects = ports(["ether1"]) | {"1.3.6.1.2.1.1.5.0": ber.text(name), f"{LLDP}.3.3.0": ber.text(name)}
    for number, (other, address) in enumerate(neighbours, 1):
        objects[f"{LLDP}.4.1.1.9.0.{number}.1"] = ber.text(other)
        if address:
            objects[f"{LLDP}.4.2.1.3.0.{number}.1.1.4.{address}"] = ber.integer(2)
    return honest(objects)


def test_what_differs_from_the_inventory_is_proposed_as_yaml_and_what_is_silent_is_told(tmp_path):
    replies = {
        "router": device("R1", ("SW1", AT["switch"])),
        "switch": device("SW1", ("R1", AT["router"]), ("the-ap", AT["ap"]), ("\x1b[2Jphone", "")),
        "ap": device("the-ap", ("SW1", "")),
    }

    async def scenario():
        loop = asyncio.get_running_loop()
        async with contextlib.AsyncExitStack() as stack:
            port = 0
            for name, reply in replies.items():
                transport, agent = await loop.create_datagram_endpoint(lambda reply=reply: FakeAgent(reply), (AT[name], port))
                stack.callback(transport.close)
                port = agent.port
            (tmp_path / "inventory.yaml").write_text(INVENTORY.format(port=port), "utf-8")
            return await netwatch("inventory", "suggest-parents", str(tmp_path / "inventory.yaml"), C="canary", NETWATCH_LANG="en")

    code, output, errors = asyncio.run(scenario())
    assert code == 0, errors
    assert yaml.safe_load(output) == {"sites": {"na-tau": {"devices": {"ap": {"parent": "switch"}}}}}
    assert "# switch has a neighbour that the inventory does not know: [2Jphone" in output
    assert "\x1b" not in output
    assert "na-tau/ups could not be read" in errors
    assert "3 devices answered; 1 changes proposed" in errors
