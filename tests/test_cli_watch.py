"""`netwatch watch` and `completion`, as processes, over a real unix socket."""

import asyncio
import os
import pty
import signal
import sys

import pytest

from netwatch.cli import watch
from tests.province import calm_province
from tests.test_cli_status import ENVIRONMENT, daemon_at, netwatch


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "api.sock")


def test_watch_without_a_terminal_tells_what_changes(path):
    async def scenario():
        async with daemon_at(path) as daemon:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "netwatch", "watch", "--only", "problems", "--every", "0.2", "--socket", path),
                env=ENVIRONMENT,
                stdout=asyncio.subprocess.PIPE,
            )
            lines = []
            async with asyncio.timeout(60):
                while not any("Sín Thầu" in line for line in lines):
                    lines.append((await process.stdout.readline()).decode())
                await daemon.change(calm_province())
                while not any("đã hết:" in line for line in lines):
                    lines.append((await process.stdout.readline()).decode())
                process.send_signal(signal.SIGINT)
                await process.stdout.read()
                return lines, await process.wait()

    lines, code = asyncio.run(scenario())
    assert code == 130
    assert lines[0].startswith("38/45 điểm bình thường")
    assert sum("Nà Tấu: mất kết nối (cả điểm)" in line and "đã hết" not in line for line in lines) <= 2
    assert not any("hết giấy" in line for line in lines)


def test_watch_on_a_terminal_is_a_table_and_survives_a_restart(path):
    async def scenario():
        parent, child = pty.openpty()
        async with daemon_at(path):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "netwatch", "watch", "--every", "0.2", "--socket", path),
                env=ENVIRONMENT | {"TERM": "xterm", "LINES": "40", "COLUMNS": "160"},
                stdout=child,
                stderr=child,
            )
            reader = asyncio.StreamReader()
            pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(parent, "rb", buffering=0)
            )
            async with asyncio.timeout(60):
                await reader.readuntil("Nà Tấu: mất kết nối".encode())
        async with asyncio.timeout(60):
            await reader.readuntil("không liên lạc được".encode())
            process.send_signal(signal.SIGINT)
            code = await process.wait()
        os.close(child)
        pipe.close()
        return code

    assert asyncio.run(scenario()) == 130


def test_watch_needs_a_daemon_at_the_start(path):
    assert asyncio.run(netwatch("watch", "--socket", path))[0] == 69


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_ask_this_program(shell):
    code, output, _ = asyncio.run(netwatch("completion", shell))
    assert code == 0
    assert f"_NETWATCH_COMPLETE=complete_{shell}" in output


def test_the_shell_is_told_commands_and_the_sites_of_the_running_daemon(tmp_path):
    async def complete(words, **environment):
        count = str(len(words.split(" ")) - 1)
        return (await netwatch(_NETWATCH_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=count, **environment))[1].split()

    async def scenario():
        assert "events" in await complete("netwatch ev")
        async with daemon_at(str(tmp_path / "api.sock")):
            assert await complete("netwatch ping na-t", RUNTIME_DIRECTORY=str(tmp_path)) == ["na-tau"]
        assert await complete("netwatch ping na-t", RUNTIME_DIRECTORY=str(tmp_path)) == []

    asyncio.run(scenario())


def test_a_site_that_an_incident_now_speaks_of_is_not_over():
    sites = [{"id": "a", "state": "crit"}, {"id": "b", "state": "ok"}, {"id": "c", "state": "maintenance"}]
    shown = {"site a": "A", "site b": "B", "site c": "C", "incident 1": "I", "incident 2": "J"}
    assert watch._over(shown, {"incident 2": "J"}, {"sites": sites}) == ["site b", "site c", "incident 1"]
