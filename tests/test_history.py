"""History: what goes in comes out, also after a restart."""

import sqlite3
import stat
from dataclasses import replace

import pytest

from netwatch.history import HistoryFailed, OutboxRow, _reader, findings
from netwatch.model import Belief, Effects, Outcome, Sample
from tests.history_cases import effects, human, incident, page, transition, with_history


def test_a_commit_is_there_after_a_restart(tmp_path):
    async def write(history):
        rows = await history.commit(effects(7), {"xa-1/line/icmp": '{"soft":2}', "xa-1/r/snmp": "{}"}, 1_000.0)
        await history.commit(Effects(), {"xa-1/r/snmp": ""}, 1_001.0)
        assert rows == (OutboxRow(id=1, page=page(7), next_attempt_wall=1_000.0),)

    async def read(history):
        found = await history.load()
        assert dict(found.memories) == {"xa-1/line/icmp": '{"soft":2}'}
        assert found.incidents == (incident(7),)
        assert found.outbox == (OutboxRow(id=1, page=page(7), next_attempt_wall=1_000.0),)
        assert (found.next_incident_id, found.last_wall, dict(found.threads)) == (8, 1_001.0, {})
        assert await history.transitions() == [transition(7)]
        assert (await history.commit(effects(8), {}, 1_002.0))[0].id == 2
        assert [change.detail for change in await history.transitions()] == ["8", "7"]

    with_history(tmp_path, write)
    with_history(tmp_path, read)
    assert findings(tmp_path / "netwatch.db") == []


def test_an_empty_directory_loads_as_nothing(tmp_path):
    async def body(history):
        found = await history.load()
        assert (found.incidents, found.outbox, found.next_incident_id, found.last_wall) == ((), (), 1, None)

    with_history(tmp_path / "deep" / "state", body)
    assert stat.S_IMODE((tmp_path / "deep" / "state").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "deep" / "state" / "netwatch.db").stat().st_mode) == 0o600


def test_a_row_ends_by_acceptance_or_refusal_only(tmp_path):
    async def body(history):
        pages = (page(1), page(1, pager="sms"), page(1, pager="mail"))
        sent, refused, waiting = await history.commit(Effects(incidents=(incident(1),), pages=pages), {}, 1_000.0)
        await history.page_postponed(sent.id, 1_030.0, "503", 1_001.0)
        await history.page_postponed(waiting.id, 1_060.0, "timeout", 1_001.0)
        await history.page_sent(sent.id, "thread-9", 1_031.0)
        await history.page_postponed(sent.id, 1_090.0, "late", 1_032.0)
        await history.page_refused(refused.id, "400", 1_002.0)
        await history.page_sent(None, "x", 1_003.0)
        found = await history.load()
        assert found.outbox == (OutboxRow(id=3, page=pages[2], attempts=1, next_attempt_wall=1_060.0, error="timeout"),)
        assert dict(found.threads) == {(1, "webhook"): "thread-9"}

    with_history(tmp_path, body)
    with sqlite3.connect(tmp_path / "netwatch.db") as connection:
        kept = connection.execute("SELECT id, ending, ended, attempts, error FROM outbox ORDER BY id").fetchall()
    connection.close()
    assert kept == [(1, "sent", 1_031.0, 2, ""), (2, "refused", 1_002.0, 1, "400"), (3, None, None, 1, "timeout")]


def test_incidents_closed_over_a_day_ago_are_not_loaded_but_can_be_asked_for(tmp_path):
    async def body(history):
        old, fresh, still_open = incident(1, closed=2_000.0), incident(2, closed=90_000.0, sites=("xa-1", "xa-2")), incident(3)
        await history.commit(Effects(incidents=(old, fresh, still_open)), {}, 100_000.0)
        assert (await history.load()).incidents == (fresh, still_open)
        assert await history.incidents() == [still_open, fresh, old]
        assert await history.incidents(since_wall=2_001.0, site="xa-1") == [still_open, fresh]
        assert await history.incidents(site="xa-2") == [fresh]
        assert await history.incidents(limit=1) == [still_open]

    with_history(tmp_path, body)


def test_transitions_are_found_by_site_check_and_time_newest_first(tmp_path):
    async def body(history):
        changes = [transition(n, check=f"xa-{n % 2}/line/icmp", wall=1_000.0 + n) for n in range(6)]
        await history.commit(Effects(transitions=tuple(changes)), {}, 1_010.0)
        assert await history.transitions(site="xa-1") == [changes[5], changes[3], changes[1]]
        assert await history.transitions(check="xa-0/line/icmp", since_wall=1_002.0, limit=5) == [changes[4], changes[2]]
        assert await history.transitions(site="xa") == []
        assert (await history.transitions(limit=1))[0].new is Belief.CRIT

    with_history(tmp_path, body)


def test_samples_come_back_in_order_after_a_flush_and_a_restart(tmp_path):
    async def write(history):
        for n in range(3):
            history.add_result(
                "xa-1/line/icmp", 1_000.0 + n, "ok", 0.02, [Sample("rtt_seconds", (0.25, 0.5)), Sample("loss_ratio", (0.0,))]
            )
        await history.flush()
        history.add_result("xa-1/line/icmp", 1_003.0, "failed", 1.0, [Sample("rtt_seconds", ()), Sample("loss_ratio", (1.0,), "\udc80")])

    async def read(history):
        rtts = await history.samples("xa-1/line/icmp", "rtt_seconds", "", 1_001.0, 2_000.0)
        assert rtts == [(1_001.0, (0.25, 0.5)), (1_002.0, (0.25, 0.5)), (1_003.0, ())]
        assert await history.samples("xa-1/line/icmp", "loss_ratio", "\ufffd", 0.0, 2_000.0) == [(1_003.0, (1.0,))]
        assert await history.samples("xa-1/line/icmp", "nothing", "", 0.0, 2_000.0) == []
        history.add_result("xa-1/line/icmp", 1_004.0, "ok", 0.02, [Sample("rtt_seconds", (0.125,))])
        await history.flush()
        assert (await history.samples("xa-1/line/icmp", "rtt_seconds", "", 1_004.0, 1_004.0)) == [(1_004.0, (0.125,))]

    with_history(tmp_path, write)
    with_history(tmp_path, read)


def test_good_runs_are_kept_thinned_and_bad_ones_all_also_when_the_clock_steps_back(tmp_path):
    async def body(history):
        for wall, outcome in [
            (0, "ok"),
            (10, "ok"),
            (299, "ok"),
            (300, "ok"),
            (310, "failed"),
            (320, "failed"),
            (330, "error"),
            (340, "ok"),
            (100, "ok"),
        ]:
            history.add_result("a/b/c", wall, outcome, 0.5, [])
        await history.flush()
        ends = [(0, "ok"), (100, "ok"), (300, "ok"), (310, "failed"), (320, "failed"), (330, "error"), (340, "ok")]
        assert await history.outcomes("a/b/c", 0, 400) == [(wall, Outcome(word), 0.5) for wall, word in ends]
        with pytest.raises(ValueError, match="perhaps"):
            history.add_result("a/b/c", 350, "perhaps", 0.5, [])

    with_history(tmp_path, body)


def test_the_heartbeat_is_what_a_restart_knows(tmp_path):
    async def body(history):
        await history.heartbeat(5_000.0)
        await history.flush()
        before = history.progress_at
        assert (await history.load()).last_wall == 5_000.0
        await history.flush()
        assert history.progress_at > before

    with_history(tmp_path, body)


def test_the_cores_memory_is_of_the_last_commit_that_had_one(tmp_path):
    async def write(history):
        assert (await history.load()).world_state is None
        await history.commit(effects(1), {}, 1_000.0, '{"flaps":[1]}')
        await history.commit(effects(2), {}, 1_001.0)
        assert (await history.load()).world_state == '{"flaps":[1]}'
        await history.commit(Effects(), {}, 1_002.0, "")

    async def read(history):
        assert (await history.load()).world_state == ""

    with_history(tmp_path, write)
    with_history(tmp_path, read)


def test_what_people_did_is_added_to_and_numbered_on_after_a_restart(tmp_path):
    first, second, third = human(1), human(2, wall=999.0), human(1, action="note", wall=2_000.0)

    async def write(history):
        await history.commit(Effects(humans=(first, replace(second, at=77.0))), {}, 1_000.0)
        await history.commit(Effects(), {}, 1_000.0)

    async def read(history):
        await history.commit(Effects(humans=(third,)), {}, 2_000.0)
        assert await history.humans() == [third, second, first]
        assert await history.humans(since_wall=1_000.0, limit=2) == [third, first]
        assert await history.humans(incident=1) == [third, first]
        assert await history.humans(incident=2, since_wall=1_000.0) == []

    async def unreadable(history):
        with pytest.raises(HistoryFailed, match="no mapping"):
            await history.humans()

    with_history(tmp_path, write)
    with_history(tmp_path, read)
    assert findings(tmp_path / "netwatch.db") == []
    with sqlite3.connect(tmp_path / "netwatch.db") as connection:
        connection.execute("UPDATE human SET document = '[]' WHERE id = 2")
        connection.execute("UPDATE human SET incident = 5 WHERE id = 1")
    connection.close()
    assert [(found.rule, found.detail[:7]) for found in findings(tmp_path / "netwatch.db")] == [
        ("numbers", "human 1"),
        ("document", "human 2"),
    ]
    with_history(tmp_path, unreadable)


def test_a_replay_is_told_every_transition_in_the_order_of_its_decision(tmp_path, monkeypatch):
    monkeypatch.setattr(_reader, "TRANSITIONS_AT_ONCE", 3)
    walls = [1_000.0, 1_001.0, 1_002.0, 900.0, 1_003.0, 1_003.0, 1_004.0, 1_005.0]  # the clock stepped back once
    changes = [transition(number, wall=wall) for number, wall in enumerate(walls)]

    async def body(history):
        async def told(since_wall, until_wall):
            return [int(change.detail) async for change in history.results_for_replay(since_wall, until_wall)]

        assert await told(0, 1e9) == []
        await history.commit(Effects(transitions=tuple(changes)), {}, 1_010.0)
        assert [change async for change in history.results_for_replay(0, 1e9)] == changes
        assert await told(1_001.0, 1_004.0) == [1, 2, 4, 5]
        assert await told(900.0, 1_001.0) == [0, 3]
        assert await told(2_000.0, 3_000.0) == []

    with_history(tmp_path, body)
