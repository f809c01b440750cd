"""A scenario on a virtual clock, through the real scheduler's rules and the real core: a day in seconds. Pure.

What a probe would have measured is read off the lab's world; everything after that is netwatch itself, up to the moment
when a page is handed to its pager.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from random import Random

from netwatch import core, memory
from netwatch.lab.faults import Fault, Scenario
from netwatch.lab.measure import Measured, measure
from netwatch.lab.stage import hastened
from netwatch.lab.verdict import Record, Report, Story, judge
from netwatch.lab.world import WorldModel
from netwatch.model import Check, Effects, Event, Human, Incident, Inventory, Outcome, Page, Reloaded, Result, RunReason, Tick
from netwatch.scheduler import Schedule

__all__ = ["START_WALL", "Simulation", "narrow"]

START_WALL = 1_795_460_400.0  # 2026-11-24 02:00 in Điện Biên
TICK_SECONDS = 1.0
ERROR_SECONDS = 0.001


@dataclass
class Simulation:
    """One scenario over one inventory. The same both give the same pages, at the same times."""

    scenario: Scenario
    inventory: Inventory
    pager: str = "simulated"
    at: float = 0.0
    runs: int = 0
    transitions: int = 0
    records: list[Record] = field(default_factory=list)
    listen: Callable[[Result], None] | None = None  # told every result before it is judged

    def __post_init__(self) -> None:
        self.inventory = hastened(self.inventory, 0, self.scenario.haste_seconds)
        self._out_there = WorldModel(self.scenario, self.inventory)
        self._world = core.World(inventory=self.inventory, pagers=(self.pager,))
        self._schedule = Schedule()
        self._schedule.update(self.inventory.checks.values(), 0.0)
        self._ending: list[tuple[float, int, Result]] = []
        self._numbers = itertools.count()
        self._dice: dict[str, Random] = {}  # one a check: what happens to one changes nothing for another
        self._may_be_killed = any(fault.kind == "kill" for fault in self.scenario.faults)  # else nobody reads what is stored
        self._stored: dict[str, str] = {}
        self._remembered = ""
        self._versions: dict[int, list[tuple[float, Incident]]] = {}
        self._clock_ahead_seconds = 0.0
        self._own_error = ""
        self._pager_dead = False

    @property
    def world(self) -> core.World:
        """What netwatch believes now."""
        return self._world

    @property
    def wall(self) -> float:
        """What the clock on netwatch's wall says, rightly or not."""
        return START_WALL + self.at + self._clock_ahead_seconds

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
                self._take(Tick(at=self.at, wall=self.wall))
                tick_at = next(ticks)
            for check, reason in self._schedule.due(self.at):
                self._start(check, reason)
        return judge(self.scenario, self.records, self._stories(), self.transitions, self.runs)

    def _ticks(self) -> Iterator[float]:
        return (number * TICK_SECONDS for number in itertools.count())

    def _start(self, check: Check, reason: RunReason) -> None:
        self.runs += 1
        dice = self._dice.get(check.id)
        if dice is None:
            dice = self._dice[check.id] = Random(f"{self.scenario.seed}/{check.id}")
        if self._own_error:
            measured = Measured(Outcome.ERROR, ERROR_SECONDS, self._own_error)
        else:
            measured = measure(check, self._out_there, reason, dice.random)
        result = Result(
            check=check.id,
            at=self.at,
            wall=self.wall,
            duration_seconds=measured.duration_seconds,
            outcome=measured.outcome,
            code=measured.code,
            samples=measured.samples,
            generation=self._world.generation,
            reason=reason,
        )
        heapq.heappush(self._ending, (self.at + result.duration_seconds, next(self._numbers), result))

    def _end(self, result: Result) -> None:
        check = self._world.inventory.checks[result.check]
        self._schedule.done(check.id, check.site)
        if self.listen is not None:
            self.listen(result)
        self._take(result)

    def _take(self, event: Event) -> None:
        effects: Effects = core.step(self._world, event)
        self.transitions += len(effects.transitions)
        for incident in effects.incidents:
            self._versions.setdefault(incident.id, []).append((self.at, incident))
        self.records += [Record(at=self.at, page=page, delivered_at=None if self._pager_dead else self.at) for page in effects.pages]
        if self._may_be_killed:
            changed = core.to_store(self._world, event, effects)
            self._stored |= {check: memory.dump(self._world.memories[check], self.at, self.wall) for check in changed}
            if effects:
                self._remembered = core.dump(self._world, self.at, self.wall)
        for request in effects.requests:
            self._schedule.request(request, self.at)

    def _act_on(self, fault: Fault) -> None:
        """What strikes netwatch itself, or the people around it."""
        match fault.kind:
            case "kill" | "reload":
                if fault.kind == "kill":
                    self._start_again()
                self._schedule.update(self.inventory.checks.values(), self.at)
                generation = self._world.generation + 1
                self._take(Reloaded(at=self.at, wall=self.wall, generation=generation, new=self.inventory))
            case "human":
                self._take(self._human(fault))
            case "clock":
                self._clock_ahead_seconds += fault.number("forward") - fault.number("back")
            case "errors_of_ours":
                self._own_error = fault.word("code", "EMFILE") if fault.word("state") == "on" else ""
            case "pager":
                self._pager_dead = fault.word("state") == "dead"
                if not self._pager_dead:
                    self.records = [one if one.delivered_at is not None else replace(one, delivered_at=self.at) for one in self.records]
            case _:
                pass  # it happened out there

    def _start_again(self) -> None:
        """As after kill -9: only what was stored is known, and no run is under way."""
        before = self._world
        self._world = core.World(inventory=self.inventory, pagers=(self.pager,))
        remembered = {check: memory.load(text, self.at, self.wall) for check, text in self._stored.items()}
        core.restore(
            self._world,
            remembered,
            (*before.incidents.values(), *before.closed),
            before.next_incident_id,
            remembered=self._remembered,
            at=self.at,
            wall=self.wall,
        )
        self._ending.clear()
        self._schedule = Schedule()

    def _human(self, fault: Fault) -> Human:
        """An acknowledgement or a note is about the newest open incident, of a site if one is named."""
        site, lasts = fault.where.site, fault.number("lasts")
        about = [incident.id for incident in self._world.incidents.values() if not site or site in incident.sites]
        matcher = fault.word("matcher")
        return Human(
            at=self.at,
            wall=self.wall,
            action=fault.word("action"),  # type: ignore[arg-type]  # the reader lets only these words through
            who=fault.word("who"),
            incident=0 if matcher else max(about, default=0),
            matcher=matcher,
            note=fault.word("note"),
            until=self.wall + lasts if lasts else None,
            via="scenario",
        )

    def _stories(self) -> list[Story]:
        told: dict[int, list[tuple[float, Page]]] = {}
        for record in self.records:
            if not record.page.about:  # a digest tells of many
                told.setdefault(record.page.incident.id, []).append((record.at, record.page))
        return [Story(versions=tuple(versions), pages=tuple(told.get(number, ()))) for number, versions in self._versions.items()]


def narrow(inventory: Inventory, scenario: Scenario) -> Inventory:
    """The part of an inventory a scenario is about; anchors stay, since without them netwatch could not tell its own blindness."""
    if not scenario.sites and not scenario.only_lines:
        return inventory
    sites = {name: site for name, site in inventory.sites.items() if not scenario.sites or name in scenario.sites}
    anchors = tuple(anchor for anchor in inventory.anchors if anchor.own or inventory.checks[anchor.check].site in sites)
    asked = {anchor.check for anchor in anchors}
    sites |= {name: site for name, site in inventory.sites.items() if any(inventory.checks[check].site == name for check in asked)}
    checks = {
        name: check
        for name, check in inventory.checks.items()
        if name in asked or (check.site in sites and (not scenario.only_lines or check.target in sites[check.site].lines))
    }
    primary = {target: check for target, check in inventory.primary_checks.items() if check in checks}
    return replace(inventory, sites=sites, checks=checks, primary_checks=primary, anchors=anchors)
