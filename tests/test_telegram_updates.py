"""Buttons in Telegram: pressed at a stand-in of its Bot API, decided by the real core."""

import asyncio
import contextlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from netwatch._delivery_lanes import Timing
from netwatch._telegram_updates import FORGET_SECONDS, KEPT_NAME, Presses, presses_in
from netwatch.daemon import Daemon
from netwatch.history import History
from netwatch.model import Check, Inventory, Page, PagerSettings, Site
from netwatch.pagers import Busy, build
from netwatch.pagers._http import Answer, encoded
from probes.tcp import Tcp
from tests.pager_cases import TEXT, send, telegram
from tests.pager_servers import HANG, Mode, Status, hostile
from tests.pager_services import TELEGRAM_TOKEN, Telegram
from tests.test_acts import Watching, incident
from tests.worlds import WALL, check

SOON = Timing(retry_seconds=(0.01,), jitter=lambda: 1.0)


class Office(Watching):
    def inventory(self):
        return self.world.inventory


def office():
    return Office("na-tau", "pu-nhi", open_incidents=(incident(12, "na-tau"), incident(13, "pu-nhi")))


@contextlib.asynccontextmanager
async def listening(daemon, pagers, directory, wall=lambda: WALL):
    presses = Presses(daemon, directory=directory, wall=wall, timing=SOON)
    presses.configure(pagers)
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        task = group.create_task(presses.run())
        yield presses
        task.cancel()


async def paged(bot, daemon, number=12):
    """The message that tells of an incident, as its readers see it."""
    told = next(one for one in daemon.world.incidents.values() if one.id == number)
    await send(bot, Page(incident=told, kind="open", wall=WALL, pager="noc"), replace(TEXT, acknowledge_url=""))


def pressed(tmp_path, *presses, daemon=None, script=(), service=None, **options):
    """The stand-in, once all presses of (keywords) have been answered."""
    daemon = daemon or office()

    async def scenario():
        async with hostile(service or Telegram()) as server:
            bot = telegram(server.url, **options)
            await paged(bot, daemon)
            server.script += script
            async with listening(daemon, {"noc": bot}, tmp_path):
                for number, press in enumerate(presses, 1):
                    await server.service.press(server.service.messages[0], **press)
                    await server.service.wait_until(lambda number=number: len(server.service.answers) >= number)
                polls = len(server.service.polls)
                await server.service.wait_until(lambda: server.service.polls[-1] or len(server.service.polls) > polls)
            return server

    return asyncio.run(scenario()), daemon


def test_a_press_acknowledges_says_so_and_stands_below_the_message(tmp_path):
    server, daemon = pressed(tmp_path, {})
    (act,) = daemon.acts
    assert (act.action, act.incident, act.who, act.via) == ("acknowledge", 12, "Trực ca A (501)", "telegram")
    assert daemon.world.incidents["netwatch/na-tau/12"].acknowledgement.who == "Trực ca A (501)"
    (answer,) = server.service.answers
    assert answer["text"] == "Đã ghi nhận: Trực ca A (501) tiếp nhận sự cố #12."
    (edit,) = server.service.edits
    assert (str(edit["chat_id"]), edit["message_id"]) == ("-1001", server.service.messages[0]["number"])
    labels = [row[0]["text"] for row in edit["reply_markup"]["inline_keyboard"]]
    assert labels[0].startswith("✓ Trực ca A · ")
    assert labels[1:] == ["Xem"]


def test_a_second_press_says_who_has_it_and_changes_nothing(tmp_path):
    server, daemon = pressed(tmp_path, {}, {"user": 502, "name": "Trực ca B"}, {})
    assert [act.who for act in daemon.acts] == ["Trực ca A (501)"]
    first, second, again = (answer["text"] for answer in server.service.answers)
    assert first.startswith("Đã ghi nhận")
    assert second == again
    assert second.startswith("Trực ca A (501) đã tiếp nhận sự cố #12 lúc ")


@pytest.mark.parametrize(
    "message",
    [
        {"message_id": 100, "chat": {"id": -666, "username": "dienbien"}},
        {"message_id": 100, "chat": {"id": [-1001]}},
        {"message_id": 5},
        None,
        5,
    ],
)
def test_a_press_in_a_chat_that_is_no_pager_s_does_nothing(tmp_path, message):
    server, daemon = pressed(tmp_path, {"message": message})
    assert daemon.acts == []
    assert server.service.edits == []
    assert server.service.answers[0]["text"] == "Nhóm này không được tiếp nhận sự cố của netwatch."


def test_a_channel_that_is_named_by_its_name_may_act(tmp_path):
    _server, daemon = pressed(tmp_path, {}, chat_id="@DienBien_NOC", service=Telegram(chats={"@DienBien_NOC"}))
    assert len(daemon.acts) == 1


def test_a_group_that_became_a_supergroup_may_still_act(tmp_path):
    _server, daemon = pressed(tmp_path, {}, service=Telegram(chats={"-100999"}, moved={"-1001": -100999}))
    assert len(daemon.acts) == 1


@pytest.mark.parametrize("data", ["ack:12:1", "ack:99:1795463220", "ack:12", "ack:१२:1795463220", "", "drop", None, 5, ["ack"]])
def test_what_names_no_open_incident_is_over_and_loses_its_button(tmp_path, data):
    server, daemon = pressed(tmp_path, {"data": data})
    assert daemon.acts == []
    assert "đã kết thúc" in server.service.answers[0]["text"]
    assert [row[0]["text"] for row in server.service.edits[0]["reply_markup"]["inline_keyboard"]] == ["Xem"]


def test_a_name_is_one_harmless_line_and_the_number_is_whole(tmp_path):
    _server, daemon = pressed(tmp_path, {"name": "\u202eA\n" * 200, "user": 2**51})
    assert daemon.acts[0].who.endswith(f"… ({2**51})")
    assert len(daemon.acts[0].who) <= 60
    assert daemon.acts[0].who.isprintable()


@pytest.mark.parametrize(
    "trouble",
    [
        Status(409, {}, '{"ok": false, "error_code": 409, "description": "Conflict: terminated by other getUpdates request"}'),
        Status(429, {}, '{"ok": false, "error_code": 429, "parameters": {"retry_after": 0}}'),
        Status(200, {}, '{"ok": true, "result": []}'),
        Status(200, {}, '{"ok": true, "result": {"update_id": 5}}'),
        Status(200, {}, '{"ok": true, "result": [{"update_id": true}, {"update_id": -1}, 5, {"update_id": 1e300}, {}]}'),
        Status(200, {}, '{"ok": true, "result": [{"update_id": 1, "callback_query": {"id": "x", "from": {"id": [1]}}}]}'),
        Status(200, {}, '{"ok": false}'),
        Status(302, {"Location": "http://127.0.0.1:1/"}),
        Mode.RESET,
        Mode.NOT_HTTP,
        Mode.BIG,
        Mode.GARBAGE,
    ],
)
def test_whatever_telegram_answers_the_next_press_is_heard(tmp_path, trouble):
    _server, daemon = pressed(tmp_path, {}, script=[trouble] * 3)
    assert len(daemon.acts) == 1


def test_an_answer_that_cannot_be_given_does_not_keep_the_next_press_waiting(tmp_path):
    class Mute(Telegram):
        async def handle(self, request, body):
            if request.path.endswith("editMessageReplyMarkup"):
                self.refuse(400, "Bad Request: message is not modified")
            return await super().handle(request, body)

    _server, daemon = pressed(tmp_path, {}, {"user": 502}, service=Mute())
    assert len(daemon.acts) == 1


def test_what_was_taken_is_not_asked_for_again_after_a_restart_unless_it_is_long_ago(tmp_path):
    async def first_offset(wall):
        async with hostile(Telegram()) as server:
            bot = telegram(server.url)
            async with listening(office(), {"noc": bot}, tmp_path, wall=lambda: wall):
                await server.service.wait_until(lambda: server.service.polls)
            return server.service.polls[0]

    assert asyncio.run(first_offset(WALL)) is None
    server, _daemon = pressed(tmp_path, {})
    assert server.service.polls[-1] == 7_001
    assert TELEGRAM_TOKEN not in (tmp_path / KEPT_NAME).read_text("utf-8")
    assert asyncio.run(first_offset(WALL + FORGET_SECONDS - 1)) == 7_001
    assert asyncio.run(first_offset(WALL + FORGET_SECONDS)) is None, "Telegram may have begun to number anew"
    assert asyncio.run(first_offset(WALL - 1)) is None
    for damaged in ("", "[]", '{"123456789": 5}', '{"123456789": [1e999, 0]}', '{"123456789": ["x", 0]}'):
        (tmp_path / KEPT_NAME).write_text(damaged, "utf-8")
        assert asyncio.run(first_offset(WALL)) is None


def test_a_disk_that_is_gone_keeps_nobody_from_acknowledging(tmp_path):
    _server, daemon = pressed(tmp_path / "nowhere", {})
    assert len(daemon.acts) == 1


def test_one_bot_is_asked_once_for_all_its_chats_and_by_none_that_has_no_buttons(tmp_path):
    async def scenario():
        async with hostile(Telegram(chats={"-1001", "-1002"})) as server:
            pagers = {f"p{chat}": telegram(server.url, chat_id=-1000 - chat) for chat in (1, 2)}
            daemon = office()
            for bot, number in zip(pagers.values(), (12, 13), strict=True):
                await paged(bot, daemon, number)
            async with listening(daemon, {**pagers, "quiet": telegram(server.url, buttons=False)}, tmp_path) as presses:
                presses.configure({**pagers})
                for message in server.service.messages:
                    await server.service.press(message)
                await server.service.wait_until(lambda: len(server.service.edits) == 2)
                polls = len(server.service.polls)
                presses.configure({})
                presses.configure({"p1": pagers["p1"]})
                await server.service.wait_until(lambda: len(server.service.polls) > polls)
            assert [act.incident for act in daemon.acts] == [12, 13]
            return server.service.polls

    assert asyncio.run(scenario())[0] is None


def test_a_press_that_is_handed_out_again_is_not_answered_again(tmp_path):
    class Forgetful(Telegram):
        handed = 0

        async def waiting_updates(self, asked):
            self.polls.append(asked.get("offset"))
            await self.tell()
            async with self.happened:
                await self.happened.wait_for(lambda: len(self.updates) > self.handed)
            self.handed = len(self.updates)
            return web.json_response({"ok": True, "result": self.updates})

    async def scenario():
        async with hostile(Forgetful()) as server:
            bot, daemon = telegram(server.url), office()
            await paged(bot, daemon)
            async with listening(daemon, {"noc": bot}, tmp_path):
                for number, user in enumerate((501, 502), 2):
                    await server.service.press(server.service.messages[0], user=user)
                    await server.service.wait_until(lambda number=number: len(server.service.polls) >= number)
            return server.service

    service = asyncio.run(scenario())
    assert service.polls == [None, 7_001, 7_002]
    assert [answer["callback_query_id"] for answer in service.answers] == ["q501", "q502"]


def test_pagers_that_stay_the_same_cut_no_poll_short(tmp_path):
    async def scenario():
        async with hostile(Telegram()) as server:
            bot, daemon = telegram(server.url), office()
            await paged(bot, daemon)
            async with listening(daemon, {"noc": bot}, tmp_path) as presses:
                await server.service.wait_until(lambda: server.service.polls)
                presses.configure({"noc": bot})
                await asyncio.sleep(0.05)
                await server.service.press(server.service.messages[0])
                await server.service.wait_until(lambda: server.service.polls[-1])
            return server.service.polls

    assert asyncio.run(scenario()) == [None, 7_001]


def test_a_server_that_answers_at_once_with_nothing_is_not_asked_over_and_over(tmp_path):
    patient = Timing(retry_seconds=(1_000.0,))

    async def scenario():
        async with hostile(Telegram(), default=Status(200, {}, '{"ok": true, "result": []}')) as server:
            presses = Presses(office(), directory=tmp_path, wall=lambda: WALL, timing=patient)
            presses.configure({"noc": telegram(server.url)})
            async with asyncio.timeout(30), asyncio.TaskGroup() as group:
                task = group.create_task(presses.run())
                await server.wait_for(1)
                await asyncio.sleep(0.2)
                task.cancel()
            return server.asked

    assert asyncio.run(scenario()) == 1


def test_a_bot_that_never_answers_holds_up_no_stop(tmp_path):
    async def scenario():
        async with hostile(Telegram(), default=HANG) as server, listening(office(), {"noc": telegram(server.url)}, tmp_path):
            await server.wait_for(1)

    asyncio.run(scenario())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "from", "chat", "username", "data", "text", "url",
        "message", "message_id", "reply_markup", "inline_keyboard", "first_name", "last_name"]), inner, max_size=6),
    max_leaves=20,
)  # fmt: skip


@given(queries=st.lists(JSON, max_size=3), ok=st.sampled_from([True, False, 1, "true"]))
def test_no_answer_breaks_anything(queries, ok):
    updates = [{"update_id": number, "callback_query": query} for number, query in enumerate(queries)]
    answer = Answer(200, None, json.dumps({"ok": ok, "result": updates}).encode())
    bot = telegram("http://127.0.0.1:1")
    try:
        found = presses_in(answer, bot)
    except Busy:
        assert ok is not True
        return
    assert [press.number for press in found] == list(range(len(queries)))
    for press in found:
        bot.is_its_chat(press.chat)
        encoded({"chat": press.chat.get("id"), "links": press.links, "query": press.query})


def test_the_daemon_hears_a_press_and_tells_the_audit_trail(tmp_path):
    async def scenario():
        async with hostile(Telegram()) as server:
            settings = PagerSettings(
                name="noc", kind="telegram", options={"token": TELEGRAM_TOKEN, "chat_id": -1001, "api_url": server.url, "topic": 0}
            )
            assert build(settings)
            daemon = Daemon(inventory_path=Path("inventory.yaml"), state_directory=tmp_path, load=lambda: dark(settings))
            async with asyncio.timeout(60), asyncio.TaskGroup() as group:
                ends = group.create_task(daemon.run())
                await server.service.wait_until(lambda: server.service.messages)
                await server.service.press(server.service.messages[0])
                await server.service.wait_until(lambda: server.service.edits)
                daemon.stop()
                await ends
        async with await History.open(tmp_path) as history:
            return await history.humans()

    (act,) = asyncio.run(scenario())
    assert (act.action, act.who, act.via) == ("acknowledge", "Trực ca A (501)", "telegram")


def dark(pager: PagerSettings) -> Inventory:
    """One site whose only check fails at once: nobody listens there."""
    failing: Check = replace(
        check("na-tau/main/port", interval=1.0), kind="tcp", probe=Tcp(port=1), address="127.0.0.1", attempts=1, hard_after_seconds=0.0
    )
    return Inventory(sites={"na-tau": Site(id="na-tau", name="Nà Tấu")}, checks={failing.id: failing}, pagers={"noc": pager})
