"""History and its disk: the log, free space, limits, and a disk that is full."""

import asyncio
import functools
import itertools
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from netwatch.history import HistoryFailed, _task, _upkeep, _writer, findings
from netwatch.history._schema import prepare
from netwatch.history._writer import Writer
from netwatch.model import Effects
from tests.history_cases import effects, with_history

CHILD = [sys.executable, "-m", "tests.history_child"]
ROOT = Path(__file__).parent.parent


def test_the_log_is_moved_into_the_file_while_running_and_a_reader_may_stay(tmp_path):
    async def body(history):
        log = history.path.with_name("netwatch.db-wal")
        with sqlite3.connect(f"{history.path.as_uri()}?mode=ro", uri=True) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM transition").fetchone()
            for _ in range(60):
                await history.commit(Effects(), {"a/b/c": "x" * 100_000}, 1_000.0)
            await history.flush()
        reader.close()
        grown = log.stat().st_size
        for _ in range(20):
            await history.flush()
            await history.commit(Effects(), {"a/b/c": "x" * 100_000}, 1_000.0)
        assert grown > 4 * 1024 * 1024
        assert log.stat().st_size == grown

    with_history(tmp_path, body)


def test_commits_never_wait_for_a_checkpoint_which_the_next_pass_makes(tmp_path, monkeypatch):
    monkeypatch.setattr(_task, "PASS_SECONDS", 1e9)

    async def body(history):
        await history.flush()
        for _ in range(60):
            await history.commit(Effects(), {"a/b/c": "x" * 100_000}, 1_000.0)
        empty = history.path.stat().st_size
        await history.flush()
        assert history.path.stat().st_size > empty + 90_000

    with_history(tmp_path, body)


def test_a_lock_held_by_another_program_is_an_error_after_a_bounded_wait_and_over_when_it_goes(tmp_path, monkeypatch):
    monkeypatch.setattr(_writer, "BUSY_MILLISECONDS", 20)

    async def body(history):
        other = sqlite3.connect(history.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        before = history.progress_at
        with pytest.raises(HistoryFailed, match="locked"):
            await history.commit(effects(1), {}, 1_000.0)
        with pytest.raises(HistoryFailed, match="locked"):
            await history.flush()
        assert history.progress_at > before
        other.execute("ROLLBACK")
        other.close()
        await history.commit(effects(2), {}, 1_000.0)
        assert [change.detail for change in await history.transitions()] == ["2", "1"]
        assert [row.page.incident.id for row in (await history.load()).outbox] == [2]

    with_history(tmp_path, body)


def test_free_space_goes_back_bit_by_bit_beyond_the_reserve(tmp_path):
    path = tmp_path / "netwatch.db"
    prepare(path)

    async def scenario():
        writer = Writer(path)
        await writer.transaction([("INSERT INTO memory VALUES (?, ?)", [(str(n), "x" * 4_000) for n in range(1_000)])], durable=False)
        await writer.transaction([("DELETE FROM memory WHERE check_id <> ?", [("0",)])], durable=False)
        pages = [(await writer.rows("PRAGMA page_count"))[0][0]]
        for keep in (10_000, 100, 100):
            await writer.vacuum(keep)
            pages.append((await writer.rows("PRAGMA page_count"))[0][0])
        await writer.close()
        assert pages[1] == pages[0]
        for before, after in itertools.pairwise(pages[1:]):
            assert 256 <= before - after <= 258  # now and then a pointer-map page goes with them

    asyncio.run(scenario())


def test_the_writer_gives_free_space_back_once_a_minute(tmp_path, monkeypatch):
    monkeypatch.setattr(_upkeep, "FREE_PAGES_KEPT", 10)

    async def pages(history):
        return (await history._writer.rows("PRAGMA page_count"))[0][0]

    async def body(history):
        await history.commit(Effects(), {str(number): "x" * 4_000 for number in range(1_000)}, 1_201.0)
        await history.commit(Effects(), {str(number): "" for number in range(1_000)}, 1_201.0)
        await history.flush()
        full = await pages(history)
        await history.heartbeat(1_259.0)
        await history.flush()
        await history.commit(Effects(), {}, 1_259.0)
        assert await pages(history) == full
        await history.heartbeat(1_260.0)
        await history.flush()
        async with asyncio.timeout(30):
            while await pages(history) == full:
                await history.commit(Effects(), {}, 1_260.0)

    with_history(tmp_path, body)


def run_child(*arguments, prefix=()):
    return subprocess.run([*prefix, *CHILD, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)


def test_a_file_size_limit_is_an_error_each_time_and_over_without_a_restart(tmp_path):
    ended = run_child("limited", str(tmp_path))
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == ["failed", "recovered"]
    assert findings(tmp_path / "netwatch.db") == []


def test_a_full_disk_is_an_error_each_time_and_over_without_a_restart(tmp_path):
    mount = functools.partial(subprocess.run, capture_output=True, check=False)
    alone = ("unshare", "--mount") if os.getuid() == 0 else ("unshare", "--user", "--map-root-user", "--mount")
    if shutil.which("unshare") is None or mount([*alone, "mount", "-t", "tmpfs", "-o", "size=1m", "netwatch", str(tmp_path)]).returncode:
        pytest.skip("no tmpfs may be mounted here")
    script = 'mount -t tmpfs -o size=2m netwatch "$0" && exec "$@"'
    ended = run_child("full", str(tmp_path), prefix=(*alone, "sh", "-c", script, str(tmp_path)))
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == ["failed", "recovered", "sound"]
