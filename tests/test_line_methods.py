"""Each method of testing a line through the daemon, against the real far end on loopback, to the record in the ledger."""

import contextlib
import json
import socket

import pytest

from netwatch import ledger
from netwatch.cli._output import words
from netwatch.cli.line_test import _why_not
from tests.capacity_peer import TOKEN, reflecting
from tests.certificates import Authority
from tests.routeros import PASSWORD, USER, RouterOs
from tests.test_capacity_streams import iperf3_server, serving_files
from tests.test_daemon import Place, pages, wait_until

__all__ = ["pages", "place"]

FAR, ROUTER = "127.46.34.9", "127.46.34.1"
LINES = """\
version: 1
language: en
listen: 127.0.0.1:{port}
plan: {{site_net: "127.46.{{n}}.0/24", hosts: {{main: 254, router: 1, pc: 9}}}}
defaults:
  contact: noc
  line: {{carrier: VNPT, contract: 20 Mbps, test: {{window: "00:00-00:00", streams: 4, {test}}}}}
contacts: {{noc: {{name: NOC, phone: "09xx xxx xxx"}}}}
pagers:
  noc: {{pager: webhook, url: "{webhook}", secret: "${{HOOK_SECRET}}"}}
profiles:
  gate: {{role: router, checks: {{icmp: {{probe: icmp}}}}}}
roles:
  commune: {{lines: {{main: {{}}}}, devices: {{router: {{profile: gate}}}}}}
sites:
  na-tau: {{n: 34, code: "03316"}}
"""


class Lines(Place):
    test = "method: iperf3, host: 9"

    def write(self, more="", text=None):
        super().write(text=text or LINES.format(port=self.port, webhook=self.webhook, test=self.test))

    def records(self):
        path = ledger.path_in(self.state)
        return [one.record for one in ledger.newest_first(path)] if path.exists() else []


@pytest.fixture
def place(tmp_path, pages):
    made = Lines(tmp_path, webhook=pages.url)
    yield made
    made.close()


@contextlib.contextmanager
def by_tcp():
    with reflecting(host=FAR) as port:
        yield f'method: tcp, host: 9, port: {port}, token: "{TOKEN.decode()}"'


@contextlib.contextmanager
def by_iperf3():
    with iperf3_server(FAR) as port:
        yield f"method: iperf3, host: 9, port: {port}"


@contextlib.contextmanager
def by_http():
    with serving_files(FAR) as port:
        yield f'method: http, url: "http://{FAR}:{port}/large"'


def test_a_site_with_nothing_but_a_router_is_proved_downwards_and_the_record_has_its_cpu(place, tmp_path):
    authority = Authority(tmp_path)
    with RouterOs(authority.server(names=f"IP:{ROUTER}"), host=ROUTER, loads=[2, 11]) as router, socket.create_server(("", 0)) as free:
        (tmp_path / "password").write_text(f"{PASSWORD}\n", "utf-8")
        fetch_port = free.getsockname()[1]
        free.close()
        place.test = (
            f"method: router, device: router, port: {router.port}, fetch_port: {fetch_port}, user: {USER}, "
            f'password: "${{file:{tmp_path}/password}}", ca_file: {authority.file}'
        )
        place.write()
        place.start()
        wait_until(place.records)
        told = place.metrics()
    (record,) = place.records()
    assert {record[name] for name in ("verdict", "method", "grade", "direction")} == {"proved", "router", "down"}
    assert record["inputs"]["measurement"]["router_cpu_ratio"] == 0.11
    assert 'netwatch_line_verdict{site="na-tau",line="main",direction="down",verdict="proved"} 1.0' in told
    assert 'netwatch_line_verdict{site="na-tau",line="main",direction="up"' not in told
    shown = [*tmp_path.glob("log*"), *place.state.rglob("*")]
    secret = PASSWORD.encode(), json.dumps(PASSWORD)[1:-1].encode()
    assert not [path for path in shown if path.is_file() and any(one in path.read_bytes() for one in secret)]


@pytest.mark.parametrize(
    ("far_end", "grade"),
    [
        (by_tcp, "reflector"),
        pytest.param(by_iperf3, "server", marks=pytest.mark.soak),
        pytest.param(by_http, "server", marks=pytest.mark.soak),
    ],
)
def test_a_line_is_proved_by_each_method_and_the_ledger_says_by_which_and_what_that_is_worth(place, far_end, grade):
    with far_end() as place.test:
        place.write()
        place.start()
        wait_until(lambda: len(place.records()) == 2)
        told = place.metrics()
    method = far_end.__name__.removeprefix("by_")
    found = {(one["direction"], one["verdict"], one["step"], one["method"], one["grade"]) for one in place.records()}
    assert found == {(direction, "proved", "test", method, grade) for direction in ("down", "up")}
    assert all(one["bytes"] > 0 and one["inputs"]["measurement"]["bins"] for one in place.records())
    assert f'netwatch_line_measured_bytes_per_second{{site="na-tau",line="main",direction="up",method="{method}"}}' in told
    assert ledger.verify(ledger.path_in(place.state), public=ledger.key_in(ledger.path_in(place.state).parent)).sound


def test_why_a_test_could_not_be_run_is_told_with_what_the_far_end_said_of_it():
    failures = [key.removeprefix("line_test.failed_") for key in words().texts if key.startswith("line_test.failed_")]
    assert "router_refuses" in failures
    for code in failures:
        assert _why_not({"failed": code, "detail": "no (9)"})
    assert "no (9)" in _why_not({"failed": "router_refuses", "detail": "no (9)"})
    assert _why_not({"failed": "new", "detail": "no (9)"}) == "no (9)"
