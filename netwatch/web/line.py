"""The evidence sheet: a page to print, the same as a file that stands alone, and as CSV and JSON."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from netwatch import sheet as sheets
from netwatch.lang import Catalog, writing
from netwatch.ledger import Entry
from netwatch.line import figures_of, wall_of
from netwatch.sheet import Part, Sheet
from netwatch.web.api import answer
from netwatch.web.backend import BACKEND, SETUP
from netwatch.web.board import Reader
from netwatch.web.page import PAGES, html, load
from netwatch.web.reader import reader_of

__all__ = ["SheetPage", "add_routes", "alone", "between", "full_figures", "megabytes", "method_texts", "page_of", "reason_text"]

METHOD = ("layer", "ladder", "frames", "bounds", "refuted", "twice", "ledger", "check")
DECIDED = ("proved", "refuted")
LONGEST_CELL = 80
LEAST_BASELINE_SECONDS = 0.001
SHORT_SUM = 16  # hexadecimal digits: enough to find a record by


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    number: int
    at: str
    verdict: str
    verdict_text: str
    reason: str
    value: str
    between: str
    cost: str
    took: str
    how: str
    limit_end: str
    confidence: str
    sha256: str
    full: tuple[tuple[str, str], ...]  # figures of a full test


@dataclass(frozen=True, slots=True, kw_only=True)
class PartView:
    title: str
    about: tuple[tuple[str, str], ...]
    verdict: str
    verdict_text: str
    counts: str
    below: str
    decided: tuple[Row, ...]
    undecided: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetPage:
    """What `line.html` prints. `before` and `after` are the names of the months beside it."""

    site: str
    month: str
    head_line: str
    printed: str
    until: str
    parts: tuple[PartView, ...]
    method: tuple[str, ...]
    head: str
    head_parts: tuple[str, ...]
    public: str
    before: str
    after: str


def page_of(sheet: Sheet, words: Catalog, zone: dt.tzinfo) -> SheetPage:
    year, number = (int(part) for part in sheet.month.name.split("-"))
    seal = sheet.head.seal if sheet.head else ""
    written = f"{number:02d}/{year}" if words.language == "vi" else sheet.month.name
    return SheetPage(
        site=sheet.site,
        month=sheet.month.name,
        head_line=words.text("line.sheet_head", site=writing.clean(sheet.name, LONGEST_CELL), month=written),
        printed=words.text("line.sheet_printed", at=writing.stamp(sheet.printed, words, zone)),
        until=words.text("line.sheet_until", at=writing.stamp(sheet.printed, words, zone)) if sheet.printed < sheet.month.ends else "",
        parts=tuple(_part(part, words, zone) for part in sheet.parts),
        method=method_texts(words),
        head=f"{sheet.head.number}:" if sheet.head else "",
        head_parts=tuple(seal[begin : begin + 8] for begin in range(0, len(seal), 8)),
        public=sheet.public,
        before=f"{year - (number == 1)}-{(number + 10) % 12 + 1:02d}",
        after=f"{year + (number == 12)}-{number % 12 + 1:02d}",
    )


def method_texts(words: Catalog) -> tuple[str, ...]:
    return tuple(words.text(f"line.method_{name}") for name in METHOD)


def _part(part: Part, words: Catalog, zone: dt.tzinfo) -> PartView:
    direction = words.text(f"line.direction_{part.direction}")
    label = writing.clean(part.label, LONGEST_CELL) or part.line
    about = (
        (words.text("line.sheet_carrier"), writing.clean(part.carrier, LONGEST_CELL)),
        (words.text("line.sheet_circuit"), writing.clean(part.circuit, LONGEST_CELL)),
        (words.text("line.contract"), writing.bits_per_second(part.contract, words)),
    )
    found = part.standing
    return PartView(
        title=f"{label} · {direction}",
        about=tuple(pair for pair in about if pair[1]),
        verdict=found.verdict,
        verdict_text=f"{words.text(f'line.verdict_{found.verdict}')}: {reason_text(found.reason, words)}",
        counts=_counts(part, words),
        below=_below(part, words, zone),
        decided=tuple(_row(one, words, zone) for one in part.of(*DECIDED)),
        undecided=tuple(_row(one, words, zone) for one in part.of("inconclusive", "stale")),
    )


def _counts(part: Part, words: Catalog) -> str:
    if not part.entries:
        return words.text("line.sheet_none")
    counts = {name: len(part.of(name)) for name in (*DECIDED, "inconclusive")}
    spent = sum(int(one.record["bytes"] or 0) for one in part.entries)
    said = words.text("line.sheet_counts", **counts), words.text("line.sheet_spent", bytes=megabytes(spent, words))
    return " · ".join(said if spent else said[:1])


def _below(part: Part, words: Catalog, zone: dt.tzinfo) -> str:
    if not part.below:
        return ""
    first, last = (writing.stamp(one.wall, words, zone) for one in (part.below[0], part.below[-1]))
    return words.text("line.sheet_below", count=len(part.below), first=first, last=last)


def _row(entry: Entry, words: Catalog, zone: dt.tzinfo) -> Row:
    record = entry.record
    value, low, high = (record.get(f"{name}_bits_per_second") for name in ("value", "low", "high"))
    grade = str(record.get("grade", ""))
    method = str(record.get("method", "")) or _word("step", str(record["step"]), words)
    figures = figures_of(record)
    full = full_figures(figures, words) if figures else ()
    return Row(
        number=entry.number,
        at=writing.stamp(wall_of(record), words, zone),
        verdict=str(record["verdict"]),
        verdict_text=words.text(f"line.verdict_{record['verdict']}"),
        reason=reason_text(str(record["reason"]), words),
        value=writing.bits_per_second(value, words) if value else "–",
        between=between(low, high, words),
        cost=megabytes(int(record["bytes"] or 0), words),
        took=writing.seconds(float(record["seconds"]), words) if record["seconds"] else "–",
        how=" · ".join(part for part in (method, words.text("line.step_full") if full else "", _word("grade", grade, words)) if part),
        limit_end=_word("end", str(record.get("limit_end", "")), words),
        confidence=writing.percent(float(record["confidence"] or 0), words) if record["confidence"] else "–",
        sha256=entry.sha256[:SHORT_SUM],
        full=full,
    )


def between(low: float | None, high: float | None, words: Catalog) -> str:
    """Bounds of a rate; what is nothing or not known is left out."""
    least, most = (writing.bits_per_second(one, words) if one else "" for one in (low, high))
    return f"{least} – {most}" if least and most else f"≥ {least}" if least else f"≤ {most}" if most else "–"


def megabytes(count: int, words: Catalog) -> str:
    return f"{writing.number(count / 1e6, 1, words)} MB" if count else "0"


def reason_text(reason: str, words: Catalog) -> str:
    """A reason that has no words yet is told as it is."""
    return _word("reason", reason, words)


def full_figures(figures: Mapping[str, float | None], words: Catalog) -> tuple[tuple[str, str], ...]:
    """What RFC 6349 asks of a full test, in words; what could not be told is said to be unknown."""
    unknown = words.text("line.full_unknown")

    def written(name: str, write: Callable[[float], str]) -> str:
        found = figures.get(name)
        return unknown if found is None else write(float(found))

    def milliseconds(value: float) -> str:
        return f"{writing.number(value * 1000, 1, words)} ms"

    return (
        (words.text("line.full_baseline"), written("baseline_rtt_seconds", milliseconds)),
        (words.text("line.full_loaded"), written("loaded_rtt_seconds", milliseconds)),
        (words.text("line.full_buffer_delay"), written("buffer_delay_ratio", lambda _ratio: _buffer_delay(figures, words))),
        (words.text("line.full_efficiency"), written("efficiency_ratio", lambda value: writing.percent(value, words))),
        (words.text("line.full_transfer_time"), written("transfer_time_ratio", lambda value: writing.number(value, 2, words))),
        (words.text("line.full_packet"), written("packet_bytes", lambda value: words.text("line.full_bytes", bytes=round(value)))),
        (words.text("line.full_streams"), written("streams", lambda value: str(round(value)))),
    )


def _buffer_delay(figures: Mapping[str, float | None], words: Catalog) -> str:
    """In milliseconds; as a part of the idle round trip, as RFC 6349 has it, only where that is long enough to divide by."""
    idle, loaded, ratio = (float(figures.get(name) or 0) for name in ("baseline_rtt_seconds", "loaded_rtt_seconds", "buffer_delay_ratio"))
    longer = f"{writing.number(max(loaded - idle, 0) * 1000, 1, words)} ms"
    return f"{longer} ({writing.percent(ratio, words)})" if idle >= LEAST_BASELINE_SECONDS else longer


def _word(kind: str, name: str, words: Catalog) -> str:
    keys = (f"line.{kind}_{name}", f"line_test.{kind}_{name}", f"line_test.failed_{name}")
    return next((words.text(key, detail="…") for key in keys if words.has(key)), writing.clean(name, LONGEST_CELL))


def alone(sheet: Sheet, words: Catalog, zone: dt.tzinfo) -> str:
    """The sheet as one file: nothing is loaded from anywhere."""
    pages = load()
    css = pages.files["line.css"].decode()
    return pages.render("line.html", Reader(words=words, zone=zone, theme=""), page=page_of(sheet, words, zone), css=css)


async def _sheet(request: web.Request) -> tuple[Sheet, Reader]:
    reader, backend, slug = reader_of(request), request.app[BACKEND], request.match_info["slug"]
    site = backend.inventory().sites.get(slug)
    try:
        month = sheets.month_of(request.match_info["month"], reader.zone)
    except sheets.BadMonth as error:
        raise web.HTTPNotFound from error
    path, now = backend.ledger_path(), backend.snapshot().wall
    found = await asyncio.to_thread(sheets.sheet_of, path, slug, month, printed=now, site=site)
    if site is None and not found.entries:
        raise web.HTTPNotFound
    return found, reader


async def printable(request: web.Request) -> web.Response:
    sheet, reader = await _sheet(request)
    return html(request, request.app[PAGES].render("line.html", reader, page=page_of(sheet, reader.words, reader.zone), css=""))


async def as_csv(request: web.Request) -> web.Response:
    sheet, _ = await _sheet(request)
    return _file(sheet, sheets.as_csv(sheet), "csv", "text/csv")


async def as_lines(request: web.Request) -> web.Response:
    sheet, _ = await _sheet(request)
    return _file(sheet, sheets.as_lines(sheet), "txt", "text/plain")


async def as_json(request: web.Request) -> web.Response:
    sheet, reader = await _sheet(request)
    document = sheets.as_json(sheet, request.app[SETUP].zone, method_texts(reader.words))
    response = answer(document)
    response.headers.update(_named(sheet, "json"))
    return response


def _file(sheet: Sheet, text: str, ending: str, kind: str) -> web.Response:
    return web.Response(text=text, content_type=kind, charset="utf-8", headers=_named(sheet, ending))


def _named(sheet: Sheet, ending: str) -> Mapping[str, str]:
    return {"Content-Disposition": f'attachment; filename="netwatch-{sheet.site}-{sheet.month.name}.{ending}"'}


def add_routes(app: web.Application) -> None:
    routes: tuple[tuple[str, Callable[[web.Request], Awaitable[web.StreamResponse]]], ...] = (
        (".csv", as_csv),
        (".json", as_json),
        (".txt", as_lines),
        ("", printable),
    )
    for ending, handler in routes:
        app.router.add_get(rf"/line/{{slug:[a-z0-9-]+}}/{{month:\d{{4}}-\d{{2}}}}{ending}", handler)
