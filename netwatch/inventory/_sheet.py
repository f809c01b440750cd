"""A spreadsheet of sites, saved as CSV, as the `sites:` part of an inventory. Pure."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pydantic

from netwatch._complaint import Complaint, Place, closest
from netwatch._yaml_document import UNPRINTABLE, Document, Keys, Mark
from netwatch.inventory._collect import Collector
from netwatch.inventory._communes import Commune, communes, slug
from netwatch.inventory._schema import SLUG, SiteEntry
from netwatch.lang import fold

__all__ = ["COLUMNS", "Sheet", "read_sheet", "sites_yaml"]

# What people head their columns with, without diacritics and signs, and the key it is.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "id": ("slug",),
    "code": ("ma", "ma xa", "ma don vi"),
    "name": ("ten", "ten xa", "don vi", "xa phuong"),
    "n": ("stt", "so"),
    "role": ("vai tro",),
    "net": ("mang", "dai dia chi"),
    "office": ("tru so",),
    "contact": ("lien he", "dau moi"),
    "note": ("ghi chu",),
    "priority": ("uu tien",),
    "carrier": ("nha mang", "don vi cung cap"),
    "circuit": ("ma kenh", "so kenh"),
    "hotline": ("tong dai", "duong day nong"),
    "contract": ("toc do", "bang thong", "goi cuoc"),
    "ring": ("vong", "vong cap"),
    "feeder": ("lo dien", "xuat tuyen"),
}
TAGS = frozenset({"ring", "feeder"})
OF_LINE = frozenset({"carrier", "circuit", "hotline", "contract"})
NUMBERS = frozenset({"n", "priority"})
PART = re.compile(r"(tag|line|device)[.: ] ?([a-z0-9]+(?:[-_][a-z0-9]+)*)")  # tag.power, line.backup, device.ap2: an address, or - for none
MOST_ROWS = 10_000
LONGEST_ID = 63
NONE = "-"


@dataclass(slots=True)
class Sheet:
    """`sites` is what to write; there is nothing to write when there are complaints."""

    sites: dict[str, dict[str, Any]] = field(default_factory=dict)
    complaints: tuple[Complaint, ...] = ()


class _Wrong(Exception):
    def __init__(self, key: str, hint: str = "", **fields: str) -> None:
        self.key = key
        self.hint = hint
        self.fields = fields
        super().__init__(key)


def read_sheet(text: str, file: str, *, role: str = "") -> Sheet:
    """Reads commas, semicolons or tabs. A commune is known by its code, also without its first 0, or by its name."""
    lines = text.splitlines()
    document = Document(file, lines)
    collector = Collector()
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(lines[0] if lines else ""))
    sites: dict[str, dict[str, Any]] = {}
    try:
        headings = _headings(next(rows, []), document)
        number_of_row: dict[str, int] = {}
        began = rows.line_num
        for cells in rows:
            line, began = began, rows.line_num
            if line > MOST_ROWS:
                raise _Wrong("sheet_rows", limit=str(MOST_ROWS))
            filled = {key: cell.strip() for key, cell in zip(headings, cells, strict=False) if key and cell.strip()}
            if filled:
                _take(filled, line, sites, number_of_row, document, role, collector)
    except _Wrong as wrong:
        document.complain((), wrong.key, document.spot(0, 0) if lines else Place(file), **wrong.fields)
    except csv.Error as error:
        document.complain((), "sheet_broken", document.spot(min(rows.line_num, len(lines)) - 1, 0), reason=str(error))
    _number(sites)
    complaints = (*document.complaints, *_judge(sites, document, collector))
    return Sheet(sites, complaints)


def _delimiter(heading: str) -> str:
    """What stands most often in the first line; spreadsheets of this country write semicolons."""
    return max(",;\t", key=heading.count)


def _headings(cells: list[str], document: Document) -> list[str]:
    known = {alias: key for key, aliases in COLUMNS.items() for alias in (key, *aliases)}
    found: list[str] = []
    for cell in cells:
        plain = " ".join(fold(cell.strip("\ufeff \t")).lower().replace("_", " ").split())
        part = PART.fullmatch(plain.replace(" ", ".", 1) if plain.startswith(("tag ", "line ", "device ")) else plain)
        key = known.get(plain, f"{part[1]}.{part[2]}" if part else "")
        if plain and not key:
            document.complain((), "sheet_column", document.spot(0, 0), name=cell.strip()[:60], known=", ".join(COLUMNS))
        elif key and key in found:
            document.complain((), "sheet_column_twice", document.spot(0, 0), name=cell.strip()[:60])
        found.append(key)
    if not {"code", "name"} & set(found):
        raise _Wrong("sheet_no_code")
    return found


def _take(
    cells: dict[str, str],
    line: int,
    sites: dict[str, dict[str, Any]],
    rows: dict[str, int],
    document: Document,
    role: str,
    collector: Collector,
) -> None:
    """One row; every value it gives is marked with the row's line."""
    here = document.spot(line, 0, len(document.lines[line]) if line < len(document.lines) else 1)
    try:
        commune = _commune(cells)
        name = cells.get("id") or commune.slug
        if not re.fullmatch(SLUG, name) or len(name) > LONGEST_ID:
            raise _Wrong("bad_slug", word=name[:60], hint=slug(name))
        if name in sites:
            raise _Wrong("duplicate_key", name=name, line=str(rows[name]))
        entry = _entry(cells, commune, role)
    except _Wrong as wrong:
        collector.errors.append(Complaint(place=here, key=wrong.key, fields=wrong.fields, hint=wrong.hint))
        return
    sites[name] = entry
    rows[name] = line + 1
    mark = Mark(line, 0, here.width, line, 0, here.width, plain=False)
    document.marks.update((path, mark) for path in _paths(("sites", name), entry))


def _paths(path: Keys, value: Any) -> Iterator[Keys]:
    yield path
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield from _paths((*path, key), inner)


def _commune(cells: Mapping[str, str]) -> Commune:
    code, name = cells.get("code", ""), cells.get("name", "")
    if code:
        padded = code.strip("'\"").zfill(5)  # a spreadsheet takes the first 0 away
        if padded not in communes():
            raise _Wrong("unknown_code", word=code[:40], hint=next((one.code for one in communes().values() if one.slug == slug(name)), ""))
        return communes()[padded]
    for one in communes().values():
        if slug(name) in {one.slug, slug(one.full_name)}:
            return one
    raise _Wrong("sheet_unknown_name", word=name[:60], hint=closest(slug(name), [one.slug for one in communes().values()]))


def _entry(cells: Mapping[str, str], commune: Commune, role: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"n": 0, "code": commune.code}
    if role and "role" not in cells:
        entry["role"] = role
    for key, cell in cells.items():
        kind, _, part = key.partition(".")
        if key in {"id", "code", "name"}:
            continue
        if found := UNPRINTABLE.search(cell):
            raise _Wrong("unprintable", character=f"U+{ord(found[0]):04X}")
        if key in NUMBERS:
            if not cell.isascii() or not cell.isdigit():
                raise _Wrong("not_integer", value=cell[:40])
            entry[key] = int(cell)
        elif key in TAGS or kind == "tag":
            entry.setdefault("tags", {})[part or key] = cell
        elif key in OF_LINE:
            entry.setdefault("line", {})[key] = cell
        elif part:
            entry.setdefault(f"{kind}s", {})[part] = None if cell == NONE else {"address": cell}
        else:
            entry[key] = cell
    return entry


def _number(sites: Mapping[str, dict[str, Any]]) -> None:
    """Gives numbers to the sites that have none, in their order, past those that are taken."""
    taken = {entry["n"] for entry in sites.values()}
    free = (number for number in range(1, MOST_ROWS * 2) if number not in taken)
    for entry in sites.values():
        entry["n"] = entry["n"] or next(free)


def _judge(sites: Mapping[str, Mapping[str, Any]], document: Document, collector: Collector) -> tuple[Complaint, ...]:
    books: dict[tuple[str, str], str] = {}
    for name, entry in sites.items():
        where = (document, ("sites", name))
        for key, value in (("number", str(entry["n"])), ("code", entry["code"])):
            other = books.setdefault((key, value), name)
            if other != name:
                line = str(document.place(("sites", other)).line)
                collector.error(where, f"duplicate_{key}", value=value, word=value, other=other, line=line)
        try:
            SiteEntry.model_validate(entry)
        except pydantic.ValidationError as error:
            collector.validation(error, where, SiteEntry)
    return collector.settled()[0]


def sites_yaml(sites: Mapping[str, Mapping[str, Any]]) -> str:
    """One line a site, ready to stand in inventory.yaml or in a file of inventory.d."""
    names = communes()
    widest = max((len(name) for name in sites), default=0) + 1
    lines = [f"  {_key(name) + ':':<{widest}} {_flow(entry)}  # {names[str(entry['code'])].full_name}" for name, entry in sites.items()]
    return "\n".join(("sites:", *lines)) + "\n" if lines else ""


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)}: {_flow(inner)}" for key, inner in value.items()) + "}"
    return json.dumps(value.replace("${", "$${") if isinstance(value, str) else value, ensure_ascii=False)


def _key(name: str) -> str:
    """Quoted where YAML would take it for something else than a name."""
    return json.dumps(name) if name[0].isdigit() or name in {"null", "true", "false"} else name
