"""The daemon as a process: start, refuse, reload, page, die by kill -9, come back."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.icmp_peer import WITHOUT_RAW_SOCKETS, datagrams_refused

ROOT = Path(__file__).parent.parent
CANARY = "canary-7f3a-never-seen"
INVENTORY = """\
version: 1
language: en
listen: 127.0.0.1:{port}
plan: {{site_net: "127.46.{{n}}.0/24", hosts: {{main: 254, router: 1, counter: 9}}}}
defaults: {{contact: noc, snmp: {{community: "${{NETWATCH_SNMP_COMMUNITY}}"}}, line: {{carrier: VNPT, contract: 100 Mbps}}}}
contacts: {{noc: {{name: NOC, phone: "09xx xxx xxx"}}}}
pagers:
  noc: {{pager: webhook, url: "{webhook}", secret: "${{HOOK_SECRET}}"}}
profiles:
  router: {{role: router, checks: {{icmp: {{probe: icmp}}}}}}
  counter: {{role: server, checks: {{port: {{probe: tcp, port: {tcp}, interval: 1s, timeout: 500ms, retry: 1s, attempts: 2, hard_after: 1s}}}}}}
roles:
  commune: {{lines: {{main: {{}}}}, devices: {{router: {{profile: router}}, counter: {{profile: counter}}}}}}
sites:
  na-tau: {{n: 34, code: "03316"}}
{more}
"""
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@contextlib.contextmanager
def accepting(port=0):
    """A TCP listener on every address of this private network; closing it is the fault."""
    listener = socket.create_server(("0.0.0.0", port))
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()


class Pages(ThreadingHTTPServer):
    """Collects the pages it is sent."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages = []
        self.arrived = threading.Condition()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/page"

    def wait_for(self, kind, cause=""):
        def found():
            of_kind = [page for page in self.pages if page["kind"] == kind]
            return [page for page in of_kind if cause in {"", page["incident"]["cause"]["name"]}]

        with self.arrived:
            assert self.arrived.wait_for(found, timeout=30), self.pages
            return found()[0]


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.arrived:
            self.server.pages.append(body | {"webhook_id": self.headers["webhook-id"]})
            self.server.arrived.notify_all()
        self.send_response(204)
        self.end_headers()

    def log_message(self, *arguments):
        pass


@contextlib.contextmanager
def receiving():
    """A receiver of pages."""
    server = Pages()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    thread.join(10)
    server.server_close()


@pytest.fixture
def pages():
    with receiving() as server:
        yield server


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Place:
    """A directory with an inventory, a state and the daemons that were started on them."""

    def __init__(self, tmp_path, tcp=1, webhook="http://127.0.0.1:9/x"):
        self.directory, self.port, self.tcp, self.webhook = tmp_path, free_port(), tcp, webhook
        self.inventory, self.state = tmp_path / "inventory.yaml", tmp_path / "state"
        self.started = []
        self.write()

    def write(self, more="", text=None):
        self.inventory.write_text(text or INVENTORY.format(port=self.port, tcp=self.tcp, webhook=self.webhook, more=more), "utf-8")

    def command(self, *arguments):
        return [sys.executable, "-m", "netwatch", "--lang", "en", *arguments]

    def environment(self):
        ours = {name: value for name, value in os.environ.items() if name != "NETWATCH_SOCKET"}
        return {**ours, "NETWATCH_SNMP_COMMUNITY": CANARY, "HOOK_SECRET": SECRET, "PYTHONDEVMODE": "0"}

    def start(self):
        """A running daemon that answers on its socket."""
        command = self.command("run", "--inventory", str(self.inventory), "--state", str(self.state))
        log = (self.directory / f"log{len(self.started)}").open("w+")
        daemon = subprocess.Popen(command, cwd=ROOT, stderr=log, env=self.environment())
        self.started.append((daemon, log))
        deadline = threading.Event()
        while daemon.poll() is None:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(self.socket))
                return daemon
            deadline.wait(0.05)
        log.seek(0)
        raise AssertionError(log.read())

    def refuse(self, before=()):
        """Starts one that must not start, by `before` if given; gives its exit code and words."""
        command = [*before, *self.command("run", "--inventory", str(self.inventory), "--state", str(self.state))]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=self.environment(), timeout=60, check=False)
        assert "Traceback" not in ended.stderr
        return ended.returncode, ended.stderr

    @property
    def socket(self):
        return self.state / "api.sock"

    def ask(self, *arguments):
        command = self.command(*arguments, "--socket", str(self.socket))
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=self.environment(), timeout=60, check=False)

    def metrics(self):
        import urllib.request

        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            return answer.read().decode()

    def logs(self):
        return "".join((self.directory / f"log{n}").read_text() for n in range(len(self.started)))

    def close(self):
        for daemon, log in self.started:
            if daemon.poll() is None:
                daemon.kill()
            daemon.wait(10)
            log.close()


def tries_stored(database):
    """How many failed runs of the counter's check the next process would know of."""
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as opened:
        rows = opened.execute("SELECT document FROM memory WHERE check_id = 'na-tau/counter/port'").fetchall()
        return max((subject["candidate_runs"] for (text,) in rows for subject in json.loads(text)["subjects"]), default=0)
    return 0


@pytest.fixture
def place(tmp_path, pages):
    with accepting() as tcp:
        pass
    made = Place(tmp_path, tcp=tcp, webhook=pages.url)
    yield made
    made.close()


def test_it_starts_answers_and_stops_when_told(place):
    with accepting(place.tcp):
        daemon = place.start()
        assert "Nà Tấu" in place.ask("status", "na-tau").stdout
        pruned = place.ask("db", "prune", "--state", str(place.state))
        assert (pruned.returncode, pruned.stderr) == (0, "")
        pruned = place.ask("db", "prune")  # only the socket is named: the daemon knows where its file is
        assert (pruned.returncode, pruned.stderr, pruned.stdout[: len(str(place.socket))]) == (0, "", str(place.socket))
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(30) == 0
    assert not place.socket.exists()
    assert CANARY not in place.logs()
    assert SECRET not in place.logs()


def test_one_line_tells_where_it_is_and_one_that_it_stops(place):
    daemon = place.start()
    wait_until(lambda: " started " in place.logs())
    daemon.send_signal(signal.SIGINT)
    daemon.wait(30)
    told = [line.split(" netwatch.daemon ")[1] for line in place.logs().splitlines() if " netwatch.daemon " in line]
    started = told[0].split()
    assert (started[0], told[-1]) == ("started", "stopped")
    assert {"version=0.1.0", "sites=1", f"page=http://127.0.0.1:{place.port}/", f"socket={place.socket}", f"state={place.state}"} <= set(
        started
    )


def test_a_socket_that_another_daemon_answers_on_is_left_to_it(place):
    place.state.mkdir()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(place.socket))
        other.listen()
        code, words = place.refuse()
        assert place.socket.is_socket()
    assert (code, str(place.socket) in words) == (1, True)


def test_a_page_survives_kill_and_the_recovery_has_its_key(place, pages):
    with accepting(place.tcp):
        daemon = place.start()
        assert pages.pages == []
    opened = pages.wait_for("open")
    daemon.send_signal(signal.SIGKILL)
    daemon.wait(10)
    with accepting(place.tcp):
        place.start()
        recovered = pages.wait_for("recover")
    assert recovered["incident"]["key"] == opened["incident"]["key"] == "netwatch/na-tau/counter"
    told = {page["webhook_id"]: page["kind"] for page in pages.pages}  # killed before it could note the 204, it may say it again
    assert list(told.values()) == ["open", "recover"]
    assert CANARY not in place.logs() + json.dumps(pages.pages) + place.metrics()


def test_tries_that_failed_before_a_kill_count_after_it(place, pages):
    written = place.inventory.read_text()
    place.inventory.write_text(written.replace("attempts: 2, hard_after: 1s", "attempts: 4, hard_after: 12s"))
    daemon = place.start()
    wait_until(lambda: any(tries_stored(found) >= 3 for found in place.state.glob("*.db")))
    daemon.send_signal(signal.SIGKILL)
    daemon.wait(10)
    killed_at = datetime.now(UTC)
    place.start()
    assert datetime.fromisoformat(pages.wait_for("open")["incident"]["opened"]) < killed_at


def test_a_second_daemon_on_one_directory_refuses(place):
    place.start()
    first, place.port = place.port, free_port()
    place.write()
    code, words = place.refuse()
    assert code == 1
    assert str(place.state) in words
    place.port = first


def test_a_port_in_use_is_said(place):
    with socket.create_server(("127.0.0.1", place.port)):
        code, words = place.refuse()
    assert code == 1
    assert f"127.0.0.1:{place.port}" in words


def test_a_bad_inventory_is_refused_with_all_its_lines(place):
    place.write(more='  pu-nhi: {n: 34, code: 3370}\n  nowhere: {n: 999, code: "00000"}\n')
    code, words = place.refuse()
    assert code == 78
    assert len([line for line in words.splitlines() if f"{place.inventory}:" in line]) >= 3


def test_a_missing_inventory_is_66_and_the_demo_plan_78(place):
    place.inventory.unlink()
    assert place.refuse()[0] == 66
    place.write(text=(ROOT / "inventory.yaml").read_text("utf-8"))
    code, words = place.refuse()
    assert code == 78
    assert "make demo" in words


def test_a_newer_database_is_refused_and_left_alone(place):
    daemon = place.start()
    daemon.send_signal(signal.SIGTERM)
    daemon.wait(30)
    database = next(place.state.glob("*.db"))
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA user_version = 9999")
    newer = database.read_bytes()
    assert place.refuse()[0] == 1
    assert database.read_bytes()[100:] == newer[100:]  # SQLite counts openings in its header


def test_a_broken_database_is_set_aside_told_of_once_and_paging_goes_on(place, pages):
    with accepting(place.tcp):
        daemon = place.start()
        wait_until(lambda: 'netwatch_tcp_connect_seconds{site="na-tau",target="counter"' in place.metrics())
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(30)
    database = place.state / "netwatch.db"
    broken = database.read_bytes()[:4096] + os.urandom(database.stat().st_size - 4096)
    database.write_bytes(broken)
    daemon = place.start()
    (aside,) = place.state.glob("netwatch.db.corrupt-*")
    assert aside.read_bytes()[100:] == broken[100:]
    told = [pages.wait_for("open", cause) for cause in ("history", "na-tau/counter")]
    assert told[0]["incident"]["key"] == "netwatch/self/history"
    assert min(page["incident"]["id"] for page in told) > 3_000_000  # no number that a pager may have seen
    assert pages.wait_for("recover", "history")
    daemon.send_signal(signal.SIGKILL)
    daemon.wait(10)
    with accepting(place.tcp):
        place.start()
        pages.wait_for("recover", "na-tau/counter")
    assert len([page for page in pages.pages if page["kind"] == "open"]) == 2
    assert "Traceback" not in place.logs()


@pytest.mark.needs_private_network
def test_without_permission_to_ping_it_says_what_mends_it(place):
    with datagrams_refused():
        code, words = place.refuse(before=WITHOUT_RAW_SOCKETS)
    assert code == 77
    assert "netwatch doctor" in words


def test_a_bad_reload_keeps_the_old_inventory_and_a_good_one_drops_what_is_gone(place, pages):
    with accepting(place.tcp):
        place.start()
        wait_until(lambda: 'netwatch_tcp_connect_seconds{site="na-tau",target="counter"' in place.metrics())
        whole = place.inventory.read_text("utf-8")
        place.write(text=whole[: len(whole) // 2])
        refused = place.ask("reload")
        assert refused.returncode == 78
        assert "inventory.yaml:" in refused.stderr + refused.stdout
        assert "netwatch_config_last_reload_success 0" in place.metrics()
        assert pages.wait_for("open")["incident"]["cause"]["type"] == "netwatch"
        place.write(text=whole.replace(", counter: {profile: counter}", ""))
        assert place.ask("reload").returncode == 0
        text = place.metrics()
        assert "netwatch_sse_clients 0" in text
        assert "netwatch_backup_failures_total 0" in text
    assert "netwatch_config_last_reload_success 1" in text
    assert 'target="counter"' not in text
    assert 'device="counter"' not in text
    pages.wait_for("recover")


def test_a_thousand_hangups_are_one_reload_at_a_time(place):
    with accepting(place.tcp):
        daemon = place.start()
        held = descriptors_of(daemon)
        for _ in range(1000):
            daemon.send_signal(signal.SIGHUP)
        assert place.ask("reload").returncode == 0
        wait_until(lambda: descriptors_of(daemon) <= held + 5)
        assert daemon.poll() is None


def test_check_now_runs_a_check(place):
    with accepting(place.tcp):
        place.start()
        asked = asyncio.run(post(place.socket, "/api/v1/checks/na-tau/counter/port/run"))
        assert asked in {200, 202, 204}


def descriptors_of(daemon):
    return sum(1 for _ in Path(f"/proc/{daemon.pid}/fd").iterdir())


async def post(path, resource):
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(f"POST {resource} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
    await writer.drain()
    status = int((await reader.readline()).split()[1])
    writer.close()
    return status


def wait_until(true):
    """Asks again, for at most thirty seconds."""
    pause = threading.Event()
    for _ in range(300):
        if true():
            return
        pause.wait(0.1)
    pytest.fail("it never came to be")
