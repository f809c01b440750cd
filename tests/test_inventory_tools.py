"""`netwatch inventory diff, init, render, schema`: what a file comes to, and what would change."""

import asyncio
import csv
import dataclasses
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch import _yaml, inventory
from netwatch.model import Inventory
from tests.inventories import compose, load
from tests.page_server import FakeDaemon, serve
from tests.province import province
from tests.test_cli_status import netwatch

SHIPPED = Path(__file__).parent.parent / "inventory.yaml"
SNMP = "profiles:\n  box: {role: router, checks: {icmp: {probe: icmp}, snmp: {probe: snmp, profile: router}}}\n"
SNMP += "  plain: {role: pc, checks: {port: {probe: tcp, port: 22}}}\n"


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "netwatch", "--lang", "en", "inventory", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=SHIPPED.parent,
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "NETWATCH_SNMP_COMMUNITY": "x"} | environment,
    )


def changes(tmp_path, old, new, **options):
    before, after = (inventory.flatten(load(tmp_path, text, **options)) for text in (old, new))
    return [one.line() for one in inventory.changes(before, after)]


def test_a_device_more_or_less_is_one_line(tmp_path):
    more = compose(sites='sites:\n  na-tau: {n: 34, code: "03316", devices: {ap2: {profile: box, host: 6}, pc: null}}\n')
    assert changes(tmp_path, compose(), more) == ["+ na-tau/ap2  10.45.34.6 (box)", "- na-tau/pc  10.45.34.9 (plain)"]


def test_a_site_more_is_one_line(tmp_path):
    more = compose(sites='sites:\n  na-tau: {n: 34, code: "03316"}\n  nua-ngam: {n: 41, code: "03358", tags: {ring: a}}\n')
    assert changes(tmp_path, compose(), more) == ["+ nua-ngam  Xã Núa Ngam"]


def test_a_value_that_changes_is_shown_with_both_values_and_nothing_that_only_follows(tmp_path):
    assert changes(tmp_path, compose(), compose().replace("port: 443, interval: 30s", "port: 443, interval: 20s")) == [
        "~ na-tau/router/web.interval_seconds  30 -> 20",
        "~ na-tau/switch/web.interval_seconds  30 -> 20",
    ]
    assert changes(tmp_path, compose(), compose().replace("port: 443", "port: 8443")) == [
        "~ na-tau/router/web.port  443 -> 8443",
        "~ na-tau/switch/web.port  443 -> 8443",
    ]
    moved = compose(sites='sites:\n  na-tau: {n: 34, code: "03316", devices: {pc: {host: 10}}}\n')
    assert changes(tmp_path, compose(), moved) == ["~ na-tau/pc.address  10.45.34.9 -> 10.45.34.10"]


def test_a_secret_that_changes_is_noticed_and_not_shown(tmp_path):
    told = []
    for community in ("first-secret", "other-secret"):
        text = compose(profiles=SNMP).replace("defaults: {", "defaults: {snmp: {version: 2c, community: '${C}'}, ")
        told.append(inventory.flatten(load(tmp_path, text, environment={"C": community})))
    found = inventory.changes(*told)
    assert [one.path for one in found] == ["na-tau/router/snmp.measures", "na-tau/switch/snmp.measures"]
    assert "secret" not in json.dumps(told)


def test_the_same_file_has_no_difference_and_ends_with_0():
    ended = run("diff", SHIPPED, "--against", SHIPPED)
    assert (ended.returncode, ended.stdout) == (0, "0 added, 0 removed, 0 changed\n")


def test_a_difference_ends_with_1_and_json_has_all_of_it(tmp_path):
    path = tmp_path / "new.yaml"
    path.write_text(SHIPPED.read_text("utf-8").replace("na-tau:        {n: 34", "na-tau:        {n: 134"), "utf-8")
    ended = run("diff", path, "--against", SHIPPED, "-o", "json")
    document = json.loads(ended.stdout)
    assert (ended.returncode, document["schema"]) == (1, "netwatch/v1/inventory-diff")
    assert {"change": "~", "path": "na-tau/vc.address", "old": "127.45.34.10", "new": "127.45.134.10"} in document["changes"]


def test_the_running_inventory_is_compared_over_the_socket(tmp_path):
    environment = {"NETWATCH_SNMP_COMMUNITY": "x"}
    found = inventory.load(SHIPPED, environment=environment)
    sites = {name: dataclasses.replace(site, note="old") if name == "na-tau" else site for name, site in found.sites.items()}

    async def scenario():
        daemon = FakeDaemon(province())
        daemon.in_force = dataclasses.replace(found, sites=sites)
        runner, _ = await serve(daemon, control=True, unix=str(tmp_path / "api.sock"))
        try:
            arguments = ("--lang", "en", "inventory", "diff", str(SHIPPED), "--socket", str(tmp_path / "api.sock"))
            return await netwatch(*arguments, **environment)
        finally:
            await runner.cleanup()

    assert asyncio.run(scenario()) == (1, '~ na-tau.note  old -> ""\n0 added, 0 removed, 1 changed\n', "")


def test_no_daemon_ends_with_69_and_a_bad_file_with_78(tmp_path):
    assert run("diff", SHIPPED, "--socket", tmp_path / "none.sock").returncode == 69
    (tmp_path / "bad.yaml").write_text("version: 2\n")
    ended = run("diff", tmp_path / "bad.yaml", "--against", SHIPPED)
    assert (ended.returncode, ended.stdout) == (78, "")
    assert "bad.yaml:1:10" in ended.stderr
    assert run("diff", tmp_path / "none.yaml", "--against", SHIPPED).returncode == 66


texts = st.dictionaries(st.from_regex(r"[ab](/[ab](/[ab])?)?(\.[xy])?", fullmatch=True), st.sampled_from("12"))


@given(texts, texts)
def test_there_is_a_change_exactly_when_something_differs_below_or_beside_what_both_have(old, new):
    found = inventory.changes(old, new)
    assert inventory.changes(old, old) == ()
    assert [one.path for one in found] == sorted(one.path for one in found)
    mirrored = {(one.path, {"+": "-", "-": "+", "~": "~"}[one.sign], one.new, one.old) for one in inventory.changes(new, old)}
    assert {(one.path, one.sign, one.old, one.new) for one in found} == mirrored
    if set(old) ^ set(new):
        assert found


def test_init_is_refused_until_it_has_a_plan_and_then_is_sound(tmp_path):
    path = tmp_path / "inventory.yaml"
    assert run("init", "--to", path).returncode == 0
    ended = run("check", path)
    assert (ended.returncode, len([line for line in ended.stderr.splitlines() if "plan.site_net" in line])) == (78, 1)
    assert run("init", "--to", path).returncode == 73
    path.write_text(run("init", "--site-net", "10.45.{n}.0/24").stdout, "utf-8")
    assert run("check", path).stdout.startswith("45 communes")
    assert not inventory.load(path, environment={"NETWATCH_SNMP_COMMUNITY": "x"}).demo_plan


@pytest.mark.parametrize("plan", ["10.45.0.0/24", "10.45.{n}.0", "a.{n}.0.0/16", "10.{n}.0/24", "{x}"])
def test_init_takes_no_plan_that_gives_two_sites_one_network(plan):
    assert run("init", "--site-net", plan).returncode == 64


def test_render_shows_each_check_with_all_defaults_filled_in():
    document = json.loads(run("render", SHIPPED, "-o", "json").stdout)
    found = inventory.load(SHIPPED, environment={"NETWATCH_SNMP_COMMUNITY": "x"})
    assert document["schema"] == "netwatch/v1/inventory-render"
    assert [f"{one['site']}/{one['target']}/{one['check']}" for one in document["records"]] == list(found.checks)
    rows = list(csv.DictReader(io.StringIO(run("render", SHIPPED, "-o", "csv", "--site", "Nà Tấu").stdout)))
    assert {row["site"] for row in rows} == {"na-tau"}
    router = next(row for row in rows if (row["target"], row["check"]) == ("router", "icmp"))
    assert (router["address"], router["interval_seconds"], router["parents"]) == (
        "127.45.34.1",
        "10.0",
        "na-tau/main/icmp|na-tau/backup/icmp",
    )
    assert run("render", SHIPPED, "--site", "nowhere").returncode == 66
    assert run("render", SHIPPED, "-o", "xml").returncode == 64


def valid(text):
    jsonschema.Draft7Validator(inventory.json_schema()).validate(_yaml.parse(text.encode(), "x.yaml").value)


def test_the_schema_is_draft_7_and_takes_what_the_loader_takes():
    schema = json.loads(run("schema").stdout)
    jsonschema.Draft7Validator.check_schema(schema)
    assert "$defs" not in json.dumps(schema)
    for text in (SHIPPED.read_text("utf-8"), compose(), compose(more='listen: "${LISTEN}"\npagers: {a: {pager: webhook, url: "x"}}\n')):
        valid(text)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("n: 34", "n: '34'"),
        ("n: 34", "n: 34, pritority: 1"),
        ('code: "03316"', "code: 3316"),
        ('code: "03316"', 'code: "0331"'),
        ("{probe: icmp}", "{probe: icmp, attempts: 0}"),
        ("pc: {profile: plain, parent: switch}", "PC: {profile: plain}"),
        ("contract: 100 Mbps", "contract: 100"),
        ("version: 1", "version: 2"),
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(right, wrong, tmp_path):
    assert right in compose()
    with pytest.raises(jsonschema.ValidationError):
        valid(compose().replace(right, wrong))
    with pytest.raises(inventory.InventoryRefused):
        load(tmp_path, compose().replace(right, wrong))


def test_an_inventory_of_nothing_is_flat_nothing():
    assert inventory.flatten(Inventory(sites={}, checks={})) == {}
