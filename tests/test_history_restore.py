"""Damaged files are set aside, copies are made every day, and a copy is put in force again."""

import asyncio
import contextlib
import os
import sqlite3
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netwatch.history import History, HistoryFailed, HistoryRefused, NoDatabase, Occupied, Unsound, _backups, _task, findings, restore
from netwatch.history._backups import BACKUPS_KEPT, Backups
from netwatch.history._restore import incident_number
from netwatch.history._schema import MIGRATIONS, prepare, set_aside
from netwatch.model import Metric, Sample
from tests.history_cases import effects, with_history

NOW = 1_795_000_000.0
DAY = 86_400
KINDS = {"up": Metric("gauge", "bool", "", keep="change")}


async def something(history):
    history.add_result("a/b/c", NOW, "ok", 0.1, [Sample("m", (1.0,))])
    history.add_result("a/b/c", NOW, "ok", 0.1, [Sample("up", (1.0,))], KINDS)
    await history.commit(effects(1, wall=NOW), {"a/b/c": "{}"}, NOW)
    await history.flush()


def opened(directory, **options):
    async def scenario():
        async with await History.open(directory, set_aside_at=NOW, **options) as history:
            return history.set_aside, (await history.load()).next_incident_id

    return asyncio.run(scenario())


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 200_000), st.binary(min_size=1, max_size=9_000), st.booleans())
def test_whatever_is_damaged_the_file_opens_or_is_set_aside_and_is_never_refused(tmp_path_factory, place, rubbish, cut):
    directory = tmp_path_factory.mktemp("damaged")
    with_history(directory, something)
    path = directory / "netwatch.db"
    content = bytearray(path.read_bytes())
    place %= len(content)
    content[place : len(content) if cut else place + len(rubbish)] = b"" if cut else rubbish
    path.write_bytes(content)
    if place < 100:
        with contextlib.suppress(HistoryRefused):  # a header may say that it is another program's, or newer
            opened(directory)
        return
    aside, first = opened(directory)
    if aside is not None:
        assert aside.name == "netwatch.db.corrupt-20261118T110640Z"
        assert first == incident_number(NOW)
    with_history(directory, something)
    assert findings(path) == []


def test_a_damaged_file_is_set_aside_with_its_log_and_no_number_is_told_twice(tmp_path):
    (tmp_path / "netwatch.db").write_bytes(b"not a database at all, " * 100)
    (tmp_path / "netwatch.db-wal").write_bytes(b"log")
    assert set_aside(tmp_path / "netwatch.db", NOW, "corrupt").name == "netwatch.db.corrupt-20261118T110640Z"
    assert (tmp_path / "netwatch.db.corrupt-20261118T110640Z-wal").read_bytes() == b"log"
    assert not (tmp_path / "netwatch.db-wal").exists()
    (tmp_path / "netwatch.db").write_bytes(b"not a database at all, " * 100)
    aside, first = opened(tmp_path)
    assert aside == tmp_path / "netwatch.db.corrupt-20261118T110640Z.1"
    assert first > 3_600_000
    assert opened(tmp_path) == (None, first)
    (tmp_path / "netwatch.db").write_bytes(b"not a database at all, " * 100)
    assert opened(tmp_path)[0] == tmp_path / "netwatch.db.corrupt-20261118T110640Z.2"


def test_a_record_that_cannot_be_read_sets_the_file_aside_at_the_start(tmp_path):
    with_history(tmp_path, something)
    connection = sqlite3.connect(tmp_path / "netwatch.db", isolation_level=None)
    connection.execute("UPDATE outbox SET document = '{}'")
    connection.close()
    assert opened(tmp_path)[0] is not None


def test_only_the_newest_few_backups_stay_and_one_is_due_a_day_later_whatever_the_clock_says(tmp_path):
    with_history(tmp_path, something)

    async def scenario():
        backups = Backups(tmp_path / "netwatch.db")
        assert backups.due(NOW)
        for day in range(BACKUPS_KEPT + 2):
            made = backups.make(NOW + day * DAY)
            assert findings(made) == []
        assert not backups.due(NOW + (BACKUPS_KEPT + 1) * DAY + DAY - 1)
        assert backups.due(NOW + (BACKUPS_KEPT + 2) * DAY)
        assert backups.due(NOW - 10 * DAY)
        return made

    made = asyncio.run(scenario())
    kept = sorted(file.name for file in (tmp_path / "backups").iterdir())
    assert len(kept) == BACKUPS_KEPT
    assert kept[-1] == made.name == "netwatch.db-20261124T110640Z"
    assert (made.stat().st_mode & 0o777, made.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_a_backup_is_made_beside_the_writing_once_the_wall_time_is_known(tmp_path, monkeypatch):
    monkeypatch.setattr(_backups, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(_task, "PASS_SECONDS", 0.01)

    async def body(history):
        await something(history)
        async with asyncio.timeout(60):
            while history.backup_wall is None:
                await history.commit(effects(2), {}, NOW)
        assert (history.backup_error, history.backup_failures, history.backup_wall) == ("", 0, NOW)

    with_history(tmp_path, body)
    (made,) = (tmp_path / "backups").iterdir()
    connection = sqlite3.connect(made)
    assert connection.execute("SELECT count(*) FROM sample").fetchone() == (0,)
    assert connection.execute("SELECT count(*) FROM change").fetchone() == (1,)
    connection.close()


def test_a_backup_that_cannot_be_made_is_said_and_leaves_nothing(tmp_path, monkeypatch):
    with_history(tmp_path, something)

    async def scenario():
        backups = Backups(tmp_path / "netwatch.db")
        monkeypatch.setattr(_backups, "FREE_TIMES", 10**12)
        with pytest.raises(HistoryFailed, match="free"):
            backups.make(NOW)
        monkeypatch.setattr(_backups, "FREE_TIMES", 0)
        monkeypatch.setattr(_backups, "STEPS_A_LOOK", 1)
        backups.stop()
        with pytest.raises(HistoryFailed, match="interrupted"):
            backups.make(NOW)

    asyncio.run(scenario())
    assert list((tmp_path / "backups").iterdir()) == []


def test_backups_that_fail_are_counted_and_the_newest_is_known_after_a_restart(tmp_path, monkeypatch):
    with_history(tmp_path, something)
    monkeypatch.setattr(_backups, "LOOK_SECONDS", 0.01)
    assert Backups(tmp_path / "netwatch.db").last_wall is None

    async def scenario():
        Backups(tmp_path / "netwatch.db").make(NOW)
        monkeypatch.setattr(_backups, "FREE_TIMES", 10**12)
        backups = Backups(tmp_path / "netwatch.db")
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            group.create_task(backups.run(lambda: NOW + DAY))
            while backups.failures < 2:  # noqa: ASYNC110  # nobody is told of a failure
                await asyncio.sleep(0.01)
            backups.stop()
        assert backups.last_wall == NOW
        assert "free" in backups.error

    asyncio.run(scenario())


def test_a_backup_is_put_in_force_in_an_empty_directory_and_goes_on_with_numbers_nobody_has_seen(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    with_history(old, something)

    async def scenario():
        return Backups(old / "netwatch.db").make(NOW)

    made = asyncio.run(scenario())
    assert restore(made, new, wall=NOW) is None

    async def body(history):
        found = await history.load()
        assert [row.page.incident.id for row in found.outbox] == [1]
        assert found.next_incident_id == incident_number(NOW)
        assert dict(found.memories) == {"a/b/c": "{}"}
        assert [change.detail for change in await history.transitions()] == ["1"]
        await something(history)

    with_history(new, body)
    assert sorted(file.name for file in new.iterdir() if not file.name.endswith(("-wal", "-shm"))) == ["lock", "netwatch.db"]


def test_a_history_that_is_there_is_only_moved_aside_by_force(tmp_path):
    with_history(tmp_path / "one", something)
    with_history(tmp_path / "two", something)
    before = (tmp_path / "two" / "netwatch.db").read_bytes()
    with pytest.raises(Occupied):
        restore(tmp_path / "one" / "netwatch.db", tmp_path / "two", wall=NOW)
    assert (tmp_path / "two" / "netwatch.db").read_bytes() == before
    aside = restore(tmp_path / "one" / "netwatch.db", tmp_path / "two", wall=NOW, force=True)
    assert aside.name == "netwatch.db.before-20261118T110640Z"
    assert aside.read_bytes() == before
    assert findings(tmp_path / "two" / "netwatch.db") == []


def test_a_leftover_log_is_not_played_into_the_copy(tmp_path):
    with_history(tmp_path / "one", something)
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "netwatch.db-wal").write_bytes(b"x" * 9_000)
    aside = restore(tmp_path / "one" / "netwatch.db", tmp_path / "two", wall=NOW)
    assert (aside.parent / f"{aside.name}-wal").stat().st_size == 9_000
    assert findings(tmp_path / "two" / "netwatch.db") == []


def test_what_is_no_good_copy_changes_nothing(tmp_path):
    with pytest.raises(NoDatabase):
        restore(tmp_path / "nothing", tmp_path / "state", wall=NOW)
    (tmp_path / "rubbish").write_bytes(b"rubbish" * 999)
    with pytest.raises(HistoryRefused):
        restore(tmp_path / "rubbish", tmp_path / "state", wall=NOW)
    prepare(tmp_path / "later", (*MIGRATIONS, "CREATE TABLE later (x)"))
    with pytest.raises(HistoryRefused, match="newer"):
        restore(tmp_path / "later", tmp_path / "state", wall=NOW)
    with_history(tmp_path / "one", something)
    connection = sqlite3.connect(tmp_path / "one" / "netwatch.db", isolation_level=None)
    connection.execute("UPDATE transition SET new = 'perhaps'")
    connection.close()
    with pytest.raises(Unsound, match="perhaps"):
        restore(tmp_path / "one" / "netwatch.db", tmp_path / "state", wall=NOW)
    assert not (tmp_path / "state").exists()


def test_a_copy_of_an_older_schema_is_brought_up_to_date(tmp_path):
    prepare(tmp_path / "old", MIGRATIONS[:1])
    restore(tmp_path / "old", tmp_path / "state", wall=NOW)
    connection = sqlite3.connect(tmp_path / "state" / "netwatch.db")
    assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    connection.close()


def test_nothing_is_restored_under_a_running_daemon(tmp_path):
    with_history(tmp_path / "one", something)

    async def body(history):
        with pytest.raises(HistoryRefused) as caught:
            restore(tmp_path / "one" / "netwatch.db", tmp_path / "two", wall=NOW, force=True)
        assert caught.value.code == "locked"
        await something(history)

    with_history(tmp_path / "two", body)


def test_the_copy_fails_where_the_disk_does_and_what_was_there_stays(tmp_path, monkeypatch):
    with_history(tmp_path / "one", something)
    with_history(tmp_path / "two", something)
    real = os.fsync
    calls = threading.Event()

    def full(descriptor):
        if not calls.is_set():
            calls.set()
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        restore(tmp_path / "one" / "netwatch.db", tmp_path / "two", wall=NOW, force=True)
    assert sorted(file.name for file in (tmp_path / "two").iterdir()) == ["lock", "netwatch.db"]
