"""What delivery is made of: pages that wait in lanes, the pager they wait for, and when to try again."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import random
import zoneinfo
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Literal

import aiohttp

from netwatch.lang.writing import VIETNAM
from netwatch.model import Incident, Page, PagerSettings, PageText, Settings
from netwatch.pagers import Busy, EventPager
from netwatch.wording import describe

__all__ = ["BUGS", "NETWORK", "Channel", "Desk", "Job", "Timing", "explain", "open_session"]

CONCURRENT_ATTEMPTS = 4  # of one pager: a receiver that comes back is not flooded
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
    http: aiohttp.ClientSession = field(init=False)
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    _in_flight: dict[object, float] = field(default_factory=dict)

    def text(self, incident: Incident, kind: Literal["open", "update", "recover"], language: str, wall: float) -> PageText:
        return describe(incident, kind, language, wall=wall, zone=_zone(self.settings.timezone), page_url=self.settings.page_url)

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


@dataclass(slots=True, eq=False)
class Job:
    """One page on its way. `refusals` is what the pagers before this one said, `asked` is who they were."""

    row_id: int | None
    page: Page
    attempts: int = 0
    due_at: float = 0.0  # monotonic
    refusals: str = ""
    asked: frozenset[str] = frozenset()


@dataclass(slots=True, eq=False)
class Channel:
    """One event pager and its lanes, by incident key. A removed one is `retired` until its last lane is empty."""

    settings: PagerSettings
    pager: EventPager
    lanes: dict[str, deque[Job]] = field(default_factory=dict)
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CONCURRENT_ATTEMPTS))
    not_before: float = 0.0  # monotonic: the pager asked all of us to wait
    retired: bool = False
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def kick(self) -> None:
        """Ends every wait of its lanes: there is something new to try."""
        self.not_before = 0.0
        self._wake.set()
        self._wake = asyncio.Event()

    def is_open(self) -> bool:
        return asyncio.get_running_loop().time() >= self.not_before

    async def wait_until_due(self, job: Job) -> None:
        loop = asyncio.get_running_loop()
        wake = self._wake
        while not wake.is_set() and (delay := max(job.due_at, self.not_before) - loop.time()) > 0:
            try:
                async with asyncio.timeout(delay):
                    await wake.wait()
            except TimeoutError:
                continue


def explain(error: BaseException) -> str:
    """What went wrong with a connection, without the address: it may hold a token."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "cannot resolve the name"
    if isinstance(error, aiohttp.ClientConnectorError) and not isinstance(error, aiohttp.ClientSSLError) and error.os_error.errno:
        return f"cannot connect: {os.strerror(error.os_error.errno)}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return type(error).__name__


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
