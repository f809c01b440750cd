"""The page of who is ready: how many, who is not and whom to ring, what is known of each place and what is not."""

import asyncio
import contextlib
import dataclasses
import inspect
import re
import shutil
import unicodedata

import pytest

from netwatch.conference import Bridge, Evidence, _readiness, readiness
from netwatch.history import HistoryFailed
from netwatch.lang import LANGUAGES, catalog
from netwatch.model import Inventory, Meeting
from netwatch.web.known import COLUMN_OF, COLUMNS, Cell, cells_of
from tests.browser import browser
from tests.page_server import FakeDaemon, page, serve
from tests.province import HOSTILE, WALL, known_before_a_meeting, province

MEETING = Meeting(id="Giao ban tỉnh – xã", matcher="", starts=WALL + 2_280.0, ends=WALL + 13_080.0)
WORDS = catalog("vi")


def prepared(daemon, meetings=(MEETING,), **everywhere):
    sites = {view.site.id: view.site for view in daemon.now.sites}
    daemon.in_force = Inventory(sites=sites, checks={}, meetings=meetings)
    daemon.known = [dataclasses.replace(one, **everywhere) for one in known_before_a_meeting(daemon.now)]
    return daemon


def ask(path="/conference", *, prepare=prepared, **options):
    async def scenario():
        async with page() as (daemon, client):
            prepare(daemon, **options)
            async with client.get(path) as answer:
                return answer.status, await answer.text()

    return asyncio.run(scenario())


def plain(text):
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def test_how_many_are_ready_and_when_it_begins_stand_first_then_who_is_not_and_whom_to_ring():
    status, text = ask()
    assert status == 200
    told = plain(text)
    order = [
        "36/45 điểm cầu sẵn sàng",
        "Giao ban tỉnh – xã: 03:25–06:25, còn 38 phút nữa",
        "Chưa sẵn sàng (5)",
        "mất kết nối từ 02:43",
        "Có nguy cơ (4)",
        "Sẵn sàng (36)",
        "Đã biết gì về từng điểm cầu",
    ]
    assert [told.find(part) for part in order] == sorted(told.find(part) for part in order)
    assert -1 not in [told.find(part) for part in order]
    assert 'href="tel:02153800126"' in text
    assert 'href="tel:0912345678"' in text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("path", ["/conference", "/fragment/conference"])
def test_what_a_device_or_a_query_says_is_harmless_and_nothing_is_inline(path, language):
    status, text = ask(f"{path}?lang={language}&meeting=%3Cscript%3Ealert(2)%3C/script%3E%22%20x=")
    assert status == 200
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert not [letter for letter in text if unicodedata.category(letter) in {"Cf", "Cc"} and letter != "\n"]
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\bsrc=)|javascript:", text)
    assert not re.findall(r'(?:src|href)="(?!/|\?|#|tel:)[^"]*"', text)


def test_the_name_of_a_meeting_is_a_strangers_too():
    status, text = ask(meetings=(dataclasses.replace(MEETING, id=HOSTILE[:100]),))
    assert status == 200
    assert "<script>alert" not in text


def test_places_of_which_the_same_is_to_be_said_share_a_card():
    _, text = ask()
    (card,) = [one for one in text.split('<div class="target card') if "chưa từng được đo" in one]
    assert {"/sites/na-son", "/sites/na-bung"} <= set(re.findall(r'href="([^"]+)"', card))
    assert "2 điểm cầu" in card


def test_what_hinders_every_place_is_said_once():
    _, text = ask(bridges=(Bridge(name="Pexip", reachable=False),))
    assert text.count("máy chủ họp Pexip không phản hồi") == 1
    assert "0/45" in text
    assert "Chỉ vướng việc chung ở trên" in text


def test_who_has_taken_it_is_named():
    _, text = ask()
    assert "Tổ trưởng ca đã tiếp nhận" in plain(text)


def test_without_a_meeting_soon_it_judges_as_if_and_tells_the_next_one():
    later = dataclasses.replace(MEETING, starts=WALL + 86_400.0, ends=WALL + 90_000.0)
    _, text = ask(meetings=(later,))
    assert "Đang xét như thể họp lúc 03:47." in text
    assert "Cuộc họp tới: Giao ban tỉnh – xã: 25/11 02:47–03:47, còn 1 ngày nữa" in text
    (link,) = re.findall(r'href="(/conference\?meeting=[^"]+)"', text)
    _, text = ask(link, meetings=(later,))
    assert "Đang xét" not in text
    assert 'data-fragment="/fragment/conference?meeting=Giao%20ban' in text
    _, text = ask(meetings=())
    assert "Chưa có cuộc họp nào trong lịch" in text


def test_a_history_that_cannot_be_read_is_said_and_takes_no_page_away():
    def prepare(daemon):
        async def samples(*_):
            raise HistoryFailed("disk")

        prepared(daemon).samples = samples

    status, text = ask(prepare=prepare)
    assert status == 200
    assert "Không đọc được số đo 10 phút qua" in text


def test_readers_that_come_together_read_history_once_and_later_ones_anew():
    async def scenario():
        async with page() as (daemon, client):
            asked, real = [], prepared(daemon).samples

            async def samples(*arguments):
                asked.append(arguments)
                return await real(*arguments)

            daemon.samples = samples
            counts = []
            for later in (0, 9, 11):
                daemon.now = dataclasses.replace(daemon.now, wall=WALL + later)
                async with asyncio.TaskGroup() as readers:
                    for _ in range(3):
                        readers.create_task(client.get("/fragment/conference"))
                counts.append(len(asked))
            return counts

    first, soon, anew = asyncio.run(scenario())
    assert 0 < first == soon
    assert anew == 2 * first


def test_a_snapshot_alone_makes_a_page():
    status, text = ask(prepare=lambda daemon: prepared(daemon) and setattr(daemon, "known", None))
    assert status == 200
    assert "0/45" in text
    assert ask(prepare=lambda daemon: None)[0] == 200


def test_every_page_leads_there():
    for path in ("/", "/sites/na-tau", "/conference"):
        assert '<a href="/conference"' in ask(path)[1]


def cells(evidence):
    return dict(zip(COLUMNS, cells_of(evidence, readiness(evidence), WORDS), strict=True))


def test_of_a_dark_place_only_the_line_and_its_proof_are_known():
    found = {one.site: cells(one) for one in known_before_a_meeting(province())}
    assert found["na-tau"]["line"] == Cell(mark="crit", text="mất")
    assert {name for name, cell in found["na-tau"].items() if cell.text} == {"line", "proof"}
    assert [cell.mark for cell in found["muong-nhe"].values()] == ["ok", "crit", "warn", "ok", "ok", "ok", "ok", "ok", "ok"]
    assert found["quai-to"]["ups"] == Cell(mark="crit", text="ắc quy 41 phút")
    assert found["quai-to"]["line"] == Cell(mark="warn", text="dự phòng")
    assert [name for name, cell in found["pu-nhi"].items() if not cell.text] == [
        "loss", "rtt", "jitter", "free", "registered", "ups", "proof"
    ]  # fmt: skip
    assert {cell.mark for cell in cells(Evidence(site="x", up=True, starts_in_seconds=0.0, blind=True)).values()} == {""}


def test_every_reason_of_a_place_colours_a_cell():
    codes = set(re.findall(r'code="(\w+)"|code = "(\w+)" if|else "(\w+)"$', inspect.getsource(_readiness)))
    named = {name for found in codes for name in found if name} - {"blind", "quality_unknown"}
    assert {name for name in named if not name.startswith("bridge_")} <= COLUMN_OF.keys() | {"dark"}
    assert set(COLUMN_OF.values()) <= set(COLUMNS)


@contextlib.asynccontextmanager
async def opened(width, height, **look):
    daemon = prepared(FakeDaemon(province()))
    runner, address = await serve(daemon)
    try:
        async with browser() as chromium:
            tab = await chromium.open(width, height, **look)
            await tab.go(f"{address}/conference")
            yield daemon, tab, address
    finally:
        await runner.cleanup()


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium: tests/install-peers")
@pytest.mark.parametrize(("width", "language"), [(320, "vi"), (360, "en"), (1366, "vi")])
def test_nothing_but_the_table_scrolls_sideways_and_the_browser_does_not_complain(width, language):
    async def scenario():
        async with opened(width, 740, language=language) as (_, tab, _address):
            assert await tab.value("document.documentElement.scrollWidth") <= width
            small = "[...document.querySelectorAll('.pages a, .ring a')].filter((one) => one.getBoundingClientRect().height < 36).length"
            assert await tab.value(small) == 0
            assert tab.complaints() == []

    asyncio.run(scenario())


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium: tests/install-peers")
def test_an_open_page_follows_what_changes():
    async def scenario():
        async with opened(800, 600) as (daemon, tab, _address):
            daemon.known = [dataclasses.replace(one, up=True) for one in daemon.known]
            await daemon.change(province(revision=2))
            await tab.until('document.querySelector(".count-ready b").textContent === "38/45"')

    asyncio.run(scenario())
