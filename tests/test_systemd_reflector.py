"""What the unit of the far end says; test_systemd.py has systemd judge it."""

import re
from pathlib import Path

from typer.main import get_command

from netwatch.cli import app

UNIT = Path(__file__).parent.parent / "systemd" / "netwatch-reflector.service"


def settings(key):
    return [line.partition("=")[2] for line in UNIT.read_text("utf-8").splitlines() if line.startswith(f"{key}=")]


def test_it_has_no_capability_no_user_and_nothing_to_write():
    assert settings("CapabilityBoundingSet") == [""]
    assert settings("DynamicUser") == ["yes"]
    assert settings("StateDirectory") == settings("ReadWritePaths") == []


def test_it_is_restarted_for_ever():
    assert (settings("Restart"), settings("StartLimitIntervalSec")) == (["always"], ["0"])


def test_its_command_is_one_that_the_program_takes():
    (command,) = settings("ExecStart")
    arguments = command.replace("%d", "/run/credentials").split()[2:]
    options = get_command(app).get_command(None, "reflector").make_context("reflector", arguments).params
    assert (options["listen"], options["token_file"].name) == (":8621", "token")
    assert settings("LoadCredential") == ["token:/etc/netwatch/credentials/line_token"]


def test_the_commands_at_its_top_install_it_and_its_token():
    top = UNIT.read_text("utf-8").partition("[Unit]")[0]
    assert "systemd/netwatch-reflector.service" in top
    assert re.search(r"install -m 0600 token /etc/netwatch/credentials/line_token", top)
