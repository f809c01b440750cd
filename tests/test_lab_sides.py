"""The live lab and the simulation are two sides of one world: what holds in one must hold in the other."""

import asyncio
import copy
import socket
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import pytest

from netwatch import inventory
from netwatch.lab import scenario_file
from netwatch.lab.agent import Agent
from netwatch.lab.devices import LabDevice, layouts, view
from netwatch.lab.faults import Fault, Scenario, Where
from netwatch.lab.measure import _samples
from netwatch.lab.simulation import Simulation
from netwatch.lab.stage import DEMO_ENVIRONMENT, SITE_NETS, hastened
from netwatch.lab.world import WorldModel
from netwatch.model import Belief
from netwatch.state import _level
from probes import Shared, Target

ROOT = Path(__file__).parent.parent
SITE = "si-pa-phin"


@cache
def watched():
    return inventory.load(ROOT / "inventory.yaml", environment=DEMO_ENVIRONMENT, site_net=SITE_NETS["namespaces"], pagers={})


def fault(kind, device="", **values):
    return Fault(at_seconds=0.0, kind=kind, where=Where(site=SITE, device=device), values=values)


def bad_rules(check, samples):
    """Which rules of a check these samples break, and how badly."""
    found = {}
    for rule in check.rules:
        for sample in samples:
            if sample.name == rule.metric and sample.values and fnmatchcase(sample.instance, rule.instance):
                level = _level(rule, sample.values[-1], Belief.OK)
                found[rule.name] = max(found.get(rule.name, Belief.OK), level, key=(Belief.OK, Belief.WARN, Belief.CRIT).index)
    return {name: level for name, level in found.items() if level is not Belief.OK}


async def measured(check, device, now):
    """What the real probe reads from the lab's agent."""
    shown = view(layouts()[device.role], device, now)
    known = socket.inet_aton("127.45.9.9")
    agent = Agent(lambda address: shown if address == known else None, b"lab", 0, loopback_only=True)
    probe, shared = copy.copy(check.probe), Shared()
    probe.port = agent.port
    try:
        deadline = asyncio.get_running_loop().time() + 30
        return (await probe.run(Target(address="127.45.9.9", deadline=deadline, secrets=check.secrets), shared)).samples
    finally:
        await shared.aclose()
        agent.close()


@pytest.mark.parametrize(
    ("target", "faults", "at"),
    [
        ("ups", (), 5.0),
        ("ups", (fault("ups", state="battery", lasts=1200.0),), 5.0),
        ("ups", (fault("ups", state="battery", lasts=1200.0),), 700.0),
        ("ups", (fault("ups", state="battery", lasts=1200.0),), 1100.0),
        ("ups", (fault("ups", state="battery", lasts=1200.0), fault("ups", state="mains")), 5.0),
        ("printer1", (), 5.0),
        ("printer1", (fault("paper", state="out"),), 5.0),
        ("printer1", (fault("toner", ratio=0.07),), 5.0),
        ("printer1", (fault("toner", ratio=0.0),), 5.0),
        ("router", (), 5.0),
        ("switch", (), 5.0),
    ],
)
def test_the_agent_and_the_simulation_break_the_same_rules(target, faults, at):
    world = WorldModel(Scenario(name="x", duration_seconds=1.0), watched())
    for one in faults:
        world.apply(one)
    check = watched().checks[f"{SITE}/{target}/snmp"]
    state = world.device(SITE, target)
    device = LabDevice(SITE, target, watched().sites[SITE].devices[target].role, lambda: state)
    live = asyncio.run(measured(check, device, at))
    assert live
    assert bad_rules(check, live) == bad_rules(check, tuple(_samples(check, state, at)))


def test_the_simulation_keeps_the_pace_that_the_demo_keeps():
    """Or a threshold that is held a minute pages in one and not in the other."""
    scenario = scenario_file.load(scenario_file.find("demo"), watched())
    assert scenario.haste_seconds is not None
    staged = hastened(watched(), 0, scenario.haste_seconds)
    simulated = Simulation(scenario, watched()).world.inventory
    for name, check in staged.checks.items():
        twin = simulated.checks[name]
        assert (twin.interval_seconds, twin.rules, twin.parents) == (check.interval_seconds, check.rules, check.parents)
