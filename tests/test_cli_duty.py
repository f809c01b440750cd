"""`netwatch duty`: what it prints and how it ends."""

import json
import os
import subprocess
import sys

import pytest

from tests.duty_inventory import DUTY, ENVIRONMENT, written
from tests.inventories import compose


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "inventory.yaml"
    path.write_text(written())
    return path


def run(file, *arguments, language="vi"):
    return subprocess.run(
        [sys.executable, "-m", "netwatch", "--lang", language, "duty", *arguments, "-i", str(file)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"} | ENVIRONMENT,
    )


def test_who_names_the_person_the_phone_and_the_backup(file):
    ended = run(file, "who", "--at", "2026-12-01 22:00")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines()[1].split("  ") == ["night", "Trực ca 1", "09xx xxx 001", "Trực ca 2", "chỉ nghiêm trọng"]
    (record,) = json.loads(run(file, "who", "--at", "2026-12-01 22:00", "-o", "json").stdout)["records"]
    assert (record["person"], record["pagers"], record["wakes"]) == ("an", ["an-zalo"], "critical")


def test_who_of_a_site_says_who_is_told_when(file):
    ended = run(file, "who", "--site", "muong-phang", "--at", "2026-12-01 09:00", "-o", "csv", language="en")
    assert [line.split(",")[:2] for line in ended.stdout.splitlines()] == [
        ["step", "name"],
        ["at once", "Trực ca 3"],
        ["after 15 min", "Trực ca 2"],
        ["after 30 min", "Trưởng phòng"],
        ["after 30 min", "binh-sms"],
    ]


def test_who_of_a_site_also_says_what_escalates_and_who_is_told_of_everything(file):
    last = run(file, "who", "--site", "na-tau", "--at", "2026-12-01 09:00").stdout.splitlines()[-2:]
    assert last[0].startswith("Chỉ sự cố nghiêm trọng mới được nhắc lại")
    assert last[1].endswith(": wall")
    told = json.loads(run(file, "who", "--site", "na-tau", "--at", "2026-12-01 09:00", "-o", "json").stdout)
    assert (told["always"], told["escalates"]) == (["wall"], "critical")
    assert "always" not in json.loads(run(file, "who", "-o", "json").stdout)


def test_the_calendar_goes_from_shift_to_shift(file):
    ended = run(file, "calendar", "--at", "2026-12-01", "--days", "2", "-o", "json")
    records = json.loads(ended.stdout)["records"]
    assert [(one["from"], one["shift"], one["people"]) for one in records] == [
        ("2026-12-01T00:00:00+07:00", "night", "Trực ca 1"),
        ("2026-12-01T07:30:00+07:00", "day", "Trực ca 1"),
        ("2026-12-01T17:30:00+07:00", "night", "Trực ca 1"),
        ("2026-12-02T07:30:00+07:00", "day", "Trực ca 1"),
        ("2026-12-02T17:30:00+07:00", "night", "Trực ca 1"),
    ]
    assert "T3 2026-12-01 07:30" in run(file, "calendar", "--at", "2026-12-01", "--days", "1").stdout


def test_a_sound_roster_passes_its_check_over_tet(file):
    ended = run(file, "check", "--at", "2026-12-01", "--days", "100")
    assert (ended.returncode, ended.stdout) == (0, "Lịch trực 100 ngày tới không trống ca, không chồng ca\n")


def test_gaps_and_overlaps_end_with_1_and_their_dates(file):
    file.write_text(written(DUTY.replace('"sat,sun,holiday"', '"fri,sun,holiday"')))
    ended = run(file, "check", "--at", "2026-12-03", "--days", "4")
    assert ended.returncode == 1
    assert ended.stdout.splitlines() == [
        "Chồng ca: từ T6 2026-12-04 07:30 đến T6 2026-12-04 17:30 có nhiều ca cùng lúc: day, weekend",
        "Chồng ca: từ T6 2026-12-04 17:30 đến T7 2026-12-05 07:30 có nhiều ca cùng lúc: night, weekend",
        "Trống ca: từ T7 2026-12-05 07:30 đến CN 2026-12-06 07:30 không có ai trực",
        "3 chỗ sai trong 4 ngày",
    ]
    found = run(file, "check", "--at", "2026-12-03", "--days", "4", "-o", "json")
    assert (found.returncode, [one["kind"] for one in json.loads(found.stdout)["records"]]) == (1, ["overlap", "overlap", "gap"])


def test_nobody_on_duty_is_said(file):
    file.write_text(written(DUTY.replace('"sat,sun,holiday"', '"sun,holiday"')))
    ended = run(file, "who", "--at", "2026-12-05 12:00")
    assert (ended.returncode, ended.stdout) == (0, "Không có ai trực vào lúc đó; mọi nơi nhận đều được báo.\n")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("who", "--at", "tomorrow"), 64),
        (("who", "--at", "9999-12-31"), 64),
        (("who", "--site", "elsewhere"), 64),
        (("calendar", "--days", "0"), 64),
        (("check", "-o", "xml"), 64),
    ],
)
def test_what_cannot_be_asked_ends_with_64(file, arguments, code):
    ended = run(file, *arguments)
    assert ended.returncode == code
    assert "Traceback" not in ended.stderr


def test_an_inventory_without_a_roster_or_none_at_all_ends_with_66_and_a_wrong_one_with_78(file, tmp_path):
    assert run(tmp_path / "none.yaml", "who").returncode == 66
    file.write_text(compose())
    ended = run(file, "check")
    assert ended.returncode == 66
    assert "chưa có lịch trực" in ended.stderr
    file.write_text(written(DUTY.replace("who: chi}", "who: nobody}")))
    assert run(file, "check").returncode == 78
