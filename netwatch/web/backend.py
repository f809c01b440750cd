"""What the pages need of the daemon."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from aiohttp import web

from netwatch.conference import Evidence, Leg
from netwatch.metrics import Overloaded
from netwatch.model import Human, Incident, Inventory, Transition
from netwatch.rollcall import Sitting
from netwatch.snapshot import Snapshot

__all__ = ["BACKEND", "SETUP", "Backend", "Overloaded", "Setup"]


class Backend(Protocol):
    """The daemon as the pages see it."""

    def snapshot(self) -> Snapshot: ...

    async def changed(self, revision: int) -> int:
        """Waits until the revision is newer and returns it. May be cancelled at any time."""

    async def metrics(self, sse_clients: int) -> bytes:
        """The text of /metrics; how many follow the page live only the page knows. Raises Overloaded."""

    async def reload(self) -> tuple[bool, tuple[str, ...]]:
        """Whether the new inventory is in force, and what to tell: the differences or the errors."""

    async def prune(self) -> tuple[int, int]:
        """Bytes of the history before and after what is too old has gone. Raises HistoryFailed."""

    def check_now(self, check_id: str, who: str) -> bool:
        """False when there is no such check."""

    async def test_line(self, check_id: str, who: str) -> Mapping[str, object] | None:
        """What came of a line test run now: a verdict's record, `denied` or `failed` and why. None when no line is tested by it."""

    async def full_test(self, check_id: str, who: str) -> Mapping[str, object] | None:
        """As `test_line`, by a test of several seconds. None also when its far end can only be tested shortly."""

    def full_test_cost(self, check_id: str) -> Mapping[str, object] | None:
        """What a full test would take at most: `bytes_at_most`, `seconds`. None where there can be none."""

    async def page_test(self, check_id: str, measure: Callable[[], Awaitable[Mapping[str, Any]]]) -> Mapping[str, Any] | None:
        """What a browser measures for a check, when it may now: else `denied` and why. None when no line is tested by it."""

    def meeting_on(self, site: str) -> bool:
        """Whether a meeting has begun there: then a test ends at once."""

    def traps(self, number: int) -> Sequence[Mapping[str, object]]:
        """The traps that came after the one of that number, the oldest first; `wall` in seconds."""

    def devices(self) -> Sequence[Mapping[str, Any]]:
        """The register of equipment, a device each; times in wall seconds."""

    def evidence(self, sitting: Sitting, legs: Mapping[str, Leg]) -> Sequence[Evidence]:
        """What is known of each place of a meeting; `legs` as `_legs` reads them."""

    def pagers(self) -> Sequence[Mapping[str, object]]:
        """Each pager and how it fares."""

    def outbox(self) -> Sequence[Mapping[str, object]]:
        """The pages that have not ended, the oldest first."""

    async def try_pager(self, name: str, who: str) -> str:
        """Sends a trial through a pager. Why it was not taken, or "". Raises KeyError for a pager there is none of."""

    def act(self, human: Human) -> Human | None:
        """Takes in what a person asks for, now; its own times do not count. What came of it, or None when it names nothing that is there."""

    async def humans(self, since_wall: float, incident: int | None, limit: int) -> Sequence[Human]:
        """What people did, newest first. Raises HistoryFailed."""

    def ledger_path(self) -> Path:
        """The file of the evidence ledger; it may not be there yet."""

    def link_key(self) -> bytes:
        """What one-tap links are signed with."""

    def inventory(self) -> Inventory:
        """The one in force."""

    async def transitions(self, site: str | None, since_wall: float, limit: int) -> Sequence[Transition]:
        """Newest first; `site` None means all."""

    async def samples(
        self, check_id: str, metric: str, instance: str, since_wall: float, until_wall: float
    ) -> Sequence[tuple[float, tuple[float, ...]]]:
        """Wall time and values of each run, oldest first, of the last 48 h. Raises HistoryFailed."""

    async def incidents(self, site: str | None, since_wall: float, limit: int) -> Sequence[Incident]:
        """Those that were open then or later, newest first; no digests. Raises HistoryFailed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """How one application is to behave."""

    control: bool
    allowed_hosts: Container[str]
    language: str
    zone: dt.tzinfo


BACKEND: web.AppKey[Backend] = web.AppKey("backend", Backend)
SETUP: web.AppKey[Setup] = web.AppKey("setup", Setup)
