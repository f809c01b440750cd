"""Tracing across a real router, in network namespaces of the test's own."""

import asyncio
import contextlib
import socket
import struct
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch import hops
from tests.icmp_peer import WITHOUT_RAW_SOCKETS

# A – router – B, each in a network namespace of its own; then the way from A, with and without raw sockets.
TOPOLOGY = """
set -e
dir=$(mktemp -d); fifo=$dir/hold; mkfifo "$fifo"; mkfifo "$dir/r"; mkfifo "$dir/b"
exec 9<>"$fifo"
unshare --net sh -c 'echo up; exec cat <&9 >/dev/null' > "$dir/r" 9<&9 & router=$!
read -r up < "$dir/r"
unshare --net sh -c 'echo up; exec cat <&9 >/dev/null' > "$dir/b" 9<&9 & beyond=$!
read -r up < "$dir/b"
trap 'kill $router $beyond; rm -r "$dir"' EXIT
r() { nsenter --target $router --net "$@"; }
b() { nsenter --target $beyond --net "$@"; }
ip link add a0 type veth peer name r0 netns $router
r ip link add r1 type veth peer name b0 netns $beyond
ip link set lo up; ip addr add 10.200.0.1/24 dev a0; ip link set a0 up; ip addr add 10.199.0.1/32 dev a0  # whom nobody knows a way back to
r ip addr add 10.200.0.2/24 dev r0; r ip addr add 10.201.0.1/24 dev r1; r ip link set r0 up; r ip link set r1 up
r sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
r sh -c 'echo 0 > /proc/sys/net/ipv4/icmp_ratemask'  # no limit on the ICMP errors it sends
b ip addr add 10.201.0.2/24 dev b0; b ip link set b0 up; b ip route add default via 10.201.0.1
ip route add 10.201.0.0/24 via 10.200.0.2
ip route add 10.202.0.0/24 via 10.200.0.2; r ip route add 10.202.0.0/24 via 10.201.0.2  # where B, no router, drops it
fping --quiet --retry=40 --timeout=500 --backoff=1 10.201.0.2 > "$dir/up" 2>&1 || cat "$dir/up" >&2  # a link set up carries nothing until the kernel's work queue gets to it
echo '0 2147483647' > /proc/sys/net/ipv4/ping_group_range
export BEYOND=$beyond
"$@"
"""
LOOK = """
import sys
from netwatch import hops
ask = hops.hop if sys.argv[1] == "raw" else hops._unprivileged
print(*(found.address if found else "*" for found in (ask("10.201.0.2", distance, 1.0) for distance in (1, 2))))
print(ask("10.201.0.2", 2, 0.3, "10.199.0.1"))
"""


@pytest.mark.needs_private_network
@pytest.mark.parametrize("kind", ["raw", "ping"])
def test_the_router_answers_first_and_then_the_target(kind):
    command = ["unshare", "--net", "bash", "-c", TOPOLOGY, "trace", sys.executable, "-c", LOOK, kind]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (0, "10.200.0.2 10.201.0.2\nNone\n"), ended.stderr


WALK = """
import asyncio, sys
from netwatch import hops
for address in sys.argv[1:]:
    way = asyncio.run(hops.walk(address, "10.200.0.1"))
    print(*(found.address if found else "*" for found in way))
"""


@pytest.mark.needs_private_network
@pytest.mark.parametrize("before", [(), WITHOUT_RAW_SOCKETS], ids=["raw", "ping"])
def test_a_walk_ends_at_the_target_or_where_nobody_answers_any_more(before):
    command = ["unshare", "--net", "bash", "-c", TOPOLOGY, "trace", *before, sys.executable, "-c", WALK]
    expected = "10.200.0.2 10.201.0.2\n10.200.0.2 * * * *\n"
    ended = subprocess.run([*command, "10.201.0.2", "10.202.0.1"], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (0, expected), ended.stderr


@pytest.mark.needs_private_network
@pytest.mark.parametrize("address", ["127.3.2.1", "::1"])
def test_a_target_next_door_is_one_hop_away(address):
    for ask in (hops.hop, hops._unprivileged):
        found = ask(address, 1, 1.0)
        assert found.address == address
        assert len(found.rtt_seconds) == hops.ECHOES
        assert all(0 < rtt < 1 for rtt in found.rtt_seconds)


@pytest.mark.needs_private_network
def test_an_address_without_a_way_is_this_hosts_fault():
    for ask in (hops.hop, hops._unprivileged):
        with pytest.raises(hops.PathFailed, match="unreachable"):
            ask("192.0.2.1", 1, 1.0)
        with pytest.raises(hops.PathFailed, match="assign"):
            ask("127.0.0.1", 1, 1.0, "192.0.2.7")


def test_a_walk_takes_so_many_hops_and_so_long_at_most(monkeypatch):
    answers = {"slow": threading.Event()}

    def hop(address, distance, wait_seconds, source):
        if distance > 3 and address == "slow":
            answers["slow"].wait(30)
        return hops.Hop(f"10.0.0.{distance}", ())

    monkeypatch.setattr(hops, "hop", hop)
    assert len(asyncio.run(hops.walk("far"))) == hops.MOST_HOPS
    assert len(asyncio.run(hops.walk("far", most_hops=2))) == 2

    async def in_time():
        found = await hops.walk("slow", within_seconds=0.3)
        answers["slow"].set()
        return found

    assert len(asyncio.run(in_time())) == 3


@given(st.lists(st.sampled_from([None, "10.0.0.1", "10.0.0.2", "10.0.0.9"]), max_size=8))
def test_a_way_has_ended_at_the_target_at_a_refusal_or_after_four_silences(addresses):
    way = [hops.Hop(one, ()) if one else None for one in addresses]
    arrived = addresses[-1:] == ["10.0.0.9"]
    refused = len(way) > 1 and addresses[-1] is not None and addresses[-1] == addresses[-2]
    silent = len(way) >= 4 and addresses[-4:] == [None] * 4
    assert hops.ended(way, "10.0.0.9") is (arrived or refused or silent)


def test_an_answer_to_another_question_is_not_taken():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        asker.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.9", 0))
        asker.setblocking(False)
        for token, who in ((b"theirs", ""), (b"ours", "127.0.0.9")):
            other.sendto(bytes(8) + token, asker.getsockname())
            assert hops._reply(asker, b"ours") == who
        assert hops._reply(asker, b"ours") == ""


@given(st.binary(max_size=60))
def test_any_bytes_are_an_offender_or_none(body):
    with contextlib.suppress(ValueError):
        who = hops.offender(body)
        assert who == "" or socket.inet_pton(socket.AF_INET6 if ":" in who else socket.AF_INET, who)


@given(st.binary(min_size=4, max_size=4), st.sampled_from([0, 1, 2, 3, 4]))
def test_only_icmp_errors_have_an_offender(address, origin):
    body = hops.EXTENDED_ERROR.pack(113, origin, 11, 0, 0, 0, 0) + struct.pack("=HH4s8x", socket.AF_INET, 0, address)
    assert hops.offender(body) == (socket.inet_ntoa(address) if origin in {2, 3} else "")
