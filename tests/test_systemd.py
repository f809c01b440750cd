"""The units and their companions, judged by systemd's own tools; none of them needs systemd to be running."""

import subprocess
from pathlib import Path

import pytest

from netwatch.watchdog import PARTS

FOLDER = Path(__file__).parent.parent / "systemd"
UNIT = FOLDER / "netwatch.service"
UNITS = pytest.mark.parametrize("unit", [UNIT, FOLDER / "netwatch-reflector.service"], ids=lambda unit: unit.stem)


def run(*command):
    return subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=60, check=False)


def settings():
    pairs = [line.partition("=") for line in UNIT.read_text("utf-8").splitlines() if "=" in line and not line.startswith("#")]
    return {key: [value for other, _, value in pairs if other == key] for key, _, _ in pairs}


@UNITS
def test_exposure_is_at_most_one_and_a_half(unit):
    answer = run("systemd-analyze", "security", "--offline=true", "--threshold=15", unit)
    assert answer.returncode == 0, answer.stdout


@UNITS
def test_systemd_finds_nothing_wrong_with_the_unit(unit, tmp_path):
    program = tmp_path / "netwatch"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text("utf-8").replace("/opt/netwatch/bin/netwatch", str(program)), "utf-8")
    answer = run("systemd-analyze", "verify", copy)
    assert (answer.returncode, answer.stderr) == (0, "")


def test_a_misspelt_key_would_be_found(tmp_path):
    copy = tmp_path / "netwatch.service"
    copy.write_text(UNIT.read_text("utf-8").replace("PrivateTmp=", "PrivatTmp="), "utf-8")
    assert "PrivatTmp" in run("systemd-analyze", "verify", copy).stderr


def test_it_is_restarted_for_ever_and_watched():
    unit = settings()
    assert unit["Restart"] == ["always"]
    assert unit["StartLimitIntervalSec"] == ["0"]
    assert unit["Type"] == ["notify"]
    assert unit["WatchdogSec"] == ["60"]
    assert set(PARTS) == {"scheduler", "writer", "delivery"}


def test_it_has_no_capability_because_the_sysctl_allows_echo_requests():
    assert settings()["CapabilityBoundingSet"] == [""]
    assert "net.ipv4.ping_group_range = 0 2147483647" in (FOLDER / "netwatch.sysctl").read_text("utf-8")


def test_it_may_ask_how_well_the_clock_is_set_and_can_never_set_it():
    unit = settings()
    assert "adjtimex clock_adjtime" in unit["SystemCallFilter"]
    assert unit["SystemCallFilter"].index("adjtimex clock_adjtime") > unit["SystemCallFilter"].index("~@privileged @resources")
    assert "ProtectClock" not in unit
    assert unit["CapabilityBoundingSet"] == [""]


def test_the_user_is_made(tmp_path):
    pool = tmp_path / "usr" / "lib" / "sysusers.d"
    pool.mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    (pool / "netwatch.conf").write_text((FOLDER / "netwatch.sysusers").read_text("utf-8"))
    answer = run("systemd-sysusers", f"--root={tmp_path}", "netwatch.conf")
    assert answer.returncode == 0, answer.stderr
    assert "/var/lib/netwatch:/usr/sbin/nologin" in (tmp_path / "etc" / "passwd").read_text()


def test_the_folder_of_secrets_is_for_root_alone(tmp_path):
    answer = run("systemd-tmpfiles", "--create", f"--root={tmp_path}", FOLDER / "netwatch.tmpfiles")
    assert answer.returncode == 0, answer.stderr
    assert (tmp_path / "etc/netwatch/credentials").stat().st_mode & 0o777 == 0o700
    assert settings()["LoadCredential"] == ["secret:/etc/netwatch/credentials"]


@pytest.mark.parametrize("name", ["netwatch.service", "netwatch.sysusers", "netwatch.tmpfiles", "netwatch.sysctl"])
def test_every_file_is_installed_by_the_commands_at_the_top_of_the_unit(name):
    assert f"systemd/{name}" in UNIT.read_text("utf-8").partition("[Unit]")[0]
