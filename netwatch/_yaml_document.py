"""A YAML file that was read: its values, and where each of them stands."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from netwatch._complaint import Complaint, Place, dotted

__all__ = ["MAX_DEPTH", "UNPRINTABLE", "Document", "Keys", "Mark", "YamlRefused"]

MAX_DEPTH = 20
Keys = tuple[str | int, ...]
# YAML 1.2.2 §5.1 printable, without what breaks lines (NEL, LS, PS) or turns text around (bidi controls, BOM inside).
UNPRINTABLE = re.compile(
    r"[^\t\n\x20-\x7e\xa0-\u200a\u2010-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)


class YamlRefused(Exception):
    """The file cannot be used; `complaints` say why. `unreadable`: it could not even be read."""

    def __init__(self, complaints: tuple[Complaint, ...], *, unreadable: bool = False) -> None:
        self.complaints = complaints
        self.unreadable = unreadable
        super().__init__("\n".join(complaint.line("en") for complaint in complaints))


@dataclass(frozen=True, slots=True)
class Mark:
    line: int
    column: int
    width: int
    key_line: int
    key_column: int
    key_width: int
    plain: bool


@dataclass(slots=True)
class Document:
    """A parsed file. `complaints` were no reason to stop reading, but are a reason not to use it."""

    file: str
    lines: list[str]
    value: Any = None
    complaints: list[Complaint] = field(default_factory=list)
    ends_with_newline: bool = True
    marks: dict[Keys, Mark] = field(default_factory=dict)

    def place(self, path: Keys, *, key: bool = False) -> Place:
        """Where a value (or its key) stands, or else the nearest thing around it."""
        while path and path not in self.marks:
            path, key = path[:-1], True
        mark = self.marks.get(path)
        if mark is None:
            return Place(self.file)
        if key and path:
            return self.spot(mark.key_line, mark.key_column, mark.key_width)
        return self.spot(mark.line, mark.column, mark.width)

    def spot(self, line: int, column: int, width: int = 1) -> Place:
        """A place by its line and column, counted from 0, with the source around it."""
        first = line - 1 if line > 0 and ":" in self.lines[min(line, len(self.lines)) - 1] else line
        source = tuple((number + 1, self.lines[number]) for number in range(first, min(line + 1, len(self.lines))))
        return Place(self.file, line + 1, column + 1, width, source)

    def unquoted(self, path: Keys) -> bool:
        """Whether a value was written without quotes."""
        mark = self.marks.get(path)
        return mark is not None and mark.plain

    def complain(self, path: Keys, key: str, place: Place, **fields: str) -> None:
        self.complaints.append(Complaint(place=place, path=dotted(path), key=key, fields=fields))
