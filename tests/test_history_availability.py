"""From what is stored to seconds up, down and unknown."""

import pytest

from netwatch.history import _reader, _task
from netwatch.model import Belief, Effects, Subject, Transition
from netwatch.sla import Availability
from tests.history_cases import with_history

OK, CRIT = Belief.OK, Belief.CRIT
START = 1_000_000.0
LINE = "xa-1/line/icmp"


def told(new, wall, *, since=None, hard=True, check=LINE, rule=""):
    old = OK if new is CRIT else CRIT
    return Transition(subject=Subject(check, rule), old=old, new=new, hard=hard, wall=wall, since=wall if since is None else since)


async def watched(history, since, until):
    """Signs of life, as close together as need be."""
    wall = since
    while wall < until:
        await history.heartbeat(wall)
        await history.flush()
        wall += _task.GAP_SECONDS
    await history.heartbeat(until)
    await history.flush()


def found_of(tmp_path, changes, since, until, *, sites=None, alive=(START, START + 1_000)):
    """Times since START."""
    sites = sites or {"xa-1": [LINE]}

    async def body(history):
        await watched(history, *alive)
        await history.commit(Effects(transitions=tuple(changes)), {}, alive[1])
        return await history.availability(sites, START + since, START + until)

    return with_history(tmp_path, body)


def test_what_was_believed_before_the_window_holds_until_something_is_told(tmp_path):
    changes = [told(OK, START + 1), told(CRIT, START + 100), told(OK, START + 300), told(CRIT, START + 350), told(OK, START + 700)]
    assert found_of(tmp_path, changes, 400, 1_000)["xa-1"] == Availability(up=300, down=300)


def test_an_outage_counts_from_its_beginning_also_when_it_is_certain_only_after_the_window(tmp_path):
    late = _reader.CONFIRMED_WITHIN_SECONDS - 1
    changes = [told(OK, START), told(CRIT, START + 500 + late, since=START + 400)]
    assert found_of(tmp_path, changes, 0, 500)["xa-1"] == Availability(up=400, down=100)


def test_an_outage_that_began_before_the_window_and_is_told_within_it_is_down_from_the_windows_start(tmp_path):
    changes = [told(OK, START), told(CRIT, START + 120, since=START + 90)]
    assert found_of(tmp_path, changes, 100, 200)["xa-1"] == Availability(down=100)


def test_soft_changes_and_those_of_a_rule_do_not_count(tmp_path):
    changes = [
        told(OK, START),
        told(CRIT, START + 100, hard=False),
        told(CRIT, START + 200, rule="loss"),
        told(CRIT, START + 300, check="xa-1/other/icmp"),
        told(CRIT, START + 390, hard=False),
        told(CRIT, START + 395, rule="loss"),
    ]
    assert found_of(tmp_path, changes, 0, 1_000)["xa-1"] == Availability(up=1_000)
    assert found_of(tmp_path / "later", changes, 400, 1_000)["xa-1"] == Availability(up=600)


def test_each_site_is_of_its_own_lines_and_one_line_is_enough(tmp_path):
    other = "xa-2/line/icmp"
    changes = [told(OK, START), told(OK, START, check=other), told(CRIT, START + 100), told(CRIT, START + 600, check=other)]
    sites = {"xa-1": [LINE], "xa-2": [other], "both": [LINE, other], "none": []}
    assert found_of(tmp_path, changes, 0, 1_000, sites=sites) == {
        "xa-1": Availability(up=100, down=900),
        "xa-2": Availability(up=600, down=400),
        "both": Availability(up=600, down=400),
        "none": Availability(unknown=1_000),
    }


def test_while_netwatch_did_not_run_nothing_is_known(tmp_path):
    async def first(history):
        await history.commit(Effects(transitions=(told(OK, START),)), {}, START)
        await watched(history, START, START + 240)

    async def second(history):
        await watched(history, START + 600, START + 840)
        found = await history.availability({"xa-1": [LINE]}, START, START + 1_000)
        assert found["xa-1"] == Availability(up=480, unknown=520)
        found = await history.availability({"xa-1": [LINE]}, START + 240, START + 600)
        assert found["xa-1"] == Availability(unknown=360)

    with_history(tmp_path, first)
    with_history(tmp_path, second)


def test_a_process_that_slept_or_whose_clock_leapt_did_not_watch_meanwhile(tmp_path):
    async def body(history):
        await history.commit(Effects(transitions=(told(OK, START),)), {}, START)
        await history.heartbeat(START + _task.GAP_SECONDS)
        await history.flush()
        await history.heartbeat(START + 2 * _task.GAP_SECONDS + 1)
        await history.flush()
        await history.commit(Effects(), {}, START + 300)
        found = await history.availability({"xa-1": [LINE]}, START, START + 300)
        assert found["xa-1"].unknown == pytest.approx(_task.GAP_SECONDS + 1)

    with_history(tmp_path, body)
