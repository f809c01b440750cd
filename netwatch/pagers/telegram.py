"""Telegram, Bot API: sendMessage. Blocked in Việt Nam by some carriers, so another pager must stand by.

The text is HTML with everything escaped, which leaves a device's words as they are. Updates answer the first message.
Its button acknowledges without any page of ours that a phone could open: see netwatch/_telegram_updates.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import aiohttp
import pydantic

from netwatch.links import leads_here
from netwatch.model import Incident, Page, PageText, Secret
from netwatch.pagers import Busy, EventPager, Receipt, Refused, Url
from netwatch.pagers._http import Answer, failure, post, said, seconds
from netwatch.pagers._options import Thread, sealed
from netwatch.pagers._text import escaped, escaped_units_of, fitted, is_settled, labelled, whole, with_line, words_of

__all__ = ["Telegram", "html_text", "plain_text", "press_data"]

SERVICE = Secret("https://api.telegram.org")
LARGEST_UPDATES_BYTES = 1_048_576  # a press brings its whole message along, and what that answers
LONGEST_TEXT = 4_096  # UTF-16 units, counted once the HTML has been read
BOLD = "<b>{}</b>"


def _checked_chat(value: object) -> str:
    written = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(written, str) or not re.fullmatch(r"-?[0-9]{1,20}|@[A-Za-z0-9_]{4,32}", written, re.ASCII):
        raise ValueError('must be a number such as -1001234567890, or the "@name" of a channel')
    return written


@dataclass(kw_only=True, eq=False)
class Telegram(EventPager):
    """`topic` is the message_thread_id in a group with topics; 0 where there are none.

    Without `buttons` nothing is asked of the bot: they need its getUpdates, which only one program may call.
    """

    token: Annotated[Secret, sealed(r"[0-9]{1,20}:[A-Za-z0-9_-]{20,100}", "what @BotFather gives, such as 123456789:AAF…")]
    chat_id: Annotated[str, pydantic.BeforeValidator(_checked_chat)]
    topic: Annotated[int, pydantic.Field(ge=0)] = 0
    buttons: bool = True
    api_url: Url = SERVICE
    _moved_to: str = field(init=False, repr=False, default="")

    async def send(self, page: Page, text: PageText, thread: Receipt | None, http: aiohttp.ClientSession) -> Receipt:
        first = Thread.read(thread, "telegram", self.chat_id)
        chat = first.actual if first is not None else self._moved_to or self.chat_id
        answer = await self.call("sendMessage", self._message(page, text, chat, first.message if first is not None else ""), http)
        moved = _moved_to(answer)
        if moved:  # a group became a supergroup, whose messages have other numbers
            self._moved_to = chat = moved
            answer = await self.call("sendMessage", self._message(page, text, chat, ""), http)
        if _code(answer) == 400:  # no page dies of its trimmings: entities, buttons, a topic that is gone
            answer = await self.call("sendMessage", self._bare(page, text, chat), http)
        number = _message_id(answer)
        if not number:
            raise self.trouble(answer)
        return first.receipt() if first is not None and first.actual == chat else Thread("telegram", self.chat_id, chat, number).receipt()

    async def call(self, method: str, sent: Mapping[str, Any], http: aiohttp.ClientSession) -> Answer:
        """One call of the Bot API. Raises Busy for what is no answer of HTTP."""
        url = f"{self.api_url.reveal().rstrip('/')}/bot{self.token.reveal()}/{method}"
        return await post(http, url, sent, largest_bytes=LARGEST_UPDATES_BYTES)

    def trouble(self, answer: Answer) -> Busy | Refused:
        """What an answer that is no acceptance means, to be raised."""
        parameters = answer.document.get("parameters")
        wait = seconds(parameters.get("retry_after")) if isinstance(parameters, dict) else None
        wait = answer.retry_after_seconds if wait is None else wait
        return failure(_code(answer), wait, said(answer.document.get("description"), self.token))

    def is_its_chat(self, chat: Mapping[str, Any]) -> bool:
        """Whether a Chat of the Bot API is where this pager's messages go."""
        name = chat.get("username")
        known = {self.chat_id.lower(), self._moved_to} - {""}
        return str(chat.get("id")) in known or (isinstance(name, str) and f"@{name.lower()}" in known)

    def _message(self, page: Page, text: PageText, chat: str, answered: str) -> dict[str, Any]:
        message = {
            "chat_id": chat,
            "text": html_text(text),
            "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": True},
            "disable_notification": page.kind == "recover",
        }
        if self.topic:
            message["message_thread_id"] = self.topic
        if answered.isdecimal():
            message["reply_parameters"] = {"message_id": int(answered), "allow_sending_without_reply": True}
        buttons = self._buttons(page, text)
        if buttons:
            message["reply_markup"] = {"inline_keyboard": [[button] for button in buttons]}
        return message

    def _buttons(self, page: Page, text: PageText) -> list[dict[str, str]]:
        """One that acts at once, then the links; one that only this machine can open would be refused with the whole message."""
        pressed = self.buttons and page.incident.id > 0 and not page.about and not is_settled(page)
        form = "acknowledge_form" if pressed else "acknowledge"
        links = [{"text": label, "url": url} for label, url in labelled(page, text, self.language, form=form) if not leads_here(url)]
        if not pressed:
            return links
        return [{"text": words_of(self.language).text("pager.acknowledge"), "callback_data": press_data(page.incident)}, *links]

    def _bare(self, page: Page, text: PageText, chat: str) -> dict[str, Any]:
        return {"chat_id": chat, "text": plain_text(page, text, self.language), "disable_notification": page.kind == "recover"}


def press_data(incident: Incident) -> str:
    """What a press of the button brings back: the incident, and when it opened, since a new history counts from one again."""
    return f"ack:{incident.id}:{int(incident.opened)}"


def html_text(text: PageText) -> str:
    """The page as Telegram's HTML, its first line in bold. Cut before it is escaped, so never inside an entity."""
    title, line_end, rest = fitted(whole(text), LONGEST_TEXT - len(BOLD), escaped_units_of).partition("\n")
    return BOLD.format(escaped(title)) + line_end + escaped(rest)


def plain_text(page: Page, text: PageText, language: str) -> str:
    """The page for a message without buttons."""
    links = [f"{label}: {url}" for label, url in labelled(page, text, language) if url not in text.body]
    return with_line(whole(text), "\n".join(links), LONGEST_TEXT)


def _code(answer: Answer) -> int:
    """The status that counts: a refusal may come with 200."""
    code = answer.document.get("error_code")
    refused = answer.accepted and answer.document.get("ok") is False
    return code if refused and isinstance(code, int) and 300 <= code < 600 else answer.status


def _message_id(answer: Answer) -> str:
    """The number of the message that was accepted; "" if none was."""
    if not answer.accepted or answer.document.get("ok") is not True:
        return ""
    result = answer.document.get("result")
    number = result.get("message_id") if isinstance(result, dict) else None
    return str(number) if isinstance(number, int) else "?"


def _moved_to(answer: Answer) -> str:
    parameters = answer.document.get("parameters")
    moved = parameters.get("migrate_to_chat_id") if isinstance(parameters, dict) else None
    return str(moved) if isinstance(moved, int) and _code(answer) == 400 else ""
