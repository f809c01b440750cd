"""`${VARIABLE}` and `${file:/path}` in values: what is secret or differs from machine to machine stays out of the file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netwatch._yaml_document import Document, Keys
from netwatch.inventory._collect import Collector

__all__ = ["expand"]

MAX_FILE_BYTES = 65_536
_REFERENCE = re.compile(r"\$\$\{|\$\{([^{}]*)(\}?)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


class _Missing(Exception):
    def __init__(self, key: str, **fields: str) -> None:
        self.key = key
        self.fields = fields
        super().__init__(key)


def expand(document: Document, environment: Mapping[str, str], collector: Collector) -> frozenset[Keys]:
    """Fills in the references in place; returns the paths that held one. `$${` stands for a plain `${`."""
    found: set[Keys] = set()

    def filled(value: Any, path: Keys) -> Any:
        if isinstance(value, dict):
            for key, inner in value.items():
                value[key] = filled(inner, (*path, key))
        elif isinstance(value, list):
            value[:] = [filled(inner, (*path, index)) for index, inner in enumerate(value)]
        elif isinstance(value, str) and "${" in value:
            found.add(path)
            try:
                return _REFERENCE.sub(lambda match: _value_of(match, environment), value)
            except _Missing as missing:
                collector.error((document, path), missing.key, at_key=False, hint="", name="", **missing.fields)
                collector.unfilled.add(path)
        return value

    document.value = filled(document.value, ())
    return frozenset(found)


def _value_of(match: re.Match[str], environment: Mapping[str, str]) -> str:
    if match[0] == "$${":
        return "${"
    inside = match[1]
    if not match[2]:
        raise _Missing("reference_shape", value=match[0][:60])
    if inside.startswith("file:"):
        return _content_of(inside.removeprefix("file:"), environment)
    if not _NAME.fullmatch(inside):
        raise _Missing("reference_shape", value=match[0][:60])
    if not environment.get(inside):
        raise _Missing("variable_unset", variable=inside)
    return environment[inside]


def _content_of(name: str, environment: Mapping[str, str]) -> str:
    """A bare name is one of systemd's credentials (systemd.exec(5), LoadCredential=)."""
    path = Path(name)
    if not path.is_absolute():
        folder = environment.get("CREDENTIALS_DIRECTORY", "")
        if not folder or path.name != name:
            raise _Missing("secret_file_relative", file=name[:200])
        path = Path(folder, name)
    try:
        if not path.is_file():
            raise _Missing("secret_file_missing", file=name[:200])
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise _Missing("secret_file_unreadable", file=name[:200], reason=f"> {MAX_FILE_BYTES} B")
        text = data.decode("utf-8").rstrip("\r\n")
    except (OSError, ValueError) as error:
        reason = error.strerror or str(error) if isinstance(error, OSError) else "UTF-8"
        raise _Missing("secret_file_unreadable", file=name[:200], reason=reason) from error
    if not text:
        raise _Missing("secret_file_missing", file=name[:200])
    return text
