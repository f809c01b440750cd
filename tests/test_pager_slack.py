import asyncio
import html
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from netwatch.pagers import Busy, PagerMisconfigured, Receipt, Refused
from netwatch.pagers._text import inert
from netwatch.pagers.slack import bare, blocks
from tests.pager_cases import NASTY, TEXT, page, send, slack_bot, slack_hook, texted
from tests.pager_servers import Status, hostile
from tests.pager_services import SLACK_TOKEN, Slack, utf16


def told(made, *steps, script=()):
    async def scenario():
        receipt = None
        async with hostile(Slack(), *script) as server:
            for options, one, text in steps:
                receipt = await send(made(server.url, **options), one, text, receipt)
            return server, receipt

    return asyncio.run(scenario())


def test_a_page_has_a_header_its_text_and_two_buttons():
    server, receipt = told(slack_hook, ({}, page(), TEXT))
    (message,) = server.service.messages
    header, section, actions = message["blocks"]
    assert header == {"type": "header", "text": {"type": "plain_text", "text": TEXT.title, "emoji": False}}
    assert section["text"]["text"].startswith("Từ 02:47")
    assert [(one["text"]["text"], one["url"]) for one in actions["elements"]] == [("Tiếp nhận", TEXT.acknowledge_url), ("Xem", TEXT.url)]
    assert (message["text"], message["mrkdwn"]) == (TEXT.title, False)
    assert receipt == Receipt(), "a webhook does not say where the message stands"


def test_a_bot_answers_in_the_thread_and_shows_the_recovery_to_all():
    server, _receipt = told(slack_bot, ({}, page(), TEXT), ({}, page("update"), TEXT), ({}, page("recover"), TEXT))
    first, update, recovery = server.service.messages
    assert (first["channel"], update["channel"]) == ("#noc", "C0")
    assert update["thread_ts"] == recovery["thread_ts"] == first["ts"]
    assert (update["reply_broadcast"], recovery["reply_broadcast"]) == (False, True)
    assert [one["url"] for one in recovery["blocks"][2]["elements"]] == [TEXT.url]


def test_a_thread_that_is_gone_costs_no_update():
    async def scenario():
        async with hostile(Slack()) as server:
            await send(slack_bot(server.url), page("update"), TEXT, Receipt('["slack", "#noc", "C0", "1.2"]'))
            return server.service.messages

    (message,) = asyncio.run(scenario())
    assert "thread_ts" not in message
    assert message["channel"] == "C0"


@pytest.mark.parametrize("made", [slack_hook, slack_bot])
def test_what_is_refused_with_its_blocks_is_sent_as_text(made):
    refusal = Status(400, {}, "invalid_blocks") if made is slack_hook else Status(200, {}, '{"ok": false, "error": "invalid_blocks"}')
    server, _receipt = told(made, ({}, page(), TEXT), script=[refusal])
    (message,) = server.service.messages
    assert "blocks" not in message
    assert message["text"].startswith(TEXT.body)
    assert html.unescape(message["text"]).endswith(f"Tiếp nhận: {TEXT.acknowledge_url}\nXem: {TEXT.url}")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("ratelimited", Busy),
        ("internal_error", Busy),
        ("fatal_error", Busy),
        ("is_archived", Refused),
        ("channel_not_found", Refused),
        ("", Refused),
    ],
)
def test_an_error_of_the_api_is_for_now_or_for_good(error, expected):
    answer = Status(200, {}, json.dumps({"ok": False, "error": error}))
    with pytest.raises(expected, match=error or "error"):
        told(slack_bot, ({}, page(), TEXT), script=[answer] * 2)


@pytest.mark.parametrize("error", [[], {}, ["x"], {"x": 1}, None, 5])
def test_an_error_that_is_no_word_is_a_refusal_too(error):
    with pytest.raises(Refused):
        told(slack_bot, ({}, page(), TEXT), script=[Status(200, {}, json.dumps({"ok": False, "error": error}))] * 2)


@pytest.mark.parametrize("body", ["ok", "ok\n", '{"ok": true}'])
def test_a_webhook_accepts_with_ok(body):
    server, _receipt = told(slack_hook, ({}, page(), TEXT), script=[Status(200, {}, body)])
    assert server.asked == 1


def test_a_bot_does_not_take_a_webhook_s_word():
    with pytest.raises(Busy):
        told(slack_bot, ({}, page(), TEXT), script=[Status(200, {}, "ok")])


def test_no_mention_markup_or_emoji_comes_out_of_a_device_s_words():
    written = blocks(page(), texted(f"x\n{NASTY}", title=NASTY), "vi")
    for text in (written["text"], *(block["text"]["text"] for block in written["blocks"][:2])):
        assert "<" not in text
        assert html.unescape(text) in inert(NASTY) + inert(f"x\n{NASTY}")
    assert all(block["text"] | {"type": "plain_text", "emoji": False} == block["text"] for block in written["blocks"][:2])
    assert (written["mrkdwn"], bare(page(), texted(NASTY), "vi")["mrkdwn"]) == (False, False)
    assert "<" not in bare(page(), texted(NASTY), "vi")["text"]


@example(title="&" * 150, body="🔴" * 3_000, link="")
@example(title="x", body="x", link="a" * 4_000)
@given(
    title=st.text(st.characters(codec=None), max_size=300),
    body=st.text(st.characters(codec=None), min_size=1, max_size=300).map(lambda text: text * 20),
    link=st.text("ab&<", max_size=5_000),
)
def test_every_message_keeps_the_contract(title, body, link):
    text = texted(body, title=title, acknowledge_url=f"https://nw/{link}")
    for written in (blocks(page(), text, "vi"), bare(page(), text, "vi")):
        sent = json.loads(json.dumps(written))
        assert Slack().fault(sent) == ""
        assert utf16(sent["text"]) <= 4_000
        assert "<" not in sent["text"]
        assert sent["text"].count("&") == sum(sent["text"].count(entity) for entity in ("&amp;", "&lt;", "&gt;"))


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"url": "canary"}, "url"),
        ({"token": "canary", "channel": "C1"}, "token"),
        ({"token": SLACK_TOKEN, "channel": "canary <!x>"}, "channel"),
        ({"token": SLACK_TOKEN}, ""),
        ({"channel": "#canary"}, ""),
        ({"url": "https://h/canary", "token": SLACK_TOKEN, "channel": "#noc"}, ""),
        ({"url": "https://h/canary", "channel": "#noc"}, ""),
        ({}, ""),
    ],
)
def test_a_wrong_option_is_named_and_its_value_never_shown(options, key):
    from tests.pager_cases import pager

    with pytest.raises(PagerMisconfigured) as wrong:
        pager("slack", **options)
    assert wrong.value.key == key
    assert "canary" not in repr(wrong.value) + str(wrong.value)
