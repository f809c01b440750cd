"""ntfy (docs.ntfy.sh/publish): a push message, published as JSON so that no header carries a stranger's words.

Whoever knows the topic can read and write it, so it is a secret. All pages of an incident share a sequence_id: a server of 2.16
or later replaces the former message on the phone, an older one shows each.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated, Any

import aiohttp

from netwatch.model import Incident, Page, PageText, Secret
from netwatch.pagers import EventPager, Receipt, Url
from netwatch.pagers._http import failure, post, said
from netwatch.pagers._options import sealed
from netwatch.pagers._text import below_title, bytes_of, fitted, inert, labelled, whole

__all__ = ["Ntfy", "message"]

SERVICE = Secret("https://ntfy.sh")
LONGEST_MESSAGE_BYTES = 4_096  # longer, it would become an attachment
LONGEST_TITLE_BYTES = 250
PRIORITIES = {"critical": 5, "warning": 4, "info": 3}
UPDATE_PRIORITY = 3
RECOVER_PRIORITY = 2  # no sound
TAGS = {"critical": "rotating_light", "warning": "warning", "info": "information_source"}
FULL_DISK = 507


@dataclass(kw_only=True, eq=False)
class Ntfy(EventPager):
    """`token` only where the topic is protected, as it should be on a server of one's own."""

    topic: Annotated[Secret, sealed(r"[-_A-Za-z0-9]{1,64}", "letters, digits, - and _, at most 64")]
    token: Annotated[Secret, sealed(r"[\x21-\x7e]{1,200}", "an access token such as tk_…")] | None = None
    server: Url = SERVICE

    async def send(self, page: Page, text: PageText, thread: Receipt | None, http: aiohttp.ClientSession) -> Receipt:
        del thread
        headers = {"Authorization": f"Bearer {self.token.reveal()}"} if self.token is not None else {}
        for bare in (False, True):
            written = {"topic": self.topic.reveal(), **message(page, text, self.language, bare=bare)}
            answer = await post(http, self.server.reveal().rstrip("/") + "/", written, headers)
            if answer.status != 400:  # what it does not like of buttons and links must not cost the page
                break
        if answer.accepted and answer.document.get("event") == "message":
            return Receipt()
        secrets = (self.topic, self.token) if self.token is not None else (self.topic,)
        raise failure(answer.status, answer.retry_after_seconds, said(answer.document.get("error"), *secrets))


def message(page: Page, text: PageText, language: str, *, bare: bool = False) -> dict[str, Any]:
    """What to publish, but for the topic."""
    incident = page.incident
    over = page.kind == "recover"
    priority = {"open": PRIORITIES.get(incident.severity, 5), "update": UPDATE_PRIORITY, "recover": RECOVER_PRIORITY}[page.kind]
    written: dict[str, Any] = {
        "title": fitted(inert(text.title) or whole(text).partition("\n")[0], LONGEST_TITLE_BYTES, bytes_of),
        "message": fitted(below_title(text), LONGEST_MESSAGE_BYTES, bytes_of),
        "priority": priority,
    }
    if bare:
        return written
    written |= {"tags": ["white_check_mark" if over else TAGS.get(incident.severity, "warning")], "sequence_id": _sequence_id(incident)}
    if text.url:
        written["click"] = text.url
    written["actions"] = [{"action": "view", "label": label, "url": url} for label, url in labelled(page, text, language)]
    return written


def _sequence_id(incident: Incident) -> str:
    return hashlib.sha256(f"{incident.key}#{incident.id}".encode("utf-8", "replace")).hexdigest()[:32]
