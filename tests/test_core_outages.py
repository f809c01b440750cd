"""What the scenarios of the bench do not reach: restarts of the core's own memory, clocks, and bounds."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch import core
from netwatch.core._world import Timer, Window
from netwatch.model import Belief, Human, Outcome, Reloaded, Tick
from tests.worlds import WALL, Story, inventory

FAILED = Outcome.FAILED
SITES = ("na-tau", "pu-nhi", "thanh-an", "sam-mun")


def ring(*sites, page_after=0.0):
    """Each site with one line in the same ring, and a fifth and a sixth elsewhere."""
    known = inventory(*sites, "far", "away")
    places = {
        name: replace(
            site, lines={"line": replace(site.lines["line"], tags={"ring": "r" if name in sites else name})}, page_after_seconds=page_after
        )
        for name, site in known.sites.items()
    }
    return replace(known, sites=places)


def told(known):
    story = Story(core.World(inventory=known, pagers=("noc",)))
    story.all_ok()
    return story


def silence(story, matcher, seconds):
    wall = WALL + story.at
    return core.step(
        story.world, Human(at=story.at, wall=wall, action="silence", who="An", via="cli", matcher=matcher, until=wall + seconds)
    )


def line(site):
    return f"{site}/line/icmp"


def go_on(story, seconds, dark=(), tick=True):
    """Second by second: what is dark fails, everything else answers."""
    for _ in range(int(seconds)):
        story.at += 1.0
        for site in story.world.inventory.sites:
            story.say(line(site), FAILED if site in dark else Outcome.OK, duration=0.05)
        if tick:
            story.effects.append(core.step(story.world, Tick(at=story.at, wall=WALL + story.at)))


def say(story, action, **more):
    story.effects.append(core.step(story.world, Human(at=story.at, wall=WALL + story.at, action=action, who="an", **more)))


def kinds(story):
    return [(page.kind, page.incident.cause.name) for page in story.pages]


def test_a_ring_is_one_page_and_ends_when_its_last_line_is_back():
    story = told(ring(*SITES))
    go_on(story, 20, dark=SITES)
    assert kinds(story) == [("open", "ring=r")]
    go_on(story, 10, dark=SITES[:1])
    assert len(story.pages) == 1
    go_on(story, 5)
    assert kinds(story)[1:] == [("recover", "ring=r")]
    assert set(story.pages[0].incident.sites) == set(SITES)


def test_what_stays_down_when_the_ring_is_back_gets_a_page_of_its_own():
    story = told(ring(*SITES))
    go_on(story, 20, dark=SITES)
    go_on(story, 60, dark=SITES[:1])
    assert kinds(story)[1:] == [("recover", "ring=r"), ("open", "na-tau")]


def test_all_far_lines_silent_is_our_own_isolation_and_no_site_is_blamed():
    story = told(ring(*SITES))
    everywhere = tuple(story.world.inventory.sites)
    go_on(story, 40, dark=everywhere)
    assert kinds(story) == [("open", "isolated")]
    go_on(story, 3, dark=SITES)  # two lines answer: we can see, and the ring is dark
    assert kinds(story)[1] == ("recover", "isolated")
    go_on(story, 10, dark=SITES)
    assert kinds(story)[2:] == [("open", "ring=r")]


def test_page_after_holds_the_first_page_and_a_short_outage_is_never_told():
    story = told(ring(*SITES, page_after=60.0))
    go_on(story, 50, dark=SITES[:1])
    go_on(story, 10)
    assert story.pages == []
    go_on(story, 1_000)
    began = story.at
    go_on(story, 80, dark=SITES[:1])
    (page,) = story.pages
    assert 55 <= page.wall - WALL - began <= 62


def test_a_silence_is_kept_over_a_restart_and_ends_by_the_wall_clock():
    story = told(ring(*SITES))
    say(story, "silence", matcher="ring=r", until=WALL + story.at + 600, note="đo thử")
    remembered = core.dump(story.world, story.at, WALL + story.at)
    again = Story(core.World(inventory=story.world.inventory, pagers=("noc",)), at=5.0)  # another monotonic clock
    core.restore(again.world, story.world.memories, (), 1, remembered=remembered, at=again.at, wall=WALL + story.at)
    (window,) = again.world.windows.values()
    assert (window.kind, window.matcher, window.who, window.note) == ("silence", "ring=r", "an", "đo thử")


def test_nobody_is_told_again_of_what_somebody_has_taken_and_it_ends_with_the_incident():
    story = told(ring(*SITES))
    go_on(story, 20, dark=SITES[:1])
    say(story, "acknowledge", incident=story.pages[0].incident.id, note="đang đi")
    go_on(story, 3_000, dark=SITES[:1])
    assert len(story.pages) == 1
    go_on(story, 5)
    assert story.pages[1].incident.acknowledgement.who == "an"
    go_on(story, 1_000)
    go_on(story, 20, dark=SITES[:1])
    assert story.pages[2].kind == "open"
    assert story.pages[2].incident.acknowledgement is None


def test_an_outage_nobody_takes_is_repeated_after_fifteen_and_forty_five_minutes():
    story = told(ring(*SITES))
    go_on(story, 2_800, dark=SITES[:1])
    opened, *repeats = story.pages
    assert [page.kind for page in repeats] == ["update", "update"]
    assert [round((page.wall - opened.wall) / 60) for page in repeats] == [15, 45]


@pytest.mark.parametrize(("until", "matcher"), [(None, "na-tau"), (-1.0, "na-tau"), (400 * 86_400.0, "na-tau"), (60.0, "a b")])
def test_a_silence_without_an_end_or_a_meaning_is_none(until, matcher):
    story = told(ring(*SITES))
    say(story, "silence", matcher=matcher, until=None if until is None else WALL + story.at + until)
    assert not story.world.windows
    assert not story.effects[-1]


def test_what_a_person_did_is_in_the_effects_and_what_had_no_effect_is_not():
    story = told(ring(*SITES))
    say(story, "acknowledge", incident=99)
    assert not story.effects[-1].humans
    say(story, "maintenance", matcher="na-tau", until=WALL + story.at + 60, note="thay UPS")
    assert [human.window for human in story.effects[-1].humans] == [1]
    say(story, "end", window=1)
    go_on(story, 20, dark=SITES[:1])
    assert kinds(story) == [("open", "na-tau")]


TIMES = st.floats(0, 1e9)


@given(
    st.dictionaries(
        st.integers(1, 50), st.builds(Timer, page_at=st.none() | TIMES, update_at=st.none() | TIMES, repeat_at=st.none() | TIMES)
    ),
    st.floats(0, 1e8),
    st.floats(-7_200, 7_200),
)
def test_a_clock_that_was_set_never_puts_a_page_off_beyond_its_wait(timers, at, step):
    known = ring(*SITES)
    world = core.World(inventory=known)
    world.timers = dict(timers)
    world.windows = {3: Window(id=3, kind="silence", matcher="site=na-tau", starts=0.0, ends=9e9, who="an")}
    text = core.dump(world, at, WALL)
    fresh = core.World(inventory=known)
    core.restore(fresh, {}, (), 1, remembered=text, at=7.0, wall=WALL + step)
    assert fresh.windows == world.windows
    assert fresh.next_window_id > 3
    for number, timer in timers.items():
        for name in ("page_at", "update_at", "repeat_at"):
            before, after = getattr(timer, name), getattr(fresh.timers[number], name)
            assert (before is None) is (after is None)
            if before is not None:
                assert after - 7.0 <= max(before - at, 0.0) + 1e-3 * max(1.0, abs(before)) or after <= 7.0 + (before - at) + 1.0


@given(st.text(max_size=200) | st.sampled_from(["null", "[]", "{}", '{"wall": 1}', '{"timers": {"x": {}}}', '{"wall": "x"}']))
def test_what_is_no_stored_world_is_refused_and_changes_nothing(text):
    world = core.World(inventory=ring(*SITES))
    if not text:
        return
    with pytest.raises(ValueError):  # noqa: PT011  # JSONDecodeError and ours are both one
        core.restore(world, {}, (), 1, remembered=text, at=1.0, wall=WALL)
    assert not world.windows
    assert not world.timers


def test_a_line_that_is_in_maintenance_says_nothing_of_its_ring():
    story = told(ring(*SITES))
    say(story, "maintenance", matcher="na-tau", until=WALL + story.at + 6_000, note="dời trụ sở")
    go_on(story, 20, dark=SITES[:1])
    assert story.pages == []
    go_on(story, 20, dark=SITES[:2])
    assert kinds(story) == [("open", "pu-nhi")]


def test_two_lines_of_one_site_have_a_line_that_serves_told_of():
    known = inventory(*SITES, lines=("line", "backup"))
    story = Story(core.World(inventory=known, pagers=("noc",)))
    story.all_ok()
    for _ in range(20):
        story.at += 1.0
        for check in known.checks:
            if check.endswith(("line/icmp", "backup/icmp")):
                story.say(check, FAILED if check == line("na-tau") else Outcome.OK, duration=0.05)
        story.effects.append(core.step(story.world, Tick(at=story.at, wall=WALL + story.at)))
    (page,) = story.pages
    assert (page.incident.cause.type, page.incident.cause.name, page.incident.severity) == ("line", "na-tau/line", "warning")
    assert page.incident.facts["other_line"] == "backup"
    assert story.world.memories[line("na-tau")].answers.belief is Belief.CRIT


def test_a_reload_that_leaves_too_little_to_look_at_ends_isolation():
    story = told(inventory(*SITES))
    go_on(story, 40, dark=SITES)
    assert kinds(story) == [("open", "isolated")]
    smaller = inventory("na-tau")
    story.effects.append(core.step(story.world, Reloaded(at=story.at, wall=WALL + story.at, generation=1, new=smaller)))
    go_on(story, 30, dark=("na-tau",))
    assert kinds(story)[1:] == [("recover", "isolated"), ("open", "na-tau")]
    assert story.pages[1].incident.close_reason == "removed"


def test_a_pager_that_was_taken_away_is_told_anew_when_it_is_back():
    known = ring(*SITES)
    story = told(known)
    go_on(story, 20, dark=SITES[:1])
    for pagers in (("mail",), ("mail", "noc")):
        story.effects.append(core.step(story.world, Reloaded(at=story.at, wall=WALL + story.at, generation=1, new=known, pagers=pagers)))
    assert [(page.kind, page.pager) for page in story.pages] == [("open", "noc"), ("open", "mail"), ("open", "noc")]
    assert len({page.id for page in story.pages}) == 3  # it is no second delivery of the first
    go_on(story, 5)
    assert [(page.kind, page.pager) for page in story.pages[3:]] == [("recover", "mail"), ("recover", "noc")]


def test_a_pager_that_is_gone_does_not_hear_of_the_end():
    known = ring(*SITES)
    story = told(known)
    go_on(story, 20, dark=SITES[:1])
    for pagers in ((), ("mail",)):
        story.effects.append(core.step(story.world, Reloaded(at=story.at, wall=WALL + story.at, generation=1, new=known, pagers=pagers)))
    go_on(story, 5)
    assert [(page.kind, page.pager) for page in story.pages] == [("open", "noc"), ("open", "mail"), ("recover", "mail")]


def test_a_pager_that_was_never_told_does_not_hear_of_the_end():
    known = ring(*SITES)
    story = Story(core.World(inventory=known, pagers=()))
    go_on(story, 10)
    go_on(story, 40, dark=SITES[:1])
    assert [incident.announced for incident in story.world.incidents.values()] == [True]
    without = inventory(*SITES[1:])
    story.effects.append(core.step(story.world, Reloaded(at=story.at, wall=WALL + story.at, generation=1, new=without, pagers=("noc",))))
    assert story.pages == []


def test_what_comes_back_while_silenced_is_told_when_the_silence_ends_and_not_before():
    story = told(ring(*SITES))
    go_on(story, 20, dark=SITES[:1])
    go_on(story, 5)
    story.effects.append(silence(story, f"site={SITES[0]}", 300.0))
    go_on(story, 60, dark=SITES[:1])
    assert [page.kind for page in story.pages] == ["open", "recover"]
    go_on(story, 260, dark=SITES[:1])
    assert [page.kind for page in story.pages] == ["open", "recover", "open"]
    go_on(story, 5)
    assert [page.kind for page in story.pages] == ["open", "recover", "open", "recover"]


def test_what_comes_back_and_is_over_within_a_silence_is_not_told_at_all():
    story = told(ring(*SITES))
    go_on(story, 20, dark=SITES[:1])
    go_on(story, 5)
    story.effects.append(silence(story, f"site={SITES[0]}", 300.0))
    go_on(story, 60, dark=SITES[:1])
    go_on(story, 60)
    assert [page.kind for page in story.pages] == ["open", "recover"]
