import asyncio
import contextlib
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch import _commits
from netwatch._commits import Commits
from netwatch.history import HistoryFailed, OutboxRow
from netwatch.model import Belief, Cause, Effects, Incident, Page, Subject, Transition

TRANSITION = Transition(subject=Subject("s/d/c"), old=Belief.OK, new=Belief.CRIT, hard=True, wall=1.0, since=1.0)


def incident(number, sequence=1):
    return Incident(
        id=number, key=f"k{number}", cause=Cause("site", "s"), sites=("s",), severity="critical", opened=1.0, updated=1.0, sequence=sequence
    )


def effects(number, sequence=1):
    one = incident(number, sequence)
    return Effects(transitions=(TRANSITION,), incidents=(one,), pages=(Page(incident=one, kind="open", wall=1.0, pager="noc"),))


@dataclass
class Disk:
    """What History is to commits; answers when told to."""

    answers: bool = True
    refuses: bool = False
    closed: bool = False
    begun: list = field(default_factory=list)
    pending: list = field(default_factory=list)
    ids: int = 0

    def begin(self, effects, memories, wall, world_state):
        if self.closed:
            raise HistoryFailed("closed")
        self.begun.append((effects, dict(memories)))
        stored = asyncio.get_running_loop().create_future()
        rows = []
        for page in effects.pages:
            self.ids += 1
            rows.append(OutboxRow(id=self.ids, page=page))
        self.pending.append(stored)
        if self.answers:
            self.answer()
        return tuple(rows), stored

    def answer(self):
        for stored in self.pending:
            if self.refuses:
                stored.set_exception(HistoryFailed("disk full"))
            else:
                stored.set_result(None)
        self.pending.clear()


class Place:
    def __init__(self, disk):
        self.disk, self.sent, self.changed = disk, [], asyncio.Condition()
        self.commits = Commits(disk, wall=lambda: 1.0, announce=self.announce, written=self.written)

    async def announce(self):
        async with self.changed:
            self.changed.notify_all()

    def written(self, rows, effects):
        self.sent += rows

    @contextlib.asynccontextmanager
    async def running(self):
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            running = group.create_task(self.commits.run())
            yield running
            self.commits.stop()


async def until(true):
    while not true():  # noqa: ASYNC110  # what it waits for is any state of a fake
        await asyncio.sleep(0)


def test_nothing_is_sent_that_is_not_on_the_disk():
    async def scenario():
        place = Place(Disk(answers=False))
        async with place.running():
            place.commits.put(effects(1), {"s/d/c": "crit"})
            await until(lambda: place.disk.pending)
            assert place.sent == []
            place.disk.answer()
            await until(lambda: place.sent)
            assert [row.id for row in place.sent] == [1]

    asyncio.run(scenario())


def test_a_disk_that_hangs_delays_one_page_for_a_moment_and_then_none(monkeypatch, caplog):
    async def scenario():
        monkeypatch.setattr(_commits, "PATIENCE_SECONDS", 0.01)
        place = Place(Disk(answers=False))
        async with place.running():
            place.commits.put(effects(1), {})
            await until(lambda: len(place.sent) == 1)
            monkeypatch.setattr(_commits, "PATIENCE_SECONDS", 3600.0)
            for number in range(2, 6):
                place.commits.put(effects(number), {})
                await until(lambda number=number: len(place.sent) == number)
            assert [row.id for row in place.sent] == [1, 2, 3, 4, 5]  # they have their place on the disk: how they end is noted there
            place.disk.answer()
            await asyncio.sleep(0)
            place.commits.put(effects(6), {})
            await until(lambda: place.disk.pending)
            assert len(place.sent) == 5  # a disk that is well is waited for again
            place.disk.answer()

    asyncio.run(scenario())
    assert len([record for record in caplog.records if "hangs" in record.message]) == 1


@pytest.mark.parametrize("trouble", ["refuses", "closed"])
def test_when_the_disk_refuses_pages_go_from_memory(trouble):
    async def scenario():
        place = Place(Disk(**{trouble: True}))
        async with place.running():
            place.commits.put(effects(1), {})
            await until(lambda: place.sent)
        assert [(row.id, row.page.incident.id) for row in place.sent] == [(None, 1)]

    asyncio.run(scenario())


def test_a_disk_that_hung_and_then_refused_raises_nothing(monkeypatch):
    async def scenario():
        monkeypatch.setattr(_commits, "PATIENCE_SECONDS", 0.0)
        place = Place(Disk(answers=False, refuses=True))
        async with place.running():
            place.commits.put(effects(1), {})
            await until(lambda: place.sent)
            place.disk.answer()

    asyncio.run(scenario())


@given(st.lists(st.tuples(st.integers(1, 4), st.sampled_from(["a", "b"])), max_size=30), st.booleans())
def test_all_that_was_put_is_written_in_order_and_of_what_changed_twice_the_last(chosen, burst):
    async def scenario():
        place = Place(Disk())
        async with place.running():
            for number, (one, check) in enumerate(chosen):
                place.commits.put(effects(one, number), {check: str(number)})
                if not burst:
                    await asyncio.sleep(0)
        stored, memories = {}, {}
        for written, known in place.disk.begun:
            stored |= {one.id: one.sequence for one in written.incidents}
            memories |= known
        assert stored == {one: number for number, (one, _) in enumerate(chosen)}
        assert memories == {check: str(number) for number, (_, check) in enumerate(chosen)}
        assert [row.page.incident.sequence for row in place.sent] == list(range(len(chosen)))
        assert sum(len(written.transitions) for written, _ in place.disk.begun) == len(chosen)

    asyncio.run(scenario())


def test_a_burst_is_a_few_transactions_of_bounded_size():
    async def scenario():
        place = Place(Disk())
        for number in range(1000):
            place.commits.put(effects(number), {})
        async with place.running():
            pass
        assert [len(written.pages) for written, _ in place.disk.begun] == [_commits.AT_A_TIME] * (1000 // _commits.AT_A_TIME)

    asyncio.run(scenario())
