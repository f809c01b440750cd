"""A scenario on a virtual clock, through the real scheduler's rules and the real core: a day in seconds. Pure.

What a probe would have measured is read off the lab's world; everything after that is netwatch itself.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from random import Random

from netwatch import core, memory
from netwatch.lab.faults import DeviceState, ExpectedPage, Fault, Scenario
from netwatch.lab.stage import hastened
from netwatch.lab.world import WorldModel
from netwatch.model import Check, Effects, Event, Inventory, Outcome, Page, Reloaded, Result, RunReason, Sample, Tick
from netwatch.scheduler import Schedule

__all__ = ["START_WALL", "Report", "Simulation", "judge", "narrow"]

START_WALL = 1_795_460_400.0  # 2026-11-24 02:00 in Điện Biên
TICK_SECONDS = 1.0
SPACING_SECONDS = 0.2
ECHO_WAIT_SECONDS = 1.0
ANSWER_SECONDS = 0.05
TRIES = 2  # snmp asks twice, TCP sends its SYN again


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a simulation gave. Times are seconds from its start."""

    name: str
    pages: tuple[tuple[float, Page], ...]
    transitions: int
    runs: int
    missing: tuple[ExpectedPage, ...] = ()
    unexpected: tuple[tuple[float, Page], ...] = ()

    @property
    def as_expected(self) -> bool:
        return not self.missing and not self.unexpected


@dataclass
class Simulation:
    """One scenario over one inventory. The same both give the same pages, at the same times."""

    scenario: Scenario
    inventory: Inventory
    pager: str = "simulated"
    at: float = 0.0
    runs: int = 0
    transitions: int = 0
    pages: list[tuple[float, Page]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.inventory = hastened(self.inventory, 0, self.scenario.haste_seconds)
        self._out_there = WorldModel(self.scenario, self.inventory)
        self._world = core.World(inventory=self.inventory, pagers=(self.pager,))
        self._schedule = Schedule()
        self._schedule.update(self.inventory.checks.values(), 0.0)
        self._ending: list[tuple[float, int, Result]] = []
        self._numbers = itertools.count()
        self._stored: dict[str, str] = {}

    @property
    def world(self) -> core.World:
        """What netwatch believes now."""
        return self._world

    def run(self) -> Report:
        """Plays the scenario to its end."""
        ticks = self._ticks()
        tick_at = next(ticks)
        while True:
            moments = [tick_at, self._schedule.next_at(), self._ending[0][0] if self._ending else None, self._out_there.next_change()]
            self.at = max(self.at, min(moment for moment in moments if moment is not None))
            if self.at > self.scenario.duration_seconds:
                break
            for fault in self._out_there.advance(self.at):
                self._act_on(fault)
            while self._ending and self._ending[0][0] <= self.at:
                self._end(heapq.heappop(self._ending)[2])
            if tick_at <= self.at:
                self._take(Tick(at=self.at, wall=START_WALL + self.at))
                tick_at = next(ticks)
            for check, reason in self._schedule.due(self.at):
                self._start(check, reason)
        return judge(self.scenario, tuple(self.pages), self.transitions, self.runs)

    def _ticks(self) -> Iterator[float]:
        return (number * TICK_SECONDS for number in itertools.count())

    def _start(self, check: Check, reason: RunReason) -> None:
        self.runs += 1
        chance = Random(f"{self.scenario.seed}/{check.id}/{self.runs}")
        result = self._measure(check, reason, chance.random)
        heapq.heappush(self._ending, (self.at + result.duration_seconds, next(self._numbers), result))

    def _end(self, result: Result) -> None:
        check = self._world.inventory.checks[result.check]
        self._schedule.done(check.id, check.site)
        self._take(result)

    def _take(self, event: Event) -> None:
        effects: Effects = core.step(self._world, event)
        self.transitions += len(effects.transitions)
        self.pages += [(self.at, page) for page in effects.pages]
        for check in {transition.subject.check for transition in effects.transitions}:
            self._stored[check] = memory.dump(self._world.memories[check], self.at, START_WALL + self.at)
        for request in effects.requests:
            self._schedule.request(request, self.at)

    def _act_on(self, fault: Fault) -> None:
        """What strikes netwatch itself: it is killed and starts again from what it stored, or reads its inventory again."""
        if fault.kind == "kill":
            before, wall = self._world, START_WALL + self.at
            self._world = core.World(inventory=self.inventory, pagers=(self.pager,))
            remembered = {check: memory.load(text, self.at, wall) for check, text in self._stored.items()}
            core.restore(self._world, remembered, (*before.incidents.values(), *before.closed), before.next_incident_id)
            self._ending.clear()
            self._schedule = Schedule()
        if fault.kind in {"kill", "reload"}:
            self._schedule.update(self.inventory.checks.values(), self.at)
            generation = self._world.generation + 1
            self._take(Reloaded(at=self.at, wall=START_WALL + self.at, generation=generation, new=self.inventory))

    def _measure(self, check: Check, reason: RunReason, chance: Callable[[], float]) -> Result:
        reach = self._out_there.reachable(check.site, check.target)
        blank = Result(
            check=check.id,
            at=self.at,
            wall=START_WALL + self.at,
            duration_seconds=ANSWER_SECONDS + reach.delay_seconds,
            outcome=Outcome.OK,
            generation=self._world.generation,
            reason=reason,
        )
        if check.kind == "icmp":
            return _echoes(check, blank, reach.loss_ratio if reach.up else 1.0, reach.delay_seconds, chance)
        if not reach.up or all(chance() < reach.loss_ratio for _ in range(TRIES)):
            return replace(blank, outcome=Outcome.FAILED, code="timeout", duration_seconds=check.timeout_seconds)
        device = self._out_there.device(check.site, check.target) if check.target in self.inventory.sites[check.site].devices else None
        return replace(blank, samples=tuple(_samples(check, device, self.at)) if device else ())


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
        ("ups_on_battery", ""): float(device.on_battery),
        ("ups_battery_low", ""): float(device.battery_low(now)),
        ("ups_charge_ratio", ""): device.charge_ratio(now),
        ("ups_runtime_seconds", ""): device.battery_seconds_left(now),
        ("printer_paper_empty", ""): float(not device.paper),
        ("printer_error", "no_paper"): float(not device.paper),
        ("printer_error", "no_toner"): float(device.toner_ratio <= 0),
        ("printer_supply_ratio", ""): device.toner_ratio,
    }
    for rule in check.rules:
        given = {instance: value for (metric, instance), value in device.metrics.items() if metric == rule.metric}
        if not given:
            instance = "" if "*" in rule.instance else rule.instance
            given = {instance: told.get((rule.metric, instance), 0.0 if rule.compare == "above" else 1e9)}
        for instance, value in given.items():
            yield Sample(rule.metric, (value,), instance)


def judge(scenario: Scenario, pages: tuple[tuple[float, Page], ...], transitions: int, runs: int) -> Report:
    """Holds the pages against what the scenario expects: each expectation is met by one incident, in time."""
    if scenario.expect is None:
        return Report(name=scenario.name, pages=pages, transitions=transitions, runs=runs)
    missing = []
    left = [(at, page) for at, page in pages if page.kind == "open"]
    for expected in scenario.expect.pages:
        found = next((entry for entry in left if _meets(expected, *entry, pages)), None)
        if found is None:
            missing.append(expected)
        else:
            left.remove(found)
    unexpected = tuple(left) if scenario.expect.none_else else ()
    return Report(name=scenario.name, pages=pages, transitions=transitions, runs=runs, missing=tuple(missing), unexpected=unexpected)


def _meets(expected: ExpectedPage, at: float, page: Page, pages: tuple[tuple[float, Page], ...]) -> bool:
    incident = page.incident
    if incident.cause != expected.cause or set(incident.sites) != set(expected.sites) or at > expected.open_before_seconds:
        return False
    if expected.recover_before_seconds is None:
        return True
    recovered = [when for when, other in pages if other.kind == "recover" and other.incident.id == incident.id]
    return bool(recovered) and recovered[0] <= expected.recover_before_seconds


def narrow(inventory: Inventory, sites: tuple[str, ...]) -> Inventory:
    """The part of an inventory a scenario is about; all of it when no site is named."""
    if not sites:
        return inventory
    return replace(
        inventory,
        sites={site: place for site, place in inventory.sites.items() if site in sites},
        checks={check_id: check for check_id, check in inventory.checks.items() if check.site in sites},
        primary_checks={key: check for key, check in inventory.primary_checks.items() if key[0] in sites},
    )
