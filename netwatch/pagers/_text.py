"""Texts made fit for a channel: nothing in them acts, nothing in them is too long. Pure."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Callable

from netwatch.lang import LANGUAGES, Catalog, catalog
from netwatch.model import Page, PageText

__all__ = [
    "below_title",
    "bytes_of",
    "escaped",
    "escaped_units_of",
    "fitted",
    "inert",
    "is_settled",
    "labelled",
    "units_of",
    "whole",
    "with_line",
    "words_of",
]

ACTING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # controls, escapes, text direction, halves of letters, odd line ends
ELLIPSIS = "…"


def inert(text: str) -> str:
    """Without anything that a terminal, a phone or a parser would act on; line ends stay.

    Markup is not touched: escaping it is the business of each channel.
    """
    return "".join(letter for letter in text if letter == "\n" or unicodedata.category(letter) not in ACTING).strip()


def whole(text: PageText) -> str:
    """All of a page; never empty, which most services refuse."""
    return inert(text.body) or inert(text.title) or ELLIPSIS


def below_title(text: PageText) -> str:
    """A page for a channel that shows its title by itself; never empty."""
    return inert(inert(text.body).removeprefix(inert(text.title))) or whole(text)


def units_of(letter: str) -> int:
    """How a service counts that counts UTF-16."""
    return 2 if ord(letter) > 0xFFFF else 1


def escaped(text: str) -> str:
    """For a channel that reads `&`, `<` and `>`, which Telegram and Slack both do. Cut first, then escape."""
    return html.escape(text, quote=False)


def escaped_units_of(letter: str) -> int:
    return sum(map(units_of, escaped(letter)))


def bytes_of(letter: str) -> int:
    return len(letter.encode("utf-8", "replace"))


def fitted(text: str, limit: int, size: Callable[[str], int] = units_of) -> str:
    """As much of a text as there is room for. `size` is what one letter takes, as the service counts and as it is escaped."""
    if sum(map(size, text)) <= limit:
        return text
    room = limit - size(ELLIPSIS)
    for index, letter in enumerate(text):
        room -= size(letter)
        if room < 0:
            return text[:index].rstrip() + ELLIPSIS
    return text


def with_line(text: str, line: str, limit: int, size: Callable[[str], int] = units_of) -> str:
    """A line that must not be cut off, below as much of a text as there is room for. One that would push out the text is left out."""
    needed = sum(map(size, f"\n{line}"))
    if not line or needed > limit // 2:
        return fitted(text, limit, size)
    return f"{fitted(text, limit - needed, size)}\n{line}"


def words_of(language: str) -> Catalog:
    """Those of a pager, whatever language it was given."""
    return catalog(language if language in LANGUAGES else LANGUAGES[0])


def is_settled(page: Page) -> bool:
    """Whether nothing is left to acknowledge."""
    return page.kind == "recover" or page.incident.acknowledgement is not None


def labelled(page: Page, text: PageText, language: str, *, form: str = "acknowledge") -> tuple[tuple[str, str], ...]:
    """The links of a page, with what a button says: how to acknowledge it while that is to be done, then where to read on.

    `form` is what the first is called.
    """
    words = words_of(language)
    links = ((form, "" if is_settled(page) else text.acknowledge_url), ("read_on", text.url))
    return tuple((words.text(f"pager.{name}"), url) for name, url in links if url)
