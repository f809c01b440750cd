"""`netwatch devices`, as a process: the register of a daemon, and an agent read to its end."""

import asyncio
import csv
import io
import json

import pytest

from netwatch.cli._walk import shown
from netwatch.lab import ber
from tests.province import WALL
from tests.snmp_agent import honest, listening, ports
from tests.test_cli_status import netwatch, run

DAY = 86_400.0
ROUTER = {
    "site": "na-tau",
    "site_name": "Nà Tấu",
    "device": "router",
    "role": "router",
    "label": "Router phòng máy",
    "address": "10.45.34.1",
    "profile": "router",
    "model": "RB4011",
    "serial": "=HYPERLINK(1)",
    "firmware": "7.16",
    "sysName": "na-tau-r1",
    "sysLocation": "",
    "sysDescr": "RouterOS",
    "sysObjectID": "1.3.6.1.4.1.14988.1",
    "first_seen": WALL - 90 * DAY,
    "last_seen": WALL - 60.0,
    "changes": [{"wall": WALL - DAY, "fact": "firmware", "old": "7.15", "new": "7.16"}],
    "warranty_until": "2020-05-01",
    "watched": True,
}
LOST = ROUTER | {"device": "vc", "role": "vc", "label": "", "last_seen": WALL - 31 * DAY, "warranty_until": "2999-01-01", "changes": []}
NEVER = ROUTER | {"site": "sin-thau", "site_name": "Sín Thầu", "device": "kiosk", "role": "kiosk", "first_seen": None, "last_seen": None}
GONE = ROUTER | {"device": "old", "watched": False, "label": "", "role": ""}


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "api.sock")


def devices(path, *arguments, **environment):
    return run(path, "devices", *arguments, prepare=lambda daemon: daemon.register.extend([ROUTER, LOST, NEVER, GONE]), **environment)


def test_the_register_as_a_table_says_what_is_long_unseen_gone_and_out_of_warranty(path):
    code, output, errors = devices(path, "list", NETWATCH_LANG="en")
    assert (code, errors) == (0, "")
    lines = {line.split()[1]: line for line in output.splitlines()[1:]}
    assert lines.keys() == {"router", "vc", "kiosk", "old"}
    assert "2020-05-01, is over" in lines["router"]
    assert "long unseen" in lines["vc"]
    assert "not in the inventory any more" in lines["old"]


def test_the_register_as_csv_has_every_field_and_nothing_that_a_spreadsheet_would_run(path):
    code, output, _ = devices(path, "list", "-o", "csv")
    rows = list(csv.DictReader(io.StringIO(output)))
    assert code == 0
    assert [row["device"] for row in rows] == ["router", "vc", "kiosk", "old"]
    assert rows[0]["serial"] == "'=HYPERLINK(1)"
    assert rows[0]["label"] == "Router phòng máy"
    assert rows[2]["last_seen"] == ""


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("--site", "Nà Tấu"), ["router", "vc", "old"]),
        (("--role", "vc"), ["vc"]),
        (("--unseen", "30"), ["vc", "kiosk"]),
        (("--unseen", "32"), ["kiosk"]),
        (("--out-of-warranty",), ["router", "kiosk", "old"]),
    ],
)
def test_only_what_was_asked_for_is_listed(path, arguments, found):
    code, output, _ = devices(path, "list", "-o", "json", *arguments)
    assert code == 0
    assert [row["device"] for row in json.loads(output)["records"]] == found


def test_one_device_is_shown_with_its_changes_and_what_it_measures_now(path):
    code, output, errors = devices(path, "show", "na-tau/router", NETWATCH_LANG="en")
    assert (code, errors) == (0, "")
    assert output.startswith("Nà Tấu · Router phòng máy\n")
    assert "firmware changed from 7.15 to 7.16" in output
    assert "na-tau-r1" in output
    assert json.loads(devices(path, "show", "na-tau/router", "-o", "json")[1])["serial"] == "=HYPERLINK(1)"


@pytest.mark.parametrize(("named", "code"), [("na-tau", 64), ("na-tau/line1", 66), ("na-tau/nothing", 66), ("nowhere", 66)])
def test_what_is_no_device_is_refused_with_a_reason(path, named, code):
    ended, output, errors = devices(path, "show", named)
    assert (ended, output) == (code, "")
    assert len(errors.strip().splitlines()) == 1


INVENTORY = """\
version: 1
plan: {{site_net: "127.46.{{n}}.0/24"}}
defaults: {{contact: noc, snmp: {{community: "${{C}}", port: {port}}}}}
contacts: {{noc: {{name: Trực ban}}}}
roles: {{commune: {{devices: {{router: {{profile: router, address: 127.0.0.1}}, plain: {{profile: scanner, host: 9, warranty_until: 2027-05-01}}}}}}}}
sites: {{na-tau: {{n: 34, code: "03316"}}}}
"""


def walk(tmp_path, *arguments):
    async def scenario():
        objects = ports(["ether1", "ether2"]) | {"1.3.6.1.2.1.1.6.0": ber.text(b"\x1b[31mtr\xc3\xaan n\xc3\xb3c\x00\xff")}
        async with listening(honest(objects)) as agent:
            (tmp_path / "inventory.yaml").write_text(INVENTORY.format(port=agent.port), "utf-8")
            return await netwatch("devices", "walk", *arguments, "-f", str(tmp_path / "inventory.yaml"), C="canary-community")

    return asyncio.run(scenario())


def test_a_walk_says_all_that_is_below_an_oid_and_nothing_that_a_terminal_obeys(tmp_path):
    code, output, errors = walk(tmp_path, "na-tau/router")
    assert (code, errors) == (0, "")
    lines = dict(line.split(" = ", 1) for line in output.splitlines())
    assert lines["1.3.6.1.2.1.1.5.0"] == "router-1"
    assert lines["1.3.6.1.2.1.1.6.0"].startswith("1b 5b 33 31")
    assert set(lines) >= {"1.3.6.1.2.1.1.1.0", "1.3.6.1.2.1.1.2.0", "1.3.6.1.2.1.1.3.0"}
    records = json.loads(walk(tmp_path, "na-tau/router", "1.3.6.1.2.1.2.2.1.2", "-o", "json")[1])["records"]
    assert records == [{"oid": f"1.3.6.1.2.1.2.2.1.2.{index}", "value": f"ether{index}"} for index in (1, 2)]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("na-tau/router", "system"), 64), (("na-tau/plain",), 66), (("na-tau/none",), 66), (("na-tau/router", "-o", "xml"), 64)],
)
def test_a_walk_that_cannot_be_is_refused(tmp_path, arguments, code):
    ended, output, errors = walk(tmp_path, *arguments)
    assert (ended, output) == (code, "")
    assert errors


def test_octets_that_are_no_text_are_shown_as_octets():
    assert [shown(one) for one in (b"T\xe1\xba\xa7ng 2\0", b"\x00\x16\x6c", b"\xff\xfe", 7, "1.3.6")] == [
        "Tầng 2",
        "00 16 6c",
        "ff fe",
        "7",
        "1.3.6",
    ]
