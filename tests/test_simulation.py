"""The shipped scenarios, through the real scheduler's rules and the real decisions, on a virtual clock."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from netwatch import inventory
from netwatch.lab import scenario_file
from netwatch.lab.faults import Expect, ExpectedPage, Fault, Scenario, Where
from netwatch.lab.simulation import Simulation, narrow
from netwatch.lab.stage import DEMO_ENVIRONMENT
from netwatch.model import Cause

ROOT = Path(__file__).parent.parent
A_DAY = "lossy-for-a-day"


@cache
def watched():
    return inventory.load(ROOT / "inventory.yaml", environment=DEMO_ENVIRONMENT, pagers={})


@cache
def shipped(name):
    return scenario_file.load(scenario_file.find(name), watched())


def play(scenario):
    return Simulation(scenario, narrow(watched(), scenario)).run()


@pytest.mark.parametrize("name", scenario_file.shipped())
def test_a_shipped_scenario_ends_as_it_says(name):
    report = play(shipped(name))
    assert (report.missing, [(at, page.incident.key) for at, page in report.unexpected]) == ((), [])
    assert report.as_expected


@pytest.mark.parametrize("name", [name for name in scenario_file.shipped() if name not in {A_DAY, "demo"}])
@pytest.mark.parametrize("seed", [2, 3])
def test_it_does_not_hang_on_the_seed(name, seed):
    assert play(replace(shipped(name), seed=seed)).as_expected


def test_every_opening_is_followed_by_its_own_recovery():
    for name in scenario_file.shipped():
        if name == A_DAY:
            continue
        told = {}
        for _, page in play(shipped(name)).pages:
            told.setdefault(page.incident.id, []).append(page.kind)
        assert all((kinds[0], kinds[-1], kinds.count("open")) == ("open", "recover", 1) for kinds in told.values()), name


@pytest.mark.soak
def test_a_line_that_loses_a_twentieth_is_never_called_down():
    told = [page.incident.key for _, page in play(replace(shipped(A_DAY), seed=2)).pages]
    assert told == ["netwatch/digest/2026-11-24"]


@pytest.mark.parametrize("name", ["cut-both-lines", "kill-meanwhile", "demo"])
def test_the_same_seed_gives_the_same_report(name):
    assert play(shipped(name)) == play(shipped(name))


def test_other_dice_give_another_run():
    scenario = Scenario(name="dice", duration_seconds=300.0, sites=("pu-nhi",), faults=(loss(0.3),))
    reports = [play(replace(scenario, seed=seed)) for seed in (1, 2)]
    assert reports[0].runs != reports[1].runs or reports[0].transitions != reports[1].transitions


def loss(ratio):
    return Fault(at_seconds=0.0, kind="loss", where=Where(site="pu-nhi"), values={"ratio": ratio})


def expecting(name, *pages, none_else=True):
    return replace(shipped(name), expect=Expect(pages=pages, none_else=none_else))


SITE_PAGE = ExpectedPage(open_before_seconds=46.0, recover_before_seconds=160.0, cause=Cause("site", "pu-nhi"), sites=("pu-nhi",))


@pytest.mark.parametrize(
    "change",
    [
        {"open_before_seconds": 35.0},
        {"recover_before_seconds": 150.0},
        {"cause": Cause("line", "pu-nhi/main")},
        {"sites": ("na-tau",)},
        {"sites": ("pu-nhi", "na-tau")},
    ],
)
def test_an_expectation_that_is_not_met_is_reported(change):
    report = play(expecting("cut-single-line", replace(SITE_PAGE, **change), none_else=False))
    assert not report.as_expected
    assert len(report.missing) == 1
    assert report.unexpected == ()


def test_one_page_meets_one_expectation():
    assert play(expecting("cut-single-line", SITE_PAGE)).as_expected
    assert len(play(expecting("cut-single-line", SITE_PAGE, SITE_PAGE)).missing) == 1


def test_a_page_that_nobody_expects_is_reported_if_none_else_may_come():
    report = play(expecting("cut-single-line"))
    assert [page.incident.cause.name for _, page in report.unexpected] == ["pu-nhi"]
    assert play(expecting("cut-single-line", none_else=False)).as_expected


def test_without_expectations_nothing_is_judged():
    report = play(replace(shipped("cut-single-line"), expect=None))
    assert report.as_expected
    assert len(report.pages) == 2


KINDS = {"happens", "open", "update", "recovered"}


def simulate(*arguments):
    environment = {**os.environ, "NETWATCH_LANG": "en"}
    command = [sys.executable, "-m", "netwatch", "simulate", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_the_command_says_what_is_missing_and_what_was_not_expected(tmp_path):
    text = (ROOT / "netwatch/lab/scenarios/cut-single-line.yaml").read_text("utf-8")
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(text.replace("cause: {type: site, name: pu-nhi}", "cause: {type: line, name: pu-nhi/main}"), "utf-8")
    silent = tmp_path / "silent.yaml"
    silent.write_text(text.partition("expect:")[0], "utf-8")
    assert simulate("cut-single-line", str(silent)).returncode == 0
    ended = simulate(str(wrong))
    assert ended.returncode == 1
    assert "WRONG about pu-nhi/main (netwatch/pu-nhi): cause" in ended.stderr
    assert "NOT EXPECTED" in ended.stderr


def test_the_timeline_tells_faults_and_pages_in_order_of_time():
    lines = simulate("cut-single-line").stdout.splitlines()
    assert [kind for line in lines for kind in line.split()[1:2] if kind in KINDS] == ["happens", "open", "happens", "recovered"]
    assert any("0:00:31.0" in line and "cut pu-nhi" in line for line in lines)


def test_as_json_a_scenario_is_one_object_with_its_pages():
    ended = simulate("cut-single-line", "cut-too-short", "--json")
    told, quiet = [json.loads(line) for line in ended.stdout.splitlines()]
    assert (ended.returncode, quiet["name"], quiet["pages"]) == (0, "cut-too-short", [])
    assert set(told) == {"name", "pages", "transitions"}
    assert [page["kind"] for page in told["pages"]] == ["open", "recover"]
    assert set(told["pages"][0]) == {"at", "kind", "key", "cause", "sites", "pager", "title"}
    assert (told["pages"][0]["cause"], told["pages"][0]["sites"]) == ({"type": "site", "name": "pu-nhi"}, ["pu-nhi"])
    assert 31 < told["pages"][0]["at"] <= 46
