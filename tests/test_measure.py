"""What a probe would have measured in the lab's world at a given moment."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch.lab.faults import Fault, Scenario, Where
from netwatch.lab.measure import measure
from netwatch.lab.world import WorldModel
from netwatch.model import Outcome, Rule
from probes.icmp import Icmp
from tests.lab_inventory import inventory

WATCHED = inventory()
SIP = WATCHED.checks["alpha/vc/sip"]
ECHO = replace(SIP, id="alpha/main/icmp", target="main", name="icmp", kind="icmp", probe=Icmp(count=5))
UPS = replace(
    SIP,
    id="alpha/ups/snmp",
    target="ups",
    name="snmp",
    kind="snmp",
    rules=tuple(
        Rule(name=name, metric=metric, compare=compare, crit=1.0)
        for name, metric, compare in (
            ("battery", "ups_on_battery", "above"),
            ("charge", "ups_charge_ratio", "below"),
            ("left", "ups_runtime_seconds", "below"),
            ("temperature", "ups_temperature_celsius", "above"),
            ("input", "ups_input_volts", "below"),
        )
    ),
)


def out_there(*faults, at=100.0):
    world = WorldModel(Scenario(name="t", duration_seconds=200, faults=tuple(faults)), WATCHED)
    world.advance(at)
    return world


def fault(kind, at=0.0, **values):
    where = Where(**{key: values.pop(key) for key in ("site", "line", "device", "tag") if key in values})
    return Fault(at_seconds=at, kind=kind, where=where, values=values)


def ask(check, world, reason="schedule", seed="1"):
    return measure(check, world, reason, Random(seed).random)


def values(result):
    return {sample.name: sample.values for sample in result.samples}


def test_echoes_of_a_good_line_all_come_back_in_its_round_trip():
    world = out_there()
    result = ask(ECHO, world)
    rtt = world.line("alpha", "main").round_trip_seconds
    assert (result.outcome, values(result)["icmp_loss_ratio"], values(result)["icmp_rtt_seconds"]) == (Outcome.OK, (0.0,), (rtt,) * 5)
    assert result.duration_seconds == pytest.approx(0.8 + rtt)


def test_echoes_of_a_cut_line_are_waited_for_and_lost():
    result = ask(ECHO, out_there(fault("cut", site="alpha")))
    assert (result.outcome, result.code, values(result)["icmp_loss_ratio"]) == (Outcome.FAILED, "timeout", (1.0,))
    assert result.duration_seconds == pytest.approx(1.8)


@pytest.mark.parametrize("reason", ["soft", "parent"])
def test_what_somebody_waits_for_is_one_echo(reason):
    assert ask(ECHO, out_there(fault("cut", site="alpha")), reason).duration_seconds == pytest.approx(1.0)


@given(st.integers(1, 10_000), st.floats(0.01, 0.99))
def test_loss_is_what_did_not_come_back(seed, ratio):
    result = ask(ECHO, out_there(fault("loss", site="alpha", ratio=ratio)), seed=str(seed))
    received = len(values(result)["icmp_rtt_seconds"])
    assert values(result)["icmp_loss_ratio"] == (1 - received / 5,)
    assert (result.outcome is Outcome.OK) == (received > 0)
    assert result == ask(ECHO, out_there(fault("loss", site="alpha", ratio=ratio)), seed=str(seed))


def test_about_as_much_is_lost_as_the_line_loses():
    world = out_there(fault("loss", site="alpha", ratio=0.2))
    received = sum(len(values(ask(ECHO, world, seed=str(seed)))["icmp_rtt_seconds"]) for seed in range(2_000))
    assert 0.78 < received / 10_000 < 0.82


def test_all_lost_one_way_is_all_lost():
    assert ask(ECHO, out_there(fault("loss", site="alpha", ratio=1.0, direction="up"))).outcome is Outcome.FAILED


def test_what_stands_behind_a_cut_runs_into_its_timeout():
    result = ask(SIP, out_there(fault("cut", site="alpha")))
    assert (result.outcome, result.code, result.duration_seconds) == (Outcome.FAILED, "timeout", SIP.timeout_seconds)
    assert ask(SIP, out_there()).outcome is Outcome.OK


def test_a_dead_service_refuses_while_its_device_is_there():
    world = out_there(fault("service", site="alpha", device="vc", check="sip", state="dead"))
    assert (ask(SIP, world).outcome, ask(SIP, world).code) == (Outcome.FAILED, "refused")
    assert ask(replace(SIP, name="web"), world).outcome is Outcome.OK
    world.apply(fault("service", site="alpha", device="vc", check="sip", state="ok"))
    assert ask(SIP, world).outcome is Outcome.OK


def test_a_battery_tells_of_itself_and_what_nobody_set_is_far_on_the_good_side():
    calm = values(ask(UPS, out_there()))
    assert (calm["ups_on_battery"], calm["ups_charge_ratio"], calm["ups_temperature_celsius"]) == ((0.0,), (1.0,), (0.0,))
    assert calm["ups_input_volts"][0] > 1000
    world = out_there(fault("ups", at=50.0, site="alpha", state="battery", lasts=100.0))
    tense = values(ask(UPS, world))
    assert (tense["ups_on_battery"], tense["ups_charge_ratio"], tense["ups_runtime_seconds"]) == ((1.0,), (0.5,), (50.0,))


def test_a_metric_that_is_set_is_what_is_read():
    world = out_there(fault("snmp", site="alpha", device="ups", metric="ups_input_volts", value=12.0))
    assert values(ask(UPS, world))["ups_input_volts"] == (12.0,)
