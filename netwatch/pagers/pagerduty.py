"""PagerDuty, Events API v2 (developer.pagerduty.com, "Send an Alert Event").

An alert is known by its dedup_key, but only to the routing key that opened it: a resolve through any other is dropped and
answered 202 all the same. So the receipt keeps a fingerprint of the key, which finds it among the present and the former ones.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import aiohttp
import pydantic

from netwatch.model import Incident, Page, PageText, Secret
from netwatch.pagers import EventPager, Receipt, Refused, Url
from netwatch.pagers._http import Answer, encoded, failure, post, said
from netwatch.pagers._options import sealed
from netwatch.pagers._text import fitted, inert, labelled, whole

__all__ = ["Pagerduty", "event", "fingerprint"]

SERVICE = Secret("https://events.pagerduty.com")
LONGEST_SUMMARY = 1_024
LONGEST_DEDUP_KEY = 255
LONGEST_DETAIL = 20_000
LONGEST_FACT = 256
LARGEST_BYTES = 512_000  # the service takes 512 KB
THROTTLED_SECONDS = 60.0  # asked for on 429: "a backoff of a few minutes"; its window is one
RECEIPT = "pagerduty:"
RoutingKey = Annotated[Secret, sealed(r"[A-Za-z0-9]{32}", "the 32 letters and digits of an Events API v2 integration")]


@dataclass(kw_only=True, eq=False)
class Pagerduty(EventPager):
    """A key that is replaced goes to `former_routing_keys` until every incident it opened has closed."""

    digests = False  # it keeps an alert for each key

    pages_per_minute: Annotated[float, pydantic.Field(gt=0, le=6_000)] = 120.0
    routing_key: RoutingKey
    former_routing_keys: tuple[RoutingKey, ...] = ()
    api_url: Url = SERVICE

    async def send(self, page: Page, text: PageText, thread: Receipt | None, http: aiohttp.ClientSession) -> Receipt:
        opened_by = self._opened_by(thread)
        if page.kind == "recover" and opened_by is None and thread is not None and thread.thread.startswith(RECEIPT):
            raise Refused("opened through a routing key that is no longer known, so it cannot be resolved there")
        key = opened_by or self.routing_key
        answer = await self._told(key, page, text, opened_by is not None, http)
        if key != self.routing_key and page.kind != "recover" and isinstance(_trouble(answer, key), Refused):
            key = self.routing_key  # the former key is dead: a new alert is better than none
            answer = await self._told(key, page, text, known=False, http=http)
        trouble = _trouble(answer, key)
        if trouble is not None:
            raise trouble
        return Receipt(RECEIPT + fingerprint(key))

    def _opened_by(self, thread: Receipt | None) -> Secret | None:
        keys = {RECEIPT + fingerprint(key): key for key in (*self.former_routing_keys, self.routing_key)}
        return keys.get(thread.thread) if thread is not None else None

    async def _told(self, key: Secret, page: Page, text: PageText, known: bool, http: aiohttp.ClientSession) -> Answer:
        """Sends an event; one that is refused is sent again with the bare minimum: no page dies of its trimmings."""
        url = self.api_url.reveal().rstrip("/") + "/v2/enqueue"
        for bare in (False, True):
            written = {"routing_key": key.reveal(), **event(page, text, self.language, known=known, bare=bare)}
            answer = await post(http, url, written)
            if answer.status not in {400, 413} or written["event_action"] != "trigger":
                break
        return answer


def _trouble(answer: Answer, key: Secret) -> Exception | None:
    """None for an accepted event: 202, whatever stands in the body, or another 2xx that says so."""
    if answer.status == 202 or (answer.accepted and answer.document.get("status") == "success"):
        return None
    wait = answer.retry_after_seconds
    errors = answer.document.get("errors")
    reason = "; ".join(map(str, errors)) if isinstance(errors, list) else answer.document.get("message")
    return failure(answer.status, THROTTLED_SECONDS if answer.status == 429 and wait is None else wait, said(reason, key))


def fingerprint(key: Secret) -> str:
    """Says which key it was without saying the key, which is 32 random letters."""
    return hashlib.sha256(b"netwatch routing key " + key.reveal().encode()).hexdigest()[:16]


def event(page: Page, text: PageText, language: str, *, known: bool, bare: bool = False) -> dict[str, Any]:
    """What to post, but for the routing key. `known`: the service has this alert, so that it can be acknowledged."""
    incident = page.incident
    if page.kind == "recover":
        return {"event_action": "resolve", "dedup_key": _dedup_key(incident.key)}
    if known and page.kind == "update" and incident.acknowledgement is not None:
        return {"event_action": "acknowledge", "dedup_key": _dedup_key(incident.key)}
    payload: dict[str, Any] = {
        "summary": fitted(inert(text.title) or whole(text), LONGEST_SUMMARY),
        "source": inert(incident.sites[0] if len(incident.sites) == 1 else incident.cause.name)[:LONGEST_FACT] or "netwatch",
        "severity": incident.severity,
    }
    written: dict[str, Any] = {"event_action": "trigger", "dedup_key": _dedup_key(incident.key), "payload": payload}
    if bare:
        return written
    payload |= {
        "timestamp": dt.datetime.fromtimestamp(incident.opened, dt.UTC).isoformat(timespec="milliseconds"),
        "component": inert(incident.cause.name)[:LONGEST_FACT],
        "class": incident.cause.type,
        "custom_details": {"text": fitted(whole(text), LONGEST_DETAIL), **_facts(incident)},
    }
    written |= {"client": "netwatch", "links": [{"href": url, "text": label} for label, url in labelled(page, text, language)]}
    if text.url:
        written["client_url"] = text.url
    if len(encoded(written)) >= LARGEST_BYTES:
        del payload["custom_details"]
    return written


def _facts(incident: Incident) -> Mapping[str, str]:
    return {name: inert(fact)[:LONGEST_FACT] for name, fact in incident.facts.items() if name != "text"}


def _dedup_key(key: str) -> str:
    if len(key) <= LONGEST_DEDUP_KEY:
        return key
    digest = hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
    return f"{key[: LONGEST_DEDUP_KEY - 1 - len(digest)]}#{digest}"
