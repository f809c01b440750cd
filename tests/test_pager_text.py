import datetime as dt
import email.utils
import json
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from netwatch.model import Secret
from netwatch.pagers import Busy, Receipt, Refused
from netwatch.pagers._http import LONGEST_REASON, Answer, failure, retry_after_seconds, said, seconds
from netwatch.pagers._options import Thread
from netwatch.pagers._text import (
    below_title,
    bytes_of,
    escaped,
    escaped_units_of,
    fitted,
    inert,
    labelled,
    units_of,
    whole,
    with_line,
)
from tests.pager_cases import NASTY, TEXT, acknowledged, page, texted
from tests.pager_services import utf16

WALL = dt.datetime(2026, 11, 24, 3, tzinfo=dt.UTC).timestamp()
SIZES = st.sampled_from([units_of, bytes_of, escaped_units_of])
# Letters of every width, halves of letters, joiners, and what is markup somewhere.
WRITTEN = st.text(st.characters(codec=None) | st.sampled_from("&<>*_`\n🔴đ\u202e\x00\ud83d\udd34\u0323"), max_size=200)


@example("🔴" * 50, 99, units_of)
@example("a&b" * 50, 10, escaped_units_of)
@given(WRITTEN, st.integers(10, 300), SIZES)
def test_what_is_cut_fits_and_begins_as_the_text_does(text, limit, size):
    cut = fitted(text, limit, size)
    assert sum(map(size, cut)) <= limit
    assert cut == text or text.startswith(cut.removesuffix("…").rstrip())
    if sum(map(size, text)) <= limit:
        assert cut == text
    else:
        assert cut.endswith("…")
        used = sum(map(size, cut))
        lost = text[len(cut) - 1 :].lstrip()[:1]
        assert not lost or used + 12 > limit or text[len(cut) - 1].isspace(), "no room is left unused"


@given(WRITTEN, st.integers(20, 300))
def test_no_entity_and_no_letter_is_cut_in_half(text, limit):
    cut = fitted(inert(text), limit, escaped_units_of)
    assert utf16(escaped(cut)) <= limit
    cut.encode("utf-8")
    assert escaped(cut).count("&") == sum(cut.count(letter) for letter in "&<>")


@given(WRITTEN)
def test_what_is_inert_has_nothing_that_acts_and_keeps_its_lines(text):
    harmless = inert(text)
    assert all(letter == "\n" or unicodedata.category(letter) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} for letter in harmless)
    assert inert(harmless) == harmless
    assert [letter for letter in harmless if letter.isalnum()] == [letter for letter in text if letter.isalnum()]


def test_escapes_controls_and_text_direction_are_gone():
    assert inert(NASTY) == "<b>x</b> & *y* _z_ `q` [l](http://evil.example) <!channel> <@U1> :fire: &lt; [2Jgnp. {0} %s"


@given(WRITTEN, WRITTEN)
def test_a_page_is_never_empty(title, body):
    assert whole(texted(body or " ", title=title)).strip()
    assert below_title(texted(body or " ", title=title)).strip()


def test_below_a_title_stands_the_rest():
    assert below_title(TEXT).startswith("Từ 02:47")
    assert below_title(texted("chỉ có vậy", title="chỉ có vậy")) == "chỉ có vậy"


@example("x" * 100, "a" * 30, 40, units_of)
@given(WRITTEN.map(inert), st.text("abc:/\n", max_size=120), st.integers(40, 300), SIZES)
def test_a_line_below_is_whole_or_left_out(text, line, limit, size):
    made = with_line(text, line, limit, size)
    assert sum(map(size, made)) <= limit
    if line and sum(map(size, f"\n{line}")) <= limit // 2:
        assert made.endswith(f"\n{line}")
    else:
        assert made == fitted(text, limit, size)


def test_buttons_are_labelled_in_the_language_of_the_pager():
    assert [label for label, _url in labelled(page(), TEXT, "vi")] == ["Tiếp nhận", "Xem"]
    assert labelled(page(), TEXT, "en") == (("Acknowledge", TEXT.acknowledge_url), ("Open", TEXT.url))
    assert labelled(page(), TEXT, "fr") == labelled(page(), TEXT, "vi")
    assert labelled(page(), texted(url="", acknowledge_url=""), "vi") == ()


def test_what_is_acknowledged_or_over_is_not_to_be_acknowledged():
    for settled in (acknowledged(), page("recover")):
        assert labelled(settled, TEXT, "vi") == (("Xem", TEXT.url),)


# --- answers


@pytest.mark.parametrize(
    ("header", "waited"),
    [
        ("Tue, 24 Nov 2026 03:02:00 GMT", 120),
        ("Tue, 24 Nov 2026 02:00:00 GMT", 0),
        ("Tue, 24 Nov 2026 03:02:00 -0000", 120),
        (" 7 ", 7),
        ("1.", 1),
        ("1e9", None),
        ("inf", None),
        ("nan", None),
        ("٣", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header, waited):
    assert retry_after_seconds(header, WALL) == waited


@given(
    st.text()
    | st.integers().map(str)
    | st.floats().map(str)
    | st.floats(0, 4e9).map(lambda wall: email.utils.formatdate(wall, usegmt=True))
)
def test_any_retry_after_is_a_bounded_number_or_nothing(header):
    waited = retry_after_seconds(header, WALL)
    assert waited is None or 0 <= waited <= 1e10


@example(float("nan"))
@example(10**400)
@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers()))
def test_a_wait_in_json_is_a_bounded_number_or_nothing(value):
    waited = seconds(value)
    assert waited is None or 0 <= waited <= 1e9
    assert (waited is None) == (isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0)


@pytest.mark.parametrize("body", [b"", b"[1]", b"\xff\xfe", b"[" * 60_000, b'{"a":' * 10_000, b"1" * 5_000, b'{"a": 1'])
def test_a_body_that_is_no_json_object_is_an_empty_one(body):
    assert Answer(200, None, body).document == {}


@given(st.integers(200, 599))
def test_a_failure_is_for_good_only_with_a_4xx_that_is_no_wait(status):
    kind = Refused if 400 <= status < 500 and status not in {407, 408, 420, 425, 429} else Busy
    assert isinstance(failure(status, 5, "x"), kind)


@example("x" * 500, "abcd")
@given(st.text() | st.none() | st.integers(), st.text("abcXYZ019:_-/", min_size=4, max_size=40))
def test_a_stranger_s_reason_is_one_short_line_without_our_secrets(reason, secret):
    told = said(reason, Secret(secret), Secret(""))
    assert len(told) <= LONGEST_REASON
    assert "\n" not in told
    assert secret not in said(f"{reason}{secret}{reason}", Secret(secret))


def test_a_secret_is_found_in_spite_of_what_is_hidden_inside_it():
    assert said("bad to\u200bken-123\x00", Secret("token-123")) == "bad …"
    assert said("bad token", Secret("")) == "bad token", "no secret is no secret"


# --- receipts


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_a_receipt_leads_back_to_its_thread(destination, actual, message):
    thread = Thread("telegram", destination, actual, message)
    assert Thread.read(thread.receipt(), "telegram", destination) == thread
    assert Thread.read(thread.receipt(), "slack", destination) is None
    assert Thread.read(thread.receipt(), "telegram", destination + "x") is None


@given(st.text() | st.lists(st.text() | st.integers(), max_size=5).map(json.dumps))
def test_any_other_receipt_is_none_at_all(written):
    assert Thread.read(Receipt(written), "telegram", "-1001") is None


def test_no_receipt_is_no_thread():
    assert Thread.read(None, "telegram", "-1001") is None
