"""A few of the lines of bench/line.py, at a kernel's own pace: none may be judged wrong. The bench measures hundreds."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from netwatch.lab import network

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.skipif(bool(network.why_not()), reason="no network namespaces or no /dev/net/tun here")
@pytest.mark.skipif(not all(map(shutil.which, ("tc", "iperf3"))), reason="no tc or no iperf3 here")
def test_no_line_of_the_quick_bench_is_judged_wrong_nor_costs_more_than_it_may():
    command = [sys.executable, str(ROOT / "bench" / "line.py"), "--quick"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=220, check=False)
    told = {one["name"]: one for one in map(json.loads, run.stdout.splitlines())}
    assert "line_reasons" in told, run.stderr
    wrong = {name: one["value"] for name, one in told.items() if name.endswith("_wrong")}
    assert set(wrong) == {"line_udp_wrong", "line_udp_10_wrong", "line_udp_300_wrong", "line_policer_wrong"}
    assert not any(wrong.values())
    # What a machine with too much to do measured says nothing, and then there is no figure.
    for name, one in told.items():
        if name.endswith(("_bytes_median", "_error_of_the_rate_most", "_bytes_most", "_seconds_most")):
            assert one["ok"] is not False, one
