"""Programs that the tests of history start, kill and starve: `python -m tests.history_child write|limited|full DIRECTORY`."""

import asyncio
import resource
import sys
from pathlib import Path

from netwatch.history import History, HistoryFailed, findings
from netwatch.model import Effects, Metric, Sample
from tests.history_cases import effects, page

ROLLED = {"rtt_seconds": Metric("histogram", "seconds", "", keep="smoke")}


def say(*words):
    sys.stdout.write(" ".join(str(word) for word in words) + "\n")
    sys.stdout.flush()


async def write(history):
    """Commits for ever: says the number once it is durable, and how the page of the one before ended."""
    first = (await history.load()).next_incident_id
    for number in range(first, first + 1_000_000):
        for check in range(20):
            rtts = [Sample("rtt_seconds", (0.1, 0.2, 0.3))]
            history.add_result(f"xa-{check}/line/icmp", 1_000.0 + 60 * number, "failed", 0.1, rtts, ROLLED)
        say("trying", number)
        memory = {"xa-1/line/icmp": str(number)}
        rows = await history.commit(effects(number), memory, 1_000.0 + 60 * number, f"world {number}")
        say("committed", number, rows[0].id)
        if number % 3 == 0:
            await history.page_sent(rows[0].id, f"thread-{number}", 1_000.0 + 60 * number)
            say("sent", number, rows[0].id)
        if number % 10 == 0:
            await history.flush()


async def starved(history, relieve):
    """Writes until the disk refuses, goes on for a while, is relieved and must have recovered with all it was given."""
    number = 0
    try:
        while number < 5_000:
            number += 1
            history.add_result("a/b/c", 1_000.0 + number, "failed", 0.1, [Sample("m", tuple(range(500)))])
            await history.commit(effects(number), {f"a/b/{number}": "x" * 2_000}, 1_000.0)
    except HistoryFailed:
        say("failed")
    for _ in range(20):
        number += 1
        try:
            await history.commit(effects(number), {}, 1_000.0, f"world {number}")
        except HistoryFailed:
            assert not history.database_ok
        assert not history._writer.in_transaction
    assert [row.page.incident.id for row in (await history.load()).outbox][:3] == [1, 2, 3]
    relieve()
    number += 1
    await history.commit(Effects(pages=(page(number),)), {}, 1_000.0)
    await history.flush()
    assert history.database_ok
    assert (await history.load()).world_state == f"world {number - 1}"
    assert {int(change.detail) for change in await history.transitions(limit=10_000)} == set(range(1, number))
    say("recovered")


async def main(mode, directory):
    ballast = directory / "ballast"
    if mode == "full":
        ballast.write_bytes(b"x" * 1_000_000)
    history = await History.open(directory)
    if mode == "limited":
        resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, resource.RLIM_INFINITY))

    def relieve():
        ballast.unlink(missing_ok=True)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    async with asyncio.TaskGroup() as group:
        group.create_task(history.run())
        await (write(history) if mode == "write" else starved(history, relieve))
        await history.close()
    if mode == "full":
        assert findings(directory / "netwatch.db") == []
        say("sound")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
