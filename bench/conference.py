"""Is what is said of a place before a meeting right? Sixty scripted situations on 45 sites, on a virtual clock; then a check by the real daemon.

Each situation plays twelve minutes of faults through the real schedule and decisions, then the evidence of every place is gathered as the
daemon gathers it and judged. Right: the level and the first reason of the place it is about, and, where nothing else was struck, that no
other place is held up. Printed, one JSON line each: the share that came out right; with --check the seconds that `netwatch conference
check` takes on 45 sites of the lab.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from netwatch import conference, core, inventory, rollcall, snapshot
from netwatch._legs import legs_of
from netwatch.conference import Leg, Readiness
from netwatch.inventory import _units
from netwatch.lab.namespaces import enter_private_network
from netwatch.lab.scenario import read_scenario
from netwatch.lab.simulation import Simulation, narrow
from netwatch.lab.stage import DEMO_ENVIRONMENT
from netwatch.line import Past, RatePoint
from netwatch.model import Inventory, Meeting, Outcome, Result, Sample
from netwatch.rollcall import Sitting

ROOT = Path(__file__).parent
SITUATIONS = ROOT / "meeting" / "situations.yaml"
SHIPPED, EXTRA = ROOT.parent / "inventory.yaml", ROOT / "meeting" / "extra.yaml"
ENVIRONMENT = {**DEMO_ENVIRONMENT, "PEXIP_PASSWORD": "lab"}
MANAGER = "cau-hop/manager/status"
DURATION = "12m"
LONG_SECONDS, LEG_SECONDS = 7_200.0, 600.0
PORTS, RIGHT_GOAL = 60, 0.95
PROCESSES = 2


@dataclass(frozen=True, kw_only=True)
class Situation:
    name: str
    place: str
    level: str
    reason: str
    starts_in_seconds: float
    others_go: bool
    faults: Sequence[Any]
    told: Mapping[str, Any]


@dataclass
class Heard:
    """What history would keep of the echoes: delays and loss of each run, by check."""

    delays: defaultdict[str, list[tuple[float, tuple[float, ...]]]] = field(default_factory=lambda: defaultdict(list))
    losses: defaultdict[str, list[tuple[float, tuple[float, ...]]]] = field(default_factory=lambda: defaultdict(list))

    def __call__(self, result: Result) -> None:
        for sample in result.samples:
            if sample.name == "icmp_rtt_seconds" and sample.values:
                self.delays[result.check].append((result.wall, sample.values))
            if sample.name == "icmp_loss_ratio":
                self.losses[result.check].append((result.wall, sample.values))

    async def samples(
        self, check: str, metric: str, _instance: str, since: float, until: float
    ) -> Sequence[tuple[float, tuple[float, ...]]]:
        kept = self.delays if metric == "icmp_rtt_seconds" else self.losses
        return [one for one in kept[check] if since <= one[0] <= until]


def situations() -> list[Situation]:
    return [_situation(one) for one in yaml.safe_load(SITUATIONS.read_text("utf-8"))]


def _situation(one: Mapping[str, Any]) -> Situation:
    starts = str(one.get("starts_in", "60m"))
    return Situation(
        name=one["name"],
        place=one["place"],
        level=one["expect"]["level"],
        reason=one["expect"].get("reason", ""),
        starts_in_seconds=-_units.duration(starts[1:]) if starts.startswith("-") else _units.duration(starts),
        others_go=one.get("others", "go") == "go",
        faults=one.get("faults", ()),
        told={key: value for part in one.get("told", ()) for key, value in part.items()},
    )


def watched() -> Inventory:
    """The shipped inventory, and a bridge."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(SHIPPED, Path(folder) / "inventory.yaml")
        (Path(folder) / "inventory.d").mkdir()
        shutil.copy(EXTRA, Path(folder) / "inventory.d" / "extra.yaml")
        return inventory.load(Path(folder) / "inventory.yaml", environment=ENVIRONMENT, pagers={})


def play(situation: Situation, whole: Inventory, sites: Sequence[str] = ()) -> str:
    """What is wrong with what is said; nothing when it is right. `sites` narrows the province to some of its places."""
    document = {"name": situation.name, "description": "-", "duration": DURATION, "faults": list(situation.faults), "expect": {"pages": []}}
    if sites:
        document["sites"] = list(sites)
    scenario = read_scenario(document, whole)
    heard = Heard()
    simulation = Simulation(scenario, narrow(whole, scenario), listen=heard)
    simulation.run()
    world, wall = simulation.world, simulation.wall
    good_calls = _tell(world, simulation.at, wall, situation.told)
    taken = snapshot.take(world, wall, 1, snapshot.SelfView())
    legs: dict[str, Leg] = asyncio.run(legs_of(taken.sites, world.inventory.checks, heard.samples, wall - LEG_SECONDS, wall))
    starts = wall + situation.starts_in_seconds
    sitting = Sitting(meeting=Meeting(id="giao-ban", matcher=""), starts=starts, ends=starts + LONG_SECONDS)
    judged = {one.site: conference.readiness(one) for one in rollcall.evidence_of(world, taken, sitting, legs, good_calls)}
    return "; ".join(_wrong(situation, judged))


def _wrong(situation: Situation, judged: Mapping[str, Readiness]) -> Iterator[str]:
    found = judged[situation.place]
    said = (found.level, found.first.code if found.first else "")
    if said != (situation.level, situation.reason):
        yield f"{situation.place}: said {' '.join(said)}, right is {situation.level} {situation.reason}"
    others = [site for site, one in judged.items() if one.level != "go" and site != situation.place]
    if situation.others_go and others:
        first = judged[others[0]].first
        yield f"{len(others)} others are not ready, {others[0]}: {first.code if first else ''}"


def _tell(world: core.World, at: float, wall: float, told: Mapping[str, Any]) -> dict[str, float]:
    """What the bridge, the ledger and the routers say; when a room's last good call was."""
    if world.memory(MANAGER).is_down is False:
        samples = tuple(_of_the_bridge(told))
        core.step(
            world,
            Result(
                check=MANAGER,
                at=at,
                wall=wall,
                duration_seconds=0.1,
                outcome=Outcome.OK,
                samples=samples,
                generation=world.generation,
                reason="schedule",
            ),
        )
    for site, verdict in told.get("verdict", {}).items():
        past = Past(wall=wall - _units.duration(told.get("age", "1d")), verdict=verdict, grade="reflector")
        world.lines.pasts[site, "main", "down"] = (past,)
    for site, busy in told.get("busy", {}).items():
        rate = _units.ratio(busy) * world.inventory.sites[site].lines["main"].contract_down_bits_per_second / 8
        point = RatePoint(at=at, wall=wall, took_seconds=0.1, bytes_per_second=rate)
        world.lines.points[site, "main", "down"] = (point,)
    return {f"{site}/vc": wall - _units.duration(age) for site, age in told.get("good_call", {}).items()}


def _of_the_bridge(told: Mapping[str, Any]) -> Iterator[Sample]:
    yield Sample("pexip_licences_left", (float(told.get("ports_left", PORTS)),), "port")
    yield Sample("pexip_licences_left", (3.0,), "vmr")
    yield Sample("pexip_alarms", (float(told.get("alarms", 0)),), "error")
    yield Sample("pexip_alarms", (7.0,), "info")
    for node in ("node-1", "node-2"):
        yield Sample("pexip_node_silent_seconds", (_units.duration(told.get("silent", "20s")),), node)
        yield Sample("pexip_node_media_load_ratio", (_units.ratio(told.get("load", "10%")),), node)
    for site, registered in told.get("registered", {}).items():
        yield Sample("pexip_room_registered", (float(registered),), f"{site}@example.vn")


def show(name: str, value: float, unit: str, goal: float | None, *, at_least: bool = False) -> None:
    met = None if goal is None else value >= goal if at_least else value <= goal
    print(json.dumps({"name": name, "value": round(value, 4), "unit": unit, "goal": goal, "ok": met}), flush=True)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("names", nargs="*", help="only these situations")
    asked = options.parse_args()
    chosen = [one for one in situations() if not asked.names or one.name in asked.names]
    whole = watched()
    with multiprocessing.get_context("fork").Pool(PROCESSES) as pool:
        wrong = pool.map(partial(play, whole=whole), chosen, chunksize=1)
    for one, text in zip(chosen, wrong, strict=True):
        if text:
            print(f"# {one.name}: {text}")
    show("conference.situations", len(chosen), "situations", None)
    show("conference.right", sum(not text for text in wrong) / len(chosen), "ratio", RIGHT_GOAL, at_least=True)


if __name__ == "__main__":
    enter_private_network()
    main()
