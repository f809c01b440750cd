"""SMS by a modem of our own: a file in the spool of gammu-smsd (its FILES service) or of smstools3.

The only way out when the internet is what is lost. A spool is a queue, not a receiver: a page is taken once the modem's
daemon has moved its file to where it keeps what was sent, and refused once the file is among what failed.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import aiohttp
import pydantic

from netwatch.model import Page
from netwatch.pagers import Busy, EventPager, PageText, Receipt, Refused
from netwatch.pagers._numbers import Number, digits

__all__ = ["SmsSpool"]

LOOK_SECONDS = 0.5
PATIENCE_SECONDS = 6.0  # a modem takes some 3 s a message; the caller's deadline is 10 s
LOOK_AGAIN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Folders:
    """Where one kind of daemon takes files and leaves them."""

    outgoing: str
    on_the_way: tuple[str, ...]
    sent: str
    failed: str


FOLDERS = {
    "gammu": Folders("outbox", ("outbox",), "sent", "error"),
    "smstools": Folders("outgoing", ("outgoing", "checked"), "sent", "failed"),
}


@dataclass(kw_only=True, eq=False)
class SmsSpool(EventPager):
    """`directory` holds the daemon's folders under the names that Debian gives them."""

    directory: Annotated[str, pydantic.StringConstraints(pattern=r"^/")]
    numbers: Annotated[tuple[Number, ...], pydantic.Field(min_length=1, max_length=20)]
    format: Literal["gammu", "smstools"] = "gammu"
    drain_seconds: Annotated[float, pydantic.Field(ge=10, le=3_600)] = 120.0
    _gone: set[str] = field(init=False, default_factory=set)  # files we wrote; no `sent` folder may be kept

    async def send(self, page: Page, text: PageText, thread: Receipt | None, http: aiohttp.ClientSession) -> Receipt:
        del thread, http
        files = {self._name(page, number): self._content(number, text.sms) for number in self.numbers}
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while (states := await asyncio.to_thread(self._look, files)) and "waiting" in states:  # noqa: ASYNC110  # a spool is a folder
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            raise Busy("in the spool; the modem has not sent it yet", LOOK_AGAIN_SECONDS) from None
        except OSError as error:
            raise Busy(f"the spool: {os.strerror(error.errno or 0)}") from None
        self._gone -= files.keys()
        if set(states) == {"failed"}:
            raise Refused("the modem could not send it to any number")
        return Receipt()

    def _look(self, files: dict[str, str]) -> list[str]:
        """What has become of each file; writes those that are not there yet. Raises OSError, and Busy when nothing drains."""
        root, folders = Path(self.directory), FOLDERS[self.format]
        states = []
        for name, content in files.items():
            if (root / folders.failed / name).exists():
                states.append("failed")
            elif (root / folders.sent / name).exists():
                states.append("sent")
            elif any((root / folder / name).exists() for folder in folders.on_the_way):
                self._gone.add(name)
                states.append("waiting")
            elif name in self._gone:
                # Between two folders for a moment, or nothing is kept of what was sent.
                states.append("waiting" if (root / folders.sent).is_dir() else "sent")
            else:
                _refuse_stuck(root / folders.outgoing, self.drain_seconds)
                _write(root / folders.outgoing / name, content, ".LOCK" if self.format == "smstools" else ".new")
                self._gone.add(name)
                states.append("waiting")
        return states

    def _name(self, page: Page, number: str) -> str:
        """The same on every retry, so that it is written once."""
        mark = hashlib.sha256(f"{page.id} {number}".encode()).hexdigest()[:16]
        if self.format == "smstools":
            return f"netwatch-{digits(number)}-{mark}"
        # gammu-smsd-files(7): OUT<priority><date>_<time>_<serial>_<recipient>_<note>.<ext>
        written = dt.datetime.fromtimestamp(page.wall, dt.UTC)
        return f"OUTA{written:%Y%m%d_%H%M%S}_00_{number}_{mark}.txt"

    def _content(self, number: str, text: str) -> str:
        if self.format == "smstools":
            return f"To: {digits(number)}\nPriority: HIGH\n\n{text}"
        return text


def _refuse_stuck(outgoing: Path, drain_seconds: float) -> None:
    oldest, count = None, 0
    for file in outgoing.iterdir():
        try:
            written = file.stat().st_mtime
        except FileNotFoundError:
            continue
        count += 1
        oldest = written if oldest is None else min(oldest, written)
    waited = 0.0 if oldest is None else time.time() - oldest
    if waited > drain_seconds:
        raise Busy(f"the spool does not drain: {count} files, the oldest for {waited / 60:.0f} min", LOOK_AGAIN_SECONDS)


def _write(path: Path, content: str, ending: str) -> None:
    """Whole or not at all: the daemon never sees half a message."""
    unfinished = path.with_name(f"{path.name}{ending}" if ending == ".LOCK" else f".{path.name}{ending}")
    with unfinished.open("w", encoding="ascii", errors="replace") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.chmod(0o660)  # the modem's daemon runs as another user and must be able to move it
    unfinished.rename(path)
