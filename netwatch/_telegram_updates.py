"""Presses of "acknowledge" below a message in Telegram: asked for by long polling, so nothing of ours need be reachable.

Only the chats of pagers in force may act. A press is taken before it is confirmed to Telegram, and to take it twice does no
harm: the second is told who has the incident.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias
from zoneinfo import ZoneInfo

import aiohttp

from netwatch._delivery_lanes import NETWORK, Timing, explain, open_session
from netwatch.lang import writing
from netwatch.model import Human, Incident, Inventory
from netwatch.pagers import Busy, EventPager, Refused
from netwatch.pagers._http import Answer
from netwatch.pagers._text import words_of
from netwatch.pagers.telegram import Telegram, press_data
from netwatch.snapshot import Snapshot
from netwatch.whole_file import write_whole

__all__ = ["KEPT_NAME", "Office", "Press", "Presses", "presses_in"]

log = logging.getLogger(__name__)

KEPT_NAME = "telegram.json"
POLL_SECONDS = 50  # Telegram answers at once when somebody presses
GRACE_SECONDS = 15.0
ANSWER_SECONDS = 10.0
MOST_UPDATES = 20
SHORTEST_POLL_SECONDS = 1.0  # one that ends sooner and brings nothing new is a failure: a server that is no Telegram
# "If there are no new updates for at least a week, then identifier of the next update will be chosen randomly" (Bot API, Update).
FORGET_SECONDS = 6 * 86_400.0
LONGEST_NAME = 40
LONGEST_ANSWER = 200
LONGEST_LABEL = 60
MOST_ROWS = 8
NUMBERS = range(2**52)
DATA = re.compile(r"ack:([0-9]{1,15}):[0-9]{1,15}", re.ASCII)

Bots: TypeAlias = Mapping[str, Mapping[str, Telegram]]  # by token: the pagers of one bot, by name


class Office(Protocol):
    """The daemon as the buttons see it."""

    def snapshot(self) -> Snapshot: ...

    def inventory(self) -> Inventory: ...

    def act(self, human: Human) -> Human | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """One update. `query` is empty for one that is no press of a button."""

    number: int
    query: str = ""
    data: str = ""
    who: str = ""  # the name as its owner writes it, and the number that nobody can choose
    chat: Mapping[str, Any] = field(default_factory=dict)
    message: int = 0
    links: tuple[Mapping[str, str], ...] = ()  # the buttons beside it that open something


@dataclass(slots=True)
class Place:
    """The first update that has not been taken, and when the last one came (wall)."""

    offset: int | None = None
    wall: float = 0.0

    def at(self, wall: float) -> int | None:
        return self.offset if 0 <= wall - self.wall < FORGET_SECONDS else None


class Presses:
    """Listens from `run` on to every bot that `configure` names."""

    def __init__(self, office: Office, *, directory: Path, wall: Callable[[], float], timing: Timing | None = None) -> None:
        self._office = office
        self._path = directory / KEPT_NAME
        self._wall = wall
        self._timing = timing or Timing()
        self._bots: Bots = {}
        self._changed = asyncio.Event()
        self._places: dict[str, Place] = {}
        self._keeping = asyncio.Lock()

    def configure(self, pagers: Mapping[str, EventPager]) -> None:
        bots: dict[str, dict[str, Telegram]] = {}
        for name, pager in pagers.items():
            if isinstance(pager, Telegram) and pager.buttons:
                bots.setdefault(pager.token.reveal(), {})[name] = pager
        if bots != self._bots:
            self._bots = bots
            self._changed.set()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        self._places = await loop.run_in_executor(None, _kept, self._path)
        async with open_session() as http:
            while True:
                self._changed.clear()
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(self._listen(pagers, http)) for pagers in self._bots.values()]
                    await self._changed.wait()
                    for task in tasks:
                        task.cancel()

    async def _listen(self, pagers: Mapping[str, Telegram], http: aiohttp.ClientSession) -> None:
        """To one bot, for as long as its pagers are these."""
        name, bot = next(iter(pagers.items()))
        place = self._places.setdefault(bot.token.reveal().partition(":")[0], Place())
        loop, failures, told = asyncio.get_running_loop(), 0, ""
        while True:
            began = loop.time()
            try:
                found = presses_in(await self._ask(bot, place, http), bot)
                trouble, wait = "", None
            except (Busy, Refused) as refused:
                found, trouble, wait = (), str(refused), getattr(refused, "retry_after_seconds", None)
            except NETWORK as error:
                found, trouble, wait = (), explain(error), None
            offset = place.at(self._wall())
            new = [press for press in found if offset is None or press.number >= offset]
            if new:
                await self._take(pagers, new, place, http)
            elif not trouble and loop.time() - began < SHORTEST_POLL_SECONDS:
                trouble = "nothing new, and at once"
            failures = failures + 1 if trouble else 0
            if trouble and trouble != told:
                log.warning("buttons in Telegram are not heard", extra={"pager": name, "error": trouble})
            told = trouble
            if failures:
                await asyncio.sleep(self._timing.wait_seconds(failures, wait))

    async def _ask(self, bot: Telegram, place: Place, http: aiohttp.ClientSession) -> Answer:
        asked: dict[str, Any] = {"timeout": POLL_SECONDS, "limit": MOST_UPDATES, "allowed_updates": ["callback_query"]}
        offset = place.at(self._wall())
        if offset is not None:
            asked["offset"] = offset
        async with asyncio.timeout(POLL_SECONDS + GRACE_SECONDS):
            return await bot.call("getUpdates", asked, http)

    async def _take(self, pagers: Mapping[str, Telegram], presses: Iterable[Press], place: Place, http: aiohttp.ClientSession) -> None:
        """Acts on each in turn, then answers them all together."""
        answers = []
        for press in presses:
            place.offset, place.wall = press.number + 1, self._wall()
            if press.query:
                pager = next((one for one in pagers.values() if one.is_its_chat(press.chat)), None)
                answers.append((pager or next(iter(pagers.values())), press, *self._act(press, pager)))
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep())
            for answer in answers:
                group.create_task(_answer(*answer, http))

    def _act(self, press: Press, pager: Telegram | None) -> tuple[str, str | None]:
        """What to tell who pressed, and what the button says from now on: "" for none, None as before."""
        if pager is None:
            log.warning("a press in a chat that is no pager's", extra={"chat": str(press.chat.get("id"))[:40]})
            return words_of("").text("pager.stranger"), None
        words, known = words_of(pager.language), DATA.fullmatch(press.data)
        number = int(known[1]) if known else 0
        incident = self._open(press.data, number)
        if incident is None:
            return words.text("pager.over", id=number), ""
        taken = None
        if incident.acknowledgement is None:
            taken = self._office.act(Human(at=0.0, wall=0.0, action="acknowledge", who=press.who, via="telegram", incident=number))
            incident = self._open(press.data, number) or incident
        if incident.acknowledgement is None:
            return words.text("pager.over", id=number), ""
        zone = ZoneInfo(self._office.inventory().settings.timezone)
        who = writing.clean(incident.acknowledgement.who, LONGEST_NAME + 20)
        at = writing.clock(incident.acknowledgement.wall, self._wall(), words, zone)
        told = words.text("pager.pressed" if taken else "pager.taken", who=who, id=number, at=at)
        return told, words.text("pager.taken_button", who=who.partition(" (")[0], at=at)

    def _open(self, data: str, number: int) -> Incident | None:
        return next((one for one in self._office.snapshot().incidents if one.id == number and press_data(one) == data), None)

    async def _keep(self) -> None:
        kept = json.dumps({bot: [place.offset, place.wall] for bot, place in self._places.items() if place.offset is not None})
        try:
            async with self._keeping:
                await asyncio.get_running_loop().run_in_executor(None, write_whole, self._path, kept.encode())
        except OSError as error:
            log.warning("which presses were taken is not on the disk", extra={"error": type(error).__name__})


async def _answer(bot: Telegram, press: Press, told: str, label: str | None, http: aiohttp.ClientSession) -> None:
    """Once, and no more: who is not answered presses again."""
    calls: list[tuple[str, Mapping[str, Any]]] = [
        ("answerCallbackQuery", {"callback_query_id": press.query, "text": told[:LONGEST_ANSWER]})
    ]
    if label is not None and press.message:
        taken = [{"text": label[:LONGEST_LABEL], "callback_data": press.data}] if label else []
        keyboard = {"inline_keyboard": [[button] for button in (*taken, *press.links)]}
        calls.append(("editMessageReplyMarkup", {"chat_id": press.chat.get("id"), "message_id": press.message, "reply_markup": keyboard}))
    for method, sent in calls:
        with contextlib.suppress(Busy, *NETWORK):
            async with asyncio.timeout(ANSWER_SECONDS):
                await bot.call(method, sent, http)


def presses_in(answer: Answer, bot: Telegram) -> tuple[Press, ...]:
    """The updates in an answer to getUpdates, oldest first. Raises Busy or Refused for what is none."""
    found = answer.document.get("result") if answer.accepted and answer.document.get("ok") is True else None
    if not isinstance(found, list):
        raise bot.trouble(answer)
    read = [press for update in found[:MOST_UPDATES] if (press := _press(update)) is not None]
    return tuple(sorted(read, key=lambda press: press.number))


def _press(update: object) -> Press | None:
    document = _object(update)
    number = document.get("update_id")
    if type(number) is not int or number not in NUMBERS:
        return None
    query = _object(document.get("callback_query"))
    person, message = _object(query.get("from")), _object(query.get("message"))
    user = person.get("id")
    if type(user) is not int or not isinstance(query.get("id"), str):
        return Press(number=number)
    names = (person.get("first_name"), person.get("last_name"))
    name = writing.clean(" ".join(part for part in names if isinstance(part, str)), LONGEST_NAME)
    place = message.get("message_id")
    return Press(
        number=number,
        query=query["id"][:100],
        data=query["data"][:64] if isinstance(query.get("data"), str) else "",
        who=f"{name or '?'} ({str(user)[:20]})",
        chat={key: value for key, value in _object(message.get("chat")).items() if type(value) in {int, str}},
        message=place if type(place) is int else 0,
        links=_links(_object(message.get("reply_markup")).get("inline_keyboard")),
    )


def _links(keyboard: object) -> tuple[Mapping[str, str], ...]:
    rows = keyboard[:MOST_ROWS] if isinstance(keyboard, list) else []
    buttons = [_object(row[0]) for row in rows if isinstance(row, list) and row]
    shown = [(button.get("text"), button.get("url")) for button in buttons]
    return tuple({"text": text, "url": url} for text, url in shown if isinstance(text, str) and isinstance(url, str))


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _kept(path: Path) -> dict[str, Place]:
    """Nothing where nothing was kept, or not by us: Telegram itself knows what it was told was taken."""
    try:
        found = json.loads(path.read_bytes())
        return {bot: Place(int(offset), float(wall)) for bot, (offset, wall) in found.items()}
    except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return {}
