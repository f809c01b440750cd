"""The evidence sheet of a site and month: its verdicts as the ledger has them, what binds them, and as CSV and JSON."""

from __future__ import annotations

import calendar
import csv
import datetime as dt
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netwatch import ledger
from netwatch.lang import writing
from netwatch.ledger import Entry, Head
from netwatch.line import Past, Standing, below_contract, past_of, standing, wall_of
from netwatch.model import Line, Site

__all__ = ["COLUMNS", "BadMonth", "Month", "Part", "Sheet", "as_csv", "as_json", "as_lines", "month_of", "sheet_of"]

MONTH = re.compile(r"(20\d\d)-(0[1-9]|1[0-2])")
COLUMNS = (
    "number", "at", "site", "line", "carrier", "circuit", "direction", "contract_bits_per_second", "verdict", "reason", "step", "method",
    "grade", "low_bits_per_second", "value_bits_per_second", "high_bits_per_second", "goodput_bits_per_second", "bytes", "seconds",
    "confidence", "limit_end",
)  # fmt: skip
FORMULA = ("=", "+", "-", "@")  # what a spreadsheet would run


class BadMonth(ValueError):
    """Not a month such as 2026-10."""


@dataclass(frozen=True, slots=True)
class Month:
    """From its first moment until the next month's, by the local calendar."""

    name: str
    begins: float
    ends: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One direction of one line under one contract. `standing` is as the month left it, `below` the refutations behind "below contract"."""

    line: str
    label: str
    carrier: str
    circuit: str
    direction: str
    contract: float
    entries: tuple[Entry, ...]
    standing: Standing
    below: tuple[Past, ...]

    def of(self, *verdicts: str) -> tuple[Entry, ...]:
        return tuple(one for one in self.entries if one.record["verdict"] in verdicts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """`before` is the seal that the first of `entries` follows, `sums` the SHA-256 of each record from there to the head."""

    site: str
    name: str
    month: Month
    printed: float
    entries: tuple[Entry, ...]
    parts: tuple[Part, ...]
    head: Head | None
    public: str
    before: str
    sums: tuple[str, ...]


def month_of(text: str, zone: dt.tzinfo) -> Month:
    """Raises BadMonth."""
    match = MONTH.fullmatch(text)
    if match is None:
        raise BadMonth(text)
    year, number = int(match[1]), int(match[2])
    begins = dt.datetime(year, number, 1, tzinfo=zone)
    ends = begins + dt.timedelta(days=calendar.monthrange(year, number)[1])
    return Month(text, begins.timestamp(), ends.timestamp())


def sheet_of(path: Path, site_id: str, month: Month, *, printed: float, site: Site | None = None) -> Sheet:
    """Reads the ledger back from its end; none there yet is an empty sheet. `site` is the inventory's, for lines nobody tested. Raises OSError."""
    entries: tuple[Entry, ...] = ()
    sums: tuple[str, ...] = ()
    head, newest = None, None
    if path.exists():
        newest = next(ledger.newest_first(path), None)
        entries = tuple(one for one in ledger.of_site(path, site_id) if _within(one.record, month))[::-1]
    if newest is not None:
        head = Head(newest.number, newest.seal)
        sums = tuple(ledger.sums_between(path, entries[0].number, newest.number)) if entries else ()
    named = site.full_name or site.name if site else next((str(one.record.get("site_name", "")) for one in entries[-1:]), "")
    return Sheet(
        site=site_id,
        name=named or site_id,
        month=month,
        printed=printed,
        entries=entries,
        parts=_parts(entries, site, min(month.ends, printed)),
        head=head,
        public=str(newest.record.get("key", "")) if newest else "",
        before=entries[0].previous if entries else "",
        sums=sums,
    )


def _within(record: Mapping[str, Any], month: Month) -> bool:
    try:
        return record["verdict"] is not None and month.begins <= wall_of(record) < month.ends
    except (KeyError, TypeError, ValueError):
        return False


def _parts(entries: Sequence[Entry], site: Site | None, until: float) -> tuple[Part, ...]:
    groups: dict[tuple[str, str, float], list[Entry]] = {}
    for line in site.lines.values() if site else ():
        groups[line.id, "down", line.contract_down_bits_per_second] = []
        groups[line.id, "up", line.contract_up_bits_per_second] = []
    for one in entries:
        key = (str(one.record["line"]), str(one.record["direction"]), float(one.record["contract_bits_per_second"] or 0))
        groups.setdefault(key, []).append(one)
    return tuple(_part(key, group, site.lines.get(key[0]) if site else None, until) for key, group in groups.items() if group or key[2] > 0)


def _part(key: tuple[str, str, float], group: list[Entry], line: Line | None, until: float) -> Part:
    pasts = [past_of(one.record) for one in group]
    newest = group[-1].record if group else {}
    return Part(
        line=key[0],
        label=str(newest.get("line_label") or (line.label if line else "")),
        carrier=str(newest.get("carrier") or (line.carrier if line else "")),
        circuit=str(newest.get("circuit") or (line.circuit if line else "")),
        direction=key[1],
        contract=key[2],
        entries=tuple(group),
        standing=standing(pasts, until),
        below=below_contract(pasts, pasts[-1].wall) if pasts else (),
    )


def as_csv(sheet: Sheet) -> str:
    """One line a verdict, as RFC 4180 has it; the last two columns bind it to the ledger."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\r\n")
    rows.writerow((*COLUMNS, "sha256", "seal"))
    for one in sheet.entries:
        rows.writerow((*(_harmless(one.record.get(name)) for name in COLUMNS), one.sha256, one.seal))
    return text.getvalue()


def _harmless(cell: object) -> object:
    """A stranger's text that a spreadsheet would take for a formula is put in a quote of its own."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


def as_lines(sheet: Sheet) -> str:
    """For openssl and sha256sum: the key, the seal before, each record or only the SHA-256 of another's, at last the head."""
    if sheet.head is None or not sheet.entries:
        return ""
    own = {one.number: one for one in sheet.entries}
    written = [f"key {sheet.public}", f"before {sheet.before}"]
    for number, found in enumerate(sheet.sums, sheet.entries[0].number):
        one = own.get(number)
        written.append(f"record {found} {one.seal} {one.signature_text} {one.raw.decode()}" if one else f"other {found}")
    return "\n".join([*written, f"head {sheet.head.seal}", ""])


def as_json(sheet: Sheet, zone: dt.tzinfo, method: Iterable[str]) -> dict[str, Any]:
    """All that a carrier needs to check it alone: `signed` is each record as it was hashed and signed. `method` is said in words."""
    return {
        "schema": "netwatch/v1/line-sheet",
        "site": sheet.site,
        "site_name": sheet.name,
        "month": sheet.month.name,
        "printed_at": writing.rfc3339(sheet.printed, zone),
        "method": list(method),
        "head": str(sheet.head) if sheet.head else None,
        "public_key": sheet.public or None,
        "chain": {"first": sheet.entries[0].number if sheet.entries else None, "before": sheet.before or None, "sha256": list(sheet.sums)},
        "records": [
            {"number": one.number, "seal": one.seal, "signature": one.signature_text, "sha256": one.sha256, "signed": one.raw.decode()}
            for one in sheet.entries
        ],
    }
