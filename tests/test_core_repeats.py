"""What nobody has acknowledged is said again, when the page before said it would be."""

import pytest

from netwatch import core
from netwatch.model import Rule, Sample, Tick
from tests.test_core_outages import SITES, go_on, ring, say, told
from tests.worlds import WALL, Story, inventory


def test_each_page_says_when_it_will_be_said_again_and_it_is():
    story = told(ring(*SITES))
    go_on(story, 2_800, dark=SITES[:1])
    opened, first, second = story.pages
    assert opened.incident.next_repeat - opened.wall == pytest.approx(900)
    assert first.wall == pytest.approx(opened.incident.next_repeat, abs=1.0)
    assert second.wall == pytest.approx(first.incident.next_repeat, abs=1.0)
    assert [page.incident.reminds for page in story.pages] == [False, True, True]


def test_news_after_a_reminder_is_no_reminder():
    story = told(ring(*SITES))
    go_on(story, 1_000, dark=SITES[:1])
    go_on(story, 5)
    go_on(story, 20, dark=SITES[:1])
    assert [(page.kind, page.incident.reminds) for page in story.pages] == [
        ("open", False), ("update", True), ("recover", False), ("update", False),
    ]  # fmt: skip
    *_, over, again = story.pages
    assert over.incident.next_repeat is None
    assert again.incident.next_repeat == pytest.approx(again.wall + 900)


def test_what_somebody_has_taken_is_not_said_again():
    story = told(ring(*SITES))
    go_on(story, 1_000, dark=SITES[:3])
    say(story, "acknowledge", incident=story.pages[0].incident.id)
    go_on(story, 4_000, dark=SITES[:3])
    assert len(story.pages) == 2


def hot():
    known = inventory("na-tau", rules=(Rule(name="hot", metric="degrees", warn=50.0, crit=70.0),))
    story = Story(core.World(inventory=known, pagers=("noc",)))
    story.all_ok()
    return story


def for_minutes(story, minutes, degrees):
    for _ in range(minutes):
        story.say("na-tau/printer/snmp", after=60.0, samples=(Sample("degrees", (degrees,)),))
        story.effects.append(core.step(story.world, Tick(at=story.at, wall=WALL + story.at)))


def test_what_grows_critical_after_its_first_page_is_said_again_too():
    story = hot()
    for_minutes(story, 30, 60.0)
    assert [(page.kind, page.incident.severity, page.incident.next_repeat) for page in story.pages] == [("open", "warning", None)]
    for_minutes(story, 20, 80.0)
    _, worse, reminder = story.pages
    assert (worse.incident.severity, worse.incident.reminds) == ("critical", False)
    assert worse.incident.next_repeat == pytest.approx(worse.wall + 900)
    assert reminder.incident.reminds
    assert reminder.wall == pytest.approx(worse.incident.next_repeat, abs=61.0)


def test_what_grows_critical_in_somebody_s_hands_is_not_said_again():
    story = hot()
    for_minutes(story, 5, 60.0)
    say(story, "acknowledge", incident=story.pages[0].incident.id)
    for_minutes(story, 30, 80.0)
    assert [(page.kind, page.incident.next_repeat) for page in story.pages] == [("open", None), ("update", None)]


def test_a_warning_that_comes_back_is_told_once():
    story = hot()
    for degrees in (60.0, 20.0, 60.0):
        for_minutes(story, 10, degrees)
    for_minutes(story, 30, 60.0)
    assert [(page.kind, page.incident.next_repeat) for page in story.pages] == [("open", None), ("recover", None), ("update", None)]
