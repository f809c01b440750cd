"""A signed HTTP POST for each page (Standard Webhooks 1.0.0): `webhook-id` stays the same over retries.

The body is the JSON document `netwatch/v1/page`:

    schema    "netwatch/v1/page"
    id        the key against duplicates, as in the header webhook-id
    kind      "open", "update" or "recover"
    time      when it was written, RFC 3339
    pager     the name this receiver has in the inventory
    incident  id, key (the thread: the same from open to recover), cause {type, name}, sites, severity, audience,
              opened, closed (or null), close_reason, sequence, hidden, members, facts
    text      title, body, sms, url: the page in words
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import email.utils
import hashlib
import hmac
import json
import time
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import aiohttp
import pydantic

from netwatch.model import Page, Secret
from netwatch.pagers import Busy, EventPager, PageText, Receipt, Refused, Url

__all__ = ["Webhook", "document", "retry_after_seconds", "sign"]

SHORTEST_SECRET_BYTES = 24  # Standard Webhooks: 24 to 64 bytes
LARGEST_BYTES = 20_000  # Standard Webhooks: receivers may refuse more
LONGEST_FACT = 256
MOST_MEMBERS = 20
TEMPORARY_STATUSES = frozenset({408, 425, 429})


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

    url: Url
    secret: Annotated[tuple[Secret, ...], pydantic.BeforeValidator(_checked_secrets)]

    async def send(self, page: Page, text: PageText, thread: Receipt | None, http: aiohttp.ClientSession) -> Receipt:
        del thread
        body = document(page, text)
        message_id = urllib.parse.quote(page.id, safe="/#@")
        wall = time.time()
        timestamp = int(wall)
        headers = {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(self.secret, message_id, timestamp, body),
        }
        async with http.post(self.url.reveal(), data=body, headers=headers, allow_redirects=False) as answer:
            _judge(answer.status, answer.headers.get("Retry-After"), wall)
        return Receipt()


def _judge(status: int, retry_after: str | None, wall: float) -> None:
    if 200 <= status < 300:
        return
    if status >= 500 or status in TEMPORARY_STATUSES:
        raise Busy(f"HTTP {status}", retry_after_seconds(retry_after, wall))
    if 300 <= status < 400:
        # Not for good: it may be the sign-in page of a network in between.
        raise Busy(f"HTTP {status}: a redirect, which is not followed; give the final address")
    raise Refused(f"HTTP {status}")


def sign(secrets: Sequence[Secret], message_id: str, timestamp: int, body: bytes) -> str:
    """The header webhook-signature: one `v1,…` for each secret."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    digests = (hmac.new(_key(secret), signed, hashlib.sha256).digest() for secret in secrets)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)


def retry_after_seconds(header: str | None, wall: float) -> float | None:
    """Retry-After (RFC 9110 §10.2.3): seconds, or a date. None when it is absent or makes no sense."""
    if header is None:
        return None
    written = header.strip()
    if written.isascii() and written.isdigit():
        return float(written[:12])
    try:
        moment = email.utils.parsedate_to_datetime(written)
        return max(0.0, moment.replace(tzinfo=moment.tzinfo or dt.UTC).timestamp() - wall)
    except (ValueError, OverflowError):
        return None


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
        "text": {"title": text.title, "body": text.body, "sms": text.sms, "url": text.url},
    }
    body = _encoded(written)
    if len(body) >= LARGEST_BYTES:
        written["incident"] |= {"facts": {}, "members": [], "sites": written["incident"]["sites"][:MOST_MEMBERS]}
        written["text"]["body"] = text.body[:2_000]
        body = _encoded(written)
    return body


def _encoded(written: dict[str, Any]) -> bytes:
    # A lone surrogate, which a device's string may hold, has no UTF-8.
    return json.dumps(written, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8", "replace")


def _rfc3339(wall: float) -> str:
    return dt.datetime.fromtimestamp(wall, dt.UTC).isoformat(timespec="seconds")
