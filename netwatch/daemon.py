"""The composition root and the pipeline: everything that happens passes through `Daemon._take`, in the order it happens."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from netwatch import __version__, core, crash_points, inventory, ledger, links, memory, rollcall, snapshot
from netwatch._commits import Commits
from netwatch._conferences import Conferences
from netwatch._line_tests import LineTests
from netwatch._telegram_updates import Presses
from netwatch._under_test import kept_samples
from netwatch.conference import Evidence, Leg
from netwatch.delivery import Delivery
from netwatch.history import History, HistoryFailed, HistoryRefused, OutboxRow
from netwatch.lease import Deny
from netwatch.metrics import Metrics
from netwatch.model import (
    Cancel,
    Cause,
    Check,
    Effects,
    Event,
    Forgotten,
    Hint,
    Human,
    Incident,
    Inventory,
    Outcome,
    PagerTried,
    Reloaded,
    Result,
    RunReason,
    Tick,
    Transition,
)
from netwatch.register import Register
from netwatch.rollcall import Sitting
from netwatch.route import named_pagers
from netwatch.runner import Runner
from netwatch.scheduler import Schedule, Scheduler
from netwatch.snapshot import SelfView, Snapshot
from netwatch.tracer import Tracer
from netwatch.traps import Traps
from netwatch.watchdog import Notifier, Watchdog
from netwatch.web.serving import serve

__all__ = ["Daemon", "DaemonRefused"]

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0
FRESH_SECONDS = 5.0  # how often a browser is told of new figures when nothing has changed
RESOLVED_SECONDS = 900.0  # Alertmanager forgets at a restart: closed incidents are told again this long
STOP_SECONDS = 15.0
QUIET_SECONDS = 30.0  # without progress so long, nobody outside is told that we live
MESSAGES = frozenset({Cause("netwatch", "digest"), core.MEETING})  # pages of their own, and no incidents to people
LAST_STOP_SECONDS = 25  # TimeoutStopSec of the unit is 30


class DaemonRefused(Exception):
    """It cannot start. `code` is the exit code; the message says what to do."""

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        super().__init__(message)


class Daemon:
    """Watches one inventory. `load` reads it afresh; `listener` is an open socket for the page, made by the caller."""

    def __init__(
        self,
        *,
        inventory_path: Path,
        state_directory: Path,
        load: Callable[[], Inventory],
        listener: socket.socket | None = None,
        control_path: Path | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._state_directory = state_directory
        self._load = load
        self._listener = listener
        self._control_path = control_path
        self._wall = wall
        self._stopping = asyncio.Event()
        self._reload_wanted = asyncio.Event()
        self._changed = asyncio.Condition()
        self._revision = 1
        self._taken: Snapshot | None = None
        self._reloading = asyncio.Lock()
        self._self_view = SelfView(version=__version__, started_wall=wall(), inventory_path=str(inventory_path))
        self._loop_lag_seconds = 0.0
        self._runner = Runner(wall)
        self._metrics = Metrics()
        self._notifier = Notifier.from_environment(os.environ)
        self._line_tests = LineTests(
            lambda: self._world,
            state_directory,
            wall=wall,
            ask=lambda run: self._scheduler.request(run),  # noqa: PLW0108  # there is none yet
        )
        self._scheduler = Scheduler(Schedule(), self._handle, self._line_tests.admit_in_turn, self._begin)
        self._tracer = Tracer(self._take, wall=wall)
        self._traps = Traps(lambda: self._world.inventory, self._hint, state_directory, wall=wall)
        self._conferences = Conferences(lambda: self._world, self.snapshot, self.samples, self._take, state_directory, wall)
        self._presses = Presses(self, directory=state_directory, wall=wall)
        self._register = Register(lambda: self._world.inventory, state_directory)
        self._link_key: bytes
        self._commits: Commits
        self._world: core.World
        self._history: History
        self._delivery: Delivery

    async def run(self, *, signals: bool = False) -> None:
        """Watches until `stop`. Raises DaemonRefused when it cannot start; then nothing has been changed."""
        loop = asyncio.get_running_loop()
        first = await loop.run_in_executor(None, self._first_load)
        await self._prepare(first)
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._runner.aclose)
            self._history = await self._open_history(first)
            stack.push_async_callback(self._history.close)
            self._link_key = links.key_in(self._state_directory)
            await self._restore(first)
            await serve(stack, self, first.settings, listener=self._listener, control_path=self._control_path)
            crash_points.reached("while-starting")
            if signals:
                self._take_signals(stack)
            self._say_started(first)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._history.run())
                delivering = group.create_task(self._delivery.run())
                writing = group.create_task(self._commits.run())
                works = (self._watch, self._tick, self._reload_when_wanted, self._feed_watchdog)
                watching = [
                    group.create_task(work())
                    for work in (*works, self._tracer.run, self._presses.run, self._traps.run, self._conferences.run, self._register.run)
                ]
                _spare_the_collector()
                self._notifier.ready()
                await self._stopping.wait()
                log.info("stopping")
                self._notifier.stopping()
                self._scheduler.stop()
                for task in watching:
                    task.cancel()
                self._commits.stop()
                await asyncio.wait([writing], timeout=STOP_SECONDS)
                self._delivery.stop()
                await asyncio.wait([delivering], timeout=STOP_SECONDS)  # what was taken at the last moment is still noted
                await self._history.close()
        log.info("stopped")

    def _say_started(self, first: Inventory) -> None:
        """The one line that tells where everything is."""
        where: dict[str, object] = {"socket": self._control_path, "state": self._state_directory.absolute()}
        if self._listener is not None:
            host, port = self._listener.getsockname()[:2]
            where = {"page": f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/", **where}
        log.info("started", extra={"version": __version__, "sites": len(first.sites), "checks": len(first.checks), **where})

    def stop(self) -> None:
        self._stopping.set()

    def snapshot(self) -> Snapshot:
        wall = self._wall()
        taken = self._taken
        if taken is None or taken.revision != self._revision or not 0 <= wall - taken.wall < TICK_SECONDS:
            taken = self._taken = snapshot.take(self._world, wall, self._revision, self._look_at_self())
        return taken

    async def changed(self, revision: int) -> int:
        async with self._changed:
            await self._changed.wait_for(lambda: self._revision > revision)
        return self._revision

    async def metrics(self, sse_clients: int) -> bytes:
        delivery = self._delivery
        return await self._metrics.render(
            self.snapshot(),
            notifications=delivery.outcomes,
            trials=delivery.trials,
            dead_man=delivery.dead_man_success,
            sse_clients=sse_clients,
            more=(*self._line_tests.families(), *self._traps.families(), *self._conferences.families()),
        )

    def check_now(self, check_id: str, who: str) -> bool:
        if check_id not in self._world.inventory.checks:
            return False
        log.info("check asked for", extra={"check": check_id, "who": who})
        self._take(Human(at=self._now(), wall=self._wall(), action="check_now", who=who, check=check_id))
        return True

    async def test_line(self, check_id: str, who: str) -> Mapping[str, object] | None:
        check = self._world.inventory.checks.get(check_id)
        if check is None or check.kind != "bandwidth":
            return None
        told = await self._line_tests.waiters.outcome(check_id, lambda: self.check_now(check_id, who))
        if "denied" in told:
            self._scheduler.request(Cancel(check=check_id, reason="denied"))  # whoever asked may ask again
        return told

    async def full_test(self, check_id: str, who: str) -> Mapping[str, object] | None:
        check = self._longer(check_id)
        if check is None:
            return None
        admission = self._line_tests.admit(check, "human", self._now())
        if isinstance(admission, Deny):
            return {"denied": admission.reason, "resource": admission.resource}
        log.info("full test asked for", extra={"check": check_id, "who": who})
        async with asyncio.TaskGroup() as group:
            return await self._line_tests.waiters.outcome(check_id, lambda: group.create_task(self._handle(check, "human")))

    def full_test_cost(self, check_id: str) -> Mapping[str, object] | None:
        check = self._longer(check_id)
        return None if check is None else self._line_tests.cost(check)

    def _longer(self, check_id: str) -> Check | None:
        check = self._world.inventory.checks.get(check_id)
        return self._line_tests.at_length(check) if check is not None and check.kind == "bandwidth" else None

    async def page_test(self, check_id: str, measure: Callable[[], Awaitable[Mapping[str, Any]]]) -> Mapping[str, Any] | None:
        check = self._world.inventory.checks.get(check_id)
        if check is None or check.kind != "bandwidth":
            return None
        at, wall, generation = self._now(), self._wall(), self._world.generation
        admission = self._line_tests.admit(check, "human", at)
        if isinstance(admission, Deny):
            return {"denied": admission.reason}
        try:
            told = await measure()
        finally:
            self._line_tests.ended(check, self._now())
        facts = {"bandwidth": json.dumps(told)}
        lasted = self._now() - at
        self._finish(
            check,
            Result(
                check=check_id,
                at=at,
                wall=wall,
                duration_seconds=lasted,
                outcome=Outcome.OK,
                facts=facts,
                generation=generation,
                reason="human",
            ),
        )
        return told

    def traps(self, number: int) -> Sequence[Mapping[str, object]]:
        return [heard.document() for heard in self._traps.since(number)]

    def devices(self) -> Sequence[Mapping[str, Any]]:
        return self._register.rows()

    def evidence(self, sitting: Sitting, legs: Mapping[str, Leg]) -> Sequence[Evidence]:
        return rollcall.evidence_of(self._world, self.snapshot(), sitting, legs, self._conferences.good_calls)

    def meeting_on(self, site: str) -> bool:
        wall = self._wall()
        meeting = core.meeting_of(self._world, site, wall)
        return meeting is not None and meeting[0] <= wall < meeting[1]

    async def prune(self) -> tuple[int, int]:
        return await self._history.prune()

    def pagers(self) -> Sequence[Mapping[str, object]]:
        return self._delivery.describe_pagers()

    def outbox(self) -> Sequence[Mapping[str, object]]:
        return self._delivery.describe_waiting()

    async def try_pager(self, name: str, who: str) -> str:
        log.info("trial of a pager asked for", extra={"pager": name, "who": who})
        return await self._delivery.try_pager(name)

    def act(self, human: Human) -> Human | None:
        taken = self._decide(replace(human, at=self._now(), wall=self._wall())).humans
        return taken[0] if taken else None

    async def humans(self, since_wall: float, incident: int | None, limit: int) -> Sequence[Human]:
        return await self._history.humans(since_wall=since_wall, incident=incident, limit=limit)

    def ledger_path(self) -> Path:
        return ledger.path_in(self._state_directory)

    def link_key(self) -> bytes:
        return self._link_key

    def inventory(self) -> Inventory:
        return self._world.inventory

    async def transitions(self, site: str | None, since_wall: float, limit: int) -> Sequence[Transition]:
        return await self._history.transitions(site=site, since_wall=since_wall, limit=limit)

    async def samples(
        self, check_id: str, metric: str, instance: str, since_wall: float, until_wall: float
    ) -> Sequence[tuple[float, tuple[float, ...]]]:
        return await self._history.samples(check_id, metric, instance, since_wall, until_wall)

    async def incidents(self, site: str | None, since_wall: float, limit: int) -> Sequence[Incident]:
        found = await self._history.incidents(since_wall=since_wall, site=site, limit=limit)
        return [incident for incident in found if incident.cause not in MESSAGES]

    async def reload(self) -> tuple[bool, tuple[str, ...]]:
        """Reads the inventory again; a bad one changes nothing but is told of. One at a time."""
        async with self._reloading:
            self._notifier.reloading()
            try:
                new = await asyncio.get_running_loop().run_in_executor(None, self._load)
            except inventory.InventoryRefused as refused:
                errors = refused.lines()
                self._self_view = replace(self._self_view, inventory_ok=False, inventory_errors=errors)
                log.error("inventory refused; the old one stays in force", extra={"errors": len(errors)})
                self._take(Reloaded(at=self._now(), wall=self._wall(), generation=self._world.generation, new=None, errors=errors))
                return False, errors
            finally:
                self._notifier.ready()
            crash_points.reached("before-reload")
            told = inventory.difference(self._world.inventory, new).lines()
            with contextlib.suppress(HistoryFailed):  # history does it when the disk takes it again
                await self._history.rename_sites(_former(new))
            self._adopt(new)
            log.info("inventory reloaded", extra={"checks": len(new.checks)})
            return True, told

    async def _handle(self, check: Check, reason: RunReason) -> None:
        """The whole pipeline, in the order it happens."""
        known = self._world.inventory.checks.get(check.id)
        try:
            if known is not None and known.fingerprint == check.fingerprint:  # else the inventory was read again before it could begin
                others = core.others_bits_per_second(self._world, core.key_of(check), self._now()) if check.kind == "bandwidth" else 0.0
                self._finish(check, await self._runner.run(check, reason, self._world.generation, others))
        finally:
            self._line_tests.ended(check, self._now())

    def _begin(self, check: Check, reason: RunReason, ended: Callable[[Callable[[], None]], None]) -> bool:
        """The same for a run that needs no task."""
        known = self._world.inventory.checks.get(check.id)
        if known is None or known.fingerprint != check.fingerprint:
            return False
        return self._runner.begin(check, lambda result: ended(lambda: self._finish(check, result())), reason, self._world.generation)

    def _finish(self, check: Check, result: Result) -> None:
        result = self._line_tests.marked(check, result)
        if core.is_current(self._world, result):
            self._metrics.observe(check, result)
            self._register.note(check, result)
            self._keep(check, result)
        self._take(result)

    def _keep(self, check: Check, result: Result) -> None:
        kinds = check.probe.metrics()
        self._history.add_result(check.id, result.wall, result.outcome, result.duration_seconds, kept_samples(result), kinds)

    def _take(self, event: Event) -> None:
        self._decide(event)

    def _decide(self, event: Event) -> Effects:
        """One event, one decision; what follows is queued for the disk in the same order."""
        effects = core.step(self._world, event)
        self._line_tests.note(effects.verdicts)
        for request in effects.requests:
            if isinstance(request, Cancel) and request.reason == "meeting":
                self._runner.stop(request.check)  # what is put off until later stays so
            else:
                self._scheduler.request(request)
        self._commits.put(effects, {check: self._dump(check) for check in core.to_store(self._world, event, effects)})
        if effects:
            for transition in effects.transitions:
                log.info(
                    "belief changed",
                    extra={
                        "check": transition.subject.check,
                        "rule": transition.subject.rule,
                        "new": transition.new,
                        "hard": transition.hard,
                    },
                )
            self._tracer.offer(effects.incidents, self._world.inventory, self._now())
            self._revision += 1
        return effects

    def _send(self, rows: Sequence[OutboxRow], effects: Effects) -> None:
        self._delivery.accept(rows)
        if effects.incidents:
            self._sync_pagers()

    def _dump(self, check: str) -> str:
        known = self._world.memories.get(check)
        return memory.dump(known, self._now(), self._wall()) if known else ""

    def _remembered(self) -> str:
        return core.dump(self._world, self._now(), self._wall())

    def _sync_pagers(self) -> None:
        """State pagers are told of what may wake somebody and is not silenced; the digest is not theirs."""
        recent = self._wall() - RESOLVED_SECONDS
        open_incidents = [incident for incident in self._world.incidents.values() if incident.announced]
        closed = [incident for incident in self._world.closed if incident.announced and (incident.closed or 0.0) >= recent]
        self._delivery.sync(open_incidents, closed)

    async def _watch(self) -> None:
        async with asyncio.TaskGroup() as runs:
            await self._scheduler.run(runs)

    async def _tick(self) -> None:
        """Once a second, on the second: a meeting that begins then ends tests at once. How late it comes is how late everything is."""
        loop = asyncio.get_running_loop()
        due, fresh_at = loop.time() - self._wall() % TICK_SECONDS, 0.0
        while True:
            due = max(due + TICK_SECONDS, loop.time())
            await asyncio.sleep(due - loop.time())
            self._loop_lag_seconds = loop.time() - due
            self._take(Tick(at=loop.time(), wall=self._wall()))
            if loop.time() - fresh_at >= FRESH_SECONDS:
                fresh_at = loop.time()
                self._revision += 1
                self._sync_pagers()
                await self._tell_browsers()

    async def _tell_browsers(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _reload_when_wanted(self) -> None:
        while True:
            await self._reload_wanted.wait()
            self._reload_wanted.clear()
            await self.reload()

    async def _feed_watchdog(self) -> None:
        """Tells systemd that we live only while the scheduler, the writer and delivery all get on."""
        watchdog = Watchdog.from_environment(self._notifier, os.environ)
        if watchdog is None:
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(watchdog.run())
            while True:
                watchdog.progress("scheduler", self._scheduler.progress_at)
                watchdog.progress("writer", self._history.progress_at)
                watchdog.progress("delivery", self._delivery.progress_at)
                await asyncio.sleep(TICK_SECONDS)

    def _first_load(self) -> Inventory:
        try:
            return self._load()
        except inventory.InventoryRefused as refused:
            raise DaemonRefused(78, "\n".join(refused.lines())) from refused

    async def _prepare(self, first: Inventory) -> None:
        try:
            await self._runner.prepare(first.checks.values())
        except PermissionError as error:
            await self._runner.aclose()
            raise DaemonRefused(77, f"{error}; netwatch doctor says what mends it") from error

    async def _open_history(self, first: Inventory) -> History:
        try:
            return await History.open(self._state_directory, set_aside_at=self._wall(), former_sites=_former(first))
        except HistoryRefused as refused:
            raise DaemonRefused(77 if refused.code == "unwritable" else 1, str(refused)) from refused

    async def _restore(self, first: Inventory) -> None:
        """Takes up where the last process left off: beliefs, open incidents, what is still to be sent."""
        try:
            stored = await self._history.load()
        except (HistoryFailed, HistoryRefused) as error:
            raise DaemonRefused(1, str(error)) from error
        self._delivery = Delivery(
            self._history,
            wall=self._wall,
            settings=first.settings,
            alive=self._gets_on,
            tried=self._note_trial,
            link_key=self._link_key,
            evidence_head=lambda: ledger.head_text(self.ledger_path()),
        )
        self._delivery.configure(first.pagers)
        self._world = core.World(inventory=first, pagers=self._delivery.event_pagers(named_pagers(first)))
        self._commits = Commits(
            self._history,
            wall=self._wall,
            announce=self._tell_browsers,
            written=self._send,
            remembered=self._remembered,
            recorded=self._line_tests.record,
        )
        self._world.lines.pasts.update(await asyncio.to_thread(self._line_tests.restored))
        self._commits.put(Effects(), dict.fromkeys(stored.memories.keys() - first.checks.keys(), ""))
        now, wall = self._now(), self._wall()
        remembered = {}
        for check, text in stored.memories.items():
            try:
                remembered[check] = memory.load(text, now, wall)
            except ValueError:
                log.warning("a stored belief cannot be read; it is learned anew", extra={"check": check})
        try:
            core.restore(
                self._world, remembered, stored.incidents, stored.next_incident_id, remembered=stored.world_state or "", at=now, wall=wall
            )
        except ValueError:
            log.warning("what was stored of silences and timers cannot be read; silences must be asked for anew")
        self._delivery.restore(stored.outbox, stored.threads)
        if stored.last_wall is not None:
            self._delivery.say_blind(stored.last_wall, wall)
        if self._history.set_aside is not None:
            log.error("the history was damaged; everything is learned anew", extra={"moved_to": str(self._history.set_aside)})
            self._take(Forgotten(at=now, wall=wall, detail=str(self._history.set_aside)))
        self._adopt(first)

    def _adopt(self, new: Inventory) -> None:
        """Puts an inventory in force."""
        for warning in new.warnings:
            log.warning("the inventory is in force, but not all of it is as it should be", extra={"warning": warning})
        self._delivery.configure(new.pagers, new.settings)
        self._presses.configure(self._delivery.pagers_in_force())
        pagers = self._delivery.event_pagers(named_pagers(new))
        crash_points.reached("during-reload")
        gone = [check for check in self._world.inventory.checks.values() if check.id not in new.checks]
        self._metrics.forget(gone)
        self._commits.put(Effects(), {check.id: "" for check in gone})
        self._scheduler.update(new.checks.values())
        self._take(Reloaded(at=self._now(), wall=self._wall(), generation=self._world.generation + 1, new=new, pagers=pagers))
        self._line_tests.adopt()
        self._traps.adopt()
        self._self_view = replace(
            self._self_view,
            generation=self._world.generation,
            inventory_ok=True,
            inventory_errors=(),
            reloaded_wall=self._wall(),
        )
        self._revision += 1

    def _hint(self, check: str, source: str) -> None:
        self._take(Hint(at=self._now(), wall=self._wall(), check=check, source=source))

    def _note_trial(self, pager: str, error: str) -> None:
        self._take(PagerTried(at=self._now(), wall=self._wall(), pager=pager, error=error))

    def _gets_on(self) -> bool:
        """Whether the scheduler, the writer and delivery all got on of late: only then we say that we live."""
        return self._now() - min(self._scheduler.progress_at, self._history.progress_at, self._delivery.progress_at) < QUIET_SECONDS

    def _take_signals(self, stack: contextlib.AsyncExitStack) -> None:
        loop = asyncio.get_running_loop()

        def stop() -> None:
            self.stop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_DFL)  # a second one ends it at once, which loses as little as kill -9
            signal.alarm(LAST_STOP_SECONDS)  # nor does a disk that hangs keep us

        actions = {signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGHUP: self._reload_wanted.set}
        for number, action in actions.items():
            loop.add_signal_handler(number, action)
            stack.callback(loop.remove_signal_handler, number)

    def _look_at_self(self) -> SelfView:
        schedule = self._scheduler.schedule
        return replace(
            self._self_view,
            checks=len(schedule),
            runs=self._scheduler.runs,
            runs_in_flight=schedule.in_flight,
            schedule_lag_seconds=schedule.lag_seconds,
            loop_lag_seconds=self._loop_lag_seconds,
            samples_dropped=self._history.samples_dropped,
            database_bytes=self._history.database_bytes,
            database_ok=self._history.database_ok,
            backup_wall=self._history.backup_wall,
            backup_failures=self._history.backup_failures,
            outbox_pending=self._delivery.pending,
        )

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _former(inventory: Inventory) -> dict[str, str]:
    """Sites by the id they had before."""
    return {site.renamed_from: site.id for site in inventory.sites.values() if site.renamed_from}


def _spare_the_collector() -> None:
    """What was built at start lives as long as the daemon: looking through it for garbage cost a quarter of all CPU."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)
