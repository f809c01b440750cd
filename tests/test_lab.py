"""The lab as a whole: real packets through emulated lines, devices that answer, faults over the control socket."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from netwatch.lab import network
from netwatch.lab.client import LabAway, ask
from netwatch.lab.lab import Lab, LabFailed
from tests.lab_inventory import inventory

BATTERY = "1.3.6.1.2.1.33.1.4.1.0"
HERE = Path("/proc/thread-self/ns/net")
CAN_EMULATE = not network.why_not()
needs_lines = pytest.mark.skipif(not CAN_EMULATE, reason="no network namespaces or no /dev/net/tun here")


@contextlib.contextmanager
def running(directory, **options):
    lab = Lab.start(options.pop("inventory", None) or inventory(), directory / "lab.sock", community="public", **options)
    try:
        yield lab
    finally:
        lab.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with running(tmp_path_factory.mktemp("lab")) as started:
        yield started


def put(lab, **fault):
    answer = ask(lab.control_path, {"fault": fault})
    assert answer["ok"], answer
    return answer


def answering(*addresses):
    """Which of the addresses answer three echoes, by fping."""
    run = subprocess.run(
        ["fping", "-q", "-C", "3", "-p", "150", "-t", "1000", *addresses], check=False, capture_output=True, text=True, timeout=60
    )
    rows = (line.split(" : ") for line in run.stderr.splitlines() if " : " in line)
    return {address.strip() for address, times in rows if "-" not in times.split()}


def snmp(address, oid, port=161, community="public"):
    command = ["snmpget", "-v2c", f"-c{community}", "-Oqv", "-t1", "-r0", f"{address}:{port}", oid]
    run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    return run.stdout.strip() if run.returncode == 0 else None


def connects(address, port):
    with socket.socket() as client:
        client.settimeout(2)
        return client.connect_ex((address, port)) == 0


@needs_lines
def test_a_cut_silences_a_site_and_no_other_until_it_is_restored(lab):
    put(lab, cut={"site": "alpha"})
    assert answering("10.45.1.254", "10.45.1.21", "10.45.3.254") == {"10.45.3.254"}
    put(lab, restore={"site": "alpha"})
    assert answering("10.45.1.254", "10.45.1.21", "10.45.3.254") == {"10.45.1.254", "10.45.1.21", "10.45.3.254"}


@needs_lines
def test_a_backup_line_carries_the_devices_of_a_site_whose_main_line_is_cut(lab):
    put(lab, cut={"site": "beta", "line": "main"})
    assert answering("10.45.2.254", "10.45.2.253", "10.45.2.1") == {"10.45.2.253", "10.45.2.1"}
    put(lab, restore={"site": "beta"})


@needs_lines
def test_round_trip_delay_is_what_was_asked(lab):
    put(lab, delay={"site": "gamma", "round_trip": "60ms", "jitter": 0})
    run = subprocess.run(
        ["fping", "-q", "-C", "5", "-p", "50", "-t", "1000", "10.45.3.1"], check=False, capture_output=True, text=True, timeout=60
    )
    times = sorted(float(time) for time in run.stderr.split(" : ")[1].split())
    assert times[0] >= 60.0
    put(lab, restore={"site": "gamma"})


@needs_lines
def test_a_powered_off_device_is_silent_in_every_protocol(lab):
    put(lab, power={"site": "gamma", "device": "vc", "state": "off"})
    assert answering("10.45.3.10", "10.45.3.1") == {"10.45.3.1"}
    assert not connects("10.45.3.10", 5060)
    assert snmp("10.45.3.10", "1.3.6.1.2.1.1.3.0") is None
    put(lab, power={"site": "gamma", "device": "vc", "state": "on"})
    assert connects("10.45.3.10", 5060)


@needs_lines
def test_without_the_own_uplink_nobody_answers(lab):
    put(lab, uplink="down")
    assert answering("10.45.1.254", "10.45.3.254") == set()
    put(lab, uplink="up")
    assert answering("10.45.1.254", "10.45.3.254") == {"10.45.1.254", "10.45.3.254"}


@needs_lines
def test_a_ups_on_battery_says_so_over_snmp(lab):
    assert snmp("10.45.1.40", BATTERY) == "3"
    put(lab, ups={"site": "alpha", "state": "battery"})
    assert snmp("10.45.1.40", BATTERY) == "5"
    assert snmp("10.45.3.40", BATTERY) == "3"
    put(lab, restore={"site": "alpha", "device": "ups"})
    assert snmp("10.45.1.40", BATTERY) == "3"


@needs_lines
def test_a_closed_port_is_refused_and_a_wrong_community_is_silence(lab):
    assert not connects("10.45.3.10", 5061)
    assert snmp("10.45.3.10", "1.3.6.1.2.1.1.3.0", community="wrong") is None


@needs_lines
def test_loss_follows_the_seed(tmp_path):
    fates = []
    for _ in range(2):
        with running(tmp_path, seed=5) as started:
            put(started, loss={"site": "alpha", "ratio": "50%"})
            run = subprocess.run(
                ["fping", "-q", "-C", "20", "-p", "20", "-t", "500", "10.45.1.254"], check=False, capture_output=True, text=True, timeout=60
            )
            fates.append([time == "-" for time in run.stderr.split(" : ")[1].split()])
    assert fates[0] == fates[1]
    assert 0 < sum(fates[0]) < 20


@needs_lines
def test_a_lab_leaves_the_network_it_started_from(tmp_path):
    before = HERE.readlink()
    with running(tmp_path):
        assert HERE.readlink() != before
    assert HERE.readlink() == before


def test_nonsense_is_answered_and_harms_nothing(lab):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(lab.control_path))
        stream = client.makefile("rwb")
        for line in (b"garbage", b"[1]", b"7", b'{"fault": 3}', b'{"fault": {"cut": {"sit": 1}}}', b"{}"):
            stream.write(line + b"\n")
            stream.flush()
            answer = json.loads(stream.readline())
        assert answer["ok"]
        stream.close()


def test_a_refused_fault_says_what_was_meant(lab):
    answer = ask(lab.control_path, {"fault": {"paper": {"site": "alfa", "state": "out"}}})
    assert (answer["code"], answer["complaints"][0]["hint"]) == ("refused", "alpha")


def test_a_metric_is_for_simulations(lab):
    answer = ask(lab.control_path, {"fault": {"snmp": {"site": "alpha", "device": "ups", "metric": "ups_on_battery", "value": 1}}})
    assert answer["code"] == "no_metric_here"


def test_the_state_names_what_is_wrong(lab):
    put(lab, paper={"site": "alpha", "state": "out"})
    assert ask(lab.control_path, {})["troubles"] == ["alpha/printer1: paper out"]
    put(lab, paper={"site": "alpha", "state": "ok"})


# the loopback lab


def on_loopback():
    return inventory("127.45")


def test_without_namespaces_devices_answer_on_loopback_and_lines_cannot_be_cut(tmp_path):
    with running(tmp_path, inventory=on_loopback(), why_not="no namespaces") as started:
        assert started.mode == "loopback"
        assert snmp("127.45.1.40", BATTERY, 161 + started.port_offset) == "3"
        refused = ask(started.control_path, {"fault": {"cut": {"site": "alpha"}}})
        assert (refused["ok"], refused["code"], refused["why"]) == (False, "no_line_here", "no namespaces")
        put(started, ups={"site": "alpha", "state": "battery"})
        assert snmp("127.45.1.40", BATTERY, 161 + started.port_offset) == "5"


def test_a_powered_off_device_refuses_on_loopback(tmp_path):
    with running(tmp_path, inventory=on_loopback(), why_not="no namespaces") as started:
        assert connects("127.45.1.10", 5060 + started.port_offset)
        put(started, power={"site": "alpha", "device": "vc", "state": "off"})
        assert not connects("127.45.1.10", 5060 + started.port_offset)
        assert snmp("127.45.1.10", "1.3.6.1.2.1.1.3.0", 161 + started.port_offset) is None


def test_taken_ports_move_the_whole_lab(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 161))
        with running(tmp_path, inventory=on_loopback(), why_not="no namespaces") as started:
            assert started.port_offset == 10_000
            assert snmp("127.45.1.40", BATTERY, 10_161) == "3"
            assert connects("127.45.1.10", 15_060)


# endings


def test_no_lab_is_said_clearly(tmp_path):
    with pytest.raises(LabAway, match=r"lab\.sock"):
        ask(tmp_path / "lab.sock", {})


def test_a_path_too_long_for_a_socket_is_refused(tmp_path):
    with pytest.raises(LabFailed, match="too long"):
        Lab.start(inventory(), tmp_path / ("x" * 120), community="public")


def test_the_labs_processes_die_with_whoever_started_them(tmp_path):
    script = (
        "import sys; from pathlib import Path; from netwatch.lab.lab import Lab; from tests.lab_inventory import inventory\n"
        "lab = Lab.start(inventory('127.45'), Path(sys.argv[1]), community='x')\n"
        "print(*lab.children, flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "lab.sock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parent.parent,
    )
    children = [os.pidfd_open(int(pid)) for pid in parent.stdout.readline().split()]
    try:
        assert children
        parent.send_signal(signal.SIGKILL)
        parent.wait(10)
        for child in children:
            assert select.select([child], [], [], 10)[0]
    finally:
        for child in children:
            os.close(child)
        parent.stdin.close()
        parent.stdout.close()
