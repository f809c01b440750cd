"""`netwatch status`, `check`, `reload` and `version`, as processes, over a real unix socket."""

import asyncio
import contextlib
import dataclasses
import json
import math
import os
import re
import socket
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch.cli import _daemon, _lookup, _plugin
from netwatch.model import State
from tests.page_server import FakeDaemon, serve
from tests.province import WALL, calm_province, province, rechecked

ENVIRONMENT = {"LANG": "C.UTF-8", "NETWATCH_LANG": "vi", "PATH": os.environ["PATH"], "HOME": "/nonexistent"}


async def netwatch(*arguments, cwd=None, **environment):
    """Exit code, stdout, stderr of one run."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "netwatch",
        *arguments,
        env=ENVIRONMENT | environment,
        cwd=cwd,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "api.sock")


@contextlib.asynccontextmanager
async def daemon_at(path, snapshot=None):
    daemon = FakeDaemon(snapshot or province())
    runner, _ = await serve(daemon, control=True, unix=path)
    try:
        yield daemon
    finally:
        await runner.cleanup()


def run(path, *arguments, snapshot=None, prepare=None, **environment):
    async def scenario():
        async with daemon_at(path, snapshot) as daemon:
            if prepare:
                prepare(daemon)
            return await netwatch(*arguments, "--socket", path, **environment)

    return asyncio.run(scenario())


def test_status_says_the_province_in_one_sentence_then_the_problems_with_owned_ones_last(path):
    code, output, _ = run(path, "status")
    lines = output.splitlines()
    assert code == 2
    assert lines[0].startswith("38/45 điểm bình thường · 2 sự cố · 2 cảnh báo")
    problems = [line.split("  ")[0] for line in lines[2:5]]
    assert problems[0] == "✕ Nà Tấu: mất kết nối (cả điểm)"
    assert problems[-1] == "✕ Sín Thầu: mất kết nối (cả điểm)"
    assert "Tổ trưởng ca đã tiếp nhận" in lines[4]
    assert "và 1 việc chờ giờ hành chính: netwatch status --all" in lines
    assert "hết giấy" not in output
    assert "▲ Thanh An: Máy in: hết giấy Khay 1" in run(path, "status", "--all")[1]
    assert lines[-1].startswith("Đầu mối: ✓ Trung tâm tỉnh")


def test_a_calm_province_ends_with_zero(path):
    code, output, _ = run(path, "status", snapshot=calm_province())
    assert code == 0
    assert "Không có sự cố nào." in output


def being_asked_again():
    calm = calm_province()
    sites = tuple(rechecked(one, WALL - 3) if one.site.id == "na-tau" else one for one in calm.sites)
    return dataclasses.replace(calm, sites=sites)


def test_in_the_first_seconds_of_a_cut_a_site_is_neither_well_nor_down(path):
    code, output, _ = run(path, "status", snapshot=being_asked_again())
    assert code == 0
    assert output.startswith("45/45 điểm bình thường · 1 đang kiểm tra lại")
    assert "↻ Nà Tấu: FTTH VNPT: đang kiểm tra lại (mất gói 100%)" in output
    code, output, _ = run(path, "status", "na-tau", snapshot=being_asked_again())
    assert code == 0
    assert output.startswith("↻ na-tau")
    assert "netwatch → FTTH VNPT ↻ → Router ✓" in output
    assert not re.search("✓.*100%", output)


def test_a_plugin_stays_ok_while_a_line_is_asked_again_and_says_so(path):
    line = "OK - Nà Tấu/line1: đang kiểm tra lại (mất gói 100%) | rtt=U loss=100%;;;0;100 jitter=0.6ms;;;0\n"
    assert run(path, "check", "na-tau/line1", "-o", "nagios", snapshot=being_asked_again())[:2] == (0, line)
    document = json.loads(run(path, "check", "na-tau/line1", "--json", snapshot=being_asked_again())[1])
    assert (document["state"], document["exit_code"], document["rechecking"]) == ("ok", 0, True)
    output = run(path, "check", "na-tau/line1", snapshot=being_asked_again())[1]
    assert output.startswith("↻ OK - ")
    assert "~ OK" in run(path, "check", "na-tau/line1", snapshot=being_asked_again(), LANG="C", PYTHONIOENCODING="ascii")[1]


def test_a_province_that_is_only_unknown_ends_with_three(path):
    calm = calm_province()
    sites = tuple(dataclasses.replace(one, state=State.UNKNOWN, up=None) if one.site.id == "na-tau" else one for one in calm.sites)
    assert run(path, "status", snapshot=dataclasses.replace(calm, sites=sites))[0] == 3


def test_status_of_a_site_tells_state_path_devices_and_what_happened(path):
    code, output, _ = run(path, "status", "na-tau")
    assert code == 2
    assert output.startswith("✕ na-tau - Xã Nà Tấu (03316)\n")
    assert "từ 02:43 (4 phút)" in output
    assert "netwatch → FTTH VNPT ✕ → Router ⊘ → Switch ⊘" in output
    assert "0912 345 678" in output
    assert "02:43  FTTH VNPT / icmp: Bình thường → Sự cố (không trả lời)" in output
    assert "\x1b" not in output


@pytest.mark.parametrize("name", ["na-tau", "Nà Tấu", "na tau", "NÀ_TẤU", "Xã Nà Tấu", "nà tau"])
def test_a_site_is_found_with_and_without_diacritics(path, name):
    assert run(path, "check", name)[0] == 2


def test_an_unknown_site_or_target_names_the_nearest(path):
    code, _, errors = run(path, "check", "muong luan 2", NETWATCH_LANG="en")
    assert code == 3
    assert errors.startswith("netwatch: there is no site muong luan 2; did you mean: muong-luan")
    code, _, errors = run(path, "check", "na-tau/printer2")
    assert code == 3
    assert "printer1" in errors
    assert run(path, "check", "a/b/c/d")[0] == 3


@pytest.mark.parametrize(
    ("wanted", "code", "line"),
    [
        ("na-tau", 2, "CRITICAL - Nà Tấu: mất kết nối (cả điểm), 4 phút | rtt=U loss=100%;;;0;100"),
        (
            "na-tau/vc",
            3,
            "UNKNOWN - Nà Tấu/vc: không tới được (nút phía trước hỏng), 4 phút | rtt=13ms;;;0 loss=0%;;;0;100 jitter=0.65ms;;;0",
        ),
        (
            "muong-nhe/line1/icmp",
            1,
            "WARNING - Mường Nhé/line1/icmp: mất gói 3,2%, 20 phút | rtt=12ms;;;0 loss=3.2%;;;0;100 jitter=0.6ms;;;0",
        ),
        ("quai-to", 0, "OK - Quài Tở: Bảo trì, 50 phút | rtt=U loss=0%;;;0;100"),
        ("pu-nhi", 3, "UNKNOWN - Pu Nhi: không rõ tình trạng, 6 phút | rtt=U loss=0%;;;0;100"),
    ],
)
def test_check_speaks_as_a_monitoring_plugin(path, wanted, code, line):
    assert run(path, "check", wanted, "-o", "nagios")[:2] == (code, f"{line}\n")


def test_json_is_the_same_in_every_language(path):
    for language in ("vi", "en"):
        code, output, _ = run(path, "check", "na-tau/line1/icmp", "--json", NETWATCH_LANG=language)
        document = json.loads(output)
        assert (code, document["schema"], document["state"], document["exit_code"]) == (2, "netwatch/v1/check", "crit", 2)
    assert json.loads(run(path, "status", "-o", "json")[1])["schema"] == "netwatch/v1/summary"
    assert json.loads(run(path, "status", "na-tau", "-o", "json")[1])["schema"] == "netwatch/v1/site"


def test_check_now_asks_for_a_fresh_run_and_shows_it(path):
    asked = []

    def prepare(daemon):
        def check_now(check_id, who):
            asked.append(check_id)
            site = next(one for one in daemon.now.sites if one.site.id == "na-tau")
            fresh = dataclasses.replace(site.targets[0].checks[0], state=State.OK, last_wall=WALL + 1)
            line = dataclasses.replace(site.targets[0], state=State.OK, up=True, checks=(fresh,))
            mended = dataclasses.replace(site, state=State.OK, up=True, targets=(line, *site.targets[1:]))
            daemon.now = dataclasses.replace(daemon.now, sites=tuple(mended if one is site else one for one in daemon.now.sites))
            return True

        daemon.check_now = check_now

    code, output, errors = run(path, "check", "na-tau/line1", "--now", prepare=prepare)
    assert (code, asked, errors) == (0, ["na-tau/line1/icmp"], "")
    assert output.startswith("✓ OK - Nà Tấu/line1")


def test_the_environment_may_say_where_the_daemon_is(path):
    async def scenario():
        async with daemon_at(path):
            return await netwatch("status", NETWATCH_SOCKET=path)

    code, output, errors = asyncio.run(scenario())
    assert (code, errors) == (2, "")
    assert output.startswith("38/45")


def in_the_folder_of_a_demo(folder, *arguments, **environment):
    control = folder / ".demo" / "state" / "api.sock"
    control.parent.mkdir(parents=True)

    async def scenario():
        async with daemon_at(str(control)):
            return await netwatch(*arguments, cwd=folder, **environment)

    return asyncio.run(scenario())


def test_without_a_daemon_the_demo_in_this_folder_answers_and_it_is_said(tmp_path):
    code, output, errors = in_the_folder_of_a_demo(tmp_path, "status")
    assert code == 2
    assert output.startswith("38/45")
    assert errors == "netwatch: không có daemon nào trả lời ở chỗ thường lệ; đây là demo trong thư mục này (.demo/state/api.sock)\n"


@pytest.mark.parametrize("arguments", [("--socket", "none.sock"), ()])
def test_who_names_a_daemon_never_gets_the_demo(tmp_path, arguments):
    environment = {} if arguments else {"NETWATCH_SOCKET": "none.sock"}
    code, output, errors = in_the_folder_of_a_demo(tmp_path, "status", *arguments, **environment)
    assert (code, output) == (3, "")
    assert "none.sock" in errors


def test_a_monitoring_system_never_gets_the_demo(tmp_path):
    code, output, errors = in_the_folder_of_a_demo(tmp_path, "check", "na-tau", "-o", "nagios")
    assert (code, errors) == (3, "")
    assert output.startswith("UNKNOWN - ")


def test_a_daemon_of_ones_own_goes_before_the_demo_and_one_that_was_killed_does_not(tmp_path):
    usual = tmp_path / "netwatch" / "api.sock"
    usual.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(usual))
        listener.listen()
        listener.close()
    code, output, _ = in_the_folder_of_a_demo(tmp_path, "status", XDG_STATE_HOME=str(tmp_path))
    assert (code, output[:5]) == (2, "38/45")

    async def scenario():
        usual.unlink()
        async with daemon_at(str(usual), calm_province()), daemon_at(str(tmp_path / ".demo" / "state" / "api.sock")):
            return await netwatch("status", cwd=tmp_path, XDG_STATE_HOME=str(tmp_path))

    code, _, errors = asyncio.run(scenario())
    assert (code, errors) == (0, "")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_strangers_socket_in_this_folder_is_not_taken_for_the_demo(tmp_path):
    control = tmp_path / ".demo" / "state" / "api.sock"
    control.parent.mkdir(parents=True)

    async def scenario():
        async with daemon_at(str(control)):
            os.chown(control, 65534, 65534)
            return await netwatch("status", cwd=tmp_path)

    assert asyncio.run(scenario())[0] == 3


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_a_daemon_that_does_not_let_us_in_is_there_all_the_same(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        Path(path).chmod(0o600)
        os.seteuid(65534)
        try:
            assert _daemon.answers(Path(path))
        finally:
            os.seteuid(0)
    assert not _daemon.answers(Path(path))


def test_reload_prints_the_differences(path):
    assert run(path, "reload")[:2] == (0, "+ na-tau/vc\nĐã nạp lại inventory.\n")


def test_a_refused_reload_prints_the_errors_and_ends_with_78(path):
    def prepare(daemon):
        daemon.reload_answer = (False, ("inventory.yaml:7:3: sites.na-tau: …",))

    code, output, errors = run(path, "reload", prepare=prepare)
    assert (code, output) == (78, "")
    assert errors.splitlines()[0] == "inventory.yaml:7:3: sites.na-tau: …"


def test_a_daemon_that_is_not_there_is_said_in_one_line_with_the_right_code(path):
    async def scenario():
        for arguments, code in ((("status",), 3), (("check", "na-tau"), 3), (("reload",), 69)):
            ended, output, errors = await netwatch(*arguments, "--socket", path)
            assert (ended, output) == (code, "")
            assert errors.count("\n") == 1
            assert path in errors
        ended, output, errors = await netwatch("check", "na-tau", "-o", "nagios", "--socket", path)
        assert (ended, errors) == (3, "")
        assert output.startswith("UNKNOWN - ")

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "answer", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnope", b"HTTP/1.1 200 OK\r\n\r\n[]"]
)
def test_a_stranger_on_the_socket_is_not_believed(path, answer):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen()
        listener.settimeout(60)

        def stranger():
            with listener.accept()[0] as client:
                client.recv(4096)
                client.sendall(answer)

        talker = threading.Thread(target=stranger)
        talker.start()
        code, output, errors = asyncio.run(netwatch("status", "--socket", path))
        talker.join(60)
    assert (code, output) == (3, "")
    assert errors.count("\n") == 1


def test_colour_is_for_terminals_or_when_asked(path):
    async def scenario():
        async with daemon_at(path):
            _, plain, _ = await netwatch("status", "--socket", path)
            _, coloured, _ = await netwatch("--color", "always", "status", "--socket", path)
            assert "\x1b" not in plain
            assert "\x1b[1;31m✕\x1b[0m" in coloured
            assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain

    asyncio.run(scenario())


def test_a_terminal_without_unicode_gets_letters_it_has(path):
    _, output, _ = run(path, "status", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert "X Na Tau: mat ket noi (ca diem)" in output


def test_wrong_usage_is_64_and_never_a_plugins_code(path):
    assert run(path, "check")[0] == 64
    assert run(path, "check", "na-tau", "-o", "xml")[0] == 64


def test_version_for_people_and_for_machines():
    async def scenario():
        assert (await netwatch("version"))[1].startswith("netwatch 0.")
        assert json.loads((await netwatch("version", "--json"))[1])["schema"] == "netwatch/v1/version"

    asyncio.run(scenario())


def test_status_needs_none_of_the_heavy_libraries(path):
    async def scenario():
        async with daemon_at(path):
            return await netwatch("status", "--socket", path, PYTHONPROFILEIMPORTTIME="1")

    imported = {line.rpartition("|")[2].strip() for line in asyncio.run(scenario())[2].splitlines() if "|" in line}
    assert "typer" in imported
    heavy = {"aiohttp", "jinja2", "pysnmp", "gufo.snmp", "aiosqlite", "rich.table", "asyncio", "prometheus_client", "pydantic"}
    assert not imported & heavy


@given(st.text(max_size=60))
def test_any_name_can_be_looked_up(name):
    known = [("na-tau", "Nà Tấu"), ("muong-lan", "Mường Lạn")]
    assert set(_lookup.nearest(name, known)) <= {"na-tau", "muong-lan"}


@given(st.text(max_size=60), st.text(max_size=40), st.lists(st.floats(), max_size=4))
def test_perfdata_can_be_parsed_whatever_a_device_says(name, instance, values):
    said = _plugin._perf({"name": f"x_{name}", "instance": instance, "values": [None if math.isnan(one) else one for one in values]})
    assert "|" not in said
    assert said.count("=") == 1
    assert re.search(r"=(U|-?\d+(\.\d+)?(ms|%)?(;[^ ]*)?)$", said)
