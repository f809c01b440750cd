"""A trap comes to the daemon: the device is asked at once, and people can see what came."""

import contextlib
import json
import re
import socket
import subprocess

import pytest

from tests.snmp_daemon import free_udp_port
from tests.test_daemon import CANARY, Place, pages, wait_until

__all__ = ["pages"]

MORE = """\
traps: {{listen: "127.0.0.1:{port}", per_minute: 600}}
"""


@pytest.fixture
def place(tmp_path, pages):  # the fixture is asked for by its name
    made = Place(tmp_path, webhook=pages.url)
    yield made
    made.close()


def trap(port, source, community=CANARY):
    subprocess.run(
        ["snmptrap", f"--clientaddr={source}", "-v2c", "-c", community, f"127.0.0.1:{port}", "", "1.3.6.1.6.3.1.1.5.3"],
        check=True,
        timeout=20,
    )


@pytest.fixture
def agent():
    """What a device that does not answer is asked."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.bind(("127.46.34.1", 0))
        yield opened


def test_a_trap_has_its_sender_asked_at_once_and_is_shown_by_the_command_the_metrics_and_not_on_the_page(place, agent):
    port = free_udp_port()
    snmp = f"{{probe: snmp, profile: router, port: {agent.getsockname()[1]}, interval: 1h, attempts: 1, timeout: 500ms}}"
    text = place.inventory.read_text("utf-8").replace("checks: {icmp: {probe: icmp}}", f"checks: {{icmp: null, snmp: {snmp}}}")
    place.write(text=text + MORE.format(port=port))
    place.start()
    wait_until(lambda: "netwatch_traps_listening 1" in place.metrics())
    wait_until(lambda: re.search(r'netwatch_device_up{[^}]*device="router"[^}]*} 0', place.metrics()))
    agent.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while agent.recv(2_000):
            pass
    agent.settimeout(20)

    trap(port, "127.46.34.1")
    assert CANARY.encode() in agent.recv(2_000)  # though it was to be asked within the hour
    trap(port, "127.46.34.1", "public")
    trap(port, "127.99.99.99")
    wait_until(lambda: len(json.loads(place.ask("traps", "-o", "json").stdout)["records"]) == 3)
    metrics = place.metrics()
    for outcome in ("hint", "not_authentic", "unknown_source"):
        assert f'netwatch_traps_total{{outcome="{outcome}"}} 1' in metrics
    shown = place.ask("traps")
    assert (shown.returncode, shown.stdout.count("\n")) == (0, 3)
    assert "na-tau/router · linkDown (v2c) · asked at once: " in shown.stdout
    assert "127.99.99.99 · not taken: no device" in shown.stdout
    assert place.ask("traps", "--site", "na-tau", "-o", "csv").stdout.count("\n") == 3
    assert place.ask("traps", "--follow", "-o", "json").returncode == 64
    assert CANARY not in place.logs() + shown.stdout + metrics


def test_without_a_place_to_listen_the_command_says_what_to_write(place):
    place.start()
    told = place.ask("traps")
    assert (told.returncode, told.stdout) == (69, ""), told.stderr
    assert "traps: {listen:" in told.stderr
    assert "netwatch_traps" not in place.metrics()
