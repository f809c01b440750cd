import dataclasses
import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch import inventory
from netwatch._delivery_lanes import Desk, Timing
from netwatch.lang import LANGUAGES, catalog
from netwatch.model import Acknowledgement, Cause, Incident, Page, Settings
from netwatch.wording import LONGEST_SMS, LONGEST_TITLE, describe, describe_digest, one_segment
from netwatch.wording.overrides import fault_of, shipped
from tests.inventories import compose
from tests.test_inventory_tools import run

SITE = Incident(
    id=7, key="netwatch/na-tau", cause=Cause("site", "na-tau"), sites=("na-tau",), severity="critical", opened=1e9, updated=1e9
)  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_shipped_text_would_pass_as_one_s_own(language):
    assert shipped(language)
    assert {key: fault for key, text in shipped(language).items() if (fault := fault_of(language, key, text))} == {}


@pytest.mark.parametrize(
    ("key", "text", "problem"),
    [
        ("open_sight", "{icon} {site}", "unknown_key"),
        ("open_site", 7, "not_text"),
        ("open_site", " ", "not_text"),
        ("open_site", "{icon} {site}\n{clock}", "not_one_line"),
        ("open_site", "{icon} {site}\u202e", "not_one_line"),
        ("open_site", "{icon} {site", "braces"),
        ("open_site", "{icon} {site.__class__}", "braces"),
        ("open_site", "{icon} {site!r}", "braces"),
        ("open_site", "{icon} {site:>999999999}", "braces"),
        ("open_site", "{icon} {0}", "braces"),
        ("open_site", "{icon} {site} {phone}", "unknown_field"),
        ("open_site", "{icon} mất kết nối từ {clock}", "missing_field"),
        ("open_site", "{icon} {site} " + "rất " * 15, "too_long"),
    ],
)
def test_a_text_that_would_harm_a_page_is_refused(key, text, problem):
    fault = fault_of("vi", key, text)
    assert fault is not None
    assert fault.problem == problem
    for language in LANGUAGES:
        assert catalog(language).text(f"inventory.text_{problem}", **fault.fields)


def test_one_s_own_words_stand_in_the_page():
    texts = {"open_site": "{icon} MẤT: {site}"}
    assert describe(SITE, "open", "vi", wall=1e9, texts=texts).title == "🔴 MẤT: na-tau"


@given(text=st.text(max_size=80), key=st.sampled_from(sorted(shipped("vi"))), kind=st.sampled_from(["open", "update", "recover"]))
def test_whatever_passes_gives_a_page(text, key, kind):
    if fault_of("vi", key, text) is None:
        made = dataclasses.replace(SITE, facts={"carrier": "vnpt", "hotline": "1", "neighbours": "A"}, flapping=key.startswith("flapping"))
        assert 0 < len(describe(made, kind, "vi", wall=1e9, page_url="https://nw", texts={key: text}).title) <= LONGEST_TITLE


def examined(folder, **files):
    (folder / "inventory.yaml").write_text(compose(), "utf-8")
    (folder / "texts").mkdir()
    for name, content in files.items():
        (folder / "texts" / f"{name}.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    loaded, warnings = inventory.examine(folder / "inventory.yaml", environment={})
    told = [warning.line("en").removeprefix(f"{folder}/texts/") for warning in warnings if "/texts/" in str(warning.place)]
    for warning in warnings:
        assert warning.block("vi")
    return loaded.settings.texts, told


def test_a_bad_text_is_told_with_its_file_line_and_key_and_the_rest_is_used(tmp_path):
    own = json.dumps({"unclear": "Chưa biết.", "opne_site": "x", "circuit": "kênh"}, indent=1)
    texts, told = examined(tmp_path, vi=own, fr="{}")
    assert texts["vi"] == {"unclear": "Chưa biết."}
    assert [line.partition(";")[0] for line in told] == [
        "fr.json: must be called after a language (vi, en), then .json",
        "vi.json:3:2: opne_site: pages have no text called opne_site",
        "vi.json:4:2: circuit: lacks the field circuit, which a reader needs",
    ]
    assert told[1].endswith('did you mean "open_site"?')


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("[\n", "en.json:2:1: not JSON"),
        ('{"unclear": "x",\n}', "en.json:2:1: not JSON"),
        ("[]", "en.json:1:1: not JSON"),
        ("", "en.json:1:1: not JSON"),
        ('{"unclear": ' + "[" * 200_000, "en.json: not JSON"),
        ('{"unclear": ' + "9" * 5_000 + "}", "en.json: not JSON"),
        ("Chưa".encode("utf-16"), "en.json: byte 0 is not UTF-8"),
        (" " * 1_000_001, "en.json: larger than 1 MB"),
        ('{"unclear": "A.",\n "unclear": "B."}', "en.json:2:2: unclear: stands twice"),
        ('{"unclear": {"unclear": "B."}}', "en.json:1:14: unclear: must be a text"),
    ],
)
def test_a_file_that_is_no_table_of_texts_is_told_and_stops_nothing(tmp_path, content, place):
    texts, told = examined(tmp_path, en=content)
    assert len(told) == 1
    assert told[0].startswith(place)
    assert texts.get("en", {}) in ({}, {"unclear": "A."})


def test_a_folder_in_place_of_a_file_stops_nothing(tmp_path):
    (tmp_path / "inventory.yaml").write_text(compose(), "utf-8")
    (tmp_path / "texts" / "vi.json").mkdir(parents=True)
    loaded, warnings = inventory.examine(tmp_path / "inventory.yaml", environment={})
    assert loaded.settings.texts == {}
    assert any("vi.json: cannot be read: Is a directory" in warning.line("en") for warning in warnings)


@pytest.mark.parametrize(
    "written", [json.dumps, lambda own: "\ufeff" + json.dumps(own, ensure_ascii=False, indent="\t").replace("\n", "\r\n")]
)
def test_json_as_other_programs_write_it_is_read(tmp_path, written):
    own = {"digest_title": "🔵 Bản tin {day}: {open} việc", "unclear": unicodedata.normalize("NFD", "Chưa rõ vì sao.")}
    texts, told = examined(tmp_path, vi=written(own))
    assert told == []
    assert texts["vi"] == {**own, "unclear": "Chưa rõ vì sao."}


def test_wrong_texts_are_told_beside_what_is_wrong_in_the_inventory(tmp_path):
    (tmp_path / "inventory.yaml").write_text("version: 1\n", "utf-8")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "vi.json").write_text("[", "utf-8")
    with pytest.raises(inventory.InventoryRefused) as refused:
        inventory.load(tmp_path / "inventory.yaml", environment={})
    assert any(warning.key == "text_not_json" for warning in refused.value.warnings)


def test_a_title_of_one_s_own_without_an_icon_keeps_its_first_word_in_an_sms_and_a_digest():
    texts = {"open_site": "{site} mất mạng", "digest_title": "Sáng {day}: {open} việc"}
    assert (
        describe(dataclasses.replace(SITE, facts={"site_name": "Nà Tấu"}), "open", "vi", wall=1e9, texts=texts).sms == "Na Tau mat mang #7"
    )
    digest = Incident(
        id=8, key="netwatch/digest/2001-09-09", cause=Cause("netwatch", "digest"), sites=(), severity="info", opened=1e9, updated=1e9
    )  # fmt: skip
    page = Page(incident=digest, kind="open", wall=1e9, pager="noc", about=(dataclasses.replace(SITE, facts={"site_name": "Nà Tấu"}),))
    told = describe_digest(page, "vi", texts=texts)
    assert "- Nà Tấu mất mạng, từ" in told.body
    assert told.sms.startswith("Sang ")


@given(text=st.text())
def test_an_sms_has_only_letters_that_count_once(text):
    said = one_segment(text)
    assert len(said) <= LONGEST_SMS
    assert said.isascii()
    assert not set(said) & set("[]{}\\|^~`\n\r\t\x1b")


def test_an_icon_is_left_out_of_an_sms_and_what_it_cannot_say_is_marked():
    assert one_segment("🔴 Nà Tấu – 5 °C… — ♥️ №7") == "Na Tau - 5 C... - No7"
    assert one_segment("cổng Ж") == "cong ?"
    assert one_segment("x" * 161) == "x" * 157 + "..."


@pytest.mark.parametrize(
    ("written", "told"),
    [("", " · điện lực 19006769"), ('power_hotline: "0215 3825 000"', " · điện lực 0215 3825 000"), ('power_hotline: ""', "")],
)
def test_whom_to_ring_about_power_is_what_the_inventory_says(tmp_path, written, told):
    (tmp_path / "inventory.yaml").write_text(f"{compose()}\n{written}\n", "utf-8")
    hotline = inventory.load(tmp_path / "inventory.yaml", environment={}).settings.power_hotline
    dark = dataclasses.replace(SITE, facts={"likely": "power", "contact": "Trực ca A"})
    assert f"\nLiên hệ: Trực ca A{told}\n" in describe(dark, "open", "vi", wall=1e9, page_url="https://nw", power_hotline=hotline).body


def test_the_texts_that_the_command_prints_can_be_used_as_they_are(tmp_path):
    printed = run("texts")
    assert printed.returncode == 0
    texts, told = examined(tmp_path, en=printed.stdout)
    assert told == []
    assert texts["en"] == shipped("en")


def test_the_example_of_the_docs_is_sound():
    docs = (Path(__file__).parent.parent / "docs" / "texts.md").read_text("utf-8")
    example = json.loads(docs.partition("```json\n")[2].partition("```")[0])
    assert len(example) > 1
    assert {key: fault for key, text in example.items() if (fault := fault_of("vi", key, text))} == {}


def test_a_title_may_be_as_long_as_a_lock_screen_shows_and_no_longer():
    room = "x" * (LONGEST_TITLE - len("🔴 Mường Nhé "))
    assert fault_of("vi", "open_site", f"{{icon}} {{site}} {room}") is None
    assert fault_of("vi", "open_site", f"{{icon}} {{site}} {room}x").problem == "too_long"


def test_the_desk_of_delivery_words_pages_as_the_settings_say():
    own = {"vi": {"open_site_power": "{icon} {site}: mất điện"}}
    desk = Desk(wall=lambda: 1e9, timing=Timing(), settings=Settings(texts=own, power_hotline="0215 3825 000"))
    dark = dataclasses.replace(SITE, facts={"likely": "power"})
    text = desk.text(dark, "open", "vi", 1e9)
    assert text.title == "🔴 na-tau: mất điện"
    assert "điện lực 0215 3825 000" in text.body
    assert "power out" in desk.text(dark, "open", "en", 1e9).title


@pytest.mark.parametrize(
    ("changes", "is_told"),
    [
        ({}, True),
        ({"next_repeat": 1e9 - 1}, False),
        ({"flapping": True}, False),
        ({"acknowledgement": Acknowledgement(who="an", wall=1e9)}, False),
    ],
)
def test_a_repeat_is_only_promised_where_there_will_be_one(changes, is_told):
    one = dataclasses.replace(SITE, **{"next_repeat": 1e9 + 900, **changes})
    assert ("Nhắc lại lúc" in describe(one, "update", "vi", wall=1e9).body) == is_told
