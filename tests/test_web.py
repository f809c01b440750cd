"""The page, the API and the event stream, asked over real sockets."""

import asyncio
import dataclasses
import json
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch.history import HistoryFailed
from netwatch.lang import LANGUAGES, catalog
from netwatch.model import State
from netwatch.web import guard
from netwatch.web.reader import _accepted
from tests.page_server import HOSTS, ask, page
from tests.province import HOSTILE, WALL, calm_province, province, rechecked


def with_site(snapshot, slug, **changes):
    return dataclasses.replace(
        snapshot, sites=tuple(dataclasses.replace(one, **changes) if one.site.id == slug else one for one in snapshot.sites)
    )


def test_the_sentence_comes_first_then_problems_then_45_tiles_and_hubs_apart():
    status, _, text = ask("/")
    assert status == 200
    assert "38/45\u00a0điểm\u00a0bình\u00a0thường" in text
    assert len(re.findall(r'<li class="c\d r\d+"><a class="tile ', text)) == 45
    assert text.index('id="sentence"') < text.index("Nà Tấu: mất kết nối (cả điểm)") < text.index('class="tiles"')
    hubs = text[text.index('class="hubs"') : text.index('class="map"')]
    assert hubs.count('class="tile ') == 3


def test_every_state_is_on_the_board_with_its_word_not_only_its_colour():
    _, _, text = ask("/")
    for state in State:
        assert re.search(rf'class="tile {state.value}[" ].*aria-label="[^"]*{catalog("vi").text("state." + state.value)}', text)


def test_a_tile_tells_since_when_and_a_reader_hears_it():
    _, _, text = ask("/")
    assert 'aria-label="Nà Tấu, Sự cố, mất kết nối (cả điểm), từ 02:43"' in text
    assert '<span class="fact">từ 02:43</span>' in text
    assert '<span class="fact">mất 3,2%</span>' in text


def test_netwatchs_own_troubles_stand_as_banners():
    calm = calm_province()
    own = dataclasses.replace(calm.self_view, inventory_ok=False, inventory_errors=("inventory.yaml:3:1: " + HOSTILE,), database_ok=False)
    _, _, text = ask("/", snapshot=dataclasses.replace(calm, self_view=own))
    assert text.count('class="banner"') == 2
    assert "inventory.yaml:3:1:" in text


@pytest.mark.parametrize("path", ["/", "/sites/thanh-an", "/sites/na-tau", "/fragment/board", "/sites/none", "/api/v1/sites/thanh-an"])
def test_what_devices_say_is_harmless(path):
    _, headers, text = ask(path)
    assert "<script>alert" not in text or "json" in headers["Content-Type"]
    parsed = json.dumps(json.loads(text), ensure_ascii=False) if "json" in headers["Content-Type"] else text
    assert not [letter for letter in parsed if unicodedata.category(letter) in {"Cf", "Cc"} and letter != "\n"]
    assert "\\u001b" not in text
    assert "\\u202e" not in text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("path", ["/", *(f"/sites/{slug}" for slug in ("na-tau", "thanh-an", "pu-nhi", "quai-to", "tinh"))])
def test_pages_have_no_inline_script_or_style_and_no_foreign_address(path, language):
    status, _, text = ask(f"{path}?lang={language}")
    assert status == 200
    assert f'<html lang="{language}">' in text
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\bsrc=)|javascript:", text)
    assert not re.findall(r'(?:src|href)="(?!/|\?|#|tel:)[^"]*"', text)


PATHS = ["/", "/sites/na-tau", "/sites/none", "/nothing", "/api/v1/summary", "/api/v1/none", "/metrics", "/healthz", "/favicon.ico"]


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_keeps_a_browser_safe(path):
    _, headers, _ = ask(path)
    assert headers["Content-Security-Policy"].startswith("default-src 'self'")
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert "Server" not in headers


@pytest.mark.parametrize("host", ["evil.example", "evil.example:9780", "127.0.0.1.evil.example", "", "[::2]:9780", "localhost.evil"])
def test_a_foreign_host_name_learns_nothing(host):
    status, _, text = ask("/", headers={"Host": host})
    assert status == 421
    assert "Nà Tấu" not in text


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9780", "127.0.0.1:1", "[::1]:9780", "localhost."])
def test_our_own_names_are_answered(host):
    assert ask("/", headers={"Host": host})[0] == 200


@given(st.text(max_size=60))
def test_any_host_header_is_read_without_a_fault(host):
    assert guard._host_name(host) not in HOSTS or any(name in host.casefold() for name in HOSTS)


@given(st.one_of(st.text(max_size=80), st.from_regex(r"((vi|en|fr)(-[A-Z]{2})?(;q=[0-9.]{1,4})?,? ?){1,4}", fullmatch=True)))
def test_any_language_header_is_read_without_a_fault(header):
    assert _accepted(header) in {"", *LANGUAGES}


def test_the_language_is_the_address_then_the_cookie_then_the_browsers_then_vietnamese():
    def language(path="/", **headers):
        return re.search(r'<html lang="(\w+)"', ask(path, headers=headers)[2])[1]

    wishes = {"Accept-Language": "fr, en;q=0.8, vi;q=0.5"}
    assert language(**{"Accept-Language": "fr"}) == "vi"
    assert language(**wishes) == "en"
    assert language(**wishes, Cookie="lang=vi") == "vi"
    assert language("/?lang=en", Cookie="lang=vi") == "en"
    assert language("/?lang=xx", Cookie="lang=vi") == "vi"


def test_a_chosen_language_and_theme_are_remembered():
    _, headers, text = ask("/?lang=en&theme=dark")
    cookies = headers.getall("Set-Cookie")
    assert any(one.startswith("lang=en;") and "HttpOnly" in one and "SameSite=Lax" in one for one in cookies)
    assert any(one.startswith("theme=dark;") for one in cookies)
    assert 'data-theme="dark"' in text
    assert 'data-theme="dark"' in ask("/", headers={"Cookie": "theme=dark"})[2]
    assert "Set-Cookie" not in ask("/?lang=<b>&theme=red")[1]


def test_errors_of_the_api_are_json_and_say_what_is_allowed():
    status, headers, text = ask("/api/v1/nothing")
    assert (status, headers["Content-Type"]) == (404, "application/json; charset=utf-8")
    assert json.loads(text)["schema"] == "netwatch/v1/error"
    status, headers, text = ask("/api/v1/summary", method="POST")
    assert (status, headers["Allow"]) == (405, "GET,HEAD")
    assert json.loads(text)["error"] == "method_not_allowed"
    assert json.loads(ask("/api/v1/sites/none")[2])["error"] == "no_such_site"


def test_the_page_cannot_change_anything():
    assert ask("/api/v1/reload", method="POST")[0] == 404
    assert ask("/api/v1/checks/na-tau/line1/icmp/run", method="POST")[0] == 404


def test_only_the_control_socket_prunes_and_it_says_when_the_disk_refuses():
    assert ask("/api/v1/prune", method="POST")[0] == 404

    async def refuses():
        raise HistoryFailed("disk full")

    async def scenario():
        async with page(control=True) as (daemon, client):
            async with client.post("/api/v1/prune") as answer:
                assert await answer.json() == {"schema": "netwatch/v1/prune", "bytes_before": 2_000, "bytes_after": 1_000}
            daemon.prune = refuses
            async with client.post("/api/v1/prune") as answer:
                assert answer.status == 503
                assert "disk full" in await answer.text()

    asyncio.run(scenario())


def test_the_control_socket_reloads_and_asks_for_checks():
    async def scenario():
        async with page(control=True) as (daemon, client):
            async with client.post("/api/v1/reload") as answer:
                assert (await answer.json())["messages"] == ["+ na-tau/vc"]
            daemon.reload_answer = (False, ("inventory.yaml:7:3: sites: …",))
            async with client.post("/api/v1/reload") as answer:
                assert answer.status == 422
                assert (await answer.json())["ok"] is False
            async with client.post("/api/v1/checks/na-tau/line1/icmp/run", headers={"X-Netwatch-Who": "mai"}) as answer:
                assert answer.status == 202
            async with client.post("/api/v1/checks/x/y/z/run") as answer:
                assert answer.status == 404
            assert daemon.asked == [("na-tau/line1/icmp", "mai"), ("x/y/z", "")]

    asyncio.run(scenario())


def test_the_summary_tells_machines_everything_in_base_units_and_english_words():
    _, _, text = ask("/api/v1/summary?lang=vi")
    document = json.loads(text)
    assert document["schema"] == "netwatch/v1/summary"
    assert document["wall"] == "2026-11-24T02:47:10.000+07:00"
    assert document["counts"] == {"ok": 38, "warn": 2, "crit": 2, "unknown": 1, "unreachable": 1, "maintenance": 1}
    assert len(document["sites"]) == 48
    site = next(one for one in document["sites"] if one["id"] == "muong-nhe")
    assert (site["state"], site["loss_ratio"], site["text"]) == ("warn", 0.032, "FTTH VNPT: mất gói 3,2%")
    first = document["incidents"][0]
    assert (first["title"], first["hidden"], first["severity"]) == ("Nà Tấu: mất kết nối (cả điểm)", 6, "critical")


def test_what_is_being_asked_again_is_a_flag_beside_the_state_and_a_mark_on_the_page():
    calm = calm_province()
    told = dataclasses.replace(calm, sites=tuple(rechecked(one, WALL - 3) if one.site.id == "na-tau" else one for one in calm.sites))
    document = json.loads(ask("/api/v1/summary", snapshot=told)[2])
    assert (document["rechecking"], document["counts"]["ok"]) == (1, 45)
    assert [one["id"] for one in document["sites"] if one["rechecking"]] == ["na-tau"]
    document = json.loads(ask("/api/v1/sites/na-tau", snapshot=told)[2])
    line, router = document["targets"][:2]
    assert (line["state"], line["rechecking"], line["confirmed"], line["checks"][0]["rechecking"]) == ("ok", True, True, True)
    assert not router["rechecking"]
    text = ask("/", snapshot=told)[2]
    assert re.findall(r'class="tile ok rechecking" id="t-([a-z-]+)"', text) == ["na-tau"]
    text = ask("/sites/na-tau", snapshot=told)[2]
    assert re.search(r'class="hop ok rechecking">.*FTTH VNPT<small>Đang kiểm tra lại', text)
    assert "Bình thường</span> FTTH VNPT" not in text


def test_what_json_cannot_say_is_null():
    snapshot = with_site(province(), "na-son", rtt_seconds=float("nan"), loss_ratio=float("inf"))
    document = json.loads(ask("/api/v1/summary", snapshot=snapshot)[2], parse_constant=pytest.fail)
    site = next(one for one in document["sites"] if one["id"] == "na-son")
    assert (site["rtt_seconds"], site["loss_ratio"]) == (None, None)
    assert ask("/", snapshot=snapshot)[0] == 200


def test_a_site_has_its_targets_checks_samples_facts_and_transitions():
    document = json.loads(ask("/api/v1/sites/na-tau")[2])
    assert document["schema"] == "netwatch/v1/site"
    line = next(one for one in document["targets"] if one["kind"] == "line")
    assert (line["state"], line["up"], line["line"]["contract_down_bits_per_second"]) == ("crit", False, 100e6)
    assert line["checks"][0]["samples"][1] == {
        "name": "icmp_loss_ratio",
        "instance": "",
        "values": [1.0],
        "title": "Mất gói",
        "text": "100%",
    }
    assert document["transitions"][0]["new"] == "crit"
    assert document["contact"]["phone"] == "0912 345 678"


def test_a_site_page_says_where_the_office_is_whom_to_ring_and_which_hop_is_broken():
    _, _, text = ask("/sites/sin-thau")
    assert "UBND xã Leng Su Sìn cũ" in text
    assert "Trụ sở: Trụ sở" not in text
    assert 'href="tel:0912345678"' in text
    assert re.search(r'class="hop crit">.*FTTH VNPT', text)
    assert re.search(r'class="hop unreachable">.*Router', text)
    order = re.findall(r'class="target (\w+)"', text)
    assert order[0] == "crit"
    assert set(order[1:]) == {"unreachable"}


def test_an_unknown_site_is_404_with_the_list_of_all():
    status, _, text = ask("/sites/nowhere")
    assert status == 404
    assert text.count('href="/sites/') == 48


def test_static_files_are_for_ever_and_an_old_address_is_gone():
    _, _, text = ask("/")
    found = re.search(r'href="(/static/\w+/)base\.css"', text)[1]
    for name, kind in (("base.css", "text/css"), ("live.js", "javascript"), ("icons.svg", "image/svg+xml")):
        status, headers, _ = ask(found + name)
        assert status == 200
        assert kind in headers["Content-Type"]
        assert "immutable" in headers["Cache-Control"]
    assert ask("/static/0123456789abcdef/base.css")[0] == 404
    assert ask(found + "..%2Fpage.py")[0] == 404


def test_the_first_view_is_small_enough_for_a_phone_on_3g():
    async def scenario():
        async with page() as (_, client):
            total = 0
            text = await (await client.get("/")).text()
            for path in ["/", *re.findall(r'(?:src|href)="(/static/[^"#]+)', text)]:
                async with client.get(path) as answer:
                    total += int(answer.headers["Content-Length"])
            return total

    assert asyncio.run(scenario()) < 60_000


def test_metrics_are_passed_on_and_a_second_scrape_at_once_is_told_to_wait():
    async def scenario():
        async with page() as (daemon, client):
            async with client.get("/metrics") as answer:
                assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
                assert b"netwatch_build_info 1" in await answer.read()
            daemon.overloaded = True
            async with client.get("/metrics") as answer:
                assert (answer.status, answer.headers["Retry-After"]) == (503, "1")

    asyncio.run(scenario())


def test_health_answers_even_when_something_is_not_well():
    calm = calm_province()
    own = dataclasses.replace(calm.self_view, database_ok=False)
    status, _, text = ask("/healthz", snapshot=dataclasses.replace(calm, self_view=own))
    assert status == 200
    assert json.loads(text)["ok"] is False


def test_a_path_of_twenty_hops_reaches_the_api_whole():
    hop = "2001:db8:1234:5678:9abc:def0:1234:5678 1000.0 ms"
    facts = {"path": " › ".join(f"{distance} {hop}" for distance in range(1, 21)), "detail": "x" * 2_000}
    taken = province()
    incident = dataclasses.replace(taken.incidents[0], facts=facts)
    told = json.loads(ask("/api/v1/summary", snapshot=dataclasses.replace(taken, incidents=(incident,)))[2])["incidents"][0]["facts"]
    assert told["path"] == facts["path"]
    assert len(told["detail"]) < 1_500
