"""The real lab before a real Alertmanager and pagers that fail in every way: bench/lab_pagers.py on a short story."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from netwatch.lab import network

ROOT = Path(__file__).parent.parent
SCENARIO = """\
name: ring-within-a-minute
duration: 2m
faults:
  - {at: 12s, cut: {tag: {ring: tuan-giao}}}
  - {at: 35s, reload: {}}
  - {at: 55s, restore: {tag: {ring: tuan-giao}}}
expect:
  pages:
    - {open_before: 30s, recover_before: 2m, cause: {type: tag, name: "ring=tuan-giao"}, sites: [pu-nhung, muong-mun, chieng-sinh, quai-to]}
"""


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.skipif(bool(network.why_not()), reason="no network namespaces or no /dev/net/tun here")
def test_an_incident_of_the_lab_opens_and_closes_at_every_far_end_though_netwatch_is_killed(tmp_path):
    scenario = tmp_path / "ring.yaml"
    scenario.write_text(SCENARIO, "utf-8")
    command = [sys.executable, str(ROOT / "bench" / "lab_pagers.py"), "--scenario", str(scenario), "--kills", "1"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=220, check=False)
    assert run.stdout, run.stderr
    told = json.loads(run.stdout)
    assert (told["wrong"], told["kills"], told["reloads"], told["incidents"]) == ([], 1, 1, 1)
