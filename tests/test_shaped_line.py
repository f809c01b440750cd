"""Lines that a real kernel shapes (tc tbf): proved and refuted. How exactly they are measured is for the bench: a busy machine shapes badly."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CONTRACT = 20e6


def outcome(rate, direction, burst=30_000, contract=CONTRACT, method="udp"):
    command = [sys.executable, "-m", "tests.shaped_line", str(rate), str(burst), direction, str(contract), method]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.mark.needs_private_network
@pytest.mark.parametrize("direction", ["down", "up"])
@pytest.mark.parametrize(("rate", "verdict"), [(12e6, "refuted"), (17e6, "refuted"), (24e6, "proved"), (40e6, "proved")])
def test_a_shaped_line_is_judged_right_and_measured(rate, direction, verdict):
    told = outcome(rate, direction)
    assert told["verdict"] == verdict, told
    if told["limit_end"] == "line":
        assert told["line_bits_per_second"] == pytest.approx(rate, rel=0.05)
    assert told["bytes"] < 2.8 * CONTRACT / 8


@pytest.mark.needs_private_network
def test_the_kernels_own_policer_does_not_prove_a_line_by_its_burst():
    told = outcome(10e6, "down", burst=200_000)
    assert told["verdict"] == "refuted", told


@pytest.mark.needs_private_network
def test_a_reflector_that_has_written_all_it_may_lets_it_reach_the_other_end():
    """On a slow line much of it still stands in its kernel then; a line at 0.96 of its contract takes it to its cap."""
    told = outcome(9.6e6, "up", burst=0, contract=10e6, method="tcp")
    assert told["reason"] in {"below_contract", "at_contract"}, told
    assert told["limit_end"] == "line"
