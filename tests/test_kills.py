"""kill -9 of the whole daemon, at random moments and at named ones, before pagers that fail in every way: bench/kills.py, shortened."""

import asyncio
import sys
from pathlib import Path

import pytest

from netwatch import crash_points

sys.path.insert(0, str(Path(__file__).parent.parent / "bench"))

import kills

KILLS, SEED = 20, 20261124


@pytest.mark.slow
@pytest.mark.timeout(300)  # it takes one minute, on a machine with nothing else to do
@pytest.mark.needs_private_network
def test_no_page_is_lost_and_none_told_twice_under_another_key(tmp_path):
    figures = asyncio.run(kills.run(kills.plan(KILLS, SEED, kills_an_act=5), SEED, tmp_path, at_once=4))
    assert (figures.lost, figures.other_keys, figures.wrong) == ([], [], [])
    assert figures.kills.total() == KILLS
    assert figures.kills.keys() & set(crash_points.POINTS), "no named point was reached"
    assert figures.incidents > KILLS


def test_lives_end_at_every_named_point_and_as_often_at_random():
    ends = [point for act in kills.plan(200, 1) for point in act]
    assert ends.count("") == 100
    assert {ends.count(point) for point in crash_points.POINTS} <= {8, 9}
    assert [len(act) for act in kills.plan(25, 1)] == [10, 10, 5]
