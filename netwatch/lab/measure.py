"""What a probe would have measured, read off the lab's world. Pure: chance comes in as an argument."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from random import Random

from netwatch.lab.faults import DeviceState
from netwatch.lab.world import WorldModel
from netwatch.model import Check, Outcome, Result, Sample

__all__ = ["measure"]

SPACING_SECONDS = 0.2
ECHO_WAIT_SECONDS = 1.0
ANSWER_SECONDS = 0.05
TRIES = 2  # snmp asks twice, TCP sends its SYN again


def measure(check: Check, blank: Result, world: WorldModel, seed: str) -> Result:
    """`blank` is the result with its times and its reason; the same seed gives the same luck."""
    reach = world.reachable(check.site, check.target)
    chance = Random(seed).random if 0 < reach.loss_ratio < 1 and reach.up else partial(float, reach.loss_ratio < 1)
    if check.kind == "icmp":
        return _echoes(check, blank, reach.loss_ratio if reach.up else 1.0, reach.delay_seconds, chance)
    if not reach.up or all(chance() < reach.loss_ratio for _ in range(TRIES)):
        return replace(blank, outcome=Outcome.FAILED, code="timeout", duration_seconds=check.timeout_seconds)
    site = world.inventory.sites.get(check.site)
    device = world.device(check.site, check.target) if site is not None and check.target in site.devices else None
    if device is not None and check.name in device.services_dead:
        return replace(blank, outcome=Outcome.FAILED, code="refused", duration_seconds=ANSWER_SECONDS + reach.delay_seconds)
    samples = tuple(_samples(check, device, blank.at)) if device else ()
    return replace(blank, samples=samples, duration_seconds=ANSWER_SECONDS + reach.delay_seconds)


def _echoes(check: Check, blank: Result, loss_ratio: float, rtt_seconds: float, chance: Callable[[], float]) -> Result:
    """A train of echoes, or one while somebody waits for it, as the icmp probe sends them."""
    count = 1 if blank.reason in {"soft", "parent"} else int(getattr(check.probe, "count", 5))
    received = sum(chance() >= loss_ratio for _ in range(count))
    lost = received < count
    duration = (count - 1) * SPACING_SECONDS + (ECHO_WAIT_SECONDS if lost else rtt_seconds)
    samples = (
        Sample("icmp_rtt_seconds", (rtt_seconds,) * received),
        Sample("icmp_loss_ratio", (1 - received / count,)),
    )
    outcome = Outcome.OK if received else Outcome.FAILED
    return replace(blank, outcome=outcome, code="" if received else "timeout", duration_seconds=duration, samples=samples)


def _samples(check: Check, device: DeviceState, now: float) -> Iterator[Sample]:
    """What the rules of a check would read on this device; a metric nobody set is far on the good side."""
    told = {
        "ups_on_battery": float(device.on_battery),
        "ups_charge_ratio": device.charge_ratio(now),
        "ups_runtime_seconds": device.battery_seconds_left(now),
        "printer_paper_empty": float(not device.paper),
        "printer_supply_ratio": device.toner_ratio,
    }
    for rule in check.rules:
        given = {instance: value for (metric, instance), value in device.metrics.items() if metric == rule.metric}
        if not given:
            given = {"": told.get(rule.metric, 0.0 if rule.compare == "above" else 1e9)}
        for instance, value in given.items():
            yield Sample(rule.metric, (value,), instance)
