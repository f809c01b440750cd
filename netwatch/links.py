"""Signed one-tap links: whoever a page was sent to may say "I have it" from a phone, once, without an account.

A token is `<ending>.<pager>.<signature>`: HMAC-SHA-256 over the incident, when it opened, the pager and when the link ends.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import ipaddress
import json
import re
import secrets
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

from netwatch.whole_file import write_whole

__all__ = ["KEY_NAME", "LIFE_SECONDS", "Pass", "address", "host_of", "key_in", "leads_here", "read", "token"]

LIFE_SECONDS = 86_400.0
KEY_NAME = "link.key"
KEY_BYTES = 32
SIGNATURE_BYTES = 18  # 144 bits: nobody guesses that
LONGEST = 400
TOKEN = re.compile(r"([0-9]{1,11})\.([A-Za-z0-9_-]{0,200})\.([A-Za-z0-9_-]{24})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Pass:
    """A token that we signed. `id` tells it from others in the audit trail, and nobody can act by knowing it."""

    id: str
    pager: str
    ends: float

    def has_ended(self, wall: float) -> bool:
        return wall >= self.ends


def token(key: bytes, incident: int, opened: float, pager: str, ends: float) -> str:
    """What goes after `?k=`; `ends` is cut to whole seconds."""
    ending = int(ends)
    return f"{ending}.{_text64(pager.encode())}.{_text64(_signature(key, incident, opened, pager, ending))}"


def read(key: bytes, text: str, incident: int, opened: float) -> Pass | None:
    """None for what we did not sign for this incident. Whether it has ended is for the caller to look at."""
    found = TOKEN.fullmatch(text[: LONGEST + 1])
    if found is None:
        return None
    try:
        pager = base64.urlsafe_b64decode(found[2] + "=" * (-len(found[2]) % 4)).decode()
    except ValueError:
        return None
    # The text as we would have written it: base64 has several spellings of the same bytes, and only one was sent.
    expected = token(key, incident, opened, pager, int(found[1]))
    if not hmac.compare_digest(expected.encode(), text.encode()):
        return None
    return Pass(hashlib.sha256(text.encode()).hexdigest()[:12], pager, float(found[1]))


def address(page_url: str, key: bytes, incident: int, opened: float, pager: str, wall: float) -> str:
    """The whole link; empty when the page can be opened on this machine only."""
    if leads_here(page_url):
        return ""
    return f"{page_url.rstrip('/')}/a/{incident}?k={token(key, incident, opened, pager, wall + LIFE_SECONDS)}"


def host_of(page_url: str) -> str:
    """Whom an address leads to; empty when it is none."""
    try:
        parts = urllib.parse.urlsplit(page_url)
        return (parts.hostname or "") if parts.scheme in {"http", "https"} else ""
    except ValueError:  # such as an IPv6 address without its end
        return ""


def key_in(directory: Path) -> bytes:
    """The key kept there, made at the first start. One that is damaged is made anew: links sent before no longer open."""
    path = directory / KEY_NAME
    with contextlib.suppress(FileNotFoundError):
        known = path.read_bytes()
        if len(known) == KEY_BYTES:
            return known
    made = secrets.token_bytes(KEY_BYTES)
    write_whole(path, made, 0o600)
    return made


def _signature(key: bytes, incident: int, opened: float, pager: str, ending: int) -> bytes:
    signed = json.dumps(["acknowledge", incident, opened, pager, ending]).encode()
    return hmac.digest(key, signed, "sha256")[:SIGNATURE_BYTES]


def _text64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def leads_here(url: str) -> bool:
    """Whether an address opens on this machine only, or nowhere."""
    host = host_of(url)
    if not host or host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        known = ipaddress.ip_address(host)
    except ValueError:
        return False
    return known.is_loopback or known.is_unspecified
