"""Any of the 150 services that apprise knows (the extra `netwatch-daemon[apprise]`): for information, never the only pager.

It blocks, so it works in a thread; it knows no Retry-After and no refusal for good, and what it logs may hold a token, so its
loggers are silenced. Its gap between messages, which a clock set back stretches by as much, is switched off.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import threading
from dataclasses import dataclass, field
from typing import Annotated, Any

import aiohttp

from netwatch.model import Page, PageText, Secret
from netwatch.pagers import Busy, EventPager, Receipt
from netwatch.pagers._options import sealed
from netwatch.pagers._text import below_title, inert, labelled, with_line

__all__ = ["Apprise"]

LONGEST_TEXT = 4_000
MOST_THREADS = 4
TYPES = {"critical": "failure", "warning": "warning", "info": "info"}
LOGGERS = ("apprise", "urllib3")


@dataclass(kw_only=True, eq=False)
class Apprise(EventPager):
    """`url` is one address as apprise writes it. One alone: of several, a retry would go to all again."""

    url: Annotated[Secret, sealed(r"[a-z][a-z0-9+.-]*://[\x21-\x7e]+", "an address of apprise such as matrixs://…")]
    _service: Any = field(init=False, repr=False)
    _threads: threading.Semaphore = field(init=False, repr=False, default_factory=lambda: threading.Semaphore(MOST_THREADS))

    def __post_init__(self) -> None:
        self._service = _service(self.url)

    async def send(self, page: Page, text: PageText, thread: Receipt | None, http: aiohttp.ClientSession) -> Receipt:
        del thread, http
        over = page.kind == "recover"
        links = [f"{label}: {url}" for label, url in labelled(page, text, self.language) if url not in text.body]
        message = {
            "title": inert(text.title),
            "body": with_line(below_title(text), "\n".join(links), LONGEST_TEXT),
            "notify_type": "success" if over else TYPES.get(page.incident.severity, "failure"),
            "body_format": "text",
        }
        if not await self._in_a_thread(message):
            raise Busy("apprise could not deliver it")
        return Receipt()

    async def _in_a_thread(self, message: dict[str, str]) -> bool:
        """Whether it was delivered. The thread is a daemon: one that hangs keeps neither us nor the end of the process."""
        if not self._threads.acquire(blocking=False):
            raise Busy("earlier attempts of apprise still hang")
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[bool] = loop.create_future()

        def settle(delivered: bool) -> None:
            if not outcome.done():
                outcome.set_result(delivered)

        def work() -> None:
            delivered = False
            try:
                delivered = bool(self._service.notify(**message))
            finally:
                self._threads.release()
                with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                    loop.call_soon_threadsafe(settle, delivered)

        threading.Thread(target=work, name="apprise", daemon=True).start()
        return await outcome


def _service(url: Secret) -> Any:
    """An apprise with that one address. Raises ValueError, without the address."""
    try:
        apprise = importlib.import_module("apprise")
    except ImportError:
        raise ValueError("needs apprise: install netwatch-daemon[apprise]") from None
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    # No templates: a device's {{words}} are text. No redirects, no files.
    asset = apprise.AppriseAsset(
        async_mode=False, http_redirects=False, interpret_escapes=False, allow_templates=False, storage_mode="memory", service_timeout=0
    )
    service = apprise.Apprise.instantiate(url.reveal(), asset=asset)
    if service is None:
        raise ValueError("is no address that apprise knows")
    service.request_rate_per_sec = 0
    box = apprise.Apprise(asset=asset)
    box.add(service)
    return box
