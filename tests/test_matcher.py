import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch.matcher import WrongMatcher, of_terms, parse
from netwatch.model import Device, Line, Site

SITE = Site(
    id="na-tau",
    name="Nà Tấu",
    district="Mường Ảng",
    tags={"ring": "dien-bien", "feeder": "371"},
    lines={
        "main": Line(id="main", address="127.0.0.1", tags={"ring": "dien-bien", "carrier": "vnpt"}),
        "backup": Line(id="backup", address="127.0.0.2", role="backup", tags={"carrier": "viettel"}),
    },
    devices={"printer1": Device(id="printer1", address="127.0.0.3", profile="printer", role="printer")},
)


@pytest.mark.parametrize(
    ("text", "target", "covers"),
    [
        ("na-tau", "", True),
        ("site=na-*", "printer1", True),
        ("pu-nhi", "", False),
        ("ring=dien-bien", "main", True),
        ("ring=dien-bien,feeder=371", "", True),
        ("ring=dien-bien feeder=373", "", False),
        ("district=Mường*", "", True),
        ("na-tau/printer1", "printer1", True),
        ("na-tau/printer1", "", False),  # a printer is not the whole site
        ("device=printer*", "main", False),
        ("role=printer", "printer1", True),
        ("role=backup", "backup", True),
        ("carrier=viettel", "backup", True),
        ("carrier=viettel", "main", False),
        ("olt=1", "", False),
        ('district="Mường Ảng"', "", True),
        ("district='Mường *',ring=dien-bien", "", True),
        ('ring="dien-bien" feeder="371"', "main", True),
        ('district="Mường Ảng, cũ"', "", False),
    ],
)
def test_all_terms_of_a_matcher_must_hold(text, target, covers):
    assert parse(text).covers(SITE, target) is covers


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "a b",
        "na-tau/x/y",
        "=x",
        "site=",
        "site=a,b",
        "x" * 201,
        "district=Mường Ảng",
        'site="',
        'site=""',
        'site="a"b',
        'site="a\nb"',
        '"na tau"',
    ],
)
def test_what_is_no_matcher_is_refused(text):
    with pytest.raises(WrongMatcher):
        parse(text)


@pytest.mark.parametrize("value", ["Mường Ảng", "a,b", "a=b", 'say "x"', "it's so", " ", "na-*", "'", 'a"b'])
def test_a_term_reads_back_whatever_its_value(value):
    made = of_terms({"site": "na-tau", "olt": value})
    assert made.terms == (("site", "na-tau"), ("olt", value))
    assert parse(str(made)) == made


@pytest.mark.parametrize(
    "terms", [{}, {"site": ""}, {"olt": "a\nb"}, {"olt": """both ' and " here"""}, {"Olt": "1"}, {"a=b": "1"}, {"olt": """a',b='\""""}]
)
def test_terms_that_cannot_be_written_are_refused(terms):
    with pytest.raises(WrongMatcher):
        of_terms(terms)


@given(st.text(st.sampled_from("ab=,' \"*/\n\u00a0-"), max_size=30) | st.text(max_size=80))
def test_any_text_is_a_matcher_that_reads_back_as_itself_or_is_refused(text):
    try:
        matcher = parse(text)
    except WrongMatcher:
        return
    assert parse(str(matcher)) == matcher
    matcher.covers(SITE, "main")
