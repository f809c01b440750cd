"""Words of one's own for pages: `texts/<language>.json` beside the inventory. What is wrong there is told, and stops nothing."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netwatch._complaint import Complaint, Place, closest
from netwatch.lang import LANGUAGES, writing
from netwatch.wording.overrides import fault_of, shipped

__all__ = ["read_texts"]

MOST_BYTES = 1_000_000
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
COLON = re.compile(r"[ \t\r\n]*:")


def read_texts(inventory: Path) -> tuple[dict[str, Mapping[str, str]], tuple[Complaint, ...]]:
    """By language the texts that can be used, and complaints about the others: for those the shipped ones stay."""
    folder = (inventory if inventory.is_dir() else inventory.parent) / "texts"
    texts: dict[str, Mapping[str, str]] = {}
    complaints: list[Complaint] = []
    for file in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        if file.stem not in LANGUAGES:
            complaints.append(Complaint(place=Place(str(file)), key="text_language", fields={"known": ", ".join(LANGUAGES)}))
            continue
        try:
            usable, wrong = _read(file)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            complaints.append(Complaint(place=Place(str(file)), key="text_unreadable", fields={"reason": reason}))
            continue
        texts[file.stem] = usable
        complaints += wrong
    return texts, tuple(complaints)


def _read(file: Path) -> tuple[dict[str, str], list[Complaint]]:
    """Raises OSError."""
    if file.stat().st_size > MOST_BYTES:
        return {}, [Complaint(place=Place(str(file)), key="file_too_large", fields={"limit": "1"})]
    try:
        source = file.read_bytes().decode("utf-8-sig")
        pairs = json.loads(source, object_pairs_hook=tuple)
    except UnicodeDecodeError as error:
        return {}, [Complaint(place=Place(str(file)), key="not_utf8", fields={"byte": str(error.start)})]
    except json.JSONDecodeError as error:
        return {}, [Complaint(place=_spot(file, source, error.pos), key="text_not_json")]
    except (ValueError, RecursionError):  # a number without end, brackets without end
        return {}, [Complaint(place=Place(str(file)), key="text_not_json")]
    if not isinstance(pairs, tuple):
        return {}, [Complaint(place=_spot(file, source, 0), key="text_not_json")]
    return _usable(file, source, pairs)


def _usable(file: Path, source: str, pairs: tuple[tuple[str, Any], ...]) -> tuple[dict[str, str], list[Complaint]]:
    usable: dict[str, str] = {}
    complaints: list[Complaint] = []
    spots = _keys(source)
    for key, value in pairs:
        text = unicodedata.normalize("NFC", value) if isinstance(value, str) else value  # as some keyboards write it, it is longer
        place, name = _spot(file, source, *spots.get(key, (0, 1))), writing.clean(key, 60)
        if key in usable:
            complaints.append(Complaint(place=place, path=name, key="text_twice"))
            continue
        fault = fault_of(file.stem, key, text)
        if fault is None:
            usable[key] = text
            continue
        hint = closest(key, shipped(file.stem)) if fault.problem == "unknown_key" else ""
        complaints.append(Complaint(place=place, path=name, key=f"text_{fault.problem}", fields=fault.fields, hint=hint))
    return usable, complaints


def _keys(source: str) -> dict[str, tuple[int, int]]:
    """Where each key stands in sound JSON, and how wide it is there; of one that stands twice, the second."""
    found = [match for match in STRING.finditer(source) if COLON.match(source, match.end())]
    return {json.loads(match.group()): (match.start(), len(match.group())) for match in found}


def _spot(file: Path, source: str, position: int, width: int = 1) -> Place:
    line = source.count("\n", 0, position)
    column = position - (source.rfind("\n", 0, position) + 1)
    lines = source.split("\n")
    return Place(str(file), line + 1, column + 1, width, ((line + 1, lines[line].rstrip("\r")),))
