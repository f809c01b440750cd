"""The evidence sheet: what a month found of a site's lines, and all it takes to check it alone."""

import csv
import dataclasses
import hashlib
import io
import json
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch import ledger as ledgers
from netwatch import sheet as sheets
from netwatch.lang import LANGUAGES, catalog
from netwatch.ledger import Head, next_seal
from netwatch.sheet import BadMonth, as_csv, as_json, as_lines, month_of, sheet_of
from netwatch.web import line as pages
from tests.lines import LINE, SITE, ZONE, a_month, october, run_at, sealed
from tests.province import HOSTILE

ROOT = Path(__file__).parent.parent
VI = catalog("vi")
PRINTED = october(31) + 10 * 86_400
OCTOBER = month_of("2026-10", ZONE)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory):
    return a_month(tmp_path_factory.mktemp("state"))


@pytest.fixture
def sheet(ledger):
    return sheet_of(ledger.path, "na-tau", OCTOBER, printed=PRINTED, site=SITE)


def part(sheet, line="line1", direction="down"):
    return next(one for one in sheet.parts if (one.line, one.direction) == (line, direction))


def test_a_month_is_the_local_one(sheet):
    assert [one.number for one in sheet.entries] == [2, 4, 5, 6, 7, 8, 9, 10, 11]
    assert month_of("2026-10", ZONE).ends == month_of("2026-11", ZONE).begins
    for wrong in ("", "2026-13", "2026-1", "1999-10", "2026-10-01", "２０２６-10"):
        with pytest.raises(BadMonth):
            month_of(wrong, ZONE)


def test_each_direction_of_each_line_has_its_part_tested_or_not(sheet):
    assert [(one.line, one.direction, len(one.entries)) for one in sheet.parts] == [
        ("line1", "down", 7),
        ("line1", "up", 2),
        ("line2", "down", 0),
        ("line2", "up", 0),
    ]
    assert part(sheet, "line2").standing.reason == "never"
    assert [one.record["verdict"] for one in part(sheet).of("proved", "refuted")] == ["proved", "proved", "refuted", "refuted"]
    assert [one.record["reason"] for one in part(sheet).of("inconclusive")] == ["cross_traffic", "control", "at_contract"]


def test_a_month_stays_as_it_ended_however_late_it_is_printed(ledger, sheet):
    late = sheet_of(ledger.path, "na-tau", OCTOBER, printed=PRINTED + 400 * 86_400, site=SITE)
    assert late.parts == sheet.parts
    assert part(late).standing.verdict == "refuted"


def test_a_contract_that_changed_within_the_month_makes_two_parts(tmp_path):
    ledger = a_month(tmp_path)
    sealed(ledger, dataclasses.replace(run_at(october(25), 103), contract=50e6))
    sheet = sheet_of(ledger.path, "na-tau", OCTOBER, printed=PRINTED, site=SITE)
    assert [one.contract for one in sheet.parts if (one.line, one.direction) == ("line1", "down")] == [100e6, 50e6]


def test_the_sheet_of_a_site_that_left_the_inventory_still_prints(ledger):
    sheet = sheet_of(ledger.path, "na-tau", OCTOBER, printed=PRINTED)
    assert (sheet.name, len(sheet.parts), part(sheet).carrier) == ("Xã Nà Tấu", 2, "VNPT")


def test_without_a_ledger_the_sheet_is_empty(tmp_path):
    sheet = sheet_of(tmp_path / "none", "na-tau", OCTOBER, printed=PRINTED, site=SITE)
    assert (sheet.head, sheet.entries, sheet.public) == (None, (), "")
    assert "Chưa có sổ bằng chứng" in pages.alone(sheet, VI, ZONE)


def test_a_foreign_record_in_the_ledger_upsets_nothing(tmp_path):
    ledger = a_month(tmp_path)
    ledger.append({"site": "na-tau", "at": "yesterday", "verdict": "proved"})
    ledger.append({"site": "na-tau"})
    sheet = sheet_of(ledger.path, "na-tau", OCTOBER, printed=PRINTED, site=SITE)
    assert len(sheet.entries) == 9
    assert sheet.head.number == 15


def test_the_json_alone_leads_from_each_record_to_the_printed_head(sheet, ledger):
    document = json.loads(json.dumps(as_json(sheet, ZONE, ["x"])))
    chain = document["chain"]
    seal, number, seals = chain["before"], chain["first"], {}
    for one in chain["sha256"]:
        seal = seals[number] = next_seal(seal, one)
        number += 1
    assert document["head"] == f"{number - 1}:{seal}" == str(ledgers.head(ledger.path))
    for one in document["records"]:
        assert hashlib.sha256(one["signed"].encode()).hexdigest() == one["sha256"] == chain["sha256"][one["number"] - chain["first"]]
        assert seals[one["number"]] == one["seal"]
        assert json.loads(one["signed"])["key"] == document["public_key"]


def test_a_record_has_all_that_was_looked_at(sheet):
    record = part(sheet).entries[0].record
    assert record["inputs"]["measurement"]["bins"][0] == [0.05, 651250]
    assert record["inputs"]["control"]["anchor"] == "head-end"
    assert record["inputs"]["limits"]["control_fresh_seconds"] == 900
    assert record["clock"] == {"synchronised": True, "source": "chrony", "moved_seconds": 0.0001}
    assert record["at"] == "2026-10-01T02:00:00.000+07:00"
    assert record["contract_bits_per_second"] == 100_000_000
    counted = part(sheet).entries[1].record
    assert len(counted["inputs"]["counters"]["readings"]) == 7
    assert counted["step"] == "counters"


def test_the_csv_has_a_row_a_verdict_and_binds_it(sheet):
    rows = list(csv.DictReader(io.StringIO(as_csv(sheet), newline="")))
    assert [row["number"] for row in rows] == [str(one.number) for one in sheet.entries]
    assert [row["seal"] for row in rows] == [one.seal for one in sheet.entries]
    assert {row["verdict"] for row in rows} == {"proved", "refuted", "inconclusive"}


@given(st.text())
def test_no_cell_is_a_formula(text):
    assert not str(sheets._harmless(text)).startswith(("=", "+", "-", "@"))


def test_the_page_says_contract_verdicts_bounds_cost_and_what_was_not_decided_and_why(sheet):
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", pages.alone(sheet, VI, ZONE)))
    for said in (
        "Xã Nà Tấu · tháng 10/2026",
        "FTTH VNPT · chiều xuống",
        "VNPT",
        "DBN-0173",
        "100 Mbps",
        "2 lượt đạt · 2 lượt không đạt · 3 lượt chưa kết luận",
        "78,6 Mbps",
        "8,9 MB",
        "620 ms",
        "lúc đo có người khác đang dùng đường",
        "phép đo đối chứng tại trung tâm chưa đạt hoặc chưa làm",
        "Dưới cam kết: không đạt lặp lại ở 2 thời điểm khác nhau",
        "Trong tháng chưa có lượt đo nào.",
        "gồm cả phần đầu gói IP",
        sheet.public,
    ):
        assert said in text
    head = text[text.index("Mã đầu sổ lúc in") :]
    assert ledgers.head_of(re.search(r": (\d+: ([0-9a-f]{8} ){8})", head)[1]) == sheet.head


def test_the_file_stands_alone(sheet):
    text = pages.alone(sheet, VI, ZONE)
    assert "<link" not in text
    assert "<script" not in text
    assert not re.search(r'(src|href)="', text)


def test_what_strangers_named_is_harmless(tmp_path):
    ledger = a_month(tmp_path)
    sealed(ledger, run_at(october(25), 103), line=dataclasses.replace(LINE, label=HOSTILE, carrier=HOSTILE, circuit=HOSTILE))
    text = pages.alone(sheet_of(ledger.path, "na-tau", OCTOBER, printed=PRINTED), VI, ZONE)
    assert "<script" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_the_months_beside_it():
    for name, before, after in (("2026-01", "2025-12", "2026-02"), ("2026-12", "2026-11", "2027-01"), ("2026-10", "2026-09", "2026-11")):
        month = month_of(name, ZONE)
        empty = sheets.Sheet(
            site="x", name="x", month=month, printed=0.0, entries=(), parts=(), head=Head(1, "a" * 64), public="", before="", sums=()
        )
        page = pages.page_of(empty, VI, ZONE)
        assert (page.before, page.after) == (before, after)


BEFORE_REASONS = ("reason=", "reason = ", "return ", '"inconclusive", ', '"proved", ', '"refuted", ', "bounds, ")


def test_every_reason_of_the_judge_has_words():
    found = set()
    for file in (Path(sheets.__file__).parent / "line").glob("*.py"):
        found |= set(re.findall(rf'(?:{"|".join(f"(?<={one})" for one in BEFORE_REASONS)})"([a-z_0-9]+)"', file.read_text("utf-8")))
    assert {"control", "cross_traffic", "port_duplex", "counters_stale", "carried", "no_evidence", "contradiction", "never"} <= found
    for language in LANGUAGES:
        assert [
            one
            for one in sorted(found - {"inconclusive", "proved", "refuted", "stale"})
            if pages.reason_text(one, catalog(language)) == one
        ] == []


def test_every_word_of_a_verdict_is_in_both_languages(ledger):
    for language in LANGUAGES:
        words = catalog(language)
        for entry in ledgers.newest_first(ledger.path):
            record = entry.record
            assert pages.reason_text(record["reason"], words) != record["reason"]
            for kind in ("verdict", "step", "grade"):
                assert not record[kind] or words.has(f"line.{kind}_{record[kind]}"), record[kind]
            assert not record["limit_end"] or words.has(f"line.end_{record['limit_end']}")


def test_the_documents_script_checks_a_sheet_with_openssl_and_sha256sum_alone(sheet, tmp_path):
    text = (ROOT / "docs" / "evidence-of-a-line.md").read_text("utf-8")
    (tmp_path / "check.sh").write_text(re.search(r"```sh\n(.*?)```", text, re.DOTALL)[1], "utf-8")

    def check(lines):
        (tmp_path / "sheet.txt").write_text(lines, "utf-8")
        done = subprocess.run(["sh", "check.sh", "sheet.txt"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout

    lines = as_lines(sheet)
    assert check(lines) == (0, f"key {sheet.public}\nhead {sheet.head.seal}\n")
    code, said = check(lines.replace('"verdict":"refuted"', '"verdict":"proved"', 1))
    assert (code, "NOT SIGNED" in said) == (1, True)
    rows = lines.splitlines(keepends=True)
    for changed in ([*rows[:4], *rows[5:]], [*rows[:2], rows[3], rows[2], *rows[4:]], [*rows[:2], *rows[3:]]):
        assert check("".join(changed))[0] == 1


def test_a_month_without_records_has_no_lines_to_check(ledger):
    assert as_lines(sheet_of(ledger.path, "na-tau", month_of("2026-08", ZONE), printed=PRINTED, site=SITE)) == ""
