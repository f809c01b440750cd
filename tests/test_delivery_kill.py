"""kill -9 between committing, sending and recording: no page is lost, and a duplicate has the same key."""

import asyncio
import contextlib
import random
import sys
from pathlib import Path

from tests.servers import HANG, http_receiver

ROOT = Path(__file__).parent.parent
KILLS = 20
# The receiver is as unreliable as the network before it: it fails, or takes a page and its answer is lost.
MOODS = ((204, {}), (204, {}), (500, {}), (429, {"Retry-After": "0"}), (HANG, {}))


@contextlib.asynccontextmanager
async def child(mode, directory, url):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.delivery_child", mode, str(directory), url), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def killed_after(directory, receiver, requests):
    """Lets it live until so many more requests have come; returns the pages that were committed."""
    async with child("send", directory, receiver.url) as process:
        await receiver.wait_for(len(receiver.received) + requests)
        process.kill()
        said = (await process.stdout.read()).decode()
    return [line.split()[1] for line in said.splitlines() if line.startswith("committed")]


def number(page):
    """The incident and its page: (12, 2)."""
    return tuple(map(int, page.partition("#")[2].partition("@")[0].split(".")))


def test_kill_9_loses_no_page_and_keeps_their_order(tmp_path):
    moments = random.Random(20261124)

    async def scenario():
        async with asyncio.timeout(100), http_receiver() as receiver:
            committed, lives = [], []
            for _ in range(KILLS):
                begun = len(receiver.received)
                receiver.script[:] = moments.choices(MOODS, weights=(8, 8, 2, 1, 1), k=200)
                committed += await killed_after(tmp_path, receiver, moments.randint(1, 30))
                lives.append(receiver.received[begun:])
            begun = len(receiver.received)
            receiver.script.clear()
            async with child("drain", tmp_path, receiver.url) as process:
                assert await process.stdout.read() == b"drained\n"
            return committed, [*lives, receiver.received[begun:]]

    committed, lives = asyncio.run(scenario())
    bodies, order = {}, {}
    for life in lives:
        begun = {key: len(pages) for key, pages in order.items()}
        for request in life:
            page = request.headers["webhook-id"]
            assert bodies.setdefault(page, request.body) == request.body
            order.setdefault(page.partition("#")[0], []).append(page)
        for key, pages in order.items():  # a life may repeat what the one before had no time to note, but in order
            told = [number(page) for page in pages[begun.get(key, 0) :]]
            assert told == sorted(told)
    assert len(committed) > KILLS
    for pages in order.values():
        assert number(pages[-1]) == max(map(number, pages))
    for page in committed:  # what was not sent, a later page of the same key has told
        assert page in bodies or number(page) < max(map(number, order[page.partition("#")[0]]))
