"""The help of every command, and what it costs to print."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

import probes
from netwatch.cli import app, probe

ROOT = Path(__file__).parent.parent


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


def groups(group, path=()):
    for name, command in sorted(group.commands.items()):
        if hasattr(command, "commands"):
            yield (*path, name)
            yield from groups(command, (*path, name))


@pytest.mark.parametrize("path", [(), *groups(get_command(app))], ids=" ".join)
def test_a_group_alone_prints_its_help_and_no_more(path):
    alone, asked = netwatch(*path), netwatch(*path, "--help")
    assert (alone.returncode, alone.stdout) == (64, "")
    assert alone.stderr == asked.stdout
    assert asked.returncode == 0
    assert "Exit codes: " in asked.stdout


@pytest.mark.parametrize("name", probes.names())
def test_every_probe_type_has_examples_that_it_takes(name):
    command = get_command(probe.app).get_command(None, name)
    summary, _, rest = command.help.partition("\n")
    assert summary.endswith(".")
    assert f"netwatch probe {name} " in rest
    assert "Exit codes: " in rest
    of_no_probe = {"address", "timeout", "source", "as_json", *(f"{secret}_file" for secret in probes.get(name).secret_names)}
    for given in probe.EXAMPLES.get(name, ()):
        options = command.make_context(name, given.split()).params
        fields = {key: value for key, value in options.items() if key not in of_no_probe and value not in (None, ())}
        probe.build(probes.get(name), fields)


def test_the_changelog_names_every_command():
    told = (ROOT / "CHANGELOG.md").read_text("utf-8")
    words = {word for quoted in re.findall(r"`([^`]*)`", told) for word in quoted.split()}
    assert set(get_command(app).commands) <= words
