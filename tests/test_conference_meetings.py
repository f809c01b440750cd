"""Meetings by hand and out of calendars: written where the inventory reads them, or not at all."""

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch import inventory
from netwatch.calendars import BadCalendar, held_in

ROOT = Path(__file__).parent.parent
ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
INVENTORY = """\
version: 1
plan: {site_net: "127.46.{n}.0/24", hosts: {main: 254}}
roles: {commune: {lines: {main: {}}}}
sites:
  na-tau: {n: 34, code: "03316"}
meetings:
  - {name: Giao ban tỉnh, weekly: mon, from: "07:30", until: "10:30"}
"""
CALENDAR = """\
BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//example//vi
BEGIN:VEVENT
UID:1
SUMMARY:Giao ban tuần
DTSTART;TZID=Asia/Ho_Chi_Minh:20261201T073000
DTEND;TZID=Asia/Ho_Chi_Minh:20261201T100000
RRULE:FREQ=WEEKLY;COUNT=4
EXDATE;TZID=Asia/Ho_Chi_Minh:20261208T073000
END:VEVENT
BEGIN:VEVENT
UID:2
SUMMARY:Họp UTC
DTSTART:20261202T010000Z
DURATION:PT1H
END:VEVENT
BEGIN:VEVENT
UID:3
SUMMARY:Nghỉ lễ
DTSTART;VALUE=DATE:20261203
END:VEVENT
BEGIN:VEVENT
UID:4
SUMMARY:Đã huỷ
STATUS:CANCELLED
DTSTART;TZID=Asia/Ho_Chi_Minh:20261204T140000
DTEND;TZID=Asia/Ho_Chi_Minh:20261204T150000
END:VEVENT
BEGIN:VEVENT
UID:5
SUMMARY:Giờ trôi\x1b[31m
DTSTART:20261205T140000
DTEND:20261205T150000
END:VEVENT
END:VCALENDAR
""".replace("\n", "\r\n")
SINCE, UNTIL = dt.datetime(2026, 11, 25, tzinfo=ZONE), dt.datetime(2027, 1, 1, tzinfo=ZONE)


def run(folder, *arguments):
    command = [sys.executable, "-m", "netwatch", "--lang", "en", "conference", *arguments, "-i", str(folder / "inventory.yaml")]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False, env=os.environ)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "inventory.yaml").write_text(INVENTORY, "utf-8")
    return tmp_path


def meetings(folder):
    return inventory.load(folder / "inventory.yaml").meetings


def test_a_meeting_by_hand_is_read_with_those_of_the_inventory(folder):
    done = run(folder, "add", "Họp chuyên đề", "--from", "2099-11-25 14:00", "--until", "2h", "--match", "site=na-tau", "--rate", "4 Mbps")
    assert (done.returncode, done.stderr) == (0, "")
    assert "reload" in done.stdout
    first, second = meetings(folder)
    assert (first.id, second.id, second.matcher, second.rate_bits_per_second) == ("Giao ban tỉnh", "Họp chuyên đề", "site=na-tau", 4e6)
    assert second.ends - second.starts == 7_200
    again = run(folder, "add", "Họp chuyên đề", "--from", "2099-11-25 14:00", "--until", "3h")
    assert again.returncode == 64
    assert "already" in again.stderr
    assert run(folder, "add", "Buổi chiều", "--from", "2099-11-26 14:00", "--until", "16:00").returncode == 0
    assert [one.id for one in meetings(folder)] == ["Giao ban tỉnh", "Họp chuyên đề", "Buổi chiều"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("x", "--from", "someday", "--until", "2h"), 64),
        (("x", "--from", "2099-11-25 14:00", "--until", "2099-11-25 13:00"), 64),
        (("x\ny", "--from", "2099-11-25 14:00", "--until", "2h"), 64),
        (("x", "--from", "2099-11-25 14:00", "--until", "2h", "--match", "moon=full=x"), 78),
        (("x", "--from", "2099-11-25 14:00", "--until", "2h", "--rate", "fast"), 78),
    ],
)
def test_what_cannot_be_changes_nothing(folder, arguments, code):
    assert run(folder, "add", "kept", "--from", "2099-01-01 07:00", "--until", "1h").returncode == 0
    before = (folder / "inventory.d" / "meetings.yaml").read_text("utf-8")
    done = run(folder, "add", *arguments)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    assert (folder / "inventory.d" / "meetings.yaml").read_text("utf-8") == before


def test_the_first_that_cannot_be_leaves_no_file(folder):
    assert run(folder, "add", "x", "--from", "2099-11-25 14:00", "--until", "2h", "--rate", "fast").returncode == 78
    assert not (folder / "inventory.d" / "meetings.yaml").exists()


def test_a_complaint_about_a_meeting_of_a_second_file_names_its_own_line(folder):
    (folder / "inventory.d").mkdir()
    (folder / "inventory.d" / "more.yaml").write_text(
        'version: 1\nmeetings:\n  - {name: a, from: "2099-11-25 14:00", until: "2099-11-25 15:00"}\n  - {name: b, from: soon, until: later}\n'
    )
    with pytest.raises(inventory.InventoryRefused) as refused:
        meetings(folder)
    assert any("more.yaml:4:" in one for one in refused.value.lines())


def test_a_calendar_gives_its_meetings_by_the_local_clock_with_repetitions_and_exceptions(tmp_path):
    (tmp_path / "x.ics").write_text(CALENDAR, "utf-8")
    found = [(one.name, f"{one.begins:%d %H:%M}", f"{one.until:%H:%M}") for one in held_in(tmp_path / "x.ics", SINCE, UNTIL, ZONE)]
    assert found == [
        ("Giao ban tuần", "01 07:30", "10:00"),
        ("Họp UTC", "02 08:00", "09:00"),
        ("Giờ trôi[31m", "05 14:00", "15:00"),
        ("Giao ban tuần", "15 07:30", "10:00"),
        ("Giao ban tuần", "22 07:30", "10:00"),
    ]


def test_a_calendar_is_imported_once(folder):
    begins = (dt.datetime.now(ZONE) + dt.timedelta(days=2)).strftime("%Y%m%d")
    lines = [
        "BEGIN:VCALENDAR",
        "BEGIN:VEVENT",
        "UID:1",
        "SUMMARY:Họp",
        f"DTSTART:{begins}T073000",
        f"DTEND:{begins}T093000",
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    ]
    (folder / "x.ics").write_text("\r\n".join(lines), "utf-8")
    assert "1 meetings" in run(folder, "import", str(folder / "x.ics")).stdout
    assert [one.id for one in meetings(folder)] == ["Giao ban tỉnh", "Họp"]
    again = run(folder, "import", str(folder / "x.ics"))
    assert (again.returncode, "no meeting" in again.stdout) == (0, True)


def test_what_is_no_calendar_is_said_so(folder):
    (folder / "x.ics").write_bytes(b"\xff\xfe\x00nonsense")
    done = run(folder, "import", str(folder / "x.ics"))
    assert (done.returncode, "Traceback" in done.stderr) == (65, False), done.stderr
    assert run(folder, "import", str(folder / "none.ics")).returncode == 66


@given(st.data())
def test_a_damaged_calendar_gives_meetings_or_a_reason(tmp_path_factory, data):
    lines = CALENDAR.split("\r\n")
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        lines[at] = data.draw(
            st.sampled_from(["", "BEGIN:VEVENT", "END:VEVENT", "RRULE:FREQ=SECONDLY", "DTSTART:x", "DTEND;TZID=Moon:20261201T073000"])
            | st.text(max_size=30)
        )
    path = tmp_path_factory.getbasetemp() / "damaged.ics"
    path.write_text("\r\n".join(lines), "utf-8")
    try:
        found = held_in(path, SINCE, UNTIL, ZONE)
    except BadCalendar:
        return
    assert len(found) <= 500
    assert all(one.name.isprintable() and one.begins < one.until for one in found)
