"""`netwatch events, alerts, ping, trace, watch, completion`, as processes, over a real unix socket."""

import asyncio
import csv
import dataclasses
import io
import json
import re
import signal
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch.cli import _records, ping
from netwatch.model import Belief, Subject, Transition
from tests.province import WALL, calm_province, province
from tests.test_cli_status import ENVIRONMENT, daemon_at, run


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "api.sock")


def test_events_are_told_oldest_first_with_site_and_words(path):
    code, output, errors = run(path, "events", "--since", "2d")
    lines = output.splitlines()
    assert (code, errors, len(lines)) == (0, "", 3)
    assert lines[-1] == "02:43  Nà Tấu · FTTH VNPT / icmp: Bình thường → Sự cố (không trả lời)"
    assert lines[1].startswith("23/11 01:47  Nà Tấu")
    assert "\x1b" not in output


def test_that_something_new_was_found_well_is_told_only_when_asked_for(path):
    subject = Subject("na-tau/vc/icmp")
    first = Transition(subject=subject, old=Belief.UNKNOWN, new=Belief.OK, hard=True, wall=WALL - 900, since=WALL - 900)
    blind = Transition(subject=subject, old=Belief.OK, new=Belief.UNKNOWN, hard=True, wall=WALL - 800, since=WALL - 800, code="stale")
    again = dataclasses.replace(first, wall=WALL - 700)

    def prepare(daemon):
        async def transitions(site, since_wall, limit):
            del site, since_wall
            return [again, blind, first][:limit]

        daemon.transitions = transitions

    told = run(path, "events", prepare=prepare)[1].splitlines()
    assert [line.partition("icmp: ")[2] for line in told] == ["Bình thường → Không rõ (đã lâu không có kết quả)", "Không rõ → Bình thường"]
    assert len(run(path, "events", "--all", prepare=prepare)[1].splitlines()) == 3
    assert len(run(path, "events", "-o", "csv", prepare=prepare)[1].splitlines()) == 3


def test_events_since_a_moment_by_the_daemons_clock(path):
    assert len(run(path, "events", "--since", "hôm qua 22:00")[1].splitlines()) == 1
    assert len(run(path, "events", "--since", "hôm kia")[1].splitlines()) == 3
    code, _, errors = run(path, "events", "--since", "bao giờ")
    assert code == 64
    assert "bao giờ" in errors


def test_events_for_machines(path):
    document = json.loads(run(path, "events", "--since", "2d", "-o", "json")[1])
    assert (document["schema"], document["complete"], len(document["records"])) == ("netwatch/v1/events", True, 3)
    lines = [json.loads(line) for line in run(path, "events", "--since", "2d", "-o", "jsonl")[1].splitlines()]
    assert lines == document["records"]
    rows = list(csv.DictReader(io.StringIO(run(path, "events", "--since", "2d", "-o", "csv")[1])))
    assert [(row["site"], row["new"], row["code"]) for row in rows] == [
        ("na-tau", "crit", ""),
        ("na-tau", "ok", ""),
        ("na-tau", "crit", "timeout"),
    ]
    assert rows[0]["wall"].endswith("+07:00")


def test_events_of_a_site_that_is_not_there_are_66(path):
    assert run(path, "events", "--site", "nua ngam")[:2] == (0, "")
    code, _, errors = run(path, "events", "--site", "na-tauu")
    assert code == 66
    assert "na-tau" in errors


def test_events_that_follow_are_told_once_as_they_come(path):
    async def scenario():
        async with daemon_at(path) as daemon:
            subject = Subject("na-tau/vc/icmp")
            known = list(await daemon.transitions(None, 0, 10))

            async def transitions(site, since_wall, limit):
                del site
                return [one for one in known if one.wall >= since_wall][:limit]

            daemon.transitions = transitions
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "netwatch", "events", "--follow", "-o", "jsonl", "--socket", path),
                env=ENVIRONMENT,
                stdout=asyncio.subprocess.PIPE,
            )
            async with asyncio.timeout(60):
                first = json.loads(await process.stdout.readline())
                for number in range(2):
                    known.insert(0, Transition(subject=subject, old=Belief.OK, new=Belief.WARN, hard=True, wall=WALL + number, since=WALL))
                told = [json.loads(await process.stdout.readline()) for _ in range(2)]
                process.send_signal(signal.SIGINT)
                rest = await process.stdout.read()
                return first, told, rest, await process.wait()

    first, told, rest, code = asyncio.run(scenario())
    assert first["check"] == "na-tau/line1/icmp"
    assert [one["check"] for one in told] == ["na-tau/vc/icmp"] * 2
    assert told[0]["wall"] < told[1]["wall"]
    assert (rest, code) == (b"", 130)


def test_following_makes_no_json_document(path):
    assert run(path, "events", "--follow", "-o", "json")[0] == 64


def test_open_incidents_are_listed_urgent_first(path):
    code, output, _ = run(path, "alerts", "list")
    assert code == 0
    assert "Nà Tấu: mất kết nối (cả điểm)" in output.splitlines()[1]
    document = json.loads(run(path, "alerts", "list", "--all", "-o", "json")[1])
    snapshot = province()
    assert {one["id"] for one in document["records"]} == {one.id for one in (*snapshot.incidents, *snapshot.closed)}
    rows = list(csv.DictReader(io.StringIO(run(path, "alerts", "list", "-o", "csv")[1])))
    assert {int(row["id"]) for row in rows} == {one.id for one in snapshot.incidents}
    assert "Tổ trưởng ca" in {row["owner"] for row in rows}


def test_no_incident_is_said_so(path):
    assert run(path, "alerts", "list", snapshot=calm_province())[:2] == (0, "Không có sự cố nào.\n")


def test_alerts_since_a_moment_are_those_that_are_open_and_those_that_ended_since(path):
    still_open = json.loads(run(path, "alerts", "list", "-o", "json")[1])["records"]
    found = json.loads(run(path, "alerts", "list", "--since", "2d", "-o", "json")[1])["records"]
    assert found[: len(still_open)] == still_open
    assert [one["id"] for one in found[len(still_open) :]] == [one.id + 500 for one in province().incidents]
    assert json.loads(run(path, "alerts", "list", "--since", "24h", "-o", "json")[1])["records"] == still_open
    of_site = json.loads(run(path, "alerts", "list", "--since", "2d", "--site", "Nà Tấu", "-o", "json")[1])["records"]
    assert of_site
    assert all("na-tau" in one["sites"] for one in of_site)
    assert {bool(one["closed"]) for one in of_site} == {True, False}
    assert run(path, "alerts", "list", "--since", "bao giờ")[0] == 64


def test_an_incident_is_shown_by_number_or_key(path):
    incident = province().incidents[0]
    code, by_number, _ = run(path, "alerts", "show", str(incident.id))
    assert code == 0
    assert by_number == run(path, "alerts", "show", incident.key)[1]
    assert incident.key in by_number
    assert json.loads(run(path, "alerts", "show", str(incident.id), "-o", "json")[1])["id"] == incident.id
    assert run(path, "alerts", "show", "999999")[0] == 66


@pytest.mark.needs_private_network
def test_ping_goes_to_the_lines_of_a_site_and_sums_up(path):
    code, output, errors = run(path, "ping", "na-tau", "-c", "3")
    assert (code, errors) == (0, "")
    first, spread, bars = output.splitlines()
    assert re.fullmatch(r"na-tau/line1 127\.45\.\d+\.254: gửi 3, nhận 3, mất 0%", first)
    assert "giữa" in spread
    assert len(bars.strip()) == 3


@pytest.mark.needs_private_network
def test_ping_of_a_device_for_machines(path):
    code, output, _ = run(path, "ping", "Nà Tấu/vc", "-c", "2", "--json")
    (target,) = json.loads(output)["targets"]
    assert (code, target["target"], target["sent"], target["received"], target["loss_ratio"]) == (0, "na-tau/vc", 2, 2, 0)
    assert all(0 < rtt < 1 for rtt in target["rtt_seconds"])


def moved(address):
    """The province with Nà Tấu's line at another address."""
    known = province()
    site = next(one for one in known.sites if one.site.id == "na-tau")
    line = dataclasses.replace(site.targets[0], address=address)
    there = dataclasses.replace(site, targets=(line, *site.targets[1:]))
    return dataclasses.replace(known, sites=tuple(there if one is site else one for one in known.sites))


@pytest.mark.needs_private_network
def test_ping_that_is_cut_short_shows_what_there_is(path):
    async def scenario():
        async with daemon_at(path):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", INTERRUPTED, "ping", "na-tau", "-c", "1000", "--json", "--socket", path),
                env=ENVIRONMENT,
                stdout=asyncio.subprocess.PIPE,
            )
            async with asyncio.timeout(60):
                output, _ = await process.communicate()
                return process.returncode, json.loads(output)

    code, document = asyncio.run(scenario())
    assert code == 130
    assert 3 <= document["targets"][0]["sent"] < 1000


# Ctrl-C as soon as three echoes have been answered.
INTERRUPTED = """
import os, signal, sys
from netwatch.cli import main, ping
kept = ping.Train
class Rtts(list):
    def append(self, one):
        super().append(one)
        if len(self) == 3:
            os.kill(os.getpid(), signal.SIGINT)
def train(name, address):
    made = kept(name, address)
    made.rtt_seconds = Rtts()
    return made
ping.Train = train
sys.argv[0] = "netwatch"
main()
"""


@pytest.mark.needs_private_network
def test_an_address_without_a_way_is_said_in_one_line(path):
    code, output, errors = run(path, "ping", "na-tau", "-c", "1", snapshot=moved("192.0.2.1"))
    assert (code, output) == (1, "")
    assert errors.count("\n") == 1


@pytest.mark.needs_private_network
def test_trace_ends_at_the_target(path):
    code, output, errors = run(path, "trace", "na-tau")
    assert (code, errors) == (0, "")
    assert re.search(r"^  1  127\.45\.\d+\.254", output, re.MULTILINE)
    document = json.loads(run(path, "trace", "na-tau/vc", "--json")[1])
    assert (document["reached"], len(document["hops"]), document["hops"][0]["address"]) == (True, 1, document["address"])


def test_only_targets_of_the_inventory_are_asked(path):
    for command in ("ping", "trace"):
        code, output, errors = run(path, command, "127.0.0.1")
        assert (code, output) == (66, "")
        assert "127.0.0.1" in errors
        assert run(path, command, "na-tau/127.0.0.1")[0] == 66


@pytest.mark.needs_private_network
@pytest.mark.parametrize("command", ["ping", "trace"])
def test_nothing_is_sent_for_a_daemon_that_lives_in_another_network(path, command):
    """The demo's 10.45.0.0/16 is somebody else's outside of it."""

    async def scenario():
        async with daemon_at(path):
            process = await asyncio.create_subprocess_exec(
                *("unshare", "--net", sys.executable, "-m", "netwatch", command, "na-tau", "--socket", path),
                env=ENVIRONMENT,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            output, errors = await process.communicate()
            return process.returncode, output, errors.decode()

    code, output, errors = asyncio.run(scenario())
    assert (code, output) == (69, b"")
    assert "network namespace" in errors
    assert errors.count("\n") == 1


@given(st.lists(st.none() | st.floats(0, 10), max_size=200))
def test_smoke_has_a_mark_for_each_of_the_last_echoes(rtts):
    drawn = ping.smoke(rtts)
    assert len(drawn) == min(len(rtts), ping.WIDEST)
    assert [one == ping.LOST for one in drawn] == [rtt is None for rtt in rtts[-ping.WIDEST :]]


plain = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


@given(st.lists(plain | st.integers() | st.none() | st.booleans(), max_size=6))
def test_a_csv_line_is_read_back_and_runs_nothing_in_a_spreadsheet(cells):
    (row,) = csv.reader(io.StringIO(_records.csv_line([*cells, "end"]), newline=""))
    assert [one.removeprefix("'") for one in row[:-1]] == ["" if one is None else str(one).removeprefix("'") for one in cells]
    assert not any(len(one) > 1 and one.startswith(("=", "+", "@")) for one in row)
