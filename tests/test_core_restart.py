"""What a restart, a reload, a clock that steps and a process that stood still must not do to beliefs and pages."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netwatch import core, memory, state
from netwatch._standing import Standings
from netwatch.memory import Memory
from netwatch.model import Belief, Cause, Incident, Outcome, Reloaded, Result, Rule, Run, Sample, State, Tick
from tests.worlds import PAPER, WALL, Story, check, inventory, paper, story

OK, FAILED, ERROR = Outcome.OK, Outcome.FAILED, Outcome.ERROR
LINE, ROUTER, SWITCH, SNMP, PRINTER = (
    f"na-tau/{name}" for name in ("line/icmp", "router/icmp", "switch/icmp", "switch/snmp", "printer/snmp")
)
DAY = 86_400.0


def restarted(told, *, later=3.0, clock=0.0, rules=(), stored=None, **options):
    """The next process: it started `later` seconds on, with the wall clock moved by `clock`. Its monotonic clock is another."""
    before, wall = told.world, WALL + told.at
    texts = stored or {name: memory.dump(known, told.at, wall) for name, known in before.memories.items()}
    new = inventory(*before.inventory.sites, rules=rules, **options)
    again = Story(core.World(inventory=new, pagers=("noc",)), at=50.0)
    loaded = {name: memory.load(text, again.at, wall + later + clock) for name, text in texts.items()}
    core.restore(again.world, loaded, (*before.incidents.values(), *before.closed), before.next_incident_id)
    again.effects.append(core.step(again.world, Reloaded(at=again.at, wall=wall + later + clock, generation=1, new=new)))
    return again


def tick(told, seconds):
    told.at += seconds
    told.effects.append(core.step(told.world, Tick(at=told.at, wall=WALL + told.at)))


def kinds(told):
    return [(page.kind, page.incident.key) for page in told.pages]


@pytest.mark.parametrize("clock", [-3600.0, 3600.0, -WALL])
@pytest.mark.parametrize("runs", [1, 5, 14])
def test_a_clock_that_stepped_while_we_were_down_holds_up_no_page(clock, runs):
    told = story()
    told.all_ok()
    told.fail(ROUTER, runs=runs)
    again = restarted(told, clock=clock)
    for _ in range(14):
        again.say(LINE, after=0.5)
        again.say(ROUTER, FAILED, after=0.5, duration=0.4)
    assert kinds(again) == [("open", "netwatch/na-tau/router")]
    for _ in range(2):
        again.say(ROUTER, after=1.0)
    assert kinds(again)[1:] == [("recover", "netwatch/na-tau/router")]


@pytest.mark.parametrize("runs", [1, 14])
def test_what_failed_before_a_restart_is_asked_at_once_after_it(runs):
    told = story()
    told.all_ok()
    told.fail(ROUTER, runs=runs)
    again = restarted(told)
    assert ROUTER in {request.check for request in again.effects[-1].requests if request.not_before <= again.at}
    assert LINE not in {request.check for request in again.effects[-1].requests if request.reason == "soft"}


@given(st.floats(-3e9, 3e9), st.floats(0, 1e9), st.lists(st.sampled_from(list(Outcome)), max_size=20))
def test_no_stored_moment_is_in_the_future(clock, now, said):
    told = story()
    for outcome in said:
        told.say(LINE, outcome, after=1.0)
    text = memory.dump(told.world.memories.get(LINE, Memory()), told.at, WALL + told.at)
    loaded = memory.load(text, now, WALL + told.at + clock)
    assert loaded.seen_at <= now
    for subject in loaded.subjects.values():
        assert max(subject.since_at, subject.changed_at, subject.candidate_at) <= now


def test_a_failure_before_we_were_away_and_one_after_are_not_one_long_one():
    told = story()
    told.all_ok()
    told.fail(LINE, runs=2)
    again = restarted(told, later=600.0)
    for _ in range(8):
        again.say(LINE, FAILED, after=1.0, duration=0.9)
    assert not again.world.memories[LINE].answers.hard
    quick = restarted(told, later=1.0)
    for _ in range(8):
        quick.say(LINE, FAILED, after=1.0, duration=0.9)
    assert quick.world.memories[LINE].answers.hard


def test_since_is_of_the_failure_that_lasted():
    told = story()
    told.all_ok()
    told.fail(LINE, runs=1)
    told.at += 600.0
    told.fail(LINE, runs=11)
    answers = told.world.memories[LINE].answers
    assert answers.hard
    assert answers.since == WALL + told.at - 10.0


def test_after_a_restart_a_doubted_check_is_asked_again_at_once():
    told = story()
    told.all_ok()
    told.fail(LINE, runs=1)
    again = restarted(told)
    assert Run(check=LINE, not_before=again.at, reason="soft") in again.effects[0].requests


def test_after_a_restart_every_line_is_asked_at_once_with_one_echo():
    told = story("na-tau", "pu-nhi")
    told.all_ok()
    again = restarted(told)
    asked = {(request.check, request.reason, request.not_before) for request in again.effects[0].requests}
    assert asked == {(LINE, "parent", again.at), ("pu-nhi/line/icmp", "parent", again.at)}
    again.all_ok()
    reloaded = core.step(again.world, Reloaded(at=again.at, wall=WALL, generation=2, new=again.world.inventory))
    assert reloaded.requests == ()  # nothing is unheard of any more


def test_a_kill_costs_the_try_that_was_under_way_and_none_of_those_before_it():
    told = story()
    told.all_ok()
    stored = {name: memory.dump(known, told.at, WALL + told.at) for name, known in told.world.memories.items()}
    for run in range(8):
        told.say(LINE, FAILED, after=float(run > 0), duration=0.9)
        event = Result(check=LINE, at=told.at, wall=WALL + told.at, duration_seconds=0.9, outcome=FAILED)
        for name in core.to_store(told.world, event, told.effects[-1]):
            stored[name] = memory.dump(told.world.memories[name], told.at, WALL + told.at)
    again = restarted(told, later=1.5, stored=stored)
    again.say(LINE, FAILED, duration=1.0)
    assert again.world.memories[LINE].failed


def test_what_must_be_stored_is_a_belief_and_once_that_one_more_failure_is_enough():
    told = story()
    told.all_ok()
    stored = []
    for run in range(12):
        told.say(LINE, FAILED, after=1.0, duration=0.9)
        event = Result(check=LINE, at=told.at, wall=WALL + told.at, duration_seconds=0.9, outcome=FAILED)
        if core.to_store(told.world, event, told.effects[-1]):
            stored.append(run + 1)
    assert stored == [1, 2, 10]


@pytest.mark.parametrize(
    ("at", "lasts", "reason", "next_at"),
    [(6.0, 1.0, "soft", 7.0), (6.3, 1.0, "soft", 8.05), (5.3, 1.8, "schedule", 8.05), (6.3, 1.8, "schedule", 8.3), (7.0, 1.0, "soft", 8.0)],
)
def test_the_try_that_can_make_it_hard_begins_late_enough_to_do_so(at, lasts, reason, next_at):
    told = story()
    told.all_ok()
    began_at = told.at
    told.say(LINE, FAILED, duration=1.0)
    told.say(LINE, FAILED, after=3.3, duration=1.0)
    told.at = began_at + at
    last = Result(check=LINE, at=told.at, wall=WALL + told.at, duration_seconds=lasts, outcome=FAILED, code="timeout", reason=reason)
    [wanted] = [request for request in core.step(told.world, last).requests if request.reason == "soft"]
    assert wanted.not_before - began_at == pytest.approx(next_at)
    told.at = wanted.not_before
    told.say(LINE, FAILED, duration=1.0)
    assert told.world.memories[LINE].failed == (next_at > 7.9)


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "{}", '{"errors": 0, "subjects": null}', "[" * 100_000, '{"errors": 1e999, "subjects": []}']
)
def test_what_is_no_memory_is_a_value_error(text):
    with pytest.raises(ValueError, match=r"."):
        memory.load(text, 0.0, WALL)


def test_every_missing_or_odd_entry_is_a_value_error():
    told = story()
    told.fail(LINE, runs=1)
    whole = json.loads(memory.dump(told.world.memories[LINE], told.at, WALL + told.at))
    for key in whole["subjects"][0]:
        for odd in ([], {}, None):
            broken = {**whole, "subjects": [{**whole["subjects"][0], key: odd}]}
            try:
                memory.load(json.dumps(broken), 0.0, WALL)
            except ValueError:
                continue
        less = {name: value for name, value in whole["subjects"][0].items() if name != key}
        with pytest.raises(ValueError, match=key):
            memory.load(json.dumps({**whole, "subjects": [less]}), 0.0, WALL)


def test_beliefs_about_a_check_that_was_changed_while_we_were_down_are_not_taken_over():
    told = story(rules=[PAPER])
    told.all_ok()
    told.fail(LINE, runs=12)
    told.say(PRINTER, samples=[paper(1)])
    again = restarted(told, changed=(LINE,))
    assert LINE not in again.world.memories
    assert PRINTER in again.world.memories


def test_trouble_of_ours_that_a_restart_cured_is_over_when_all_is_asked_again():
    told = story()
    for name in told.world.inventory.checks:
        for _ in range(3):
            told.say(name, ERROR, after=0.1, code="eperm")
    assert [kind for kind, _ in kinds(told)] == ["open"]
    again = restarted(told, stored={"na-tau/no/such": memory.dump(Memory(), 0.0, WALL)})
    assert kinds(again) == []  # nothing is known yet
    for name in again.world.inventory.checks:
        again.say(name, after=0.1)
    assert kinds(again) == [("recover", core.OWN_TROUBLE_KEY)]


def test_one_error_after_a_restart_does_not_end_trouble_of_ours():
    told = story()
    for _ in range(3):
        told.say(LINE, ERROR, after=0.1, code="eperm")
    again = restarted(told, stored={SWITCH: memory.dump(Memory(), 0.0, WALL)})
    again.say(LINE, ERROR, after=0.1, code="eperm")
    assert kinds(again) == []


def test_trouble_of_ours_with_checks_that_are_no_longer_watched_is_closed():
    told = story("na-tau", "pu-nhi")
    for _ in range(3):
        told.say(LINE, ERROR, after=0.1, code="eperm")
    told.effects.append(core.step(told.world, Reloaded(at=told.at, wall=WALL, generation=1, new=inventory("pu-nhi"))))
    assert kinds(told) == [("open", core.OWN_TROUBLE_KEY), ("recover", core.OWN_TROUBLE_KEY)]


def test_a_child_of_a_dead_parent_stays_hidden_while_we_cannot_ask_the_parent():
    told = story()
    told.all_ok()
    for _ in range(14):
        told.at += 1.0
        for name in (LINE, ROUTER, SWITCH):
            told.say(name, FAILED, duration=0.9)
    for _ in range(40):
        told.at += 1.0
        told.say(LINE, ERROR, code="enobufs")
        for name in (ROUTER, SWITCH):
            told.say(name, FAILED, duration=0.9)
        tick(told, 0.0)
    opened = [key for kind, key in kinds(told) if kind == "open"]
    assert opened == ["netwatch/na-tau", core.OWN_TROUBLE_KEY]
    standings = Standings(told.world.inventory.checks, told.world.memories, told.world.incidents.values(), told.at)
    assert standings.of(told.world.inventory.checks[ROUTER]).state is State.UNREACHABLE
    again = restarted(told)
    for _ in range(20):
        again.say(ROUTER, FAILED, after=1.0, duration=0.9)
    assert kinds(again) == []
    told.say(LINE, after=1.0)
    told.say(ROUTER, FAILED, after=1.0)
    tick(told, 16.0)
    assert [key for kind, key in kinds(told) if kind == "open"][2:] == ["netwatch/na-tau/router"]


PORTS = Rule(name="port", metric="port_down", crit=1.0, instance="ge*")


def ports(*down):
    return [Sample("port_down", (value,), name) for name, value in down]


def test_a_port_that_is_no_more_does_not_stay_an_incident_for_ever():
    told = story(rules=[PORTS])
    told.all_ok()
    told.say(PRINTER, samples=ports(("ge1", 1.0), ("ge2", 0.0)))
    for hours in range(30):
        told.say(PRINTER, samples=ports(("ge2", 0.0)), after=3600.0)
        assert bool(told.world.incidents) == (hours <= 26), hours
    assert told.pages[-1].incident.close_reason == "removed"
    assert ("port", "ge1") not in told.world.memories[PRINTER].subjects


def test_an_instance_that_no_rule_looks_at_any_more_closes_as_removed():
    told = story(rules=[PORTS])
    told.all_ok()
    told.say(PRINTER, samples=ports(("ge1", 1.0)))
    narrower = inventory("na-tau", rules=[replace(PORTS, instance="ge2*")])
    checks = {**narrower.checks, PRINTER: replace(narrower.checks[PRINTER], fingerprint="2")}
    told.effects.append(core.step(told.world, Reloaded(at=told.at, wall=WALL, generation=1, new=replace(narrower, checks=checks))))
    assert not told.world.incidents


def test_closed_incidents_do_not_pile_up_whatever_the_clock_says():
    told = story()
    told.all_ok()
    for _ in range(core.CLOSED_KEPT + 5):
        told.say(PRINTER, FAILED, after=20)
        told.world.closed.append(
            Incident(id=1, key="k", cause=Cause("check", "k"), sites=(), severity="info", opened=0, updated=0, closed=9e9)
        )
        told.say(PRINTER)
    core.step(told.world, Tick(at=told.at, wall=0.0))
    assert len(told.world.closed) == core.CLOSED_KEPT


def test_runs_far_apart_do_not_add_up_to_a_hold():
    held = check(LINE, rules=[Rule(name="loss", metric="loss", warn=0.1, hold_seconds=300)])

    def run(at, value):
        return Result(check=LINE, at=at, wall=WALL, duration_seconds=0.1, outcome=OK, samples=(Sample("loss", (value,)),))

    known, _ = state.observe(held, Memory(), run(0.0, 0.0))
    known, _ = state.observe(held, known, run(10.0, 0.5))
    known, _ = state.observe(held, known, run(2000.0, 0.5))
    assert known.subjects[("loss", "")].belief is Belief.OK


happenings = st.lists(
    st.tuples(
        st.sampled_from(["run", "run", "run", "run", "tick", "away", "kill", "same", "changed", "fewer", "refused"]),
        st.sampled_from([LINE, ROUTER, SWITCH, SNMP, PRINTER, "pu-nhi/line/icmp", "pu-nhi/router/icmp"]),
        st.sampled_from([OK, FAILED, FAILED, ERROR]),
        st.integers(1, 6),
        st.sampled_from([0.0, 3600.0, -3600.0, -WALL]),
    ),
    max_size=60,
)


class Life:
    """Several processes one after the other, what each stored, and what the pager was told by all of them."""

    def __init__(self):
        self.told, self.clock, self.generation, self.revision = story("na-tau", "pu-nhi", rules=[PAPER, PORTS]), 0.0, 0, {}
        self.stored, self.heard = {}, {}
        self.told.all_ok()
        self.note(*self.told.effects)

    def inventory(self, *sites):
        known = inventory(*(sites or ("na-tau", "pu-nhi")), rules=[PAPER, PORTS])
        changed = {name: replace(one, fingerprint=self.revision.get(name, "1")) for name, one in known.checks.items()}
        return replace(known, checks=changed)

    def note(self, *effects):
        """As the daemon does: memories are stored with the transitions that made them."""
        for followed in effects:
            for transition in followed.transitions:
                known = self.told.world.memories[transition.subject.check]
                self.stored[transition.subject.check] = memory.dump(known, self.told.at, WALL + self.told.at + self.clock)
            for page in followed.pages:
                if page.kind == "open":
                    assert page.incident.key not in self.heard
                    self.heard[page.incident.key] = page.incident.id
                elif page.kind == "update" and page.incident.relapses and page.incident.key not in self.heard:
                    self.heard[page.incident.key] = page.incident.id  # it was over, and is back in the same thread
                elif page.kind == "recover":
                    assert self.heard.pop(page.incident.key) == page.incident.id
        awake = {incident.key: incident.id for incident in self.told.world.incidents.values() if incident.audience == "page"}
        assert self.heard == awake

    def reload(self, *sites, errors=()):
        self.generation += not errors
        new = None if errors else self.inventory(*sites)
        at, wall = self.told.at, WALL + self.told.at + self.clock
        self.note(core.step(self.told.world, Reloaded(at=at, wall=wall, generation=self.generation, new=new, errors=errors)))

    def kill(self, clock):
        before, self.clock, self.generation = self.told.world, self.clock + clock, 0
        self.told = Story(core.World(inventory=before.inventory, pagers=("noc",)), at=self.told.at + 5.0)
        loaded = {name: memory.load(text, self.told.at, WALL + self.told.at + self.clock) for name, text in self.stored.items()}
        core.restore(self.told.world, loaded, (*before.incidents.values(), *before.closed), before.next_incident_id)
        self.reload(*before.inventory.sites)

    def run(self, name, outcome, times=1):
        for _ in range(times):
            samples = [paper(outcome is not OK), *ports(("ge1", float(outcome is not OK)))] if name == PRINTER else ()
            self.note(self.told.say(name, OK if name == PRINTER and outcome is FAILED else outcome, after=1.0, samples=samples))

    def tick(self, seconds):
        self.told.at += seconds
        self.note(core.step(self.told.world, Tick(at=self.told.at, wall=WALL + self.told.at + self.clock)))

    def live(self, what, name, outcome, times, clock):
        match what:
            case "run":
                self.run(name, outcome, times)
            case "tick" | "away":
                self.tick(1.0 if what == "tick" else 600.0)
            case "kill":
                self.kill(clock)
            case "changed":
                self.revision[name] = str(times)
                self.reload(*self.told.world.inventory.sites)
            case "same":
                self.reload(*self.told.world.inventory.sites)
            case "fewer":
                self.reload("na-tau" if times % 2 else "pu-nhi")
            case "refused":
                self.reload(errors=("inventory.yaml:1:1: bad",))


@given(happenings)
@settings(max_examples=200, deadline=None)
def test_the_pager_knows_what_is_open_whatever_happens_and_in_the_end_all_is_well(chosen):
    life = Life()
    for one in chosen:
        life.live(*one)
    life.reload()
    for _ in range(4):
        for name in life.told.world.inventory.checks:
            life.run(name, OK)
    life.tick(1.0)
    assert life.heard == {}
    assert not life.told.world.incidents
    assert not life.told.world.broken | life.told.world.waiting | life.told.world.troubled


@given(happenings)
@settings(max_examples=200, deadline=None)
def test_what_is_dead_in_the_end_is_told_whatever_happened_before(chosen):
    life = Life()
    for one in chosen:
        life.live(*one)
    life.reload()
    for _ in range(14):
        for name in ("pu-nhi/line/icmp", LINE, ROUTER, SWITCH, SNMP):
            life.run(name, OK if name in {LINE, "pu-nhi/line/icmp"} else FAILED)
        life.tick(1.0)
    standing = life.heard.keys()
    assert "netwatch/na-tau/router" in standing
    assert not {"netwatch/na-tau", "netwatch/pu-nhi"} & standing
