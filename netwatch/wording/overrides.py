"""Words of one's own for pages: which may take the place of the shipped ones, and what is wrong with the others. Pure."""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, TypeAlias

from netwatch.lang import catalog
from netwatch.wording._title import LONGEST_TITLE

__all__ = ["Fault", "Problem", "fault_of", "shipped"]

AREA = "incident."
Problem: TypeAlias = Literal["unknown_key", "not_text", "not_one_line", "braces", "unknown_field", "missing_field", "too_long"]
TITLES = ("open_", "again_", "flapping_", "recover_", "removed", "merged", "digest_title")
# Without these a reader does not know where, which one, how many, or where to go on.
NEEDED = frozenset(
    {
        "site",
        "target",
        "count",
        "what",
        "id",
        "url",
        "parts",
        "title",
        "names",
        "news",
        "signs",
        "cause",
        "circuit",
        "office",
        "note",
        "name",
    }
)
LONGEST = 500
HARMFUL = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})
# Longer than most of what really stands there.
SAMPLES: Mapping[str, object] = MappingProxyType(
    {
        "icon": "🔴",
        "site": "Mường Nhé",
        "target": "đường VNPT",
        "clock": "02:47",
        "age": "38 phút",
        "reason": "không trả lời",
        "check": "SNMP",
        "count": 12,
        "times": 7,
        "dark": 2,
        "battery": 10,
        "open": 7,
        "over": 2,
        "day": "24/11",
        "names": "dns-vnpt",
        "place": "vòng Mường Nhé",
        "what": "mất gói 12%",
    }
)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and what to say of it."""

    problem: Problem
    fields: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def shipped(language: str) -> dict[str, str]:
    """The texts that can be replaced, by their keys without the area. Raises KeyError for a language there is none of."""
    return {key.removeprefix(AREA): text for key, text in catalog(language).texts.items() if key.startswith(AREA)}


def fault_of(language: str, key: str, text: object) -> Fault | None:
    """What is wrong with one text, the worst first; nothing if it can be used. Raises KeyError as `shipped` does."""
    replaced = catalog(language).texts.get(AREA + key)
    if replaced is None:
        return Fault("unknown_key", {"name": key[:60]})
    if not isinstance(text, str) or not text.strip() or len(text) > LONGEST:
        return Fault("not_text", {"limit": str(LONGEST)})
    if any(unicodedata.category(letter) in HARMFUL for letter in text):
        return Fault("not_one_line")
    known, given = _fields(replaced) or frozenset(), _fields(text)
    if given is None:
        return Fault("braces")
    if unknown := sorted(given - known):
        return Fault("unknown_field", {"field": unknown[0], "known": ", ".join(sorted(known)) or "-"})
    if missing := sorted((known & NEEDED) - given):
        return Fault("missing_field", {"field": missing[0]})
    return _length_fault(key, text)


def _length_fault(key: str, text: str) -> Fault | None:
    if not key.startswith(TITLES):
        return None
    sample = text.format(**SAMPLES)
    return (
        Fault("too_long", {"limit": str(LONGEST_TITLE), "length": str(len(sample)), "sample": sample})
        if len(sample) > LONGEST_TITLE
        else None
    )


def _fields(text: str) -> frozenset[str] | None:
    """The plain `{fields}` of a text; nothing when there are others, which could reach further or print without end."""
    try:
        parts = [(name, form, conversion) for _, name, form, conversion in string.Formatter().parse(text) if name is not None]
    except ValueError:
        return None
    if any(form or conversion or not name.isidentifier() for name, form, conversion in parts):
        return None
    return frozenset(name for name, _, _ in parts)
