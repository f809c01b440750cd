"""From one GET to samples: pure, with the time passed in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes._snmp_auto import score_of_object_id
from probes._snmp_counters import Clock
from probes._snmp_plan import IF_TABLE_LAST_CHANGE, SYS_UP_TIME, Plan, Reader
from probes._snmp_ports import COLUMNS, PACKETS, Port
from probes._snmp_profile import load, parse
from probes._snmp_reading import Memory, clock_of, outdated, samples_of
from probes._snmp_values import Row

RECEIVE = "interface_receive_bytes_per_second"
NARROW = {"admin": 1, "oper": 1, "receive_32": 5, "transmit_32": 5, "speed_32": 1_000_000_000}
WIDE = {"admin": 1, "oper": 1, "receive": 5, "transmit": 5, "speed": 1000, "receive_errors": 5, "discontinuity": 0}


def said(forms, index="1"):
    return {f"{COLUMNS[form]}.{index}": value for form, value in forms.items()}


def port(forms, name="ether1", index="1"):
    made = Port(name, "", index, uplink=False, name_oid=f"1.3.6.1.2.1.31.1.1.1.1.{index}", spoken=name.encode())
    made.confirm(said(forms, index))
    return made


def rates(one, before, now, seconds=60.0):
    samples = []
    one.read(now, before, seconds, samples)
    return {sample.name: sample.values[0] for sample in samples if "_up" not in sample.name and "speed" not in sample.name}


def plan_of(*ports, readers=(), clock=(SYS_UP_TIME, IF_TABLE_LAST_CHANGE), last_change=7):
    plan = Plan(load("router"), 0.0, {}, ports=list(ports), readers=list(readers), clock=clock, last_change=last_change)
    plan.collect()
    return plan


def test_a_32_bit_counter_of_a_gigabit_port_that_seems_still_may_have_gone_round():
    assert rates(port(NARROW), said(NARROW), said(NARROW)) == {}
    slow = NARROW | {"speed_32": 100_000_000}
    assert rates(port(slow), said(slow), said(slow))[RECEIVE] == 0.0


def test_the_faster_of_two_speeds_is_the_ceiling_while_a_port_changes_speed():
    one = port(WIDE)
    after = WIDE | {"speed": 10, "receive": 5 + 60 * 100_000_000}
    assert rates(one, said(WIDE), said(after))[RECEIVE] == pytest.approx(100_000_000)
    assert RECEIVE not in rates(one, said(after), said(after | {"receive": 5 + 120 * 100_000_000}))


def test_another_discontinuity_time_drops_the_rates_of_the_port():
    one = port(WIDE)
    assert RECEIVE in rates(one, said(WIDE), said(WIDE))
    assert rates(one, said(WIDE), said(WIDE | {"discontinuity": 99})) == {}


def test_packets_of_an_uplink_are_the_sum_of_three_kinds_or_not_told():
    made = Port("wan1", "", "1", uplink=True, name_oid="1.3.6.1.2.1.31.1.1.1.1.1", spoken=b"wan1")
    metric = "interface_receive_packets_per_second"
    kinds = [f"{column}.1" for column in PACKETS[metric]]
    up = said({"oper": 1, "admin": 1, "receive": 0})
    made.confirm({**up, **dict.fromkeys(kinds, 0)})
    for after, told in (((6_000, 60, 600), (111.0,)), ((6_000, None, 600), ()), ((6_000, 60), ()), ((1, 2, "x"), ())):
        samples = []
        now = {**up, **dict(zip(kinds, after, strict=False))}
        made.read(now, {**up, **dict.fromkeys(kinds, 0)}, 60.0, samples)
        assert tuple(one.values[0] for one in samples if one.name == metric) == told
    made.confirm({**up, **dict.fromkeys(kinds[:2], 0)})  # an agent that counts no broadcasts
    samples = []
    made.read({**up, kinds[0]: 60, kinds[1]: 60}, {**up, **dict.fromkeys(kinds, 0)}, 60.0, samples)
    assert not any(one.name == metric for one in samples)


def test_packets_are_not_asked_of_other_ports():
    assert not any("packets" in form for form in port({"oper": 1}).oids)


@given(st.dictionaries(st.sampled_from(sorted(COLUMNS)), st.one_of(st.integers(), st.binary(max_size=9), st.text(max_size=9), st.none())))
def test_no_answer_of_a_port_breaks_the_reading(forms):
    samples = []
    one = port(WIDE | NARROW)
    one.read(said(forms), said(WIDE), 60.0, samples)
    assert all(value >= 0 for sample in samples for value in sample.values)


def test_what_an_oid_meant_before_is_not_compared_with_what_it_means_now():
    values = said(WIDE) | {SYS_UP_TIME: 100_000}
    later = said(WIDE | {"receive": 500}) | {SYS_UP_TIME: 106_000}
    before, renamed, same = (plan_of(port(WIDE, name)) for name in ("ether1", "ether2", "ether1"))
    memory = samples_of(before, values, Memory(), clock_of(values, 0.0))[1]
    clock = clock_of(later, 60.0)
    assert RECEIVE not in {sample.name for sample in samples_of(renamed, later, memory, clock)[0]}
    assert RECEIVE in {sample.name for sample in samples_of(same, later, memory, clock)[0]}
    assert not before.same_instances(plan_of(port(WIDE), port(WIDE, index="2")))


def test_uptime_is_of_the_device_where_it_tells_and_else_of_the_agent():
    plan = plan_of()
    told = samples_of(plan, {}, Memory(), Clock(0.0, ticks=500, host_ticks=90_000))[0]
    assert [(sample.name, sample.values) for sample in told] == [("uptime_seconds", (900.0,))]
    assert samples_of(plan, {}, Memory(), Clock(0.0, ticks=500))[0][0].values == (5.0,)
    assert samples_of(plan, {}, Memory(), Clock(0.0))[0] == []


def test_a_plan_is_outdated_by_age_by_change_and_once_by_what_is_missing():
    plan = plan_of(port(WIDE))
    values = said(WIDE) | {SYS_UP_TIME: 100_000, IF_TABLE_LAST_CHANGE: 7}
    clock = clock_of(values, 10.0)
    assert outdated(plan, values, Memory(), clock, 100.0) == ""
    assert outdated(plan, values, Memory(), clock._replace(at=101.0), 100.0) == "aged"
    assert outdated(plan, values | {IF_TABLE_LAST_CHANGE: 8}, Memory(), clock, 100.0) == "changed"
    assert outdated(plan, values, Memory(clock=Clock(0.0, 900_000)), clock, 100.0) == "changed"
    less = {oid: value for oid, value in values.items() if oid != plan.ports[0].oids["oper"]}
    assert outdated(plan, less, Memory(), clock, 100.0) == "aged"
    missed = samples_of(plan, less, Memory(), clock)[1]
    assert outdated(plan, less, missed, clock, 100.0) == ""


def test_rates_of_many_rows_can_be_made_one():
    quantity = load("printer").metrics["printer_pages_per_second"]
    rows = [Row("1", "1", "pages.1"), Row("2", "2", "pages.2")]
    plan = plan_of(readers=[Reader("printer_pages_per_second", quantity.source[0], rows)])
    memory = Memory(Clock(0.0, 1000), plan, {"pages.1": 10, "pages.2": 20})
    samples = samples_of(plan, {"pages.1": 40, "pages.2": 50}, memory, Clock(60.0, 7000))[0]
    assert {sample.name: sample.values for sample in samples}["printer_pages_per_second"] == (1.0,)


def test_the_longest_prefix_of_the_object_id_wins_and_only_whole_numbers_count():
    maker, model = (
        parse(name, {}, {"object_ids": [prefix]}) for name, prefix in (("maker", "1.3.6.1.4.1.9"), ("model", "1.3.6.1.4.1.9.1.61"))
    )
    assert score_of_object_id(model, "1.3.6.1.4.1.9.1.61") > score_of_object_id(maker, "1.3.6.1.4.1.9.1.61") > 0
    assert score_of_object_id(model, "1.3.6.1.4.1.9.1.617") == 0
    assert score_of_object_id(model, "") == 0
