"""Holding what came of a scenario against what it expects: each word of complaint, each allowance."""

from dataclasses import replace

import pytest

from netwatch.lab.faults import Expect, ExpectedDigest, ExpectedPage, Scenario
from netwatch.lab.verdict import Record, Story, judge
from netwatch.model import Cause, Incident, Page

RING = Cause("tag", "ring=north")
EXPECTED = ExpectedPage(
    since_seconds=10.0,
    open_after_seconds=12.0,
    open_before_seconds=27.0,
    named_before_seconds=60.0,
    recover_after_seconds=80.0,
    recover_before_seconds=100.0,
    cause=RING,
    sites=("alpha", "beta"),
    severity="critical",
    facts={"likely": "line"},
    updates_at_least=1,
    updates_at_most=1,
)


def incident(number=1, cause=RING, sites=("alpha", "beta"), severity="critical", audience="page", **more):
    return Incident(
        id=number, key=f"netwatch/{number}", cause=cause, sites=sites, severity=severity, audience=audience, opened=0.0, updated=0.0, **more
    )


def told(*pages, versions=None, **more):
    """A story: at 20 s one site, at 50 s the ring; `pages` are times and kinds."""
    became = incident(facts={"likely": "line"}, **more)
    first = incident(cause=Cause("site", "alpha"), sites=("alpha",), severity="warning")
    versions = versions or ((20.0, first), (50.0, became))
    number = versions[-1][1].id
    return Story(
        versions=versions, pages=tuple((at, Page(incident=replace(became, id=number), kind=kind, wall=at, pager="p")) for at, kind in pages)
    )


GOOD = told((20.0, "open"), (50.0, "update"), (90.0, "recover"))


def report(*stories, pages=(EXPECTED,), digest=(), none_else=True, most_pages=None):
    expect = Expect(pages=tuple(pages), digest=tuple(digest), none_else=none_else, most_pages=most_pages)
    records = [Record(at=at, page=page, delivered_at=at) for story in stories for at, page in story.pages]
    return judge(Scenario(name="x", duration_seconds=200.0, expect=expect), records, stories, transitions=3, runs=4)


def wrong(story, **change):
    [verdict] = report(story, pages=(replace(EXPECTED, **change),)).verdicts
    return verdict.wrong


def test_an_incident_that_became_what_was_expected_meets_it():
    assert report(GOOD).as_expected
    assert (report(GOOD).transitions, report(GOOD).runs) == (3, 4)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"cause": Cause("tag", "ring=south")}, "cause"),
        ({"cause": Cause("carrier", "ring=north")}, "cause"),
        ({"named_before_seconds": 49.0}, "named_late"),
        ({"sites": ("alpha",)}, "sites"),
        ({"sites": ("alpha", "beta", "gamma")}, "sites"),
        ({"severity": "warning"}, "severity"),
        ({"facts": {"likely": "power"}}, "facts"),
        ({"open_before_seconds": 19.0}, "late"),
        ({"open_after_seconds": 21.0}, "early"),
        ({"recover_before_seconds": 89.0}, "not_recovered"),
        ({"recover_after_seconds": 91.0}, "recovered_early"),
        ({"updates_at_least": 2, "updates_at_most": None}, "too_few_updates"),
        ({"updates_at_most": 0}, "too_many_updates"),
    ],
)
def test_each_thing_that_is_not_as_expected_has_a_word(change, word):
    assert wrong(GOOD, **change) == (word,)


@pytest.mark.parametrize(
    "change",
    [
        {"cause": Cause("tag", "")},
        {"cause": Cause("tag", "RING=North")},
        {"sites": ("beta", "alpha")},
        {"sites": None},
        {"named_before_seconds": None},
        {"recover_before_seconds": None},
        {"severity": ""},
        {"facts": {}},
        {"updates_at_most": None},
    ],
)
def test_what_is_not_said_is_not_judged(change):
    assert wrong(GOOD, **change) == ()


def test_a_cause_that_was_right_only_for_a_while_is_wrong():
    lost = (*GOOD.versions, (70.0, incident(cause=Cause("site", "alpha"), facts={"likely": "line"})))
    assert wrong(told((20.0, "open"), (50.0, "update"), (90.0, "recover"), versions=lost)) == ("cause",)
    found_again = (*lost, (75.0, GOOD.last))
    assert wrong(told((20.0, "open"), (50.0, "update"), (90.0, "recover"), versions=found_again)) == ("named_late",)


def test_sites_are_those_it_named_at_its_largest():
    shrunk = (*GOOD.versions, (85.0, replace(GOOD.last, sites=("beta",))))
    assert wrong(told((20.0, "open"), (50.0, "update"), (90.0, "recover"), versions=shrunk)) == ()


def test_a_recovery_that_is_not_the_last_word_is_none():
    assert "not_recovered" in wrong(told((20.0, "open"), (85.0, "recover"), (95.0, "update")))
    assert "not_recovered" in wrong(told((20.0, "open"), (50.0, "update")))


def test_a_thread_that_opens_twice_is_wrong():
    assert "opened_again" in wrong(told((20.0, "open"), (50.0, "update"), (60.0, "recover"), (70.0, "open"), (90.0, "recover")))


def test_one_incident_meets_one_expectation():
    twice = report(GOOD, pages=(EXPECTED, EXPECTED))
    assert [verdict.wrong for verdict in twice.verdicts] == [(), ("missed",)]
    assert twice.missing == (EXPECTED,)


def test_what_is_left_over_is_unexpected_unless_more_may_come():
    other = told((30.0, "open"), versions=((30.0, incident(2, Cause("site", "gamma"), ("gamma",))),))
    assert [page.incident.id for _, page in report(GOOD, other).unexpected] == [2]
    assert not report(GOOD, other).as_expected
    assert report(GOOD, other, none_else=False).as_expected


def test_an_incident_that_nobody_is_told_of_meets_nothing_and_is_not_unexpected():
    silent = Story(versions=GOOD.versions, pages=())
    assert report(silent, pages=()).as_expected
    assert report(silent).verdicts[0].wrong == ("missed",)


def test_an_expectation_that_is_not_met_names_the_incident_that_comes_nearest():
    late = told((40.0, "open"), (50.0, "update"), (90.0, "recover"))
    elsewhere = told((20.0, "open"), versions=((20.0, incident(2, Cause("site", "gamma"), ("gamma",))),))
    found = report(elsewhere, late)
    assert found.verdicts[0].story is late
    assert found.verdicts[0].wrong == ("late",)
    assert len(found.unexpected) == 2


def test_a_page_from_before_its_cause_began_is_not_about_it():
    before = told((9.0, "open"), (50.0, "update"), (90.0, "recover"))
    assert report(before).verdicts[0].wrong == ("missed",)


def later(**change):
    return replace(ExpectedDigest(cause=RING, sites=("alpha", "beta")), **change)


def test_what_waits_for_the_morning_must_be_there_and_page_nobody():
    waiting = Story(versions=((50.0, incident(audience="digest")),), pages=())
    assert report(waiting, pages=(), digest=[later()]).as_expected
    assert report(pages=(), digest=[later()]).not_in_digest == (later(),)
    assert not report(waiting, pages=(), digest=[later(sites=("alpha",))]).as_expected
    assert not report(waiting, pages=(), digest=[later(cause=Cause("tag", "ring=south"))]).as_expected
    assert report(GOOD, digest=[later()]).not_in_digest == (later(),)
    paged = replace(waiting, pages=GOOD.pages)
    assert report(paged, pages=(), digest=[later()], none_else=False).not_in_digest == (later(),)


def test_more_pages_than_allowed_are_too_many():
    assert report(GOOD, most_pages=3).as_expected
    assert report(GOOD, most_pages=2).too_many_pages
    assert not report(GOOD, most_pages=2).as_expected


def test_a_digest_is_not_counted_among_the_pages():
    digest = Record(at=95.0, page=Page(incident=incident(9), kind="open", wall=0.0, pager="p", about=(incident(3),)), delivered_at=95.0)
    expect = Expect(pages=(EXPECTED,), most_pages=3)
    records = [*(Record(at=at, page=page, delivered_at=at) for at, page in GOOD.pages), digest]
    assert judge(Scenario(name="x", duration_seconds=200.0, expect=expect), records, [GOOD], 0, 0).as_expected
