"""History when the disk refuses, callers are cancelled and samples come too fast."""

import asyncio
import functools
import itertools
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import aiosqlite
import pytest

from netwatch.history import History, HistoryFailed, HistoryRefused, _task, findings
from netwatch.history._schema import prepare
from netwatch.history._writer import Writer
from netwatch.model import Effects, Sample
from tests.history_cases import effects, incident, transition, with_history

CHILD = [sys.executable, "-m", "tests.history_child"]
ROOT = Path(__file__).parent.parent


class Faults:
    """Fails the calls whose number is in `failing`, before they reach SQLite or (`after`) once it has done them."""

    def __init__(self, failing=range(0), *, after=False):
        self.failing = failing
        self.after = after
        self.calls = 0

    def connect(self, *arguments, **options):
        faults = self

        class Failing(sqlite3.Connection):
            def execute(self, *call):
                return faults.run(super().execute, call)

            def executemany(self, *call):
                return faults.run(super().executemany, call)

        return aiosqlite.connect(*arguments, **options, factory=Failing)

    def run(self, function, call):
        self.calls += 1
        failing = self.calls in self.failing
        if failing and not self.after:
            raise sqlite3.OperationalError("injected")
        result = function(*call)
        if failing:
            raise sqlite3.OperationalError("injected, too late")
        return result


async def tried(awaitable):
    try:
        return await awaitable
    except HistoryFailed:
        return None


async def work_through(directory, faults):
    """Six commits, some samples and how pages ended; returns the numbers of the acknowledged commits, or None if not opened."""
    try:
        history = await History.open(directory, connect=faults.connect)
    except HistoryRefused:
        return None
    acknowledged = {}
    async with asyncio.TaskGroup() as group:
        group.create_task(history.run())
        for number in range(1, 7):
            history.add_result("a/b/c", number, "ok", 0.1, [Sample("m", (float(number),))])
            rows = await tried(history.commit(effects(number), {"a/b/c": str(number)}, float(number)))
            assert not history._writer.in_transaction
            if rows is not None:
                acknowledged[number] = rows[0].id
                await tried(history.page_sent(rows[0].id, f"t{number}", float(number)))
            await tried(history.flush())
            assert not history._writer.in_transaction
        faults.failing = range(0)
        await history.flush()
        assert history.database_ok
        await history.close()
    return acknowledged


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("length", [1, 2, 7])
def test_whichever_sql_call_fails_it_is_retried_or_refused_and_nothing_is_lost_once_the_disk_is_well(tmp_path, length, after):
    for first in range(1, 61):
        directory = tmp_path / str(first)
        acknowledged = asyncio.run(work_through(directory, Faults(range(first, first + length), after=after)))
        assert findings(directory / "netwatch.db") == []
        if acknowledged is None:
            continue

        async def look(history, acknowledged=acknowledged):
            changes = await history.transitions()
            assert sorted(int(change.detail) for change in changes) == [1, 2, 3, 4, 5, 6]
            found = await history.load()
            assert {one.id for one in found.incidents} == {1, 2, 3, 4, 5, 6}
            assert found.outbox == ()
            assert {number for number, _ in found.threads} >= set(acknowledged)
            assert dict(found.memories) == {"a/b/c": "6"}
            assert [values for _, values in await history.samples("a/b/c", "m", "", 0, 9)] == [(float(n),) for n in range(1, 7)]

        with_history(directory, look)


def test_without_faults_the_scenario_makes_enough_calls_to_fail(tmp_path):
    faults = Faults()
    assert asyncio.run(work_through(tmp_path, faults)) == {number: number for number in range(1, 7)}
    assert faults.calls > 60


def test_a_failed_commit_gives_no_rows_stores_no_page_and_keeps_the_rest_for_later(tmp_path):
    faults = Faults()

    async def body(history):
        faults.failing = range(faults.calls + 1, 10**9)
        with pytest.raises(HistoryFailed, match="injected"):
            await history.commit(effects(1), {"a/b/c": "x"}, 1_000.0)
        assert not history.database_ok
        assert await history.transitions() == []
        faults.failing = range(0)
        await history.commit(Effects(), {"a/b/c": "y"}, 1_001.0)
        assert await history.transitions() == [transition(1)]
        found = await history.load()
        assert (found.outbox, found.incidents, dict(found.memories)) == ((), (incident(1),), {"a/b/c": "y"})

    with_history(tmp_path, body, connect=faults.connect)


def test_a_cancelled_caller_harms_neither_the_writer_nor_the_commit(tmp_path):
    async def body(history):
        for number in range(1, 40):
            caller = asyncio.get_running_loop().create_task(history.commit(effects(number), {}, 1_000.0))
            for _ in range(number % 5):  # cancelled before, while and after the writer takes it up
                await asyncio.sleep(0)
            caller.cancel()
            with pytest.raises(asyncio.CancelledError):
                await caller
            await history.commit(effects(100 + number), {}, 1_000.0)
            assert not history._writer.in_transaction
        stored = {int(change.detail) for change in await history.transitions()}
        paged = {row.page.incident.id for row in (await history.load()).outbox}
        assert stored == paged
        assert stored >= {100 + number for number in range(1, 40)}

    with_history(tmp_path, body)


def test_a_cancelled_writer_answers_every_caller_and_gives_the_directory_back(tmp_path):
    async def scenario():
        history = await History.open(tmp_path)
        writer = asyncio.get_running_loop().create_task(history.run())
        callers = [asyncio.get_running_loop().create_task(history.commit(effects(number), {}, 1_000.0)) for number in range(1, 20)]
        await callers[3]
        writer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writer
        refused = 0
        for caller in callers:
            refused += await tried(caller) is None
        assert refused > 0
        with pytest.raises(HistoryFailed, match="closed"):
            await history.commit(effects(99), {}, 1_000.0)
        await history.close()
        async with await History.open(tmp_path) as again:
            assert len(await again.transitions()) >= 4

    asyncio.run(scenario())


def test_a_full_queue_drops_samples_and_counts_them_but_never_a_commit(tmp_path):
    async def body(history):
        for number in range(30):
            history.add_result("a/b/c", 1_000.0 + number, "failed", 0.1, [Sample("m", (1.0,))])
        assert history.samples_dropped == 2 * 30 - 10
        await history.commit(effects(1), {}, 1_030.0)
        await history.flush()
        history.add_result("a/b/c", 1_031.0, "ok", 0.1, [Sample("m", (2.0,))])
        await history.flush()
        assert history.samples_dropped == 50
        assert len(await history.samples("a/b/c", "m", "", 0, 2_000)) == 6
        assert len(await history.transitions()) == 1

    with_history(tmp_path, body, queue_limit=10)


def test_the_writer_makes_progress_while_idle(tmp_path, monkeypatch):
    monkeypatch.setattr(_task, "PASS_SECONDS", 0.01)

    async def body(history):
        before = history.progress_at
        async with asyncio.timeout(30):
            while history.progress_at == before:  # noqa: ASYNC110  # nothing happens but time
                await asyncio.sleep(0)

    with_history(tmp_path, body)


def test_readers_see_whole_commits_while_the_writer_writes(tmp_path):
    async def body(history):
        async def write():
            for number in range(1, 60):
                change = transition(number)
                await history.commit(Effects(transitions=(change, change)), {"a/b/c": "x" * 9_000}, 1_000.0)

        task = asyncio.get_running_loop().create_task(write())
        seen = 0
        while not task.done():
            found = len(await history.transitions())
            assert found % 2 == 0
            assert found >= seen
            seen = found
        await task
        assert history.database_bytes > 0

    with_history(tmp_path, body)


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


def test_free_space_goes_back_bit_by_bit_beyond_the_reserve(tmp_path):
    path = tmp_path / "netwatch.db"
    prepare(path)

    async def scenario():
        writer = Writer(path)
        await writer.transaction([("INSERT INTO memory VALUES (?, ?)", [(str(n), "x" * 4_000) for n in range(1_000)])], durable=False)
        await writer.transaction([("DELETE FROM memory WHERE check_id <> ?", [("0",)])], durable=False)
        connection = await writer.open()
        pages = [(await connection.execute_fetchall("PRAGMA page_count"))[0][0]]
        for keep in (10_000, 100, 100):
            await writer.vacuum(keep)
            pages.append((await connection.execute_fetchall("PRAGMA page_count"))[0][0])
        await writer.close()
        assert pages[1] == pages[0]
        for before, after in itertools.pairwise(pages[1:]):
            assert 256 <= before - after <= 258  # now and then a pointer-map page goes with them

    asyncio.run(scenario())


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
