"""How the demo quickens an inventory: what it may shorten, and what it must leave alone."""

from pathlib import Path

from netwatch.inventory import load
from netwatch.lab.stage import DEMO_ENVIRONMENT, SITE_NETS, hastened

HASTE_SECONDS = 10.0
SHIPPED = load(Path(__file__).parent.parent / "inventory.yaml", environment=DEMO_ENVIRONMENT, site_net=SITE_NETS["namespaces"], pagers={})


def test_every_device_is_asked_often_and_never_before_its_last_run_must_have_ended():
    for check in hastened(SHIPPED, 0, HASTE_SECONDS).checks.values():
        assert check.interval_seconds <= max(HASTE_SECONDS, check.timeout_seconds + 1)
        assert check.interval_seconds >= check.timeout_seconds


def test_holds_of_snmp_are_shortened_and_the_rules_of_echoes_are_left_alone():
    for name, check in hastened(SHIPPED, 0, HASTE_SECONDS).checks.items():
        if check.kind == "snmp":
            before = [rule.hold_seconds for rule in SHIPPED.checks[name].rules]
            assert [rule.hold_seconds for rule in check.rules] == [min(hold, HASTE_SECONDS) for hold in before]
        else:
            assert check.rules == SHIPPED.checks[name].rules


def test_ports_move_with_the_lab_and_the_inventory_itself_does_not():
    moved = hastened(SHIPPED, 10_000, None)
    assert {check.probe.port for check in moved.checks.values() if check.kind == "snmp"} == {10_161}
    assert {check.probe.port for check in SHIPPED.checks.values() if check.kind == "snmp"} == {161}
    assert {name: check.address for name, check in moved.checks.items()} == {name: check.address for name, check in SHIPPED.checks.items()}


def test_without_haste_the_pace_is_the_inventorys():
    assert hastened(SHIPPED, 0, None).checks == SHIPPED.checks
