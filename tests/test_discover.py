"""`netwatch inventory discover`: bounded, inside the site's network, and what it proposes can be loaded."""

import asyncio
import dataclasses
import ipaddress
import os
import socket
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch import _yaml
from netwatch.cli import _discovery, discover
from netwatch.cli._discovery import Found
from tests.inventories import HEAD, compose, load
from tests.snmp_agent import honest, listening, ports
from tests.test_inventory_tools import SNMP

PROFILES = {"printer", "room", "box"}
HERE = HEAD.replace("10.45.{n}.0/24", "127.77.{n}.0/28")


def run(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "netwatch", "--lang", "en", "inventory", "discover", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
    )


def small(tmp_path, head=HERE):
    """A site of a /28, with room for 14 hosts, of which four are known."""
    text = compose(head=head.replace("main: 254, backup: 253", "main: 14, backup: 13"))
    (tmp_path / "inventory.yaml").write_text(text)
    return load(tmp_path, text)


@pytest.mark.needs_private_network
def test_what_answers_and_is_not_known_is_proposed_and_nothing_else(tmp_path):
    known = small(tmp_path)
    ended = run(tmp_path, "Nà Tấu")
    assert ended.returncode == 0, ended.stderr
    taken = {check.address for check in known.checks.values()}
    expected = {f"127.77.34.{host}" for host in range(1, 15)} - taken
    assert {line.partition('"')[2].partition('"')[0] for line in ended.stdout.splitlines()[3:]} == expected
    assert "of 127.77.34.0/28" in ended.stderr


@pytest.mark.needs_private_network
def test_an_open_port_tells_the_kind(tmp_path):
    with socket.create_server(("127.77.34.5", 9100)):
        found = asyncio.run(_discovery.explore(["127.77.34.5", "127.77.34.6"], (9100, 554), None))
    assert [(one.address, one.ports) for one in found] == [("127.77.34.5", (9100,)), ("127.77.34.6", ())]
    assert [_discovery.guess(one, PROFILES) for one in found] == ["printer", ""]


@pytest.mark.needs_private_network
def test_snmp_is_asked_as_the_site_speaks_it(tmp_path):
    text = compose(profiles=SNMP, head=HERE.replace("defaults: {", "defaults: {snmp: {version: 2c, community: '${C}'}, "))
    known = load(tmp_path, text, environment={"C": "public"}, site_net="127.77.{n}.0/24")
    check = known.checks["na-tau/router/snmp"]

    async def scenario():
        async with listening(honest(ports(["ether1", "ether2"]))) as agent:
            spoken = dataclasses.replace(check, probe=dataclasses.replace(check.probe, port=agent.port))
            return await _discovery.explore(["127.0.0.1"], (), spoken)

    (found,) = asyncio.run(scenario())
    assert found.profile in {"router", "switch"}
    assert check.probe.profile == "router"


def test_a_network_too_large_is_not_looked_at(tmp_path):
    small(tmp_path, HEAD.replace("10.45.{n}.0/24", "127.{n}.0.0/20"))
    ended = run(tmp_path, "na-tau")
    assert (ended.returncode, ended.stdout) == (78, "")
    assert "127.34.0.0/20" in ended.stderr


def test_a_site_that_is_not_there_is_66(tmp_path):
    small(tmp_path)
    ended = run(tmp_path, "na-tauu")
    assert ended.returncode == 66
    assert "did you mean: na-tau" in ended.stderr


def test_what_snmp_says_is_believed_before_ports():
    assert _discovery.guess(Found("10.0.0.1", 0.1, (9100,), "room"), PROFILES) == "room"
    assert _discovery.guess(Found("10.0.0.1", 0.1, (9100, 1720), "unheard-of"), PROFILES) == "printer"
    assert _discovery.guess(Found("10.0.0.1", 0.1, (443,)), PROFILES) == ""


def test_only_ports_that_would_say_something_are_tried():
    assert _discovery.ports_of(PROFILES) == (9100, 1720)


@given(st.integers(0, 2**32 - 1), st.integers(22, 30), st.sets(st.integers(0, 1023)))
def test_candidates_are_hosts_of_the_network_that_are_not_known(base, prefix, known_offsets):
    network = ipaddress.ip_network((base, prefix), strict=False)
    known = {str(network[offset]) for offset in known_offsets if offset < network.num_addresses}
    found = _discovery.candidates(network, known)
    assert len(found) == len(set(found)) <= _discovery.MOST_ADDRESSES
    assert not known & set(found)
    assert all(ipaddress.ip_address(one) in network for one in found)


names = st.text(max_size=20)


@given(
    st.lists(st.builds(Found, st.ip_addresses().map(str), st.floats(0, 1), st.just((9100,)) | st.just(()), st.just(""), names), max_size=5)
)
def test_a_proposal_is_yaml_whatever_a_device_calls_itself(found):
    document = _yaml.parse(discover.proposal("na-tau", found, PROFILES).encode(), "new.yaml")
    wrong = {one.key for one in document.complaints}
    assert wrong <= {"empty_value", "duplicate_key"}
    devices = document.value["sites"]["na-tau"]["devices"] or {}
    assert {one["address"] for one in devices.values()} == {one.address for one in found if one.ports}
