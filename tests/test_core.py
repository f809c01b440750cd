from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from netwatch import core
from netwatch.memory import Memory
from netwatch.model import Belief, Forgotten, Hint, Human, Outcome, Reloaded, Rule, Run, Sample, Tick
from tests.worlds import PAPER, WALL, Story, inventory, paper, story

OK, FAILED, ERROR = Outcome.OK, Outcome.FAILED, Outcome.ERROR
LINE, ROUTER, SWITCH, SNMP = "na-tau/line/icmp", "na-tau/router/icmp", "na-tau/switch/icmp", "na-tau/switch/snmp"
EVERYTHING = [LINE, ROUTER, SWITCH, SNMP, "na-tau/printer/snmp"]


def cut(told, checks=(LINE, ROUTER, SWITCH), runs=14):
    """Everything behind a cut line fails together, second by second."""
    for _ in range(runs):
        told.at += 1.0
        for check in checks:
            told.say(check, FAILED, duration=0.9)


def test_a_cut_line_is_one_page_that_names_the_site():
    told = story()
    told.all_ok()
    cut(told)
    assert [(page.kind, page.incident.cause.type, page.incident.cause.name) for page in told.pages] == [("open", "site", "na-tau")]
    assert told.pages[0].incident.key == "netwatch/na-tau"


def test_a_cut_shorter_than_eight_seconds_pages_nobody():
    told = story()
    told.all_ok()
    cut(told, runs=8)
    for check in (LINE, ROUTER, SWITCH):
        told.say(check, after=1.0)
        told.say(check, after=1.0)
    cut(told, runs=3)
    assert told.pages == []


def test_recovery_is_paged_once_with_the_key_that_opened():
    told = story()
    told.all_ok()
    cut(told)
    told.say(LINE, after=1.0)
    assert len(told.pages) == 1
    told.say(LINE, after=1.0)
    opened, recovered = told.pages
    assert (recovered.kind, recovered.incident.key, recovered.incident.close_reason) == ("recover", opened.incident.key, "recovered")
    assert (opened.incident.sequence, recovered.incident.sequence) == (1, 2)
    assert recovered.incident.opened == opened.incident.opened


def test_child_of_a_dead_parent_is_never_paged():
    told = story()
    told.all_ok()
    cut(told, checks=(ROUTER, SWITCH))
    told.say(LINE, after=0.1)
    cut(told, checks=(ROUTER, SWITCH))
    told.fail(SNMP, runs=4, every=10)
    assert [page.incident.cause.name for page in told.pages] == ["na-tau/router"]
    told.world.inventory.checks.keys()
    incident = told.world.incidents["netwatch/na-tau/router"]
    assert incident.hidden == 1


def test_a_child_waits_for_a_fresh_result_of_its_parent():
    told = story()
    told.all_ok()
    followed = told.fail(ROUTER, runs=12)
    assert told.pages == []  # the line has not been heard of since the router failed
    assert any(isinstance(request, Run) and request.check == LINE for effects in followed for request in effects.requests)
    told.say(LINE, after=0.1)
    assert [page.incident.cause.name for page in told.pages] == ["na-tau/router"]


def test_the_parent_is_asked_at_the_instant_its_child_first_fails():
    told = story()
    told.all_ok()
    followed = told.say(SWITCH, FAILED, after=1.0)
    assert [request.check for request in followed.requests if request.reason == "parent"] == [ROUTER]


def test_a_child_is_not_kept_waiting_for_a_parent_that_never_answers_us():
    told = story()
    told.all_ok()
    told.fail(ROUTER, runs=12)
    told.at += 16.0
    told.effects.append(core.step(told.world, Tick(at=told.at, wall=WALL + told.at)))
    assert [page.incident.cause.name for page in told.pages] == ["na-tau/router"]


def test_when_the_parent_is_back_a_child_pages_only_on_a_fresh_bad_result_of_its_own():
    told = story()
    told.all_ok()
    cut(told, checks=(LINE, ROUTER, SWITCH))
    for _ in range(2):
        told.say(LINE, after=1.0)
    for _ in range(2):
        told.say(ROUTER, after=1.0)
    assert [page.kind for page in told.pages] == ["open", "recover"]
    followed = told.say(SWITCH, FAILED, after=1.0)
    assert ROUTER in [request.check for request in followed.requests]
    assert len(told.pages) == 2  # the router answered before that: it may be dead again
    told.say(ROUTER, after=0.1)
    assert [page.incident.cause.name for page in told.pages][2:] == ["na-tau/switch"]


def test_a_parent_that_comes_back_for_a_moment_makes_no_page_for_its_children():
    told = story(lines=("line", "backup"))
    told.all_ok()
    cut(told, checks=(LINE, "na-tau/backup/icmp", ROUTER, SWITCH), runs=60)
    for _ in range(4):
        told.say(LINE, after=1.0)
    assert [page.kind for page in told.pages] == ["open", "recover"]
    told.say(ROUTER, FAILED, after=1.0)  # cut again, and nobody has asked the line yet
    for _ in range(14):
        told.say("na-tau/backup/icmp", FAILED, after=1.0)
        told.say(LINE, FAILED, duration=0.9)
        told.say(ROUTER, FAILED)
        told.effects.append(core.step(told.world, Tick(at=told.at, wall=WALL + told.at)))
    assert [(page.kind, page.incident.cause.type) for page in told.pages[2:]] == [("update", "site")]
    assert {page.incident.id for page in told.pages} == {1}  # it was over for a moment only: the same thread


def test_a_child_that_comes_back_with_its_parent_is_silent():
    told = story()
    told.all_ok()
    cut(told)
    for check in (LINE, LINE, ROUTER, ROUTER, SWITCH, SWITCH):
        told.say(check, after=0.5)
    assert [page.kind for page in told.pages] == ["open", "recover"]
    assert not told.world.incidents


def test_one_of_two_lines_down_is_an_incident_of_that_line_and_hides_nothing():
    told = story(lines=("line", "backup"))
    told.all_ok()
    for _ in range(12):
        told.say(LINE, FAILED, after=1.0, duration=0.9)
        told.say("na-tau/backup/icmp")
    assert [(page.incident.cause.type, page.incident.cause.name) for page in told.pages] == [("line", "na-tau/line")]
    told.fail(ROUTER, runs=12)
    told.say("na-tau/backup/icmp", after=0.1)
    assert told.pages[-1].incident.cause.name == "na-tau/router"


def test_both_lines_down_together_are_one_dark_site():
    told = story(lines=("line", "backup"))
    told.all_ok()
    cut(told, checks=(LINE, "na-tau/backup/icmp", ROUTER))
    assert [(page.incident.cause.type, page.incident.cause.name) for page in told.pages] == [("site", "na-tau")]


def test_lines_that_come_back_one_after_the_other_are_one_recovery():
    told = story(lines=("line", "backup"))
    told.all_ok()
    cut(told, checks=(LINE, "na-tau/backup/icmp", ROUTER))
    for _ in range(2):
        told.say("na-tau/backup/icmp", after=0.5)
    for _ in range(8):
        told.say(LINE, FAILED, after=1.0)
        told.say("na-tau/backup/icmp")
    assert [page.kind for page in told.pages] == ["open", "recover"]
    for _ in range(10):
        told.say(LINE, FAILED, after=1.0)
        told.say("na-tau/backup/icmp")
    assert [(page.kind, page.incident.cause.type) for page in told.pages[2:]] == [("open", "line")]


def test_a_printer_out_of_paper_wakes_nobody_but_is_an_incident():
    told = story(rules=[PAPER])
    told.all_ok()
    told.say("na-tau/printer/snmp", samples=[paper(1)], after=5)
    assert told.pages == []
    assert [incident.severity for incident in told.world.incidents.values()] == ["info"]
    told.say("na-tau/printer/snmp", samples=[paper(0)], after=5)
    assert not told.world.incidents
    assert told.world.closed[0].close_reason == "recovered"


def test_what_could_wait_for_the_morning_is_paged_when_it_gets_worse():
    slight = Rule(name="low", metric="toner", compare="below", warn=0.15, audience="digest")
    empty = Rule(name="empty", metric="toner", compare="below", crit=0.05, audience="page")
    told = story(rules=[slight, empty])
    told.all_ok()
    for ratio, pages in ((0.1, []), (0.04, ["open"]), (0.03, ["open"]), (0.1, ["open"]), (0.9, ["open", "recover"])):
        told.say("na-tau/printer/snmp", samples=[Sample("toner", (ratio,), "black")], after=5)
        assert [page.kind for page in told.pages] == pages
    assert len({page.incident.id for page in told.pages}) == 1


def test_error_is_unknown_not_down_and_is_one_incident_about_netwatch_itself():
    told = story("na-tau", "pu-nhi")
    told.all_ok()
    for check in told.world.inventory.checks:
        for _ in range(4):
            told.say(check, ERROR, after=0.1, code="emfile")
    assert [(page.incident.cause.type, page.incident.cause.name) for page in told.pages] == [("netwatch", "errors")]
    assert all(memory.answers.belief is Belief.UNKNOWN for memory in told.world.memories.values())
    for check in told.world.inventory.checks:
        told.say(check, after=0.1)
    assert [page.kind for page in told.pages] == ["open", "recover"]


def test_results_of_a_check_as_it_was_before_a_reload_are_dropped_and_others_are_not():
    told = story()
    told.all_ok()
    stale = told.world.generation
    core.step(told.world, Reloaded(at=told.at, wall=WALL, generation=stale + 1, new=inventory("na-tau", changed=(LINE,))))
    before = dict(told.world.memories)
    late = core.Result(check=LINE, at=told.at, wall=WALL, duration_seconds=1, outcome=FAILED, generation=stale)
    assert not core.step(told.world, late)
    assert told.world.memories == before
    assert core.step(told.world, replace(late, check=ROUTER)).transitions
    core.step(told.world, Reloaded(at=told.at, wall=WALL, generation=stale + 2, new=inventory("pu-nhi")))
    assert not core.step(told.world, replace(late, check=ROUTER, generation=stale + 2))


def test_reload_keeps_belief_and_timers_of_unchanged_checks_and_forgets_changed_ones():
    told = story("na-tau", "pu-nhi")
    told.all_ok()
    told.fail(ROUTER, runs=3)
    soft = told.world.memories[ROUTER]
    core.step(told.world, Reloaded(at=told.at, wall=WALL, generation=1, new=inventory("na-tau", "pu-nhi", changed=(LINE,))))
    assert told.world.memories[ROUTER] is soft
    assert LINE not in told.world.memories


def test_a_renamed_site_keeps_what_is_believed_of_it():
    told = story("na-tau", "pu-nhi")
    told.all_ok()
    told.fail(ROUTER, runs=3)
    known = told.world.memories[ROUTER]
    new = inventory("na-tau-moi", "pu-nhi")
    new = replace(new, sites={**new.sites, "na-tau-moi": replace(new.sites["na-tau-moi"], renamed_from="na-tau")})
    core.step(told.world, Reloaded(at=told.at, wall=WALL + told.at, generation=1, new=new))
    assert told.world.memories["na-tau-moi/router/icmp"] is known
    assert told.world.memories.keys() == new.checks.keys()


def test_a_lost_history_is_told_once_and_over_when_every_check_has_been_heard_of():
    told = story("na-tau", "pu-nhi")
    for effects in (
        core.step(told.world, Forgotten(at=told.at, wall=WALL + told.at, detail="netwatch.db.corrupt")),
        core.step(told.world, Reloaded(at=told.at, wall=WALL + told.at, generation=1, new=told.world.inventory)),
        core.step(told.world, Tick(at=told.at, wall=WALL + told.at)),
    ):
        told.effects.append(effects)
    told.all_ok()
    told.effects.append(core.step(told.world, Tick(at=told.at, wall=WALL + told.at)))
    assert [(page.kind, page.incident.key) for page in told.pages] == [
        ("open", "netwatch/self/history"),
        ("recover", "netwatch/self/history"),
    ]
    assert told.pages[0].incident.facts["detail"] == "netwatch.db.corrupt"


def test_reload_closes_what_is_no_longer_watched_as_removed():
    told = story("na-tau", "pu-nhi")
    told.all_ok()
    cut(told)
    told.effects.append(core.step(told.world, Reloaded(at=told.at, wall=WALL + told.at, generation=1, new=inventory("pu-nhi"))))
    assert [(page.kind, page.incident.close_reason) for page in told.pages] == [("open", ""), ("recover", "removed")]


def test_a_refused_inventory_is_one_incident_until_a_good_one_comes():
    told = story()
    for _ in range(2):
        told.effects.append(core.step(told.world, Reloaded(at=1, wall=WALL, generation=0, new=None, errors=("inventory.yaml:3:1: bad",))))
    told.effects.append(core.step(told.world, Reloaded(at=2, wall=WALL, generation=1, new=inventory("na-tau"))))
    assert [(page.kind, page.incident.cause.name) for page in told.pages] == [("open", "config"), ("recover", "config")]


def test_silence_of_ours_becomes_unknown_but_not_after_we_were_suspended():
    told = story()
    told.all_ok()
    now = told.at
    for second in range(0, 100, 10):
        core.step(told.world, Tick(at=now + second, wall=WALL + now + second))
    assert told.world.memories[LINE].answers.belief is Belief.UNKNOWN
    told = story()
    told.all_ok()
    core.step(told.world, Tick(at=now, wall=WALL + now))
    core.step(told.world, Tick(at=now + 600, wall=WALL + now + 600))
    assert told.world.memories[LINE].answers.belief is Belief.OK


def test_a_restart_pages_nobody_twice_and_still_pages_the_recovery():
    told = story()
    told.all_ok()
    cut(told)
    before = told.world
    world = core.World(inventory=before.inventory, pagers=("noc",))
    core.restore(world, before.memories, (*before.incidents.values(), *before.closed), before.next_incident_id)
    again = Story(world, at=told.at)
    cut(again, runs=5)
    assert again.pages == []
    again.say(LINE, after=1)
    again.say(LINE, after=1)
    assert [(page.kind, page.incident.id) for page in again.pages] == [("recover", told.pages[0].incident.id)]


def test_hints_and_people_can_only_ask_for_a_run():
    told = story()
    hint = core.step(told.world, Hint(at=5, wall=WALL, check=LINE, source="127.0.0.9"))
    human = core.step(told.world, Human(at=5, wall=WALL, action="check_now", who="cli", check=LINE))
    assert [effects.requests for effects in (hint, human)] == [
        (Run(check=LINE, not_before=5, reason="hint"),),
        (Run(check=LINE, not_before=5, reason="human"),),
    ]
    assert not core.step(told.world, Hint(at=5, wall=WALL, check="no/such/check", source="127.0.0.9")).requests


moves = st.lists(
    st.tuples(st.sampled_from([*EVERYTHING, "tick"]), st.sampled_from([OK, OK, FAILED, FAILED, FAILED, ERROR]), st.floats(0.05, 4)),
    max_size=150,
)


def play(chosen):
    told = story(rules=[PAPER])
    for name, outcome, seconds in chosen:
        told.at += seconds
        if name == "tick":
            told.effects.append(core.step(told.world, Tick(at=told.at, wall=WALL + told.at)))
        else:
            told.say(name, outcome, samples=[paper(outcome is not OK)])
    return told


@given(moves)
@settings(max_examples=150, deadline=None)
def test_same_events_same_effects(chosen):
    assert play(chosen).effects == play(chosen).effects


@given(moves)
@settings(max_examples=150, deadline=None)
def test_an_incident_opens_once_recovers_once_and_only_on_good_results(chosen):
    told = story(rules=[PAPER])
    open_keys = set()
    for name, outcome, seconds in chosen:
        told.at += seconds
        if name == "tick":
            effects = core.step(told.world, Tick(at=told.at, wall=WALL + told.at))
            assert not any(page.kind == "recover" for page in effects.pages)
        else:
            effects = told.say(name, outcome)
            if outcome is not OK and not any(page.incident.cause.type == "netwatch" for page in effects.pages):
                assert not any(page.kind == "recover" for page in effects.pages)
        for page in effects.pages:
            if page.kind == "open":
                assert page.incident.key not in open_keys
                open_keys.add(page.incident.key)
            elif page.kind == "recover":
                open_keys.remove(page.incident.key)
    assert open_keys == {incident.key for incident in told.world.incidents.values() if incident.audience == "page"}


@given(moves)
@settings(max_examples=100, deadline=None)
def test_once_everything_is_well_every_incident_has_been_closed(chosen):
    told = play(chosen)
    for _ in range(3):
        for check in EVERYTHING:
            told.say(check, samples=[paper(0)], after=1.0)
    assert not told.world.incidents
    assert all(isinstance(memory, Memory) and memory.answers.belief is Belief.OK for memory in told.world.memories.values())
