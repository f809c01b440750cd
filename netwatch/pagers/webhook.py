"""A signed HTTP POST for each page (Standard Webhooks 1.0.0): `webhook-id` stays the same over retries.

The body is the JSON document `netwatch/v1/page`:

    schema    "netwatch/v1/page"
    id        the key against duplicates, as in the header webhook-id
    kind      "open", "update" or "recover"
    time      when it was written, RFC 3339
    pager     the name this receiver has in the inventory
    incident  id, key (the thread: the same from open to recover), cause {type, name}, sites, severity, audience,
              opened, closed (or null), close_reason, sequence, hidden, members, facts
    text      title, body, sms, url, acknowledge_url: the page in words
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import hmac
import time
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import aiohttp
import pydantic

from netwatch.model import Page, Secret
from netwatch.pagers import EventPager, PageText, Receipt, Url
from netwatch.pagers._http import encoded, failure, post

__all__ = ["Webhook", "document", "sign"]

SHORTEST_SECRET_BYTES = 24  # Standard Webhooks: 24 to 64 bytes
LARGEST_BYTES = 20_000  # Standard Webhooks: receivers may refuse more
LONGEST_FACT = 256
MOST_MEMBERS = 20


def _checked_secrets(value: object) -> tuple[Secret, ...]:
    given = value if isinstance(value, list | tuple) else [value]
    secrets = tuple(secret if isinstance(secret, Secret) else Secret(str(secret)) for secret in given)
    if not secrets:
        raise ValueError("at least one is needed")
    for secret in secrets:
        _key(secret)
    return secrets


def _key(secret: Secret) -> bytes:
    written = secret.reveal()
    try:
        key = base64.b64decode(written.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not written.startswith("whsec_") or len(key) < SHORTEST_SECRET_BYTES:
        raise ValueError('must be "whsec_" and at least 24 random bytes in base64, as `openssl rand -base64 32` prints them') from None
    return key


@dataclass(kw_only=True, eq=False)
class Webhook(EventPager):
    """`secret` may be a list while keys are rotated: a receiver accepts any one of the signatures."""

    digests = False  # a program hears of each

    pages_per_minute: Annotated[float, pydantic.Field(gt=0, le=6_000)] = 600.0
    url: Url
    secret: Annotated[tuple[Secret, ...], pydantic.BeforeValidator(_checked_secrets)]

    async def send(self, page: Page, text: PageText, thread: Receipt | None, http: aiohttp.ClientSession) -> Receipt:
        del thread
        body = document(page, text)
        message_id = urllib.parse.quote(page.id, safe="/#@")
        timestamp = int(time.time())
        headers = {
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(self.secret, message_id, timestamp, body),
        }
        answer = await post(http, self.url.reveal(), body, headers, read=False)
        if not answer.accepted:
            raise failure(answer.status, answer.retry_after_seconds)
        return Receipt()


def sign(secrets: Sequence[Secret], message_id: str, timestamp: int, body: bytes) -> str:
    """The header webhook-signature: one `v1,…` for each secret."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    digests = (hmac.new(_key(secret), signed, hashlib.sha256).digest() for secret in secrets)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)


def document(page: Page, text: PageText) -> bytes:
    """The body: the same bytes on every retry, and never more than 20 kB."""
    incident = page.incident
    written: dict[str, Any] = {
        "schema": "netwatch/v1/page",
        "id": page.id,
        "kind": page.kind,
        "time": _rfc3339(page.wall),
        "pager": page.pager,
        "incident": {
            "id": incident.id,
            "key": incident.key,
            "cause": {"type": incident.cause.type, "name": incident.cause.name},
            "sites": list(incident.sites),
            "severity": incident.severity,
            "audience": incident.audience,
            "opened": _rfc3339(incident.opened),
            "closed": None if incident.closed is None else _rfc3339(incident.closed),
            "close_reason": incident.close_reason,
            "sequence": incident.sequence,
            "hidden": incident.hidden,
            "members": ["/".join(filter(None, (m.check, m.rule, m.instance))) for m in incident.members[:MOST_MEMBERS]],
            "facts": {name: fact[:LONGEST_FACT] for name, fact in incident.facts.items()},
        },
        "text": {"title": text.title, "body": text.body, "sms": text.sms, "url": text.url, "acknowledge_url": text.acknowledge_url},
    }
    body = encoded(written)
    if len(body) >= LARGEST_BYTES:
        written["incident"] |= {"facts": {}, "members": [], "sites": written["incident"]["sites"][:MOST_MEMBERS]}
        written["text"]["body"] = text.body[:2_000]
        body = encoded(written)
    return body


def _rfc3339(wall: float) -> str:
    return dt.datetime.fromtimestamp(wall, dt.UTC).isoformat(timespec="seconds")
