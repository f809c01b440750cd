"""kill -9 while samples and transitions are written: what was acknowledged is there, and the file is sound."""

import functools
import random
import subprocess
import sys
from pathlib import Path

from netwatch.history import describe, findings
from tests.history_cases import with_history

CHILD = [sys.executable, "-m", "tests.history_child", "write"]
ROOT = Path(__file__).parent.parent
KILLS = 20


def killed_after(directory, lines):
    """Starts the writer, kills it when it has said so many lines, returns all it said."""
    with subprocess.Popen([*CHILD, str(directory)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        try:
            said = [child.stdout.readline() for _ in range(lines)]
        finally:
            child.kill()
        rest = child.stdout.read()  # not communicate(), which loses what readline() has read ahead
        errors = child.stderr.read()
        assert child.wait(30) == -9, errors
    return [line.split() for line in [*said, *rest.splitlines()] if line]


def numbers(lines, word):
    return {int(line[1]) for line in lines if line[0] == word}


async def nothing_is_missing(history, lines):
    tried, committed, sent = numbers(lines, "trying"), numbers(lines, "committed"), numbers(lines, "sent")
    stored = [int(change.detail) for change in await history.transitions(limit=1_000_000)]
    assert len(stored) == len(set(stored))
    assert committed <= set(stored) <= tried
    found = await history.load()
    assert {one.id for one in found.incidents} == set(stored)
    pending = {row.page.incident.id for row in found.outbox}
    # A page waits, or its acceptance is stored; only where the kill fell between the two may it be either.
    assert committed - pending <= {number for number in committed if number % 3 == 0}
    assert not pending & sent
    assert pending <= set(stored)
    assert {number for number, _ in found.threads} == set(stored) - pending
    assert found.world_state == (f"world {max(stored)}" if stored else None)
    assert sorted(human.incident for human in await history.humans(limit=1_000_000)) == sorted(stored)
    assert found.next_incident_id == max(stored, default=0) + 1
    assert dict(found.memories) == ({"xa-1/line/icmp": str(max(stored))} if stored else {})


def test_kill_9_at_random_moments_loses_no_acknowledged_transition_and_no_page(tmp_path):
    moments = random.Random(20261124)
    lines = []
    for _ in range(KILLS):
        lines += killed_after(tmp_path, moments.randint(1, 120))
        assert findings(tmp_path / "netwatch.db") == []
        with_history(tmp_path, functools.partial(nothing_is_missing, lines=lines))
    assert len(numbers(lines, "committed")) > KILLS
    assert describe(tmp_path / "netwatch.db").rows["rollup_5m"] > 0


def test_a_killed_daemons_directory_is_free_again_at_once(tmp_path):
    killed_after(tmp_path, 10)
    with_history(tmp_path, lambda history: history.load())
