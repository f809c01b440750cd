import asyncio
import dataclasses
import math
import re
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from netwatch.metrics import BUCKETS_SECONDS, MOST_WAITING, Metrics, Overloaded
from netwatch.model import Acknowledgement, Cause, Check, Incident, Line, Metric, Outcome, Result, Sample, Site, State
from netwatch.snapshot import CheckView, SelfView, SiteView, Snapshot, TargetView
from probes import Probe, Reading

NOW = 1_795_463_220.0
KINDS = {
    "icmp_rtt_seconds": Metric("histogram", "seconds", "Round trip.", labels=("site", "target")),
    "icmp_sent": Metric("counter", "", "Sent.", labels=("site", "target")),
    "jitter_seconds": Metric("gauge", "seconds", "Jitter."),
    "printer_supply_ratio": Metric("gauge", "ratio", "Left.", instance_label="supply", labels=("site", "device")),
    "pages_total": Metric("counter", "", "Printed.", instance_label="tray", labels=("site", "device")),
}


class Fake(Probe):
    def __init__(self, kinds=KINDS):
        self.kinds = kinds

    def metrics(self):
        return self.kinds

    async def run(self, target, shared):
        return Reading()


def check(target="line1", name="icmp", site="na-tau", probe=None):
    return Check(
        id=f"{site}/{target}/{name}",
        site=site,
        target=target,
        name=name,
        kind="icmp",
        probe=probe or Fake(),
        address="127.0.0.1",
        interval_seconds=5,
        timeout_seconds=3,
        retry_seconds=1,
    )


def result(*samples, outcome=Outcome.OK, seconds=0.2):
    return Result(check="", at=0, wall=NOW, duration_seconds=seconds, outcome=outcome, samples=samples)


def snapshot(*sites, incidents=(), **own):
    return Snapshot(wall=NOW, revision=1, sites=sites, incidents=incidents, closed=(), self_view=SelfView(version="1.2", **own))


def site_view(site="na-tau", state=State.OK, up=True, targets=(), **more):
    place = Site(id=site, name="Nà Tấu", code="03316", district="Mường Ảng", latitude=21.5724, longitude=103.154, **more)
    return SiteView(site=place, up=up, state=state, since=None, detail="", rtt_seconds=None, loss_ratio=None, targets=targets)


def target_view(target="router", kind="device", role="router", up=True, state=State.OK, facts=None, line=None):
    looked = CheckView(
        id="x", name="snmp", kind="snmp", state=state, belief="ok", hard=True, since=None, last_wall=None, duration_seconds=0, outcome=None,
        code="", detail="", interval_seconds=60, samples=(), facts=facts or {},
    )  # fmt: skip
    return TargetView(
        site="na-tau", id=target, kind=kind, role=role, profile="router", label="", address="10.45.24.1", up=up, state=state, since=None,
        detail="", checks=(looked,), problems=(), line=line,
    )  # fmt: skip


async def text(metrics, taken=None, **options):
    return (await metrics.render(taken or snapshot(), **options)).decode()


def shown(metrics, taken=None, **options):
    """Every sample of ours as Prometheus would read it: (name, labels) to value."""
    written = asyncio.run(text(metrics, taken, **options))
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(written)
        for sample in family.samples
        if sample.name.startswith("netwatch_")
    }


def value(found, name, /, **labels):
    return found.get((name, tuple(sorted(labels.items()))))


def test_a_histogram_counts_every_value_and_counters_add_up():
    metrics = Metrics()
    line = check()
    metrics.observe(line, result(Sample("icmp_rtt_seconds", (0.0009, 0.001, 0.012, 5.0)), Sample("icmp_sent", (5.0,))))
    metrics.observe(line, result(Sample("icmp_rtt_seconds", (0.04,)), Sample("icmp_sent", (5.0,)), outcome=Outcome.FAILED))
    found = shown(metrics)
    where = {"site": "na-tau", "target": "line1"}
    assert value(found, "netwatch_icmp_rtt_seconds_bucket", **where, le="0.001") == 2
    assert value(found, "netwatch_icmp_rtt_seconds_bucket", **where, le="0.015") == 3
    assert value(found, "netwatch_icmp_rtt_seconds_bucket", **where, le="0.04") == 4
    assert value(found, "netwatch_icmp_rtt_seconds_bucket", **where, le="2.0") == 4
    assert value(found, "netwatch_icmp_rtt_seconds_bucket", **where, le="+Inf") == 5
    assert value(found, "netwatch_icmp_rtt_seconds_count", **where) == 5
    assert value(found, "netwatch_icmp_rtt_seconds_sum", **where) == pytest.approx(5.0539)
    assert value(found, "netwatch_icmp_sent_total", **where) == 10
    assert value(found, "netwatch_checks_total", kind="icmp", outcome="ok") == 1
    assert value(found, "netwatch_checks_total", kind="icmp", outcome="failed") == 1
    assert value(found, "netwatch_check_duration_seconds_count", kind="icmp") == 2


def test_the_buckets_are_those_of_the_dashboards():
    wanted = ".001 .002 .005 .01 .015 .02 .03 .04 .05 .075 .1 .15 .2 .3 .5 1 2"
    assert tuple(map(float, wanted.split())) == BUCKETS_SECONDS


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True)))
def test_a_histogram_is_consistent_whatever_is_measured(values):
    metrics = Metrics()
    metrics.observe(check(), result(Sample("icmp_rtt_seconds", tuple(values))))
    found = shown(metrics)
    finite = [one for one in values if math.isfinite(one)]
    where = {"site": "na-tau", "target": "line1"}
    if not values:
        assert value(found, "netwatch_icmp_rtt_seconds_count", **where) is None
        return
    assert value(found, "netwatch_icmp_rtt_seconds_count", **where) == len(finite)
    for bound in BUCKETS_SECONDS:
        assert value(found, "netwatch_icmp_rtt_seconds_bucket", **where, le=repr(bound)) == sum(one <= bound for one in finite)


def test_a_gauge_of_a_run_that_failed_is_not_shown_as_fresh():
    metrics = Metrics()
    line = check()
    labels = {"site": "na-tau", "target": "line1", "check": "icmp"}
    metrics.observe(line, result(Sample("jitter_seconds", (0.003,)), Sample("icmp_sent", (5.0,))))
    assert value(shown(metrics), "netwatch_jitter_seconds", **labels) == 0.003
    metrics.observe(line, result(Sample("icmp_sent", (5.0,)), outcome=Outcome.FAILED))
    found = shown(metrics)
    assert value(found, "netwatch_jitter_seconds", **labels) is None
    assert value(found, "netwatch_icmp_sent_total", site="na-tau", target="line1") == 10
    metrics.observe(line, result(Sample("jitter_seconds", (0.004, 0.005))))
    assert value(shown(metrics), "netwatch_jitter_seconds", **labels) == 0.005


def test_an_instance_that_is_gone_is_not_shown():
    metrics = Metrics()
    printer = check("printer1", "snmp")
    metrics.observe(printer, result(Sample("printer_supply_ratio", (0.2,), "black"), Sample("printer_supply_ratio", (0.9,), "cyan")))
    assert value(shown(metrics), "netwatch_printer_supply_ratio", site="na-tau", device="printer1", supply="cyan") == 0.9
    metrics.observe(printer, result(Sample("printer_supply_ratio", (0.2,), "black")))
    found = shown(metrics)
    assert value(found, "netwatch_printer_supply_ratio", site="na-tau", device="printer1", supply="black") == 0.2
    assert value(found, "netwatch_printer_supply_ratio", site="na-tau", device="printer1", supply="cyan") is None


def test_the_series_of_a_removed_check_vanish_and_only_those():
    metrics = Metrics()
    for target in ("line1", "line2"):
        metrics.observe(
            check(target), result(Sample("icmp_rtt_seconds", (0.1,)), Sample("icmp_sent", (5.0,)), Sample("jitter_seconds", (1.0,)))
        )
    metrics.forget([check("line1"), check("never-seen")])
    found = shown(metrics)
    assert not any(("target", "line1") in labels for _, labels in found)
    assert value(found, "netwatch_icmp_sent_total", site="na-tau", target="line2") == 5
    metrics.forget([check("line2")])
    assert "icmp_sent" not in asyncio.run(text(metrics))


def test_two_checks_with_the_same_labels_are_one_series():
    metrics = Metrics()
    first, second = check(name="icmp"), check(name="icmp6")
    for one in (first, second):
        metrics.observe(one, result(Sample("icmp_sent", (5.0,))))
    assert asyncio.run(text(metrics)).count("netwatch_icmp_sent_total{") == 1
    assert value(shown(metrics), "netwatch_icmp_sent_total", site="na-tau", target="line1") == 10
    metrics.forget([first])
    metrics.observe(second, result(Sample("icmp_sent", (5.0,))))
    assert value(shown(metrics), "netwatch_icmp_sent_total", site="na-tau", target="line1") == 15


def test_a_counter_is_named_total_once_and_never_falls():
    metrics = Metrics()
    metrics.observe(check("printer1", "snmp"), result(Sample("pages_total", (3.0, -5.0, math.nan, math.inf), "1")))
    assert value(shown(metrics), "netwatch_pages_total", site="na-tau", device="printer1", tray="1") == 3


def test_what_a_probe_did_not_announce_is_not_exported():
    metrics = Metrics()
    metrics.observe(check(), result(Sample("surprise", (1.0,))))
    assert "surprise" not in asyncio.run(text(metrics))


def test_a_metric_that_a_probe_learns_later_is_exported():
    metrics = Metrics()
    probe = Fake({})
    metrics.observe(check(probe=probe), result(Sample("jitter_seconds", (1.0,))))
    probe.kinds = KINDS
    metrics.observe(check(probe=probe), result(Sample("jitter_seconds", (1.0,))))
    assert "netwatch_jitter_seconds{" in asyncio.run(text(metrics))


def test_one_name_is_one_kind():
    metrics = Metrics()
    metrics.observe(check(), result(Sample("jitter_seconds", (1.0,))))
    other = check("line2", probe=Fake({"jitter_seconds": Metric("counter", "", "Other.")}))
    metrics.observe(other, result(Sample("jitter_seconds", (1.0,))))
    found = shown(metrics)
    assert value(found, "netwatch_series_dropped_total") == 1
    assert not any(("target", "line2") in labels for _, labels in found)


def test_the_number_of_series_is_bounded_and_places_are_given_back():
    metrics = Metrics(most_series=10)
    printer = check("printer1", "snmp")
    for round_ in range(5):
        metrics.observe(printer, result(*(Sample("printer_supply_ratio", (0.1,), f"{round_}-{n}") for n in range(10))))
    assert asyncio.run(text(metrics)).count("netwatch_printer_supply_ratio{") == 10
    assert value(shown(metrics), "netwatch_series_dropped_total") == 0
    metrics.observe(check("line9"), result(Sample("jitter_seconds", (1.0,))))
    assert value(shown(metrics), "netwatch_series_dropped_total") == 1
    assert "line9" not in asyncio.run(text(metrics))


def test_sites_devices_and_lines_are_told():
    line = Line(id="line1", address="10.45.24.254", contract_down_bits_per_second=100e6, contract_up_bits_per_second=40e6)
    targets = (
        target_view(facts={"vendor": "MikroTik", "model": "RB4011"}, state=State.UNREACHABLE, up=False),
        target_view("line1", "line", "primary", line=line),
        target_view("ups", role="ups", up=None, state=State.UNKNOWN),
    )
    found = shown(Metrics(), snapshot(site_view(targets=targets, state=State.CRIT), site_view("pu-nhi", State.MAINTENANCE, up=None)))
    assert value(found, "netwatch_site_state", site="na-tau") == 2
    assert value(found, "netwatch_site_state", site="pu-nhi") == 5
    assert value(found, "netwatch_site_up", site="na-tau") == 1
    assert value(found, "netwatch_site_up", site="pu-nhi") is None
    assert value(found, "netwatch_site_maintenance", site="pu-nhi") == 1
    assert value(found, "netwatch_device_up", site="na-tau", device="router", role="router") == 0
    assert value(found, "netwatch_device_state", site="na-tau", device="router", role="router") == 4
    assert value(found, "netwatch_device_up", site="na-tau", device="ups", role="ups") is None
    assert value(found, "netwatch_device_up", site="na-tau", device="line1", role="line") == 1
    assert value(found, "netwatch_line_contract_bytes_per_second", site="na-tau", line="line1", direction="down") == 12.5e6
    assert value(found, "netwatch_line_contract_bytes_per_second", site="na-tau", line="line1", direction="up") == 5e6
    device = {"site": "na-tau", "device": "router", "role": "router", "profile": "router", "vendor": "MikroTik", "model": "RB4011"}
    assert value(found, "netwatch_device_info", **device, ip="10.45.24.1") == 1
    info = {
        "site": "na-tau",
        "code": "03316",
        "name": "Nà Tấu",
        "district": "Mường Ảng",
        "kind": "commune",
        "lat": "21.5724",
        "lon": "103.154",
    }
    assert value(found, "netwatch_site_info", **info) == 1


def test_a_backup_that_was_never_made_has_no_age():
    found = shown(Metrics(), snapshot(backup_failures=3))
    assert value(found, "netwatch_backup_last_success_timestamp_seconds") is None
    assert value(found, "netwatch_backup_failures_total") == 3
    assert value(shown(Metrics(), snapshot(backup_wall=NOW)), "netwatch_backup_last_success_timestamp_seconds") == NOW


def incident(severity, acknowledgement=None):
    return Incident(
        id=1, key="k", cause=Cause("site", "x"), sites=("x",), severity=severity, opened=NOW, updated=NOW, acknowledgement=acknowledgement
    )


def test_open_incidents_are_counted_and_none_is_zero():
    taken = Acknowledgement(who="a", wall=NOW)
    found = shown(Metrics(), snapshot(incidents=(incident("critical"), incident("critical"), incident("warning", taken))))
    assert value(found, "netwatch_alerts", severity="critical", state="firing") == 2
    assert value(found, "netwatch_alerts", severity="warning", state="acknowledged") == 1
    assert value(found, "netwatch_alerts", severity="info", state="firing") == 0


def test_netwatch_tells_of_itself():
    own = {
        "schedule_lag_seconds": 0.25,
        "loop_lag_seconds": 0.001,
        "samples_dropped": 3,
        "database_bytes": 4096,
        "outbox_pending": 2,
        "inventory_ok": False,
        "reloaded_wall": NOW,
    }
    found = shown(Metrics(), snapshot(**own), notifications={("noc", "sent"): 4}, sse_clients=7, revision="abc")
    assert value(found, "netwatch_check_lag_seconds") == 0.25
    assert value(found, "netwatch_event_loop_lag_seconds") == 0.001
    assert value(found, "netwatch_samples_dropped_total") == 3
    assert value(found, "netwatch_db_bytes") == 4096
    assert value(found, "netwatch_outbox_pending") == 2
    assert value(found, "netwatch_config_last_reload_success") == 0
    assert value(found, "netwatch_config_last_reload_timestamp_seconds") == NOW
    assert value(found, "netwatch_notifications_total", channel="noc", outcome="sent") == 4
    assert value(found, "netwatch_sse_clients") == 7
    build = [dict(labels) for name, labels in found if name == "netwatch_build_info"]
    assert build[0]["version"] == "1.2"
    assert build[0]["revision"] == "abc"
    assert re.fullmatch(r"3\.\d+\.\d+.*", build[0]["python"])
    assert "process_cpu_seconds_total" in asyncio.run(text(Metrics()))


@given(st.text(max_size=300))
def test_a_device_cannot_break_the_text_by_what_it_calls_its_ports(instance):
    metrics = Metrics()
    metrics.observe(check("printer1", "snmp"), result(Sample("printer_supply_ratio", (0.5,), instance)))
    found = shown(metrics, snapshot(site_view(site="na-tau"), dataclasses.replace(site_view(), site=Site(id="x", name=instance))))
    supplies = [dict(labels)["supply"] for name, labels in found if name == "netwatch_printer_supply_ratio"]
    assert len(supplies) == 1
    assert len(supplies[0]) <= 100
    assert "\n" not in supplies[0]


def busy():
    """A fleet of 540 devices on 45 sites, about 11,000 series."""
    metrics = Metrics()
    samples = [Sample("printer_supply_ratio", (0.5,), f"supply {n}") for n in range(18)]
    for site in range(45):
        for device in range(12):
            metrics.observe(check(f"device{device}", "snmp", f"site-{site}"), result(*samples))
        metrics.observe(check("line1", "icmp", f"site-{site}"), result(Sample("icmp_rtt_seconds", (0.02,) * 5)))
    return metrics


def test_promtool_finds_nothing_to_complain_about():
    metrics = busy()
    metrics.observe(check(), result(*(Sample(name, (0.5,), "1" if KINDS[name].instance_label else "") for name in KINDS)))
    line = Line(id="line1", address="10.45.24.254", contract_down_bits_per_second=100e6)
    taken = snapshot(site_view(targets=(target_view(), target_view("line1", "line", "primary", line=line))), reloaded_wall=NOW)
    written = asyncio.run(metrics.render(taken, notifications={("noc", "sent"): 1}, sse_clients=1))
    checked = subprocess.run(["promtool", "check", "metrics"], input=written, capture_output=True, check=False, timeout=60)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_the_loop_goes_on_while_a_large_text_is_written():
    async def scenario():
        metrics = busy()
        turns = 0

        async def others():
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        async with asyncio.TaskGroup() as group:
            other = group.create_task(others())
            written = await metrics.render(snapshot())
            other.cancel()
        lines = written.count(b"\n")
        assert lines > 10_000
        assert turns > lines / 200

    asyncio.run(scenario())


def test_what_changes_while_the_text_is_written_does_not_break_it():
    async def scenario():
        metrics = busy()
        async with asyncio.TaskGroup() as group:
            rendering = group.create_task(metrics.render(snapshot()))
            for number in range(60):
                await asyncio.sleep(0)
                metrics.observe(check(f"new{number}", "snmp"), result(Sample("printer_supply_ratio", (0.5,), "x")))
                metrics.forget([check(f"device{number % 12}", "snmp", f"site-{number % 45}")])
        assert list(text_string_to_metric_families(rendering.result().decode()))

    asyncio.run(scenario())


def test_all_who_ask_at_once_get_one_text_and_too_many_are_sent_away():
    async def scenario():
        metrics = busy()
        taken = snapshot()
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(metrics.render(taken)) for _ in range(MOST_WAITING)]
            await asyncio.sleep(0)
            with pytest.raises(Overloaded):
                await metrics.render(taken)
        assert len({id(one.result()) for one in asked}) == 1
        assert await metrics.render(taken) is not asked[0].result()

    asyncio.run(scenario())


def test_a_scraper_that_goes_away_does_not_take_the_text_from_the_others():
    async def scenario():
        metrics = busy()
        async with asyncio.TaskGroup() as group:
            first = group.create_task(metrics.render(snapshot()))
            second = group.create_task(metrics.render(snapshot()))
            await asyncio.sleep(0)
            first.cancel()
        assert second.result().startswith(b"# HELP netwatch_build_info")
        assert first.cancelled()

    asyncio.run(scenario())
