"""What strikes netwatch itself, and the people around it: how a scenario's faults become events, results and deliveries."""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from netwatch import inventory
from netwatch.lab.faults import Fault, Scenario, Where
from netwatch.lab.simulation import START_WALL, Simulation, narrow
from netwatch.lab.stage import DEMO_ENVIRONMENT
from netwatch.model import Human, Outcome, Reloaded, Result, Tick

ROOT = Path(__file__).parent.parent
PLACE = ROOT / "bench" / "alerts-inventory.yaml"


@cache
def watched():
    return inventory.load(PLACE, environment=DEMO_ENVIRONMENT, pagers={})


@dataclass
class Watched(Simulation):
    """Keeps what went into the core."""

    events: list = field(default_factory=list)

    def _take(self, event):
        self.events.append(event)
        super()._take(event)

    def seen(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


def fault(at, kind, where=None, **values):
    return Fault(at_seconds=at, kind=kind, where=where or Where(), values=values)


def play(*faults, seconds=120.0, sites=("pu-nhi", "sam-mun"), only_lines=True):
    scenario = Scenario(name="t", duration_seconds=seconds, sites=sites, only_lines=only_lines, faults=tuple(faults))
    simulation = Watched(scenario, narrow(watched(), scenario))
    return simulation, simulation.run()


def test_an_acknowledgement_is_about_the_newest_incident_of_its_site():
    simulation, report = play(
        fault(10.0, "cut", Where(site="pu-nhi")),
        fault(40.0, "cut", Where(site="sam-mun")),
        fault(80.0, "human", Where(site="pu-nhi"), action="acknowledge", who="A", note="on my way", lasts=600.0),
        fault(90.0, "human", action="note", who="B", note="storm"),
    )
    opened = {page.incident.sites[0]: page.incident.id for _, page in report.pages if page.kind == "open"}
    first, second = simulation.seen(Human)
    assert (first.incident, first.action, first.who, first.note) == (opened["pu-nhi"], "acknowledge", "A", "on my way")
    assert (first.at, first.until) == (80.0, START_WALL + 680.0)
    assert (second.incident, second.until) == (opened["sam-mun"], None)


def test_a_silence_says_with_a_matcher_what_and_until_when():
    simulation, _ = play(fault(10.0, "human", action="silence", who="A", matcher="site=pu-nhi", lasts=1800.0))
    [said] = simulation.seen(Human)
    assert (said.action, said.matcher, said.incident, said.until) == ("silence", "site=pu-nhi", 0, START_WALL + 1810.0)


def test_the_clock_on_the_wall_steps_and_durations_do_not():
    simulation, _ = play(fault(30.0, "clock", forward=3600.0), fault(60.0, "clock", back=7200.0), seconds=90.0)
    ahead = {event.at: round(event.wall - START_WALL - event.at) for event in simulation.seen(Tick)}
    assert [ahead[at] for at in (29.0, 30.0, 59.0, 60.0, 90.0)] == [0, 3600, 3600, -3600, -3600]
    assert list(ahead) == [float(second) for second in range(91)]


def test_errors_of_ours_are_errors_and_no_failures():
    simulation, _ = play(fault(30.0, "errors_of_ours", state="on", code="EMFILE"), fault(60.0, "errors_of_ours", state="off"))
    found = {(event.outcome, event.code) for event in simulation.seen(Result) if 30 <= event.at < 60}
    assert found == {(Outcome.ERROR, "EMFILE")}
    assert {event.outcome for event in simulation.seen(Result) if not 30 <= event.at < 60} == {Outcome.OK}


def test_a_dead_pager_takes_what_waits_when_it_is_alive_again_and_in_order():
    _, report = play(
        fault(0.0, "pager", state="dead"),
        fault(10.0, "cut", Where(site="pu-nhi")),
        fault(40.0, "restore", Where(site="pu-nhi")),
        fault(80.0, "pager", state="alive"),
        fault(90.0, "cut", Where(site="sam-mun")),
    )
    assert [(record.page.kind, record.delivered_at) for record in report.records if record.at < 80] == [("open", 80.0), ("recover", 80.0)]
    assert [record.delivered_at == record.at for record in report.records if record.at > 80] == [True]


def test_what_a_dead_pager_never_took_is_not_delivered():
    _, report = play(fault(0.0, "pager", state="dead"), fault(10.0, "cut", Where(site="pu-nhi")))
    assert [record.delivered_at for record in report.records] == [None]


def test_a_kill_and_a_reload_read_the_inventory_again():
    simulation, _ = play(fault(30.0, "kill"), fault(60.0, "reload"))
    assert [event.at for event in simulation.seen(Reloaded)] == [30.0, 60.0]


def test_anchors_stay_whatever_a_scenario_is_about_and_are_asked():
    simulation, _ = play(seconds=20.0)
    asked = {event.check.split("/")[0] for event in simulation.seen(Result)}
    assert asked == {"anchors", "pu-nhi", "sam-mun"}
    assert {anchor.check for anchor in watched().anchors} <= {event.check for event in simulation.seen(Result)}


def test_only_lines_leaves_devices_out():
    for only_lines, targets in ((True, {"main"}), (False, {"main", "router", "ups"})):
        simulation, _ = play(seconds=20.0, sites=("sam-mun",), only_lines=only_lines)
        assert {event.check.split("/")[1] for event in simulation.seen(Result) if event.check.startswith("sam-mun")} == targets


def test_a_whole_inventory_is_left_as_it_is():
    assert narrow(watched(), Scenario(name="t", duration_seconds=0.0)) is watched()


@pytest.mark.parametrize("sites", [("pu-nhi",), ("pu-nhi", "na-tau")])
def test_a_narrowed_inventory_holds_together(sites):
    part = narrow(watched(), Scenario(name="t", duration_seconds=0.0, sites=sites))
    assert {check.site for check in part.checks.values()} == set(part.sites) == {*sites, "anchors"}
    assert set(part.primary_checks.values()) <= part.checks.keys()


HARD_AFTER_SECONDS, WAIT_SECONDS = 9.0, 0.2


@pytest.mark.parametrize("cut_at", [30.0, 31.7, 33.1])
@pytest.mark.parametrize("again", [None, 2.3])
def test_a_kill_at_any_time_after_a_cut_costs_no_more_than_the_try_it_interrupted(cut_at, again):
    for tenths in range(0, 160, 9):
        kills = [tenths / 10, *(() if again is None else (tenths / 10 + again,))]
        faults = [fault(cut_at, "cut", Where(site="pu-nhi")), *(fault(cut_at + kill, "kill") for kill in kills)]
        _, report = play(*faults, seconds=65.0)
        [(at, _)] = report.pages
        assert at - cut_at <= max(15.0, kills[0] + HARD_AFTER_SECONDS + WAIT_SECONDS) + len(kills) - 1, kills


def test_a_cut_too_short_for_a_page_pages_nobody_whenever_netwatch_is_killed_meanwhile():
    for tenths in range(0, 100, 7):
        faults = [
            fault(31.0, "cut", Where(site="pu-nhi")),
            fault(31.0 + tenths / 10, "kill"),
            fault(38.9, "restore", Where(site="pu-nhi")),
            fault(32.5 + tenths / 10, "kill"),
        ]
        _, report = play(*sorted(faults, key=lambda one: one.at_seconds), seconds=65.0)
        assert not report.pages, tenths
