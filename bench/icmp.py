"""ICMP beside fping, in a network of our own: CPU a ping at the same pace, false loss, error of the round-trip time.

4,500 loopback targets, five echoes each, 20,000 a second. fping's `-i` is a floor that its timer overshoots, so it is run at
several and the cheapest run that keeps the pace is the one compared with. CPU is user and system time of the whole child
process; ours is given twice, with and without the start of the interpreter, which a daemon pays once.
On loopback the true round trip is some microseconds, so the error is our round trip less fping's median of the same run.
"""

from __future__ import annotations

import asyncio
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from netwatch.lab.namespaces import enter_private_network

ROOT = Path(__file__).parent.parent
COUNT = 5
RATE = 20_000.0
ROUNDS = 3
TARGETS = [f"127.45.{site}.{host}" for site in range(45) for host in range(1, 101)]
PINGS = len(TARGETS) * COUNT
PERIOD_MILLISECONDS = round(len(TARGETS) / RATE * 1000)
FPING_INTERVALS_MILLISECONDS = ("0.05", "0.02", "0.01")
PACE_KEPT = 0.9


def cpu_seconds(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def child(command: list[str]) -> tuple[float, float, subprocess.CompletedProcess[str]]:
    """CPU and wall seconds of a child process from start to end."""
    cpu, wall = cpu_seconds(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    return cpu_seconds(resource.RUSAGE_CHILDREN) - cpu, time.monotonic() - wall, done


async def ours() -> dict[str, object]:
    from probes.icmp import Pinger, ping_many

    pinger = Pinger()
    cpu, wall = cpu_seconds(resource.RUSAGE_SELF), time.monotonic()
    trains = await ping_many(pinger, TARGETS, count=COUNT, rate=RATE, wait=1.0, spacing=PERIOD_MILLISECONDS / 1000)
    cpu, wall = cpu_seconds(resource.RUSAGE_SELF) - cpu, time.monotonic() - wall
    await pinger.aclose()
    rtts = [rtt for train in trains for rtt in train.rtt_seconds]
    return {"cpu": cpu, "wall": wall, "sent": sum(train.sent for train in trains), "rtts": rtts}


def fping(file: str) -> tuple[float, float, list[float]]:
    """CPU seconds, wall seconds and round trips of the cheapest run that keeps the pace."""
    runs = []
    for interval in FPING_INTERVALS_MILLISECONDS:
        cpu, wall, done = child(["fping", "-C", str(COUNT), "-q", "-i", interval, "-p", str(PERIOD_MILLISECONDS), "-t", "1000", "-f", file])
        rtts = [float(word) / 1000 for line in done.stderr.splitlines() for word in line.partition(" : ")[2].split() if word != "-"]
        runs.append((cpu, wall, rtts))
    on_pace = [run for run in runs if PINGS / run[1] >= PACE_KEPT * RATE]
    return min(on_pace or runs[-1:])


def show(name: str, value: float, unit: str, goal: float | None) -> None:
    print(
        json.dumps(
            {"name": name, "value": value, "unit": unit, "goal": goal, "ok": None if goal is None else value <= goal}, ensure_ascii=False
        ),
        flush=True,
    )


def main() -> None:
    enter_private_network()
    ours_cpu, whole_cpu, fping_cpu, paces, lost, errors = [], [], [], [], 0, []
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listing:
        listing.write("\n".join(TARGETS) + "\n")
        listing.flush()
        for _ in range(ROUNDS):
            cpu, _, theirs = fping(listing.name)
            fping_cpu.append(cpu)
            whole, _, done = child([sys.executable, __file__, "--ours"])
            run = json.loads(done.stdout)
            ours_cpu.append(run["cpu"])
            whole_cpu.append(whole)
            paces.append(PINGS / run["wall"])
            lost += PINGS - len(run["rtts"])
            floor = statistics.median(theirs)
            errors.extend(abs(rtt - floor) for rtt in run["rtts"])
    fping_ping, ours_ping, whole_ping = (statistics.median(runs) / PINGS * 1e6 for runs in (fping_cpu, ours_cpu, whole_cpu))
    show("icmp_cpu_ratio_vs_fping", round(ours_ping / fping_ping, 3), "ratio", 1.3)
    show("icmp_false_loss", lost, "echoes", 0)
    show("icmp_rtt_error_p99", round(sorted(errors)[int(0.99 * len(errors))] * 1e6, 1), "µs", 50)
    show("icmp_pace", round(statistics.median(paces)), "echoes/s", None)
    show("icmp_cpu_per_ping", round(ours_ping, 2), "µs", None)
    show("icmp_cpu_per_ping_with_start", round(whole_ping, 2), "µs", None)
    show("icmp_cpu_per_ping_fping", round(fping_ping, 2), "µs", None)


if __name__ == "__main__":
    if sys.argv[1:] == ["--ours"]:
        json.dump(asyncio.run(ours()), sys.stdout)
    else:
        main()
