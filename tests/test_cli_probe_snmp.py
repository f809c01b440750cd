"""`netwatch probe snmp`: what it prints, how it ends, and that it keeps the community to itself."""

import asyncio
import json
import os
import sys

import pytest

from tests.snmp_agent import honest, listening, ports
from tests.snmp_daemon import AUTH, PRIVACY, free_udp_port, snmpd, users

SECRET = "canary-community"


async def netwatch(*arguments, community=SECRET, **variables):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NETWATCH_")}
    if community:
        environment["NETWATCH_SNMP_COMMUNITY"] = community
    environment |= variables
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "netwatch", *arguments, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert "canary" not in out.decode() + err.decode()
    assert "Traceback" not in err.decode()
    return process.returncode, out.decode(), err.decode()


def with_agent(*arguments, language="en", community=SECRET):
    async def scenario():
        async with listening(honest(ports(["ether1", "ether2"], aliases={"ether1": "WAN"}))) as agent:
            return await netwatch(
                "--lang", language, "probe", "snmp", "127.0.0.1", "--port", str(agent.port), *arguments, community=community
            )

    return asyncio.run(scenario())


def alone(*arguments, community=SECRET):
    return asyncio.run(netwatch("--lang", "en", "probe", "snmp", *arguments, community=community))


def test_json_has_profile_facts_and_samples():
    code, out, err = with_agent("--json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert (document["address"], document["code"], document["profile"]) == ("127.0.0.1", "", "router")
    assert document["facts"]["sysName"] == "router-1"
    assert {"name": "interface_uplink_up", "instance": "ether1", "value": 1.0} in document["samples"]


def test_the_table_names_ports_and_values_in_vietnamese():
    code, out, _ = with_agent("--profile", "router", language="vi")
    assert code == 0
    assert "Số đo" in out
    assert "interface_up" in out
    assert "ether2" in out


def test_the_community_may_come_from_a_file_or_as_an_option(tmp_path):
    file = tmp_path / "community"
    file.write_text(f"{SECRET}\n", "utf-8")
    assert with_agent("--community-file", str(file), community="")[0] == 0
    assert with_agent("--community", SECRET, community="")[0] == 0


def test_no_answer_is_one_line_a_code_and_exit_1():
    code, out, err = alone("127.0.0.1", "--port", "1", "--json")
    assert code == 1
    assert json.loads(out)["code"] == "refused"
    assert err.count("\n") == 1
    assert "refuses" in err


def test_what_cannot_work_is_said_with_the_exit_code_for_it(tmp_path):
    assert alone("127.0.0.1", community="")[0] == 64
    assert alone("router.example")[0] == 64
    assert alone("127.0.0.1", "--profile", "nix")[0] == 64
    assert alone("127.0.0.1", "--output", "xml")[0] == 64
    assert alone("127.0.0.1", "--timeout", "0")[0] == 64
    assert alone("127.0.0.1", "--community-file", str(tmp_path / "none"))[0] == 66
    (tmp_path / "empty").write_text("\n")
    assert alone("127.0.0.1", "--community-file", str(tmp_path / "empty"))[0] == 66


PASSWORDS = {"NETWATCH_SNMP_AUTH_PASSWORD": AUTH, "NETWATCH_SNMP_PRIVACY_PASSWORD": PRIVACY}


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    at = free_udp_port()
    with snmpd(tmp_path_factory.mktemp("snmpd"), at, *users()):
        yield str(at)


def by_version_3(at, *arguments, **variables):
    options = ("--port", at, "--version", "3", "--profile", "router", "--timeout", "0.5", *arguments)
    return asyncio.run(netwatch("--lang", "vi", "probe", "snmp", "127.0.0.1", *options, community="", **variables))


def test_version_3_takes_its_passwords_from_files_or_the_environment(agent, tmp_path):
    code, out, err = by_version_3(agent, "--user", "watcher", "--json", **PASSWORDS)
    assert (code, err) == (0, "")
    assert json.loads(out)["facts"]["sysName"] == "máy-chủ"
    (tmp_path / "auth").write_text(f"{AUTH}\n")
    (tmp_path / "privacy").write_text(f"{PRIVACY}\n")
    files = ("--auth-password-file", str(tmp_path / "auth"), "--privacy-password-file", str(tmp_path / "privacy"))
    assert by_version_3(agent, "--user", "watcher", *files)[0] == 0
    assert by_version_3(agent, "--user", "signer", "--privacy-protocol", "none", *files[:2])[0] == 0


@pytest.mark.parametrize(
    ("user", "variables", "told", "code"),
    [
        ("nobody", {}, "không biết người dùng", "unknown_user"),
        ("watcher", {"NETWATCH_SNMP_AUTH_PASSWORD": "canary-of-another"}, "mật khẩu xác thực", "wrong_auth_key"),
        ("watcher", {"NETWATCH_SNMP_PRIVACY_PASSWORD": "canary-of-another"}, "đã mã hóa", "wrong_privacy_key"),
        ("signer", {}, "mức bảo mật", "unsupported_security_level"),
    ],
)
def test_being_turned_away_is_named_and_ends_as_no_permission(agent, user, variables, told, code):
    ended, out, err = by_version_3(agent, "--user", user, "--json", **PASSWORDS | variables)
    assert ended == 77
    assert told in err
    assert err.count("\n") == 1
    assert json.loads(out)["code"] == code


def test_what_version_3_lacks_is_said_before_anything_is_sent(tmp_path):
    assert by_version_3("9", **PASSWORDS)[0] == 64
    assert by_version_3("9", "--user", "x")[0] == 64
    assert by_version_3("9", "--user", "x", NETWATCH_SNMP_AUTH_PASSWORD=AUTH)[0] == 64
    assert by_version_3("9", "--user", "x", **PASSWORDS | {"NETWATCH_SNMP_AUTH_PASSWORD": "short"})[0] == 64
    assert by_version_3("9", "--user", "x", "--auth-protocol", "md5", **PASSWORDS)[0] == 64
    assert by_version_3("9", "--user", "x", "--auth-password-file", str(tmp_path / "none"), **PASSWORDS)[0] == 66
    assert alone("127.0.0.1", "--version", "4")[0] == 64
