"""The contract of a pager: where pages go. One pager a file; its fields are its keys in inventory.yaml.

Two kinds: an EventPager is told once of each change and must not miss one; a StatePager is told the whole truth again
and again and works out the changes itself.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import urllib.parse
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, TypeAlias

import aiohttp
import pydantic

from netwatch.model import Incident, Page, PagerSettings, PageText, Secret

__all__ = [
    "Busy",
    "EventPager",
    "PageText",
    "Pager",
    "PagerMisconfigured",
    "Receipt",
    "Refused",
    "StatePager",
    "UnknownPager",
    "Url",
    "build",
    "faults",
    "get",
    "names",
]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a pager answered; kept with the incident so that later pages join the same thread."""

    thread: str = ""


class Refused(Exception):
    """For good: sending the same again cannot help. The row ends and the fall-back pager takes over.

    The message is stored and logged, as that of Busy is: no URL and no secret in it.
    """


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

    language: str = field(init=False, default="vi")  # of its buttons; `build` sets it


@dataclass(kw_only=True, eq=False)
class EventPager(Pager):
    """`fallback` names the event pager that takes over what this one refuses for good, or has not taken in time.

    One that is `out_of_band` works when the internet here does not. What is more than `pages_per_minute` is told together
    in one page, unless the receiver keeps a state for each key and must hear of each: then `digests` is false.
    """

    digests: ClassVar[bool] = True

    fallback: str = ""
    out_of_band: bool = False
    pages_per_minute: Annotated[float, pydantic.Field(gt=0, le=6_000)] = 10.0

    @abstractmethod
    async def send(self, page: Page, text: PageText, thread: Receipt | None, http: aiohttp.ClientSession) -> Receipt:
        """Delivers one page. `thread` is what it answered to the one before. Raises Refused or Busy."""


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

    def destinations(self) -> tuple[StatePager, ...]:
        """One pager for each receiver: the caller syncs each by itself, so that a dead one cannot delay the others."""
        return (self,)


class UnknownPager(LookupError):
    """No pager of that name."""


class PagerMisconfigured(ValueError):
    """An option of a pager that cannot be. `key` is where; neither part ever repeats the value: it may be a secret."""

    def __init__(self, key: str, message: str) -> None:
        self.key = key
        self.message = message
        super().__init__(f"{key}: {message}" if key else message)


def _checked_url(value: object) -> Secret:
    written = value.reveal() if isinstance(value, Secret) else value
    if not isinstance(written, str) or not written.isprintable() or " " in written:
        raise ValueError("must be an address such as https://alerts.example.vn/hook")
    try:
        parts = urllib.parse.urlsplit(written)
        port = parts.port
    except ValueError:
        raise ValueError("is not a valid address") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise ValueError("must begin with http:// or https:// and name a host")
    return Secret(written)


Url: TypeAlias = Annotated[Secret, pydantic.BeforeValidator(_checked_url)]  # a Secret: a path or a user part may hold a token


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


def build(settings: PagerSettings) -> Pager:
    """The pager that one entry of `pagers:` describes. Raises PagerMisconfigured for one thing wrong with it."""
    pager, wrong = _tried(settings)
    if pager is None:
        raise wrong[0]
    pager.language = settings.language
    return pager


def faults(settings: PagerSettings) -> tuple[PagerMisconfigured, ...]:
    """Everything wrong with one entry of `pagers:`; nothing if `build` would build it."""
    return _tried(settings)[1]


def _tried(settings: PagerSettings) -> tuple[Pager | None, tuple[PagerMisconfigured, ...]]:
    try:
        kind = get(settings.kind)
    except UnknownPager as unknown:
        return None, (PagerMisconfigured("pager", str(unknown)),)
    try:
        # strict=False: strictly, pydantic takes only an instance of a dataclass, never a mapping.
        return pydantic.TypeAdapter(kind).validate_python(dict(settings.options), strict=False), ()
    except pydantic.ValidationError as errors:
        found = errors.errors(include_input=False, include_url=False, include_context=False)
    # Out here: the original error repeats what was given, and would be the context of ours.
    wrong = (
        PagerMisconfigured(".".join(str(part) for part in error["loc"]), error["msg"].removeprefix("Value error, ")) for error in found
    )
    return None, tuple(wrong)
