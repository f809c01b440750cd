"""One page per cause: the scenarios of the bench that are quickly played. All of them: `bench/alerts.py`."""

from pathlib import Path

import pytest

from netwatch import inventory
from netwatch.lab import scenario_file
from netwatch.lab.simulation import Simulation, narrow
from netwatch.lab.stage import DEMO_ENVIRONMENT

BENCH = Path(__file__).parent.parent / "bench"
SLOW = {  # more than two seconds each
    "acknowledged", "battery-holds", "clock-steps-in-peace", "feeder", "feeder-across-rings", "feeder-back-in-time", "flap-carrier",
    "flap-twenty-sites", "loss-half-an-hour", "loss-of-a-day", "loss-of-a-ring", "pager-dead", "power-at-a-site", "ring-flaps",
    "silence-of-a-ring", "uplink-flaps",
}  # fmt: skip
QUICK = sorted(path.stem for path in (BENCH / "scenarios").glob("*.yaml") if path.stem not in SLOW)


@pytest.fixture(scope="module")
def province():
    return inventory.load(BENCH / "alerts-inventory.yaml", environment=DEMO_ENVIRONMENT, pagers={})


@pytest.mark.parametrize("name", [*QUICK, "power-at-a-site", "feeder-back-in-time"])
def test_a_technician_is_told_what_the_scenario_says_and_nothing_else(name, province):
    scenario = scenario_file.load(BENCH / "scenarios" / f"{name}.yaml", province)
    report = Simulation(scenario, narrow(province, scenario)).run()
    assert report.as_expected, [verdict.wrong for verdict in report.verdicts if verdict.wrong]
