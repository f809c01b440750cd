"""The moments at which a test can have the daemon die."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from netwatch import crash_points

ROOT = Path(__file__).parent.parent


def test_nothing_happens_where_nobody_asked_for_it():
    for point in crash_points.POINTS:
        crash_points.reached(point)
        crash_points.soon_after(point)


@pytest.mark.parametrize("times", [1, 3])
def test_it_acts_once_at_the_named_point_the_nth_time(times):
    acted = []
    watch = crash_points._watch(f"after-commit:{times}", lambda: acted.append("now"))
    seen = []
    for _ in range(5):
        watch("before-commit")
        watch("after-commit")
        seen.append(len(acted))
    assert seen == [0] * (times - 1) + [1] * (6 - times)


def test_a_point_there_is_none_of_is_refused():
    with pytest.raises(ValueError, match=r"there is no after-lunch; there are in-migration"):
        crash_points._watch("after-lunch", crash_points.die)


@pytest.mark.parametrize("function", ["reached", "soon_after"])
def test_it_dies_as_by_kill_9(function):
    script = f"import time; from netwatch import crash_points; crash_points.{function}('in-commit'); time.sleep(60)"
    died = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env={crash_points.VARIABLE: "in-commit"}, timeout=30, check=False)
    assert died.returncode == -9


def test_every_point_is_in_the_program_and_no_other():
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "netwatch").rglob("*.py") if path.name != "crash_points.py")
    assert set(re.findall(r'crash_points\.(?:reached|soon_after)\("([\w-]+)"\)', sources)) == set(crash_points.POINTS)
