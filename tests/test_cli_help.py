"""The help of every command, and what it costs to print."""

import subprocess
import sys


def netwatch(*arguments, options=()):
    return subprocess.run(
        [sys.executable, *options, "-m", "netwatch", *arguments], capture_output=True, text=True, timeout=60, check=False, env={}
    )


def test_help_loads_nothing_that_only_commands_need():
    errors = netwatch("--help", options=("-X", "importtime")).stderr
    loaded = {line.rpartition("|")[2].strip() for line in errors.splitlines() if "|" in line}
    assert "typer.main" in loaded
    assert not loaded & {"rich.console", "http.client", "socket", "asyncio", "pydantic", "yaml", "aiohttp", "sqlite3", "ctypes", "tempfile"}
