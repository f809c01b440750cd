import asyncio
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from netwatch.pagers import Busy, PagerMisconfigured, Receipt, Refused
from netwatch.pagers._text import inert
from netwatch.pagers.telegram import html_text, plain_text, press_data
from tests.pager_cases import NASTY, OPENED, TEXT, acknowledged, page, send, telegram, texted
from tests.pager_servers import Status, hostile
from tests.pager_services import Telegram, read_html, utf16


def told(*steps, service=None, script=()):
    """Sends (options, page, text) one after another, each with the receipt before it."""

    async def scenario():
        receipt = None
        async with hostile(service or Telegram(), *script) as server:
            for options, made, text in steps:
                receipt = await send(telegram(server.url, **options), made, text, receipt)
            return server, receipt

    return asyncio.run(scenario())


PRESS = f"ack:7:{int(OPENED)}"


def test_a_page_is_a_message_with_a_bold_title_and_buttons_one_of_which_acts_at_once():
    server, _receipt = told(({}, page(), TEXT))
    (message,) = server.service.messages
    assert (message["chat"], message["text"], message["tags"]) == ("-1001", TEXT.body, ["b"])
    assert message["buttons"] == [("Tiếp nhận", PRESS), ("Tiếp nhận, hẹn giờ", TEXT.acknowledge_url), ("Xem", TEXT.url)]
    assert message["silent"] is False
    assert message["topic"] is None


def test_updates_and_the_recovery_answer_the_first_message_and_the_recovery_is_silent():
    server, _receipt = told(({}, page(), TEXT), ({}, page("update"), TEXT), ({}, page("recover"), TEXT))
    first, update, recovery = server.service.messages
    assert first["answers"] is None
    assert update["answers"] == recovery["answers"] == first["number"]
    assert (update["silent"], recovery["silent"]) == (False, True)
    assert recovery["buttons"] == [("Xem", TEXT.url)], "nothing is left to acknowledge"


def test_a_first_message_that_is_gone_costs_no_update():
    async def scenario():
        async with hostile(Telegram()) as server:
            thread = Receipt('["telegram", "-1001", "-1001", "5"]')
            await send(telegram(server.url), page("update"), TEXT, thread)
            return server

    server = asyncio.run(scenario())
    assert (server.service.messages[0]["answers"], server.asked) == (None, 1)


def test_after_a_move_to_another_chat_nothing_of_the_old_one_is_answered():
    service = Telegram(chats={"-1001", "-1002"})
    server, receipt = told(({}, page(), TEXT), ({"chat_id": -1002}, page("update"), TEXT), service=service)
    assert [(one["chat"], one["answers"]) for one in server.service.messages] == [("-1001", None), ("-1002", None)]
    assert '"-1002"' in receipt.thread


def test_a_group_that_became_a_supergroup_is_followed_and_the_receipt_remembers():
    service = Telegram(chats={"-100999"}, moved={"-1001": -100999})
    server, receipt = told(({}, page(), TEXT), ({}, page("update"), TEXT), service=service)
    first, update = service.messages
    assert (first["chat"], update["chat"], update["answers"]) == ("-100999", "-100999", first["number"])
    assert server.asked == 3, "only the first page had to be told"
    assert '"-100999"' in receipt.thread


def test_a_pager_remembers_the_move_for_the_next_incident():
    async def scenario():
        async with hostile(Telegram(chats={"-100999"}, moved={"-1001": -100999})) as server:
            one = telegram(server.url)
            await send(one, page(), TEXT)
            await send(one, page(id=8, key="netwatch/pu-nhi"), TEXT)
            return server

    assert asyncio.run(scenario()).asked == 3


def test_a_group_that_moves_in_the_middle_of_an_incident_gets_its_recovery():
    async def scenario():
        async with hostile(Telegram()) as server:
            receipt = await send(telegram(server.url), page(), TEXT)
            server.service.chats, server.service.moved = {"-100999"}, {"-1001": -100999}
            server.service.messages.append({"chat": "-100999", "number": 100, "answers": None})  # somebody else's, with the old number
            receipt = await send(telegram(server.url), page("update"), TEXT, receipt)
            receipt = await send(telegram(server.url), page("recover"), TEXT, receipt)
            return server

    server = asyncio.run(scenario())
    assert [(one["chat"], one["answers"]) for one in server.service.messages] == [
        ("-1001", None),
        ("-100999", None),
        ("-100999", None),
        ("-100999", 102),
    ]
    assert server.asked == 4


def test_a_text_it_cannot_parse_is_sent_as_plain_text_with_the_links_below():
    refusal = Status(400, {}, '{"ok": false, "error_code": 400, "description": "Bad Request: can\'t parse entities"}')
    server, _receipt = told(({}, page(), TEXT), script=[refusal])
    (message,) = server.service.messages
    assert message["tags"] == message["buttons"] == []
    assert message["text"] == f"{TEXT.body}\nTiếp nhận: {TEXT.acknowledge_url}"


def test_buttons_it_refuses_do_not_cost_the_page():
    refused = Status(400, {}, '{"ok": false, "error_code": 400, "description": "Bad Request: BUTTON_URL_INVALID"}')
    server, _receipt = told(({}, page(), TEXT), script=[refused])
    (message,) = server.service.messages
    assert message["text"].endswith(f"Tiếp nhận: {TEXT.acknowledge_url}")


@pytest.mark.parametrize(
    "here", ["http://127.0.0.1:9780", "http://localhost:9780/sites/na-tau", "http://[::1]:9780", "http://0.0.0.0:9780"]
)
def test_a_page_that_opens_on_this_machine_only_is_no_button_and_one_can_still_acknowledge(here):
    server, _receipt = told(({}, page(), texted(TEXT.body, url=here, acknowledge_url="")))
    assert server.service.messages[0]["buttons"] == [("Tiếp nhận", PRESS)]
    assert server.asked == 1


def test_without_buttons_that_act_the_link_acknowledges():
    server, _receipt = told(({"buttons": False}, page(), TEXT))
    assert server.service.messages[0]["buttons"] == [("Tiếp nhận", TEXT.acknowledge_url), ("Xem", TEXT.url)]


@pytest.mark.parametrize("made", [page("recover"), acknowledged(), page(id=0), replace(page(), about=(page().incident,))])
def test_what_needs_no_acknowledging_has_no_button_for_it(made):
    server, _receipt = told(({}, made, texted(TEXT.body, acknowledge_url="")))
    assert server.service.messages[0]["buttons"] == [("Xem", TEXT.url)]


def test_the_longest_press_fits_telegram():
    assert len(press_data(replace(page().incident, id=10**15 - 1, opened=1e11))) <= 64


def test_a_topic_is_named():
    server, _receipt = told(({"topic": 12}, page(), TEXT))
    assert server.service.messages[0]["topic"] == 12


@pytest.mark.parametrize(
    ("answer", "expected", "seconds"),
    [
        (Status(429, {}, '{"ok": false, "error_code": 429, "parameters": {"retry_after": 31}}'), Busy, 31),
        (Status(429, {"Retry-After": "5"}, '{"ok": false, "parameters": {"retry_after": -1}}'), Busy, 5),
        (Status(429, {}, '{"ok": false, "parameters": {"retry_after": "soon"}}'), Busy, None),
        (Status(429, {}, '{"ok": false, "parameters": [31]}'), Busy, None),
        (Status(200, {}, '{"ok": false, "error_code": 429, "parameters": {"retry_after": 2}}'), Busy, 2),
        (Status(200, {}, '{"ok": false, "error_code": 403}'), Refused, None),
        (Status(502, {}, '{"ok": false, "error_code": 400}'), Busy, None),
        (Status(429, {}, '{"ok": false, "error_code": 429, "parameters": {"migrate_to_chat_id": -5}}'), Busy, None),
        (Status(200, {}, '{"ok": "true", "result": {}}'), Busy, None),
    ],
)
def test_how_it_refuses_is_read_from_the_body(answer, expected, seconds):
    with pytest.raises(expected) as trouble:
        told(({}, page(), TEXT), script=[answer] * 2)
    assert getattr(trouble.value, "retry_after_seconds", None) == seconds


def test_an_acceptance_without_a_number_is_an_acceptance():
    _server, receipt = told(({}, page(), TEXT), ({}, page("update"), TEXT), script=[Status(200, {}, '{"ok": true, "result": true}')])
    assert receipt.thread


def test_a_chat_that_does_not_exist_is_refused_with_the_reason():
    with pytest.raises(Refused, match="chat not found"):
        told(({"chat_id": "@nobody"}, page(), TEXT))


def test_a_device_s_words_are_shown_as_they_are():
    server, _receipt = told(({}, page(), texted(f"🔴 Nà Tấu {NASTY}\n{NASTY}")))
    (message,) = server.service.messages
    assert message["tags"] == ["b"]
    assert message["text"] == inert(f"🔴 Nà Tấu {NASTY}\n{NASTY}")
    assert "<b>x</b>" in message["text"]


@example(body="🔴" * 4_096)
@example(body="&" * 4_096)
@example(body="a" * 4_087 + "🔴")
@given(body=st.text(st.characters(codec=None), min_size=1, max_size=300).map(lambda text: text * 30))
def test_every_text_is_read_and_fits(body):
    for written in (html_text(texted(body)), plain_text(page(), texted(body), "vi")):
        assert utf16(written) <= 4_096
        written.encode("utf-8")
    text, tags = read_html(html_text(texted(body)))
    assert tags == ["b"]
    assert text.strip()
    cut = inert(body) or TEXT.title
    assert cut.startswith(text.removesuffix("…").rstrip())


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"token": "canary"}, "token"),
        ({"token": "1:" + "x" * 30 + "/../canary"}, "token"),
        ({"chat_id": "canary chat"}, "chat_id"),
        ({"chat_id": True}, "chat_id"),
        ({"chat_id": 1.5}, "chat_id"),
        ({"topic": -1}, "topic"),
        ({"topic": "canary"}, "topic"),
        ({"api_url": "api.telegram.org"}, "api_url"),
        ({"_moved_to": "canary"}, "_moved_to"),
    ],
)
def test_a_wrong_option_is_named_and_its_value_never_shown(options, key):
    with pytest.raises(PagerMisconfigured) as wrong:
        telegram("http://h", **options)
    assert wrong.value.key == key
    assert "canary" not in repr(wrong.value) + str(wrong.value)


@pytest.mark.parametrize("chat", [-1001234567890, "-1001234567890", "@dienbien_noc", 5])
def test_a_chat_is_a_number_or_a_name(chat):
    assert telegram("http://h", chat_id=chat).chat_id == str(chat)
