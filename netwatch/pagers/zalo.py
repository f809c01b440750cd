"""Zalo Bot: sendMessage (bot.zapps.me/docs). The person or group must have written to the bot first.

The text is sent without a parse_mode: nothing in it is markup. There are no buttons and no answers to a message, so the link
that acknowledges stands below the text.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import aiohttp
import pydantic

from netwatch.model import Page, PageText, Secret
from netwatch.pagers import EventPager, Receipt, Url
from netwatch.pagers._http import Answer, failure, post, said
from netwatch.pagers._options import sealed
from netwatch.pagers._text import labelled, whole, with_line

__all__ = ["Zalo", "zalo_text"]

SERVICE = Secret("https://bot-api.zaloplatforms.com")
LONGEST_TEXT = 2_000


@dataclass(kw_only=True, eq=False)
class Zalo(EventPager):
    """`chat_id` is `result.message.chat.id` of the bot's getUpdates."""

    token: Annotated[Secret, sealed(r"[0-9]{1,30}:[A-Za-z0-9_-]{10,200}", "what Zalo Bot Manager gives, such as 123456789:abc…")]
    chat_id: Annotated[str, pydantic.StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,100}$")]
    api_url: Url = SERVICE

    async def send(self, page: Page, text: PageText, thread: Receipt | None, http: aiohttp.ClientSession) -> Receipt:
        del thread
        url = f"{self.api_url.reveal().rstrip('/')}/bot{self.token.reveal()}/sendMessage"
        answer = await post(http, url, {"chat_id": self.chat_id, "text": zalo_text(page, text, self.language)})
        if answer.accepted and answer.document.get("ok") is True:
            return Receipt()
        reason = answer.document.get("description") or answer.document.get("message")
        raise failure(_code(answer), answer.retry_after_seconds, said(reason, self.token))


def zalo_text(page: Page, text: PageText, language: str) -> str:
    """The page, with the link that acknowledges below it; where to read on stands in the page itself."""
    links = [f"{label}: {url}" for label, url in labelled(page, replace(text, url=""), language)]
    return with_line(whole(text), "\n".join(links), LONGEST_TEXT)


def _code(answer: Answer) -> int:
    """The status that counts: a refusal comes with 200, `"ok": false` and an error_code."""
    code = answer.document.get("error_code")
    refused = answer.accepted and answer.document.get("ok") is False
    if not refused:
        return answer.status
    return code if isinstance(code, int) and 300 <= code < 600 else 400
