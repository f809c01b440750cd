"""Ten thousand lines that never stay as they are, through the real schedule, decisions and pace of delivery, on a virtual clock.

2,500 sites with four lines each, of four carriers, in rings, districts and on feeders. Ten minutes all is calm, since so long is the
longest mean that is kept of a line, flapping or not. Then every line goes down and comes back again and again, each time for 5 to
15 s: some of it is long enough to be believed, much is not. What is not played is the measuring itself and the disk. Printed, one
JSON line each, of the storm alone: processor seconds for each virtual second, growth of memory in it and in its second half, pages a
minute that the decisions give and that one person gets by one pager, the longest a single event took, what a transaction writes of
the core itself.
"""

from __future__ import annotations

import argparse
import contextlib
import cProfile
import heapq
import itertools
import json
import pstats
import resource
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from netwatch import core
from netwatch._delivery_pace import Pace
from netwatch._delivery_rows import Channel, Job, Row
from netwatch.model import Check, Event, Inventory, Line, Outcome, Page, PagerSettings, Result, Rule, RunReason, Sample, Site, Tick
from netwatch.pagers import EventPager, build
from netwatch.scheduler import Schedule
from probes import Secret
from probes.icmp import Icmp

SITES, LINES, MINUTES, CALM_MINUTES = 2_500, 4, 4.0, 10.0
CARRIERS = ("vnpt", "viettel", "mobifone", "fpt")
SITES_A_RING, SITES_A_FEEDER, SITES_A_DISTRICT = 8, 20, 45
SHORTEST_SECONDS, LONGEST_SECONDS = 5.0, 15.0
WALL = 1_795_460_400.0
CORES_GOAL, GROWTH_GOAL = 1.0, 0.02
PAGES_A_MINUTE_GOAL = 20.0  # ten at once, then ten a minute: what a pager of people takes by default
RULES = (
    Rule(name="loss", metric="icmp_loss_ratio", crit=0.1, clear=0.08, window_seconds=300.0, audience="page"),
    Rule(name="slow", metric="icmp_rtt_seconds", warn=0.25, clear=0.2, window_seconds=600.0, audience="digest"),
)


def country(sites: int, lines: int, *, apart: bool = False) -> Inventory:
    """Sites with nothing but lines; `apart`, they have nothing in common."""
    probe = Icmp()
    places: dict[str, Site] = {}
    checks: dict[str, Check] = {}
    for number in range(sites):
        name = f"site-{number}"
        ring = f"ring-{number // SITES_A_RING}"
        ways = {
            f"line-{way}": Line(
                id=f"line-{way}",
                address="127.0.0.1",
                carrier=carrier,
                role="backup" if way else "primary",
                tags={} if apart else {"carrier": carrier, "ring": f"{ring}-{carrier}"},
            )
            for way, carrier in enumerate(itertools.islice(itertools.cycle(CARRIERS), lines))
        }
        tags = {} if apart else {"feeder": f"feeder-{number // SITES_A_FEEDER}"}
        district = "" if apart else f"district-{number // SITES_A_DISTRICT}"
        places[name] = Site(id=name, name=name.title(), district=district, lines=ways, tags=tags)
        for line in ways:
            check = _check(name, line, probe)
            checks[check.id] = check
    return Inventory(sites=places, checks=checks, primary_checks={(check.site, check.target): check.id for check in checks.values()})


def _check(site: str, line: str, probe: Icmp) -> Check:
    return Check(
        id=f"{site}/{line}/icmp",
        site=site,
        target=line,
        name="icmp",
        kind="icmp",
        probe=probe,
        address="127.0.0.1",
        interval_seconds=5.0,
        timeout_seconds=3.0,
        retry_seconds=1.0,
        hard_after_seconds=9.0,
        rules=RULES,
        fingerprint="1",
    )


@dataclass
class Weather:
    """When each line is up and down, drawn as time goes on; the same for the same seed."""

    seed: int
    calm_until: float = 0.0
    _lines: dict[str, tuple[Random, bool, float]] = field(default_factory=dict)  # up, until

    def is_up(self, line: str, at: float) -> bool:
        dice, is_up, until = self._lines.get(line) or (Random(f"{self.seed}/{line}"), False, self.calm_until)
        while until <= at:
            is_up, until = not is_up, until + dice.uniform(SHORTEST_SECONDS, LONGEST_SECONDS)
        self._lines[line] = dice, is_up, until
        return is_up or at < self.calm_until


@dataclass
class Person:
    """Reads one pager: what is sent to it, when, at the pace of delivery."""

    channel: Channel
    by_minute: Counter[int] = field(default_factory=Counter)

    @classmethod
    def with_pager(cls) -> Person:
        settings = PagerSettings(name="noc", kind="ntfy", options={"server": "http://127.0.0.1/", "topic": Secret("noc")})
        pager = build(settings)
        if not isinstance(pager, EventPager):
            raise TypeError(pager)
        return cls(Channel(settings, pager, Pace(pager.pages_per_minute)))

    def hand_over(self, page: Page, at: float) -> None:
        self.channel.enter(Job(row=Row(id=page.incident.id, page=page, since=at), page=page, opens=page.kind == "open"))

    def send_what_may_go(self, at: float) -> None:
        while (ready := self.channel.ready(at)) and (free := self.channel.pace.free(at)):
            jobs = self.channel.pick(sys.maxsize if ready > 1 and free == 1 else 1)
            if not jobs:
                return
            self.channel.pace.take(at)
            self.by_minute[int(at // 60)] += 1
            for job in jobs:
                self.channel.done(job)


@dataclass
class Storm:
    """Netwatch meanwhile."""

    inventory: Inventory
    seed: int
    calm_seconds: float = 0.0
    at: float = 0.0
    results: int = 0
    opened: int = 0
    pages: Counter[int] = field(default_factory=Counter)  # by minute
    slowest_seconds: float = 0.0

    def __post_init__(self) -> None:
        self.world = core.World(inventory=self.inventory, pagers=("noc",))
        self.person = Person.with_pager()
        self.weather = Weather(self.seed, self.calm_seconds)
        self._schedule = Schedule()
        self._schedule.update(self.inventory.checks.values(), 0.0)
        self._running: list[tuple[float, int, Result, str]] = []
        self._numbers = itertools.count()
        self._tick_at = 0.0

    def run_until(self, until: float) -> None:
        while True:
            moments = [self._tick_at, self._schedule.next_at(), self._running[0][0] if self._running else None]
            moment = min(one for one in moments if one is not None)
            if moment > until:
                return
            self.at = max(self.at, moment)
            while self._running and self._running[0][0] <= self.at:
                _, _, result, site = heapq.heappop(self._running)
                self._schedule.done(result.check, site)
                self.results += 1
                self._take(result)
            if self._tick_at <= self.at:
                self._tick_at += 1.0
                self._take(Tick(at=self.at, wall=WALL + self.at))
                self.person.send_what_may_go(self.at)
            for check, reason in self._schedule.due(self.at):
                self._start(check, reason)

    def _start(self, check: Check, reason: RunReason) -> None:
        count = 1 if reason in {"soft", "parent"} else 5
        is_up = self.weather.is_up(check.id, self.at)
        samples = (Sample("icmp_loss_ratio", (0.0,)), Sample("icmp_rtt_seconds", (0.02,) * count)) if is_up else ()
        result = Result(
            check=check.id,
            at=self.at,
            wall=WALL + self.at,
            duration_seconds=(count - 1) * 0.2 + (0.02 if is_up else 1.0),
            outcome=Outcome.OK if is_up else Outcome.FAILED,
            code="" if is_up else "timeout",
            samples=samples or (Sample("icmp_loss_ratio", (1.0,)),),
            reason=reason,
        )
        heapq.heappush(self._running, (self.at + result.duration_seconds, next(self._numbers), result, check.site))

    def _take(self, event: Event) -> None:
        began = time.perf_counter()
        effects = core.step(self.world, event)
        self.slowest_seconds = max(self.slowest_seconds, time.perf_counter() - began)
        self.pages[int(self.at // 60)] += len(effects.pages)
        for page in effects.pages:
            self.opened += page.kind == "open"
            self.person.hand_over(page, self.at)
        for request in effects.requests:
            self._schedule.request(request, self.at)


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def show(name: str, value: float, unit: str, goal: float | None = None) -> None:
    met = None if goal is None else value <= goal
    print(json.dumps({"name": f"storm.{name}", "value": round(value, 4), "unit": unit, "goal": goal, "ok": met}), flush=True)


def measure(storm: Storm, minutes: float) -> None:
    calm_until, seconds = storm.calm_seconds, minutes * 60
    storm.run_until(calm_until)
    in_the_calm, heard, began = resident_bytes(), storm.results, time.process_time()
    storm.run_until(calm_until + seconds / 2)
    half_time = resident_bytes()
    storm.run_until(calm_until + seconds)
    spent, at_the_end = time.process_time() - began, resident_bytes()
    show("lines", len(storm.inventory.checks), "lines")
    show("virtual", seconds, "seconds")
    show("results", (storm.results - heard) / seconds, "results/s")
    show("cores", spent / seconds, "cores", CORES_GOAL)
    show("longest_decision", storm.slowest_seconds, "seconds")
    show("memory", at_the_end / 1e6, "MB")
    show("memory_growth_since_the_calm", at_the_end / in_the_calm - 1, "ratio")
    show("memory_growth_since_half_time", at_the_end / half_time - 1, "ratio", GROWTH_GOAL)
    show("written_of_the_core", len(core.dump(storm.world, storm.at, WALL + storm.at)) / 1e3, "kB")
    show("threads_opened", storm.opened, "threads")
    show("open_at_the_end", len(storm.world.incidents), "incidents")
    show("most_pages_a_minute", max(storm.pages.values()), "pages")
    show("most_pages_a_minute_to_a_person", max(storm.person.by_minute.values(), default=0), "pages", PAGES_A_MINUTE_GOAL)


def main() -> None:
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--sites", type=int, default=SITES)
    reader.add_argument("--lines", type=int, default=LINES, help="of each site")
    reader.add_argument("--minutes", type=float, default=MINUTES, help="of the storm")
    reader.add_argument("--calm", type=float, default=CALM_MINUTES, help="minutes before it")
    reader.add_argument("--apart", action="store_true", help="no two lines have a tag in common")
    reader.add_argument("--seed", type=int, default=1)
    reader.add_argument("--profile", action="store_true", help="where the time goes, on top")
    asked = reader.parse_args()
    with cProfile.Profile() if asked.profile else contextlib.nullcontext() as profile:
        measure(Storm(country(asked.sites, asked.lines, apart=asked.apart), asked.seed, asked.calm * 60), asked.minutes)
    if profile is not None:
        pstats.Stats(profile).sort_stats("tottime").print_stats(30)


if __name__ == "__main__":
    main()
