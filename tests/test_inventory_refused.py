"""What is wrong in an inventory: all of it at once, at its line, never a traceback."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import netwatch
from netwatch import inventory
from netwatch._complaint import Complaint
from netwatch.inventory._addresses import WrongAddress, address, host, network, site_network
from tests.inventories import HEAD, PROFILES, ROLES, compose, keys, load, refused
from tests.inventory_cases import CASES, site

SHIPPED = Path(__file__).parent.parent / "inventory.yaml"


@pytest.mark.parametrize(
    ("text", "key", "path"),
    CASES,
    ids=[f"{key}-{path}" for _, key, path in CASES],
)
def test_what_is_wrong_is_named_at_its_place(tmp_path, text, key, path):
    refusal = refused(tmp_path, text, environment={"EMPTY": ""})
    found = [error for error in refusal.errors if error.key == key and path in {None, error.path}]
    assert found, keys(refusal)
    assert not any(error.key == "other" for error in refusal.errors) or key == "other"
    assert all(error.place.line for error in refusal.errors) or key == "empty_file"


def test_all_errors_come_at_once_in_the_order_of_the_file(tmp_path):
    text = compose(
        site(pritority="1", devices="{pc: {parent: swich}}")
        + '  muong-phang: {n: 34, code: 1623}\n  nam-ke: {n: 35, code: "03162", devices: {pc: {address: 10.45.34.2}}}\n'
    )
    refusal = refused(tmp_path, text)
    assert [(error.key, error.path) for error in refusal.errors] == [
        ("unknown_key", "sites.na-tau.pritority"),
        ("unknown_parent", "sites.na-tau.devices.pc.parent"),
        ("code_number", "sites.muong-phang.code"),
        ("duplicate_address", "sites.nam-ke.devices.pc.address"),
    ]
    assert [error.hint for error in refusal.errors] == ["priority", "switch", "", ""]
    places = [(error.place.line, error.place.column) for error in refusal.errors]
    assert places == sorted(places)
    assert refusal.errors[3].fields == {"address": "10.45.34.2", "other": "sites.na-tau.devices.switch", "line": str(places[0][0])}


def test_one_mistake_in_a_role_is_told_once(tmp_path):
    text = compose(site() + '  muong-phang: {n: 35, code: "03325"}\n', roles=ROLES.replace("profile: plain", "profile: plian"))
    assert len(refused(tmp_path, text).errors) == 1


def test_a_key_that_is_wrong_has_no_consequences(tmp_path):
    text = compose(profiles=PROFILES.replace("{probe: icmp}", "{probe: icmp, count: 50, timeout: 0}"))
    assert keys(refused(tmp_path, text)) == {("duration_not_positive", "profiles.box.checks.icmp.timeout")}
    assert keys(refused(tmp_path, compose(site(n=".nan")))) == {("not_finite", "sites.na-tau.n")}


def test_an_unset_variable_names_its_line_once(tmp_path):
    text = compose(
        head=HEAD.replace("contact: noc,", 'contact: noc, snmp: {community: "${NOPE}"},'),
        roles=ROLES.replace("profile: box", "profile: ups"),
    )
    refusal = refused(tmp_path, text)
    assert [(error.key, error.place.line, error.fields["variable"]) for error in refusal.errors] == [("variable_unset", 3, "NOPE")]


def test_of_a_value_that_a_variable_was_to_fill_nothing_else_is_said(tmp_path):
    pagers = """\
        pagers:
          hook: {pager: webhook, url: "${HOOK_URL}", secrt: "${HOOK_SECRET}"}
          am: {pager: alertmanager, urls: ["http://127.0.0.1:9093", "${AM_URL}"]}
    """
    refusal = refused(tmp_path, compose(head='listen: "${LISTEN}"\n' + HEAD, more=pagers))
    assert [(error.key, error.path) for error in refusal.errors] == [
        ("variable_unset", "listen"),
        ("pager_option", "pagers.hook.secret"),
        ("variable_unset", "pagers.hook.url"),
        ("unknown_key", "pagers.hook.secrt"),
        ("variable_unset", "pagers.hook.secrt"),
        ("variable_unset", "pagers.am.urls[1]"),
    ]


def test_a_missing_file_is_unreadable_and_a_bad_one_is_not(tmp_path):
    with pytest.raises(inventory.InventoryRefused) as missing:
        inventory.load(tmp_path / "nothing.yaml", environment={})
    assert missing.value.unreadable
    assert not refused(tmp_path, "a: [").unreadable


def test_a_secret_is_in_no_complaint(tmp_path):
    text = compose(more='pagers:\n  a: {pager: webhook, url: "http://hush@x y", secret: [hush, whsec_hush], toekn: hush}\n')
    text = text.replace("contact: noc,", "contact: noc, snmp: {community: hush, prot: 5},").replace("{profile: box}", "{profile: ups}", 1)
    refusal = refused(tmp_path, text)
    shown = "\n".join(complaint.block(language) for complaint in (*refusal.errors, *refusal.warnings) for language in ("vi", "en"))
    assert "hush" not in shown + str(refusal) + repr(refusal)
    assert {error.key for error in refusal.errors} >= {"pager_option", "unknown_key"}
    number = refused(tmp_path, compose(head=HEAD.replace("contact: noc,", "contact: noc, snmp: {community: 73190},")))
    assert "73190" not in "\n".join(error.block("vi") for error in number.errors)


def test_warnings_do_not_stand_in_the_way(tmp_path):
    text = compose(
        "sites:\n  na-tau-cu: {n: 34, code: 03316, name: Nà Tâu, devices: {pc: {address: 192.168.9.9}}}\n",
        head=HEAD.replace("contact: noc,", "snmp: {community: public},"),
        profiles=PROFILES + "  odd: {role: pc, checks: {icmp: {probe: icmp}}}\n",
        more="  \n",
    ).replace("    devices: {router", "    devices: {router").replace("roles:\n", "roles:\n  spare: {}\n").rstrip("\n")  # fmt: skip
    path = tmp_path / "f.yaml"
    path.write_text(text)
    found, warnings = inventory.examine(path, environment={})
    assert {warning.key for warning in warnings} == {
        "code_unquoted", "name_not_of_code", "id_not_of_code", "address_outside_plan", "secret_in_clear", "no_contact",
        "unused_profile", "unused_role", "no_newline",
    }  # fmt: skip
    assert len(found.warnings) == len(warnings)
    assert any("gạch" in line or "mã" in line for line in found.warnings)


def test_every_text_is_used_and_every_complaint_has_one():
    root = Path(netwatch.__file__).parent
    texts = {language: json.loads((root / "lang" / language / "inventory.json").read_text()) for language in ("vi", "en")}
    assert texts["vi"].keys() == texts["en"].keys()
    for key in texts["vi"]:
        assert set(re.findall(r"(?<!\{)\{(\w+)\}", texts["vi"][key])) == set(re.findall(r"(?<!\{)\{(\w+)\}", texts["en"][key])), key
    files = (*root.glob("_*.py"), *(root / "inventory").glob("*.py"), root / "cli" / "inventory.py", root / "wording" / "overrides.py")
    sources = "".join(file.read_text() for file in files)
    # What is wrong with a text of a page is named where such texts are read, without this part in front.
    assert [key for key in texts["vi"] if not re.search(rf'"(inventory\.)?({key}|{key.removeprefix("text_")})"', sources)] == []


@given(st.text(max_size=30) | st.from_regex(r"[0-9a-f.:%/]{1,24}", fullmatch=True))
def test_an_address_is_one_or_refused(text):
    for parse in (address, network, lambda written: site_network(written, 7), lambda written: host(network(written), 3)):
        try:
            found = parse(text)
        except WrongAddress as wrong:
            found = wrong.key
        assert found


@given(st.integers(1, 255), st.integers(1, 254))
def test_hosts_are_counted_from_the_network(number, last):
    assert str(host(site_network("10.45.{n}.0/24", number), last)) == f"10.45.{number}.{last}"


WORDS = ["null", "[]", "{}", "0", "-1", "5s", '"x"', "true", "[a, 1]", "{a: {b: [c]}}", "03127", "1e9", '"${X}"', "na-tau", "commune", "router", "'\u1ea5'", ":", "-", "*a", "&a x", "!t x"]  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
@given(data=st.data())
def test_a_mutated_inventory_is_taken_or_refused(tmp_path, data):
    lines = compose(
        site(devices="{pc: {label: x}}", tags="{ring: a}"),
        more="pagers: {a: {pager: webhook}}\nhubs: {h: {n: 3, name: H, role: commune}}\n",
    ).split("\n")
    for _ in range(data.draw(st.integers(1, 3))):
        index = data.draw(st.integers(0, len(lines) - 1))
        spots = [match.span() for match in re.finditer(r"[^\s:,{}\[\]]+", lines[index])] or [(0, 0)]
        start, end = data.draw(st.sampled_from(spots))
        lines[index] = lines[index][:start] + data.draw(st.sampled_from(WORDS)) + lines[index][end:]
    try:
        found = load(tmp_path, "\n".join(lines))
    except inventory.InventoryRefused as refusal:
        complaints = refusal.errors
    else:
        complaints = ()
        assert found.checks
    assert all(isinstance(one, Complaint) and one.block("vi") and one.block("en") for one in complaints)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(cut=st.floats(0, 1))
def test_a_half_written_file_is_refused_or_holds_only_what_it_says(tmp_path, cut):
    whole = SHIPPED.read_bytes()
    try:
        found = load(tmp_path, whole[: int(cut * len(whole))], environment={"NETWATCH_SNMP_COMMUNITY": "x"})
    except inventory.InventoryRefused as refusal:
        assert refusal.errors  # noqa: PT017  # both endings are allowed
    else:
        assert found.sites


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=120))
def test_any_file_is_taken_or_refused(tmp_path, content):
    with pytest.raises(inventory.InventoryRefused):
        load(tmp_path, content)
