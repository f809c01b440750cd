"""`netwatch db` beside a running daemon, without one, and on files that are missing, damaged or newer."""

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from netwatch.history import findings
from netwatch.history._schema import MIGRATIONS, prepare
from netwatch.lang import LANGUAGES, catalog
from netwatch.model import Sample
from tests.history_cases import effects, with_history

ROOT = Path(__file__).parent.parent


def db(*arguments, **environment):
    return netwatch("db", *arguments, **environment)


def netwatch(*arguments, lang="en", **environment):
    environment = {"PATH": os.environ["PATH"], "PYTHONIOENCODING": "utf-8", "NETWATCH_LANG": lang, **environment}
    return subprocess.run(
        [sys.executable, "-m", "netwatch", *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def state(tmp_path):
    async def body(history):
        await history.commit(effects(1), {}, 1_000.0)
        history.add_result("a/b/c", 1_001.0, "ok", 0.1, [Sample("m", (1.0,))])

    with_history(tmp_path / "state", body)
    return tmp_path / "state"


def test_info_says_what_is_in_the_file(state):
    found = json.loads(db("info", "--state", state, "-o", "json").stdout)
    assert found["path"] == str(state / "netwatch.db")
    assert found["rows"] == {
        "series": 2,
        "sample": 2,
        "sample_hour": 0,
        "rollup_5m": 0,
        "rollup_1h": 0,
        "change": 0,
        "memory": 0,
        "transition": 1,
        "incident": 1,
        "outbox": 1,
        "thread": 0,
        "human": 1,
    }
    assert (found["oldest_sample"], found["newest_transition"], found["last_wall"]) == (1_001.0, 1_000.0, 1_001.1)
    assert (found["open_incidents"], found["pending_pages"], found["schema"]) == (1, 1, len(MIGRATIONS))
    assert found["file_bytes"] == (state / "netwatch.db").stat().st_size
    assert found["sqlite_version"] == sqlite3.sqlite_version


@pytest.mark.parametrize("lang", LANGUAGES)
def test_info_speaks_the_language_and_finds_the_directory_by_the_environment(state, lang):
    ended = db("info", lang=lang, STATE_DIRECTORY=str(state))
    assert ended.returncode == 0, ended.stderr
    assert catalog(lang).text("db.pending_pages") in ended.stdout
    assert str(state / "netwatch.db") in ended.stdout


def test_the_languages_have_the_same_keys():
    assert {key for key in catalog("vi").texts if key.startswith("db.")} == {key for key in catalog("en").texts if key.startswith("db.")}


def test_backup_and_check_work_beside_a_running_writer(state, tmp_path):
    async def body(history):
        await history.commit(effects(2), {}, 1_002.0)
        ended = db("backup", "--to", tmp_path / "copy.db", "--state", state)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert db("check", "--state", state).returncode == 0
        await history.commit(effects(3), {}, 1_003.0)
        await history.backup(tmp_path / "state2" / "netwatch.db")

    (tmp_path / "state2").mkdir()
    with_history(state, body)
    assert findings(tmp_path / "copy.db") == []
    assert sorted(file.name for file in tmp_path.iterdir()) == ["copy.db", "state", "state2"]

    async def restored(history):
        assert [change.detail for change in await history.transitions()] == ["3", "2", "1"]
        await history.commit(effects(4), {}, 1_004.0)

    with_history(tmp_path / "state2", restored)


def test_backup_never_writes_over_a_file(state, tmp_path):
    (tmp_path / "there").write_text("mine")
    ended = db("backup", "--to", tmp_path / "there", "--state", state)
    assert ended.returncode == 73
    assert "not overwritten" in ended.stderr
    assert (tmp_path / "there").read_text() == "mine"


def test_backup_into_a_missing_directory_is_one_clear_line(state, tmp_path):
    ended = db("backup", "--to", tmp_path / "no" / "copy.db", "--state", state)
    assert ended.returncode == 73
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("command", [("info",), ("check",), ("backup", "--to", "copy.db")])
def test_a_missing_file_is_no_input(tmp_path, command):
    ended = db(*command, "--state", tmp_path / "nothing")
    assert ended.returncode == 66
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "nothing").exists()


def test_check_reports_a_damaged_page(state):
    file = state / "netwatch.db"
    content = bytearray(file.read_bytes())
    content[8192:12288] = b"\xa5" * 4096
    file.write_bytes(content)
    ended = db("check", "--state", state, "-o", "json")
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert str(file) in ended.stderr


def test_check_reports_a_record_that_cannot_be_read(state):
    connection = sqlite3.connect(state / "netwatch.db", isolation_level=None)
    connection.execute("UPDATE outbox SET document = '[]'")
    connection.close()
    ended = db("check", "--state", state, "-o", "json")
    assert ended.returncode == 1
    assert [finding["rule"] for finding in json.loads(ended.stdout)["findings"]] == ["document"]
    assert "cannot be read" in db("check", "--state", state).stdout


def test_files_that_are_not_ours_or_newer_end_with_their_code(tmp_path):
    (tmp_path / "netwatch.db").write_bytes(b"rubbish" * 1_000)
    assert db("check", "--state", tmp_path).returncode == 1
    (tmp_path / "netwatch.db").unlink()
    prepare(tmp_path / "netwatch.db", (*MIGRATIONS, "CREATE TABLE later (x)"))
    assert db("info", "--state", tmp_path).returncode == 78


def restore(*arguments, lang="en"):
    return netwatch("restore", *arguments, lang=lang)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_restore_works_in_an_empty_directory_and_moves_a_history_aside_only_by_force(state, tmp_path, lang):
    ended = restore(state / "netwatch.db", "--state", tmp_path / "new", lang=lang)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert str(tmp_path / "new") in ended.stdout
    assert findings(tmp_path / "new" / "netwatch.db") == []
    ended = restore(state / "netwatch.db", "--state", tmp_path / "new", lang=lang)
    assert ended.returncode == 73
    assert "--force" in ended.stderr
    ended = restore(state / "netwatch.db", "--state", tmp_path / "new", "--force", "-o", "json", lang=lang)
    assert Path(json.loads(ended.stdout)["moved_aside"]).exists()


def test_restore_says_what_is_wrong_with_a_copy(state, tmp_path):
    assert restore(tmp_path / "nothing", "--state", tmp_path / "new").returncode == 66
    connection = sqlite3.connect(state / "netwatch.db", isolation_level=None)
    connection.execute("UPDATE outbox SET document = '[]'")
    connection.close()
    ended = restore(state / "netwatch.db", "--state", tmp_path / "new")
    assert ended.returncode == 1
    assert "1 faults" in ended.stderr
    (tmp_path / "damaged").write_bytes((state / "netwatch.db").read_bytes()[:3_000])
    ended = restore(tmp_path / "damaged", "--state", tmp_path / "new")
    assert (ended.returncode, "nothing was changed" in ended.stderr, "next start" in ended.stderr) == (1, True, False)
    (tmp_path / "file").write_text("")
    assert restore(tmp_path / "file", "--state", tmp_path / "new").returncode == 1
    assert not (tmp_path / "new").exists()


def test_prune_alone_gives_space_back_and_takes_no_file_to_be_made(state, tmp_path):
    async def body(history):
        for number in range(300):
            history.add_result(f"a/b/{number}", 1_000.0, "ok", 0.1, [Sample("m", tuple(range(10_000)))])
        await history.heartbeat(1_000.0 + 50 * 3_600)

    with_history(state, body)
    ended = db("prune", "--state", state, "-o", "json")
    assert (ended.returncode, ended.stderr) == (0, "")
    told = json.loads(ended.stdout)
    assert told["bytes_after"] < told["bytes_before"] - 1_000_000
    assert db("prune", "--state", state).stdout.startswith(str(state / "netwatch.db"))
    assert db("prune", "--state", tmp_path / "nothing").returncode == 66


def test_prune_of_a_named_daemon_that_is_away_takes_the_state_directory(state):
    async def body(history):
        await history.heartbeat(1_000.0)

    with_history(state, body)
    ended = db("prune", NETWATCH_SOCKET=str(state / "nobody.sock"), STATE_DIRECTORY=str(state))
    assert ended.stdout.startswith(str(state / "netwatch.db"))
    assert db("prune", "--socket", state / "nobody.sock").returncode == 69


def test_prune_beside_a_daemon_that_does_not_answer_is_one_clear_line(state):
    async def body(history):
        ended = await asyncio.to_thread(db, "prune", "--state", state)
        assert ended.returncode == 69
        assert "api.sock" in ended.stderr
        await history.commit(effects(2), {}, 1_002.0)

    with_history(state, body)
