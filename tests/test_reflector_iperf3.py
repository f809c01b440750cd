"""The reflector as an iperf3 server: with the real iperf3 client, with our own, and with clients that behave badly."""

import contextlib
import ipaddress
import json
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from netwatch.reflector import Limits, Reflector
from probes._capacity_tcp import TcpTest
from probes._control import Turned
from probes._iperf3 import Iperf3Test
from probes._stream_rules import stream_plan
from probes._wire.iperf3 import State, cookie, parameters
from tests.capacity_peer import TOKEN

HERE = "127.0.0.1"
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
CONTRACT = 40e6
ROOT = Path(__file__).parent.parent
NAME = cookie(bytes(36))


@contextlib.contextmanager
def serving(limits=None, host=HERE, networks=LOOPBACK):
    """A reflector; its own port and the one for iperf3."""
    far_end = Reflector(TOKEN, limits or Limits())
    thread = threading.Thread(target=far_end.serve)
    try:
        ((_, port),) = far_end.listen(host, 0)
        ((_, iperf3_port),) = far_end.listen_iperf3(host, 0, networks)
        thread.start()
        yield port, iperf3_port
    finally:
        far_end.close()
        thread.join()


def client(port, *options, host=HERE):
    """What the real program says of a test, as its JSON."""
    command = ["iperf3", "--client", host, "--port", str(port), "--json", *options]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return json.loads(ended.stdout)


def plan(direction):
    return stream_plan(direction, CONTRACT)


@pytest.mark.parametrize("options", [(), ("--reverse",), ("--parallel", "4"), ("--parallel", "4", "--reverse", "--omit", "1")])
def test_a_stock_client_is_served_either_way_with_any_number_of_streams_and_again(options):
    with serving(Limits(bits_per_second=200e6)) as (_, port):
        for _ in range(2):
            told = client(port, "--time", "1", "--interval", "0", *options)
            assert "error" not in told, told["error"]
            streams = 4 if "--parallel" in options else 1
            assert len(told["end"]["streams"]) == streams
            sent, received = told["end"]["sum_sent"], told["end"]["sum_received"]
            assert 0 < received["bytes"] <= sent["bytes"] * 1.2
            assert 10e6 < received["bits_per_second"] < 220e6
            if "--reverse" in options:  # sent is what we say of ourselves
                assert sent["bytes"] <= received["bytes"] * 1.5
                assert sent["retransmits"] >= 0


def test_a_stock_client_over_ipv6():
    with serving(host="::1") as (_, port):
        told = client(port, "--time", "1", "--bitrate", "5M", host="::1")
    assert told["end"]["sum_received"]["bytes"] > 100_000


def test_a_stock_client_may_say_how_much_in_place_of_how_long():
    with serving(Limits(bits_per_second=1e11)) as (_, port):
        told = client(port, "--bytes", "2M")
    assert "error" not in told
    assert told["end"]["sum_received"]["bytes"] >= 2_000_000


@pytest.mark.parametrize("direction", ["down", "up"])
def test_our_own_probe_takes_it_for_any_iperf3_server(direction):
    with serving() as (_, port):
        outcome = Iperf3Test(plan(direction), streams=4).run(socket.AF_INET, (HERE, port))
    assert (outcome.verdict, outcome.method) == ("proved", "iperf3")


@contextlib.contextmanager
def busy(port):
    """With a test that has begun and goes on until the end."""
    with socket.create_connection((HERE, port), 5) as control:
        control.sendall(NAME)
        assert control.recv(1) == bytes([State.PARAM_EXCHANGE])
        control.sendall(parameters(streams=1, reverse=True, seconds=30, pace_bits_per_second=1e6, block_bytes=1000))
        assert control.recv(1) == bytes([State.CREATE_STREAMS])
        with socket.create_connection((HERE, port), 5) as stream:
            stream.sendall(NAME)
            assert stream.recv(1000)
            yield control, stream


def test_there_is_one_test_at_a_time_whatever_it_is_asked_by():
    with serving() as (own_port, port):
        with busy(port):
            assert "busy" in client(port)["error"]
            with pytest.raises(Turned, match="busy"):
                TcpTest(plan("up"), TOKEN).run(socket.AF_INET, (HERE, own_port))
        assert "error" not in client(port, "--bytes", "100K")
        test = TcpTest(stream_plan("up", 1e6, burst_bytes=50_000_000, max_bytes=400_000_000, max_seconds=20), TOKEN)
        thread = threading.Thread(target=test.run, args=(socket.AF_INET, (HERE, own_port)))
        thread.start()
        try:
            while not test.bytes_ip:
                threading.Event().wait(0.01)
            assert "busy" in client(port)["error"]
        finally:
            test.stop.set()
            thread.join()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--udp",), "not implemented"),
        (("--bidir",), "not implemented"),
        (("--parallel", "17"), "parallel streams too large"),
        (("--bitrate", "2G"), "larger than server limit"),
        (("--bytes", "600M"), "larger than server limit"),
    ],
)
def test_what_is_not_taken_is_said_in_words_of_iperf3(options, said):
    with serving() as (_, port):
        assert said in client(port, *options)["error"]


@pytest.mark.parametrize("way", [(), ("--reverse",)])
@pytest.mark.parametrize(
    "limits", [Limits(bits_per_second=80e6, test_bytes=3_000_000), Limits(bits_per_second=8e6, test_seconds=1.0)], ids=["bytes", "seconds"]
)
def test_a_client_that_wants_more_than_is_allowed_is_cut_off_there(limits, way):
    far_end = Reflector(TOKEN, limits)
    ((_, port),) = far_end.listen_iperf3(HERE, 0, LOOPBACK)
    thread = threading.Thread(target=far_end.serve)
    thread.start()
    try:
        told = client(port, "--time", "30", *way)
    finally:
        far_end.close()
        thread.join()
    assert "terminated" in told["error"]
    (spent,) = [bytes_ for _, bytes_ in far_end._spent]
    assert 500_000 < spent < 3_200_000


def test_the_limit_of_a_day_holds_for_all_tests_together():
    with serving(Limits(day_bytes=5_000_000, test_bytes=4_000_000)) as (own_port, port):
        assert "error" not in client(port, "--bytes", "3M")
        assert "limit" in client(port, "--bytes", "60M")["error"]  # more than any buffer holds: iperf3 ends once all is handed over
        with pytest.raises(Turned, match="bytes"):
            TcpTest(plan("up"), TOKEN).run(socket.AF_INET, (HERE, own_port))


def test_who_comes_from_elsewhere_is_told_nothing():
    with serving(networks=(ipaddress.ip_network("10.45.0.0/16"),)) as (_, port), socket.create_connection((HERE, port), 5) as stranger:
        stranger.settimeout(5)
        with contextlib.suppress(ConnectionError):
            stranger.sendall(NAME)
            assert stranger.recv(100) == b""
    with pytest.raises(ValueError, match="networks"):
        Reflector(TOKEN).listen_iperf3(HERE, 0, ())


def document(told):
    body = json.dumps(told).encode()
    return struct.pack("!I", len(body)) + body


GOOD = {"tcp": True, "time": 1, "parallel": 1, "len": 1000}


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: somebody.example\r\nAccept: */*\r\n\r\n",
        NAME + struct.pack("!I", 1 << 31),
        NAME + document([]),
        NAME + document({**GOOD, "parallel": -1}),
        NAME + document({**GOOD, "time": "long"}),
        NAME + document({**GOOD, "num": 1e300}),
        NAME + document({**GOOD, "parallel": True}),
        NAME + document(GOOD),
        NAME,
        b"",
    ],
)
def test_who_says_what_no_client_says_or_leaves_does_not_keep_others_from_it(sent):
    with serving() as (_, port):
        with socket.create_connection((HERE, port), 5) as strange:
            strange.sendall(sent)
        told = client(port, "--bytes", "100K")
    assert "error" not in told, told["error"]


def test_a_client_that_is_killed_halfway_leaves_it_free():
    with serving(Limits(bits_per_second=20e6)) as (_, port):
        command = ["iperf3", "--client", HERE, "--port", str(port), "--time", "60", "--reverse", "--forceflush"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
            for line in first.stdout:
                if "connected to" in line:
                    break
            first.kill()
        told = client(port, "--bytes", "100K")
    assert "error" not in told, told["error"]


def test_a_stream_that_is_not_of_the_test_does_not_join_it():
    with serving() as (_, port), busy(port), socket.create_connection((HERE, port), 5) as strange:
        strange.sendall(cookie(bytes(range(36))))
        strange.settimeout(5)
        assert strange.recv(100) == struct.pack("b", State.ACCESS_DENIED)


@contextlib.contextmanager
def running(*command, port):
    """A reflector that is a process of its own, once it answers there."""
    with subprocess.Popen([sys.executable, *command], cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        try:
            while process.poll() is None:
                with contextlib.suppress(OSError), socket.create_connection((HERE, port), 1):
                    break
                threading.Event().wait(0.05)
            yield
        finally:
            process.terminate()
            process.wait(10)


def free_ports():
    with socket.create_server((HERE, 0)) as one, socket.create_server((HERE, 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


@pytest.mark.parametrize("module", ["netwatch", "netwatch.reflector"])
def test_both_programs_serve_stock_clients_when_told_which(module, tmp_path):
    token, (own, port) = tmp_path / "token", free_ports()
    token.write_text("correct horse\n")
    command = ["-m", module, *(["reflector"] if module == "netwatch" else []), "--listen", f"{HERE}:{own}", "--token-file", str(token)]
    command += ["--iperf3-port", str(port), "--iperf3-from", "127.0.0.0/8"]
    with running(*command, port=port):
        told = client(port, "--bytes", "100K")
    assert "error" not in told, told["error"]


@pytest.mark.parametrize("module", ["netwatch", "netwatch.reflector"])
@pytest.mark.parametrize(
    "options",
    [
        ("--iperf3-port", "5201"),
        ("--iperf3-from", "10.45.0.0/24"),
        ("--iperf3-port", "5201", "--iperf3-from", "10.45.0.1/24"),
        ("--iperf3-port", "5201", "--iperf3-from", "10.45.0.0/24", "--dial", "hub.example:8622", "--site", "na-tau"),
    ],
)
def test_an_iperf3_server_for_nobody_known_is_refused(module, options, tmp_path):
    token = tmp_path / "token"
    token.write_text("correct horse\n")
    command = ["-m", module, *(["reflector"] if module == "netwatch" else []), "--token-file", str(token), *options]
    ended = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == (64 if module == "netwatch" else 2), ended.stderr
    assert "--iperf3-" in ended.stderr
    assert "Traceback" not in ended.stderr
