"""Shapes of output that all commands share."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from netwatch.cli import _output

ROOT = Path(__file__).parent.parent


def test_a_table_shows_no_column_that_holds_nothing(capsys):
    _output.print_table(["no.", "incident", "handled"], [("1", "cut", ""), ("2", "dark", "")])
    assert capsys.readouterr().out.splitlines()[0].split() == ["no.", "incident"]
    _output.print_table(["no.", "incident", "handled"], [("1", "cut", ""), ("2", "dark", "Mai")])
    assert capsys.readouterr().out.splitlines()[0].split() == ["no.", "incident", "handled"]


def test_a_table_without_rows_keeps_its_headings(capsys):
    _output.print_table(["no.", "incident"], [])
    assert capsys.readouterr().out.split() == ["no.", "incident"]


def simulate(*arguments):
    command = [sys.executable, "-m", "netwatch", "simulate", "cut-too-short", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)


@pytest.mark.parametrize("arguments", [("-o", "json"), ("-o", "jsonl"), ("--json",)])
def test_simulate_gives_one_json_object_a_scenario_however_it_is_asked(arguments):
    ended = simulate(*arguments)
    assert ended.returncode == 0
    assert [json.loads(line)["name"] for line in ended.stdout.splitlines()] == ["cut-too-short"]


def test_simulate_has_no_other_shape():
    assert simulate("-o", "xml").returncode == 64
