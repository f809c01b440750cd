"""The help of every command, and what it costs to print."""

import subprocess
import sys

import pytest
from typer.main import get_command

from netwatch.cli import app


def netwatch(*arguments, options=()):
    return subprocess.run(
        [sys.executable, *options, "-m", "netwatch", *arguments], capture_output=True, text=True, timeout=60, check=False, env={}
    )


def test_help_loads_nothing_that_only_commands_need():
    errors = netwatch("--help", options=("-X", "importtime")).stderr
    loaded = {line.rpartition("|")[2].strip() for line in errors.splitlines() if "|" in line}
    assert "typer.main" in loaded
    assert not loaded & {"rich.console", "http.client", "socket", "asyncio", "pydantic", "yaml", "aiohttp", "sqlite3", "ctypes", "tempfile"}


def commands(group, path=()):
    for name, command in sorted(group.commands.items()):
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), f"{command.help}\n{group.help or ''}"


@pytest.mark.parametrize(("path", "told"), [pytest.param(path, told, id=" ".join(path)) for path, told in commands(get_command(app))])
def test_every_command_has_a_summary_examples_and_exit_codes(path, told):
    summary, _, rest = told.partition("\n")
    assert summary.endswith((".", "?"))
    assert f"netwatch {' '.join(path)}" in rest
    assert "Exit codes: " in rest
