"""Some of the ledger's records, without reading what nobody asked for."""

from __future__ import annotations

import hashlib
import json
import mmap
from collections.abc import Iterator
from pathlib import Path

from netwatch.ledger._file import Entry, parse

__all__ = ["newest_first", "of_site", "sums_between"]


def newest_first(path: Path) -> Iterator[Entry]:
    """From the end backwards; what is no record is passed over. Raises OSError."""
    for line in _lines_backwards(path):
        entry = parse(line)
        if entry is not None:
            yield entry


def of_site(path: Path, site: str) -> Iterator[Entry]:
    """The records of a site, newest first."""
    mark = b'"site":' + json.dumps(site, ensure_ascii=False).encode()
    for line in _lines_backwards(path):
        entry = parse(line) if mark in line else None
        if entry is not None and entry.record.get("site") == site:
            yield entry


def sums_between(path: Path, first: int, last: int) -> list[str]:
    """The SHA-256 of the records from number `first` to `last`: with the seal before them, the way to the seal of the last.

    Empty unless both are there. Raises OSError.
    """
    sums: list[str] = []
    for line in _lines_backwards(path):
        raw = line[line.find(b"{") :]
        if sums or (b'"number":%d,' % last in raw and (entry := parse(line)) is not None and entry.number == last):
            sums.append(hashlib.sha256(raw).hexdigest())
            if len(sums) > last - first:
                return sums[::-1]
    return []


def _lines_backwards(path: Path) -> Iterator[bytes]:
    """Whole lines only, as they were when it was opened."""
    with path.open("rb") as file:
        try:
            body = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:  # empty
            return
        with body:
            end = body.rfind(b"\n")
            while end >= 0:
                begin = body.rfind(b"\n", 0, end)
                yield body[begin + 1 : end]
                end = begin
