"""`netwatch report sla`, on a history made for it."""

import csv
import datetime as dt
import io
import json
import sqlite3
from zoneinfo import ZoneInfo

import pytest

from netwatch.cli._output import Failed
from netwatch.cli.report import _percent, _period
from netwatch.model import Belief, Cause, Effects, Human, Incident, Subject, Transition
from tests.history_cases import with_history
from tests.test_cli_db import netwatch

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
OCTOBER = dt.datetime(2026, 10, 1, tzinfo=ZONE).timestamp()
NOVEMBER = dt.datetime(2026, 11, 1, tzinfo=ZONE).timestamp()
HOUR, DAY = 3_600.0, 86_400.0
INVENTORY = """\
version: 1
plan: {site_net: "127.46.{n}.0/24", hosts: {main: 254, spare: 253}}
defaults: {contact: noc, line: {carrier: VNPT, contract: 100 Mbps}}
contacts: {noc: {name: NOC, phone: "09xx xxx xxx"}}
maintenance:
  - {match: {site: pu-nhi}, from: "2026-10-05 22:00", until: "2026-10-06 00:00", note: Thay pin}
roles:
  commune: {lines: {main: {}}}
sites:
  na-tau: {n: 34, code: "03316", lines: {spare: {carrier: Viettel}}}
  pu-nhi: {n: 43, code: "03370"}
"""


def changes(check, *told):
    return [
        Transition(subject=Subject(check), old=Belief.OK, new=new, hard=True, wall=OCTOBER + after, since=OCTOBER + after)
        for after, new in told
    ]


@pytest.fixture
def place(tmp_path):
    """October: na-tau lost `main` for a day and both lines for an hour; pu-nhi was down for 2 of its 3 days of trouble."""
    ok, down = Belief.OK, Belief.CRIT
    begins = OCTOBER + 2 * DAY
    work = Human(
        at=0.0, wall=begins, action="maintenance", who="Trực ca A", matcher="pu-nhi", note="=1+1 Thay router", until=begins + DAY, window=1
    )  # fmt: skip
    cut_off = Incident(
        id=1, key="netwatch/self/uplink", cause=Cause("uplink", "isolated"), sites=(), severity="critical", opened=OCTOBER + 20 * DAY,
        updated=0.0, closed=OCTOBER + 20 * DAY + HOUR,
    )  # fmt: skip
    transitions = [
        *changes("na-tau/main/icmp", (0, ok), (10 * DAY, down), (11 * DAY, ok)),
        *changes("na-tau/spare/icmp", (0, ok), (10 * DAY, down), (10 * DAY + HOUR, ok)),
        *changes("pu-nhi/main/icmp", (0, ok), (DAY, down), (4 * DAY, ok)),
    ]

    async def body(history):
        await history.commit(Effects(transitions=tuple(transitions), incidents=(cut_off,), humans=(work,)), {}, OCTOBER)

    with_history(tmp_path / "state", body)
    file = sqlite3.connect(tmp_path / "state" / "netwatch.db")
    with file:
        file.executemany(
            "INSERT INTO life (began, ended) VALUES (?, ?)", [(OCTOBER - DAY, OCTOBER + 30 * DAY), (NOVEMBER - HOUR, NOVEMBER)]
        )
    file.close()
    (tmp_path / "inventory.yaml").write_text(INVENTORY, "utf-8")
    return tmp_path


def report(place, *arguments, **options):
    return netwatch("report", "sla", "--inventory", place / "inventory.yaml", "--state", place / "state", *arguments, **options)


def test_the_figures_of_a_month_add_up_and_say_what_was_left_out(place):
    done = report(place, "--month", "2026-10", "-o", "json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["schema"], found["period"], found["complete"]) == ("netwatch/v1/report-sla", "2026-10", True)
    assert (found["since"], found["until"]) == ("2026-10-01T00:00:00.000+07:00", "2026-11-01T00:00:00.000+07:00")
    by_place = {(one["site"], one["line"]): one for one in found["records"]}
    assert list(by_place) == [("na-tau", ""), ("na-tau", "main"), ("na-tau", "spare"), ("pu-nhi", ""), ("pu-nhi", "main")]
    unwatched, total = 23 * HOUR, 31 * DAY
    for one in found["records"]:
        seconds = {key.removesuffix("_seconds"): value for key, value in one.items() if key.endswith("_seconds")}
        assert sum(seconds.values()) == pytest.approx(total)
        assert (seconds["isolated"], seconds["unwatched"]) == (HOUR, unwatched)
    assert by_place["na-tau", ""]["down_seconds"] == HOUR
    assert by_place["na-tau", "main"]["down_seconds"] == DAY
    pu_nhi = by_place["pu-nhi", ""]
    assert (pu_nhi["down_seconds"], pu_nhi["maintenance_seconds"]) == (2 * DAY, DAY + 2 * HOUR)
    assert pu_nhi["availability"] == pytest.approx(1 - 2 * DAY / (total - unwatched - HOUR - DAY - 2 * HOUR))
    assert [(one["kind"], one["matcher"], one["who"], one["sites"]) for one in found["excluded"]] == [
        ("maintenance", "pu-nhi", "Trực ca A", ["pu-nhi"]),
        ("maintenance", "site=pu-nhi", "", ["pu-nhi"]),
        ("isolated", "", "", ["na-tau", "pu-nhi"]),
    ]
    assert "Cách tính" not in found["method"]


def test_the_table_speaks_vietnamese_and_states_its_method(place):
    done = report(place, "--month", "2026-10", lang="vi")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "Độ sẵn sàng kỳ 2026-10: từ 00:00:00 01/10/2026 đến 00:00:00 01/11/2026"
    assert lines[1].startswith("Cả 2 điểm cộng lại: 96,534%")
    rows = [line.split("  ") for line in lines if line.strip()]
    (na_tau,) = (row for row in rows if row[0].startswith("Nà Tấu"))
    assert "99,861%" in [cell.strip() for cell in na_tau]
    assert "1 giờ" in [cell.strip() for cell in na_tau]
    assert any(line.strip().startswith("spare Viettel") for line in lines), "two lines: each by itself"
    assert sum("main" in line for line in lines) == 1, "of a single line nothing is said twice"
    assert any("bảo trì pu-nhi" in line and "Trực ca A" in line and "1 ngày" in line for line in lines)
    assert any("lịch trong inventory" in line and "Thay pin" in line for line in lines)
    assert any("máy theo dõi bị cô lập" in line for line in lines)
    assert lines[-1].startswith("Cách tính: ")
    assert "5,0 s" in lines[-1] or "5 s" in lines[-1]


def test_csv_has_the_figures_alone_and_one_site_may_be_asked_for(place):
    done = report(place, "--month", "2026-10", "--site", "pu-nhi", "-o", "csv")
    found = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [(one["site"], one["line"]) for one in found] == [("pu-nhi", ""), ("pu-nhi", "main")]
    assert float(found[0]["down_seconds"]) == 2 * DAY


def test_a_year_and_a_month_before_anything_was_watched(place):
    year = json.loads(report(place, "--year", "2026", "-o", "json").stdout)
    assert year["records"][0]["down_seconds"] == HOUR
    before = json.loads(report(place, "--month", "2025-01", "-o", "json").stdout)
    assert {one["availability"] for one in before["records"]} == {None}
    assert {one["unwatched_seconds"] for one in before["records"]} == {31 * DAY}
    assert "–" in report(place, "--month", "2025-01").stdout


@pytest.mark.parametrize(
    ("month", "year"),
    [("2026-13", ""), ("10/2026", ""), ("2026-10", "2026"), ("9999-12", ""), ("0000-01", ""), ("", "26"), ("2026-12", "")],
)
def test_a_period_that_cannot_be_is_refused(month, year):
    with pytest.raises(Failed) as refused:
        _period(month, year, ZONE, NOVEMBER)
    assert refused.value.code == 64


def test_without_a_period_it_is_the_last_month_that_is_over_and_one_that_is_not_ends_now():
    assert _period("", "", ZONE, NOVEMBER).name == "2026-10"
    assert _period("", "", ZONE, NOVEMBER - 1).name == "2026-09"
    now = _period("2026-11", "", ZONE, NOVEMBER + DAY)
    assert (now.complete, now.reach.since, now.reach.until) == (False, NOVEMBER, NOVEMBER + DAY)
    year = _period("", "2025", ZONE, NOVEMBER)
    assert (year.complete, year.reach.until - year.reach.since) == (True, 365 * DAY)


def test_a_site_there_is_not_is_said_in_one_line(place):
    done = report(place, "--month", "2026-10", "--site", "nowhere")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (64, "", 1)


def test_without_a_history_or_an_inventory_there_is_no_report(place):
    (place / "state" / "netwatch.db").rename(place / "kept.db")
    assert report(place, "--month", "2026-10").returncode == 66
    (place / "state" / "netwatch.db").write_bytes(b"SQLite format 3\x00" + b"x" * 5_000)
    damaged = report(place, "--month", "2026-10")
    assert (damaged.returncode, damaged.stderr.count("\n")) == (1, 1)
    (place / "inventory.yaml").unlink()
    assert report(place).returncode == 66


def test_what_is_nearly_whole_is_not_shown_as_whole():
    assert [_percent(ratio).replace(",", ".") for ratio in (1.0, 0.999999, 0.99859, 0.0, None)] == [
        "100.000%", "99.999%", "99.859%", "0.000%", "–"
    ]  # fmt: skip
