import asyncio
import contextlib
import io
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch.cli import app
from netwatch.cli._output import Failed, run
from netwatch.cli.probe_icmp import _seconds
from tests.dns_peer import nsd
from tests.icmp_peer import WITHOUT_RAW_SOCKETS

pytestmark = pytest.mark.needs_private_network

NETWATCH = [sys.executable, "-m", "netwatch"]
SILENT = "198.51.100.7"


@pytest.fixture(scope="module", autouse=True)
def silence():
    subprocess.run(["ip", "route", "replace", "198.51.100.0/24", "dev", "lo"], check=True)
    yield
    subprocess.run(["ip", "route", "del", "198.51.100.0/24"], check=True)


def netwatch(*arguments, given="", language="en"):
    """Runs the command in this process: starting Python forty times takes longer than all the measuring."""
    with (
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(sys, "argv", ["netwatch", "--lang", language, "--color", "never", "probe", *arguments])
        patch.setattr(sys, "stdin", io.StringIO(given))
        code = run(app, os.environ)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def process(*arguments, before=(), given=None):
    return subprocess.run(
        [*before, *NETWATCH, "--lang", "en", "probe", *arguments], input=given, capture_output=True, text=True, timeout=60, check=False
    )


def icmp(*arguments, **options):
    return netwatch("icmp", *arguments, "--spacing", "10ms", "--timeout", "200ms", **options)


def test_each_target_is_one_json_line_in_order(tmp_path):
    addresses = ["127.0.0.1", "::1", SILENT, "127.9.9.9"]
    file = tmp_path / "addresses.txt"
    file.write_text("\n".join(addresses))
    done = icmp("-f", str(file), "--count", "3", "--rate", "20000", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["target"] for line in lines] == addresses
    assert [(line["sent"], line["received"], len(line["rtt_seconds"])) for line in lines] == [(3, 3, 3), (3, 3, 3), (3, 0, 0), (3, 3, 3)]
    assert [line.get("error") for line in lines] == [None, None, "timeout", None]
    assert all(0 < rtt < 0.2 for line in lines for rtt in line["rtt_seconds"])
    assert done.returncode == 1
    assert done.stderr == ""


def test_all_answered_is_exit_0_with_a_table():
    done = icmp("127.0.0.1", "::1")
    assert done.returncode == 0
    heading, first, second = done.stdout.splitlines()
    assert heading.split()[:3] == ["Address", "Sent", "Answered"]
    assert (first.split()[:3], second.split()[:3]) == (["127.0.0.1", "5", "5"], ["::1", "5", "5"])


def test_the_table_speaks_vietnamese():
    assert "Địa chỉ" in icmp("127.0.0.1", "--count", "1", language="vi").stdout


def test_a_dash_reads_standard_input_with_comments_and_blank_lines():
    done = icmp("-f", "-", "--json", "--count", "1", given="# sites\n\n 127.0.0.1  # Sín Thầu\r\n127.0.0.2\n")
    assert [json.loads(line)["target"] for line in done.stdout.splitlines()] == ["127.0.0.1", "127.0.0.2"]
    assert done.returncode == 0


def test_the_same_targets_answer_netwatch_and_fping():
    addresses = [f"127.45.{x}.{y}" for x in range(10) for y in range(1, 41)] + [f"198.51.100.{n}" for n in range(1, 6)]
    listing = "\n".join(addresses)
    ours = process("icmp", "-f", "-", "--json", "--count", "2", "--rate", "20000", "--spacing", "10ms", "--timeout", "200ms", given=listing)
    answered = {line["target"] for line in map(json.loads, ours.stdout.splitlines()) if line["received"]}
    fping = subprocess.run(
        ["fping", "-a", "-i", "0.1", "-r", "0", "-t", "200"], input=listing, capture_output=True, text=True, timeout=60, check=False
    )
    assert answered == set(fping.stdout.split())


def test_every_bad_line_is_named_by_file_and_line(tmp_path):
    file = tmp_path / "addresses.txt"
    file.write_text("127.0.0.1\nrouter\n10.0.0.300\n224.0.0.1\n")
    done = icmp("-f", str(file))
    assert done.returncode == 64
    assert done.stdout == ""
    for number, wrong in ((2, "router"), (3, "10.0.0.300"), (4, "224.0.0.1")):
        assert f"{file}:{number}: {wrong!r} is not" in done.stderr


def test_ten_thousand_bad_lines_make_a_short_complaint(tmp_path):
    file = tmp_path / "addresses.txt"
    file.write_bytes(b"\xff\x00 rubbish\n" * 10_000)
    done = icmp("-f", str(file))
    assert done.returncode == 64
    assert "9990 more" in done.stderr
    assert len(done.stderr.splitlines()) == 11


def test_a_line_without_end_is_refused():
    done = icmp("-f", "-", given="1" * 50_000)
    assert done.returncode == 64
    assert len(done.stderr) < 5000


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ((), 64, "no addresses"),
        (("-f", "/nowhere/at-all.txt"), 66, "/nowhere/at-all.txt"),
        (("-f", "/"), 66, "directory"),
        (("example.org",), 64, "'example.org'"),
        (("127.0.0.1", "--timeout", "11s"), 64, "--timeout"),
        (("127.0.0.1", "--timeout", "soon"), 64, "'soon'"),
        (("127.0.0.1", "--rate", "0"), 64, "--rate"),
        (("127.0.0.1", "--count", "0"), 64, "--count"),
        (("127.0.0.1", "--size", "7"), 64, "--size"),
        (("127.0.0.1", "--source", "eth0"), 64, "'eth0'"),
        (("127.0.0.1", "--source", "192.0.2.9"), 1, "Cannot assign"),
    ],
)
def test_what_cannot_be_done_is_one_clear_line_and_its_exit_code(arguments, code, says):
    done = netwatch("icmp", *arguments)
    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_an_empty_file_has_no_addresses(tmp_path):
    file = tmp_path / "addresses.txt"
    file.write_text("# none yet\n")
    assert icmp("-f", str(file)).returncode == 64


def test_an_unroutable_target_names_the_reason_and_the_others_are_measured():
    done = icmp("192.0.2.1", "127.0.0.1", "--json")
    bad, good = (json.loads(line) for line in done.stdout.splitlines())
    assert (bad["sent"], bad["error"]) == (0, "enetunreach")
    assert good["received"] == 5
    assert done.returncode == 1


def test_without_permission_the_mending_command_is_named():
    done = process("icmp", "127.0.0.1", before=("unshare", "--net", *WITHOUT_RAW_SOCKETS))
    assert done.returncode == 77
    assert "sysctl" in done.stderr
    assert "net.ipv4.ping_group_range" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_leaves_early_is_no_error():
    with subprocess.Popen([*NETWATCH, "probe", "icmp", "127.0.0.1", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait(timeout=30) == 141


def test_icmp_starts_without_what_only_other_probes_need():
    script = "import sys; import netwatch.cli, probes.icmp; print([name for name in ('aiohttp', 'pysnmp', 'gufo') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60).stdout.strip() == "[]"


@given(st.integers(1, 9999))
def test_durations_are_read_in_both_units(milliseconds):
    assert _seconds("--timeout", f"{milliseconds}ms", 10) == pytest.approx(milliseconds / 1000)
    assert _seconds("--timeout", f"{milliseconds / 1000:.3f}s", 10) == pytest.approx(milliseconds / 1000)
    assert _seconds("--timeout", f"{milliseconds / 1000:.3f}", 10) == pytest.approx(milliseconds / 1000)


@given(st.text(max_size=10))
def test_any_other_text_for_a_duration_is_refused(text):
    if re.fullmatch(r"[0-9.]+(ms|s)?", text):
        return
    with pytest.raises(Failed) as caught:
        _seconds("--timeout", text, 10)
    assert caught.value.code == 64


@pytest.mark.parametrize("text", ["0", "0ms", "10.001s", "10001ms", "1.s", "-1", "1m", "٣"])
def test_a_duration_out_of_range_or_in_other_units_is_refused(text):
    with pytest.raises(Failed):
        _seconds("--timeout", text, 10)


# --- the other types


def test_tcp_is_measured_by_its_own_command():
    with socket.create_server(("127.0.0.1", 0)) as server:
        done = netwatch("tcp", "127.0.0.1", "--port", str(server.getsockname()[1]), "--json")
    document = json.loads(done.stdout)
    assert done.returncode == 0
    assert (document["schema"], document["probe"], document["target"]) == ("netwatch/v1/probe", "tcp", "127.0.0.1")
    assert (document["outcome"], document["code"]) == ("ok", "")
    (sample,) = document["samples"]
    assert sample["name"] == "tcp_connect_seconds"
    assert 0 < sample["values"][0] < 10


def test_a_failed_measurement_is_printed_and_exits_1():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    done = netwatch("tcp", "127.0.0.1", "--port", str(port), "--json")
    assert json.loads(done.stdout)["code"] == "refused"
    assert done.returncode == 1
    assert "refused" in done.stderr


def test_http_takes_its_keys_as_options_and_prints_a_table():
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        try:
            port = server.stdout.readline().partition("port ")[2].split()[0]
            done = netwatch("http", "127.0.0.1", "--port", port, "--path", "/none", "--expect-status", "404", "--expect-status", "410")
        finally:
            server.terminate()
    assert done.returncode == 0, done.stderr
    assert ["http_status_code", "404"] in [line.split() for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("tcp", "127.0.0.1"), "--port"),
        (("tcp", "127.0.0.1", "--port", "99999"), "--port"),
        (("tcp", "127.0.0.1", "--port", "many"), "--port"),
        (("tcp", "127.0.0.1", "--ports", "80"), "--ports"),
        (("http", "127.0.0.1", "--max-redirects", "9"), "--max-redirects"),
        (("http", "127.0.0.1", "--method", "HEAD", "--body-match", "x"), "body_match"),
        (("dns", "127.0.0.1"), "--name"),
        (("dns", "127.0.0.1", "--name", "a..b"), "a..b"),
        (("dns", "127.0.0.1", "--name", "a", "--expect", "b"), "expect"),
        (("tls", "127.0.0.1", "--starttls", "smtp"), "--starttls"),
        (("telnet", "127.0.0.1"), "telnet"),
    ],
)
def test_a_wrong_option_is_a_usage_error(arguments, says):
    done = netwatch(*arguments)
    assert done.returncode == 64
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_every_probe_type_is_listed_and_has_help():
    listed = netwatch("--help").stdout
    for name in ("icmp", "tcp", "http", "snmp", "dns", "tls", "sip", "pexip", "poly", "h323"):
        assert name in listed
        assert netwatch(name, "--help").returncode == 0


def test_both_languages_have_the_same_words():
    folder = Path(__file__).parent.parent / "netwatch" / "lang"
    vietnamese, english = (json.loads((folder / language / "probe.json").read_text("utf-8")) for language in ("vi", "en"))
    assert vietnamese.keys() == english.keys()


def test_dns_asks_the_resolver_it_is_told(tmp_path):
    with nsd(tmp_path) as (address, port):
        asked = ("dns", address, "--port", str(port), "--name", "www.example")
        good = netwatch(*asked, "--expect", "10.45.1.1", "--expect", "10.45.1.2", "--recursion", "false", "--json")
        bad = netwatch(*asked, "--expect", "10.45.1.9")
    assert json.loads(good.stdout)["facts"] == {"dns_answer": "10.45.1.1, 10.45.1.2"}
    assert (bad.returncode, "missing: 10.45.1.9" in bad.stderr) == (1, True)


def test_a_long_train_is_told_by_three_of_its_values():
    async def scenario():
        from tests.stamp_peer import StampPeer, reply

        peer = StampPeer(lambda _peer, asked: [reply(asked).encode()])
        with peer.listening() as port:
            return await asyncio.to_thread(process, "stamp", "127.0.0.1", "--port", str(port), "--count", "9", "--spacing-seconds", "0.005")

    done = asyncio.run(scenario())
    assert done.returncode == 0
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("stamp_rtt_seconds"))
    assert line.split("  ")[-2].strip().endswith("(least, median and most of 9)")
    assert "stamp_loss_ratio      round_trip  0" in done.stdout
