import errno
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch import doctor
from netwatch.cli import doctor as command
from netwatch.doctor import MEBIBYTE, Verdict
from netwatch.lang import LANGUAGES, catalog
from netwatch.ledger import KEY_NAME, Ledger
from tests.icmp_peer import datagrams_refused

PATH = Path("/srv/state of netwatch")
DENIED = PermissionError(errno.EACCES, "Permission denied")

FINE = [
    doctor.python((3, 11, 2)),
    doctor.python((3, 13)),
    doctor.ping(None, None),
    doctor.ping(None, DENIED),
    doctor.clock(synchronised=True),
    doctor.state(PATH, None),
    doctor.disk(PATH, 4096 * MEBIBYTE),
    doctor.ledger(PATH, "sound", records=12, key_mode=0o600),
    doctor.sqlite((3, 51, 3)),
    doctor.descriptors(4096, 4096),
    doctor.descriptors(-1, -1),
    doctor.inventory(PATH, None),
    doctor.daemon(PATH, None, as_service=True),
    doctor.lab(None),
    doctor.namespaces(allowed=True),
]
BROKEN = [
    doctor.python((3, 10, 12)),
    doctor.ping(DENIED, DENIED),
    doctor.state(PATH, DENIED),
    doctor.disk(PATH, 512 * MEBIBYTE - 1),
    doctor.ledger(PATH, "sound", records=12, key_mode=0o640),
    doctor.ledger(PATH, "key_missing", records=12, key_mode=None),
    doctor.ledger(PATH, "damaged", records=12, key_mode=0o600),
    doctor.ledger(PATH, "unreadable", records=0, key_mode=None),
    doctor.descriptors(64, 1024),
    doctor.descriptors(1024, -1),
    doctor.descriptors(1024, 1048576),
    doctor.inventory(PATH, DENIED),
    doctor.inventory(PATH, FileNotFoundError(errno.ENOENT, "No such file")),
]
DOUBTFUL = [
    doctor.clock(synchronised=False),
    doctor.clock(synchronised=None),
    doctor.disk(PATH, 512 * MEBIBYTE),
    doctor.sqlite((3, 40, 1)),
]
TOLD = [
    doctor.ping(DENIED, None),
    doctor.daemon(PATH, DENIED, as_service=True),
    doctor.daemon(PATH, DENIED, as_service=False),
    doctor.ledger(PATH, "none", records=0, key_mode=None),
    doctor.lab(DENIED),
    doctor.namespaces(allowed=False),
]
ALL = [*FINE, *BROKEN, *DOUBTFUL, *TOLD]


def test_what_is_well_is_ok_and_needs_no_command():
    assert {(finding.verdict, finding.command) for finding in FINE} == {(Verdict.OK, "")}


def test_what_keeps_netwatch_from_working_must_be_mended_and_the_command_is_given():
    assert {finding.verdict for finding in BROKEN} == {Verdict.MEND}
    assert all(finding.command for finding in BROKEN)


def test_what_netwatch_can_live_with_is_a_warning():
    assert {finding.verdict for finding in DOUBTFUL} == {Verdict.WARNING}


def test_what_the_daemon_can_do_without_is_only_told():
    assert {finding.verdict for finding in TOLD} == {Verdict.INFO}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_finding_has_its_words(language):
    words = catalog(language)
    assert all(words.text(f"doctor.{finding.text}", **finding.fields) for finding in ALL)


def test_every_text_is_used_and_both_languages_have_the_same():
    keys = {
        language: {key.removeprefix("doctor.") for key in catalog(language).texts if key.startswith("doctor.")} for language in LANGUAGES
    }
    assert keys["vi"] == keys["en"] == {finding.text for finding in ALL} | {"fine", "not_fine"}


@pytest.mark.parametrize("finding", [finding for finding in ALL if finding.command], ids=lambda finding: finding.text)
def test_every_command_is_one_a_shell_can_read(finding):
    subprocess.run(["sh", "-n", "-c", finding.command], check=True, timeout=10)


def test_a_path_with_spaces_stays_one_word_of_the_command():
    assert "'/srv/state of netwatch'" in doctor.state(PATH, DENIED).command


@given(st.integers(-1, 1 << 20), st.integers(-1, 1 << 20))
def test_the_limit_is_raised_in_the_shell_only_where_the_hard_limit_lets_it(soft, hard):
    finding = doctor.descriptors(soft, hard)
    assert (finding.verdict is Verdict.OK) == (soft == -1 or soft >= 4096)
    if finding.command.startswith("ulimit"):
        assert hard == -1 or hard >= 4096


# --- the facts


@pytest.mark.needs_private_network
def test_ping_is_tried_for_real(tmp_path):
    assert command.refusal(command.open_ping) is None
    with datagrams_refused():
        assert isinstance(command.refusal(command.open_ping), PermissionError)
        found = next(
            finding for finding in command.examine(tmp_path / "inventory.yaml", tmp_path, tmp_path / "api.sock") if finding.name == "ping"
        )
        raw_refused = command.refusal(lambda: command.open_ping(raw=True))
        assert found.text == ("ping_raw" if raw_refused is None else "ping_refused")


def test_the_kernel_is_asked_about_its_clock():
    assert command.clock_synchronised() in {True, False, None}


def test_a_state_directory_that_is_not_there_yet_is_not_made(tmp_path):
    command.try_writing(tmp_path / "new" / "state")
    assert list(tmp_path.iterdir()) == []
    assert command.nearest(tmp_path / "new" / "state") == tmp_path


def test_the_ledger_is_looked_at_without_being_touched(tmp_path):
    assert command.ledger_finding(tmp_path).text == "ledger_none"
    assert list(tmp_path.iterdir()) == []
    ledger = Ledger(tmp_path)
    ledger.append({"site": "na-tau"})
    found = command.ledger_finding(tmp_path)
    assert (found.text, found.fields["records"]) == ("ledger_ok", 1)
    key = ledger.path.parent / KEY_NAME
    key.chmod(0o644)
    assert command.ledger_finding(tmp_path).text == "ledger_key_open"
    key.write_text("no key")
    assert command.ledger_finding(tmp_path).text == "ledger_key_missing"
    key.unlink()
    assert command.ledger_finding(tmp_path).text == "ledger_key_missing"
    ledger.path.write_bytes(b"no record\n")
    assert command.ledger_finding(tmp_path).text == "ledger_damaged"
    ledger.path.unlink()
    ledger.path.mkdir()
    assert command.ledger_finding(tmp_path).text == "ledger_unreadable"


def test_a_state_directory_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    assert command.refusal(lambda: command.try_writing(tmp_path / "file" / "state")) is not None


def test_a_daemon_is_found_by_its_socket(tmp_path):
    control = tmp_path / "api.sock"
    assert isinstance(command.refusal(lambda: command.knock(control)), FileNotFoundError)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(control))
        server.listen()
        assert command.refusal(lambda: command.knock(control)) is None
    assert isinstance(command.refusal(lambda: command.knock(control)), ConnectionRefusedError)


def test_the_inventory_here_goes_before_the_systems(tmp_path):
    system = tmp_path / "system.yaml"
    assert command.default_inventory(tmp_path, system) == tmp_path / "inventory.yaml"
    system.touch()
    assert command.default_inventory(tmp_path, system) == system
    (tmp_path / "inventory.yaml").touch()
    assert command.default_inventory(tmp_path, system) == tmp_path / "inventory.yaml"


# --- the command


def netwatch(*arguments, cwd=None, **environment):
    clean = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONIOENCODING": "utf-8", **environment}
    return subprocess.run(
        [sys.executable, "-m", "netwatch", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=clean,
        cwd=cwd,
    )


@pytest.fixture
def inventory(tmp_path):
    file = tmp_path / "inventory.yaml"
    file.touch()
    return file


@pytest.mark.needs_private_network
def test_a_fit_machine_ends_with_0(inventory, tmp_path):
    answer = netwatch("--lang", "en", "doctor", "-i", inventory, "--state", tmp_path)
    assert answer.returncode == 0, answer.stdout
    assert answer.stderr == ""
    assert "✓ ICMP echo requests (ping) can be sent" in answer.stdout
    assert answer.stdout.endswith("This machine is fit for netwatch.\n")


def test_only_an_installed_service_is_started_as_one():
    assert "systemctl" in doctor.daemon(PATH, DENIED, as_service=True).command
    assert "systemctl" not in doctor.daemon(PATH, DENIED, as_service=False).command


@pytest.mark.parametrize("told_by", ["option", "variable", "folder"])
def test_a_daemon_is_seen_wherever_it_listens(inventory, tmp_path, told_by):
    control = tmp_path / ".demo" / "state" / "api.sock"
    control.parent.mkdir(parents=True)
    options = ("--socket", control) if told_by == "option" else ()
    environment = {"NETWATCH_SOCKET": str(control)} if told_by == "variable" else {}
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(control))
        server.listen()
        answer = netwatch("--lang", "en", "doctor", "-i", inventory, *options, cwd=tmp_path, **environment)
    assert "✓ netwatch is running and answers at" in answer.stdout
    assert answer.stderr == ""


def test_something_to_mend_ends_with_1_and_the_command_stands_below(tmp_path):
    answer = netwatch("doctor", "-i", tmp_path / "none.yaml", "--state", tmp_path)
    assert answer.returncode == 1
    told = answer.stdout.splitlines()
    at = next(number for number, line in enumerate(told) if line.startswith("✗ Không có tệp"))
    assert told[at + 1] == "    netwatch doctor --inventory /etc/netwatch/inventory.yaml"


def test_json_says_the_same_to_machines(tmp_path):
    answer = netwatch("doctor", "-i", tmp_path / "none.yaml", "--state", tmp_path, "-o", "json")
    document = json.loads(answer.stdout)
    assert (answer.returncode, document["ok"], document["schema"]) == (1, False, "netwatch/v1/doctor")
    assert {finding["name"]: finding["verdict"] for finding in document["findings"]}["inventory"] == "mend"


def test_without_unicode_the_marks_are_words(tmp_path):
    answer = netwatch("--lang", "en", "doctor", "-i", tmp_path / "none.yaml", "--state", tmp_path, PYTHONIOENCODING="ascii:replace")
    assert "FAIL There is no" in answer.stdout
    assert "The lines marked FAIL" in answer.stdout


def test_colour_is_given_only_when_wanted(tmp_path):
    assert "\x1b[31m✗\x1b[0m" in netwatch("--color", "always", "doctor", "-i", tmp_path / "none.yaml", "--state", tmp_path).stdout
    assert "\x1b" not in netwatch("doctor", "-i", tmp_path / "none.yaml", "--state", tmp_path).stdout
