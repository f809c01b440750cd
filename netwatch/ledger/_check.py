"""Has anything in the ledger been changed, removed or put in another order since? Needs only the file, a key and a head."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from netwatch.ledger._file import EMPTY_SEAL, Entry, Head, parse
from netwatch.ledger._key import BadKey, Verifier
from netwatch.ledger._select import lines

__all__ = ["BadHead", "Flaw", "Report", "head_of", "verify"]

HEAD = re.compile(r"(?:(\d{1,9}):)?([0-9a-f]{64})")


class BadHead(ValueError):
    """Not what a sheet prints as the head."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """`number` is of the record, or of the one that should be there. `line.flaw_<code>` says it in every language.

    `malformed`: not a record; `order`: one is missing, doubled or misplaced; `link`: what stood before it was another; `seal`: it
    is not as it was sealed; `signature`: not signed by the key; `head`: the given head is not, or no longer, of this ledger.
    """

    number: int
    code: Literal["malformed", "order", "link", "seal", "signature", "head"]


@dataclass(frozen=True, slots=True)
class Report:
    """`public` is the key that was checked against: the given one, or else the first record's own."""

    records: int
    head: Head | None
    public: str
    flaws: tuple[Flaw, ...]

    @property
    def sound(self) -> bool:
        return not self.flaws


def head_of(text: str) -> Head:
    """As a sheet prints it, `number:seal` or the seal alone, blanks and capitals as they come. Raises BadHead."""
    match = HEAD.fullmatch("".join(text.split()).lower())
    if match is None:
        raise BadHead(text)
    return Head(int(match[1] or 0), match[2])


def verify(path: Path, *, public: str = "", head: Head | None = None) -> Report:
    """Reads the whole ledger. At most one flaw a record is told. Raises OSError, and BadKey when the given key is none."""
    verifier = Verifier(public) if public else None
    flaws: list[Flaw] = []
    newest: Head | None = None
    found, number, before, count = head is None, 0, EMPTY_SEAL, 0
    for line in lines(path):
        number, count = number + 1, count + 1
        entry = parse(line)
        if entry is None:
            flaws.append(Flaw(number, "malformed"))
            before = ""
            continue
        if not public:
            public = str(entry.record.get("key", ""))
            with contextlib.suppress(BadKey):
                verifier = Verifier(public)
        code = _wrong_with(entry, number, before, verifier)
        if code:
            flaws.append(Flaw(entry.number, code))
        newest = Head(entry.number, entry.seal)
        found = found or (head is not None and head.seal == entry.seal and head.number in {0, entry.number})
        number, before = entry.number, entry.seal
    if head is not None and not found:
        flaws.append(Flaw(head.number or number, "head"))
    return Report(count, newest, public, tuple(flaws))


def _wrong_with(entry: Entry, number: int, before: str, verifier: Verifier | None) -> Literal["order", "link", "seal", "signature", ""]:
    if entry.number != number:
        return "order"
    if not entry.sealed():
        return "seal"
    if before and entry.previous != before:
        return "link"
    return "" if verifier and verifier.signed(entry.raw, entry.signature) else "signature"
