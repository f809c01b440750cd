"""A daemon that is not one, serving the real pages, for the tests of the page and its pictures."""

import asyncio
import contextlib
import dataclasses
import socket
from pathlib import Path

import aiohttp
from aiohttp import web

from netwatch import core, rollcall
from netwatch.model import Belief, Inventory, Subject, Transition
from netwatch.web import Overloaded, make_app
from netwatch.web.stream import Streams
from tests.province import HOSTILE, WALL, province

HOSTS = ("127.0.0.1", "localhost", "::1")


class FakeDaemon:
    """What a `Backend` must do, without doing it."""

    def __init__(self, snapshot):
        self.now = snapshot
        self.moved = asyncio.Condition()
        self.asked = []
        self.acts = []
        self.reload_answer = (True, ("+ na-tau/vc",))
        self.overloaded = False
        self.admits = None
        self.meeting = False
        self.register = []
        self.known = None
        self.in_force = Inventory(sites={}, checks={})
        self.ledger_at = Path("/nonexistent/ledger/records")

    def snapshot(self):
        return self.now

    async def change(self, snapshot):
        async with self.moved:
            self.now = snapshot
            self.moved.notify_all()

    async def changed(self, revision):
        async with self.moved:
            await self.moved.wait_for(lambda: self.now.revision > revision)
            return self.now.revision

    async def metrics(self, sse_clients):
        if self.overloaded:
            raise Overloaded
        return f"# TYPE netwatch_build_info gauge\nnetwatch_build_info 1\nnetwatch_sse_clients {sse_clients}\n".encode()

    async def reload(self):
        return self.reload_answer

    async def prune(self):
        return 2_000, 1_000

    def check_now(self, check_id, who):
        self.asked.append((check_id, who))
        return check_id.startswith("na-tau/")

    async def test_line(self, check_id, who):
        self.asked.append((check_id, who))
        return {"denied": "meeting"} if "/capacity-" in check_id else None

    async def page_test(self, check_id, measure):
        return await measure() if self.admits is None else {"denied": self.admits}

    def devices(self):
        return self.register

    def evidence(self, sitting, legs):
        """What the snapshot tells, unless a test knows better."""
        world = core.World(inventory=self.in_force)
        return rollcall.evidence_of(world, self.now, sitting, legs) if self.known is None else self.known

    def meeting_on(self, site):
        return self.meeting

    def act(self, human):
        self.acts.append(human)
        known = {incident.id for incident in self.now.incidents}
        return human if human.incident in known or human.matcher or human.window else None

    async def humans(self, since_wall, incident, limit):
        found = [one for one in self.acts if one.wall >= since_wall and incident in {None, one.incident}]
        return found[::-1][:limit]

    def ledger_path(self):
        return self.ledger_at

    def link_key(self):
        return b"k" * 32

    def inventory(self):
        return self.in_force

    async def transitions(self, site, since_wall, limit):
        subject = Subject("na-tau/line1/icmp")
        known = [
            Transition(subject=subject, old=Belief.OK, new=Belief.CRIT, hard=True, wall=WALL - 250, since=WALL - 259, code="timeout"),
            Transition(subject=subject, old=Belief.CRIT, new=Belief.OK, hard=True, wall=WALL - 90000, since=WALL - 90000),
            Transition(subject=subject, old=Belief.OK, new=Belief.CRIT, hard=False, wall=WALL - 90300, since=WALL - 90300, detail=HOSTILE),
        ]
        return [one for one in known if site in {None, "na-tau"} and one.wall >= since_wall][:limit]

    async def samples(self, check_id, metric, instance, since_wall, until_wall):
        """Trains of five echoes every five seconds, of which one in sixty lost one."""
        walls = [since_wall + 5 * number for number in range(1, int(until_wall - since_wall) // 5)]
        kinds = {"icmp_rtt_seconds": (0.020, 0.022, 0.021, 0.030, 0.020), "icmp_loss_ratio": (0.0,)}
        lossy = {"icmp_rtt_seconds": (0.020, 0.022, 0.021, 0.020), "icmp_loss_ratio": (0.2,)}
        return [(wall, (kinds if number % 60 else lossy)[metric]) for number, wall in enumerate(walls) if metric in kinds]

    async def incidents(self, site, since_wall, limit):
        """Those that are open, and that each was there before, until a day and an hour ago."""
        over = [dataclasses.replace(one, id=one.id + 500, closed=WALL - 90_000) for one in self.now.incidents]
        known = (one for one in (*self.now.incidents, *over) if site is None or site in one.sites)
        return [one for one in known if one.closed is None or one.closed >= since_wall][:limit]


async def serve(backend, *, control=False, unix="", **options):
    """The runner and its address; `await runner.cleanup()` ends it."""
    streams = options.pop("streams", None) or Streams(pace_seconds=0.0)
    runner = web.AppRunner(make_app(backend, control=control, allowed_hosts=HOSTS, streams=streams, **options), shutdown_timeout=5.0)
    await runner.setup()
    if unix:
        await web.UnixSite(runner, unix).start()
        return runner, unix
    listener = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, listener).start()
    return runner, f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextlib.asynccontextmanager
async def page(snapshot=None, **options):
    """A fake daemon, its pages, and a client that asks as a browser of the office does."""
    daemon = FakeDaemon(snapshot or province())
    runner, address = await serve(daemon, **options)
    try:
        async with aiohttp.ClientSession(address, headers={"Accept-Language": "vi"}) as client:
            yield daemon, client
    finally:
        await runner.cleanup()


def ask(path, *, snapshot=None, method="GET", control=False, **options):
    """One request: status, headers, body."""

    async def scenario():
        async with page(snapshot, control=control) as (_, client), client.request(method, path, allow_redirects=False, **options) as answer:
            return answer.status, answer.headers, await answer.text()

    return asyncio.run(scenario())
