"""Slack: through an incoming webhook (`url`), or as a bot by chat.postMessage (`token` and `channel`), which answers in a thread.

All text stands in plain_text objects: of a device's words nothing becomes markup, a mention or an emoji.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import aiohttp
import pydantic

from netwatch.model import Page, PageText, Secret
from netwatch.pagers import Busy, EventPager, Receipt, Refused, Url
from netwatch.pagers._http import Answer, failure, post, said
from netwatch.pagers._options import Thread, sealed
from netwatch.pagers._text import below_title, escaped, escaped_units_of, fitted, inert, labelled, whole, with_line

__all__ = ["Slack", "bare", "blocks"]

SERVICE = Secret("https://slack.com")
LONGEST_HEADER = 150
LONGEST_SECTION = 3_000
LONGEST_TEXT = 4_000
LONGEST_URL = 3_000
# Of chat.postMessage, which answers 200 to everything.
TEMPORARY_ERRORS = frozenset({"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"})


@dataclass(kw_only=True, eq=False)
class Slack(EventPager):
    url: Url | None = None
    token: Annotated[Secret, sealed(r"xox[a-z]-[\x21-\x7e]{10,300}", "a bot token such as xoxb-…")] | None = None
    channel: Annotated[str, pydantic.StringConstraints(pattern=r"^#?[^\s#@<>&]{1,80}$")] = ""
    api_url: Url = SERVICE

    def __post_init__(self) -> None:
        if (self.url is None) == (self.token is None) or (self.token is None) == bool(self.channel):
            raise ValueError("needs either url (of an incoming webhook), or token and channel (of a bot)")

    async def send(self, page: Page, text: PageText, thread: Receipt | None, http: aiohttp.ClientSession) -> Receipt:
        first = Thread.read(thread, "slack", self.channel)
        where: dict[str, Any] = {}
        if self.token is not None:
            where = {"channel": first.actual if first is not None else self.channel}
            if first is not None:
                where |= {"thread_ts": first.message, "reply_broadcast": page.kind == "recover"}
        answer = await self._call({**where, **blocks(page, text, self.language)}, http)
        trouble = self._trouble(answer)
        if isinstance(trouble, Refused):  # no page dies of its trimmings: blocks, buttons, a thread that is gone
            where = {"channel": where["channel"]} if where else {}
            answer = await self._call({**where, **bare(page, text, self.language)}, http)
            trouble = self._trouble(answer)
        if trouble is not None:
            raise trouble
        return first.receipt() if first is not None else self._receipt(answer)

    async def _call(self, message: Mapping[str, Any], http: aiohttp.ClientSession) -> Answer:
        if self.token is None:
            return await post(http, self.url.reveal() if self.url is not None else "", message)
        headers = {"Authorization": f"Bearer {self.token.reveal()}", "Content-Type": "application/json; charset=utf-8"}
        return await post(http, self.api_url.reveal().rstrip("/") + "/api/chat.postMessage", message, headers)

    def _trouble(self, answer: Answer) -> Busy | Refused | None:
        """None for an accepted message: `ok` in plain text from a webhook, as JSON from the API."""
        if answer.accepted and (answer.document.get("ok") is True or (self.token is None and answer.body.strip() == b"ok")):
            return None
        error = answer.document.get("error")
        error = error if isinstance(error, str) else ""
        reason = said(error or answer.body[:200].decode("utf-8", "replace"), self._secret())
        if answer.accepted and answer.document.get("ok") is False:
            temporary = error in TEMPORARY_ERRORS
            return Busy(reason, answer.retry_after_seconds) if temporary else Refused(reason or "not ok")
        return failure(answer.status, answer.retry_after_seconds, reason)

    def _secret(self) -> Secret:
        """What no complaint may repeat: of a webhook, its path."""
        return self.token or Secret(urllib.parse.urlsplit(self.url.reveal() if self.url is not None else "").path)

    def _receipt(self, answer: Answer) -> Receipt:
        channel, number = answer.document.get("channel"), answer.document.get("ts")
        if self.token is None or not isinstance(channel, str) or not isinstance(number, str):
            return Receipt()
        return Thread("slack", self.channel, channel, number).receipt()


def blocks(page: Page, text: PageText, language: str) -> dict[str, Any]:
    """The page as Slack lays it out. Cut before it is escaped, so never inside an entity."""
    title = inert(text.title) or whole(text).partition("\n")[0]
    made: list[dict[str, Any]] = [
        {"type": "header", "text": _plain(title, LONGEST_HEADER)},
        {"type": "section", "text": _plain(below_title(text), LONGEST_SECTION)},
    ]
    buttons = [
        {"type": "button", "text": _plain(label, 75), "url": url, "action_id": f"link-{number}"}
        for number, (label, url) in enumerate(labelled(page, text, language))
        if len(url) <= LONGEST_URL
    ]
    if buttons:
        made.append({"type": "actions", "elements": buttons})
    return {"text": _escaped(title, LONGEST_HEADER), "mrkdwn": False, "unfurl_links": False, "blocks": made}


def bare(page: Page, text: PageText, language: str) -> dict[str, Any]:
    """The page as text alone."""
    links = "\n".join(f"{label}: {url}" for label, url in labelled(page, text, language))
    written = escaped(with_line(whole(text), links, LONGEST_TEXT, escaped_units_of))
    return {"text": written, "mrkdwn": False, "unfurl_links": False}


def _plain(text: str, limit: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": _escaped(text, limit), "emoji": False}


def _escaped(text: str, limit: int) -> str:
    """Slack reads `&`, `<` and `>` in every text (api.slack.com, "Escaping text")."""
    return escaped(fitted(text, limit, escaped_units_of))
