"""What goes down again and again: what is remembered of it, and that a page never tells more or less than that."""

from netwatch import core, memory
from netwatch.core._flaps import MOST_SPELLS, SPELLS_SECONDS, flaps, note_spell, spells_of_late
from netwatch.model import Reloaded
from tests.test_core_outages import SITES, go_on, line, ring, told
from tests.worlds import WALL, Story

HOME = SITES[0]


def fall(story, times, *, dark=SITES[:1], well=12):
    for _ in range(times):
        go_on(story, 12, dark=dark)
        go_on(story, well)


def telling(story):
    return [(page.kind, page.incident.facts.get("spells")) for page in story.pages]


def restarted(story):
    """By another process, whose clock began elsewhere: what is stored is all that it knows."""
    stored = {name: memory.dump(known, story.at, WALL + story.at) for name, known in story.world.memories.items()}
    again = Story(core.World(inventory=story.world.inventory, pagers=("noc",)), at=story.at)
    loaded = {name: memory.load(text, again.at, WALL + again.at) for name, text in stored.items()}
    incidents = (*story.world.closed, *story.world.incidents.values())
    remembered = core.dump(story.world, story.at, WALL + story.at)
    core.restore(again.world, loaded, incidents, 1, remembered=remembered, at=again.at, wall=WALL + again.at)
    again.effects.append(core.step(again.world, Reloaded(at=again.at, wall=WALL + again.at, generation=1, new=again.world.inventory)))
    return again


def test_the_third_fall_in_half_an_hour_is_told_as_flapping_and_then_there_is_silence():
    story = told(ring(*SITES))
    fall(story, 6)
    assert telling(story) == [("open", None), ("recover", None), ("update", None), ("recover", None), ("update", "3")]


def test_falls_before_a_restart_count_after_it():
    story = told(ring(*SITES))
    fall(story, 2)
    again = restarted(story)
    fall(again, 1)
    assert telling(again) == [("update", "3")]


def test_of_a_line_that_falls_without_end_no_more_is_remembered_than_is_needed():
    story = told(ring(*SITES))
    for number in range(1000):
        note_spell(story.world, line(HOME), story.at + number)
    kept = story.world.memory(line(HOME)).spells
    assert list(kept) == [story.at + number for number in range(1000 - MOST_SPELLS, 1000)]


def test_what_is_written_at_each_transaction_does_not_grow_with_what_flaps():
    story = told(ring(*SITES))
    before = core.dump(story.world, story.at, WALL + story.at)
    for site in SITES:
        for number in range(10):
            note_spell(story.world, line(site), story.at + number)
    assert core.dump(story.world, story.at, WALL + story.at) == before


def test_more_falls_than_are_remembered_are_told_as_at_least_so_many():
    story = told(ring(*SITES))
    fall(story, 4)
    (incident,) = story.world.incidents.values()
    spells = []
    for _ in range(MOST_SPELLS):
        spells.append(spells_of_late(story.world, incident, story.at))
        note_spell(story.world, line(HOME), story.at)
    assert spells == [*map(str, range(4, MOST_SPELLS)), *[f"{MOST_SPELLS}+"] * 4]


def test_falls_of_more_than_half_an_hour_ago_are_not_told():
    story = told(ring(*SITES))
    fall(story, 3)
    (incident,) = story.world.incidents.values()
    later = story.at + SPELLS_SECONDS - 30.0
    assert spells_of_late(story.world, incident, later) == "1"
    assert not flaps(story.world, incident, later)


def test_a_flapping_cause_that_grows_is_told_with_the_falls_of_the_worst():
    story = told(ring(*SITES))
    fall(story, 5, dark=SITES[:2])
    go_on(story, 50, dark=SITES[:3])
    assert telling(story)[-2:] == [("update", "3"), ("update", "6")]
    assert story.pages[-1].incident.relapses < 5
