"""The scenarios of bench/alerts.py: all of them are sound, and a good part of them is played on every run. The bench plays all."""

import json
from functools import cache
from pathlib import Path

import jsonschema
import pytest

from netwatch import _yaml, inventory
from netwatch.lab import scenario_file
from netwatch.lab.simulation import Simulation, narrow
from netwatch.lab.stage import DEMO_ENVIRONMENT

BENCH = Path(__file__).parent.parent / "bench"
FILES = {path.stem: path for path in sorted((BENCH / "scenarios").glob("*.yaml"))}
PLAYED = [
    "acknowledged",
    "anchor-lost",
    "battery-holds",
    "carrier-but-a-few",
    "clock-past-a-silence",
    "conference-off",
    "cut-hub",
    "cut-on-a-lossy-line",
    "dead-behind-a-ring",
    "district",
    "dns-dead",
    "flap-one-site",
    "kill-under-silence",
    "kill-while-grouping",
    "latency",
    "line-backup-lost",
    "loss-of-a-ring",
    "maintenance-overrun",
    "not-acknowledged",
    "olt",
    "own-errors-while-down",
    "planned-work-overrun",
    "power-at-a-site",
    "ring-after-its-first",
    "ring-all-but-one-mended",
    "ring-with-a-survivor",
    "two-rings-at-once",
    "uplink-while-a-site-is-down",
]


@cache
def watched():
    return inventory.load(BENCH / "alerts-inventory.yaml", environment=DEMO_ENVIRONMENT, pagers={})


@pytest.mark.parametrize("name", FILES)
def test_a_scenario_of_the_bench_is_sound_and_goes_by_the_name_of_its_file(name):
    scenario = scenario_file.load(FILES[name], watched())
    assert scenario.name == name
    assert scenario.expect is not None
    assert all(fault.at_seconds < scenario.duration_seconds for fault in scenario.faults)
    schema = json.loads(scenario_file.SCHEMA_PATH.read_text("utf-8"))
    jsonschema.validate(_yaml.read(FILES[name]).value, schema, jsonschema.Draft7Validator)


def test_there_are_at_least_sixty():
    assert len(FILES) >= 60


@pytest.mark.parametrize("name", PLAYED)
def test_a_technician_is_told_what_the_scenario_says(name):
    scenario = scenario_file.load(FILES[name], watched())
    report = Simulation(scenario, narrow(watched(), scenario)).run()
    assert [(verdict.expected.cause, verdict.wrong) for verdict in report.verdicts if verdict.wrong] == []
    assert [(at, page.incident.key) for at, page in report.unexpected] == []
    assert report.as_expected
