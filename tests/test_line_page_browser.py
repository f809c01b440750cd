"""The page with which people at a site measure their line, in a real browser."""

import asyncio
import contextlib
import dataclasses
import os
import shutil
from pathlib import Path

import pytest

from netwatch.assisted import token
from netwatch.model import Inventory
from tests.browser import browser
from tests.lines import SITE
from tests.page_server import FakeDaemon, serve
from tests.province import WALL, province

pytestmark = pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium: tests/install-peers")

PICTURES = os.environ.get("NETWATCH_PICTURES", "")
LINE = next(iter(SITE.lines))


def of(direction, what):
    return f"""document.querySelector('[data-direction="{direction}"] {what}')"""


async def pressed(tab, direction):
    """Verdict and text of what the page says at last."""
    said = of(direction, ".said")
    await tab.value(f"{of(direction, 'button')}.click()")
    await tab.until(f"{said}.dataset.verdict !== undefined")
    return await tab.value(f"{said}.dataset.verdict"), await tab.value(f"{said}.textContent")


@contextlib.asynccontextmanager
async def opened(width=360, height=740, **look):
    daemon = FakeDaemon(province())
    contracts = {"contract_down_bits_per_second": 20e6, "contract_up_bits_per_second": 5e6}
    line = dataclasses.replace(SITE.lines[LINE], **contracts)
    checks = {f"{SITE.id}/{LINE}/capacity-{direction}": None for direction in ("down", "up")}
    daemon.in_force = Inventory(sites={SITE.id: dataclasses.replace(SITE, lines={LINE: line})}, checks=checks)
    runner, address = await serve(daemon)
    try:
        async with browser() as chromium:
            tab = await chromium.open(width, height, **look)
            await tab.go(f"{address}/line-test/{SITE.id}?k={token(daemon.link_key(), SITE.id, WALL + 60)}")
            yield daemon, tab
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("direction", ["down", "up"])
def test_a_press_measures_and_says_what_was_found(direction):
    async def scenario():
        async with opened(language="vi") as (_daemon, tab):
            verdict, text = await pressed(tab, direction)
            assert verdict == "proved", text
            assert "ĐẠT" in text
            assert await tab.value("[...document.querySelectorAll('button')].every((one) => !one.disabled)")
            if PICTURES:
                await tab.picture(Path(PICTURES) / f"line-test-{direction}.png", whole=True)

    asyncio.run(scenario())


def test_a_meeting_is_said_in_words():
    async def scenario():
        async with opened(language="vi") as (daemon, tab):
            daemon.admits = "meeting"
            verdict, text = await pressed(tab, "down")
            assert verdict == "inconclusive"
            assert "họp trực tuyến" in text

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("width", "height", "scheme"), [(320, 640, "light"), (360, 740, "dark"), (1366, 768, "light"), (1366, 768, "dark")]
)
def test_it_fits_the_screen_and_loads_nothing_it_may_not(width, height, scheme):
    async def scenario():
        async with opened(width, height, scheme=scheme, language="vi") as (_daemon, tab):
            assert await tab.value("document.documentElement.scrollWidth") <= width
            assert tab.complaints() == []
            if PICTURES:
                await tab.picture(Path(PICTURES) / f"line-test-{width}-{scheme}.png", whole=True)

    asyncio.run(scenario())
