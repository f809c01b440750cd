"""Recorded history played again: the same pages as then, and fewer by other rules."""

import asyncio
import dataclasses
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netwatch import replay as replays
from netwatch.history import History, HistoryFailed, beside
from netwatch.lab.faults import Fault, Scenario, Where
from netwatch.lab.simulation import START_WALL
from netwatch.model import Effects, PagerSettings
from tests.recorded import record, replay, scenario

SITE = "pu-nhi"
SHORT_STORIES = (
    "battery-low",
    "conference-off",
    "cut-on-a-lossy-line",
    "cut-one-way",
    "dead-behind-a-cut",
)


def pages(found, start=0.0):
    return [(round(wall - start), page.kind, page.incident.key, page.incident.cause, page.incident.sites) for wall, page in found]


def in_words(found):
    return [one[1:] for one in pages(found)]


def fault(at, kind, **where):
    values = {"state": where.pop("state")} if "state" in where else {}
    return Fault(at_seconds=at, kind=kind, where=Where(site=SITE, **where), values=values)


def story(*faults, seconds=420.0):
    return Scenario(name="s", duration_seconds=seconds, sites=(SITE,), faults=tuple(faults))


SHORT_AND_LONG = story(fault(30.0, "cut"), fault(100.0, "restore"), fault(1_300.0, "cut"), fault(1_800.0, "restore"), seconds=2_000.0)


@pytest.fixture(scope="module")
def twice(tmp_path_factory):
    """A cut of 70 seconds and one of 500."""
    directory = tmp_path_factory.mktemp("twice")
    return directory, *record(directory, SHORT_AND_LONG)


@pytest.mark.parametrize("name", SHORT_STORIES)
def test_runs_give_the_pages_that_were_sent(tmp_path, name):
    told, report = record(tmp_path, scenario(name))
    tape, [again] = replay(tmp_path, [told.inventory])
    assert tape.runs_since == tape.begin
    assert pages(again.pages, START_WALL) == pages(report.pages)
    assert len(tape.entries) < told.runs


@pytest.mark.parametrize("name", [*SHORT_STORIES, "loss-heavy"])
def test_changes_of_belief_alone_give_the_same_pages_at_about_the_same_time(tmp_path, name):
    told, report = record(tmp_path, scenario(name), runs=False)
    tape, [again] = replay(tmp_path, [told.inventory])
    assert tape.runs_since == tape.until
    assert in_words(again.pages) == in_words(report.pages)
    apart = [abs(was[0] - now[0]) for was, now in zip(pages(report.pages), pages(again.pages, START_WALL), strict=True)]
    assert max(apart) <= 15


TARGETS = (("cut", "restore", {"line": "main"}), ("power", "power", {"device": "router"}), ("power", "power", {"device": "ups"}))


@st.composite
def trouble(draw):
    """Up to three things fail for a while, each beginning when it likes."""
    faults = []
    for kind, back, where in draw(st.lists(st.sampled_from(TARGETS), min_size=1, max_size=3)):
        at, lasts = draw(st.floats(15, 200)), draw(st.floats(2, 200))
        off, on = ({"state": "off"}, {"state": "on"}) if kind == "power" else ({}, {})
        faults += [fault(at, kind, **where, **off), fault(at + lasts, back, **where, **on)]
    return story(*sorted(faults, key=lambda one: one.at_seconds))


def threads(found):
    """Each incident's pages in their order: what happens within one second may come in another."""
    told = {}
    for one in in_words(found):
        told.setdefault(one[1], []).append(one)
    return told


@pytest.mark.timeout(300)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(trouble())
def test_the_same_rules_over_recorded_runs_give_the_incidents_that_were_recorded(tmp_path_factory, told):
    directory = tmp_path_factory.mktemp("any")
    played, report = record(directory, told)
    tape, [again] = replay(directory, [played.inventory])
    assert threads(again.pages) == threads(report.pages)
    assert replays.was_told(tape) == len(again.stories)


def test_a_patient_inventory_is_not_woken_by_what_is_short(twice):
    directory, told, _ = twice
    sites = {name: replace(site, page_after_seconds=300.0) for name, site in told.inventory.sites.items()}
    _, [before, after] = replay(directory, [told.inventory, replace(told.inventory, sites=sites)])
    assert (len(before.stories), before.short) == (2, 1)
    assert (len(after.stories), after.short) == (1, 0)
    apart = replays.difference(before, after)
    assert ([one.told_wall for one in apart.no_longer], apart.new) == ([before.stories[0].told_wall], ())
    assert after.stories[0].told_wall - after.stories[0].incident.opened == pytest.approx(300, abs=1)
    assert replays.difference(after, before).new == apart.no_longer


def test_pages_go_to_the_pagers_that_are_told_first(twice):
    directory, told, _ = twice
    kinds = {"a": "webhook", "b": "ntfy", "c": "sms_http", "am": "alertmanager"}
    named = {name: PagerSettings(name=name, kind=kind, options={"fallback": "c"} if name == "b" else {}) for name, kind in kinds.items()}
    _, [again] = replay(directory, [replace(told.inventory, pagers=named)])
    assert {page.pager for _, page in again.pages} == {"a", "b"}
    assert len(again.stories) == 2


def test_only_the_time_that_was_asked_for_counts(twice):
    directory, told, report = twice
    _, [again] = replay(directory, [told.inventory], since=START_WALL + 1_200)
    assert pages(again.pages, START_WALL) == pages(report.pages)[2:]
    _, [first] = replay(directory, [told.inventory], until=START_WALL + 1_200)
    assert pages(first.pages, START_WALL) == pages(report.pages)[:2]


def test_what_was_going_on_at_the_beginning_is_not_told_again(tmp_path):
    told, _ = record(tmp_path, story(fault(30.0, "cut"), fault(9_000.0, "restore"), seconds=9_100.0))
    tape, [again] = replay(tmp_path, [told.inventory], since=START_WALL + 8_000)
    assert tape.begin > START_WALL + 4_000
    assert [page.kind for _, page in again.pages] == ["recover"]
    assert again.stories == ()


def test_the_old_half_is_played_from_changes_and_the_new_one_from_runs(tmp_path):
    told, report = record(tmp_path, SHORT_AND_LONG, runs_from=700.0)
    tape, [again] = replay(tmp_path, [told.inventory])
    assert START_WALL + 690 < tape.runs_since < START_WALL + 720
    assert in_words(again.pages) == in_words(report.pages)


def test_a_silence_of_then_is_a_silence_of_the_replay(tmp_path):
    hush = Fault(
        at_seconds=10.0, kind="human", where=Where(), values={"action": "silence", "who": "A", "matcher": f"site={SITE}", "lasts": 600.0}
    )
    told, report = record(tmp_path, story(hush, fault(30.0, "cut"), fault(200.0, "restore")))
    assert report.pages == ()
    _, [again] = replay(tmp_path, [told.inventory])
    assert again.pages == ()


def test_it_reads_beside_the_process_that_writes(tmp_path):
    told, report = record(tmp_path, scenario("conference-off"))

    async def while_open():
        history = await History.open(tmp_path)
        async with asyncio.TaskGroup() as group:
            group.create_task(history.run())
            try:
                async with beside(history.path) as asked:
                    return await replays.read(asked, [told.inventory], START_WALL, START_WALL + 10_000)
            finally:
                await history.close()

    assert pages(replays.play(asyncio.run(while_open()), told.inventory).pages, START_WALL) == pages(report.pages)


def test_nothing_recorded_is_said_with_what_there_is(tmp_path, twice):
    directory, told, _ = twice
    with pytest.raises(replays.NothingRecorded) as before:
        replay(directory, [told.inventory], until=START_WALL - 10, since=START_WALL - 1_000)
    assert before.value.since == pytest.approx(START_WALL, abs=2)
    with pytest.raises(replays.NothingRecorded) as after:
        replay(directory, [told.inventory], since=START_WALL + 5_000)
    assert after.value.until == START_WALL + 2_000
    asyncio.run(_empty(tmp_path))
    with pytest.raises(replays.NothingRecorded) as never:
        replay(tmp_path, [told.inventory])
    assert never.value.since is None


async def _empty(directory):
    history = await History.open(directory)
    async with asyncio.TaskGroup() as group:
        group.create_task(history.run())
        await history.commit(Effects(), {}, START_WALL)
        await history.close()


def test_a_file_that_is_damaged_inside_is_a_failure(twice, tmp_path):
    directory, told, _ = twice
    copy = tmp_path / "netwatch.db"
    content = bytearray((directory / "netwatch.db").read_bytes())
    for page in range(8, len(content) // 4096):
        content[page * 4096 : page * 4096 + 200] = b"\xa5" * 200
    copy.write_bytes(content)
    with pytest.raises(HistoryFailed):
        replay(tmp_path, [told.inventory])


def test_what_the_record_cannot_tell_is_named(twice):
    directory, told, _ = twice
    tape, _ = replay(directory, [told.inventory])
    old = dataclasses.replace(tape, runs_since=tape.until)
    name = f"{SITE}/main/icmp"
    check = told.inventory.checks[name]
    kept = {name: [("icmp_loss_ratio", "")]}

    def doubts(of, **changes):
        other = replace(told.inventory, checks={**told.inventory.checks, name: replace(check, **changes)})
        return {one.kind: one.checks for one in replays.doubts(of, told.inventory, other, kept)}

    strict = tuple(replace(rule, name="new", metric="icmp_late") for rule in check.rules[:1])
    assert doubts(tape) == doubts(old) == {}
    assert doubts(tape, attempts=9) == doubts(tape, rules=check.rules[1:]) == {}
    assert doubts(old, attempts=9) == {"old_timing": (name,)}
    assert doubts(old, rules=check.rules[1:]) == {"old_rule": (name,)}
    assert doubts(tape, address="10.0.0.1") == {"changed_check": (name,)}
    assert doubts(tape, rules=(*check.rules, *strict)) == {"not_kept": (name,)}
    more = replace(told.inventory, checks={**told.inventory.checks, "x/y/z": replace(check, id="x/y/z")})
    assert [one.kind for one in replays.doubts(tape, told.inventory, more, kept)] == ["new_check"]


def test_counts_are_by_cause_and_by_site(twice):
    directory, told, _ = twice
    tape, [again] = replay(directory, [told.inventory])
    assert again.by_cause == {"site": 2}
    assert again.by_site == {SITE: 2}
    assert again.of_site(SITE) == again
    assert again.of_site("na-tau").pages == again.of_site("na-tau").stories == ()
    assert replays.was_told(tape, SITE) == replays.was_told(tape) == 2
    assert replays.was_told(tape, "na-tau") == 0
