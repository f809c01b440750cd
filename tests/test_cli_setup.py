"""`netwatch setup`: nothing that stands there is lost, and what is installed is what systemd takes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch import install, shipped

FILES = sorted([*install.OURS.values(), install.INVENTORY])


def setup(*arguments, lang="en"):
    return subprocess.run(
        [sys.executable, "-m", "netwatch", "--lang", lang, "setup", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
    )


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "opt" / "netwatch"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def written(root):
    return sorted(str(path.relative_to(root)) for path in (root / "etc").rglob("*") if path.is_file())


def test_a_dry_run_writes_nothing(tmp_path, program):
    ended = setup("systemd", "--prefix", tmp_path, "--program", program, "--dry-run")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert [line for line in ended.stdout.splitlines() if line.endswith(": create")] == [
        f"{tmp_path / name}: create" for name in (*install.OURS.values(), install.INVENTORY)
    ]
    assert not (tmp_path / "etc").exists()


def test_the_unit_runs_the_program_that_was_named_and_systemd_takes_it(tmp_path, program):
    assert setup("systemd", "--prefix", tmp_path, "--program", program).returncode == 0
    assert written(tmp_path) == FILES
    unit = tmp_path / install.OURS["netwatch.service"]
    assert f"\nExecStart={program} run" in unit.read_text("utf-8")
    verified = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
    assert all((tmp_path / name).stat().st_mode & 0o777 == 0o644 for name in FILES)


def test_what_differs_is_left_without_yes_and_kept_as_bak_with_it(tmp_path, program):
    arguments = ("systemd", "--prefix", tmp_path, "--program", program)
    setup(*arguments)
    unit = tmp_path / install.OURS["netwatch.service"]
    for number, content in enumerate(("# mine\n", "# mine again\n"), 1):
        unit.write_text(content)
        ended = setup(*arguments)
        assert (ended.returncode, unit.read_text()) == (1, content)
        assert "--yes" in ended.stderr
        assert setup(*arguments, "--yes").returncode == 0
        saved = unit.with_name(unit.name + (".bak" if number == 1 else ".bak2"))
        assert (saved.read_text(), unit.read_text("utf-8").startswith("# The daemon")) == (content, True)


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_rules_that_would_page_a_second_time_are_not_recommended_to_all(tmp_path, lang):
    told = setup("prometheus", "--dir", tmp_path / "rules", lang=lang).stdout.splitlines()[-1]
    assert f"{tmp_path}/rules/netwatch.rules.yml" in told
    assert f"{tmp_path}/rules/netwatch-alerts.rules.yml" not in told
    assert "pagers" in told.partition("netwatch-alerts.rules.yml")[2]


def test_an_inventory_is_never_replaced(tmp_path, program):
    file = tmp_path / install.INVENTORY
    file.parent.mkdir(parents=True)
    file.write_text("mine")
    assert setup("systemd", "--prefix", tmp_path, "--program", program, "--yes").returncode == 0
    assert file.read_text() == "mine"
    assert not list(file.parent.glob("*.bak"))


def test_a_program_that_is_not_there_ends_with_66_and_writes_nothing(tmp_path):
    assert setup("systemd", "--prefix", tmp_path, "--program", tmp_path / "none").returncode == 66
    assert not (tmp_path / "etc").exists()


def test_a_place_that_cannot_be_made_ends_with_73(tmp_path, program):
    (tmp_path / "etc").write_text("a file in the way")
    ended = setup("systemd", "--prefix", tmp_path, "--program", program, lang="vi")
    assert (ended.returncode, ended.stdout) == (73, "")
    assert "không ghi được" in ended.stderr


def test_the_inventory_to_begin_with_has_no_plan_of_ours():
    text = shipped.inventory_text(community=shipped.SYSTEM_COMMUNITY)
    assert f"site_net: {shipped.PLAN_TO_WRITE}" in text
    assert "127.45" not in text
    assert shipped.COMMUNITY not in text.split("version: 1")[1]


def test_a_folder_is_copied_as_it_stands_but_for_what_is_left_out(tmp_path):
    for name in ("dashboards/vi/a.json", "provisioning/x.yml", "prometheus/rules.yml"):
        (tmp_path / "from" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "from" / name).write_text(name)
    items = install.copies(tmp_path / "from", tmp_path / "to", leave_out=("prometheus",))
    assert [(str(item.path.relative_to(tmp_path / "to")), item.content) for item in items] == [
        ("dashboards/vi/a.json", b"dashboards/vi/a.json"),
        ("provisioning/x.yml", b"provisioning/x.yml"),
    ]


@given(old=st.binary(max_size=50), new=st.binary(max_size=50))
def test_a_file_is_replaced_whole_and_the_old_one_is_kept(tmp_path_factory, old, new):
    path = tmp_path_factory.mktemp("put") / "file"
    path.write_bytes(old)
    saved = install.put(install.Item(path, new))
    assert (path.read_bytes(), saved.read_bytes()) == (new, old)
    assert len(list(path.parent.iterdir())) == 2


def test_shipped_files_are_found_in_the_source_tree_too():
    assert shipped.place("systemd") == Path(__file__).parent.parent / "systemd"
