"""What is wrong in a file a person wrote, and where; put into words only when it is shown, in the reader's language."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from netwatch.lang import catalog

__all__ = ["Complaint", "Place", "closest", "dotted"]

# A line is quoted back to whoever reads the report: never with the secret that may stand on it.
_SECRET = re.compile(
    r"""((?:community|secrets?|token|password|passphrase|private_key|routing_key)["']?\s*:\s*)(?!\s*["']?\$\{)("[^"]*"|'[^']*'|\[[^\]]*\]|[^#,}]+)""",
    re.IGNORECASE,
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
        quoted = () if self.path.startswith("pagers") else self.place.source  # a pager's keys are mostly secrets
        source = [(number, _SECRET.sub(r"\1…", text)) for number, text in quoted]
        if not source or source[-1][1] != self.place.source[-1][1] or not source[-1][1]:
            return "\n".join((self.line(language), *(f"{number:>5} | {text}".rstrip() for number, text in source)))
        carets = " " * (7 + self.place.column) + "^" * self.place.width
        if self.hint:
            carets += " " + catalog(language).text("inventory.did_you_mean", word=self.hint)
        return "\n".join((replace(self, hint="").line(language), *(f"{number:>5} | {text}".rstrip() for number, text in source), carets))


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
