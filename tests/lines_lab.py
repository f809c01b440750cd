"""A child: sites behind one uplink, their lines shaped by the kernel, real reflectors, a real snmpd and the daemon. Prints what came of each step as JSON.

Started as `python -m tests.lines_lab STORY FOLDER`. `na-tau` has a router that counts, `anchor` is the control next to netwatch, `pu-nhi` is behind a
NAT that lets nothing in.
"""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from netwatch import ledger
from netwatch.lab.namespaces import enter
from netwatch.lab.shaped import ETHERNET_BYTES, Shaping, shape
from netwatch.lab.shaped_lines import HUB, ShapedLines, Site, carried
from tests.line_daemon import set_ahead

ROOT = Path(__file__).parent.parent
PORT, DIAL_IN_PORT = 8621, 8622
CONTRACT = 20e6
START = 1_795_500_000.0  # 13:00 in Điện Biên: out of the window, so that nothing is tested but by hand
APART_SECONDS = 3_700.0
CACHE = "1.3.6.1.4.1.8072.1.5.3.1.2.1.3.6.1.2.1.2.2"  # NET-SNMP-AGENT-MIB::nsCacheTimeout of ifTable
INVENTORY = """\
version: 1
language: en
plan: {site_net: "10.45.{n}.0/24", hosts: {main: 254, router: 2, pc: 9}}
defaults:
  contact: noc
  snmp: {community: public}
  line: {carrier: VNPT, contract: 20 Mbps, interface: line}
contacts: {noc: {name: NOC, phone: "113"}}
profiles:
  counting: {role: router, checks: {snmp: {probe: snmp, profile: router, interval: 3s}}}
  far: {role: pc, checks: {icmp: {probe: icmp}}}
roles:
  commune: {lines: {main: {}}, devices: {router: {profile: counting}, pc: {profile: far}}}
sites:
  na-tau: {n: 1, code: "03316", line: {test: {device: pc, token: "${TOKEN}", window: "02:00-03:00", budget: 1 GB}}}
  pu-nhi: {n: 2, code: "03203", line: {test: {dial_in_port: 8622, token: "${TOKEN}", window: "02:00-03:00"}}}
line_tests: {control: {address: 10.45.3.9, token: "${TOKEN}"}}
"""
NAT = """
table ip netwatch {
  chain out { type nat hook postrouting priority 100; ip saddr 10.45.2.0/24 oifname "uplink" masquerade; }
  chain through {
    type filter hook forward priority 0; policy accept;
    oifname "pu-nhi" meta l4proto icmp accept
    oifname "pu-nhi" ct state established,related accept
    oifname "pu-nhi" drop
  }
}
"""
SNMPD = """\
agentaddress udp:10.45.1.2:161,udp:127.0.0.1:161
rocommunity public
rwcommunity private 127.0.0.1
dontLogTCPWrappersConnects yes
"""


class Lab:
    """Everything that was started ends with `close`."""

    def __init__(self, folder):
        self.folder, self.started = folder, []
        plain, names = Shaping(), ("na-tau", "pu-nhi", "anchor")
        sites = [Site(name, tuple(f"10.45.{n}.{host}" for host in (254, 2, 9)), plain, plain) for n, name in enumerate(names, 1)]
        (folder / "token").write_text("bench")
        (folder / "inventory.yaml").write_text(INVENTORY, "utf-8")
        (folder / "meetings.json").write_text("[]")
        self.set_clock(START)
        self.lines = ShapedLines.build(Shaping(rate_bits_per_second=1e9), sites)
        enter(self.lines.router)
        subprocess.run(["nft", "-f", "-"], input=NAT, text=True, check=True, timeout=20)
        enter(self.lines.hub)

    def set_clock(self, wall):
        """The daemon's, now."""
        set_ahead(self.folder, wall - time.time())

    def start(self, where, *words, **more):
        enter(where)
        try:
            self.started.append(subprocess.Popen(words, cwd=ROOT, **more))
        finally:
            enter(self.lines.hub)
        return self.started[-1]

    def close(self):
        for process in self.started:
            process.kill()
            process.wait()
        self.lines.close()

    def rate(self, site, ratio):
        """Both directions of its line carry so much of the contract."""
        shaping = Shaping(rate_bits_per_second=ratio * CONTRACT)
        for namespace, interface in ((self.lines.router, site), (self.lines.sites[site], "line")):
            enter(namespace)
            shape(interface, shaping, ETHERNET_BYTES)
        enter(self.lines.hub)

    def reflector(self, site, *where):
        words = [sys.executable, "-m", "netwatch.reflector", *where, "--token-file", self.folder / "token"]
        with (self.folder / f"{site}.log").open("w") as log:
            return self.start(self.lines.sites[site], *words, stderr=log)

    def snmpd(self, site):
        """One that looks at its counters every second."""
        (self.folder / "snmpd.conf").write_text(SNMPD)
        environment = {**os.environ, "SNMP_PERSISTENT_DIR": str(self.folder / "snmp"), "SNMPCONFPATH": str(self.folder / "snmp")}
        words = [
            "/usr/sbin/snmpd",
            "-f",
            "-Lf",
            self.folder / "snmpd.log",
            "-c",
            self.folder / "snmpd.conf",
            "-p",
            self.folder / "snmpd.pid",
        ]
        self.start(self.lines.sites[site], *words, env=environment)
        enter(self.lines.sites[site])
        words = ["snmpset", "-v2c", "-c", "private", "-t", "1", "-r", "0", "127.0.0.1", CACHE, "i", "1"]
        until(lambda: subprocess.run(words, capture_output=True, check=False, timeout=20).returncode == 0)
        enter(self.lines.hub)

    def daemon(self):
        with (self.folder / "log").open("w") as log:
            self.start(self.lines.hub, sys.executable, "-m", "tests.line_daemon", self.folder, stderr=log)
        until((self.folder / "api.sock").exists)

    def begin(self, site, direction="down"):
        """A test by hand, as a process that waits for its verdict."""
        words = ["line", "test", site, "--direction", direction, "-o", "json", "--socket", self.folder / "api.sock"]
        return self.start(self.lines.hub, sys.executable, "-m", "netwatch", *words, stdout=subprocess.PIPE, text=True)

    def test(self, site, direction="down"):
        return told_by(self.begin(site, direction))

    def verify(self):
        """How `netwatch line verify` ends, and what it says."""
        words = ["line", "verify", "--state", self.folder / "state"]
        ended = subprocess.run(
            [sys.executable, "-m", "netwatch", "--lang", "en", *words], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
        )
        return ended.returncode, ended.stdout + ended.stderr

    def busy(self, site):
        """Whether its line carries a test just now."""
        enter(self.lines.router)
        try:
            before = dict(carried())[site]
            time.sleep(0.05)
            after = dict(carried())[site]
        finally:
            enter(self.lines.hub)
        return (after.down + after.up - before.down - before.up) * 8 > CONTRACT / 2 * (after.at - before.at)

    def metrics(self):
        connection = http.client.HTTPConnection("localhost")
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as link:
            link.connect(str(self.folder / "api.sock"))
            connection.sock = link
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode().splitlines()

    def standing(self):
        """What /metrics says of na-tau: the verdict in force, and whether the line is below its contract."""
        rows = [row for row in self.metrics() if 'site="na-tau",line="main",direction="down"' in row and row.endswith(" 1.0")]
        below = any(row.startswith("netwatch_line_below_contract{") for row in rows)
        (verdict,) = [row.partition('verdict="')[2].partition('"')[0] for row in rows if row.startswith("netwatch_line_verdict{")]
        return verdict, below

    def records(self):
        path = ledger.path_in(self.folder / "state")
        return [one.record for one in ledger.newest_first(path)][::-1] if path.exists() else []


def told_by(asked):
    told = asked.communicate(timeout=240)[0]
    return json.loads(told)["tests"][0] if told else {}


def until(true, seconds=60):
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise SystemExit("waited in vain")
        time.sleep(0.1)


def contract(lab):
    """A line at 60 % of its contract, then at 140 %; and one behind a NAT."""
    lab.rate("na-tau", 0.6)
    lab.rate("pu-nhi", 1.4)
    lab.snmpd("na-tau")
    lab.reflector("na-tau", "--listen", f"10.45.1.9:{PORT}")
    lab.reflector("pu-nhi", "--dial", f"{HUB}:{DIAL_IN_PORT}", "--site", "pu-nhi")
    lab.daemon()
    yield "natted", [lab.test("pu-nhi"), lab.test("pu-nhi", "up")]
    yield "without_control", [lab.test("na-tau"), lab.standing()]
    lab.reflector("anchor", "--listen", f"10.45.3.9:{PORT}")
    time.sleep(3)
    yield "once", [lab.test("na-tau"), lab.standing()]
    lab.set_clock(START + APART_SECONDS)
    time.sleep(10)
    yield "again", [lab.test("na-tau"), lab.standing()]
    lab.rate("na-tau", 1.4)
    yield "faster", [lab.test("na-tau"), lab.standing()]


def trouble(lab):
    """A line that carries its contract, and what goes wrong while it is tested."""
    lab.rate("na-tau", 1.4)
    lab.snmpd("na-tau")
    lab.reflector("anchor", "--listen", f"10.45.3.9:{PORT}")
    lab.daemon()
    yield "nobody", [lab.test("na-tau")]
    for name, act in (("gone", signal.SIGKILL), ("stands_still", signal.SIGSTOP)):
        reflector = lab.reflector("na-tau", "--listen", f"10.45.1.9:{PORT}")
        time.sleep(2)
        asked = lab.begin("na-tau")
        until(lambda: lab.busy("na-tau"))
        reflector.send_signal(act)
        yield name, [told_by(asked)]
        reflector.kill()
        reflector.wait()
    lab.reflector("na-tau", "--listen", f"10.45.1.9:{PORT}")
    time.sleep(2)
    asked = lab.begin("na-tau")
    until(lambda: lab.busy("na-tau"))
    lab.set_clock(START + 7_200.0)
    yield "clock", [told_by(asked)]
    yield "sound", [lab.verify()]
    path = ledger.path_in(lab.folder / "state")
    path.write_bytes(path.read_bytes().replace(b'"verdict":"inconclusive"', b'"verdict":"refuted"', 1))
    yield "edited", [lab.test("na-tau"), lab.verify()]


STORIES = {"contract": contract, "trouble": trouble}


def main(story, folder):
    lab = Lab(folder)
    try:
        told = dict(STORIES[story](lab))
        told["records"] = lab.records()
    finally:
        lab.close()
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
