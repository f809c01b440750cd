"""Line tests from end to end: the daemon, real reflectors, a real snmpd and lines that the kernel shapes, in networks of their own."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from netwatch.lab import network

ROOT = Path(__file__).parent.parent
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(bool(network.why_not()), reason="no network namespaces here"),
    pytest.mark.skipif(not all(map(shutil.which, ("ip", "tc", "nft", "snmpd", "snmpset"))), reason="no ip, tc, nft, snmpd or snmpset here"),
]


def told(story, folder):
    command = [sys.executable, "-m", "tests.lines_lab", story, str(folder)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert ended.returncode == 0, ended.stderr + (folder / "log").read_text("utf-8")[-3_000:]
    return json.loads(ended.stdout)


@pytest.mark.soak
def test_a_line_is_below_its_contract_only_after_two_refutations_at_two_times_with_a_control_that_passed(tmp_path):
    found = told("contract", tmp_path)
    assert [one["verdict"] for one in found["natted"]] == ["proved", "proved"], found["natted"]
    steps = {}
    for name in ("without_control", "once", "again", "faster"):
        test, standing = found[name]
        steps[name] = (test["verdict"], test["reason"], *standing)
    assert steps == {
        "without_control": ("inconclusive", "control", "inconclusive", False),
        "once": ("refuted", "below", "refuted", False),
        "again": ("refuted", "below", "refuted", True),
        "faster": ("proved", "measured", "proved", False),
    }
    refuted = [one for one in found["records"] if one["verdict"] == "refuted"]
    for record in refuted:
        assert record["inputs"]["control"]["low"] >= record["contract_bits_per_second"]
        assert abs(record["value_bits_per_second"] / 12e6 - 1) < 0.02
        assert record["inputs"]["cross_bits_per_second"]["high"] < 4e6


def test_what_goes_wrong_during_a_test_decides_nothing_and_says_what_it_was(tmp_path):
    found = told("trouble", tmp_path)
    (nobody,) = found["nobody"]
    assert nobody["failed"] == "refused", nobody
    reasons = {name: (found[name][0]["verdict"], found[name][0]["reason"]) for name in ("gone", "stands_still", "clock")}
    assert reasons["gone"] == ("inconclusive", "peer_gone")
    assert reasons["stands_still"][0] == "inconclusive"
    assert reasons["stands_still"][1] in {"peer_silent", "nothing_arrived", "stalled"}
    assert reasons["clock"] == ("inconclusive", "clock")
    assert found["sound"][0][0] == 0, found["sound"]
    test, (code, said) = found["edited"]
    assert test["verdict"] == "proved"
    assert (code, "Record 1: changed" in said) == (1, True), said
    assert not [one for one in found["records"] if one["verdict"] == "refuted" and one["number"] != 1]
