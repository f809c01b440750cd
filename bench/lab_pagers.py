"""Scenarios of bench/scenarios in the real lab, before a real Alertmanager and pagers that fail in every way: is each incident
opened and closed at every far end?

Each runs in a lab of its own: real packets through emulated lines to 45 sites, `netwatch run` as a process that the scenario, and
chance, kills and reloads. Judged are what the webhook was told (its incidents, their causes and sites), what Alertmanager showed,
what PagerDuty's alerts and Telegram's last messages came to. Not judged is how soon: the far ends see to it that it is late.

One JSON line a scenario. Without arguments one short scenario; `--all` plays the eight of `make soak`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import aiohttp
from _far_ends import ENVIRONMENT, FarEnds, Told, far_ends, free_port

from netwatch import inventory as inventories
from netwatch.history import describe, findings
from netwatch.lab import scenario_file
from netwatch.lab.client import ask
from netwatch.lab.faults import ExpectedPage, Fault, Scenario
from netwatch.lab.lab import Lab
from netwatch.lab.scenario import as_document
from netwatch.lab.stage import DEMO_ENVIRONMENT
from netwatch.lab.verdict import same_cause
from netwatch.model import Cause, Inventory

ROOT = Path(__file__).parent.parent
PROVINCE = ROOT / "bench" / "alerts-inventory.yaml"
SHORT = "cut-single"
EIGHT = (
    "flap-one-site",
    "feeder-back-in-time",
    "dead-behind-a-cut",
    "kill-during-a-ring",
    "uplink-while-a-site-is-down",
    "carrier-viettel",
    "ring-of-seven",
    "cut-single",
)
SHARE_OF_TROUBLE = 0.4
KILLS = 2  # beside the scenario's own
LOOK_SECONDS = 0.5
LONGEST_END_SECONDS = 900.0  # what flaps ends when it has been quiet for ten minutes


@dataclass
class Outcome:
    """What a scenario came to. `wrong` says what should not have been, a line each."""

    name: str
    kills: int = 0
    reloads: int = 0
    incidents: int = 0
    accepted: int = 0
    requests: int = 0
    duplicates: int = 0
    seconds: float = 0.0
    fired: set[tuple[str, str]] = field(default_factory=set)  # at Alertmanager, ever
    wrong: list[str] = field(default_factory=list)

    def line(self) -> dict[str, object]:
        plain = {name: getattr(self, name) for name in ("kills", "reloads", "incidents", "accepted", "requests", "duplicates")}
        return {"name": f"lab_pagers/{self.name}", **plain, "seconds": round(self.seconds), "wrong": self.wrong, "ok": not self.wrong}


class Watched:
    """The daemon, to be killed and started."""

    def __init__(self, directory: Path, ends: FarEnds) -> None:
        self.directory, self.lives = directory, 0
        told = f"listen: 127.0.0.1:{free_port()}\ndelivery: {{takeover: 20s, pages_per_minute: 600, trial_at: never}}\n{ends.inventory()}"
        text = PROVINCE.read_text("utf-8")
        assert text.count("pagers: {}\n") == 1
        (directory / "inventory.yaml").write_text(text.replace("pagers: {}\n", told), "utf-8")
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        self.lives += 1
        command = [sys.executable, "-m", "netwatch", "run", "--inventory", f"{self.directory}/inventory.yaml"]
        with (self.directory / f"log-{self.lives}").open("wb") as log:
            environment = {**os.environ, **DEMO_ENVIRONMENT, **ENVIRONMENT}
            return subprocess.Popen([*command, "--state", str(self.directory / "state")], cwd=ROOT, stderr=log, env=environment)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def kill_and_start(self) -> None:
        self.kill()
        self.process = self._start()

    def log(self) -> str:
        return (self.directory / f"log-{self.lives}").read_text("utf-8")

    async def until_started(self) -> None:
        async with asyncio.timeout(60):
            while " started " not in self.log():  # noqa: ASYNC110  # another program has no event to wait for
                await asyncio.sleep(0.1)

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(60)


# --- one scenario


async def play(scenario: Scenario, lab: Lab, directory: Path, seed: int, kills: int) -> Outcome:
    outcome, began = Outcome(name=scenario.name), time.monotonic()
    async with far_ends(directory) as ends, aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:
        watched = Watched(directory, ends)
        try:
            await watched.until_started()
            ends.trouble(Random(seed), SHARE_OF_TROUBLE)
            looking = group.create_task(look(ends, http, outcome))
            await let_happen(scenario, lab, watched, outcome, Random(seed), kills)
            ends.behave()
            await until_all_is_told(ends, http, watched, outcome)
            looking.cancel()
            if watched.stop():
                outcome.wrong.append(f"it ended badly: {watched.log()[-2_000:]}")
        finally:
            watched.kill()
        outcome.seconds = time.monotonic() - began
        judge(scenario, ends, directory / "state" / "netwatch.db", outcome)
    return outcome


async def let_happen(scenario: Scenario, lab: Lab, watched: Watched, outcome: Outcome, dice: Random, kills: int) -> None:
    """The scenario's faults, and some kills by chance between the first and the last."""
    faults = list(scenario.faults)
    first, last = faults[0].at_seconds, faults[-1].at_seconds
    faults += [Fault(at_seconds=dice.uniform(first, last), kind="kill") for _ in range(kills)]
    begun = time.monotonic()
    for fault in sorted(faults, key=lambda fault: fault.at_seconds):
        await asyncio.sleep(begun + fault.at_seconds - time.monotonic())
        if fault.kind == "kill":
            await asyncio.to_thread(watched.kill_and_start)
            outcome.kills += 1
        elif fault.kind == "reload":
            await watched.until_started()
            watched.process.send_signal(signal.SIGHUP)
            outcome.reloads += 1
        else:
            answer = await asyncio.to_thread(ask, lab.control_path, {"fault": as_document(fault)})
            if not answer["ok"]:
                outcome.wrong.append(f"the lab refuses {fault}: {answer}")


async def look(ends: FarEnds, http: aiohttp.ClientSession, outcome: Outcome) -> None:
    """Alertmanager forgets what is over."""
    while True:
        with contextlib.suppress(aiohttp.ClientError):
            outcome.fired |= await ends.alertmanager_causes(http)
        await asyncio.sleep(LOOK_SECONDS)


async def until_all_is_told(ends: FarEnds, http: aiohttp.ClientSession, watched: Watched, outcome: Outcome) -> None:
    """Everything is mended: no far end may believe for ever that something is not."""
    database = watched.directory / "state" / "netwatch.db"
    until, quiet = time.monotonic() + LONGEST_END_SECONDS, 0
    while quiet < 10:
        standing = {"noc": ends.noc.service.open_keys(), "standby": ends.standby.service.open_keys(), "duty": ends.duty_keys()}
        standing["alerts"] = {name for _, name in await ends.alertmanager_causes(http)}
        known = describe(database)
        quiet = 0 if any(standing.values()) or known.pending_pages or known.open_incidents else quiet + 1
        if time.monotonic() > until:
            outcome.wrong += [f"{name} was never told the end of {', '.join(sorted(keys))}" for name, keys in standing.items() if keys]
            outcome.wrong.append(f"{known.pending_pages} pages wait, {known.open_incidents} incidents are open")
            return
        await asyncio.sleep(LOOK_SECONDS)


# --- what came of it


def judge(scenario: Scenario, ends: FarEnds, database: Path, outcome: Outcome) -> None:
    """Holds what the far ends were told against what the scenario expects."""
    assert scenario.expect is not None
    told: dict[int, list[Told]] = {}
    for one in ends.noc.service.told:
        if not one.key.startswith("netwatch/note/"):
            told.setdefault(one.incident, []).append(one)
    outcome.incidents, outcome.requests = len(told), ends.requests()
    outcome.accepted = len(ends.noc.service.told) + len(ends.standby.service.told)
    outcome.accepted += len(ends.duty.service.events) + len(ends.chat.service.messages)
    outcome.duplicates = len(ends.noc.service.told) - len({one.id for one in ends.noc.service.told})
    outcome.wrong += [f"history: {finding}" for finding in findings(database)]
    left = dict(told)
    for expected in scenario.expect.pages:
        number = next((number for number, pages in left.items() if not list(complaints(expected, pages))), None)
        if number is None:
            outcome.wrong.append(f"nobody was rightly told of {expected.cause}")
        else:
            del left[number]
        if not any(same_cause(expected.cause, Cause(*fired)) for fired in outcome.fired):  # type: ignore[arg-type]  # as it came over the wire
            outcome.wrong.append(f"Alertmanager never showed {expected.cause}")
    outcome.wrong += [f"unexpected: {pages[-1].cause} of {pages[-1].sites}" for pages in left.values() if scenario.expect.none_else]
    triggers = {event["dedup_key"] for event in ends.duty.service.events if event["event_action"] == "trigger"}
    refused = {one.key for one in ends.standby.service.told}
    outcome.wrong += [f"PagerDuty never heard of {pages[0].key}" for pages in told.values() if pages[0].key not in triggers | refused]


def complaints(expected: ExpectedPage, pages: list[Told]) -> Iterator[str]:
    """What is not as expected of one incident, as it was told."""
    if not any(same_cause(expected.cause, Cause(*page.cause)) for page in pages[-1:]):  # type: ignore[arg-type]  # the same
        yield "cause"
    if expected.sites is not None and {site for page in pages for site in page.sites} != set(expected.sites):
        yield "sites"
    if pages[0].kind == "recover":
        yield "never opened"
    if pages[-1].kind != "recover":
        yield "never closed"


# --- as a program


def province() -> Inventory:
    return inventories.load(PROVINCE, environment=DEMO_ENVIRONMENT, pagers={})


def alone(name: str, seed: int, kills: int, directory: Path) -> Outcome:
    """One scenario in this process, which stays in the lab's network."""
    path = Path(name) if name.endswith(".yaml") else ROOT / "bench" / "scenarios" / f"{name}.yaml"
    scenario = scenario_file.load(path, province())
    lab = Lab.start(province(), directory / "lab.sock", community=DEMO_ENVIRONMENT["NETWATCH_SNMP_COMMUNITY"], seed=seed)
    try:
        if lab.mode != "namespaces":
            raise SystemExit(f"no lines here: {lab.why_not}")
        return asyncio.run(play(scenario, lab, directory, seed, kills))
    finally:
        lab.close()


async def together(names: tuple[str, ...], asked: argparse.Namespace) -> list[dict[str, object]]:
    """Each in a process of its own, a few at a time."""
    slots, found = asyncio.Semaphore(asked.at_once), []

    async def one(number: int, name: str) -> None:
        command = [sys.executable, __file__, "--scenario", name, "--seed", str(asked.seed + number), "--kills", str(asked.kills)]
        async with slots:
            process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
            said, _ = await process.communicate()
        found.append(json.loads(said or b"{}") or {"name": f"lab_pagers/{name}", "ok": False, "wrong": [f"exit code {process.returncode}"]})
        print(json.dumps(found[-1], ensure_ascii=False), flush=True)

    async with asyncio.TaskGroup() as group:
        for number, name in enumerate(names):
            group.create_task(one(number, name))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", default=SHORT, help="one of bench/scenarios, or a file")
    parser.add_argument("--all", action="store_true", help=f"{', '.join(EIGHT)}")
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--seed", type=int, default=20261124)
    parser.add_argument("--keep", type=Path, help="a directory that does not exist yet, for logs and histories")
    parser.add_argument("--evidence", type=Path, help="a file for the whole of it, as JSON")
    asked = parser.parse_args()
    if asked.all:
        found = asyncio.run(together(EIGHT, asked))
    else:
        with tempfile.TemporaryDirectory() as directory:
            place = asked.keep or Path(directory)
            place.mkdir(parents=True, exist_ok=True)
            found = [alone(asked.scenario, asked.seed, asked.kills, place).line()]
        print(json.dumps(found[0], ensure_ascii=False), flush=True)
    if asked.evidence:
        asked.evidence.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", "utf-8")
    sys.exit(0 if all(one["ok"] for one in found) else 1)


if __name__ == "__main__":
    main()
