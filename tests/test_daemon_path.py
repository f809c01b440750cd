"""A line is cut behind a real router: the daemon traces the path by itself and the incident tells where it ends."""

import subprocess
import sys

import pytest

from tests.icmp_peer import WITHOUT_RAW_SOCKETS
from tests.test_daemon import ROOT
from tests.test_hops import TOPOLOGY

INVENTORY = """\
version: 1
language: en
listen: 127.0.0.1:9780
plan: {site_net: "127.46.{n}.0/24", hosts: {}}
roles: {commune: {}}
sites:
  na-tau:
    n: 34
    code: "03316"
    lines:
      main:
        address: 10.201.0.2
        checks: {icmp: {probe: icmp, interval: 2s, timeout: 1500ms, retry: 1s, attempts: 2, hard_after: 1s, count: 1}}
"""
# In the network of the daemon: waits until the line is up, cuts it at its far end, and prints what the incident tells of the path.
STORY = """
import asyncio, os, subprocess, sys
from pathlib import Path
import aiohttp
from netwatch import inventory
from netwatch.daemon import Daemon

here = Path(sys.argv[1])

async def asked(client, wanted):
    while True:
        async with client.get("http://localhost/api/v1/sites/na-tau") as answer:
            found = wanted(await answer.json())
            if found:
                return found
        await asyncio.sleep(0.1)

async def main():
    path = here / "inventory.yaml"
    daemon = Daemon(inventory_path=path, state_directory=here / "state", load=lambda: inventory.load(path, environment={}),
                    control_path=here / "api.sock")
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(daemon.run())
        while not (here / "api.sock").exists():
            await asyncio.sleep(0.05)
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(here / "api.sock"))) as client:
            await asked(client, lambda site: site["up"] is True)
            subprocess.run(["nsenter", "--target", os.environ["BEYOND"], "--net", "ip", "link", "set", "b0", "down"], check=True)
            facts = await asked(client, lambda site: next((i["facts"] for i in site["incidents"] if "path" in i["facts"]), None))
            print({name: facts.get(name) for name in ("path_to", "path_end", "path_hops")}, facts["path"][:13])
        daemon.stop()

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.needs_private_network
@pytest.mark.parametrize("before", [(), pytest.param(WITHOUT_RAW_SOCKETS, marks=pytest.mark.soak)], ids=["raw", "ping"])
def test_the_incident_of_a_line_that_is_cut_tells_which_router_answered_last(tmp_path, before):
    (tmp_path / "inventory.yaml").write_text(INVENTORY, "utf-8")
    command = ["unshare", "--net", "bash", "-c", TOPOLOGY, "trace", *before, sys.executable, "-c", STORY, str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    expected = "{'path_to': '10.201.0.2', 'path_end': '10.200.0.2', 'path_hops': '1'} 1 10.200.0.2 \n"
    assert (ended.returncode, ended.stdout) == (0, expected), ended.stderr
