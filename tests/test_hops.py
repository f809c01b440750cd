"""Tracing across a real router, in network namespaces of the test's own."""

import contextlib
import socket
import struct
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch import hops

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
ip link set lo up; ip addr add 10.200.0.1/24 dev a0; ip link set a0 up
r ip addr add 10.200.0.2/24 dev r0; r ip addr add 10.201.0.1/24 dev r1; r ip link set r0 up; r ip link set r1 up
r sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
b ip addr add 10.201.0.2/24 dev b0; b ip link set b0 up; b ip route add default via 10.201.0.1
ip route add 10.201.0.0/24 via 10.200.0.2
echo '0 2147483647' > /proc/sys/net/ipv4/ping_group_range
"$@"
"""
LOOK = """
import sys
from netwatch import hops
ask = hops.hop if sys.argv[1] == "raw" else hops._unprivileged
print(*(found.address if found else "*" for found in (ask("10.201.0.2", distance, 1.0) for distance in (1, 2))))
"""


@pytest.mark.needs_private_network
@pytest.mark.parametrize("kind", ["raw", "ping"])
def test_the_router_answers_first_and_then_the_target(kind):
    command = ["unshare", "--net", "bash", "-c", TOPOLOGY, "trace", sys.executable, "-c", LOOK, kind]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (0, "10.200.0.2 10.201.0.2\n"), ended.stderr


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
    with pytest.raises(hops.PathFailed):
        hops._unprivileged("192.0.2.1", 1, 1.0)


@given(st.binary(max_size=60))
def test_any_bytes_are_an_offender_or_none(body):
    with contextlib.suppress(ValueError):
        who = hops.offender(body)
        assert who == "" or socket.inet_pton(socket.AF_INET6 if ":" in who else socket.AF_INET, who)


@given(st.binary(min_size=4, max_size=4), st.sampled_from([0, 1, 2, 3, 4]))
def test_only_icmp_errors_have_an_offender(address, origin):
    body = hops.EXTENDED_ERROR.pack(113, origin, 11, 0, 0, 0, 0) + struct.pack("=HH4s8x", socket.AF_INET, 0, address)
    assert hops.offender(body) == (socket.inet_ntoa(address) if origin in {2, 3} else "")
