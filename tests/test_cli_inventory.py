"""`netwatch inventory check`: what it prints and how it ends."""

import json
import os
import subprocess
import sys
from pathlib import Path

SHIPPED = Path(__file__).parent.parent / "inventory.yaml"


def run(*arguments, language="vi", **environment):
    return subprocess.run(
        [sys.executable, "-m", "netwatch", "--lang", language, "inventory", "check", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"} | environment,
        cwd=SHIPPED.parent,
    )


def test_the_shipped_file_is_sound():
    ended = run(NETWATCH_SNMP_COMMUNITY="x")
    assert ended.returncode == 0
    assert ended.stdout.startswith("45 xã, phường và 3 điểm trung tâm: ")
    assert "plan.site_net: đây là dải địa chỉ của bản demo" in ended.stderr
    assert ended.stdout.endswith("1 cảnh báo.\n")


def test_an_unsound_file_is_shown_with_carets_and_ends_with_78(tmp_path):
    path = tmp_path / "inventory.yaml"
    text = SHIPPED.read_text().replace("  contact: truc-noc", "  contact: truc-nco", 1).replace("priority: 1", "pritority: 1", 1)
    path.write_text(text)
    number = text.splitlines().index("  contact: truc-nco") + 1
    ended = run(path, language="en", NETWATCH_SNMP_COMMUNITY="x")
    assert (ended.returncode, ended.stdout) == (78, "")
    lines = ended.stderr.splitlines()
    assert f'{path}:{number}:12: defaults.contact: no contact "truc-nco"; there are: to-cntt, truc-noc' in lines
    assert any(line.endswith('^^^^^^^^^ did you mean "priority"?') for line in lines)
    assert lines[-1] == "Errors: 2, warnings: 1. Nothing was loaded; what is running stays as it is."
    assert "Traceback" not in ended.stderr


def test_a_plan_that_cannot_be_is_answered_with_one_that_can(tmp_path):
    path = tmp_path / "inventory.yaml"
    for written, advice in (
        ("10.45.{n}.0/33", "10.45.{n}.0/24"),
        ("10.46.{n}.7/24", "10.46.{n}.0/24"),
        ("10.45.0.{n}/24", "10.45.{n}.0/24"),
    ):
        path.write_text(SHIPPED.read_text().replace("127.45.{n}.0/24", written))
        ended = run(path, language="en", NETWATCH_SNMP_COMMUNITY="x")
        told = next(line for line in ended.stderr.splitlines() if "plan.site_net: " in line)
        assert (ended.returncode, written in told, advice in told) == (78, True, True)


def test_a_probe_in_the_defaults_is_answered_with_where_it_belongs(tmp_path):
    path = tmp_path / "inventory.yaml"
    path.write_text(SHIPPED.read_text().replace("defaults:\n", "defaults:\n  icmp: {interval: 5s}\n", 1))
    ended = run(path, language="en", NETWATCH_SNMP_COMMUNITY="x")
    assert 'did you mean "intervals"?' in ended.stderr


def test_a_file_that_is_not_there_ends_with_66(tmp_path):
    ended = run(tmp_path / "nothing.yaml")
    assert ended.returncode == 66
    assert "không có tệp này" in ended.stderr


def test_json_has_counts_or_errors(tmp_path):
    sound = json.loads(run("-o", "json", NETWATCH_SNMP_COMMUNITY="x").stdout)
    assert (sound["ok"], sound["demo_plan"], sound["counts"]["communes"], sound["errors"]) == (True, True, 45, [])
    path = tmp_path / "inventory.yaml"
    path.write_text("version: 1\nplan: {site_net: x}\nsites: {a: {n: 1}}\n")
    ended = run(path, "--output", "json")
    refused = json.loads(ended.stdout)
    assert (ended.returncode, refused["ok"], refused["counts"]) == (78, False, {})
    assert {(error["code"], error["path"], error["line"], error["column"]) for error in refused["errors"]} >= {
        ("missing", "sites.a.code", 3, 9)
    }


def test_an_unknown_output_is_a_usage_error():
    assert run("-o", "xml").returncode == 64
