"""History when the disk refuses, callers are cancelled and samples come too fast."""

import asyncio
import sqlite3

import pytest

from netwatch.history import History, HistoryFailed, HistoryRefused, _task, findings
from netwatch.model import Effects, Sample
from tests.history_cases import effects, incident, transition, with_history


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

        return sqlite3.connect(*arguments, **options, factory=Failing)

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
            await tried(history.prune())
            assert not history._writer.in_transaction
            if rows is not None:
                acknowledged[number] = rows[0].id
                await tried(history.page_sent(rows[0].id, f"t{number}", float(number)))
            await tried(history.flush())
            await tried(history.prune())
            assert not history._writer.in_transaction
        faults.failing = range(0)
        await history.flush()
        assert history.database_ok
        await history.close()
    return acknowledged


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("length", [1, 2, pytest.param(7, marks=pytest.mark.soak)])
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


def test_one_failed_call_is_retried_and_the_caller_never_knows(tmp_path):
    faults = Faults()

    async def body(history):
        faults.failing = range(faults.calls + 3, faults.calls + 4)
        assert len(await history.commit(effects(1), {}, 1_000.0)) == 1
        assert len(await history.transitions()) == 1

    with_history(tmp_path, body, connect=faults.connect)


def test_commits_and_what_they_left_behind_wait_for_the_disk_and_samples_do_not(tmp_path, monkeypatch):
    monkeypatch.setattr(_task, "PASS_SECONDS", 1e9)  # no pass but those asked for
    faults = Faults()

    async def synchronous(history):
        return (await history._writer.rows("PRAGMA synchronous"))[0][0]

    async def body(history):
        await history.commit(effects(1), {}, 1_000.0)
        assert await synchronous(history) == 2
        history.add_result("a/b/c", 1_001.0, "ok", 0.1, [])
        await history.flush()
        assert await synchronous(history) == 1
        faults.failing = range(faults.calls + 1, 10**9)
        assert await tried(history.commit(effects(2), {}, 1_002.0)) is None
        faults.failing = range(0)
        await history.flush()
        assert await synchronous(history) == 2
        assert len(await history.transitions()) == 2
        faults.failing = range(faults.calls + 3, faults.calls + 6)  # also the ROLLBACK: the connection is given up
        history.add_result("a/b/c", 1_003.0, "failed", 0.1, [])
        await tried(history.flush())
        faults.failing = range(0)
        history.add_result("a/b/c", 1_004.0, "failed", 0.1, [])
        await history.flush()
        assert await synchronous(history) == 1
        assert len(await history.outcomes("a/b/c", 0, 2_000)) == 3

    with_history(tmp_path, body, connect=faults.connect)


def test_what_a_long_failure_leaves_behind_is_bounded_and_the_newest_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(_task, "BACKLOG_ROWS", 10)
    faults = Faults()

    async def body(history):
        faults.failing = range(faults.calls + 1, 10**9)
        for number in range(1, 50):
            assert await tried(history.commit(Effects(transitions=(transition(number),)), {}, 1_000.0)) is None
        faults.failing = range(0)
        await history.flush()
        kept = [int(change.detail) for change in await history.transitions()]
        assert kept == list(range(49, 49 - len(kept), -1))
        assert 3 <= len(kept) <= 10

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
