"""What the pagers over HTTP share: one bounded request, and what its answer means."""

from __future__ import annotations

import datetime as dt
import email.utils
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from netwatch.lang.writing import clean
from netwatch.model import Secret
from netwatch.pagers import Busy, Refused

__all__ = ["Answer", "encoded", "failure", "post", "retry_after_seconds", "said", "seconds"]

LARGEST_ANSWER_BYTES = 65_536
LONGEST_REASON = 160
LONGEST_WAIT_SECONDS = 1e9  # whoever waits has a bound of his own
SHORTEST_SECRET = 4  # shorter, it is a word
# RFC 9110, RFC 8470, and 420, which Telegram's servers call FLOOD; 407 comes from a proxy in between.
TEMPORARY_STATUSES = frozenset({407, 408, 420, 425, 429})


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is no more than its first 64 KiB unless more was asked for, and empty where none was."""

    status: int
    retry_after_seconds: float | None = None
    body: bytes = b""

    @property
    def accepted(self) -> bool:
        return 200 <= self.status < 300

    @property
    def document(self) -> Mapping[str, Any]:
        """The JSON object in the body; empty if there is none."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


async def post(
    http: aiohttp.ClientSession,
    url: str,
    body: bytes | Mapping[str, Any],
    headers: Mapping[str, str] | None = None,
    *,
    read: bool = True,
    largest_bytes: int = LARGEST_ANSWER_BYTES,
) -> Answer:
    """One POST of a JSON document. What goes wrong below HTTP propagates, but never with the address: it may hold a token."""
    data = body if isinstance(body, bytes) else encoded(body)
    # An answer that unpacks to a thousand times its size is not asked for.
    sent = {"Content-Type": "application/json", "Accept-Encoding": "identity", **(headers or {})}
    trouble = ""
    try:
        async with http.post(url, data=data, headers=sent, allow_redirects=False) as answer:
            wait = retry_after_seconds(answer.headers.get("Retry-After"), time.time())
            return Answer(answer.status, wait, await _prefix(answer, largest_bytes) if read else b"")
    except aiohttp.InvalidURL:
        trouble = "not an address"
    except aiohttp.ClientResponseError:
        trouble = "an answer that is not HTTP"
    raise Busy(trouble)  # out here, so that no __context__ keeps the address


async def _prefix(answer: aiohttp.ClientResponse, largest_bytes: int) -> bytes:
    read = bytearray()
    while len(read) < largest_bytes and (part := await answer.content.read(largest_bytes - len(read))):
        read += part
    return bytes(read)


def encoded(document: Mapping[str, Any]) -> bytes:
    """JSON as bytes. A lone surrogate, which a device's string may hold, has no UTF-8."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8", "replace")


def failure(status: int, retry_after: float | None = None, detail: str = "") -> Busy | Refused:
    """What a status that is no acceptance means, to be raised."""
    told = f"HTTP {status}: {detail}" if detail else f"HTTP {status}"
    if 300 <= status < 400:
        # Not for good: it may be the sign-in page of a network in between.
        return Busy(f"HTTP {status}: a redirect, which is not followed; give the final address")
    if status >= 500 or status in TEMPORARY_STATUSES:
        return Busy(told, retry_after)
    if status < 300:
        return Busy(f"HTTP {status}, but not the answer of this service")
    return Refused(told)


def said(reason: object, *secrets: Secret) -> str:
    """A stranger's reason, fit to be stored and logged: one short harmless line without our secrets."""
    line = clean(reason, 4_096) if isinstance(reason, str) else ""
    for secret in secrets:
        if len(secret.reveal()) >= SHORTEST_SECRET:
            line = line.replace(secret.reveal(), "…")
    return clean(line, LONGEST_REASON)


def seconds(value: object) -> float | None:
    """A number of seconds to wait, as JSON may hold it; None for what makes no sense."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:  # which NaN is not either
        return None
    return float(min(value, LONGEST_WAIT_SECONDS))


def retry_after_seconds(header: str | None, wall: float) -> float | None:
    """Retry-After (RFC 9110 §10.2.3): seconds, or a date. None when it is absent or makes no sense."""
    if header is None:
        return None
    written = header.strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]*)?", written, re.ASCII):  # a fraction is against the RFC, and is sent
        return seconds(float(written))
    try:
        moment = email.utils.parsedate_to_datetime(written)
        return max(0.0, moment.replace(tzinfo=moment.tzinfo or dt.UTC).timestamp() - wall)
    except (ValueError, OverflowError):
        return None
