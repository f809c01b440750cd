"""What a probe would have measured, read off the lab's world. Pure: chance comes in as an argument."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from netwatch.lab.faults import DeviceState
from netwatch.lab.world import WorldModel
from netwatch.model import Check, Outcome, RunReason, Sample

__all__ = ["Measured", "measure"]

SPACING_SECONDS = 0.2
ECHO_WAIT_SECONDS = 1.0
ANSWER_SECONDS = 0.05
TRIES = 2  # snmp asks twice, TCP sends its SYN again


class Measured(NamedTuple):
    """What of a result is not known beforehand."""

    outcome: Outcome
    duration_seconds: float
    code: str = ""
    samples: tuple[Sample, ...] = ()


def measure(check: Check, world: WorldModel, reason: RunReason, chance: Callable[[], float]) -> Measured:
    """`chance` is asked only where luck decides: it gives numbers from 0 up to 1."""
    reach = world.reachable(check.site, check.target)
    loss_ratio = reach.loss_ratio if reach.up else 1.0
    if check.kind == "icmp":
        count = 1 if reason in {"soft", "parent"} else int(getattr(check.probe, "count", 5))
        return _echoes(count, loss_ratio, reach.delay_seconds, chance)
    if _all_lost(TRIES, loss_ratio, chance):
        return Measured(Outcome.FAILED, check.timeout_seconds, "timeout")
    site = world.inventory.sites.get(check.site)
    device = world.device(check.site, check.target) if site is not None and check.target in site.devices else None
    duration = ANSWER_SECONDS + reach.delay_seconds
    if device is None:
        return Measured(Outcome.OK, duration)
    if check.name in device.services_dead:
        return Measured(Outcome.FAILED, duration, "refused")
    return Measured(Outcome.OK, duration, samples=tuple(_samples(check, device, world.now)))


def _received(sent: int, loss_ratio: float, chance: Callable[[], float]) -> int:
    if loss_ratio <= 0:
        return sent
    return 0 if loss_ratio >= 1 else sum([chance() >= loss_ratio for _ in range(sent)])


def _all_lost(sent: int, loss_ratio: float, chance: Callable[[], float]) -> bool:
    return not _received(sent, loss_ratio, chance)


def _echoes(count: int, loss_ratio: float, rtt_seconds: float, chance: Callable[[], float]) -> Measured:
    """A train of echoes, or one while somebody waits for it, as the icmp probe sends them."""
    received = _received(count, loss_ratio, chance)
    duration = (count - 1) * SPACING_SECONDS + (ECHO_WAIT_SECONDS if received < count else rtt_seconds)
    samples = (
        Sample("icmp_rtt_seconds", (rtt_seconds,) * received),
        Sample("icmp_loss_ratio", (1 - received / count,)),
    )
    return Measured(Outcome.OK, duration, "", samples) if received else Measured(Outcome.FAILED, duration, "timeout", samples)


def _samples(check: Check, device: DeviceState, now: float) -> Iterator[Sample]:
    """What the rules of a check would read on this device; a metric nobody set is far on the good side."""
    told = {
        ("ups_on_battery", ""): float(device.on_battery),
        ("ups_battery_low", ""): float(device.battery_low(now)),
        ("ups_charge_ratio", ""): device.charge_ratio(now),
        ("ups_runtime_seconds", ""): device.battery_seconds_left(now),
        ("printer_paper_empty", ""): float(not device.paper),
        ("printer_error", "no_paper"): float(not device.paper),
        ("printer_error", "no_toner"): float(device.toner_ratio <= 0),
        ("printer_supply_ratio", ""): device.toner_ratio,
        ("poly_registered", ""): float(device.registered),
        ("h323_registered", ""): float(device.registered),
        ("sip_refusing", ""): float(not device.takes_calls),
        ("pexip_licence_ratio", "port"): device.licences_ratio,
    }
    for rule in check.rules:
        given = {instance: value for (metric, instance), value in device.metrics.items() if metric == rule.metric}
        if not given:
            instance = "" if "*" in rule.instance else rule.instance
            given = {instance: told.get((rule.metric, instance), 0.0 if rule.compare == "above" else 1e9)}
        for instance, value in given.items():
            yield Sample(rule.metric, (value,), instance)
