"""`netwatch inventory import`: a spreadsheet of sites becomes YAML, or is refused row by row."""

import csv
import io
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch import _yaml, inventory
from netwatch.inventory._communes import communes
from tests.inventories import compose, load

ALL = list(communes().values())


def sites(text, **options):
    found = inventory.read_sheet(text, "sites.csv", **options)
    assert not found.complaints, found.complaints[0].line("en")
    parsed = _yaml.parse(inventory.sites_yaml(found.sites).encode(), "sites.yaml")
    assert not parsed.complaints
    assert (parsed.value or {"sites": {}})["sites"] == found.sites
    return found.sites


def complaints(text):
    found = inventory.read_sheet(text, "sites.csv").complaints
    assert all(one.block(language) for one in found for language in ("vi", "en"))
    return {(one.place.line, one.key) for one in found}


def test_a_spreadsheet_saved_by_excel_in_vietnamese_is_understood():
    text = '\ufeffMã xã;Tên;Nhà mạng;Tốc độ;Vòng cáp;STT;Ghi chú\n3316;Nà Tấu;VNPT;100 Mbps;dien-bien;34;Hỏi "anh Thành"; \n'
    assert sites(text.replace('"anh Thành"; ', "anh Thành")) == {
        "na-tau": {
            "n": 34,
            "code": "03316",
            "line": {"carrier": "VNPT", "contract": "100 Mbps"},
            "tags": {"ring": "dien-bien"},
            "note": "Hỏi anh Thành",
        }
    }


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_any_usual_delimiter_will_do(delimiter):
    assert list(sites(f"name{delimiter}n\nXã Nà Tấu{delimiter}1\n")) == ["na-tau"]


def test_sites_without_a_number_get_one_that_is_free():
    found = sites("name,n\nNà Tấu,\nNúa Ngam,1\nSam Mứn,\n")
    assert {name: entry["n"] for name, entry in found.items()} == {"na-tau": 2, "nua-ngam": 1, "sam-mun": 3}


def test_addresses_and_absences_of_lines_and_devices():
    found = sites("code,line.main,device.kiosk,device ap2,tag.power\n03316,10.9.0.1,-,10.9.0.7,A\n")
    assert found["na-tau"]["lines"] == {"main": {"address": "10.9.0.1"}}
    assert found["na-tau"]["devices"] == {"kiosk": None, "ap2": {"address": "10.9.0.7"}}
    assert found["na-tau"]["tags"] == {"power": "A"}


def test_a_role_is_for_the_rows_that_name_none():
    found = sites("name,role\nNà Tấu,\nNúa Ngam,small\n", role="commune")
    assert [entry["role"] for entry in found.values()] == ["commune", "small"]


def test_bad_rows_are_all_named_by_line():
    text = (
        "code,name,n,priority,contract,id\n"
        "99999,,,,,\n"
        ",Nà Tâu Hai,,,,\n"
        '03316,,34,,"12 MB",\n'
        "03325,,34,12,,\n"
        "03358,,x,,,\n"
        '03356,"two\nlines",,,,Sam Mun\n'
        "03349,,,,,na-tau\n"
    )
    assert complaints(text) == {
        (2, "unknown_code"),
        (3, "sheet_unknown_name"),
        (4, "rate_bytes"),
        (5, "duplicate_number"),
        (5, "too_large"),
        (6, "not_integer"),
        (7, "bad_slug"),
        (9, "duplicate_key"),
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {(0, "sheet_no_code")}),
        ("n,note\n1,x\n", {(1, "sheet_no_code")}),
        ("code,colour\n", {(1, "sheet_column")}),
        ("code,mã xã\n", {(1, "sheet_column_twice")}),
        ('code,note\n03316,"x\n', set()),
        ("code,note\n03316,a\u202eb\n", {(2, "unprintable")}),
        ("code,note\n03316,a\0b\n", {(2, "unprintable")}),
    ],
)
def test_a_sheet_that_is_none_says_so(text, expected):
    assert complaints(text) == expected


def test_a_wrong_code_or_name_is_answered_with_the_one_that_was_meant():
    found = inventory.read_sheet("code,name\n0331,Nà Tấu\n,nua ngan\n", "s.csv").complaints
    assert [one.hint for one in found] == ["03316", "nua-ngam"]


def test_an_id_is_63_letters_at_most():
    assert list(sites(f"code,id\n03316,{'a' * 63}\n")) == ["a" * 63]
    assert complaints(f"code,id\n03316,{'a' * 64}\n") == {(2, "bad_slug")}


def test_names_that_yaml_would_take_for_something_else_are_quoted():
    found = sites("code,id,tag.1a,tag.null,tag.a1\n03316,12,x,y,z\n")
    assert found["12"]["tags"] == {"1a": "x", "null": "y", "a1": "z"}


def test_a_sheet_has_at_most_ten_thousand_rows():
    assert complaints("code\n" + "\n" * 9_999) == set()
    assert complaints("code\n" + "\n" * 10_000 + "03316\n") == {(1, "sheet_rows")}


def test_what_is_imported_is_an_inventory(tmp_path):
    text = "code,device.pc\n" + "".join(f"{one.code},\n" for one in ALL)
    whole = load(tmp_path, compose(sites=inventory.sites_yaml(sites(text))))
    assert list(whole.sites) == [one.slug for one in ALL]


def test_a_reference_in_a_cell_stays_text(tmp_path):
    found = inventory.read_sheet("code,note\n03316,${HOME}\n", "s").sites
    assert load(tmp_path, compose(sites=inventory.sites_yaml(found))).sites["na-tau"].note == "${HOME}"


@given(st.text(max_size=300))
def test_no_text_breaks_it(text):
    inventory.read_sheet(text, "sites.csv")


cells = st.text(st.characters(categories=["L", "N", "P", "Zs"]), max_size=12)


@given(
    st.lists(
        st.tuples(st.sampled_from(ALL), cells, st.none() | st.integers(1, 99)),
        max_size=8,
        unique_by=(lambda row: row[0].code, lambda row: row[2] or object()),
    )
)
def test_what_a_sheet_says_is_what_the_yaml_says(rows):
    text = io.StringIO()
    csv.writer(text).writerows([("code", "note", "n"), *((one.code, note, "" if n is None else n) for one, note, n in rows)])
    found = inventory.read_sheet(text.getvalue(), "sites.csv")
    if not found.complaints:
        parsed = _yaml.parse(inventory.sites_yaml(found.sites).encode(), "sites.yaml").value or {"sites": {}}
        assert {name: entry.get("note", "").replace("$${", "${") for name, entry in parsed["sites"].items()} == {
            one.slug: note.strip() for one, note, _ in rows
        }


def test_the_command_writes_yaml_or_nothing(tmp_path):
    def run(text):
        (tmp_path / "s.csv").write_bytes(text)
        return subprocess.run(
            [sys.executable, "-m", "netwatch", "--lang", "en", "inventory", "import", str(tmp_path / "s.csv")],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
        )

    good = run(b"code\n03316\n")
    assert (good.returncode, good.stdout, good.stderr) == (0, 'sites:\n  na-tau: {n: 1, code: "03316"}  # Xã Nà Tấu\n', "1 sites\n")
    bad = run(b"code,n\n03316,1\n03317,2\n")
    assert (bad.returncode, bad.stdout) == (78, "")
    assert "s.csv:3:1: 03317" in bad.stderr
    assert run("mã\n".encode("utf-16")).returncode == 78
