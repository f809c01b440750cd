"""`netwatch line`, on a ledger made for it; no daemon runs."""

import csv
import io
import json
import shutil

import pytest

from netwatch import ledger as ledgers
from netwatch.cli import _line_list
from netwatch.line import Limits
from tests.lines import ZONE, a_month, october
from tests.test_cli_db import netwatch

INVENTORY = """\
version: 1
plan: {site_net: "127.46.{n}.0/24", hosts: {line1: 254}}
defaults: {contact: noc, line: {carrier: VNPT, contract: 100 Mbps}}
contacts: {noc: {name: NOC, phone: "09xx xxx xxx"}}
roles:
  commune: {lines: {line1: {}}}
sites:
  na-tau: {n: 34, code: "03316"}
  pa-ham: {n: 12, code: "03193"}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    place = tmp_path_factory.mktemp("state")
    a_month(place)
    (place / "inventory.yaml").write_text(INVENTORY, "utf-8")
    return place


@pytest.fixture
def place(made, tmp_path):
    return shutil.copytree(made, tmp_path / "state")


def line(place, *arguments, lang="en", inventory=True):
    named = ("-i", place / "inventory.yaml") if inventory and arguments[0] != "verify" else ()
    return netwatch("line", *arguments, "--state", place, *named, lang=lang)


def path_of(place):
    return ledgers.path_in(place)


def test_every_line_stands_as_its_evidence_says_tested_or_not(made):
    done = line(made, "list", "-o", "json")
    assert done.returncode == 0, done.stderr
    found = {(one["site"], one["direction"]): one for one in json.loads(done.stdout)["records"]}
    assert (found["pa-ham", "down"]["verdict"], found["pa-ham", "down"]["reason"], found["pa-ham", "down"]["at"]) == (
        "stale",
        "never",
        None,
    )
    assert found["na-tau", "down"]["proved_at"] == "2026-11-01T00:00:00.000+07:00"
    assert found["pu-nhi", "down"]["name"] == "Xã Pú Nhi"
    assert {one["contract_bits_per_second"] for one in found.values()} == {100e6}


def test_the_table_speaks_vietnamese(made):
    done = line(made, "list", "--site", "Nà Tấu", lang="vi")
    assert done.returncode == 0, done.stderr
    assert "chiều xuống" in done.stdout
    assert "Pa Ham" not in done.stdout


def test_lines_are_listed_by_the_inventory_that_lies_here(made):
    done = line(made, "list", inventory=False)
    assert done.returncode == 0
    assert "Nà Tấu" in done.stdout
    assert netwatch("line", "list", "--state", made, "-i", "none.yaml").returncode == 66


def test_records_are_shown_newest_first_with_what_they_cost(made):
    done = line(made, "show", "na-tau", "--limit", "2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.index("102.5 Mbps – 103.5 Mbps") < done.stdout.index("79.4 Mbps – 81.9 Mbps")
    assert "8.9 MB" in done.stdout
    records = json.loads(line(made, "show", "na-tau/line1", "-o", "json").stdout)["records"]
    assert [one["number"] for one in records] == [12, 11, 10, 9, 8, 7, 6, 5, 4, 2, 1]
    assert records[0]["inputs"]["measurement"]["bins"]
    assert {len(one["seal"]) for one in records} == {64}


@pytest.mark.parametrize("where", ["nowhere", "na-tau/line9", "", "pa-ham"])
def test_what_has_no_records_is_said(made, where):
    done = line(made, "show", where)
    assert (done.returncode, done.stdout) == (66, "")


def test_the_sheet_is_printed_as_asked(made):
    page = line(made, "evidence", "na-tau", "--month", "2026-10", lang="vi")
    assert page.returncode == 0, page.stderr
    assert page.stdout.startswith("<!doctype html>")
    assert "Xã Nà Tấu" in page.stdout
    rows = list(csv.DictReader(io.StringIO(line(made, "evidence", "na-tau", "--month", "2026-10", "-o", "csv").stdout, newline="")))
    assert len(rows) == 9
    document = json.loads(line(made, "evidence", "na-tau", "--month", "2026-10", "-o", "json").stdout)
    assert document["head"] == str(ledgers.head(path_of(made)))
    assert line(made, "evidence", "na-tau").returncode == 0


def test_no_such_month_site_or_form(made):
    assert line(made, "evidence", "na-tau", "--month", "October").returncode == 64
    assert line(made, "evidence", "nowhere", "--month", "2026-10").returncode == 66
    assert line(made, "evidence", "na-tau", "-o", "pdf").returncode == 64


def test_a_sound_ledger_is_sound(made):
    head, public = ledgers.head(path_of(made)), ledgers.key_in(path_of(made).parent)
    done = line(made, "verify")
    assert line(made, "verify", "--judge-again").stdout == done.stdout
    assert (done.returncode, public in done.stdout, str(head) in done.stdout) == (0, True, True)
    document = json.loads(line(made, "verify", "--head", str(head), "--key", public, "-o", "json").stdout)
    assert document == {
        "schema": "netwatch/v1/line-verify", "sound": True, "records": 13, "head": str(head), "public_key": public, "flaws": [],
        "judged_otherwise": [],
    }  # fmt: skip


def test_a_key_is_given_as_a_file_too(place):
    (place / "key.pub").write_text(ledgers.pem(ledgers.key_in(path_of(place).parent)), "ascii")
    assert line(place, "verify", "--key", place / "key.pub").returncode == 0


def test_an_edited_ledger_is_not_sound_and_says_where(place):
    path = path_of(place)
    path.write_bytes(path.read_bytes().replace(b'"verdict":"refuted"', b'"verdict":"proved"', 2))
    done = line(place, "verify")
    assert done.returncode == 1
    assert "Record 5: changed" in done.stdout
    assert "NOT SOUND" in done.stdout
    assert json.loads(line(place, "verify", "-o", "json").stdout)["flaws"][0] == {"number": 5, "code": "seal"}


@pytest.mark.parametrize("asked", [("list",), ("show", "na-tau"), ("evidence", "na-tau", "--month", "2026-10", "-o", "csv")])
def test_whoever_reads_a_ledger_with_a_damaged_end_is_told(made, place, asked):
    assert line(made, *asked).stderr == ""
    with path_of(place).open("ab") as file:
        file.write(b"no record\n")
    done = line(place, *asked)
    assert done.returncode == 0
    assert "is damaged" in done.stderr


def test_a_ledger_written_anew_is_found_by_a_printed_head(place, tmp_path):
    """As whoever runs netwatch could: with the program and the key itself, but other records."""
    printed = ledgers.head(path_of(place))
    again = tmp_path / "again"
    (again / "ledger").mkdir(parents=True)
    shutil.copy(path_of(place).parent / ledgers.KEY_NAME, again / "ledger")
    anew = ledgers.Ledger(again)
    for one in reversed(list(ledgers.newest_first(path_of(place)))):
        anew.append({**one.record, "verdict": "proved"})
    assert line(again, "verify").returncode == 0
    judged = line(again, "verify", "--judge-again")
    assert judged.returncode == 1
    assert "Record 5: recorded as Proved, but judged again from its own inputs it is Refuted" in judged.stdout
    done = line(again, "verify", "--head", str(printed))
    assert done.returncode == 1
    assert "printed head (record 13)" in done.stdout


def test_neither_a_head_nor_a_key(made):
    assert line(made, "verify", "--head", "abc").returncode == 64
    assert line(made, "verify", "--key", "abc").returncode == 64


def test_no_ledger_yet(tmp_path):
    done = netwatch("line", "verify", "--state", tmp_path)
    assert done.returncode == 66
    assert "no evidence ledger" in done.stderr


def test_a_ledger_that_cannot_be_read(tmp_path):
    path_of(tmp_path).mkdir(parents=True)
    done = netwatch("line", "verify", "--state", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot be read" in done.stderr


def test_when_a_line_was_last_proved_is_known_beyond_what_counts(made):
    november = october(31) + 20 * 86_400
    later = november + 60 * 86_400
    keys = {("na-tau", "line1", "down"), ("pa-ham", "line1", "up")}
    for wall, verdict in ((november, "proved"), (later, "stale")):
        found = {(one["site"], one["direction"]): one for one in _line_list.standings(path_of(made), None, "", wall, ZONE)}
        assert (found["na-tau", "down"]["verdict"], found["na-tau", "down"]["reason"]) == (
            verdict,
            "measured" if verdict == "proved" else "old",
        )
        assert found["na-tau", "down"]["proved_at"] == "2026-11-01T00:00:00.000+07:00"
    pasts, _ = _line_list._pasts(path_of(made), keys, "", later, Limits())
    assert len(pasts["na-tau", "line1", "down"]) == 1
