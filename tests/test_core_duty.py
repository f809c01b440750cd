"""The core with a duty roster: who is told first, who then, and what waits."""

import datetime as dt
from dataclasses import replace

from netwatch import core
from netwatch._duties import HOLIDAY, WEEKDAYS, Person, Roster, Shift, Step
from netwatch.model import Human, Outcome, Rule, Tick
from tests.worlds import PAPER, WALL, paper, story

DAILY = frozenset({*WEEKDAYS, HOLIDAY})
LINE = "na-tau/line/icmp"
PRINTER = "na-tau/printer/snmp"
PEOPLE = tuple(Person(id=name, name=name, pagers=(name,)) for name in ("an", "binh", "chief"))


def minute_of_day(wall):
    local = dt.datetime.fromtimestamp(wall, dt.timezone(dt.timedelta(hours=7)))
    return local.hour * 60 + local.minute


def on_watch(roster, rules=()):
    told = story(pagers=("an", "binh", "chief"), rules=rules)
    told.world.inventory = replace(told.world.inventory, duty=roster)
    told.all_ok()
    return told


def shift(name, begins=0, until=0, **more):
    return Shift(id=name, days=DAILY, from_minute=begins, until_minute=until, **more)


ESCALATING = Roster(
    people=PEOPLE,
    shifts=(shift("all", who=("an",), backup=("binh",)),),
    steps=(Step(after_seconds=900.0, tell=("backup",)), Step(after_seconds=2_700.0, tell=("chief",))),
)


def wait(told, seconds):
    """Ticks as the daemon gives them, only rarer; every check goes on as it is."""
    pages = []
    for _ in range(int(seconds / 10)):
        told.at += 10.0
        followed = core.step(told.world, Tick(at=told.at, wall=WALL + told.at))
        told.effects.append(followed)
        pages += followed.pages
    return pages


def cut(told):
    told.fail(LINE)
    for check in ("na-tau/router/icmp", "na-tau/switch/icmp"):
        told.fail(check)
    told.fail(LINE)
    wait(told, 30)


def by_kind(pages):
    return [(page.kind, page.pager) for page in pages]


def test_who_is_on_duty_is_told_first_then_the_backup_then_the_chief_and_all_of_them_of_the_end():
    told = on_watch(ESCALATING)
    cut(told)
    assert by_kind(told.pages) == [("open", "an")]
    before = len(told.pages)
    followed = []
    for _ in range(50):
        followed += wait(told, 60)
        told.fail(LINE, runs=1)
    assert by_kind(told.pages[before:]) == [
        ("update", "an"),
        ("update", "binh"),
        ("update", "an"),
        ("update", "binh"),
        ("update", "chief"),
    ]
    assert len({page.id for page in told.pages}) == len(told.pages)
    before = len(told.pages)
    for _ in range(3):
        for check in (LINE, "na-tau/router/icmp", "na-tau/switch/icmp"):
            told.say(check, after=1.0)
    assert by_kind(told.pages[before:]) == [("recover", "an"), ("recover", "binh"), ("recover", "chief")]


def test_nobody_more_is_told_once_somebody_has_acknowledged():
    told = on_watch(ESCALATING)
    cut(told)
    (number,) = [incident.id for incident in told.world.incidents.values()]
    told.effects.append(core.step(told.world, Human(at=told.at, wall=WALL + told.at, action="acknowledge", who="an", incident=number)))
    before = len(told.pages)
    for _ in range(50):
        wait(told, 60)
        told.fail(LINE, runs=1)
    assert told.pages[before:] == []


def test_a_warning_waits_for_the_shift_that_takes_all_and_a_critical_page_does_not():
    begins = minute_of_day(WALL + 1000.0)
    later = (begins + 60) % 1440
    roster = Roster(
        people=PEOPLE,
        shifts=(
            shift("night", (begins - 60) % 1440, later, who=("an",), wakes="critical"),
            shift("day", later, (begins - 60) % 1440, who=("binh",)),
        ),
    )
    warned = Rule(name="paper", metric=PAPER.metric, warn=1.0, audience="page")
    told = on_watch(roster, rules=(warned,))
    told.say(PRINTER, after=1.0, samples=[paper(1)])
    told.say(PRINTER, after=60.0, samples=[paper(1)])
    (incident,) = told.world.incidents.values()
    assert (incident.severity, incident.audience, incident.announced) == ("warning", "page", False)
    assert told.pages == []
    pages = []
    for _ in range(65):
        pages += wait(told, 60)
        for check in told.world.inventory.checks:
            told.say(check, samples=[paper(1)] if check == PRINTER else [])
    assert by_kind(pages) == [("open", "binh")]
    urgent = on_watch(roster)
    cut(urgent)
    assert by_kind(urgent.pages) == [("open", "an")]


def test_what_is_over_before_anybody_takes_it_is_never_told():
    night = Roster(people=PEOPLE, shifts=(shift("night", who=("an",), wakes="critical"),))
    told = on_watch(night, rules=(Rule(name="paper", metric=PAPER.metric, warn=1.0, audience="page"),))
    told.say(PRINTER, after=1.0, samples=[paper(1)])
    told.say(PRINTER, after=60.0, samples=[paper(0)])
    told.say(PRINTER, after=60.0, samples=[paper(0)])
    wait(told, 30)
    assert (told.pages, told.world.incidents) == ([], {})


def test_the_morning_digest_goes_to_who_is_on_duty():
    told = on_watch(ESCALATING, rules=(PAPER,))
    told.say(PRINTER, after=1.0, samples=[paper(1)])
    told.say(PRINTER, Outcome.OK, after=60.0, samples=[paper(1)])
    told.world.digest_day = "none"
    told.at += 86_400.0
    told.effects.append(core.step(told.world, Tick(at=told.at, wall=WALL + told.at)))
    assert [page.pager for page in told.pages if page.incident.cause.name == "digest"] == ["an"]
