"""Which kind of device `auto` takes something for, and how the odder answers of some kinds are read."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch.lab import ber
from probes._snmp_profile import PARTS, Source, load, names
from probes._snmp_values import Row, measure
from tests.snmp_agent import SYSTEM, UP_TIME, honest, listening, poll, ports, probe, told

NET_SNMP = (1, 3, 6, 1, 4, 1, 8072, 3, 2, 10)  # says nothing of the kind
POINT = Row("", "1", "v", point=("s", "d"))
SENSOR = Source(column="1.3.6.1", si_scale="1.3.7", digits="1.3.8")


def read(objects, profile="auto", times=1):
    async def scenario():
        snmp = None
        async with listening(honest(objects)) as agent:
            snmp = probe(agent.port, profile)
            return [await poll(snmp) for _ in range(times)]

    return asyncio.run(scenario())


def described(text="Linux box", object_id=NET_SNMP):
    return {f"{SYSTEM}.1.0": ber.text(text), f"{SYSTEM}.2.0": ber.object_id(object_id), UP_TIME: ber.ticks(500_000)}


@pytest.mark.parametrize(
    ("objects", "kind"),
    [
        (described(), "device"),
        (described("Linux IPCAM 2.6"), "camera"),
        (described() | {"1.3.6.1.2.1.33.1.2.1.0": ber.integer(2)}, "ups"),
        (described() | {"1.3.6.1.2.1.25.4.2.1.2.1": ber.text("init")}, "server"),
        (described() | {"1.3.6.1.2.1.17.1.4.1.2.1": ber.integer(1)}, "switch"),
        (described() | {"1.3.6.1.2.1.4.1.0": ber.integer(1)}, "router"),
        (described() | {"1.3.6.1.2.1.4.1.0": ber.integer(2)}, "device"),
        (described(object_id=(1, 3, 6, 1, 4, 1, 14823, 1, 1, 32)), "wifi-controller"),
        (described(object_id=(1, 3, 6, 1, 4, 1, 14823, 1, 2, 58)), "wifi-ap"),
        (described(object_id=(1, 3, 6, 1, 4, 1, 3902, 3, 600, 3, 1, 601)), "switch"),
        (described(object_id=(1, 3, 6, 1, 4, 1, 3902, 3, 600, 3, 1, 40)), "router"),
    ],
)
def test_a_kind_is_known_by_its_id_its_description_or_what_it_answers(objects, kind):
    (reading,) = read(objects)
    assert reading.facts["profile"] == kind
    assert told(reading, "uptime_seconds") == {"": 5_000.0}


def test_a_kind_that_nobody_described_tells_its_uptime_and_its_ports():
    (reading,) = read(ports(["eth0", "lo"]) | {f"{SYSTEM}.2.0": ber.object_id((1, 3, 6, 1, 4, 1, 99_999))})
    assert reading.facts["profile"] == "device"
    assert told(reading, "interface_up") == {"eth0": 1.0}


@given(st.integers(-(10**6), 10**6), st.integers(1, 17), st.integers(-8, 9))
def test_the_point_of_a_sensor_is_where_its_mib_says(raw, scale, digits):
    value = measure(SENSOR, POINT, {"v": raw, "s": scale, "d": digits})
    assert value == pytest.approx(raw * 10.0 ** (3 * (scale - 9) - digits))


@pytest.mark.parametrize("values", [{"v": 21, "s": 9}, {"v": 21, "s": 0, "d": 0}, {"v": 21, "s": 9, "d": 10}, {"v": 21, "s": b"x", "d": 0}])
def test_a_sensor_whose_point_is_not_known_says_nothing(values):
    assert measure(SENSOR, POINT, values) is None


@pytest.mark.parametrize(("raw", "value"), [(0, 0), (100, 1), (101, None), (-1, None), (65_535, None)])
def test_a_percentage_is_one_or_nothing(raw, value):
    assert measure(Source(scalar="1.3.6", minimum=0, highest=100, scale=0.01), Row("", "0", "v"), {"v": raw}) == value


@pytest.mark.parametrize(("units", "degrees"), [(1, 77.0), (0, 25.0)])
def test_degrees_of_either_scale_are_told_in_celsius(units, degrees):
    geist = "1.3.6.1.4.1.21239.5.1"
    objects = described(object_id=(1, 3, 6, 1, 4, 1, 21239, 42)) | {
        f"{geist}.1.7.0": ber.integer(units),
        f"{geist}.2.1.5.1": ber.gauge(770),
    }
    (reading,) = read(objects)
    assert list(told(reading, "sensor_temperature_celsius").values()) == [pytest.approx(degrees)]


def test_duplex_is_told_of_ports_with_link_only():
    objects = ports(["a", "b"]) | {f"1.3.6.1.2.1.10.7.2.1.19.{index}": ber.integer(2) for index in (1, 2)}
    objects |= {"1.3.6.1.2.1.2.2.1.8.2": ber.integer(2)}
    (reading,) = read(objects, "switch")
    assert told(reading, "interface_half_duplex") == {"a": 1.0}


def test_an_uptime_that_is_shorter_than_the_agents_is_not_the_hosts():
    (reading,) = read(ports(["eth0"], ticks=900_000) | {"1.3.6.1.2.1.25.1.1.0": ber.ticks(300)}, "router")
    assert told(reading, "uptime_seconds") == {"": 9_000.0}


def test_makers_that_a_device_knows_nothing_of_are_asked_for_once_each():
    async def scenario():
        async with listening(honest(ports(["eth0"]))) as agent:
            await poll(probe(agent.port, "device"))
            return len(agent.requests)

    assert asyncio.run(scenario()) < 60


def test_parts_hold_only_what_a_profile_may_hold_and_are_used():
    assert {file.stem for file in PARTS.glob("*.yaml")} == {"equipment"}
    assert "cpu_ratio" in load("router").metrics
    assert load("camera").metrics["cpu_ratio"].source[0].scalar.startswith("1.3.6.1.4.1.39165")  # its own before the part's
    assert "equipment" not in names()
