"""libyaml's events to values, without recursion: depth, aliases and tags are refused before anything is composed."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from netwatch._yaml_document import MAX_DEPTH, UNPRINTABLE, Document, Keys, Mark, YamlRefused

__all__ = ["compose"]

# YAML 1.2.2 §10.3.2, narrower in one point: a leading zero means a code (03127), never a number.
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS = {"null": None, "Null": None, "NULL": None, "~": None} | {
    word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")
}


def compose(document: Document, text: str) -> None:
    """Fills in a document's value, marks and complaints. Raises yaml.YAMLError, and YamlRefused when nested too deep."""
    _Composer(document).compose(text)


def _spot(event: yaml.Event) -> tuple[int, int, int]:
    """Line, column and width of an event; what runs over several lines is shown by its first character."""
    start, end = event.start_mark, event.end_mark
    if start is None or end is None:
        return 0, 0, 1
    return start.line, start.column, max(end.column - start.column, 1) if start.line == end.line else 1


@dataclass(slots=True)
class _Frame:
    """A mapping or list that is still open."""

    path: Keys
    holder: dict[str, Any] | list[Any]
    key: str | None = None  # the key whose value comes next
    key_mark: tuple[int, int, int] = (0, 0, 1)
    skipping: bool = False  # the value that comes next belongs to a key that was refused
    lost: bool = False  # all of it does


class _Composer:
    """Events to values, without recursion."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.frames: list[_Frame] = []
        self.documents = 0

    def compose(self, text: str) -> None:
        for event in self._events(text):
            if isinstance(event, yaml.DocumentStartEvent):
                self.documents += 1
                if self.documents > 1:
                    self._complain((), "several_documents", event)
                    return
            elif isinstance(event, yaml.ScalarEvent):
                self._value(event, self._scalar(event))
            elif isinstance(event, yaml.AliasEvent):
                self._complain(self._path(), "alias", event)
                self._value(event, None)
            elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
                self._open(event)
            elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
                self.frames.pop()

    @staticmethod
    def _events(text: str) -> Iterator[yaml.Event]:
        return iter(yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))

    def _complain(self, path: Keys, key: str, event: yaml.Event, **fields: str) -> None:
        self.document.complain(path, key, self.document.spot(*_spot(event)), **fields)

    def _path(self) -> Keys:
        """The path of the value that comes next."""
        if not self.frames:
            return ()
        frame = self.frames[-1]
        if isinstance(frame.holder, list):
            return (*frame.path, len(frame.holder))
        return frame.path if frame.key is None else (*frame.path, frame.key)

    def _open(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        if len(self.frames) >= MAX_DEPTH:
            self._complain(self._path(), "too_deep", event, limit=str(MAX_DEPTH))
            raise YamlRefused(tuple(self.document.complaints))
        self._refuse_extras(event)
        path = self._path()
        holder: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        as_key, lost = self._expects_key(), bool(self.frames) and (self.frames[-1].lost or self.frames[-1].skipping)
        self._value(event, holder)
        self.frames.append(_Frame(path, holder, lost=lost or as_key))

    def _refuse_extras(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        if event.anchor is not None:
            self._complain(self._path(), "anchor", event, name=event.anchor)
        if event.tag is not None:
            self._complain(self._path(), "tag", event, tag=event.tag)

    def _scalar(self, event: yaml.ScalarEvent) -> Any:
        self._refuse_extras(event)
        text: str = event.value
        if event.style == '"' and (bad := UNPRINTABLE.search(text)):
            self._complain(self._path(), "unprintable", event, character=f"U+{ord(bad[0]):04X}")
            return None
        if event.style is not None and event.style != "":
            return text
        if self._expects_key():
            return text  # `no:` and `1:` are names
        return self._resolved(text, event)

    def _resolved(self, text: str, event: yaml.ScalarEvent) -> Any:
        if text in _WORDS:
            return _WORDS[text]
        if not text:
            self._complain(self._path(), "empty_value", event)
            return None
        if _INTEGER.fullmatch(text) and len(text) <= 19:
            return int(text)
        if _FLOAT.fullmatch(text) and math.isfinite(number := float(text)):
            return number
        if _FLOAT.fullmatch(text) or _NOT_FINITE.fullmatch(text):
            self._complain(self._path(), "not_finite", event, value=text[:40])
            return None
        return text

    def _expects_key(self) -> bool:
        return (
            bool(self.frames) and isinstance(self.frames[-1].holder, dict) and self.frames[-1].key is None and not self.frames[-1].skipping
        )

    def _value(self, event: yaml.Event, value: Any) -> None:
        """Puts a key or a value where it belongs."""
        if self._expects_key():
            self._key(event, value)
            return
        path = self._path()
        frame = self.frames[-1] if self.frames else None
        if frame is not None and frame.skipping:
            frame.skipping = False
            return
        spot = _spot(event)
        key = spot
        if frame is None:
            self.document.value = value
        elif isinstance(frame.holder, list):
            frame.holder.append(value)
        else:
            key = frame.key_mark
            frame.holder[str(frame.key)] = value
            frame.key = None
        if frame is None or not frame.lost:
            plain = isinstance(event, yaml.ScalarEvent) and not event.style
            self.document.marks[path] = Mark(*spot, *key, plain)

    def _key(self, event: yaml.Event, value: Any) -> None:
        frame = self.frames[-1]
        path = (*frame.path, value) if isinstance(value, str) else frame.path
        if not isinstance(value, str):
            self._complain(path, "key_not_text", event)
            frame.skipping = True
            return
        if value == "<<" and isinstance(event, yaml.ScalarEvent) and not event.style:
            self._complain(path, "merge", event)
            frame.skipping = True
            return
        if value in frame.holder:
            earlier = self.document.marks.get(path)
            self._complain(path, "duplicate_key", event, name=value[:60], line=str(earlier.key_line + 1) if earlier else "?")
            frame.skipping = True
            return
        frame.key = value
        frame.key_mark = _spot(event)
