"""`netwatch demo` from end to end: a site is cut, an incident opens, a page is delivered, all is well again."""

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from netwatch.lab import network

ROOT = Path(__file__).parent.parent
SCENARIO = """\
name: short
duration: 10m
faults:
  - {at: 1s, cut: {site: muong-pon}}
  - {at: 24s, restore: {site: muong-pon}}
"""
needs_lines = pytest.mark.skipif(bool(network.why_not()), reason="no network namespaces or no /dev/net/tun here")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def start(*arguments):
    command = [sys.executable, "-m", "netwatch", "--lang", "en", "demo", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8")


def read_until(process, pattern):
    """The lines up to the first that matches; fails at the end of the output."""
    seen = []
    for line in process.stdout:
        seen.append(line)
        if re.search(pattern, line):
            return seen
    pytest.fail(f"{pattern} never came:\n" + "".join(seen))


@pytest.mark.slow
@needs_lines
def test_a_cut_opens_an_incident_pages_and_recovers(tmp_path):
    scenario = tmp_path / "short.yaml"
    scenario.write_text(SCENARIO, "utf-8")
    port = free_port()
    demo = start("--scenario", str(scenario), "--port", str(port), "--state", str(tmp_path / "state"))
    try:
        look = next(line for line in read_until(demo, rf"http://127\.0\.0\.1:{port}/") if "NETWATCH_SOCKET=" in line)
        read_until(demo, r"page \(open\).*Mường Pồn")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/summary", timeout=10) as answer:
            summary = json.load(answer)
        assert summary["total"] == 45
        assert [site["id"] for site in summary["sites"] if site["state"] == "crit"] == ["muong-pon"]
        looked = subprocess.run(look.partition(": ")[2], shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert "Mường Pồn" in looked.stdout
        read_until(demo, r"page \(recovered\).*Mường Pồn")
        demo.send_signal(signal.SIGINT)
        end = demo.stdout.read()
        assert demo.wait(30) == 0
        rows = re.findall(r"^\S.*(?:OK|Warning|Critical|Unknown)", end, re.MULTILINE)
        assert len(rows) == 45
        opened, over, pages = map(int, re.search(r"(\d+) incidents opened, (\d+) over, (\d+) pages delivered", end).groups())
        assert opened >= over >= 1
        assert pages >= 2
    finally:
        demo.kill()
        demo.wait(10)
        demo.stdout.close()


def ending(*arguments):
    run = start(*arguments)
    said, _ = run.communicate(timeout=60)
    return run.returncode, said


def test_a_taken_port_is_said_with_a_way_out(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, said = ending("--port", str(port), "--state", str(tmp_path / "state"))
    assert code == 69
    assert f"port {port} is in use" in said
    assert "Traceback" not in said


def test_a_directory_that_is_not_the_demos_is_left_alone(tmp_path):
    (tmp_path / "precious").write_text("x", "utf-8")
    code, said = ending("--port", str(free_port()), "--state", str(tmp_path))
    assert code == 73
    assert "holds something else" in said
    assert (tmp_path / "precious").read_text("utf-8") == "x"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--for", "soon"), 64, "soon is not a duration"),
        (("--for", "0s"), 64, "not a duration"),
        (("--scenario", "nope"), 66, "there is no scenario nope; shipped: back-for-a-moment,"),
        (("--inventory", "nope.yaml"), 66, "there is no nope.yaml"),
    ],
)
def test_a_bad_option_is_one_clear_line(tmp_path, arguments, code, words):
    found, said = ending(*arguments, "--port", str(free_port()), "--state", str(tmp_path / "state"))
    assert found == code
    assert words in said
    assert len(said.splitlines()) == 1


def test_a_bad_scenario_is_told_with_its_lines(tmp_path):
    scenario = tmp_path / "bad.yaml"
    scenario.write_text("name: x\nduration: 60s\nfaults:\n  - {at: 3s, cut: {site: na-tauu}}\n", "utf-8")
    code, said = ending("--scenario", str(scenario), "--port", str(free_port()), "--state", str(tmp_path / "state"))
    assert code == 78
    assert f"{scenario}:4:26: faults[0].cut.site: there is no site na-tauu" in said
    assert 'did you mean "na-tau"?' in said


@pytest.mark.slow
def test_a_reader_that_goes_away_ends_it_without_a_word(tmp_path):
    command = [sys.executable, "-m", "netwatch", "demo", "--port", str(free_port()), "--state", str(tmp_path / "state")]
    demo = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        demo.stdout.readline()
        demo.stdout.close()
        assert demo.stderr.read() == ""
        assert demo.wait(30) == 141
    finally:
        demo.kill()
        demo.wait(10)
        demo.stderr.close()
