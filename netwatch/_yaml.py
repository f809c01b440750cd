"""Reads YAML as a person means it: YAML 1.2 core scalars, nothing silently lost, every value with its line and column.

Callers look at `Document.complaints` before they use the value.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import yaml

from netwatch._complaint import Complaint, Place
from netwatch._yaml_compose import compose
from netwatch._yaml_document import MAX_DEPTH, UNPRINTABLE, Document, Keys, YamlRefused

__all__ = ["MAX_BYTES", "MAX_DEPTH", "Document", "Keys", "YamlRefused", "parse", "read"]

MAX_BYTES = 5_000_000

_TAB_INDENT = re.compile(r"^ *\t[\t ]*(?=[^\s#])", re.MULTILINE)
_BOMS = ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"), (b"\x00\x00\xfe\xff", "UTF-32"))
# What libyaml says, in the order it is looked for; anything else is shown as it is.
_SYNTAX = (
    ("mapping values are not allowed", "syntax_colon"),
    ("did not find expected ',' or", "syntax_bracket"),
    ("did not find expected node content", "syntax_bracket"),
    ("unexpected end of stream", "syntax_quote"),
    ("unknown escape", "syntax_escape"),
    ("did not find expected key", "syntax_indent"),
    ("could not find expected ':'", "syntax_key"),
    ("cannot start any token", "syntax_character"),
    ("did not find expected '-'", "syntax_indent"),
)


def read(path: Path, *, name: str | None = None) -> Document:
    """Reads a file once and whole. Raises YamlRefused when it cannot be read or is not YAML at all."""
    place = Place(name or str(path))
    try:
        data = _bytes(path, place)
    except OSError as error:
        kinds = {FileNotFoundError: "file_missing", PermissionError: "file_permission", IsADirectoryError: "file_directory"}
        complaint = Complaint(place=place, key=kinds.get(type(error), "file_error"), fields={"reason": error.strerror or str(error)})
        raise YamlRefused((complaint,), unreadable=True) from error
    except ValueError as error:  # a NUL in the name
        raise YamlRefused((Complaint(place=place, key="file_error", fields={"reason": str(error)}),), unreadable=True) from error
    return parse(data, place.file)


def _bytes(path: Path, place: Place) -> bytes:
    about = path.stat()
    if stat.S_ISDIR(about.st_mode):
        raise IsADirectoryError(str(path))
    if not stat.S_ISREG(about.st_mode):
        raise YamlRefused((Complaint(place=place, key="file_not_regular"),), unreadable=True)
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
        after = os.fstat(file.fileno())
    if len(data) > MAX_BYTES or after.st_size > MAX_BYTES:
        raise YamlRefused((Complaint(place=place, key="file_too_large", fields={"limit": str(MAX_BYTES // 1_000_000)}),))
    if (after.st_size, after.st_mtime_ns) != (about.st_size, about.st_mtime_ns):
        raise YamlRefused((Complaint(place=place, key="file_changing"),))
    return data


def parse(data: bytes, file: str) -> Document:
    """Parses one document. Raises YamlRefused when there is nothing that could be examined further."""
    text = _decoded(data, file)
    document = Document(file, text.split("\n"), ends_with_newline=not text or text.endswith("\n"))
    _refuse_characters(text, document)
    try:
        compose(document, text)
    except yaml.MarkedYAMLError as error:
        raise YamlRefused((*document.complaints, _syntax(error, document))) from error
    except yaml.YAMLError as error:
        raise YamlRefused(
            (*document.complaints, Complaint(place=Place(file), key="syntax_other", fields={"reason": str(error)}))
        ) from error
    return document


def _decoded(data: bytes, file: str) -> str:
    if len(data) > MAX_BYTES:
        raise YamlRefused((Complaint(place=Place(file), key="file_too_large", fields={"limit": str(MAX_BYTES // 1_000_000)}),))
    data = data.removeprefix(b"\xef\xbb\xbf")  # Notepad's "UTF-8 with BOM"
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            raise YamlRefused((Complaint(place=Place(file, 1, 1), key="encoding", fields={"encoding": encoding}),))
    zero = data.find(b"\0")
    if zero >= 0:
        line = data.count(b"\n", 0, zero) + 1
        raise YamlRefused((Complaint(place=Place(file, line, zero - data.rfind(b"\n", 0, zero)), key="nul"),))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8").split("\n")
        place = Place(file, len(before), len(before[-1]) + 1)
        raise YamlRefused((Complaint(place=place, key="not_utf8", fields={"byte": f"0x{data[error.start]:02x}"}),)) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _refuse_characters(text: str, document: Document) -> None:
    complaints = []
    for pattern, key in ((_TAB_INDENT, "tab"), (UNPRINTABLE, "unprintable")):
        for match in pattern.finditer(text):
            at = match.end() - 1
            column = at - text.rfind("\n", 0, at) - 1
            place = document.spot(text.count("\n", 0, at), column)
            complaints.append(Complaint(place=place, key=key, fields={"character": f"U+{ord(text[at]):04X}"}))
            if len(complaints) >= 20:
                break
    if complaints:
        raise YamlRefused(tuple(sorted(complaints, key=lambda one: (one.place.line, one.place.column))))


def _syntax(error: yaml.MarkedYAMLError, document: Document) -> Complaint:
    mark = error.problem_mark or error.context_mark
    problem = error.problem or "?"
    key = next((key for words, key in _SYNTAX if words in problem), "syntax_other")
    fields = {"reason": problem, "line": str(error.context_mark.line + 1) if error.context_mark else "?"}
    if mark is None:
        return Complaint(place=Place(document.file), key=key, fields=fields)
    line = min(mark.line, max(len(document.lines) - 1, 0))
    return Complaint(place=document.spot(line, mark.column if line == mark.line else 0), key=key, fields=fields)
