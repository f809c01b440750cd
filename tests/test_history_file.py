"""Which files history takes, which it refuses and how, and how an old one is brought up to date."""

import asyncio
import sqlite3

import pytest

from netwatch.history import History, HistoryFailed, HistoryRefused, _schema, findings, has_wal_reset_bug
from netwatch.history import _statements as statements
from netwatch.history._schema import APPLICATION_ID, MIGRATIONS, migrate, prepare
from netwatch.model import Sample
from tests.history_cases import effects, with_history


def refusal(directory):
    async def scenario():
        async with await History.open(directory):
            pass

    with pytest.raises(HistoryRefused) as caught:
        asyncio.run(scenario())
    return caught.value


def test_trimming_leaves_48_hours_and_takes_at_most_two_hours_of_a_series_at_once(tmp_path):
    prepare(tmp_path / "netwatch.db")
    connection = sqlite3.connect(tmp_path / "netwatch.db", isolation_level=None)
    hour = 3_600_000
    connection.executemany("INSERT INTO sample VALUES (?, ?, 1)", [(series, n * hour) for series in (1, 2) for n in range(10)])

    def left(series):
        return [at_ms // hour for (at_ms,) in connection.execute("SELECT at_ms FROM sample WHERE series = ? ORDER BY at_ms", (series,))]

    connection.executemany(*statements.trim([(1, hour)]))
    assert left(1) == list(range(1, 10))
    connection.executemany(*statements.trim([(1, 1_000 * hour)]))
    assert left(1) == list(range(3, 10))
    connection.executemany(*statements.trim([(1, 4 * hour - 1)]))  # of an hour that is not over nothing goes
    connection.executemany(*statements.trim([(1, 0)]))
    assert (left(1), left(2)) == (list(range(3, 10)), list(range(10)))
    connection.close()


def test_a_second_daemon_is_refused_and_a_reader_is_not(tmp_path):
    async def body(history):
        with pytest.raises(HistoryRefused) as caught:
            await History.open(tmp_path)
        assert caught.value.code == "locked"
        assert "pid" in str(caught.value)
        await history.commit(effects(1), {}, 1_000.0)
        assert findings(history.path) == []

    with_history(tmp_path, body)
    with_history(tmp_path, lambda history: history.load())


@pytest.mark.parametrize("content", [b"not a database at all, " * 100, b"SQLite format 3\0" + b"\xff" * 5_000])
def test_a_damaged_file_is_refused_as_corrupt_with_its_path(tmp_path, content):
    (tmp_path / "netwatch.db").write_bytes(content)
    found = refusal(tmp_path)
    assert found.code == "corrupt"
    assert str(tmp_path / "netwatch.db") in str(found)
    assert "netwatch restore" in str(found)
    assert (tmp_path / "netwatch.db").read_bytes() == content


def damaged_table(directory, table):
    """Fills the root page of a table with rubbish."""
    path = directory / "netwatch.db"
    connection = sqlite3.connect(path)
    root = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()[0]
    connection.close()
    content = bytearray(path.read_bytes())
    content[(root - 1) * 4096 : root * 4096] = b"\xa5" * 4096
    path.write_bytes(content)


@pytest.mark.parametrize("whole_check_bytes", [0, 10**9])
@pytest.mark.parametrize("table", ["transition", "transition_site", "outbox", "memory", "incident_site", "thread"])
def test_a_damaged_table_or_index_is_refused_as_corrupt(tmp_path, table, whole_check_bytes, monkeypatch):
    monkeypatch.setattr(_schema, "WHOLE_CHECK_BYTES", whole_check_bytes)

    async def body(history):
        await history.commit(effects(1), {}, 1_000.0)

    with_history(tmp_path, body)
    damaged_table(tmp_path, table)
    assert refusal(tmp_path).code == "corrupt"


def test_damaged_samples_are_refused_while_the_file_is_small_and_do_not_stop_a_large_one(tmp_path, monkeypatch):
    prepare(tmp_path / "netwatch.db")
    damaged_table(tmp_path, "sample")
    assert refusal(tmp_path).code == "corrupt"
    monkeypatch.setattr(_schema, "WHOLE_CHECK_BYTES", 0)

    async def body(history):
        history.add_result("a/b/c", 1_000.0, "ok", 0.1, [Sample("m", (1.0,))])
        with pytest.raises(HistoryFailed):
            await history.flush()
        assert len(await history.commit(effects(1), {}, 1_000.0)) == 1
        assert [change.detail for change in await history.transitions()] == ["1"]

    with_history(tmp_path, body)


def test_another_programs_database_is_refused_untouched(tmp_path):
    connection = sqlite3.connect(tmp_path / "netwatch.db")
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    before = (tmp_path / "netwatch.db").read_bytes()
    assert refusal(tmp_path).code == "foreign"
    with pytest.raises(HistoryRefused, match="left alone"):
        asyncio.run(History.open(tmp_path, set_aside_at=1_000.0))
    assert (tmp_path / "netwatch.db").read_bytes() == before


def test_a_newer_schema_is_refused_untouched(tmp_path):
    prepare(tmp_path / "netwatch.db", (*MIGRATIONS, "CREATE TABLE later (x)"))
    before = (tmp_path / "netwatch.db").read_bytes()
    assert refusal(tmp_path).code == "newer"
    assert (tmp_path / "netwatch.db").read_bytes() == before


def test_a_directory_that_cannot_be_made_is_unwritable(tmp_path):
    (tmp_path / "file").write_text("")
    assert refusal(tmp_path / "file" / "state").code == "unwritable"
    (tmp_path / "netwatch.db").mkdir()
    assert refusal(tmp_path).code == "unwritable"


def test_migrations_go_forward_from_any_version_and_an_interrupted_one_goes_on(tmp_path):
    steps = (
        MIGRATIONS[0],
        "CREATE TABLE second (x); INSERT INTO second VALUES (2)",
        "CREATE TABLE third (x); ALTER TABLE second RENAME TO dwo",
    )
    broken = (*steps[:2], "CREATE TABLE third (x); CREATE TABLE second (x)")
    path = tmp_path / "netwatch.db"
    prepare(path, steps[:1])
    with pytest.raises(HistoryRefused):
        prepare(path, broken)
    connection = sqlite3.connect(path, isolation_level=None)
    assert connection.execute("PRAGMA user_version").fetchone() == (2,)
    assert connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'third'").fetchone() == (0,)
    migrate(connection, steps)
    assert connection.execute("SELECT x FROM dwo").fetchall() == [(2,)]
    assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    migrate(connection, steps)
    assert connection.execute("PRAGMA user_version").fetchone() == (3,)
    connection.close()


def test_a_document_this_program_cannot_read_is_refused_at_the_start_and_said_by_the_check(tmp_path):
    async def write(history):
        await history.commit(effects(1), {}, 1_000.0)

    with_history(tmp_path, write)
    connection = sqlite3.connect(tmp_path / "netwatch.db", isolation_level=None)
    connection.execute("UPDATE outbox SET document = '{}'")
    connection.execute("UPDATE incident SET id = 5")
    connection.execute("INSERT INTO sample VALUES (77, 1, 1)")
    connection.close()

    with pytest.raises(HistoryRefused, match="page without"):
        asyncio.run(History.open(tmp_path))
    assert [finding.rule for finding in findings(tmp_path / "netwatch.db")] == ["numbers", "document", "series"]


@pytest.mark.parametrize(
    ("version", "has_it"),
    [
        ((3, 6, 23), False),
        ((3, 7, 0), True),
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 0), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
    ],
)
def test_the_sqlite_versions_with_the_wal_reset_bug_are_known(version, has_it):
    assert has_wal_reset_bug(version) is has_it
