"""CPU of one SNMP poll (sysUpTime and 4 interfaces × 10 columns): ours beside snmp_exporter's scrape and pysnmp's GET.

All ask the same agent for the same objects in one run, in a network namespace with nothing but loopback. The agent is
a process of its own: its CPU counts for nobody.
"""

import asyncio
import contextlib
import http.client
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from probes import Reading, Secret, Shared, Target

TARGETS = [f"127.50.{number // 100}.{number % 100 + 1}" for number in range(450)]
ROUNDS = 9
PYSNMP_TARGETS = 90  # it is slow
COMMUNITY = PASSWORD = "benchmark"
POLLS = 50
EXPORTER = "prometheus-snmp-exporter"
PORTS = 4


def objects() -> dict[tuple[int, ...], Any]:
    """SNMPv2-MIB and IF-MIB of a device with four ports."""
    from netwatch.lab import ber

    numbers = {7: 1, 8: 1, 3: 6}
    rows = {}
    for index in range(1, PORTS + 1):
        low, high = (1, 3, 6, 1, 2, 1, 2, 2, 1), (1, 3, 6, 1, 2, 1, 31, 1, 1, 1)
        rows |= {(*low, column, index): ber.integer(value) for column, value in numbers.items()}
        rows |= {(*low, column, index): ber.counter32(3_000_000_000 + index) for column in (13, 14, 19, 20)}
        rows |= {
            (*low, 2, index): ber.text(f"ether{index}"),
            (*high, 1, index): ber.text(f"ether{index}"),
            (*high, 18, index): ber.text(""),
        }
        rows |= {(*high, column, index): lambda _device, now, rate=1000 * index: ber.counter64(int(rate * now)) for column in (6, 10)}
        rows |= {(*high, 15, index): ber.gauge(1000), (*high, 19, index): ber.ticks(0)}
    return rows | {
        (1, 3, 6, 1, 2, 1, 1, 2, 0): ber.object_id((1, 3, 6, 1, 4, 1, 14988, 1)),
        (1, 3, 6, 1, 2, 1, 1, 3, 0): lambda _device, now: ber.ticks(int(now * 100)),
        (1, 3, 6, 1, 2, 1, 31, 1, 5, 0): ber.ticks(0),
    }


async def serve_agent() -> None:
    from netwatch.lab.agent import Agent, Layout, LayoutView

    layout = Layout(objects())
    agent = Agent(lambda _address: LayoutView(layout, None, time.monotonic(), {}), COMMUNITY.encode(), 0, loopback_only=True)
    print(agent.port, flush=True)
    await asyncio.Event().wait()


@contextlib.contextmanager
def agent() -> Iterator[int]:
    command = [sys.executable, __file__, "--agent"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def own_cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def cpu_seconds_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def side_by_side(port: int) -> tuple[float, float]:
    """Seconds of CPU a poll of ours and a scrape of snmp_exporter, in turns and by medians, so that a busy machine is busy for both.

    Ours is measured after the first run, which learns what there is; the exporter after a few scrapes.
    """
    from probes.snmp import Snmp

    loop, shared = asyncio.get_running_loop(), Shared()
    secrets = {"community": Secret(COMMUNITY)}
    probes = {address: Snmp(profile="router", port=port) for address in TARGETS}

    async def poll_all() -> Reading:
        for address, probe in probes.items():
            reading = await probe.run(Target(address=address, deadline=loop.time() + 10, secrets=secrets), shared)
        return reading

    with exporter() as (pid, at):
        connection = connected(at)

        def scrape_all() -> None:
            for address in TARGETS:
                connection.request("GET", f"/snmp?module=if_mib&target={address}:{port}")
                page = connection.getresponse().read()
                assert page.count(b"ifIndex=") == PORTS * 10, page[:500]

        await poll_all()
        scrape_all()
        own, theirs = [], []
        for _ in range(ROUNDS):
            before = own_cpu_seconds()
            reading = await poll_all()
            own.append(own_cpu_seconds() - before)
            before = cpu_seconds_of(pid)
            scrape_all()
            theirs.append(cpu_seconds_of(pid) - before)
    await shared.aclose()
    got = {(sample.name, sample.instance) for sample in reading.samples}
    assert len(got) == 2 + PORTS * 8, sorted(got)
    return statistics.median(own) / len(TARGETS), statistics.median(theirs) / len(TARGETS)


async def with_pysnmp(port: int) -> float:
    from pysnmp.hlapi.v3arch.asyncio import CommunityData, ContextData, ObjectIdentity, ObjectType, SnmpEngine, UdpTransportTarget, get_cmd

    names = {(2, 2, 1, 2), (2, 2, 1, 3), (31, 1, 1, 1, 1), (31, 1, 1, 1, 18)}  # learned, not polled; so are sysObjectID and last change
    wanted = [oid for oid in objects() if oid[6:-1] not in names and oid[6:] not in {(1, 2, 0), (31, 1, 5, 0)}]
    assert len(wanted) == 1 + PORTS * 10
    engine = SnmpEngine()
    targets = [await UdpTransportTarget.create((address, port)) for address in TARGETS[:PYSNMP_TARGETS]]
    community, context = CommunityData(COMMUNITY), ContextData()

    async def poll(target: UdpTransportTarget) -> None:
        asked = [ObjectType(ObjectIdentity(oid)) for oid in wanted]
        error, status, _index, bindings = await get_cmd(engine, community, target, context, *asked, lookupMib=False)
        assert not error, error
        assert not status, status
        assert len(bindings) == len(wanted)

    await poll(targets[0])
    before = own_cpu_seconds()
    for target in targets:
        await poll(target)
    used = own_cpu_seconds() - before
    engine.close_dispatcher()
    return used / len(targets)


@contextlib.contextmanager
def snmpd() -> Iterator[int]:
    """net-snmp's own agent, which speaks version 3."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        at = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "snmpd.conf"
        user = f'createUser watcher SHA-256 "{PASSWORD}" AES "{PASSWORD}"\nrouser watcher priv\n'
        config.write_text(f"agentaddress udp:127.0.0.1:{at}\ndontLogTCPWrappersConnects yes\nrocommunity {COMMUNITY}\n{user}", "ascii")
        command = ["/usr/sbin/snmpd", "-f", "-Lo", "-C", "-c", config, "-p", Path(folder) / "pid"]
        environment = {**os.environ, "SNMP_PERSISTENT_DIR": folder}
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True) as process:
            try:
                assert any("NET-SNMP version" in line for line in process.stdout)
                yield at
            finally:
                process.kill()


async def by_version(port: int) -> tuple[float, float]:
    """Seconds of CPU a poll by version 2c and by version 3; in turns, medians."""
    from probes.snmp import Auth, Privacy, Snmp

    loop, shared = asyncio.get_running_loop(), Shared()
    secrets = {"community": Secret(COMMUNITY), "auth": Secret(PASSWORD), "privacy": Secret(PASSWORD)}
    plain = Snmp(profile="router", port=port)
    secured = Snmp(profile="router", port=port, version="3", user="watcher", auth=Auth(), privacy=Privacy())

    async def poll(probe: Snmp) -> None:
        await probe.run(Target(address="127.0.0.1", deadline=loop.time() + 10, secrets=secrets), shared)

    for probe in (plain, secured):
        await poll(probe)
    used: dict[Snmp, list[float]] = {plain: [], secured: []}
    for _ in range(ROUNDS):
        for probe, seconds in used.items():
            before = own_cpu_seconds()
            for _ in range(POLLS):
                await poll(probe)
            seconds.append((own_cpu_seconds() - before) / POLLS)
    await shared.aclose()
    return statistics.median(used[plain]), statistics.median(used[secured])


def exporter_config() -> str:
    """Debian ships no snmp.yml: IF-MIB in the form of 0.21, with the whole tables in few requests and no label look-ups."""
    low, high = "1.3.6.1.2.1.2.2.1", "1.3.6.1.2.1.31.1.1.1"
    columns = [f"{low}.{column}" for column in (7, 8, 13, 14, 19, 20)] + [f"{high}.{column}" for column in (6, 10, 15, 19)]
    metrics = [{"name": "sysUpTime", "oid": "1.3.6.1.2.1.1.3", "type": "gauge", "help": "up"}]
    metrics += [
        {"name": f"if_{number}", "oid": oid, "type": "gauge", "help": oid, "indexes": [{"labelname": "ifIndex", "type": "gauge"}]}
        for number, oid in enumerate(columns)
    ]
    module = {
        "walk": ["1.3.6.1.2.1.2.2", "1.3.6.1.2.1.31.1.1"],
        "get": ["1.3.6.1.2.1.1.3.0"],
        "metrics": metrics,
        "version": 2,
        "auth": {"community": COMMUNITY},
    }
    return json.dumps({"if_mib": module})  # JSON is YAML


@contextlib.contextmanager
def exporter() -> Iterator[tuple[int, int]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        at = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "snmp.yml"
        config.write_text(exporter_config(), "ascii")
        command = [EXPORTER, f"--config.file={config}", f"--web.listen-address=127.0.0.1:{at}", "--log.level=error"]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
            try:
                yield process.pid, at
            finally:
                process.kill()


def connected(at: int) -> http.client.HTTPConnection:
    deadline = time.monotonic() + 20
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", at, timeout=10)
        try:
            connection.connect()
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return connection


def report(name: str, value: float, unit: str, goal: str | None, *, ok: bool) -> None:
    print(json.dumps({"name": name, "value": round(value, 4), "unit": unit, "goal": goal, "ok": ok}), flush=True)


def main() -> None:
    from netwatch.lab.namespaces import enter_private_network

    if "--agent" in sys.argv:
        asyncio.run(serve_agent())
        return
    enter_private_network()
    with agent() as port:
        measured, exporter_seconds = asyncio.run(side_by_side(port))
        pysnmp_seconds = asyncio.run(with_pysnmp(port))
    with snmpd() as port:
        plain, secured = asyncio.run(by_version(port))
    report("snmp_cpu_a_poll", measured * 1e6, "microseconds", None, ok=True)
    report("snmp_exporter_cpu_a_scrape", exporter_seconds * 1e6, "microseconds", None, ok=True)
    report("pysnmp_cpu_a_get", pysnmp_seconds * 1e6, "microseconds", None, ok=True)
    ratio = measured / exporter_seconds
    report("snmp_cpu_ratio_vs_snmp_exporter", ratio, "ratio", "<= 0.3", ok=ratio <= 0.3)
    report("snmp_cpu_ratio_vs_pysnmp", measured / pysnmp_seconds, "ratio", None, ok=True)
    report("snmp_v2c_cpu_a_poll_of_snmpd", plain * 1e6, "microseconds", None, ok=True)
    report("snmp_v3_cpu_a_poll_of_snmpd", secured * 1e6, "microseconds", None, ok=True)


if __name__ == "__main__":
    main()
