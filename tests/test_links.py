"""One-tap links: what is signed, what opens, and that only sending the form acts."""

import asyncio
import dataclasses
import re
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch import links
from netwatch._delivery_lanes import Desk, Timing
from netwatch.model import Acknowledgement, Human, Settings
from netwatch.web.links import STRANGERS_A_MINUTE
from tests.page_server import page
from tests.province import HOSTILE, WALL, province

KEY = b"k" * 32  # the fake daemon's
NAMES = st.text(st.characters(blacklist_categories=("Cs",)), max_size=20)


@given(st.integers(1, 10**9), st.floats(0, 1e11), NAMES, st.floats(0, 1e10))
def test_what_we_signed_is_read_again(incident, opened, pager, ends):
    known = links.read(KEY, links.token(KEY, incident, opened, pager, ends), incident, opened)
    assert (known.pager, known.ends) == (pager, int(ends))
    assert known.has_ended(int(ends))
    assert not known.has_ended(int(ends) - 1)


@given(st.text(max_size=500))
def test_what_we_did_not_sign_opens_nothing(text):
    assert links.read(KEY, text, 7, 1.0) is None


@given(NAMES, st.integers(0, 400), st.characters(blacklist_categories=("Cs",)))
def test_a_token_with_any_letter_changed_opens_nothing(pager, place, letter):
    whole = links.token(KEY, 7, 1.0, pager, 2_000_000_000)
    place %= len(whole)
    changed = whole[:place] + letter + whole[place + 1 :]
    if changed != whole:
        assert links.read(KEY, changed, 7, 1.0) is None


def test_a_token_is_for_one_incident_of_one_opening_under_one_key():
    whole = links.token(KEY, 7, 1.0, "noc", 2_000_000_000)
    assert links.read(KEY, whole, 8, 1.0) is None
    assert links.read(KEY, whole, 7, 1.5) is None
    assert links.read(b"x" * 32, whole, 7, 1.0) is None


@pytest.mark.parametrize(
    "page_url",
    ["http://127.0.0.1:9780", "http://localhost", "http://[::1]:9780", "https://0.0.0.0", "", "nowhere", "file:///x", "http://[::"],
)
def test_a_page_that_only_this_machine_can_open_gets_no_link(page_url):
    assert links.address(page_url, KEY, 7, 1.0, "noc", WALL) == ""


def test_pages_to_people_carry_a_link_until_it_is_over():
    desk = Desk(wall=lambda: WALL, timing=Timing(), settings=Settings(page_url="https://nw.example.vn/"), link_key=KEY)
    incident = province().incidents[0]
    link = desk.text(incident, "open", "vi", WALL, pager="noc").acknowledge_url
    assert link.startswith(f"https://nw.example.vn/a/{incident.id}?k=")
    assert link == desk.text(incident, "open", "vi", WALL, pager="noc").acknowledge_url  # a retry says the same
    assert links.read(KEY, link.partition("?k=")[2], incident.id, incident.opened).ends == int(WALL) + 86_400
    assert desk.text(incident, "recover", "vi", WALL, pager="noc").acknowledge_url == ""
    assert desk.text(incident, "open", "vi", WALL).acknowledge_url == ""


def test_the_key_is_made_once_and_for_nobody_else_to_read(tmp_path):
    made = links.key_in(tmp_path)
    assert (len(made), links.key_in(tmp_path)) == (32, made)
    assert stat.S_IMODE((tmp_path / "link.key").stat().st_mode) == 0o600
    (tmp_path / "link.key").write_bytes(b"short")
    (tmp_path / "link.key.new").write_bytes(b"left by a crash")
    assert links.key_in(tmp_path) not in {made, b"short"}
    assert [path.name for path in tmp_path.iterdir()] == ["link.key"]


def unowned():
    whole = province()
    return dataclasses.replace(whole, incidents=tuple(dataclasses.replace(one, acknowledgement=None) for one in whole.incidents))


def followed(steps, snapshot=None, **changes):
    """Runs `steps(daemon, client, incident, token)` against the page."""

    async def scenario():
        async with page(snapshot or unowned()) as (daemon, client):
            incident = daemon.now.incidents[0]
            token = links.token(KEY, incident.id, incident.opened, "telegram", changes.get("ends", daemon.now.wall + 3_600))
            return await steps(daemon, client, incident, token)

    return asyncio.run(scenario())


async def fetched(client, method, path, **options):
    async with client.request(method, path, allow_redirects=False, **options) as answer:
        return answer.status, answer.headers, await answer.text()


def test_opening_a_link_shows_a_form_and_changes_nothing():
    async def steps(daemon, client, incident, token):
        for method in ("GET", "HEAD"):
            status, headers, text = await fetched(client, method, f"/a/{incident.id}?k={token}")
            assert (status, daemon.acts) == (200, [])
            assert headers["Cache-Control"] == "no-store"
            assert headers["Referrer-Policy"] == "no-referrer"
        assert (await fetched(client, "GET", f"/a/{incident.id}?k={token}"))[0] == 200
        return text or (await fetched(client, "GET", f"/a/{incident.id}?k={token}"))[2]

    text = followed(steps)
    assert '<form class="take-form" method="post"' in text
    assert "Tôi tiếp nhận" in text


def test_sending_the_form_acts_once():
    async def steps(daemon, client, incident, token):
        form = {"k": token, "who": "  Trực ca A\x1b ", "eta": "30", "note": "đang đi"}
        sent = await fetched(client, "POST", f"/a/{incident.id}", data=form)
        again = await fetched(client, "POST", f"/a/{incident.id}", data=form | {"who": "Người khác"})
        return daemon.acts, sent, again

    acts, sent, again = followed(steps)
    assert [(one.action, one.who, one.note, one.until) for one in acts] == [("acknowledge", "Trực ca A", "đang đi", WALL + 1_800)]
    assert acts[0].via.startswith("link telegram ")
    assert (sent[0], again[0]) == (303, 200)
    assert sent[1]["Location"].startswith("/a/")
    assert "Trực ca A đã tiếp nhận" in again[2]


def test_a_used_link_stays_used_over_a_restart():
    async def steps(daemon, client, incident, token):
        known = links.read(KEY, token, incident.id, incident.opened)
        daemon.acts = [
            Human(
                at=0.0, wall=daemon.now.wall, action="acknowledge", who="Trực ca C", incident=incident.id, via=f"link telegram {known.id}"
            )
        ]
        return await fetched(client, "POST", f"/a/{incident.id}", data={"k": token, "who": "B"}), daemon.acts

    answer, acts = followed(steps)
    assert (answer[0], len(acts)) == (200, 1)
    assert "Trực ca C đã tiếp nhận" in answer[2]


def test_one_that_somebody_has_says_who_and_offers_no_form():
    taken = unowned()
    owner = Acknowledgement(who=HOSTILE, wall=WALL - 30, until=WALL + 600, note=HOSTILE)
    taken = dataclasses.replace(taken, incidents=tuple(dataclasses.replace(one, acknowledgement=owner) for one in taken.incidents))

    async def steps(daemon, client, incident, token):
        return await fetched(client, "GET", f"/a/{incident.id}?k={token}")

    status, _, text = followed(steps, taken)
    assert status == 200
    assert "<form" not in text
    assert "Dự kiến xong" in text
    assert "<script>alert" not in text
    assert "\x1b" not in text


def test_an_old_link_an_ended_incident_and_a_nameless_form_do_nothing():
    async def late(daemon, client, incident, token):
        answer = await fetched(client, "POST", f"/a/{incident.id}", data={"k": token, "who": "A"})
        return answer, daemon.acts

    (status, _, text), acts = followed(late, ends=WALL - 1)
    assert (status, acts) == (410, [])
    assert "netwatch ack" in text

    over = unowned()
    ended = dataclasses.replace(over.incidents[0], closed=WALL - 10, close_reason="recovered")
    over = dataclasses.replace(over, incidents=(ended,), closed=(ended,))
    (status, _, text), acts = followed(late, over)
    assert (status, acts) == (200, [])
    assert "đã hết lúc" in text

    async def nameless(daemon, client, incident, token):
        answer = await fetched(client, "POST", f"/a/{incident.id}", data={"k": token, "who": " \x07 "})
        return answer, daemon.acts

    (status, _, text), acts = followed(nameless)
    assert (status, acts) == (422, [])
    assert "Hãy cho biết tên" in text


def test_wrong_links_are_turned_away_and_right_ones_still_open():
    async def steps(daemon, client, incident, token):
        wrong = [await fetched(client, "GET", f"/a/{incident.id}?k=x{number}") for number in range(STRANGERS_A_MINUTE + 2)]
        hostile = await fetched(client, "POST", f"/a/{incident.id}", data=b"\xff&k=%00" + b"&a=1" * 50)
        huge = await fetched(client, "POST", f"/a/{incident.id}", data=b"k=" + b"x" * 100_000)
        right = await fetched(client, "GET", f"/a/{incident.id}?k={token}")
        return [status for status, *_ in wrong], hostile[0], huge[0], right[0], daemon.acts

    wrong, hostile, huge, right, acts = followed(steps)
    assert wrong == [404] * STRANGERS_A_MINUTE + [429, 429]
    assert (hostile, huge, right, acts) == (429, 413, 200, [])


def test_the_language_can_be_changed_without_losing_the_link():
    async def steps(daemon, client, incident, token):
        del daemon
        text = (await fetched(client, "GET", f"/a/{incident.id}?k={token}"))[2]
        other = re.search(r'href="(/a/[^"]*lang=en)"', text)[1].replace("&amp;", "&")
        return (await fetched(client, "GET", other))[2]

    assert "I have it" in followed(steps)
