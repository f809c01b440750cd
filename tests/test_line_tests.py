"""Line tests in the daemon, against a real reflector on loopback."""

import asyncio
import datetime as dt
import json
import signal
import time
from zoneinfo import ZoneInfo

import pytest

from netwatch import inventory, ledger
from netwatch.daemon import Daemon
from tests.capacity_peer import TOKEN, reflecting
from tests.test_daemon import SECRET, Place, pages, wait_until

__all__ = ["pages", "place"]

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
LINES = """\
version: 1
language: en
listen: 127.0.0.1:{port}
plan: {{site_net: "127.46.{{n}}.0/24", hosts: {{main: 254, router: 1, pc: 9}}}}
defaults:
  contact: noc
  line: {{carrier: VNPT, contract: {contract}, test: {{host: 9, port: {far}, token: "{token}", window: "00:00-00:00", {test}}}}}
contacts: {{noc: {{name: NOC, phone: "09xx xxx xxx"}}}}
pagers:
  noc: {{pager: webhook, url: "{webhook}", secret: "${{HOOK_SECRET}}"}}
profiles:
  gate: {{role: router, checks: {{icmp: {{probe: icmp}}}}}}
roles:
  commune: {{lines: {{main: {{}}}}, devices: {{router: {{profile: gate}}}}}}
sites:
  na-tau: {{n: 34, code: "03316"}}
{more}
"""


class Lines(Place):
    """Its one line is tested against a reflector that listens at the site's address."""

    far, contract = 1, "5 Mbps"

    def write(self, more="", text=None, test="directions: both"):
        values = {"port": self.port, "far": self.far, "token": TOKEN.decode(), "webhook": self.webhook, "contract": self.contract}
        super().write(text=text or LINES.format(test=test, more=more, **values))

    def records(self):
        path = ledger.path_in(self.state)
        return [one.record for one in ledger.newest_first(path)][::-1] if path.exists() else []


@pytest.fixture
def place(tmp_path, pages):
    made = Lines(tmp_path, webhook=pages.url)
    yield made
    made.close()


def test_a_line_is_proved_in_both_directions_and_the_ledger_says_so(place):
    with reflecting(host="127.46.34.9") as place.far:
        place.write()
        place.start()
        wait_until(lambda: len(place.records()) == 2)
        told = place.metrics()
        labels = 'site="na-tau",line="main",direction="down"'
        assert f'netwatch_line_verdict{{{labels},verdict="proved"}} 1.0' in told
        assert f"netwatch_line_below_contract{{{labels}}} 0.0" in told
        (cost,) = [float(row.split()[1]) for row in told.splitlines() if row.startswith(f"netwatch_line_test_bytes_total{{{labels}}}")]
        assert cost == next(one["bytes"] for one in place.records() if one["direction"] == "down")
        assert f'netwatch_line_measured_bytes_per_second{{{labels},method="udp"}}' in told
    assert {(one["site"], one["line"], one["direction"], one["verdict"]) for one in place.records()} == {
        ("na-tau", "main", "down", "proved"),
        ("na-tau", "main", "up", "proved"),
    }
    assert all(one["bytes"] > 0 and one["inputs"]["measurement"]["bins"] for one in place.records())
    assert ledger.verify(ledger.path_in(place.state), public=ledger.key_in(ledger.path_in(place.state).parent)).sound


def test_a_restart_does_not_test_again_what_was_proved_today(place):
    with reflecting(host="127.46.34.9") as place.far:
        place.write()
        daemon = place.start()
        wait_until(lambda: len(place.records()) == 2)
        daemon.send_signal(signal.SIGKILL)
        daemon.wait(10)
        place.start()
        wait_until(lambda: 'netwatch_device_up{site="na-tau",device="main"' in place.metrics())
    assert len(place.records()) == 2


def test_a_test_asked_for_by_hand_waits_for_the_verdict(place):
    with reflecting(host="127.46.34.9") as place.far:
        place.write(test="directions: down")
        place.start()
        wait_until(lambda: len(place.records()) == 1)
        table = place.ask("line", "test", "na-tau", "--direction", "down")
        assert table.returncode == 0, table.stderr
        assert "Proved" in table.stdout
        asked = place.ask("line", "test", "na-tau", "-o", "json")
        (told,) = json.loads(asked.stdout)["tests"]
        assert "verdict" in told, told
        assert (told["verdict"], told["check"]) == ("proved", "na-tau/main/capacity-down")
        assert len(place.records()) == 3
        assert place.ask("line", "test", "na-tau", "--direction", "up").returncode == 66
        assert place.ask("line", "test", "na-tau", "--direction", "sideways").returncode == 64


def test_a_test_asked_for_during_a_meeting_is_not_run_and_says_why(place):
    with reflecting(host="127.46.34.9") as place.far:
        place.write(test="directions: down", more='meetings: [{name: hop, weekly: daily, from: "00:00", until: "00:00"}]')
        place.start()
        asked = place.ask("line", "test", "na-tau")
        assert asked.returncode == 1
        assert "meeting is on" in asked.stdout
        assert place.records() == []


async def until(true):
    while not true():  # noqa: ASYNC110  # what is waited for happens in other threads and on the disk
        await asyncio.sleep(0.05)


MOMENT = "%Y-%m-%d %H:%M"


def test_a_meeting_that_begins_ends_the_test_and_keeps_what_it_has_cost(place):
    """At 5 Mbps it takes 16 s to spend a burst of 5 MB: cut off after the first second of the meeting, it has cost less."""
    skew = [0.0]
    begins = dt.datetime.now(ZONE).replace(second=0, microsecond=0) + dt.timedelta(minutes=40)
    meeting = f'meetings: [{{name: hop, from: "{begins:{MOMENT}}", until: "{begins + dt.timedelta(hours=1):{MOMENT}}"}}]'

    async def scenario():
        environment = {"HOOK_SECRET": SECRET}
        daemon = Daemon(
            inventory_path=place.inventory,
            state_directory=place.state,
            load=lambda: inventory.load(place.inventory, environment=environment),
            wall=lambda: time.time() + skew[0],
        )
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            group.create_task(daemon.run())
            await until(lambda: "na-tau/main/capacity-down" in daemon._runner._running)
            await asyncio.sleep(0.5)  # some of it has been sent
            skew[0] = begins.timestamp() - time.time()
            await until(place.records)
            daemon.stop()

    with reflecting(host="127.46.34.9") as place.far:
        place.write(test="directions: down, burst: 5 MB", more=meeting)
        asyncio.run(scenario())
    (record,) = place.records()
    assert record["verdict"] == "inconclusive"
    assert record["reason"] in {"yielded", "clock"}  # the clock was set to get there
    assert 0 < record["bytes"] < 5_000_000
    assert record["seconds"] < 10
