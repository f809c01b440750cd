"""The handlers that speak HTML, and the files the pages need."""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jinja2
from aiohttp import web

from netwatch.web.api import EVENTS_SHOWN_SECONDS, MOST_EVENTS, find_site
from netwatch.web.backend import BACKEND
from netwatch.web.board import Reader, board_of, unbroken
from netwatch.web.changes import without_first_beliefs
from netwatch.web.place import place_of
from netwatch.web.reader import reader_of, remember
from netwatch.web.words import sentence

__all__ = ["PAGES", "Pages", "add_routes", "html", "load"]

EVENTS_SIFTED = 500  # after a start most only say that something was found well
HERE = Path(__file__).parent
FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """Templates and static files, read once at start."""

    templates: jinja2.Environment
    files: Mapping[str, bytes]
    digest: str

    def render(self, name: str, reader: Reader, **fields: object) -> str:
        return self.templates.get_template(name).render(
            t=reader.words.text,
            language=reader.words.language,
            theme=reader.theme,
            static=f"/static/{self.digest}",
            digest=self.digest,
            **fields,
        )


PAGES: web.AppKey[Pages] = web.AppKey("pages", Pages)


def load() -> Pages:
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    files = {path.name: path.read_bytes() for path in sorted((HERE / "static").iterdir()) if path.is_file()}
    digest = hashlib.sha256(b"".join(name.encode() + body for name, body in files.items())).hexdigest()[:16]
    return Pages(templates=templates, files=files, digest=digest)


def html(request: web.Request, text: str, status: int = 200) -> web.Response:
    response = web.Response(text=text, status=status, content_type="text/html", charset="utf-8")
    response.headers["Vary"] = "Accept-Language, Cookie"
    response.enable_compression()
    remember(request, response)
    return response


async def board(request: web.Request) -> web.Response:
    return _board(request, "index.html")


async def board_fragment(request: web.Request) -> web.Response:
    return _board(request, "board.html")


def _board(request: web.Request, template: str) -> web.Response:
    reader = reader_of(request)
    view = board_of(request.app[BACKEND].snapshot(), reader)
    return html(request, request.app[PAGES].render(template, reader, board=view, live=view, here="board"))


async def place(request: web.Request) -> web.Response:
    return await _place(request, "site.html")


async def place_fragment(request: web.Request) -> web.Response:
    return await _place(request, "place.html")


async def _place(request: web.Request, template: str) -> web.Response:
    reader, backend, slug = reader_of(request), request.app[BACKEND], request.match_info["slug"]
    snapshot = backend.snapshot()
    view = find_site(snapshot, slug)
    if view is None:
        return html(request, request.app[PAGES].render("missing.html", reader, live=None, sites=_near(request)), 404)
    transitions = without_first_beliefs(await backend.transitions(slug, snapshot.wall - EVENTS_SHOWN_SECONDS, EVENTS_SIFTED))[:MOST_EVENTS]
    shown = place_of(snapshot, view, transitions, reader)
    fields = {"place": shown, "live": shown, "sentence": unbroken(sentence(snapshot, reader.words))}
    return html(request, request.app[PAGES].render(template, reader, **fields))


def _near(request: web.Request) -> list[tuple[str, str]]:
    sites = request.app[BACKEND].snapshot().sites
    return sorted((view.site.name, view.site.id) for view in sites)


async def static(request: web.Request) -> web.Response:
    pages, name = request.app[PAGES], request.match_info["name"]
    if request.match_info["digest"] != pages.digest or name not in pages.files:
        raise web.HTTPNotFound
    kind = mimetypes.types_map.get(Path(name).suffix, "application/octet-stream")
    response = web.Response(body=pages.files[name], headers={"Content-Type": f"{kind}; charset=utf-8", "Cache-Control": FOREVER})
    response.enable_compression()
    return response


async def favicon(request: web.Request) -> web.Response:
    return web.Response(body=request.app[PAGES].files["favicon-ok.svg"], headers={"Content-Type": "image/svg+xml"})


def add_routes(app: web.Application) -> None:
    app.router.add_get("/", board)
    app.router.add_get("/fragment/board", board_fragment)
    app.router.add_get("/sites/{slug}", place)
    app.router.add_get("/fragment/sites/{slug}", place_fragment)
    app.router.add_get("/static/{digest}/{name}", static)
    app.router.add_get("/favicon.ico", favicon)
