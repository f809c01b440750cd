"""Who asks: the language and the theme of a request."""

from __future__ import annotations

from aiohttp import web

from netwatch.lang import LANGUAGES, catalog
from netwatch.web.backend import SETUP
from netwatch.web.board import Reader

__all__ = ["reader_of", "remember"]

THEMES = ("light", "dark", "auto")
YEAR_SECONDS = 365 * 86400


def reader_of(request: web.Request) -> Reader:
    """`?lang=` and `?theme=`, else the cookies, else Accept-Language, else as the daemon is set up."""
    setup = request.app[SETUP]
    language = _chosen(request, "lang", LANGUAGES) or _accepted(request.headers.get("Accept-Language", "")) or setup.language
    theme = _chosen(request, "theme", THEMES)
    return Reader(words=catalog(language), zone=setup.zone, theme="" if theme == "auto" else theme)


def remember(request: web.Request, response: web.StreamResponse) -> None:
    """Keeps what the address asked for, so that the next page need not ask."""
    for name, choices in (("lang", LANGUAGES), ("theme", THEMES)):
        chosen = request.query.get(name, "")
        if chosen in choices:
            response.set_cookie(name, chosen, max_age=YEAR_SECONDS, httponly=True, samesite="Lax", path="/")


def _chosen(request: web.Request, name: str, choices: tuple[str, ...]) -> str:
    return next((one for one in (request.query.get(name, ""), request.cookies.get(name, "")) if one in choices), "")


def _accepted(header: str) -> str:
    """The first of our languages that the browser would rather read (RFC 9110 section 12.5.4)."""
    wishes = []
    for position, part in enumerate(header.split(",")[:20]):
        name, _, weight = part.partition(";")
        try:
            quality = float(weight.partition("=")[2]) if weight else 1.0
        except ValueError:
            continue
        language = name.strip().partition("-")[0].casefold()
        if language in LANGUAGES and 0 < quality <= 1:
            wishes.append((-quality, position, language))
    return min(wishes)[2] if wishes else ""
