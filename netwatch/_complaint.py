"""What is wrong in a file a person wrote, and where; put into words only when it is shown, in the reader's language."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from netwatch.lang import catalog

__all__ = ["Complaint", "Place", "closest", "dotted"]

# A line is quoted back to whoever reads the report: never with the secret that may stand on it.
_SECRET = re.compile(
    r"((?:community|secrets?|token|password|passphrase|routing_key)[\"']?\s*:\s*)(?!\s*[\"']?\$\{)([^#,}]+)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Place:
    """A spot in a file; lines and columns count from 1, line 0 is the file as a whole."""

    file: str
    line: int = 0
    column: int = 0
    width: int = 1
    source: tuple[tuple[int, str], ...] = ()  # numbered lines, the one meant last

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """One thing to mend. `key` and `fields` name a text of the `inventory` area; `hint` is a word that was probably meant."""

    place: Place
    key: str
    path: str = ""
    fields: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    hint: str = ""

    def line(self, language: str) -> str:
        """`file:line:col: key.path: what, and what to write instead`, on one line."""
        words = catalog(language)
        message = words.text(f"inventory.{self.key}", **self.fields)
        if self.hint:
            message += "; " + words.text("inventory.did_you_mean", word=self.hint)
        return ": ".join(part for part in (str(self.place), self.path, message) if part)

    def block(self, language: str) -> str:
        """The line, then the source with carets under what is meant."""
        rows = [self.line(language)]
        for number, source in self.place.source:
            shown = _SECRET.sub(r"\1…", source)
            rows.append(f"{number:>5} | {shown}".rstrip())
        if self.place.source and self.place.source[-1][1] and not _SECRET.search(self.place.source[-1][1]):
            carets = " " * (8 + self.place.column - 1) + "^" * max(self.place.width, 1)
            rows.append(carets + (" " + catalog(language).text("inventory.did_you_mean", word=self.hint) if self.hint else ""))
        return "\n".join(rows)


def closest(word: str, known: Iterable[str]) -> str:
    """The known word that was probably meant, or nothing."""
    found = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return found[0] if found else ""


def dotted(path: Iterable[str | int]) -> str:
    """`("devices", "vc", "list", 0)` as `devices.vc.list[0]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
