"""CPU and memory of the whole daemon beside Prometheus + blackbox_exporter + snmp_exporter: 45 sites × 15 devices.

Both watch the same loopback targets at the same time, in a network namespace with nothing else: every line by ICMP each
5 s, every device by ICMP each 10 s (five echoes of ours, one of blackbox_exporter's) and by SNMP each 60 s. The SNMP
agent is a process of its own and counts for nobody.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from snmp import COMMUNITY, EXPORTER, agent, cpu_seconds_of, exporter_config, report

SITES, DEVICES = 45, 15
WARM_SECONDS, MEASURED_SECONDS = 140.0, 60.0  # past the second SNMP poll, whose rates are new series
NET = "127.46.{n}.0/24"


def inventory(port: int, snmp_port: int) -> str:
    """45 sites with a line and 15 devices each."""
    from netwatch.inventory._communes import communes

    hosts = ", ".join(["main: 254", *(f"d{number}: {number}" for number in range(1, DEVICES + 1))])
    devices = ", ".join(f"d{number}: {{profile: box}}" for number in range(1, DEVICES + 1))
    codes = sorted(communes())[:SITES]
    sites = "\n".join(f'  s{number}: {{n: {number}, code: "{code}"}}' for number, code in enumerate(codes, 1))
    return f"""\
version: 1
listen: 127.0.0.1:{port}
plan: {{site_net: "{NET}", hosts: {{{hosts}}}}}
defaults: {{contact: noc, snmp: {{community: "{COMMUNITY}"}}, line: {{carrier: VNPT, contract: 100 Mbps}}}}
contacts: {{noc: {{name: NOC, phone: "113"}}}}
profiles:
  box:
    role: router
    checks:
      icmp: {{probe: icmp, interval: 10s}}
      snmp: {{probe: snmp, profile: router, port: {snmp_port}, interval: 60s}}
roles: {{commune: {{lines: {{main: {{}}}}, devices: {{{devices}}}}}}}
sites:
{sites}
"""


def addresses() -> tuple[list[str], list[str]]:
    lines = [f"127.46.{site}.254" for site in range(1, SITES + 1)]
    return lines, [f"127.46.{site}.{device}" for site in range(1, SITES + 1) for device in range(1, DEVICES + 1)]


def prometheus_config(blackbox: int, exporter: int, snmp_port: int) -> str:
    lines, devices = addresses()

    def job(name: str, seconds: int, targets: list[str], module: str, at: int, path: str) -> dict[str, object]:
        return {
            "job_name": name,
            "scrape_interval": f"{seconds}s",
            "scrape_timeout": f"{min(seconds, 5)}s",
            "metrics_path": path,
            "params": {"module": [module]},
            "static_configs": [{"targets": targets}],
            "relabel_configs": [
                {"source_labels": ["__address__"], "target_label": "__param_target"},
                {"source_labels": ["__param_target"], "target_label": "instance"},
                {"target_label": "__address__", "replacement": f"127.0.0.1:{at}"},
            ],
        }

    jobs = [
        job("lines", 5, lines, "icmp", blackbox, "/probe"),
        job("devices", 10, devices, "icmp", blackbox, "/probe"),
        job("snmp", 60, [f"{device}:{snmp_port}" for device in devices], "if_mib", exporter, "/snmp"),
    ]
    return json.dumps({"scrape_configs": jobs})  # JSON is YAML


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@contextlib.contextmanager
def running(*command: str, environment: dict[str, str] | None = None, log: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    output = log.open("wb") if log else subprocess.DEVNULL
    with subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment) as process:
        try:
            yield process
        finally:
            process.terminate()


def peers(folder: Path, snmp_port: int, stack: contextlib.ExitStack) -> dict[str, int]:
    blackbox, exporter, prometheus = free_port(), free_port(), free_port()
    (folder / "blackbox.yml").write_text(
        '{"modules": {"icmp": {"prober": "icmp", "timeout": "4s", "icmp": {"preferred_ip_protocol": "ip4"}}}}'
    )
    (folder / "snmp.yml").write_text(exporter_config())
    (folder / "prometheus.yml").write_text(prometheus_config(blackbox, exporter, snmp_port))
    listen = "--web.listen-address=127.0.0.1:{}".format
    commands = {
        "blackbox_exporter": (
            "prometheus-blackbox-exporter",
            f"--config.file={folder}/blackbox.yml",
            listen(blackbox),
            "--log.level=error",
        ),
        "snmp_exporter": (EXPORTER, f"--config.file={folder}/snmp.yml", listen(exporter), "--log.level=error"),
        "prometheus": (
            "prometheus",
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/tsdb",
            listen(prometheus),
            "--log.level=error",
        ),
    }
    return {name: stack.enter_context(running(*command)).pid for name, command in commands.items()}


def resident_mebibytes(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text("ascii", "replace").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def summary(port: int) -> dict[str, object]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/summary", timeout=10) as answer:
        return json.load(answer)


def main() -> None:
    from netwatch.lab.namespaces import enter_private_network

    missing = [name for name in ("prometheus", "prometheus-blackbox-exporter", EXPORTER) if shutil.which(name) is None]
    if missing:
        sys.exit(f"bench/daemon.py needs {', '.join(missing)}: run tests/install-peers")
    enter_private_network()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder, port = Path(name), free_port()
        snmp_port = stack.enter_context(agent())
        (folder / "inventory.yaml").write_text(inventory(port, snmp_port), "utf-8")
        command = (
            sys.executable,
            "-m",
            "netwatch",
            "run",
            "-i",
            f"{folder}/inventory.yaml",
            "--state",
            f"{folder}/state",
            "--log-level",
            "warning",
        )
        ours = stack.enter_context(running(*command, environment={**os.environ}, log=folder / "log")).pid
        theirs = peers(folder, snmp_port, stack)
        time.sleep(WARM_SECONDS)
        pids = {"netwatch": ours, **theirs}
        before = {who: cpu_seconds_of(pid) for who, pid in pids.items()}
        time.sleep(MEASURED_SECONDS)
        used = {who: (cpu_seconds_of(pid) - before[who]) / MEASURED_SECONDS for who, pid in pids.items()}
        memory = {who: resident_mebibytes(pid) for who, pid in pids.items()}
        counts = summary(port)["counts"]
        sound = counts["ok"] == SITES
        if not sound:
            sys.stderr.write((folder / "log").read_text("utf-8", "replace")[-3000:])
    others = sum(share for who, share in used.items() if who != "netwatch")
    for who, share in used.items():
        if who != "netwatch":
            report(f"{who}_cpu", share * 100, "percent of a core", None, ok=True)
    report("daemon_peers_memory", sum(size for who, size in memory.items() if who != "netwatch"), "MiB", None, ok=True)
    report("daemon_cpu", used["netwatch"] * 100, "percent of a core", "<= 4", ok=sound and used["netwatch"] <= 0.04)
    report("daemon_memory", memory["netwatch"], "MiB", "<= 150", ok=sound and memory["netwatch"] <= 150)
    report(
        "daemon_cpu_ratio_vs_prometheus_stack",
        used["netwatch"] / others,
        "ratio",
        "<= 0.15",
        ok=sound and used["netwatch"] <= 0.15 * others,
    )


if __name__ == "__main__":
    main()
