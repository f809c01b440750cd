"""What every attempt to deliver needs: texts, deadlines, an HTTP session, and when to try again."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import random
import zoneinfo
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import aiohttp

from netwatch import links
from netwatch.lang.writing import VIETNAM
from netwatch.model import Incident, Page, PageText, Settings
from netwatch.pagers import Busy
from netwatch.wording import describe, describe_digest

__all__ = ["BUGS", "NETWORK", "Desk", "Timing", "explain", "is_uncertain", "open_session"]

STUCK_SECONDS = 10.0  # an attempt still there so long after its deadline cannot be ended: a reason to be restarted
NETWORK = (aiohttp.ClientError, OSError)
# What a mistake of ours in one pager or one text raises: it must not stop the other pages.
BUGS = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


def _jitter() -> float:
    return random.SystemRandom().uniform(0.9, 1.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """`jitter` gives the factor that spreads retries."""

    retry_seconds: tuple[float, ...] = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)  # the last goes on for ever
    longest_wait_seconds: float = 300.0
    deadline_seconds: float = 10.0
    resync_seconds: float = 60.0
    stop_seconds: float = 2.0
    jitter: Callable[[], float] = _jitter

    def wait_seconds(self, attempts: int, asked_seconds: float | None = None) -> float:
        """How long to wait after that many failures; a pager may ask for longer, within reason."""
        planned = self.retry_seconds[min(attempts, len(self.retry_seconds)) - 1] * self.jitter()
        return min(max(planned, asked_seconds or 0.0), self.longest_wait_seconds)


@dataclass(slots=True, eq=False, kw_only=True)
class Desk:
    """What every attempt needs, whatever the pager."""

    wall: Callable[[], float]
    timing: Timing
    settings: Settings
    link_key: bytes = b""  # what one-tap links are signed with; without it there are none
    evidence_head: Callable[[], str] = str  # of the ledger of lines, so that it stands where nobody here can change it; "" for none
    http: aiohttp.ClientSession = field(init=False)
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    _in_flight: dict[object, float] = field(default_factory=dict)

    def text(
        self, incident: Incident, kind: Literal["open", "update", "recover"], language: str, wall: float, *, pager: str = ""
    ) -> PageText:
        """With a `pager`, also the link by which its readers acknowledge."""
        text = describe(
            incident,
            kind,
            language,
            wall=wall,
            zone=self.zone,
            page_url=self.settings.page_url,
            power_hotline=self.settings.power_hotline,
            texts=self._own_texts(language),
        )
        if not pager or not self.link_key or kind == "recover":
            return text
        link = links.address(self.settings.page_url, self.link_key, incident.id, incident.opened, pager, wall)
        return replace(text, acknowledge_url=link)

    def morning(self, page: Page, language: str) -> PageText:
        """The digest of a day, in words."""
        return describe_digest(page, language, zone=self.zone, page_url=self.settings.page_url, texts=self._own_texts(language))

    def _own_texts(self, language: str) -> Mapping[str, str]:
        return self.settings.texts.get(language, {})

    @property
    def zone(self) -> dt.tzinfo:
        return _zone(self.settings.timezone)

    @contextlib.asynccontextmanager
    async def deadline(self) -> AsyncIterator[None]:
        """An attempt in flight. Raises TimeoutError."""
        attempt = object()
        self._in_flight[attempt] = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self.timing.deadline_seconds):
                yield
        finally:
            del self._in_flight[attempt]

    def is_stuck(self) -> bool:
        """Whether an attempt has outlived its deadline."""
        now = asyncio.get_running_loop().time()
        return any(now - since > self.timing.deadline_seconds + STUCK_SECONDS for since in self._in_flight.values())


def _zone(name: str) -> dt.tzinfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        return VIETNAM


def explain(error: BaseException) -> str:
    """What went wrong with a connection, without the address: it may hold a token."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "cannot resolve the name"
    if isinstance(error, aiohttp.ClientConnectorError) and not isinstance(error, aiohttp.ClientSSLError) and error.os_error.errno:
        return f"cannot connect: {os.strerror(error.os_error.errno)}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return type(error).__name__


def is_uncertain(error: BaseException) -> bool:
    """Whether what was sent may have arrived: the connection stood, and no answer came."""
    return not isinstance(error, aiohttp.ClientConnectorError | ConnectionRefusedError | FileNotFoundError | PermissionError)


async def _no_redirect(_session: aiohttp.ClientSession, _context: object, _redirect: aiohttp.TraceRequestRedirectParams) -> None:
    raise Busy("a redirect, which is not followed")


def open_session() -> aiohttp.ClientSession:
    """One for all pagers: no cookies, no redirects, no proxy of the environment, no connection kept.

    A kept connection that the receiver has closed meanwhile costs a page one failed attempt.
    """
    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(_no_redirect)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        trace_configs=[trace],
        headers={"User-Agent": "netwatch"},
    )
