"""One world that a tape is played to: the real decisions, on the recorded clock."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from netwatch import core, state
from netwatch.memory import ANSWERS, NOTHING, Memory, SubjectMemory
from netwatch.model import Belief, Effects, Event, Human, Incident, Inventory, Page, Reloaded, Result, RunReason, Tick, Transition
from netwatch.replay._tape import Believed, Did, Entry, Fell, Ran, Tape
from netwatch.route import named_pagers

__all__ = ["Player", "told_pagers"]

STATE_PAGERS = frozenset({"alertmanager"})
NOBODY = ("replay",)
FINE = 1024.0  # moments on a grid of binary fractions: what was a whole number of seconds apart still is
LIVELY_SECONDS = 120.0
LATER_SECONDS = 900.0
STEP_LATER, STEP_OPEN, STEP_IDLE = 5.0, 20.0, 60.0
RECHECK_SHARE = 0.9  # of the interval: what comes sooner after a failure was asked for
NEVER_ABSENT = -(10**9)  # a belief that was taken over is not forgotten because a run has no sample of it


def told_pagers(inventory: Inventory) -> tuple[str, ...]:
    """The pagers that pages go to first; a made-up one where there are none."""
    events = {name: one for name, one in inventory.pagers.items() if one.kind not in STATE_PAGERS}
    stand_ins = {str(one.options.get("fallback", "")) for one in events.values()}
    named = named_pagers(inventory)
    return tuple(name for name in events if name not in stand_ins or name in named) or tuple(events) or NOBODY


@dataclass
class Player:
    """Plays one tape by one inventory; the same both give the same pages."""

    inventory: Inventory
    tape: Tape
    pages: list[tuple[float, Page]] = field(default_factory=list)  # with the wall time
    incidents: dict[int, Incident] = field(default_factory=dict)  # as they were last
    transitions: int = 0

    def __post_init__(self) -> None:
        self._world = core.World(inventory=self.inventory, pagers=told_pagers(self.inventory))
        self._tick_at = 0.0
        self._stirred_at = 0.0
        self._windows: dict[int, int] = {}  # as numbered here, by the number they had
        self._numbers = {one.id: one for one in self.tape.recorded}

    def run(self) -> None:
        core.restore(self._world, self._believed(), (), 1, at=0.0, wall=self.tape.begin)
        self._take(Reloaded(at=0.0, wall=self.tape.begin, generation=1, new=self.inventory))
        for ended, entry in self.tape.entries:
            self._advance(self._at(ended))
            self._play(ended, entry)
        self._advance(self._at(self.tape.until))

    def _at(self, wall: float) -> float:
        return round((wall - self.tape.begin) * FINE) / FINE

    # --- time

    def _advance(self, until: float) -> None:
        while (at := self._next_tick()) <= until:
            self._tick_at = at
            self._world.stale_at = at  # what is left out of the tape was heard of all the same
            self._take(Tick(at=at, wall=self.tape.begin + at))

    def _next_tick(self) -> float:
        """Every second while anything is going on; seldom when nothing can follow from it."""
        world, quiet = self._world, self._tick_at - self._stirred_at
        if world.waiting or world.unsettled or quiet < LIVELY_SECONDS:
            return self._tick_at + 1.0
        if not world.incidents:
            return self._tick_at + STEP_IDLE
        step = STEP_LATER if quiet < LATER_SECONDS else STEP_OPEN
        due = (
            math.ceil(at) for timer in world.timers.values() for at in (timer.page_at, timer.update_at, timer.repeat_at) if at is not None
        )
        return min([self._tick_at + step, *(at for at in due if at > self._tick_at)])

    # --- what happens

    def _play(self, ended: float, entry: Entry) -> None:
        match entry:
            case Ran():
                self._ran(entry)
            case Believed(transition):
                self._put(transition)
            case Fell(transition):
                self._fell(transition)
            case Did(human):
                self._did(human, ended)

    def _ran(self, run: Ran) -> None:
        if run.check not in self._world.inventory.checks:
            return
        at = self._at(run.wall)
        self._take(
            Result(
                check=run.check,
                at=at,
                wall=run.wall,
                duration_seconds=run.duration_seconds,
                outcome=run.outcome,
                code=run.code,
                detail=run.detail,
                samples=run.samples,
                generation=self._world.generation,
                reason=self._reason(run, at),
            )
        )

    def _reason(self, run: Ran, at: float) -> RunReason:
        memory = self._world.memory(run.check)
        check = self._world.inventory.checks[run.check]
        soon = at - memory.seen_at < RECHECK_SHARE * check.interval_seconds
        asked_for = check.kind != "icmp" and memory.answers.candidate is not None and soon
        return "soft" if run.single or asked_for else "schedule"

    def _put(self, transition: Transition) -> None:
        """Only what is a rule still; it counts from the next run of the check, or of the next second."""
        subject = transition.subject
        check = self._world.inventory.checks.get(subject.check)
        if check is None or not any(rule.name == subject.rule and fnmatchcase(subject.instance, rule.instance) for rule in check.rules):
            return
        memory = self._world.memory(check.id)
        subjects = {**memory.subjects, (subject.rule, subject.instance): self._subject(transition)}
        self._world.memories[check.id] = replace(memory, subjects=subjects, fingerprint=check.fingerprint)
        self._look_at(check.site, transition.wall)

    def _fell(self, transition: Transition) -> None:
        check = self._world.inventory.checks.get(transition.subject.check)
        if check is None:
            return
        memory, at = self._world.memory(check.id), self._at(transition.wall)
        self._world.memories[check.id], _ = state.forget(check, memory, at, transition.wall, transition.code, transition.detail)
        self._look_at(check.site, transition.wall)

    def _look_at(self, site: str, wall: float) -> None:
        self._stirred_at = self._at(wall)
        self._world.troubled.add(site)
        self._world.waiting.add(site)
        self._world.unsettled = True

    def _did(self, human: Human, wall: float) -> None:
        incident = self._same_incident(human.incident) if human.incident else 0
        if human.incident and not incident:
            return
        number = self._world.next_window_id
        window = self._windows.get(human.window, 0) if human.action == "end" else 0
        self._take(replace(human, at=self._at(wall), wall=wall, incident=incident, window=window))
        if human.action in {"silence", "maintenance"} and self._world.next_window_id > number:
            self._windows[human.window] = number

    def _same_incident(self, number: int) -> int:
        """What is open here for an incident that was open then: by its key, or else by what failed."""
        then = self._numbers.get(number)
        if then is None:
            return 0
        same = self._world.incidents.get(then.key)
        members = set(then.members)
        shared = (one for one in self._world.incidents.values() if members & set(one.members))
        found = same or next(shared, None)
        return found.id if found is not None else 0

    def _take(self, event: Event) -> None:
        effects: Effects = core.step(self._world, event)
        self.transitions += len(effects.transitions)
        if effects:
            self._stirred_at = event.at
        self.incidents |= {one.id: one for one in effects.incidents}
        self.pages += [(page.wall, page) for page in effects.pages]

    # --- what was believed at the beginning

    def _believed(self) -> Mapping[str, Memory]:
        subjects: dict[str, dict[tuple[str, str], SubjectMemory]] = {}
        for one in self.tape.settled:
            check = self.inventory.checks.get(one.subject.check)
            named = check is not None and (not one.subject.rule or any(rule.name == one.subject.rule for rule in check.rules))
            if named and one.new is not Belief.UNKNOWN:
                subjects.setdefault(one.subject.check, {})[one.subject.rule, one.subject.instance] = self._subject(one)
        return {
            check: Memory(subjects=found, fingerprint=self.inventory.checks[check].fingerprint, seen_at=0.0, last_at=0.0)
            for check, found in subjects.items()
        }

    def _subject(self, one: Transition) -> SubjectMemory:
        soft = not one.hard
        answers = (one.subject.rule, one.subject.instance) == ANSWERS
        return replace(
            NOTHING,
            belief=one.new,
            hard=one.hard,
            settled=one.new if one.hard else one.old,
            since=one.since,
            since_at=self._at(one.since),
            changed_at=self._at(one.wall),
            candidate=one.new if soft else None,
            candidate_at=self._at(one.since) if soft else 0.0,
            candidate_wall=one.since if soft else 0.0,
            candidate_runs=1 if soft else 0,
            code=one.code,
            detail=one.detail,
            absent_runs=0 if answers else NEVER_ABSENT,
        )
