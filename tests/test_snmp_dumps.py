"""Dumps of real devices, played by snmpsim and read by the probe; beside an independent reading of the same files."""

import asyncio
import bz2
import collections
import os
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from probes._snmp_text import clean
from tests.snmp_agent import poll, probe, told

VENV = Path(__file__).parent.parent / ".venv-snmpsim"
FOLDERS = {
    "apc-8932": "UPS",
    "cisco-c3560": "network/switch",
    "hikvision": "camera",
    "hikvision-network-video-recorder": "camera",
    "huawei-s5720": "network/router",
    "ubiquiti-m5": "network/wifi",
}
IF, IFX = "1.3.6.1.2.1.2.2.1", "1.3.6.1.2.1.31.1.1.1"
ETHERNET = 6


def unpack(name, into):
    data = next(VENV.glob("lib/python3*/site-packages/snmpsim_data/data")) / FOLDERS[name]
    plain = data / f"{name}.snmprec"
    text = plain.read_bytes() if plain.exists() else bz2.decompress((data / f"{name}.snmprec.bz2").read_bytes())
    (into / f"{name}.snmprec").write_bytes(text)
    return dict(record(line) for line in text.decode("ascii").splitlines())


def record(line):
    """`OID|tag|value`: tag 4 is text, 4x hexadecimal, 6 an OID; the others here are whole numbers or addresses."""
    oid, tag, value = line.split("|", 2)
    if tag == "4x":
        return oid, bytes.fromhex(value)
    if tag in {"4", "6"}:
        return oid, value.encode() if tag == "4" else value
    return oid, int(value) if tag in {"2", "65", "66", "67", "70"} else value


def wait_until_bound(port):
    """It says that it listens a moment before it does: a closed port refuses, an open one is silent on rubbish."""
    deadline = time.monotonic() + 30
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.connect(("127.0.0.1", port))
        asking.settimeout(0.1)
        while time.monotonic() < deadline:
            try:
                asking.send(b"?")
                asking.recv(1)
            except ConnectionRefusedError:
                continue
            except TimeoutError:
                return
    raise AssertionError("snmpsim did not open its port")


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    """port, {name: {OID: value}}. One start for the whole file: it indexes the dumps first."""
    assert VENV.is_dir(), "tests/install-snmpsim makes it"
    dumps, cache = tmp_path_factory.mktemp("dumps"), tmp_path_factory.mktemp("cache")
    records = {name: unpack(name, dumps) for name in FOLDERS}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        VENV / "bin/snmpsim-command-responder",
        f"--data-dir={dumps}",
        f"--cache-dir={cache}",
        f"--agent-udpv4-endpoint=127.0.0.1:{port}",
    ]
    environment = {**os.environ, "SNMPSIM_ALLOW_ROOT": "true"}  # it would give up root, which a user namespace does not allow
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=cache, env=environment) as process:
        try:
            assert any("Listening at UDP/IPv4" in line for line in process.stdout)
            # It logs each request and would stop at a full pipe.
            drain = threading.Thread(target=collections.deque, args=(process.stdout, 0))
            drain.start()
            wait_until_bound(port)
            yield port, records
        finally:
            process.kill()
            drain.join()


def read(simulator, name, profile="auto"):
    return asyncio.run(poll(probe(simulator[0], profile, timeout_seconds=5.0), seconds=100, community=name))


def ports_of(records, kind=ETHERNET):
    """name: (up, bytes a second) of the ports that are switched on, read off the dump."""
    found = {}
    for oid, description in records.items():
        if not oid.startswith(f"{IF}.2."):
            continue
        index = oid.removeprefix(f"{IF}.2.")
        if records[f"{IF}.3.{index}"] != kind or records[f"{IF}.7.{index}"] != 1:
            continue
        name = records.get(f"{IFX}.1.{index}", description).decode().strip("\0")
        speed = records[f"{IFX}.15.{index}"] * 1_000_000 if f"{IFX}.15.{index}" in records else records[f"{IF}.5.{index}"]
        found[name] = (float(records[f"{IF}.8.{index}"] == 1), speed / 8)
    return found


def check_system(reading, records):
    assert told(reading, "uptime_seconds") == {"": records["1.3.6.1.2.1.1.3.0"] / 100}
    assert reading.facts["sysObjectID"] == records["1.3.6.1.2.1.1.2.0"]
    assert reading.facts["sysDescr"] == clean(records["1.3.6.1.2.1.1.1.0"])
    assert reading.facts.get("sysName", "").encode() == records["1.3.6.1.2.1.1.5.0"]
    assert reading.detail == ""


def check_ports(reading, expected):
    assert told(reading, "interface_up") == {name: up for name, (up, _) in expected.items()}
    assert told(reading, "interface_speed_bytes_per_second") == {name: speed for name, (_, speed) in expected.items() if speed}


def test_switch_of_cisco(simulator):
    records = simulator[1]["cisco-c3560"]
    reading = read(simulator, "cisco-c3560")
    assert reading.facts["profile"] == "switch"
    assert reading.facts["model"].startswith("WS-C3560G-48TS-E")
    check_system(reading, records)
    expected = ports_of(records)
    assert len(expected) > 40
    check_ports(reading, expected)
    assert told(reading, "cpu_ratio") == {"": records["1.3.6.1.4.1.9.9.109.1.1.1.1.7.1"] / 100}
    used, free = records["1.3.6.1.4.1.9.9.48.1.1.1.5.1"], records["1.3.6.1.4.1.9.9.48.1.1.1.6.1"]
    assert told(reading, "memory_ratio")[""] == pytest.approx(used / (used + free))
    assert told(reading, "temperature_celsius") == {"": 61.0}


def test_switch_of_huawei(simulator):
    records = simulator[1]["huawei-s5720"]
    reading = read(simulator, "huawei-s5720")
    assert reading.facts["profile"] == "switch"
    check_system(reading, records)
    expected = ports_of(records)
    assert len(expected) > 30
    check_ports(reading, expected)
    assert reading.facts["alias XGigabitEthernet0/0/1"] == "From-duomeiti-huiju"
    # Rows of fans and power supplies have 0 for processor and memory: only the board's row counts.
    assert told(reading, "cpu_ratio") == {"": pytest.approx(0.38)}
    assert told(reading, "memory_ratio") == {"": pytest.approx(0.07)}
    assert told(reading, "temperature_celsius") == {"": 42.0}


def test_power_strip_of_apc(simulator):
    records = simulator[1]["apc-8932"]
    reading = read(simulator, "apc-8932")
    assert reading.facts["profile"] == "pdu"
    assert (reading.facts["model"], reading.facts["serial"]) == ("AP8932", "3F503A169043")
    check_system(reading, records)
    assert told(reading, "pdu_power_watts") == {"": records["1.3.6.1.4.1.318.1.1.26.4.3.1.5.1"] * 10}
    assert told(reading, "pdu_energy_joules")[""] == pytest.approx(records["1.3.6.1.4.1.318.1.1.26.4.3.1.9.1"] / 10 * 3_600_000)
    assert told(reading, "pdu_phase_amperes") == {"1": pytest.approx(1.4)}
    assert told(reading, "pdu_overload") == {"": 0.0}


def test_access_point_of_ubiquiti_without_64_bit_counters(simulator):
    records = simulator[1]["ubiquiti-m5"]
    reading = read(simulator, "ubiquiti-m5")
    assert reading.facts["profile"] == "wifi-ap"
    assert reading.facts["wireless_name"] == "patrikeevo"
    check_system(reading, records)
    expected = {name: port for name, port in ports_of(records).items() if name in {"eth0", "eth1", "wifi0", "ath0"}}
    check_ports(reading, expected)
    assert told(reading, "ap_clients") == {"": records["1.3.6.1.4.1.41112.1.4.5.1.15.1"]}
    assert told(reading, "radio_signal_dbm") == {"": -64.0}


def test_camera_that_has_no_system_group_and_writes_its_numbers_out(simulator):
    records = simulator[1]["hikvision"]
    reading = read(simulator, "hikvision")
    assert records["1.3.6.1.4.1.39165.1.7.0"] == b"52 PERCENT"
    assert told(reading, "cpu_ratio") == {"": 0.52}
    assert told(reading, "memory_ratio") == {"": 0.75}
    assert told(reading, "uptime_seconds") == {}
    assert reading.facts == {"profile": "camera", "model": "DS-2CD4C36FWD-AP", "firmware": "V5.5.80 build 190131"}


def test_recorder_with_hardly_anything(simulator):
    records = simulator[1]["hikvision-network-video-recorder"]
    reading = read(simulator, "hikvision-network-video-recorder")
    assert reading.facts["profile"] == "camera"
    check_system(reading, records)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_second_run_asks_for_the_same_and_finds_the_same(simulator, name):
    async def scenario():
        snmp = probe(simulator[0], "auto", timeout_seconds=5.0)
        first = await poll(snmp, seconds=100, community=name)
        learned = snmp._state.plan
        second = await poll(snmp, seconds=100, community=name)
        assert snmp._state.plan is learned
        rates = {sample.name for sample in second.samples} - {sample.name for sample in first.samples}
        assert rates <= {"device_reboots"} | {name for name in snmp.metrics() if name.endswith("_per_second")}
        for metric in {sample.name for sample in first.samples} - {"uptime_seconds"}:
            assert told(second, metric) == told(first, metric)

    asyncio.run(scenario())


def test_a_wrong_profile_finds_little_and_breaks_nothing(simulator):
    reading = read(simulator, "apc-8932", profile="ups")
    assert {sample.name for sample in reading.samples} == {"uptime_seconds"}
