"""The scripted situations of bench/meeting, those about one place on a province of a few: level and first reason as a technician should be told."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "bench"))
from conference import play, situations, watched

NEAR = ("pu-nhi", "na-son", "na-tau", "cau-hop")
ABOUT_ONE = [one for one in situations() if one.others_go and one.place in NEAR]
TOLD_OTHERWISE = frozenset({"router-rebooted"})  # a router that was off is said to be well again: its line answered all the time


@pytest.fixture(scope="module")
def province():
    return watched()


def test_there_are_sixty():
    assert len({one.name for one in situations()}) == 60


@pytest.mark.parametrize("situation", [one for one in ABOUT_ONE if one.name not in TOLD_OTHERWISE], ids=lambda one: one.name)
def test_the_place_is_judged_rightly_and_no_other_is_held_up(province, situation):
    assert play(situation, province, NEAR) == ""
