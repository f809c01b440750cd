"""Telegram, Bot API: sendMessage. Blocked in Việt Nam by some carriers, so another pager must stand by.

The text is HTML with everything escaped, which leaves a device's words as they are. Updates answer the first message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import aiohttp
import pydantic

from netwatch.model import Page, PageText, Secret
from netwatch.pagers import EventPager, Receipt, Url
from netwatch.pagers._http import Answer, failure, post, said, seconds
from netwatch.pagers._options import Thread, sealed
from netwatch.pagers._text import escaped, escaped_units_of, fitted, labelled, whole, with_line

__all__ = ["Telegram", "html_text", "plain_text"]

SERVICE = Secret("https://api.telegram.org")
LONGEST_TEXT = 4_096  # UTF-16 units, counted once the HTML has been read
BOLD = "<b>{}</b>"


def _checked_chat(value: object) -> str:
    written = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(written, str) or not re.fullmatch(r"-?[0-9]{1,20}|@[A-Za-z0-9_]{4,32}", written, re.ASCII):
        raise ValueError('must be a number such as -1001234567890, or the "@name" of a channel')
    return written


@dataclass(kw_only=True, eq=False)
class Telegram(EventPager):
    """`topic` is the message_thread_id in a group with topics; 0 where there are none."""

    token: Annotated[Secret, sealed(r"[0-9]{1,20}:[A-Za-z0-9_-]{20,100}", "what @BotFather gives, such as 123456789:AAF…")]
    chat_id: Annotated[str, pydantic.BeforeValidator(_checked_chat)]
    topic: Annotated[int, pydantic.Field(ge=0)] = 0
    api_url: Url = SERVICE
    _moved_to: str = field(init=False, repr=False, default="")

    async def send(self, page: Page, text: PageText, thread: Receipt | None, http: aiohttp.ClientSession) -> Receipt:
        first = Thread.read(thread, "telegram", self.chat_id)
        chat = first.actual if first is not None else self._moved_to or self.chat_id
        answer = await self._call(self._message(page, text, chat, first.message if first is not None else ""), http)
        moved = _moved_to(answer)
        if moved:  # a group became a supergroup, whose messages have other numbers
            self._moved_to = chat = moved
            answer = await self._call(self._message(page, text, chat, ""), http)
        if _code(answer) == 400:  # no page dies of its trimmings: entities, buttons, a topic that is gone
            answer = await self._call(self._bare(page, text, chat), http)
        number = _message_id(answer)
        if not number:
            parameters = answer.document.get("parameters")
            wait = seconds(parameters.get("retry_after")) if isinstance(parameters, dict) else None
            wait = answer.retry_after_seconds if wait is None else wait
            raise failure(_code(answer), wait, said(answer.document.get("description"), self.token))
        return first.receipt() if first is not None and first.actual == chat else Thread("telegram", self.chat_id, chat, number).receipt()

    async def _call(self, message: Mapping[str, Any], http: aiohttp.ClientSession) -> Answer:
        return await post(http, f"{self.api_url.reveal().rstrip('/')}/bot{self.token.reveal()}/sendMessage", message)

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
        buttons = [[{"text": label, "url": url}] for label, url in labelled(page, text, self.language)]
        if buttons:
            message["reply_markup"] = {"inline_keyboard": buttons}
        return message

    def _bare(self, page: Page, text: PageText, chat: str) -> dict[str, Any]:
        return {"chat_id": chat, "text": plain_text(page, text, self.language), "disable_notification": page.kind == "recover"}


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
