"""Server-sent events, over real sockets."""

import asyncio
import json

import aiohttp

from netwatch.web.stream import Streams
from tests.page_server import FakeDaemon, page, serve
from tests.province import WALL, calm_province, province


async def next_event(answer):
    """The next event of a stream as a mapping; comments are left out."""
    event = {}
    async with asyncio.timeout(30):
        async for line in answer.content:
            text = line.decode().rstrip("\n")
            if not text and event.get("event"):
                return event
            if text and not text.startswith(":"):
                name, _, value = text.partition(": ")
                event[name] = value
    return event


def test_a_change_reaches_the_browser_as_an_event_with_its_revision():
    async def scenario():
        async with page() as (daemon, client), client.get("/api/v1/events") as answer:
            assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
            first = await next_event(answer)
            assert (first["event"], first["id"], first["retry"]) == ("changed", "1", "3000")
            await daemon.change(calm_province(revision=2))
            second = await next_event(answer)
            assert (second["event"], second["id"]) == ("changed", "2")
            assert json.loads(second["data"]) == {"revision": 2, "wall": WALL, "started": WALL - 86400, "rechecking": False}

    asyncio.run(scenario())


def test_a_browser_that_comes_back_with_the_same_revision_is_not_told_of_a_change():
    async def scenario():
        async with page() as (_, client):
            for last, kind in (("1", "alive"), ("500", "changed"), ("x", "changed")):
                async with client.get("/api/v1/events", headers={"Last-Event-ID": last}) as answer:
                    assert (await next_event(answer))["event"] == kind

    asyncio.run(scenario())


def test_silence_is_filled_so_that_a_browser_can_tell_a_calm_from_a_dead_line():
    async def scenario():
        async with page(streams=Streams(alive_seconds=0.01)) as (_, client), client.get("/api/v1/events") as answer:
            assert (await next_event(answer))["event"] == "changed"
            assert (await next_event(answer))["event"] == "alive"
            assert (await next_event(answer))["event"] == "alive"

    asyncio.run(scenario())


def test_more_streams_than_allowed_are_refused_and_a_closed_one_makes_room():
    async def scenario():
        streams = Streams(limit=1, alive_seconds=0.01)
        async with page(streams=streams) as (_, client):
            async with client.get("/api/v1/events") as answer:
                await next_event(answer)
                async with client.get("/api/v1/events") as refused:
                    assert (refused.status, refused.headers["Retry-After"]) == (503, "15")
                    assert json.loads(await refused.text())["schema"] == "netwatch/v1/error"
            async with asyncio.timeout(30):
                while streams.scopes:  # noqa: ASYNC110  # nobody is told of a stream's end; each turn lets the handler come to it
                    await asyncio.sleep(0)
            async with client.get("/api/v1/events") as answer:
                assert (await next_event(answer))["event"] == "changed"

    asyncio.run(scenario())


def test_metrics_tell_how_many_follow_the_page_live():
    async def told(client):
        async with client.get("/metrics") as answer:
            return (await answer.text()).splitlines()[-1]

    async def scenario():
        async with page() as (_, client):
            assert await told(client) == "netwatch_sse_clients 0"
            async with client.get("/api/v1/events") as first, client.get("/api/v1/events") as second:
                await next_event(first)
                await next_event(second)
                assert await told(client) == "netwatch_sse_clients 2"

    asyncio.run(scenario())


def test_an_open_stream_does_not_hold_up_the_end():
    """Without the stop at shutdown aiohttp waits twice its shutdown timeout, here ten seconds."""

    async def scenario():
        runner, address = await serve(FakeDaemon(province()))
        async with aiohttp.ClientSession(address) as client, client.get("/api/v1/events") as answer:
            await next_event(answer)
            async with asyncio.timeout(4):
                await runner.cleanup()
            assert await answer.content.read() == b""  # a proper end, not a cut

    asyncio.run(scenario())
