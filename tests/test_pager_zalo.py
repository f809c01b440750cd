import asyncio

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from netwatch.pagers import Busy, PagerMisconfigured, Receipt, Refused
from netwatch.pagers._text import inert
from netwatch.pagers.zalo import zalo_text
from tests.pager_cases import NASTY, TEXT, page, send, texted, zalo
from tests.pager_servers import Status, hostile
from tests.pager_services import Zalo, utf16


def told(made, text=TEXT, script=(), **options):
    async def scenario():
        async with hostile(Zalo(), *script) as server:
            return await send(zalo(server.url, **options), made, text), server.service.texts

    return asyncio.run(scenario())


def test_a_page_is_its_text_with_the_link_that_acknowledges():
    assert told(page()) == (Receipt(), [f"{TEXT.body}\nTiếp nhận: {TEXT.acknowledge_url}"])


def test_a_recovery_has_nothing_to_acknowledge():
    assert told(page("recover"))[1] == [TEXT.body]


def test_a_device_s_words_are_shown_as_they_are():
    assert told(page("recover"), texted(NASTY))[1] == [inert(NASTY)]


@pytest.mark.parametrize(
    ("code", "expected"),
    [(400, Refused), (401, Refused), (403, Refused), (404, Refused), (408, Busy), (429, Busy), (500, Busy), (-201, Refused)],
)
def test_a_refusal_with_200_counts_as_its_error_code(code, expected):
    with pytest.raises(expected, match="not today" if code != -201 else "HTTP 400: not today"):
        told(page(), script=[Status(200, {}, f'{{"ok": false, "error_code": {code}, "description": "not today"}}')])


def test_a_chat_that_never_wrote_to_the_bot_is_refused_with_the_reason():
    with pytest.raises(Refused, match="chat not found"):
        told(page(), chat_id="stranger")


@example(body="🔴" * 2_000, link="")
@example(body="a" * 1_999 + "🔴", link="x")
@given(
    body=st.text(st.characters(codec=None), min_size=1, max_size=200).map(lambda text: text * 20), link=st.text("abc/?=%", max_size=1_500)
)
def test_every_text_fits_and_the_link_is_never_cut(body, link):
    address = f"https://nw/{link}"
    written = zalo_text(page(), texted(body, acknowledge_url=address), "vi")
    assert 1 <= utf16(written) <= 2_000
    written.encode("utf-8")
    if len(address) < 900:
        assert written.endswith(f"\nTiếp nhận: {address}")


@pytest.mark.parametrize(
    ("options", "key"), [({"token": "canary"}, "token"), ({"chat_id": "canary/x"}, "chat_id"), ({"chat_id": 5}, "chat_id")]
)
def test_a_wrong_option_is_named_and_its_value_never_shown(options, key):
    with pytest.raises(PagerMisconfigured) as wrong:
        zalo("http://h", **options)
    assert wrong.value.key == key
    assert "canary" not in repr(wrong.value) + str(wrong.value)
