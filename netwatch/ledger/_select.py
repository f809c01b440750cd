"""Reading the ledger beside whoever writes it: all lines, some records, its head, its state."""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, TypeAlias

from netwatch.ledger._file import Entry, Head, parse, sound_end, tail_of
from netwatch.ledger._key import BadKey, Key

__all__ = ["LedgerState", "head", "head_text", "lines", "newest_first", "of_site", "state_of", "sums_between"]

SITE = re.compile(rb'"site":"([ -~]*?)"')
LedgerState: TypeAlias = Literal["none", "sound", "key_missing", "damaged", "unreadable"]


def newest_first(path: Path, wanted: Callable[[str], bool] = bool) -> Iterator[Entry]:
    """From the end backwards, of the sites that are `wanted` then; what is no record is passed over.

    What `verify` is for is not looked at. Raises OSError.
    """
    for line in _lines_backwards(path):
        site = SITE.search(line)
        entry = parse(line, strict=False) if site and wanted(site[1].decode()) else None
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


def lines(path: Path) -> Iterator[bytes]:
    """The whole lines of a ledger, without their ends; what is being written just now is left out. Raises OSError."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield line[:-1]


def state_of(path: Path) -> LedgerState:
    """What the next record would meet with. `none`: it would be the first."""
    try:
        line = _newest_line(path)
        if line is None:
            return "none"
        last = parse(line)
        if last is None or not last.sealed():
            return "damaged"
        Key.read_from(path.parent)
    except (FileNotFoundError, BadKey):
        return "key_missing"
    except OSError:
        return "unreadable"
    return "sound"


def head_text(path: Path) -> str:
    """The head as people are told it; "" where there is none, or none can be read."""
    try:
        return str(head(path) or "")
    except OSError:
        return ""


def head(path: Path) -> Head | None:
    """The newest record's, from the end of the file: quick. None where there is none. Raises OSError."""
    last = parse(_newest_line(path) or b"")
    return Head(last.number, last.seal) if last else None


def _newest_line(path: Path) -> bytes | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        tail = tail_of(descriptor, os.fstat(descriptor).st_size)
    finally:
        os.close(descriptor)
    end = sound_end(tail)
    return tail[: end - 1].rpartition(b"\n")[2] if end else None
