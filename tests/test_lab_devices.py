"""The lab's SNMP agent and its tables: believable, moving, and never brought down by a datagram."""

import asyncio
import contextlib
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch.lab import ber
from netwatch.lab.agent import Agent, Layout, LayoutView, answer
from netwatch.lab.devices import LabDevice, layouts, view
from netwatch.lab.faults import DeviceState, Fault

LAYOUTS = layouts()
UPTIME = (1, 3, 6, 1, 2, 1, 1, 3, 0)
RECEIVED = (1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 6, 1)
ON_BATTERY = (1, 3, 6, 1, 2, 1, 33, 1, 4, 1, 0)
TRAY = (1, 3, 6, 1, 2, 1, 43, 8, 2, 1, 10, 1, 1)


def device(role, state=None):
    shown = state or DeviceState(booted_at=-1000.0)
    return LabDevice("alpha", role, role, lambda: shown)


def number(role, oid, state=None, now=0.0):
    encoded = view(LAYOUTS[role], device(role, state), now).get(ber.encode_oid(oid))
    return int.from_bytes(encoded[2:], "big", signed=True)


def after(kind, role="printer", now=0.0, **values):
    state = Fault(at_seconds=0, kind=kind, values=values).on_device(DeviceState(booted_at=-1000.0), now)
    return lambda oid, at=now: number(role, oid, state, at)


def request(kind, *oids, first=0, second=0):
    listed = b"".join(ber.tagged(0x30, ber.object_id(oid) + b"\x05\x00") for oid in oids)
    body = ber.integer(77) + ber.integer(first) + ber.integer(second) + ber.tagged(0x30, listed)
    return ber.tagged(0x30, ber.integer(1) + ber.text("public") + ber.tagged(kind, body))


@given(st.binary(max_size=300))
def test_any_datagram_is_a_request_or_a_bad_message(data):
    with contextlib.suppress(ber.BadMessage):
        ber.read_request(data)


@given(st.data())
def test_a_damaged_request_is_answered_or_refused(data):
    whole = bytearray(request(ber.GET_BULK, UPTIME, second=9))
    whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    shown = view(LAYOUTS["router"], device("router"), 0.0)
    with contextlib.suppress(ber.BadMessage):
        assert len(answer(ber.read_request(bytes(whole)), shown)) < 65_000


@given(st.tuples(st.integers(0, 1), st.integers(0, 39)), st.lists(st.integers(0, 2**32 - 1), max_size=12))
def test_an_oid_survives_its_encoding(head, rest):
    oid = (*head, *rest)
    assert ber.decode_oid(ber.encode_oid(oid)) == oid


@given(st.integers(-(2**40), 2**40))
def test_a_number_survives_its_encoding(value):
    assert int.from_bytes(ber.integer(value)[2:], "big", signed=True) == value


def test_numbers_are_encoded_as_net_snmp_does():
    assert ber.integer(128) == b"\x02\x02\x00\x80"
    assert ber.counter64(2**64 - 1) == b"\x46\x09\x00" + b"\xff" * 8
    assert ber.counter32(2**32 + 5) == b"\x41\x01\x05"
    assert ber.encode_oid((1, 3, 6, 1, 4, 1, 14988)) == bytes.fromhex("2b06010401f50c")


@given(st.sampled_from(sorted(LAYOUTS)), st.integers(1, 100))
def test_a_walk_sees_every_object_once_in_order(role, repetitions):
    shown = view(LAYOUTS[role], device(role), 0.0)
    seen, at = [], (1, 3)
    while shown.after(at) is not None:
        rows = answer_rows(request(ber.GET_BULK, at, second=repetitions), shown)
        new = [oid for oid, value in rows if value != ber.END_OF_VIEW]
        seen += new
        at = new[-1]
    assert seen == list(LAYOUTS[role].order)


def answer_rows(asked, shown):
    outer = ber._Reader(ber._Reader(answer(ber.read_request(asked), shown)).take(0x30)[1])
    outer.take(0x02), outer.take(0x04)
    body = ber._Reader(outer.take(ber.RESPONSE)[1])
    body.take(0x02), body.take(0x02), body.take(0x02)
    listed = ber._Reader(body.take(0x30)[1])
    rows = []
    while listed.at < len(listed.data):
        row = ber._Reader(listed.take(0x30)[1])
        oid = ber.decode_oid(row.take(0x06)[1])
        rows.append((oid, row.data[row.at :]))
    return rows


def test_an_unknown_object_is_no_such_instance():
    shown = view(LAYOUTS[""], device(""), 0.0)
    assert answer_rows(request(ber.GET, (1, 3, 6, 1, 9)), shown) == [((1, 3, 6, 1, 9), ber.NO_SUCH_INSTANCE)]


def test_a_bulk_answer_fits_a_datagram():
    wide = Layout({(1, 3, 6, n): ber.text("x" * 200) for n in range(50)})
    shown = LayoutView(wide, device(""), 0.0, {})
    assert len(answer(ber.read_request(request(ber.GET_BULK, (1, 3), second=50)), shown)) < 1500


@given(st.floats(0, 1e6), st.floats(0.1, 1e5))
def test_counters_never_fall_and_keep_near_their_mean(now, later):
    router = device("router")
    grown = router.moved(1e6, now + later) - router.moved(1e6, now)
    assert 0.3 * 1e6 * later * 0.6 - 2 <= grown <= 1.5 * 1e6 * later * 1.4 + 2


def test_a_reboot_starts_uptime_and_counters_from_zero():
    fresh = DeviceState(booted_at=90.0)
    assert number("router", UPTIME, fresh, 95.0) == 500
    assert number("router", RECEIVED, fresh, 90.0) == 0
    assert number("router", RECEIVED, None, 90.0) > 0


def test_a_ups_on_battery_says_so_and_drains():
    battery = after("ups", "ups", now=10.0, state="battery", lasts=600.0)
    assert battery(ON_BATTERY) == 5
    assert battery((1, 3, 6, 1, 2, 1, 33, 1, 2, 3, 0)) == 10
    assert battery((1, 3, 6, 1, 2, 1, 33, 1, 2, 3, 0), 310.0) == 5
    assert battery((1, 3, 6, 1, 2, 1, 33, 1, 2, 4, 0), 310.0) == 50
    assert battery((1, 3, 6, 1, 2, 1, 33, 1, 2, 2, 0), 310.0) == 300
    assert number("ups", ON_BATTERY) == 3


def test_an_empty_tray_shows_in_level_and_error_bits():
    empty = after("paper", state="out")
    assert empty(TRAY) == 0
    state = Fault(at_seconds=0, kind="paper", values={"state": "out"}).on_device(DeviceState(booted_at=0), 0)
    errors = view(LAYOUTS["printer"], device("printer", state), 0).get(ber.encode_oid((1, 3, 6, 1, 2, 1, 25, 3, 5, 1, 2, 1)))
    assert errors == b"\x04\x02\x40\x04"  # noPaper is bit 1, inputTrayEmpty bit 13
    assert after("paper", state="ok")(TRAY) > 0


def test_low_toner_shows_in_level():
    assert after("toner", ratio=0.07)((1, 3, 6, 1, 2, 1, 43, 11, 1, 1, 9, 1, 1)) == 7


def test_port_errors_grow_and_stop_without_falling():
    column = (1, 3, 6, 1, 2, 1, 2, 2, 1, 14, 1)
    growing = Fault(at_seconds=0, kind="errors", values={"port": "ether1", "per_second": 5.0}).on_device(DeviceState(booted_at=0), 10.0)
    assert number("router", column, growing, 30.0) == 100
    stopped = Fault(at_seconds=0, kind="errors", values={"port": "ether1", "per_second": 0.0}).on_device(growing, 30.0)
    assert number("router", column, stopped, 99.0) == 100


def test_a_port_goes_down_and_up():
    column = (1, 3, 6, 1, 2, 1, 2, 2, 1, 8, 2)
    down = Fault(at_seconds=0, kind="port", values={"port": "ether2", "state": "down"}).on_device(DeviceState(booted_at=0), 0)
    up = Fault(at_seconds=0, kind="port", values={"port": "ether2", "state": "up"}).on_device(down, 0)
    assert (number("router", column, down), number("router", column, up)) == (2, 1)


def test_a_port_that_agreed_on_ten_megabits_half_duplex_says_so():
    speed, high_speed = (1, 3, 6, 1, 2, 1, 2, 2, 1, 5, 1), (1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 15, 1)
    duplex = (1, 3, 6, 1, 2, 1, 10, 7, 2, 1, 19, 1)
    slow = after("negotiate", "router", port="ether1", speed=10e6, duplex="half")
    assert (slow(speed), slow(high_speed), slow(duplex)) == (10_000_000, 10, 2)
    assert [number("router", oid) for oid in (speed, high_speed, duplex)] == [1_000_000_000, 1000, 3]
    assert (slow((*speed[:-1], 2)), slow((*duplex[:-1], 2))) == (1_000_000_000, 3)
    assert after("negotiate", "router", port="ether1", speed=100e6)(duplex) == 3


def test_a_set_value_keeps_the_type_of_the_object():
    state = Fault(at_seconds=0, kind="snmp", values={"oid": "1.3.6.1.2.1.1.3.0", "value": 4200.0}).on_device(DeviceState(booted_at=0), 0)
    shown = view(LAYOUTS["router"], device("router", state), 0)
    assert shown.get(ber.encode_oid(UPTIME)) == b"\x43\x02\x10\x68"


@pytest.mark.parametrize("community", [b"public", b"wrong"])
def test_the_agent_answers_from_the_address_it_was_asked_at_and_only_to_its_community(community):
    asyncio.run(ask_agent(community))


async def ask_agent(community):
    shown = view(LAYOUTS["router"], device("router"), 0.0)
    known = socket.inet_aton("127.45.1.1")
    agent = Agent(lambda address: shown if address == known else None, b"public", 0, loopback_only=True)
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    loop = asyncio.get_running_loop()
    try:
        asked = request(ber.GET, UPTIME).replace(b"public", community.ljust(6, b"x"))
        client.sendto(asked, ("127.45.1.9", agent.port))  # nobody's address: silence
        client.sendto(b"garbage", ("127.45.1.1", agent.port))
        client.sendto(asked, ("127.45.1.1", agent.port))
        client.sendto(request(ber.GET, UPTIME), ("127.45.1.1", agent.port))
        async with asyncio.timeout(10):
            _data, peer = await loop.sock_recvfrom(client, 2000)
            if community == b"public":
                await loop.sock_recvfrom(client, 2000)
        assert peer == ("127.45.1.1", agent.port)
        assert agent.answered == (2 if community == b"public" else 1)
    finally:
        client.close()
        agent.close()
