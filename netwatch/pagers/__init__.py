"""The contract of a pager: where pages go. One pager a file; its fields are its keys in inventory.yaml.

Two kinds: an EventPager is told once of each change and must not miss one; a StatePager is told the whole truth again
and again and works out the changes itself.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import aiohttp

from netwatch.model import Incident, Page

__all__ = ["Busy", "EventPager", "PageText", "Pager", "Receipt", "Refused", "StatePager", "UnknownPager", "get", "names"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageText:
    """A page in words. `title` is at most 60 characters; `sms` is folded to ASCII, one segment."""

    title: str
    body: str
    sms: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a pager answered; kept with the incident so that later pages join the same thread."""

    thread: str = ""


class Refused(Exception):
    """For good: sending the same again cannot help. The row ends and the fall-back pager takes over."""


class Busy(Exception):
    """For now: try again, not before `retry_after_seconds` if the pager said so."""

    def __init__(self, detail: str, retry_after_seconds: float | None = None) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(detail)


@dataclass(kw_only=True, eq=False)
class Pager(ABC):  # noqa: B024  # the two kinds have nothing in common but this
    """Either kind. Network errors (aiohttp.ClientError, TimeoutError, OSError) propagate and count as Busy.

    `http` does not follow redirects of itself and has no cookies; the caller sets the deadline.
    """

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid", "strict": True, "arbitrary_types_allowed": True}


@dataclass(kw_only=True, eq=False)
class EventPager(Pager):
    @abstractmethod
    async def send(self, page: Page, text: PageText, thread: Receipt | None, http: aiohttp.ClientSession) -> Receipt:
        """Delivers one page. Raises Refused or Busy."""


@dataclass(kw_only=True, eq=False)
class StatePager(Pager):
    @abstractmethod
    async def sync(
        self,
        open_incidents: Sequence[tuple[Incident, PageText]],
        closed: Sequence[tuple[Incident, PageText]],
        http: aiohttp.ClientSession,
        wall: float,
    ) -> None:
        """Tells the whole truth: what is open, and what closed in the last 15 minutes. Raises Busy."""


class UnknownPager(LookupError):
    """No pager of that name."""


def names() -> tuple[str, ...]:
    """The kinds of pager there are, by file name."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")))


def get(kind: str) -> type[Pager]:
    """The one Pager subclass of `netwatch/pagers/<kind>.py`. Raises UnknownPager."""
    if kind not in names():
        raise UnknownPager(f"unknown pager {kind!r}; there are: {', '.join(names())}")
    module = importlib.import_module(f"{__name__}.{kind}")
    found = [
        thing
        for thing in vars(module).values()
        if isinstance(thing, type) and issubclass(thing, Pager) and thing.__module__ == module.__name__
    ]
    if len(found) != 1 or not dataclasses.is_dataclass(found[0]):
        raise TypeError(f"{module.__name__} must define exactly one Pager, as a dataclass; found {len(found)}")
    return found[0]
