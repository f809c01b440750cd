"""Reading YAML: nothing silently lost or changed, every value with its place, and hostile files refused quickly."""

import os
import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from netwatch import _yaml
from netwatch._complaint import Complaint, Place, closest, dotted


def parsed(text):
    document = _yaml.parse(text if isinstance(text, bytes) else text.encode(), "f.yaml")
    assert not document.complaints, [complaint.line("en") for complaint in document.complaints]
    return document.value


def complaints(text):
    try:
        return tuple(_yaml.parse(text if isinstance(text, bytes) else text.encode(), "f.yaml").complaints)
    except _yaml.YamlRefused as refused:
        return refused.complaints


def only(text):
    found = complaints(text)
    assert len(found) == 1, [complaint.line("en") for complaint in found]
    return found[0]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("NO", "NO"),
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("22:30", "22:30"),
        ("11:22:33:44:55:56", "11:22:33:44:55:56"),
        ("010", "010"),
        ("03127", "03127"),
        ("0x1F", "0x1F"),
        ("0o17", "0o17"),
        ("1_000", "1_000"),
        (".10", ".10"),
        ("2026-11-24", "2026-11-24"),
        ('"03127"', "03127"),
        ("'5'", "5"),
        ("=", "="),
        ("1" * 30, "1" * 30 and float("1" * 30)),
        ("null", None),
        ("~", None),
        ("true", True),
        ("FALSE", False),
        ("0", 0),
        ("-17", -17),
        ("5", 5),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("Điện Biên", "Điện Biên"),
    ],
)
def test_scalars_are_what_a_person_means(written, meant):
    value = parsed(f"a: {written}\n")["a"]
    assert value == meant
    assert type(value) is type(meant)


def test_keys_are_always_text():
    assert parsed("no: 1\n5: 2\ntrue: 3\nnull: 4\n") == {"no": 1, "5": 2, "true": 3, "null": 4}


def test_a_key_given_twice_names_both_lines():
    complaint = only("a: 1\nb:\n  c: 1\n  d: 2\n  c: [x, {y: 3}]\n")
    assert (complaint.key, complaint.path, complaint.place.line, complaint.place.column) == ("duplicate_key", "b.c", 5, 3)
    assert complaint.fields == {"name": "c", "line": "3"}


def test_the_first_of_two_equal_keys_keeps_its_value_and_place():
    document = _yaml.parse(b"a: {x: 1}\na: {x: 2, z: {q: 1}}\n", "f.yaml")
    assert document.value == {"a": {"x": 1}}
    assert document.place(("a", "x")).line == 1
    assert ("a", "z") not in document.marks


def test_what_stands_in_a_refused_key_does_not_move_others():
    document = _yaml.parse(b"x: 1\n? {x: 2}\n: 3\n", "f.yaml")
    assert [complaint.key for complaint in document.complaints] == ["key_not_text"]
    assert (document.value, document.place(("x",)).line) == ({"x": 1}, 1)


def test_a_byte_order_mark_at_the_start_is_not_part_of_the_text():
    document = _yaml.parse("\ufeffa: 1\nb: 2\n".encode(), "f.yaml")
    assert (document.value, document.place(("a",), key=True).column) == ({"a": 1, "b": 2}, 1)


def test_windows_and_old_mac_line_ends_are_line_ends():
    document = _yaml.parse("a: 1\r\nb: 2\rđ: 3\r\n".encode(), "f.yaml")
    assert (document.value, document.complaints) == ({"a": 1, "b": 2, "đ": 3}, [])
    assert document.place(("đ",)).source == ((2, "b: 2"), (3, "đ: 3"))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("a: &x 1\n", "anchor"),
        ("a: *x\n", None),
        ("a: {<<: {b: 1}}\n", "merge"),
        ("a: !!str 5\n", "tag"),
        ("a: !!python/object:os.system {}\n", "tag"),
        ("a: !env X\n", "tag"),
        ("a: 1\n---\nb: 2\n", "several_documents"),
        ("{{7*7}}: 1\n", "key_not_text"),
        ("? [a, b]\n: 1\n", "key_not_text"),
        ("a:\n", "empty_value"),
        ("a: [1, , 2]\n", None),
        ("a: .nan\n", "not_finite"),
        ("a: -.inf\n", "not_finite"),
        ("a: 1e400\n", "not_finite"),
        ("a:\n\t- 1\n", "tab"),
        ("a: \u200bx\n", "unprintable"),
        ("a: \u202ex\n", "unprintable"),
        ("a: \ufeffx\n", "unprintable"),
        ("a: \x07\n", "unprintable"),
        ("a: \x85b\n", "unprintable"),
        ('a: "\\0"\n', "unprintable"),
        ('a: "\\u202e"\n', "unprintable"),
        ("\ufeff\ufeffa: 1\n", "unprintable"),
        ("a: 1\n".encode("utf-16"), "encoding"),
        ("a: 1\n".encode("utf-16-le"), "nul"),
        ("a: 1\0\n", "nul"),
        ("a: Đ\n".encode("cp1258"), "not_utf8"),
        ("ten: trực\na: \xe9\n".encode("latin-1", "replace"), "not_utf8"),
        ("a: b: c\n", "syntax_colon"),
        ("a: [1, 2\nb: 3\n", "syntax_bracket"),
        ('a: "x\n', "syntax_quote"),
        ("a: @x\n", "syntax_character"),
        ("a: 'x'y\n", "syntax_indent"),
        ("a: 1\nb\n", "syntax_key"),
        ('a: "\\q"\n', "syntax_escape"),
    ],
)
def test_what_is_refused_says_so(text, key):
    found = complaints(text)
    assert found
    assert key is None or found[0].key == key
    for complaint in found:
        for language in ("vi", "en"):
            assert complaint.line(language).startswith("f.yaml")


def test_an_alias_is_refused_but_reading_goes_on():
    found = complaints("a: &x {b: 1}\nc: *x\nd: .nan\n")
    assert [complaint.key for complaint in found] == ["anchor", "alias", "not_finite"]


def test_an_alias_bomb_and_a_recursive_alias_are_refused():
    bomb = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 26))
    assert {complaint.key for complaint in complaints(bomb)} == {"anchor", "alias"}
    assert {complaint.key for complaint in complaints("a: &x [*x]\n")} == {"anchor", "alias"}


@pytest.mark.parametrize(
    "text",
    ["[" * 2000, "- " * 2000, "[" * 1_000_000, "{a: " * 2000, "? " * 2000, "a:\n" + "".join(" " * n + "-\n" for n in range(1, 2000))],
)
def test_what_is_nested_too_deep_is_refused_at_once(text):
    began = time.process_time()
    assert complaints(text)[-1].key == "too_deep"
    assert time.process_time() - began < 20, "it must not be read to the end"  # it takes milliseconds


def test_twenty_levels_are_allowed_and_twenty_one_are_not():
    assert parsed("[" * 20 + "]" * 20) is not None
    assert only("[" * 21 + "]" * 21).key == "too_deep"


def test_a_file_of_200_mb_is_refused_without_being_read(tmp_path):
    path = tmp_path / "big.yaml"
    with path.open("wb") as file:
        file.truncate(200_000_000)
    with pytest.raises(_yaml.YamlRefused) as refused:
        _yaml.read(path)
    assert [complaint.key for complaint in refused.value.complaints] == ["file_too_large"]


def test_what_cannot_be_read_is_told_apart(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").write_text("a: 1\n")
    cases = {
        "missing": "file_missing",
        ".": "file_directory",
        "pipe": "file_not_regular",
        "dangling": "file_missing",
        "file/inside": "file_error",
        "a\0b": "file_error",
        "x" * 300: "file_error",
    }
    for name, key in cases.items():
        with pytest.raises(_yaml.YamlRefused) as refused:
            _yaml.read(tmp_path / name)
        assert (refused.value.unreadable, refused.value.complaints[0].key) == (True, key), name


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "f.yaml"
    path.write_text("a: 1\n")
    real = os.fstat

    def later(number):
        with path.open("a") as file:
            file.write("b: 2\n")
        return real(number)

    monkeypatch.setattr(os, "fstat", later)
    with pytest.raises(_yaml.YamlRefused) as refused:
        _yaml.read(path)
    assert refused.value.complaints[0].key == "file_changing"


def test_places_count_from_one_in_characters():
    document = _yaml.parse("# Điện\nđ: [Biên, {ê: x}]\n".encode(), "f.yaml")
    assert str(document.place(("đ", 1, "ê"))) == "f.yaml:2:15"
    assert str(document.place(("đ", 1, "ê"), key=True)) == "f.yaml:2:12"
    assert str(document.place(("đ", 1, "missing", "deeper"))) == "f.yaml:2:11"
    assert document.place(("đ", 0)).width == 4
    assert document.unquoted(("đ", 0))


def test_a_complaint_shows_its_line_with_carets_under_the_word():
    document = _yaml.parse(b"sites:\n  sam-mun:\n    pritority: 1\n", "inventory.yaml")
    place = document.place(("sites", "sam-mun", "pritority"), key=True)
    complaint = Complaint(place=place, path="sites.sam-mun.pritority", key="unknown_key", hint="priority")
    assert complaint.block("vi").splitlines() == [
        "inventory.yaml:3:5: sites.sam-mun.pritority: khoá không có trong lược đồ",
        "    2 |   sam-mun:",
        "    3 |     pritority: 1",
        '            ^^^^^^^^^ ý bạn là "priority"?',
    ]
    assert complaint.line("vi").endswith('lược đồ; ý bạn là "priority"?')


@pytest.mark.parametrize(
    "source", ["snmp: {community: hush, x: 1}", 'secret: "hush"', "  token: hush", "password: 'hush'", "secrets: [hush, hush]"]
)
def test_a_quoted_line_never_shows_a_secret(source):
    complaint = Complaint(place=Place("f", 1, 1, 4, ((1, source),)), key="missing")
    assert "hush" not in complaint.block("en")


def test_a_quoted_reference_is_no_secret():
    complaint = Complaint(place=Place("f", 1, 1, 4, ((1, 'community: "${NAME}"'),)), key="missing")
    assert "${NAME}" in complaint.block("en")


def test_helpers_speak_of_paths_and_likely_words():
    assert dotted(("a", "b", 0, "c")) == "a.b[0].c"
    assert closest("Pritority", ["priority", "parent"]) == "priority"
    assert closest("zzz", ["priority"]) == ""


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.text(st.characters(codec="utf-8", min_codepoint=0x20, max_codepoint=0x1EFF), max_size=12)
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcxyz-", min_size=1, max_size=5), inner, max_size=4),
    max_leaves=15,
)


@given(TREES)
def test_json_like_data_written_by_another_comes_back_the_same(tree):
    text = yaml.safe_dump({"root": tree}, allow_unicode=True, default_style='"' if isinstance(tree, str) else None)
    try:
        value = _yaml.parse(text.encode(), "f.yaml")
    except _yaml.YamlRefused:
        return
    if not value.complaints and "!!" not in text:
        assert _untyped(value.value["root"]) == _untyped(tree)


def _untyped(tree):
    """safe_dump leaves 03127 or 22:30 unquoted now and then, which stock YAML would read as numbers."""
    if isinstance(tree, dict):
        return {str(key): _untyped(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_untyped(value) for value in tree]
    return str(tree)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_read_or_refused(data):
    try:
        document = _yaml.parse(data, "f.yaml")
    except _yaml.YamlRefused as refused:
        found = refused.complaints
    else:
        found = document.complaints
    for complaint in found:
        assert complaint.block("vi")
        assert complaint.block("en")


@given(st.text("abc: -[]{},#&*!|>'\"%@`\n\t?<~01.e\\", max_size=80))
def test_any_text_of_yaml_signs_is_read_or_refused(text):
    try:
        document = _yaml.parse(text.encode(), "f.yaml")
    except _yaml.YamlRefused as refused:
        found = refused.complaints
    else:
        found = document.complaints
        assert all(document.place(path).line >= 1 for path in document.marks)
    assert all(complaint.block("vi") and complaint.block("en") for complaint in found)
