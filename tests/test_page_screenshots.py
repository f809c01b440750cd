"""What only a browser can tell: nothing cut off, nothing complained of, alive and honest about silence."""

import asyncio
import contextlib
import dataclasses
import shutil

import pytest

from netwatch.model import State
from netwatch.web.stream import Streams
from tests.browser import browser
from tests.page_server import FakeDaemon, serve
from tests.province import WALL, calm_province, dark, province

pytestmark = pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium: tests/install-peers")

OUTSIDE = """[...document.querySelectorAll("a.tile")].filter((tile) => {
  const box = tile.getBoundingClientRect();
  return box.left < 0 || box.top < 0 || box.right > innerWidth || box.bottom > innerHeight || box.width < 20 || box.height < 20;
}).map((tile) => tile.id)"""
OVERLAPPING = """(() => {
  const boxes = [...document.querySelectorAll(".tiles a.tile")].map((tile) => [tile.id, tile.getBoundingClientRect()]);
  return boxes.flatMap(([id, a]) => boxes.filter(([other, b]) =>
    id < other && a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1).map(([other]) => [id, other]));
})()"""
CUT_NAMES = """[...document.querySelectorAll("a.tile .name")].filter((name) =>
  name.scrollWidth > name.clientWidth + 1 || name.getBoundingClientRect().bottom > name.parentElement.getBoundingClientRect().bottom
).map((name) => name.textContent)"""
SHIFTED_CLOCK = "const real = performance.now.bind(performance); window.later = 0; performance.now = () => real() + window.later;"


@contextlib.asynccontextmanager
async def scene(width, height, *, snapshot=None, **look):
    daemon = FakeDaemon(snapshot or province())
    runner, address = await serve(daemon, streams=Streams(pace_seconds=0.0, alive_seconds=3600.0))
    try:
        async with browser() as chromium:
            yield daemon, await chromium.open(width, height, **look), address, runner
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(("width", "height", "scheme"), [(1366, 768, "light"), (1024, 620, "dark")])
def test_all_45_tiles_are_in_view_on_a_small_desktop_screen_and_none_overlap(width, height, scheme):
    async def scenario():
        async with scene(width, height, scheme=scheme) as (_, tab, address, _runner):
            await tab.go(f"{address}/")
            assert await tab.value('document.querySelectorAll(".tiles a.tile").length') == 45
            assert await tab.value(OUTSIDE) == []
            assert await tab.value(OVERLAPPING) == []
            assert await tab.value(CUT_NAMES) == []
            await tab.until('document.getElementById("moment").textContent.includes("cập nhật")')
            assert tab.complaints() == []

    asyncio.run(scenario())


@pytest.mark.parametrize("language", ["vi", "en"])
def test_nothing_scrolls_sideways_on_the_narrowest_phone(language):
    async def scenario():
        async with scene(320, 640, language=language) as (_, tab, address, _runner):
            for path in ("/", "/sites/na-tau", "/sites/thanh-an", "/sites/none"):
                await tab.go(address + path)
                await tab.value('document.querySelectorAll("details").forEach((one) => { one.open = true; })')
                assert await tab.value("document.documentElement.scrollWidth") <= 320, path
            await tab.go(f"{address}/")
            assert await tab.value(CUT_NAMES) == []
            complaints = [one for one in tab.complaints() if "404" not in one]  # /sites/none is meant not to be there
            assert complaints == []

    asyncio.run(scenario())


def test_a_cut_appears_by_itself_in_tile_sentence_title_and_icon():
    async def scenario():
        async with scene(1366, 768, snapshot=calm_province()) as (daemon, tab, address, _runner):
            await tab.go(f"{address}/")
            assert await tab.value("document.title") == "netwatch"
            await tab.value('document.getElementById("t-na-son").focus()')
            calm = calm_province(revision=2)
            sites = tuple(dark(one, WALL - 5) if one.site.id == "na-tau" else one for one in calm.sites)
            await daemon.change(dataclasses.replace(calm, sites=sites))
            await tab.until('document.getElementById("t-na-tau").classList.contains("crit")')
            await tab.until('document.title === "(1) netwatch"')
            assert "1\u00a0sự\u00a0cố" in await tab.value('document.getElementById("sentence").textContent')
            assert "favicon-crit" in await tab.value('document.getElementById("favicon").href')
            assert await tab.value('document.getElementById("t-na-tau").classList.contains("pulse")') is True
            assert await tab.value("document.activeElement.id") == "t-na-son"
            assert tab.complaints() == []

    asyncio.run(scenario())


def test_an_opened_list_of_checks_stays_open_through_an_update():
    async def scenario():
        async with scene(800, 600) as (daemon, tab, address, _runner):
            await tab.go(f"{address}/sites/na-son")
            await tab.value('document.getElementById("checks-router").open = true')
            changed = province(revision=2)
            sites = tuple(dataclasses.replace(one, state=State.WARN) if one.site.id == "na-son" else one for one in changed.sites)
            await daemon.change(dataclasses.replace(changed, sites=sites))
            await tab.until('document.querySelector(".now .badge").classList.contains("warn")')
            assert await tab.value('document.getElementById("checks-router").open') is True

    asyncio.run(scenario())


def test_silence_looks_like_silence_and_its_end_like_its_end():
    async def scenario():
        async with scene(1366, 768) as (daemon, tab, address, _runner):
            await tab.owner.call("Page.addScriptToEvaluateOnNewDocument", tab.session, source=SHIFTED_CLOCK)
            await tab.go(f"{address}/")
            await tab.until('document.getElementById("moment").textContent.includes("cập nhật")')
            await tab.value("window.later = 31000")
            await tab.until('document.getElementById("stale").hidden === false')
            assert await tab.value('document.getElementById("stale").textContent') == ("Mất liên lạc với netwatch. Số liệu lúc 02:47:10.")
            assert await tab.value('document.body.classList.contains("is-stale")') is True
            assert "favicon-stale" in await tab.value('document.getElementById("favicon").href')
            await daemon.change(province(revision=2))
            await tab.until('document.getElementById("stale").hidden === true')
            assert "favicon-crit" in await tab.value('document.getElementById("favicon").href')

    asyncio.run(scenario())


def test_without_scripts_everything_is_there_and_the_page_renews_itself():
    async def scenario():
        async with scene(360, 740) as (_, tab, address, _runner):
            await tab.owner.call("Emulation.setScriptExecutionDisabled", tab.session, value=True)
            await tab.go(f"{address}/")
            document = await tab.owner.call("DOM.getDocument", tab.session, depth=0)
            root = document["root"]["nodeId"]
            for selector, count in (("a.tile", 48), ('noscript meta[http-equiv="refresh"][content="30"]', 1), (".problem", 6)):
                found = await tab.owner.call("DOM.querySelectorAll", tab.session, nodeId=root, selector=selector)
                assert len(found["nodeIds"]) == count, selector

    asyncio.run(scenario())
