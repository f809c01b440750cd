"""Emulated lines: the pure shaper on a clock passed in, and the loop over two sockets that stand for the TUN devices."""

import json
import socket
import threading
import time
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from netwatch.lab.links import DOWN, UP, Emulator, LinkSettings, Shaper, as_change, serve

QUIET = LinkSettings()


def shaper(**settings):
    return Shaper(LinkSettings(**settings), Random(1))


def packet(source="198.18.0.1", destination="10.45.3.1", size=100):
    return bytes(12) + socket.inet_aton(source) + socket.inet_aton(destination) + bytes(size - 20)


def emulator(settings=QUIET, seed=1):
    made = Emulator(seed)
    made.configure({"lines": as_change({"a/main": (settings, settings)}), "addresses": {"10.45.3.1": "a/main", "10.45.3.2": None}})
    return made


def test_delay_is_added():
    assert shaper(delay_seconds=0.02).due(100, 5.0) == 5.02


def test_rate_spaces_packets_by_their_ip_bits():
    line = shaper(rate_bits_per_second=100e6)
    times = [line.due(1250, 0.0) for _ in range(3)]
    assert [round(time, 9) for time in times] == [0.0001, 0.0002, 0.0003]


def test_a_full_queue_drops():
    line = shaper(rate_bits_per_second=1e6, queue_seconds=0.1)
    passed = sum(line.due(1250, 0.0) is not None for _ in range(100))
    assert passed == 11  # 100 ms of queue at 10 ms a packet, and the one being sent


def test_queued_rate_is_the_rate_exactly():
    line = shaper(rate_bits_per_second=100e6)
    sent = [line.due(1500, now / 1e4) for now in range(10_000)]  # 120 Mbit/s offered for one second
    bits = sum(1500 * 8 for due in sent if due is not None and due <= 1.0)
    assert 99.9e6 <= bits <= 100e6


def test_other_peoples_traffic_takes_about_its_part_of_a_full_line():
    """As in one queue: in proportion to what each offers."""
    for offered in (8e6, 20e6, 80e6):
        line = shaper(rate_bits_per_second=10e6, traffic_bits_per_second=6e6)
        every = 8000 / offered
        passed = sum(line.due(1000, 1.0 + index * every) is not None for index in range(int(10 / every)))
        part = 10e6 * offered / (offered + 6e6)
        assert 0.97 * part < passed * 800 < 1.25 * part


def test_other_peoples_traffic_delays_a_slow_sender_only_where_it_fills_the_line():
    half, full = (shaper(rate_bits_per_second=10e6, traffic_bits_per_second=rate) for rate in (5e6, 12e6))
    waits = {line: [line.due(1000, now) for now in (1.0, 2.0, 3.0)] for line in (half, full)}
    assert waits[half] == [1.0008, 2.0008, 3.0008]
    assert all(due is None or due >= now + 0.1 for due, now in zip(waits[full], (1.0, 2.0, 3.0), strict=True))


def test_a_cut_line_is_silent():
    assert shaper(cut=True).due(100, 0.0) is None


def test_loss_is_close_to_its_ratio():
    line = shaper(loss_ratio=0.3)
    lost = sum(line.due(100, 0.0) is None for _ in range(10_000))
    assert 2800 < lost < 3200


@given(st.lists(st.tuples(st.integers(20, 1500), st.floats(0, 0.01)), max_size=60), st.floats(0, 0.05), st.floats(0, 1))
def test_order_is_kept_and_nothing_leaves_before_it_came(arrivals, jitter, loss):
    line = Shaper(LinkSettings(delay_seconds=0.01, jitter_seconds=jitter, loss_ratio=loss, rate_bits_per_second=1e7), Random(2))
    now, last = 0.0, 0.0
    for size, gap in arrivals:
        now += gap
        due = line.due(size, now)
        if due is not None:
            assert due >= now + 0.01
            assert due >= last
            last = due


@given(st.integers(0, 2**32))
def test_the_same_seed_loses_the_same_packets(seed):
    fates = [[Shaper(LinkSettings(loss_ratio=0.5), Random(seed)).due(100, 0.0) for _ in range(1)] for _ in range(2)]
    assert fates[0] == fates[1]


def test_lines_have_dice_of_their_own():
    made = Emulator(1)
    lossy = LinkSettings(loss_ratio=0.5)
    made.configure({"lines": as_change({"a/main": (lossy, lossy), "b/main": (lossy, lossy)})})
    fates = [[made.shapers[line, way].due(9, 0.0) for _ in range(40)] for line in ("a/main", "b/main") for way in (DOWN, UP)]
    assert len({tuple(fate) for fate in fates}) == 4


def test_an_address_without_a_line_is_dropped_and_an_unknown_one_too():
    made = emulator()
    made.take(DOWN, packet(destination="10.45.3.2"), 0.0)
    made.take(DOWN, packet(destination="10.99.9.9"), 0.0)
    made.take(UP, packet(source="10.45.3.2"), 0.0)
    assert made.release(9.0) == []
    assert made.dropped == 3


def test_packets_leave_on_time_and_towards_the_other_side():
    made = emulator(LinkSettings(delay_seconds=0.5))
    made.take(DOWN, packet(), 0.0)
    made.take(UP, packet(source="10.45.3.1", destination="198.18.0.1"), 0.1)
    assert made.release(0.4) == []
    assert made.next_due() == 0.5
    assert [direction for direction, _packet in made.release(0.5)] == [DOWN]
    assert [direction for direction, _packet in made.release(0.6)] == [UP]
    assert made.passed == 2


def test_each_direction_has_its_own_settings_and_a_change_of_them_holds():
    made = emulator()
    made.configure({"lines": as_change({"a/main": (LinkSettings(delay_seconds=0.1), LinkSettings(delay_seconds=0.3))})})
    made.take(DOWN, packet(), 0.0)
    assert made.next_due() == 0.1
    made.release(1.0)
    made.take(UP, packet(source="10.45.3.1", destination="198.18.0.1"), 1.0)
    assert made.next_due() == 1.3


def test_a_change_keeps_the_queue_and_the_dice():
    made = emulator(LinkSettings(rate_bits_per_second=1e6))
    made.take(DOWN, packet(size=1250), 0.0)
    busy = made.shapers["a/main", DOWN].busy_until
    made.configure({"lines": as_change({"a/main": (LinkSettings(rate_bits_per_second=2e6), QUIET)})})
    assert made.shapers["a/main", DOWN].busy_until == busy


def test_the_loop_moves_packets_takes_changes_and_ends_with_its_owner():
    hub, hub_far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    sites, sites_far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    control, control_far = socket.socketpair()
    for end in (hub, sites):
        end.setblocking(False)
    for end in (hub_far, sites_far, control_far):
        end.settimeout(10)
    loop = threading.Thread(target=serve, args=(Emulator(1), hub.fileno(), sites.fileno(), control, time.monotonic))
    loop.start()
    try:
        change = {"lines": as_change({"a/main": (QUIET, QUIET)}), "addresses": {"10.45.3.1": "a/main"}}
        control_far.sendall(json.dumps(change).encode() + b"\n")
        assert json.loads(control_far.recv(1000)) == {"passed": 0, "dropped": 0}
        hub_far.send(packet())
        assert sites_far.recv(2000) == packet()
        sites_far.send(packet(source="10.45.3.1", destination="198.18.0.1"))
        assert hub_far.recv(2000)[12:16] == socket.inet_aton("10.45.3.1")
        control_far.sendall(b'{"addresses": {"10.45.3.1": null}}\n')
        assert json.loads(control_far.recv(1000))["passed"] == 2
    finally:
        control_far.close()
        loop.join(10)
        for end in (hub, hub_far, sites, sites_far, control):
            end.close()
    assert not loop.is_alive()
