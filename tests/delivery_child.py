"""A history and a delivery to be killed: `python -m tests.delivery_child send|drain DIRECTORY URL`."""

import asyncio
import sys
import time
from pathlib import Path

from netwatch.delivery import Delivery, Timing
from netwatch.history import History
from netwatch.model import Cause, Effects, Incident, Page, PagerSettings

SECRET = "whsec_" + "A" * 40
NUMBERS_A_LIFE = 40


def say(*words):
    sys.stdout.write(" ".join(str(word) for word in words) + "\n")
    sys.stdout.flush()


def pages(number):
    """The opening of an incident and its recovery, of one of five sites."""
    site = f"site-{number % 5}"
    opened = Incident(
        id=number,
        key=f"netwatch/{site}",
        cause=Cause("site", site),
        sites=(site,),
        severity="critical",
        opened=1.0,
        updated=1.0,
        sequence=1,
    )
    closed = Incident(
        id=number,
        key=opened.key,
        cause=opened.cause,
        sites=opened.sites,
        severity="critical",
        opened=1.0,
        updated=2.0,
        closed=2.0,
        sequence=2,
    )
    yield opened, Page(incident=opened, kind="open", wall=1.0, pager="noc")
    yield closed, Page(incident=closed, kind="recover", wall=2.0, pager="noc")


async def send(history, delivery):
    first = (await history.load()).next_incident_id
    for number in range(first, first + NUMBERS_A_LIFE):
        for incident, page in pages(number):
            rows = await history.commit(Effects(incidents=(incident,), pages=(page,)), {}, time.time())
            say("committed", page.id)
            delivery.accept(rows)
    await asyncio.Event().wait()


async def drain(history, delivery):
    while delivery.pending or (await history.load()).outbox:  # noqa: ASYNC110  # the ledger has no event to wait for
        await asyncio.sleep(0.02)
    say("drained")


async def main(mode, directory, url):
    history = await History.open(directory)
    delivery = Delivery(history, wall=time.time, timing=Timing(retry_seconds=(0.01, 0.02), deadline_seconds=0.5))
    delivery.configure({"noc": PagerSettings(name="noc", kind="webhook", options={"url": url, "secret": SECRET})})
    stored = await history.load()
    delivery.restore(stored.outbox, stored.threads)
    async with asyncio.TaskGroup() as group:
        group.create_task(history.run())
        running = group.create_task(delivery.run())
        await (send if mode == "send" else drain)(history, delivery)
        delivery.stop()
        await running
        await history.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
