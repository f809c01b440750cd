"""Line tests in the daemon: whether one may run now, what it holds meanwhile, its verdict to the ledger."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import math
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol, cast
from zoneinfo import ZoneInfo

from netwatch import core, lease, ledger, line
from netwatch._line_families import line_families
from netwatch._line_waiters import Waiters, told_of
from netwatch._metric_families import Family
from netwatch.lease import Claim, Deny, Grant, Leases, Situation, Wish
from netwatch.model import Check, Line, LineVerdict, Maintenance, Outcome, Result, Run, RunReason
from netwatch.windows import next_occurrence
from probes import Probe, _clock

__all__ = ["GRANTED", "LineTests"]

log = logging.getLogger(__name__)

Key = tuple[str, str, str]  # site, line, direction
GRANTED = Grant()
FRESH_RATIO = 0.9  # of the interval: what was found so recently need not be found again
KEPT_SECONDS = 60 * 86_400.0
PATIENCE_SECONDS = 3.0
MOST_UNWRITTEN = 1_000
BY_HAND: frozenset[RunReason] = frozenset({"human", "evidence"})
FELT = frozenset({"icmp", "stamp", "tcp", "http", "dns", "tls", "sip", "h323", "poly"})  # what a test on the same line may slow
DAILY = tuple(range(7))
ALL_DAY = 1_440
CROWDED_APART_SECONDS = 5.0
ROUTER_SECONDS = 2.0  # for the router's answer
ROUTER_AGAIN_SECONDS = 30.0  # a router that does not answer is not waited for


class _Planned(Protocol):
    """What is asked of a bandwidth probe."""

    full: bool

    def plan(self) -> _Plan: ...

    def at_length(self) -> Probe | None: ...


class _Plan(Protocol):
    @property
    def pace_bits_per_second(self) -> float: ...

    @property
    def max_bytes(self) -> int: ...

    @property
    def max_seconds(self) -> float: ...


class LineTests:
    """One for a daemon. `world` gives what is believed now; `now` is the loop's clock; `ask` has a check run."""

    def __init__(
        self,
        world: Callable[[], core.World],
        state_directory: Path,
        *,
        wall: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
        ask: Callable[[Run], None] = lambda _run: None,
    ) -> None:
        self._world = world
        self._ask = ask
        self._asked_at: dict[str, float] = {}  # by check
        self._wall, self._monotonic = wall, monotonic
        self._directory = state_directory
        self._ledger = ledger.Ledger(state_directory)
        self._leases = Leases()
        self._ahead_at: dict[str, float] = {}  # by check that runs
        self._ended_at: dict[str, float] = {}  # by site, the last test
        self._spent: dict[tuple[str, str], list[tuple[float, int]]] = defaultdict(list)
        self.waiters = Waiters()
        self._tests_of: Mapping[str, Sequence[str]] = {}
        self.unwritten: list[LineVerdict] = []
        self._bytes_total: dict[Key, int] = defaultdict(int)
        self._measured: dict[Key, tuple[str, float]] = {}

    def admit_in_turn(self, check: Check, reason: RunReason, now: float) -> lease.Admission:
        """As `admit`; a test that may run waits until the router has been asked, so that its figures around the test hold little else."""
        router = core.router_to_ask(self._world(), check, now) if check.kind == "bandwidth" else ""
        asked_at = self._asked_at.get(check.id, -math.inf)
        if router and now - asked_at > ROUTER_AGAIN_SECONDS and isinstance(self._admission(check, reason, now), Grant):
            self._asked_at[check.id] = now
            self._ask(Run(check=router, not_before=now, reason="evidence"))
            return Deny("shared", now + ROUTER_SECONDS, router)
        return self.admit(check, reason, now)

    def admit(self, check: Check, reason: RunReason, now: float) -> lease.Admission:
        """Takes the lease when it may run; whoever waits for it by hand is told why not."""
        if check.kind != "bandwidth":
            return GRANTED
        admission = self._admission(check, reason, now)
        if isinstance(admission, Grant):
            self._leases.take(check.id, admission.claims, now + check.timeout_seconds)
            self._ahead_at[check.id] = _clock.ahead_seconds(self._wall, self._monotonic)
        elif admission.reason != "shared" and reason in BY_HAND:  # a daily run that is put off is no answer to them
            retry_wall = self._wall() + admission.retry_at - now
            self.waiters.tell(check.id, {"denied": admission.reason, "resource": admission.resource, "retry_wall": retry_wall})
        return admission

    def at_length(self, check: Check) -> Check | None:
        """The check as a full test of its line; None where there is none."""
        short = cast("_Planned", check.probe)
        probe = short.at_length()
        if probe is None:
            return None
        longer = cast("_Planned", probe).plan().max_seconds - short.plan().max_seconds
        return replace(check, probe=probe, timeout_seconds=check.timeout_seconds + longer)

    def cost(self, check: Check) -> Mapping[str, object]:
        """What a full test takes at most."""
        plan = cast("_Planned", check.probe).plan()
        return {"bytes_at_most": plan.max_bytes, "seconds": plan.max_seconds}

    def ended(self, check: Check, now: float) -> None:
        if check.kind == "bandwidth":
            self._leases.end(check.id, now)
            self._ended_at[check.site] = now

    def marked(self, check: Check, result: Result) -> Result:
        """With what else is known of its run: that its line was being tested, how our clock did."""
        if check.kind == "bandwidth":
            ahead = _clock.ahead_seconds(self._wall, self._monotonic)
            moved = ahead - self._ahead_at.pop(check.id, ahead)
            clock = {"clock_synchronised": "yes" if _clock.read().synchronised else "no", "clock_moved_seconds": f"{moved:.6f}"}
            if result.outcome is not Outcome.OK:
                self.waiters.tell(check.id, {"failed": result.code, "detail": result.detail})
            return replace(result, facts={**result.facts, **clock})
        tests = self._tests_of.get(check.site, ()) if check.kind in FELT else ()
        if not tests:
            return result
        ended_at = result.at + result.duration_seconds
        held = any(self._leases.holds(test, ended_at) for test in tests) or self._ended_at.get(check.site, -1.0) >= result.at
        return replace(result, under_test=True) if held else result

    def adopt(self) -> None:
        """An inventory is in force."""
        found: dict[str, list[str]] = defaultdict(list)
        for (site, _, _), test in self._world().line_tests.items():
            found[site].append(test)
        self._tests_of = found

    def _admission(self, check: Check, reason: RunReason, now: float) -> lease.Admission:
        world, wall = self._world(), self._wall()
        plan = cast("_Planned", check.probe).plan()
        site = world.inventory.sites[check.site]
        place = site.lines.get(check.target)
        by_hand = reason in BY_HAND
        if place is not None and not by_hand:
            again_wall = self._again_wall(check)
            if again_wall > wall:
                return Deny("fresh", now + again_wall - wall)
        claims = self._claims(check, place, plan.pace_bits_per_second)
        wish = Wish(claims=claims, bytes_at_most=float(plan.max_bytes), by_hand=by_hand)
        admission = lease.admit(wish, now, self._situation(check, place, claims, now, wall))
        if isinstance(admission, Deny):
            share = zlib.crc32(check.id.encode()) / 2**32
            if admission.reason == "window" and place is not None and place.test is not None:
                return replace(admission, retry_at=admission.retry_at + share * place.test.minutes * 30)
            if admission.reason == "shared":  # else all that were put off by one meeting would ask in the same moment from then on
                return replace(admission, retry_at=admission.retry_at + (share - 0.5) * CROWDED_APART_SECONDS)
        return admission

    def _again_wall(self, check: Check) -> float:
        """When something new is wanted of the line; a test that decided nothing is run again at its next turn."""
        decided = [one.wall for one in self._world().lines.pasts.get(core.key_of(check), ()) if one.verdict == "proved"]
        return max(decided, default=0.0) + FRESH_RATIO * check.interval_seconds

    def _claims(self, check: Check, place: Line | None, pace: float) -> tuple[Claim, ...]:
        own = f"line/{check.site}/{check.target}"
        shared = self._world().inventory.line_tests.head_room
        tags = place.tags if place is not None else {}
        of_tags = tuple(Claim(f"{tag}/{tags[tag]}", pace) for tag in shared if tag in tags)
        uplink = (Claim("uplink", pace),) if "uplink" in shared else ()
        return (Claim(own, pace, shared=False), *of_tags, *uplink)

    def _situation(self, check: Check, place: Line | None, claims: tuple[Claim, ...], now: float, wall: float) -> Situation:
        world = self._world()
        shared = world.inventory.line_tests.head_room
        head_room = {claim.resource: shared[of] for claim in claims if (of := claim.resource.partition("/")[0]) in shared}
        head_room[claims[0].resource] = claims[0].bits_per_second  # one test of a line at a time
        meeting = core.meeting_of(world, check.site, wall)
        common = Situation(used=self._leases.used(now), head_room=head_room, wall=wall, meeting=meeting)
        if place is None:
            return common
        return replace(
            common,
            opens=self._opens(place, wall, check.timeout_seconds),
            left_bytes=self._left_bytes(check, place, wall),
            busy_ratio=core.busy_ratio(world, core.key_of(check), now),
        )

    def _left_bytes(self, check: Check, place: Line, wall: float) -> float:
        """Of the day's budget. Who asks for a full test has been told what it takes, so that only a budget somebody wrote binds him."""
        if place.test is None:
            return 0.0
        if cast("_Planned", check.probe).full and not place.test.budget_stated:
            return math.inf
        return place.test.budget_bytes - self._spent_today(check, wall)

    def _opens(self, place: Line, wall: float, longest_seconds: float) -> float:
        """In the past while a test that begins now ends before the window does."""
        if place.test is None or place.test.minutes >= ALL_DAY:
            return float("-inf")
        daily = Maintenance(id="", matcher="", weekdays=DAILY, from_minute=place.test.from_minute, minutes=place.test.minutes)
        found = next_occurrence(daily, wall + longest_seconds, self._zone())
        return found[0] if found is not None else float("-inf")

    def _spent_today(self, check: Check, wall: float) -> int:
        """By the local day."""
        today = dt.datetime.fromtimestamp(wall, self._zone()).date()
        spent = self._spent[check.site, check.target]
        spent[:] = [one for one in spent if dt.datetime.fromtimestamp(one[0], self._zone()).date() == today]
        return sum(bytes_ for _, bytes_ in spent)

    def _zone(self) -> ZoneInfo:
        return core.zone_of(self._world())

    def note(self, verdicts: Sequence[LineVerdict]) -> None:
        """At once, so that the next admission knows what this one has cost."""
        for one in verdicts:
            if one.bytes:
                self._spent[one.site, one.line].append((one.wall, one.bytes))
                self._bytes_total[one.site, one.line, one.direction] += one.bytes
            self._keep_measured((one.site, one.line, one.direction), one.record)

    def _keep_measured(self, key: Key, record: Mapping[str, object]) -> None:
        value = record.get("value_bits_per_second")
        if isinstance(value, int | float) and value > 0 and record.get("verdict") in {"proved", "refuted"}:
            self._measured[key] = (str(record.get("method") or record.get("step") or ""), value / 8)

    def families(self) -> Iterable[Family]:
        """What lines stand at, for /metrics."""
        return line_families(self._world(), self._wall(), self._measured, self._bytes_total, len(self.unwritten))

    async def record(self, verdicts: Sequence[LineVerdict]) -> None:
        """Into the ledger, before anything of them is told. What it does not take is kept, and tried again with the next."""
        self.unwritten += verdicts
        if self.unwritten:
            writing = asyncio.get_running_loop().run_in_executor(None, self._write, tuple(self.unwritten))
            await asyncio.wait([writing], timeout=PATIENCE_SECONDS)
            if not writing.done():
                log.error("the disk hangs; verdicts of line tests do not wait for it")
        for one in verdicts:
            self.waiters.tell(one.check, told_of(one.record))

    def _write(self, verdicts: tuple[LineVerdict, ...]) -> None:
        """Runs in a thread, one at a time: the ledger waits for whoever is appending."""
        for one in verdicts:
            if one not in self.unwritten:
                continue
            try:
                self._ledger.append(one.record)
            except ledger.LedgerRefused as refused:
                log.error("the evidence ledger cannot be written", extra={"error": str(refused), "waiting": len(self.unwritten)})
                del self.unwritten[:-MOST_UNWRITTEN]
                return
            self.unwritten.remove(one)

    def restored(self) -> Mapping[tuple[str, str, str], tuple[line.Past, ...]]:
        """Verdicts of before, oldest first, and what was spent. Reads the ledger: not for the loop."""
        found: dict[tuple[str, str, str], list[line.Past]] = defaultdict(list)
        oldest = self._wall() - KEPT_SECONDS
        try:
            for entry in ledger.newest_first(self._ledger.path):
                record = entry.record
                try:
                    past, spent = line.past_of(record), int(record["bytes"])
                    key = (str(record["site"]), str(record["line"]), str(record["direction"]))
                except (KeyError, ValueError, TypeError):
                    continue
                if past.wall < oldest:
                    break
                if key not in self._measured:
                    self._keep_measured(key, record)
                found[key].append(past)
                if spent:
                    self._spent[key[0], key[1]].append((past.wall, spent))
        except FileNotFoundError:
            pass
        except OSError as error:
            log.error("the evidence ledger cannot be read", extra={"error": error.strerror or str(error)})
        return {key: tuple(reversed(pasts[: core.MOST_PASTS])) for key, pasts in found.items()}
