"""/metrics at 11,000 series: how long nothing else can run on the event loop while it is rendered.

A watcher on the same loop wakes as often as it can; the longest time between two of its turns is the stall. (Its p99 is of all
turns, of which there are many more while others work in a thread.) The peer is
prometheus_client's own way, `generate_latest` over a registry of as many series in an executor: the loop is free, but for the
interpreter lock. `idle` is the same watcher with nothing to disturb it: what this machine does to anybody at that moment.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import statistics
import time
from collections.abc import Awaitable, Callable

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from netwatch.metrics import Metrics
from netwatch.model import Check, Device, Line, Outcome, Result, Sample, Site, State
from netwatch.snapshot import SelfView, SiteView, Snapshot, TargetView
from probes.icmp import Icmp
from probes.snmp import Snmp

SERIES = 11_000
SITES, DEVICES = 45, 15
ROUNDS = 40
GOAL_SECONDS = 0.010


def check(site: str, target: str, probe: Icmp | Snmp, kind: str) -> Check:
    return Check(
        id=f"{site}/{target}/{kind}",
        site=site,
        target=target,
        name=kind,
        kind=kind,
        probe=probe,
        address="127.0.0.1",
        interval_seconds=60,
        timeout_seconds=5,
        retry_seconds=1,
    )


def target(site: str, device: Device | Line) -> TargetView:
    return TargetView(
        site=site,
        id=device.id,
        kind="line" if isinstance(device, Line) else "device",
        role=device.role,
        profile="switch",
        label="",
        address=device.address,
        up=True,
        state=State.OK,
        since=0.0,
        detail="",
        checks=(),
        problems=(),
        line=device if isinstance(device, Line) else None,
    )


def province() -> Snapshot:
    views = []
    for number in range(SITES):
        slug = f"site-{number}"
        ways = [Line(id="main", address="127.0.0.1", contract_down_bits_per_second=1e8, contract_up_bits_per_second=1e8)]
        devices = [Device(id=f"device{one}", address="127.0.0.1", profile="switch", role="switch") for one in range(DEVICES)]
        targets = tuple(target(slug, one) for one in (*ways, *devices))
        place = Site(id=slug, name=f"Nà Tấu {number}", district="Mường Ảng", latitude=21.5, longitude=103.1)
        views.append(SiteView(site=place, up=True, state=State.OK, since=0.0, detail="", rtt_seconds=0.01, loss_ratio=0.0, targets=targets))
    return Snapshot(wall=0.0, revision=1, sites=tuple(views), incidents=(), closed=(), self_view=SelfView(version="bench"))


def filled(ports: int) -> Metrics:
    """Lines with their histograms, and devices with so many ports each."""
    metrics, icmp, snmp = Metrics(), Icmp(), Snmp(profile="switch")
    ran = Result(check="", at=0, wall=0, duration_seconds=0.2, outcome=Outcome.OK)
    train = tuple(Sample(name, (0.0123456,) * 5) for name in icmp.metrics())
    polled = tuple(
        Sample(name, (0.123456789,), f"port{port}" if metric.instance_label else "")
        for name, metric in snmp.metrics().items()
        for port in range(ports if metric.instance_label else 1)
    )
    for number in range(SITES):
        metrics.observe(check(f"site-{number}", "main", icmp, "icmp"), dataclasses.replace(ran, samples=train))
        for device in range(DEVICES):
            metrics.observe(check(f"site-{number}", f"device{device}", snmp, "snmp"), dataclasses.replace(ran, samples=polled))
    return metrics


def peer(series: int) -> CollectorRegistry:
    registry = CollectorRegistry()
    gauges = [Gauge(f"netwatch_interface_{number}", "A port.", ["site", "device", "interface"], registry=registry) for number in range(10)]
    for number in range(series):
        place = number // 10
        gauges[number % 10].labels(f"site-{place % SITES}", f"device{place // SITES % DEVICES}", f"port{place}").set(0.123456789)
    return registry


async def gaps(render: Callable[[], Awaitable[object]]) -> tuple[list[float], float]:
    """The times between two turns of a watcher while the text is rendered, and how long that took."""
    found: list[float] = []
    done = asyncio.Event()

    async def watch() -> None:
        before = time.perf_counter()
        while not done.is_set():
            await asyncio.sleep(0)
            found.append(time.perf_counter() - before)
            before = time.perf_counter()

    async with asyncio.TaskGroup() as group:
        group.create_task(watch())
        await asyncio.sleep(0.01)
        began = time.perf_counter()
        await render()
        took = time.perf_counter() - began
        done.set()
    return found, took


def show(name: str, value: float, unit: str, goal: float | None = None) -> None:
    told = {"name": name, "value": round(value, 6), "unit": unit, "goal": goal, "ok": None if goal is None else value <= goal}
    print(json.dumps(told, ensure_ascii=False), flush=True)


async def main() -> None:
    taken = province()
    metrics, ports = Metrics(), 0
    while (series := await lines(metrics, taken)) < SERIES:
        ports += 1
        metrics = filled(ports)
    registry = peer(series)
    loop = asyncio.get_running_loop()
    ways: dict[str, Callable[[], Awaitable[object]]] = {
        "netwatch": lambda: metrics.render(taken),
        "generate_latest in an executor": lambda: loop.run_in_executor(None, generate_latest, registry),
        "idle": lambda: asyncio.sleep(0.05),
    }
    stalls: dict[str, list[float]] = {name: [] for name in ways}
    everything: dict[str, list[float]] = {name: [] for name in ways}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, render in ways.items():
            found, took = await gaps(render)
            stalls[name].append(max(found))
            everything[name] += found
            times[name].append(took)
    show("/metrics: series", series, "series")
    for name in ways:
        goal = GOAL_SECONDS if name == "netwatch" else None
        show(f"/metrics: stall of the event loop, p99, {name}", statistics.quantiles(everything[name], n=100)[98], "s", goal)
        show(f"/metrics: longest stall of a rendering, median of {ROUNDS}, {name}", statistics.median(stalls[name]), "s", goal)
        show(f"/metrics: longest stall of all {ROUNDS} renderings, {name}", max(stalls[name]), "s", goal)
        if name != "idle":
            show(f"/metrics: time to render, median, {name}", statistics.median(times[name]), "s")


async def lines(metrics: Metrics, taken: Snapshot) -> int:
    return sum(not line.startswith(b"#") for line in (await metrics.render(taken)).splitlines())


if __name__ == "__main__":
    asyncio.run(main())
