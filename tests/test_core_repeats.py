"""What nobody has acknowledged is said again, when the page before said it would be."""

import pytest

from tests.test_core_outages import SITES, go_on, ring, say, told


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
