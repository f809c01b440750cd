"""A storm over many lines, as bench/storm.py plays it, but a small one."""

import sys
from pathlib import Path

from netwatch import core
from netwatch.model import Belief

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))
from storm import SHORTEST_SECONDS, Storm, country

STORM_SECONDS = 60.0
SITES = 30


class Fair:
    """The storm is over."""

    def is_up(self, _line, _at):
        return True


def believed_down(world):
    return {line for line in world.line_checks if world.memory(line).answers.belief is Belief.CRIT}


def test_what_is_known_to_fail_is_what_is_believed_down_at_every_moment_of_a_storm():
    storm = Storm(country(SITES, 4), seed=1)
    most = 0
    for second in range(int(STORM_SECONDS)):
        storm.run_until(float(second))
        assert storm.world.failing == believed_down(storm.world)
        most = max(most, len(storm.world.failing))
    assert most > core.MANY_LINES


def test_people_are_told_of_a_storm_in_few_pages_and_of_its_end():
    storm = Storm(country(SITES, 4), seed=2)
    storm.run_until(STORM_SECONDS)
    assert storm.opened <= SITES
    assert max(storm.person.by_minute.values(), default=0) <= 20
    storm.weather = Fair()
    storm.run_until(STORM_SECONDS + 700.0)
    assert (len(storm.world.incidents), len(storm.world.failing), len(storm.person.channel.lanes)) == (0, 0, 0)


def test_the_same_storm_gives_the_same_pages():
    assert SHORTEST_SECONDS < 9.0  # else every spell would be long enough to be believed
    played = [Storm(country(SITES, 4), seed=3) for _ in range(2)]
    for storm in played:
        storm.run_until(60.0)
    assert played[0].pages == played[1].pages
    assert played[0].world.incidents.keys() == played[1].world.incidents.keys()


def test_lines_that_have_nothing_in_common_are_all_told_of_at_a_pace_that_a_person_can_follow():
    storm = Storm(country(100, 1, apart=True), seed=1, calm_seconds=30.0)
    storm.run_until(30.0)
    assert not storm.world.failing
    storm.run_until(150.0)
    assert storm.opened > 80
    assert max(storm.person.by_minute.values()) <= 20
    storm.weather = Fair()
    storm.run_until(220.0)
    assert not storm.person.channel.lanes  # what did not get through one by one is told together
