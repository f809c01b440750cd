"""What the link emulator can carry, and what it costs: TCP through a 100 Mbit/s line, and echoes at the daemon's pace."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from netwatch.lab.client import ask
from netwatch.lab.lab import Lab
from netwatch.lab.namespaces import enter
from netwatch.model import Device, Inventory, Line, Site

SITES = 45
DEVICES = 8
SECONDS = 8
TICKS = os.sysconf("SC_CLK_TCK")


def inventory() -> Inventory:
    sites = {}
    for number in range(1, SITES + 1):
        net = f"10.45.{number}"
        line = Line(id="main", address=f"{net}.254", contract_down_bits_per_second=100e6, contract_up_bits_per_second=100e6)
        devices = {
            f"d{host}": Device(id=f"d{host}", address=f"{net}.{host}", profile="router", role="router", parents=(("main",),))
            for host in range(1, DEVICES + 1)
        }
        sites[f"s{number}"] = Site(id=f"s{number}", name=f"s{number}", lines={"main": line}, devices=devices)
    return Inventory(sites=sites, checks={})


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def tell(name: str, value: float, unit: str, goal: str = "", ok: bool | None = None) -> None:
    print(json.dumps({"name": name, "value": round(value, 4), "unit": unit, "goal": goal, "ok": ok}), flush=True)


def carry_tcp(lab: Lab, emulator: int) -> None:
    """iperf3 from a site to the hub: goodput is 0.957 of the IP rate when nothing is lost (1448 of 1500 + timestamps)."""
    enter(lab.networks.sites)
    server = subprocess.Popen(["iperf3", "-s", "-1", "--forceflush", "-B", "10.45.7.1"], stdout=subprocess.PIPE, text=True)
    enter(lab.networks.hub)
    for line in server.stdout or ():
        if "listening" in line:
            break
    before = cpu_seconds(emulator)
    command = ["iperf3", "-c", "10.45.7.1", "-R", "-t", str(SECONDS), "-O", "2", "-J"]
    run = subprocess.run(command, check=True, capture_output=True, text=True, timeout=SECONDS * 4)
    spent = cpu_seconds(emulator) - before
    server.wait(10)
    goodput = json.loads(run.stdout)["end"]["sum_received"]["bits_per_second"]
    tell("lab_tcp_goodput", goodput / 1e6, "Mbit/s", ">= 95", goodput >= 95e6)
    tell("lab_emulator_cpu_at_100_mbps", spent / (SECONDS + 2), "cores")


def carry_echoes(emulator: int) -> None:
    """What a daemon sends to 45 sites: five echoes to each line every 5 s and to each of 8 devices every 10 s."""
    addresses = [f"10.45.{site}.{host}" for site in range(1, SITES + 1) for host in (254, *range(1, DEVICES // 2 + 1))]
    before = cpu_seconds(emulator)
    command = ["fping", "-q", "-i", "4", "-p", "1000", "-c", str(SECONDS), "-t", "1000", *addresses]
    run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=SECONDS * 4)
    lost = [line for line in run.stderr.splitlines() if "/0%" not in line]
    spent = cpu_seconds(emulator) - before
    tell("lab_echoes_per_second", len(addresses), "1/s")
    tell("lab_false_loss_targets", len(lost), "targets", "0", not lost)
    tell("lab_emulator_cpu_at_daemons_pace", spent / SECONDS, "cores", "<= 0.05", spent <= 0.05 * SECONDS)


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        lab = Lab.start(inventory(), Path(directory) / "lab.sock", community="lab")
        try:
            if lab.mode != "namespaces":
                raise SystemExit(f"no lines here: {lab.why_not}")
            emulator, _devices = lab.children
            ask(lab.control_path, {"fault": {"delay": {"site": "s7", "round_trip": "20ms", "jitter": 0}}})
            carry_tcp(lab, emulator)
            carry_echoes(emulator)
        finally:
            lab.close()


if __name__ == "__main__":
    main()
