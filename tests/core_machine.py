"""Netwatch without its daemon: the real schedule and decisions over made-up sites, an outbox and pagers that hear from it."""

import heapq
import itertools
from collections import defaultdict
from dataclasses import dataclass, field, replace

from netwatch import core, memory
from netwatch.model import Human, Outcome, Reloaded, Result, Tick
from netwatch.scheduler import Schedule
from tests.worlds import WALL, inventory

SITES = ("muong-nhe", "na-tau", "pu-nhi", "sin-thau")
LINES = ("line", "backup")
RING = ("na-tau", "pu-nhi")  # their lines named "line" share one
DEVICES = ("router", "switch")


def watched(sites, changed=()):
    made = inventory(*sites, lines=LINES, changed=changed)
    places = {}
    for site in made.sites.values():
        ring = {"line": replace(site.lines["line"], tags={"ring": "Tuần Giáo"})} if site.id in RING else {}
        places[site.id] = replace(site, lines={**site.lines, **ring})
    return replace(made, sites=places)


@dataclass
class Receiver:
    """What one pager has been told, in the order it was."""

    view: dict = field(default_factory=dict)  # open, by key: the incident's number
    heard: set = field(default_factory=set)  # page ids
    opened: dict = field(default_factory=lambda: defaultdict(int))
    ended: dict = field(default_factory=lambda: defaultdict(int))

    def take(self, page):
        key, number = page.incident.key, page.incident.id
        if page.id in self.heard:
            return
        self.heard.add(page.id)
        if page.kind == "recover":
            assert self.view.get(key) == number, f"{page.id}: the end of what was never told"
            del self.view[key]
            self.ended[number] += 1
        else:
            assert self.view.get(key, number) == number, f"{page.id}: two open incidents share a key"
            assert page.kind == "update" or key not in self.view, f"{page.id}: opened twice"
            self.opened[number] += key not in self.view
            self.view[key] = number


@dataclass
class Machine:
    world: core.World = field(default_factory=lambda: core.World(inventory=watched(SITES), pagers=("noc",)))
    at: float = 1_000.0
    ahead: float = 0.0  # the wall clock
    cut: set = field(default_factory=set)  # (site, line)
    off: set = field(default_factory=set)  # (site, device)
    outbox: list = field(default_factory=list)  # committed and not marked as sent
    written: set = field(default_factory=set)
    receivers: dict = field(default_factory=lambda: defaultdict(Receiver))

    def __post_init__(self):
        self._numbers = itertools.count()
        self._stored, self._remembered = {}, ""
        self._begin()
        self.reload(self.world.inventory, self.world.pagers)

    @property
    def wall(self):
        return WALL + self.at + self.ahead

    # --- out there

    def answers(self, check):
        site, target, _ = check.split("/")
        lines_up = any((site, line) not in self.cut for line in LINES)
        if target in LINES:
            return (site, target) not in self.cut
        behind = {"router": ("router",), "switch": DEVICES, "printer": DEVICES}[target]
        return lines_up and not any((site, device) in self.off for device in behind)

    def heal(self):
        self.cut.clear()
        self.off.clear()

    # --- netwatch

    def _begin(self):
        self.schedule, self.running, self.tick_at = Schedule(), [], self.at

    def pass_time(self, seconds):
        until = self.at + seconds
        while True:
            moments = [self.tick_at, self.schedule.next_at(), self.running[0][0] if self.running else None]
            moment = min(one for one in moments if one is not None)
            if moment > until:
                break
            self.at = max(self.at, moment)
            while self.running and self.running[0][0] <= self.at:
                result, site = heapq.heappop(self.running)[2:]
                self.schedule.done(result.check, site)
                self.take(result)
            if self.tick_at <= self.at:
                self.tick_at += 1.0
                self.take(Tick(at=self.at, wall=self.wall))
            for check, reason in self.schedule.due(self.at):
                self._run(check, reason)
        self.at = until

    def _run(self, check, reason):
        good = self.answers(check.id)
        result = Result(
            check=check.id,
            at=self.at,
            wall=self.wall,
            duration_seconds=0.05 if good else 0.9,
            outcome=Outcome.OK if good else Outcome.FAILED,
            code="" if good else "timeout",
            generation=self.world.generation,
            reason=reason,
        )
        heapq.heappush(self.running, (self.at + result.duration_seconds, next(self._numbers), result, check.site))

    def take(self, event):
        effects = core.step(self.world, event)
        for request in effects.requests:
            self.schedule.request(request, self.at)
        if effects:
            self._commit(effects)

    def _commit(self, effects):
        for page in effects.pages:
            assert page.id not in self.written, f"{page.id}: two pages with one key against duplicates"
            self.written.add(page.id)
        self.outbox += effects.pages
        for check in {transition.subject.check for transition in effects.transitions}:
            if check in self.world.memories:
                self._stored[check] = memory.dump(self.world.memories[check], self.at, self.wall)
        self._remembered = core.dump(self.world, self.at, self.wall)

    def ask(self, action, **said):
        self.take(Human(at=self.at, wall=self.wall, action=action, who="An", via="cli", **said))

    def reload(self, new, pagers):
        self.schedule.update(new.checks.values(), self.at)
        self._stored = {check: text for check, text in self._stored.items() if check in new.checks}
        self.take(Reloaded(at=self.at, wall=self.wall, generation=self.world.generation + 1, new=new, pagers=pagers))

    def kill(self, away=0.0, clock=0.0):
        """kill -9 and a start: what was committed is known, and nothing else."""
        before, inventory_now, pagers = self.world, self.world.inventory, self.world.pagers
        self.at, self.ahead = self.at + away, self.ahead + clock
        self.world = core.World(inventory=inventory_now, pagers=pagers)
        known = {check: memory.load(text, self.at, self.wall) for check, text in self._stored.items()}
        incidents = (*before.incidents.values(), *before.closed)
        core.restore(self.world, known, incidents, before.next_incident_id, remembered=self._remembered, at=self.at, wall=self.wall)
        self._begin()
        self.reload(inventory_now, pagers)

    # --- delivery

    def deliver(self, lane, *, marked=True):
        """The oldest page of one of the lanes that wait; `marked` is False when we are killed before that is on the disk."""
        lanes = list(dict.fromkeys((page.pager, page.incident.key) for page in self.outbox))
        if not lanes:
            return
        chosen = lanes[lane % len(lanes)]
        page = next(page for page in self.outbox if (page.pager, page.incident.key) == chosen)
        self.receivers[page.pager].take(page)
        if marked:
            self.outbox.remove(page)

    def drain(self):
        while self.outbox:
            self.deliver(0)
