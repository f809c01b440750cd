"""Tests of a line by several streams of TCP: with our reflector, the real iperf3 program, and an HTTP server."""

import asyncio
import contextlib
import http.server
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from probes import ProbeFailed, Secret, Target
from probes._capacity_http import HttpTest
from probes._capacity_tcp import TcpTest
from probes._control import Turned
from probes._iperf3 import Iperf3Test
from probes._stream_rules import stream_plan
from probes._wire.iperf3 import State
from probes.bandwidth import Bandwidth
from tests.capacity_peer import TOKEN, reflecting

CONTRACT = 40e6
HERE = "127.0.0.1"
ROOT = Path(__file__).parent.parent
LARGE = 50_000_000


def plan(direction="down", **more):
    return stream_plan(direction, CONTRACT, **more)


def run(test, port, family=socket.AF_INET):
    return test.run(family, ("::1" if family == socket.AF_INET6 else HERE, port))


@contextlib.contextmanager
def iperf3_server(host=HERE):
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as free:
        port = free.getsockname()[1]
    command = ["iperf3", "--server", "--port", str(port), "--bind", host, "--forceflush"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        try:
            for line in server.stdout:
                if "listening" in line:
                    break
            yield port
        finally:
            server.kill()


@contextlib.contextmanager
def reflector_process():
    """As users start it; its port and the process."""
    environment = {**os.environ, "NETWATCH_LINE_TOKEN": TOKEN.decode(), "LANG": "en"}
    command = [sys.executable, "-m", "netwatch", "reflector", "--listen", f"{HERE}:0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, cwd=ROOT) as process:
        try:
            yield int(process.stderr.readline().rpartition(":")[2]), process
        finally:
            process.kill()


@contextlib.contextmanager
def answering(behave, times=1):
    """A server that does something of its own with each connection."""
    listener = socket.create_server((HERE, 0))
    over = threading.Event()

    def serve():
        with contextlib.suppress(OSError):
            for _ in range(times):
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(20)
                    behave(connection, over)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@pytest.mark.parametrize("direction", ["down", "up"])
def test_streams_with_our_reflector_prove_a_faster_line(direction):
    with reflecting() as port:
        outcome = run(TcpTest(plan(direction), TOKEN, streams=2), port)
    assert (outcome.verdict, outcome.method, outcome.facts["streams"]) == ("proved", "tcp", "2"), outcome
    assert outcome.estimate.low > CONTRACT
    assert 0 < outcome.goodput_bits_per_second < outcome.estimate.value


@pytest.mark.parametrize("direction", ["down", "up"])
def test_streams_with_a_stock_iperf3_server_prove_a_faster_line_and_leave_it_free(direction):
    with iperf3_server() as port:
        outcomes = [run(Iperf3Test(plan(direction), streams=4), port) for _ in range(2)]
    assert [(one.verdict, one.method) for one in outcomes] == [("proved", "iperf3")] * 2, outcomes
    assert int(outcomes[0].facts["far_end_bytes"]) > 0


def test_iperf3_over_ipv6():
    with iperf3_server("::1") as port:
        outcome = run(Iperf3Test(plan("up"), streams=2), port, socket.AF_INET6)
    assert (outcome.verdict, outcome.facts["ip_version"]) == ("proved", "6")


def test_a_busy_iperf3_server_is_busy_and_no_more_than_that():
    with iperf3_server() as port:
        client = ["iperf3", "--client", HERE, "--port", str(port), "--bitrate", "1M", "--time", "60", "--forceflush"]
        with subprocess.Popen(client, stdout=subprocess.PIPE, text=True) as first:
            try:
                for line in first.stdout:
                    if "connected to" in line:
                        break
                with pytest.raises(Turned, match="busy"):
                    run(Iperf3Test(plan(), busy_seconds=0.0), port)
            finally:
                first.kill()


def test_a_server_killed_halfway_makes_the_test_inconclusive():
    with iperf3_server() as port:
        test = Iperf3Test(plan("up", burst_bytes=50_000_000, max_bytes=400_000_000, max_seconds=20), streams=2)
        outcomes = []
        thread = threading.Thread(target=lambda: outcomes.append(run(test, port)))
        thread.start()
        while not test.bytes_ip and thread.is_alive():
            threading.Event().wait(0.01)
    thread.join()
    assert outcomes[0].verdict == "inconclusive"
    assert outcomes[0].reason in {"peer_gone", "peer_silent"}


@pytest.mark.parametrize("direction", ["down", "up"])
@pytest.mark.parametrize(("signal_number", "reason"), [(signal.SIGKILL, "peer_gone"), (signal.SIGSTOP, "peer_silent")])
def test_a_reflector_that_dies_or_stands_still_halfway_is_told_as_that(direction, signal_number, reason):
    """Its kernel goes on acknowledging for one that stands still."""
    with reflector_process() as (port, process):
        test = TcpTest(plan(direction, burst_bytes=50_000_000, max_bytes=400_000_000, max_seconds=20), TOKEN)
        outcomes = []
        thread = threading.Thread(target=lambda: outcomes.append(run(test, port)))
        thread.start()
        while len(test._bins) < 3 and thread.is_alive():
            threading.Event().wait(0.01)
        process.send_signal(signal_number)
        thread.join()
    (outcome,) = outcomes
    assert (outcome.verdict, outcome.reason) == ("inconclusive", reason), outcome
    assert outcome.seconds < 10


@pytest.mark.parametrize("direction", ["down", "up"])
def test_streams_stay_within_their_cap_of_bytes(direction):
    with reflecting() as port:
        outcome = run(TcpTest(plan(direction, max_bytes=1_500_000), TOKEN, 2), port)
    assert (outcome.verdict, outcome.reason) == ("inconclusive", "cap_bytes")
    assert outcome.bytes_ip <= 1_500_000


def test_whoever_needs_the_line_ends_a_test_at_once():
    with reflecting() as port:
        test = TcpTest(plan("up", burst_bytes=50_000_000, max_bytes=400_000_000, max_seconds=20), TOKEN)
        test.stop.set()
        assert run(test, port).reason == "yielded"


def garbled(connection, over):
    connection.recv(100)
    connection.sendall(b"SSH-2.0-OpenSSH\r\n")
    over.wait(20)


def huge(connection, over):
    connection.recv(100)
    connection.sendall(bytes([State.PARAM_EXCHANGE, State.SERVER_TERMINATE]) + struct.pack("!I", 1 << 31))
    over.wait(20)


def refuses(connection, over):
    connection.recv(100)
    connection.sendall(bytes([State.PARAM_EXCHANGE]) + struct.pack("!bii", State.SERVER_ERROR, 142, 0))
    over.wait(20)


def gone(connection, over):
    connection.recv(100)


@pytest.mark.parametrize(
    ("behave", "code"), [(garbled, "not_iperf3"), (huge, "iperf3_error"), (refuses, "iperf3_error"), (gone, "peer_gone")]
)
def test_what_is_no_iperf3_server_is_told_by_its_code(behave, code):
    with answering(behave) as port:

        async def scenario():
            await measured(port, "iperf3")

        with pytest.raises(ProbeFailed) as caught:
            asyncio.run(scenario())
    assert caught.value.code == code


async def measured(port, method, url=None, direction="up"):
    probe = Bandwidth(contract_bits_per_second=CONTRACT, direction=direction, port=port, method=method, url=url)
    deadline = asyncio.get_running_loop().time() + 60
    return await probe.measure(Target(address=HERE, deadline=deadline, secrets={"token": Secret("unused")}))


class Files(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/large")
            self.end_headers()
            return
        if self.path in {"/elsewhere", "/circle"}:
            self.send_response(302)
            self.send_header("Location", "http://10.9.9.9/" if self.path == "/elsewhere" else "/circle")
            self.end_headers()
            return
        if self.path == "/nothing":
            self.send_error(404)
            return
        size = LARGE if self.path == "/large" else 2000
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        portion = os.urandom(100_000)
        with contextlib.suppress(OSError):
            for start in range(0, size, len(portion)):
                self.wfile.write(portion[: size - start])

    def do_PUT(self):
        with contextlib.suppress(OSError):
            if self.path == "/refused":
                self.send_error(405)
                return
            if self.path == "/enough":
                self.rfile.read1(100_000)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()
                self.close_connection = True
                return
            while self.rfile.read1(100_000):
                pass

    def log_message(self, *_):
        """Quiet."""


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """A test ends by resetting what is still under way."""


@contextlib.contextmanager
def serving_files(host=HERE):
    with Server((host, 0), Files) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(("direction", "path"), [("up", "/large"), ("up", "/moved"), ("down", "/put")])
def test_any_web_server_will_do(direction, path):
    with serving_files() as port:
        outcome = run(HttpTest(plan(direction), f"http://web.example:{port}{path}", streams=4), port)
    assert (outcome.verdict, outcome.method) == ("proved", "http"), outcome


def test_a_file_that_ends_too_soon_decides_nothing():
    with serving_files() as port:
        outcome = run(HttpTest(plan("up"), f"http://web.example:{port}/small", streams=2), port)
    assert (outcome.verdict, outcome.reason) == ("inconclusive", "too_short")


def test_an_upload_that_is_over_too_soon_decides_nothing():
    with serving_files() as port:
        outcome = run(HttpTest(plan("down"), f"http://web.example:{port}/enough", streams=2), port)
    assert outcome.verdict == "inconclusive"
    assert outcome.reason in {"upload_refused", "peer_gone"}


@pytest.mark.parametrize(
    ("direction", "path", "code"),
    [
        ("up", "/nothing", "http_status"),
        ("up", "/elsewhere", "redirect"),
        ("up", "/circle", "redirect"),
        ("down", "/refused", "http_status"),
    ],
)
def test_a_server_that_gives_or_takes_no_file_is_told_by_its_code(direction, path, code):
    with serving_files() as port, pytest.raises(ProbeFailed) as caught:
        asyncio.run(measured(port, "http", f"http://web.example:{port}{path}", direction))
    assert caught.value.code == code


def test_tls_that_is_none_is_told_by_its_code():
    with serving_files() as port, pytest.raises(ProbeFailed) as caught:
        asyncio.run(measured(port, "http", f"https://web.example:{port}/large"))
    assert caught.value.code == "tls"
