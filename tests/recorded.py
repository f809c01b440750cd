"""A story told to a real history as the daemon would tell it: results, decisions, acts; then gone, as after a stop."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from netwatch import core, inventory, memory
from netwatch.history import History, beside
from netwatch.lab import scenario_file
from netwatch.lab.simulation import START_WALL, Simulation, narrow
from netwatch.lab.stage import DEMO_ENVIRONMENT
from netwatch.model import Effects, Result
from netwatch.replay import play, read

BENCH = Path(__file__).parent.parent / "bench"
AT_ONCE = 4_000  # results between two waits for the disk


@dataclass
class Recorded(Simulation):
    """Keeps what the daemon would hand to the history, in order."""

    happened: list = field(default_factory=list)

    def _take(self, event):
        effects: list[Effects] = []
        step, core.step = core.step, lambda world, one: effects.append(step(world, one)) or effects[-1]
        try:
            super()._take(event)
        finally:
            core.step = step
        if isinstance(event, Result) and core.is_current(self._world, event):
            self.happened.append(event)
        if effects[0]:
            changed = {one.subject.check for one in effects[0].transitions}
            told = {check: memory.dump(self._world.memories[check], self.at, self.wall) for check in changed}
            self.happened.append((effects[0], told, self.wall))


@cache
def place():
    return inventory.load(BENCH / "alerts-inventory.yaml", environment=DEMO_ENVIRONMENT, pagers={})


def scenario(name):
    return scenario_file.load(BENCH / "scenarios" / f"{name}.yaml", place())


async def _tell(directory, story, happened):
    history = await History.open(directory)
    async with asyncio.TaskGroup() as group:
        group.create_task(history.run())
        try:
            for number, one in enumerate(happened, 1):
                if isinstance(one, Result):
                    kinds = story.inventory.checks[one.check].probe.metrics()
                    history.add_result(one.check, one.wall, one.outcome, one.duration_seconds, one.samples, kinds)
                else:
                    await history.commit(*one)
                if number % AT_ONCE == 0:
                    await history.flush()
            await history.heartbeat(START_WALL + story.scenario.duration_seconds)
            await history.flush()
        finally:
            await history.close()


def record(directory, told, *, runs=True, runs_from=0.0):
    """Plays a scenario and writes it down; without `runs`, or before `runs_from`, as it is when those are too old to be kept."""
    story = Recorded(told, narrow(place(), told))
    report = story.run()
    kept = [one for one in story.happened if not isinstance(one, Result) or (runs and one.at >= runs_from)]
    asyncio.run(_tell(directory, story, kept))
    return story, report


def replay(directory, inventories, since=START_WALL, until=START_WALL + 400 * 86_400.0):
    async def work():
        async with beside(directory / "netwatch.db") as history:
            return await read(history, inventories, since, until)

    tape = asyncio.run(work())
    return tape, [play(tape, one) for one in inventories]
