"""One file, or several that are one: a folder, or the `.d` folder beside the file (inventory.d beside inventory.yaml)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netwatch import _yaml
from netwatch._complaint import Complaint, Place
from netwatch._yaml_document import Document, Keys, YamlRefused

__all__ = ["read"]

SHARED = frozenset({"sites", "hubs", "contacts", "pagers", "profiles", "roles"})  # their entries may stand in any file
JOINED = frozenset({"meetings"})  # lists that go on in the next file
REPEATED = frozenset({"version"})
MAX_FILES = 500


@dataclass(slots=True)
class Merged(Document):
    """Several files read as one; every value still knows the file it stands in."""

    parts: dict[Keys, Document] = field(default_factory=dict)
    before: dict[Keys, int] = field(default_factory=dict)  # of an entry of a joined list: how many stand in the files before
    first: Document | None = None

    def of(self, path: Keys) -> Document | None:
        return self.parts.get(path[:2]) or self.parts.get(path[:1]) or self.first

    def place(self, path: Keys, *, key: bool = False) -> Place:
        part = self.of(path)
        return part.place(self._there(path), key=key) if part else Place(self.file)

    def unquoted(self, path: Keys) -> bool:
        part = self.of(path)
        return part is not None and part.unquoted(self._there(path))

    def _there(self, path: Keys) -> Keys:
        """A path as it is in its own file."""
        shift = self.before.get(path[:2], 0)
        return (path[0], int(path[1]) - shift, *path[2:]) if shift else path


def read(path: Path) -> tuple[Document, tuple[Document, ...]]:
    """What is to be judged, and the files it came from. Raises YamlRefused with the complaints about all of them."""
    files = _files(path)
    if files == [path]:
        document = _yaml.read(path)
        return document, (document,)
    documents: list[Document] = []
    refused: list[YamlRefused] = []
    for file in files:
        try:
            documents.append(_yaml.read(file))
        except YamlRefused as one:
            refused.append(one)
    if refused:
        complaints = tuple(complaint for one in refused for complaint in one.complaints)
        others = tuple(complaint for document in documents for complaint in document.complaints)
        raise YamlRefused((*complaints, *others), unreadable=any(one.unreadable for one in refused))
    return _merged(str(path), documents), tuple(documents)


def _files(path: Path) -> list[Path]:
    """In the order of their names; a folder without any is read as a file, which says what is wrong."""
    try:
        folder = path if path.is_dir() else path.with_suffix(".d")
        beside = sorted(one for one in folder.glob("*.yaml") if not one.name.startswith("."))
    except (OSError, ValueError):
        return [path]
    if len(beside) > MAX_FILES:
        raise YamlRefused((Complaint(place=Place(str(folder)), key="too_many_files", fields={"limit": str(MAX_FILES)}),))
    if path.is_dir():
        return beside or [path]
    return [path, *beside]


def _merged(name: str, documents: list[Document]) -> Document:
    merged = Merged(name, [], {}, first=documents[0])
    for document in documents:
        merged.complaints.extend(document.complaints)
        if not isinstance(document.value, dict):
            if document.value is not None:
                merged.complaints.append(Complaint(place=document.place(()), key="not_mapping"))
            continue
        for key, value in document.value.items():
            _add(merged, document, (key,), value)
    return merged


def _add(merged: Merged, document: Document, path: Keys, value: Any) -> None:
    """Puts one top-level key in its place. A second one is refused, unless it is a section whose entries can stand apart."""
    key = path[0]
    known = merged.value.get(key)
    if key not in merged.value:
        merged.value[key] = dict(value) if key in SHARED and isinstance(value, dict) else value
        merged.parts[path] = document
        names = list(value) if key in SHARED and isinstance(value, dict) else []
    elif key in JOINED and isinstance(value, list) and isinstance(known, list):
        _join(merged, document, path, known, value)
        return
    elif key in SHARED and isinstance(value, dict) and isinstance(known, dict):
        names = [name for name in value if not _twice(merged, document, (key, name), known)]
        known.update({name: value[name] for name in names})
    else:
        if key not in REPEATED or known != value:
            _twice(merged, document, path, merged.value)
        return
    for name in names:
        merged.parts[key, name] = document
    for marked, mark in document.marks.items():
        if marked[:1] == path and (len(marked) == 1 or not names or marked[1] in names):
            merged.marks.setdefault(marked, mark)


def _join(merged: Merged, document: Document, path: Keys, known: list[Any], value: list[Any]) -> None:
    shift = len(known)
    merged.value[path[0]] = [*known, *value]
    for number in range(len(value)):
        merged.parts[*path, shift + number] = document
        merged.before[*path, shift + number] = shift
    for marked, mark in document.marks.items():
        if marked[:1] == path and len(marked) > 1:
            merged.marks.setdefault((*path, int(marked[1]) + shift, *marked[2:]), mark)


def _twice(merged: Merged, document: Document, path: Keys, known: dict[Any, Any]) -> bool:
    """Complains, at the second of two, of what stands in two files."""
    if path[-1] not in known:
        return False
    other = merged.place(path, key=True)
    document.complain(path, "duplicate_elsewhere", document.place(path, key=True), name=str(path[-1]), other=f"{other.file}:{other.line}")
    merged.complaints.append(document.complaints[-1])
    return True
