"""`/line-test/SITE`: a line measured from a browser, whom it is for, and what becomes of it."""

import asyncio
import contextlib
import time

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch import ledger
from netwatch.assisted import LIFE_SECONDS, Measuring, opens, token
from netwatch.cli import app
from tests.test_daemon import SECRET, wait_until
from tests.test_line_tests import Lines

KEY = b"k" * 32
STREAMS = 4


@given(st.binary(min_size=1), st.text(), st.integers(0, 10**10))
def test_a_link_opens_its_own_site_until_it_ends(key, site, ends):
    made = token(key, site, ends)
    assert opens(key, site, made, ends - 1)
    assert not opens(key, site, made, ends)
    assert not opens(key, site + "x", made, ends - 1)
    assert not opens(key + b"x", site, made, ends - 1)


@given(st.text())
def test_no_other_text_opens_anything(text):
    assert not opens(KEY, "na-tau", text, 0)


async def flow_down(client, path):
    async with client.get(path) as answer:
        async for _ in answer.content.iter_any():
            pass
        return answer.status


async def flow_up(client, path):
    body = bytes(80_000)
    again = ""
    while True:
        async with client.post(path + again, data=body) as answer:
            if answer.status != 204:
                return answer.status
        again = "&again=1"


async def measured(client, line, direction, key, **options):
    """What a browser does."""
    address = f"/line-test/na-tau/{line}/{direction}"
    flow = flow_up if direction == "up" else flow_down

    async def quietly():
        with contextlib.suppress(aiohttp.ClientError):
            await flow(client, f"{address}/flow?k={key}")

    async with asyncio.TaskGroup() as group:
        flows = [group.create_task(quietly()) for _ in range(STREAMS)]
        async with client.post(f"{address}?k={key}", **options) as answer:
            status, told = answer.status, await answer.json()
        for one in flows:
            one.cancel()
    return status, told


@pytest.fixture
def running(tmp_path):
    """A real daemon, at whose site no reflector answers, and a link of the site's."""
    place = Lines(tmp_path)
    try:
        place.start()
        yield place, token((place.state / "link.key").read_bytes(), "na-tau", time.time() + 60)
    finally:
        place.close()


def ask(place, work):
    async def scenario():
        async with aiohttp.ClientSession(f"http://127.0.0.1:{place.port}") as client:
            return await work(client)

    return asyncio.run(scenario())


@pytest.mark.parametrize("direction", ["down", "up"])
def test_a_line_is_proved_from_a_browser_and_the_ledger_says_assisted(running, direction):
    place, key = running
    status, told = ask(place, lambda client: measured(client, "main", direction, key))
    assert (status, told["verdict"]) == (200, "proved"), told
    wait_until(place.records)
    (record,) = (one for one in place.records() if one["method"] == "page")
    assert (record["verdict"], record["grade"], record["method"], record["direction"]) == ("proved", "assisted", "page", direction), record[
        "reason"
    ]
    assert record["low_bits_per_second"] >= 5e6
    assert 0 < record["bytes"] < 5e6 / 8 * 4
    assert ledger.verify(ledger.path_in(place.state), public=ledger.key_in(ledger.path_in(place.state).parent)).sound


def test_a_test_through_a_proxy_is_not_taken_for_one_of_the_line(running):
    place, key = running
    status, told = ask(place, lambda client: measured(client, "main", "down", key, headers={"X-Forwarded-For": "10.0.0.1"}))
    assert (status, told["verdict"]) == (409, "inconclusive")
    assert not place.records()


def test_a_link_that_is_wrong_or_old_opens_nothing(running):
    place, key = running
    old = token((place.state / "link.key").read_bytes(), "na-tau", time.time() - 1)

    async def work(client):
        found = []
        for given_key in (old, key[:-1], "", key + "0"):
            for method, path in (("get", ""), ("post", "/main/down"), ("get", "/main/down/flow"), ("post", "/main/up/flow")):
                async with client.request(method, f"/line-test/na-tau{path}?k={given_key}") as answer:
                    found.append(answer.status)
        return found

    assert set(ask(place, work)) == {404}


def test_the_page_says_what_may_be_measured_and_measures_nothing_by_itself(running):
    place, key = running

    async def work(client):
        async with client.get(f"/line-test/na-tau?k={key}", headers={"Accept-Language": "vi"}) as answer:
            return answer.status, await answer.text()

    status, text = ask(place, work)
    assert status == 200
    assert 'data-line-test="/line-test/na-tau/main/down"' in text
    assert "Đo đường truyền" in text
    assert "<style" not in text
    assert not place.records()


class Said:
    """A stream whose kernel says what it is told to."""

    family = 2

    def __init__(self, *told):
        self.told = list(told)


def steady(measuring, monkeypatch, bits_per_second, queue_seconds, seconds):
    """Looks at a line that carries so much, until it is over."""
    from dataclasses import replace

    from netwatch import assisted

    state = {"bytes": 0, "rtt": 0.01}
    base = replace(assisted.NOTHING, segment_bytes=1448, least_rtt_seconds=0.01)
    monkeypatch.setattr(
        assisted,
        "_told",
        lambda _stream: replace(base, acknowledged_bytes=state["bytes"], received_bytes=state["bytes"], rtt_seconds=0.01 + queue_seconds),
    )
    measuring.join(Said())
    now = 100.0
    while not measuring.look(now):
        assert now < 100 + seconds, "it never ended"
        now += 0.05
        state["bytes"] += int(bits_per_second / 8 * 0.05 * 1448 / 1488)
    return measuring.document()


def test_a_line_that_holds_back_is_measured_below_its_contract(monkeypatch):
    told = steady(Measuring("down", 20e6), monkeypatch, 15e6, 0.05, 11)
    assert told["verdict"] == "refuted"
    assert told["line_bits_per_second"] == pytest.approx(15e6, rel=0.02)


def test_a_browser_that_is_slow_decides_nothing(monkeypatch):
    told = steady(Measuring("down", 20e6), monkeypatch, 15e6, 0.0, 11)
    assert (told["verdict"], told["reason"]) == ("inconclusive", "tcp_limited")


def test_upwards_nothing_is_refuted_since_no_queue_is_seen(monkeypatch):
    assert steady(Measuring("up", 20e6), monkeypatch, 15e6, 0.05, 11)["verdict"] == "inconclusive"


@given(st.floats(1e6, 1e9), st.integers(1, 65536))
def test_no_more_is_let_through_than_the_pace(contract, portion):
    measuring = Measuring("down", contract)
    measuring._began, gone, now = 0.0, 0, 0.0
    for _ in range(200):
        waited = measuring.wait_seconds(now, portion)
        if waited:
            now += waited
        else:
            gone += portion
        assert gone <= measuring.plan.pace_bits_per_second / 8 * (now + 0.02)


def test_the_command_gives_a_link_that_opens(running, monkeypatch, capsys):
    place, _ = running
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    source = place.state.parent / "assist.yaml"
    source.write_text(place.inventory.read_text().replace("language: en", "language: en\npage_url: http://hub.example:9780"))
    with pytest.raises(SystemExit) as ended:
        app(["line", "assist", "na-tau", "--inventory", str(source), "--state", str(place.state)])
    assert ended.value.code in {0, None}
    link = capsys.readouterr().out.split()[-1]
    assert link.startswith("http://hub.example:9780/line-test/na-tau?k=")
    assert opens((place.state / "link.key").read_bytes(), "na-tau", link.rpartition("=")[2], time.time() + LIFE_SECONDS - 60)


def test_both_languages_have_a_word_for_every_denial():
    from netwatch.lang import LANGUAGES, catalog

    for language in LANGUAGES:
        for reason in ("fresh", "meeting", "window", "budget", "busy", "shared"):
            assert catalog(language).has(f"line_page.denied_{reason}")
