"""`netwatch replay`, as a process, over a history that was written by a story."""

import json
import os
import subprocess
import sys

import pytest

from tests.recorded import BENCH, record, scenario

INVENTORY = BENCH / "alerts-inventory.yaml"
ENVIRONMENT = {"PATH": os.environ["PATH"], "NETWATCH_SNMP_COMMUNITY": "lab", "NETWATCH_LANG": "vi", "PYTHONIOENCODING": "utf-8"}
NIGHT = ("--since", "2026-11-24T02:00", "--until", "2026-11-24T08:00")


def run(state, *arguments, since=NIGHT, lang="vi", file=INVENTORY):
    command = [sys.executable, "-m", "netwatch", "replay", "-i", str(file), "--state", str(state), *since, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**ENVIRONMENT, "NETWATCH_LANG": lang}, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    directory = tmp_path_factory.mktemp("state")
    record(directory, scenario("conference-off"))
    return directory


@pytest.fixture(scope="module")
def patient(tmp_path_factory):
    """The same place, whose conference equipment waits for the morning."""
    path = tmp_path_factory.mktemp("inventory") / "new.yaml"
    written = INVENTORY.read_text("utf-8")
    path.write_text(written.replace("defaults:\n", "defaults:\n  page_after: 30m\n", 1), "utf-8")
    return path


def test_it_says_how_often_and_from_what(state):
    code, said, errors = run(state)
    lines = said.splitlines()
    assert (code, errors) == (0, "")
    assert lines[1].startswith("Lẽ ra đã báo 1 lần")
    assert lines[2] == "Thực tế lúc đó đã báo 1 lần."
    assert "phát lại từng lượt đo" in lines[3]
    assert len([line for line in lines if "🔴" in line]) == 1
    code, said, _ = run(state, lang="en")
    assert said.splitlines()[1].startswith("Would have paged 1 times")


def test_the_object_has_the_pages_of_simulate(state):
    document = json.loads(run(state, "--json")[1])
    assert document["schema"] == "netwatch/v1/replay"
    assert [page["kind"] for page in document["pages"]] == ["open", "recover"]
    assert document["pages"][0].keys() >= {"at", "kind", "key", "cause", "sites", "pager", "title", "wall"}
    assert (document["paged"], document["told_then"], len(document["incidents"])) == (1, 1, 1)
    assert [part["source"] for part in document["sources"]] == ["runs"]
    assert run(state, "-o", "json")[1] == run(state, "-o", "jsonl")[1] == run(state, "--json")[1]


def test_other_rules_are_held_against_those_in_force(state, patient):
    code, said, _ = run(state, "--rules", str(patient))
    assert code == 0
    assert f"Với {patient}: 1 lần" in said
    assert said.splitlines()[-1] == "Báo đúng những lần như cũ."
    document = json.loads(run(state, "--rules", str(patient), "--json")[1])
    assert (document["rules"]["paged"], document["rules"]["no_longer"], document["rules"]["new"], document["rules"]["doubts"]) == (
        1,
        [],
        [],
        [],
    )


def test_a_site_is_counted_alone_by_id_or_name(state):
    [site] = json.loads(run(state, "--json")[1])["by_site"]
    assert json.loads(run(state, "--json", "--site", site)[1])["paged"] == 1
    assert json.loads(run(state, "--json", "--site", "Nà Sang")[1])["paged"] == 0


def test_what_a_user_gets_wrong_is_one_line_and_a_code(state, tmp_path, patient):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(patient.read_text("utf-8").replace("page_after: 30m", "page_afer: 30m"), "utf-8")
    code, said, errors = run(state, "--rules", str(wrong))
    assert (code, said) == (78, "")
    assert "page_afer" in errors
    assert run(state, "--rules", str(tmp_path / "none.yaml"))[0] == 66
    assert run(state, since=("--since", "bao giờ"))[0] == 64
    assert run(state, since=("--until", "bao giờ"))[0] == 64
    assert run(state, since=("--since", "2026-11-24", "--until", "2026-11-23"))[0] == 64
    assert run(state, "--site", "nowhere")[0] == 64
    assert run(state, "-o", "csv")[0] == 64
    assert run(tmp_path)[0] == 66
    code, _, errors = run(state, since=("--since", "2025-01-01", "--until", "2025-02-01"))
    assert code == 66
    assert "02:00:0" in errors


def test_a_file_that_is_no_history_is_refused(tmp_path):
    (tmp_path / "netwatch.db").write_bytes(b"x" * 9_000)
    code, said, errors = run(tmp_path)
    assert (code, said, len(errors.splitlines())) == (1, "", 1)
