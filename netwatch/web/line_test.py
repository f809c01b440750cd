"""`/line-test/SITE`: whoever is at a site measures its lines with a browser. What it finds is graded assisted."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import Any, cast

from aiohttp import web

from netwatch.assisted import Measuring, opens
from netwatch.lang import writing
from netwatch.line import Direction
from netwatch.model import Line
from netwatch.web.api import answer
from netwatch.web.backend import BACKEND, Backend
from netwatch.web.line import reason_text
from netwatch.web.page import PAGES, html
from netwatch.web.reader import reader_of

__all__ = ["add_routes"]

LOOK_SECONDS = 0.05
START_SECONDS = 5.0  # for the browser's streams to come, and for the admission that they wait for
PORTION = os.urandom(65_536)  # what is not random may be compressed on the way
MOST_STREAMS = 16
PORTION_SECONDS = 0.12  # of the contract: what a browser sends in one go may lie in buffers, before the pace can hold it back
FAST_BITS_PER_SECOND = 20e6
DIRECTIONS: tuple[Direction, ...] = ("down", "up")


@dataclass(slots=True)
class _Running:
    """`over` is set when no more is to be sent. There is one test of a line at a time: the lease sees to that."""

    measuring: Measuring
    over: bool = False
    streams: int = 0

    @property
    def portion_bytes(self) -> int:
        return len(PORTION) if self.measuring.contract > FAST_BITS_PER_SECOND else len(PORTION) // 8


RUNNING: web.AppKey[dict[str, _Running]] = web.AppKey("line_tests", dict[str, _Running])


def _tested(backend: Backend, site: str, place: Line, direction: Direction) -> tuple[str, float] | None:
    """The check that a line is tested by, and the contract; None where it is not tested."""
    check, contract = f"{site}/{place.id}/capacity-{direction}", place.contract_bits_per_second(direction)
    return (check, contract) if contract and check in backend.inventory().checks else None


def _check_of(request: web.Request) -> tuple[str, float]:
    """As `_tested`. Raises HTTPNotFound, also for a link that is not ours or is too old."""
    backend, slug = request.app[BACKEND], request.match_info["slug"]
    if not opens(backend.link_key(), slug, request.query.get("k", ""), backend.snapshot().wall):
        raise web.HTTPNotFound
    site = backend.inventory().sites.get(slug)
    place = site.lines.get(request.match_info["line"]) if site is not None else None
    found = _tested(backend, slug, place, _direction(request)) if place is not None else None
    if found is None:
        raise web.HTTPNotFound
    return found


def _direction(request: web.Request) -> Direction:
    """The routes let no other in."""
    return cast("Direction", request.match_info["direction"])


async def show(request: web.Request) -> web.Response:
    """Measures nothing: chat programs open links to preview them."""
    backend, slug, reader = request.app[BACKEND], request.match_info["slug"], reader_of(request)
    token, words, site = request.query.get("k", ""), reader.words, backend.inventory().sites.get(slug)
    known = site is not None and opens(backend.link_key(), slug, token, backend.snapshot().wall)
    tests = []
    for place in site.lines.values() if site is not None and known else ():
        for direction in DIRECTIONS:
            found = _tested(backend, slug, place, direction)
            if found is not None:
                title = f"{writing.clean(place.label, 80) or place.id} · {words.text(f'line.direction_{direction}')}"
                tests.append(
                    (
                        title,
                        f"{place.id}/{direction}",
                        direction,
                        writing.bits_per_second(found[1], words),
                        int(found[1] / 8 * PORTION_SECONDS),
                    )
                )
    fields = {
        "slug": slug,
        "token": token,
        "known": known,
        "tests": tests,
        "place_name": writing.clean(site.name, 80) if site and known else "",
    }
    return html(request, request.app[PAGES].render("line_test.html", reader, live=None, **fields), 200 if known else 404)


async def measure(request: web.Request) -> web.Response:
    """Holds the lease as long as the browser waits for the answer, ten seconds at most."""
    check, contract = _check_of(request)
    backend, running, words = request.app[BACKEND], request.app[RUNNING], reader_of(request).words
    if any(name in request.headers for name in ("X-Forwarded-For", "Forwarded", "Via")):
        return answer({"verdict": "inconclusive", "text": words.text("line_page.proxy")}, 409)
    one = _Running(Measuring(_direction(request), contract))

    async def run() -> Any:
        running[check] = one
        try:
            return await _looked_at(one, backend, request.match_info["slug"])
        finally:
            one.over = True
            running.pop(check, None)

    told = await backend.page_test(check, run)
    if told is None:
        raise web.HTTPNotFound
    if "denied" in told:
        return answer({"verdict": "inconclusive", "text": words.text(f"line_page.denied_{told['denied']}")}, 409)
    rate = writing.bits_per_second(told["line_bits_per_second"], words)
    text = words.text(f"line_page.{told['verdict']}", rate=rate, reason=reason_text(str(told["reason"]), words))
    return answer({"verdict": told["verdict"], "text": text, "bytes": told["bytes"]})


async def _looked_at(one: _Running, backend: Backend, site: str) -> Any:
    loop = asyncio.get_running_loop()
    until = loop.time() + START_SECONDS + one.measuring.plan.max_seconds
    while not one.measuring.look(loop.time()):
        await asyncio.sleep(LOOK_SECONDS)
        if backend.meeting_on(site):
            return one.measuring.document("yielded")
        if loop.time() > until:
            return one.measuring.document("nothing_arrived")
    return one.measuring.document()


async def _joined(request: web.Request) -> _Running:
    """Waits until the test has been let in. Raises HTTPConflict when it is not, or is over."""
    check, _ = _check_of(request)
    loop = asyncio.get_running_loop()
    until = loop.time() + START_SECONDS
    while (one := request.app[RUNNING].get(check)) is None:
        if loop.time() > until or request.query.get("again"):
            raise web.HTTPConflict
        await asyncio.sleep(LOOK_SECONDS)
    connection = request.transport.get_extra_info("socket") if request.transport is not None else None
    if one.streams >= MOST_STREAMS or connection is None:
        raise web.HTTPConflict
    one.measuring.join(connection)
    one.streams += 1
    return one


async def _may_go(one: _Running, portion_bytes: int) -> bool:
    """Waits until the pace lets a portion through; False when the test is over."""
    now = asyncio.get_running_loop().time
    while not one.over and (seconds := one.measuring.wait_seconds(now(), portion_bytes)):  # noqa: ASYNC110  # it waits for a moment, not for somebody
        await asyncio.sleep(min(seconds, LOOK_SECONDS))
    return not one.over


async def down(request: web.Request) -> web.StreamResponse:
    one = await _joined(request)
    portion = PORTION[: one.portion_bytes]
    response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
    try:
        await response.prepare(request)
        while await _may_go(one, len(portion)):
            await response.write(portion)
    except ConnectionError:
        pass  # the browser has left
    finally:
        one.streams -= 1
    return response


async def up(request: web.Request) -> web.Response:
    """A browser sends a portion at a time, and is told when to stop."""
    one = await _joined(request)
    try:
        received = b"x"
        while received and await _may_go(one, one.portion_bytes):
            received = await request.content.read(one.portion_bytes)
    finally:
        one.streams -= 1
    return web.Response(status=204, headers={"Connection": "close"} if one.over else {})


def add_routes(app: web.Application) -> None:
    app[RUNNING] = {}
    app.router.add_get("/line-test/{slug:[a-z0-9-]+}", show)
    place = "/line-test/{slug:[a-z0-9-]+}/{line:[a-z0-9-]+}/{direction:down|up}"
    app.router.add_post(place, measure)
    app.router.add_get(place.replace("{direction:down|up}", "{direction:down}") + "/flow", down)
    app.router.add_post(place.replace("{direction:down|up}", "{direction:up}") + "/flow", up)
