"""Gathers every complaint before giving up, and says in our words what pydantic found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

import probes
from netwatch._complaint import Complaint, closest, dotted
from netwatch._yaml_document import Document, Keys
from netwatch.inventory._communes import slug
from netwatch.inventory._schema import NAME, ONE_LINE, SLUG

__all__ = ["Collector", "Where", "fields_at", "shown"]

Where = tuple[Document, Keys]
_SECRETS = ("community", "secret", "token", "password", "passphrase", "key")
_KINDS = {
    "missing": "missing",
    "missing_argument": "missing",
    "extra_forbidden": "unknown_key",
    "unexpected_keyword_argument": "unknown_key",
    "string_type": "not_text",
    "int_type": "not_integer",
    "int_from_float": "not_integer",
    "int_parsing": "not_integer",
    "float_type": "not_number",
    "finite_number": "not_number",
    "bool_type": "not_bool",
    "dict_type": "not_mapping",
    "model_type": "not_mapping",
    "dataclass_type": "not_mapping",
    "list_type": "not_list",
    "tuple_type": "not_list",
    "literal_error": "not_one_of",
    "greater_than_equal": "too_small",
    "greater_than": "too_small",
    "less_than_equal": "too_large",
    "less_than": "too_large",
    "string_too_long": "too_long",
    "string_too_short": "too_short",
    "timezone": "timezone",
    "listen": "listen",
}
_SHAPES = {"code": "code_shape", "listen": "listen", "page_url": "page_url"}


def shown(value: object, path: Iterable[str | int] = ()) -> str:
    """A value as it may be repeated to a reader: short, and never a secret."""
    if any(word in str(part).lower() for part in path for word in _SECRETS):
        return "…"
    if value is None or isinstance(value, bool):
        return {True: "true", False: "false", None: "null"}[value]
    text = (
        f'"{value}"' if isinstance(value, str) else "{…}" if isinstance(value, dict) else "[…]" if isinstance(value, list) else str(value)
    )
    return text if len(text) <= 60 else text[:59] + "…"


@dataclass(slots=True)
class Collector:
    """`unfilled` are the values whose reference leads nowhere: that is said once, and nothing else of them."""

    unfilled: set[Keys] = field(default_factory=set)
    errors: list[Complaint] = field(default_factory=list)
    warnings: list[Complaint] = field(default_factory=list)

    def error(self, where: Where, key: str, *, at_key: bool = False, hint: str = "", name: str = "", **fields: str) -> None:
        """`name` is a further part of the path that does not exist in the file (a missing key)."""
        if name or at_key or not self._is_unfilled(where[1]):
            self.errors.append(_complaint(where, key, at_key, hint, name, fields))

    def _is_unfilled(self, path: Keys) -> bool:
        """Itself, or one of a list."""
        return any(one[: len(path)] == path and all(isinstance(part, int) for part in one[len(path) :]) for one in self.unfilled)

    def warn(self, where: Where, key: str, *, at_key: bool = False, hint: str = "", name: str = "", **fields: str) -> None:
        self.warnings.append(_complaint(where, key, at_key, hint, name, fields))

    def unknown(self, where: Where, key: str, word: str, known: Iterable[str]) -> None:
        """A name that stands for nothing; says which there are."""
        names = sorted(known)
        listed = ", ".join(names[:20]) + (" …" if len(names) > 20 else "")
        self.error(where, key, hint=closest(word, names), word=shown(word), known=listed or "-")

    def validation(
        self,
        error: ValidationError,
        where: Where,
        model: type[Any] | None = None,
        names: Iterable[str] = (),
        origins: Mapping[str, Where] = MappingProxyType({}),
    ) -> None:
        """Every error of one pydantic validation. `model` or `names` serve to find the key that was meant.

        `origins` says where a first key was written when that is not beneath `where`.
        """
        for item in error.errors(include_url=False):
            at_key = bool(item["loc"]) and item["loc"][-1] == "[key]"
            loc: Keys = tuple(item["loc"][:-1] if at_key else item["loc"])
            known = fields_at(model, loc) if model is not None else list(names)
            key, hint, fields = _translated(item, loc, known, at_key=at_key)
            document, path = _origin(where, loc, origins)
            if item["type"] not in {"missing", "missing_argument"}:
                while path and path not in document.marks:
                    path = path[:-1]
            if path in self.unfilled and not at_key:
                continue
            place = document.place(path, key=at_key or key == "unknown_key")
            self.errors.append(Complaint(place=place, path=dotted(path), key=key, fields=fields, hint=hint))

    def settled(self) -> tuple[tuple[Complaint, ...], tuple[Complaint, ...]]:
        """Errors and warnings in the order of the file, each once."""
        return _ordered(self.errors), _ordered(self.warnings)


def _origin(where: Where, loc: Keys, origins: Mapping[str, Where]) -> Where:
    first = str(loc[0]) if loc else ""
    if first in origins:
        document, path = origins[first]
        return document, (*path, *loc[1:])
    return where[0], (*where[1], *loc)


def _complaint(where: Where, key: str, at_key: bool, hint: str, name: str, fields: Mapping[str, str]) -> Complaint:
    document, path = where
    whole = (*path, name) if name else path
    return Complaint(place=document.place(path, key=at_key or bool(name)), path=dotted(whole), key=key, fields=fields, hint=hint)


def _ordered(complaints: list[Complaint]) -> tuple[Complaint, ...]:
    once = {(one.place.file, one.place.line, one.place.column, one.key, one.path): one for one in complaints}
    return tuple(sorted(once.values(), key=lambda one: (one.place.file, one.place.line, one.place.column)))


def _translated(item: Any, loc: Keys, known: list[str], *, at_key: bool) -> tuple[str, str, dict[str, str]]:
    """Key, hint and fields of the text that says what one pydantic error means."""
    kind, given, context = item["type"], item.get("input"), item.get("ctx") or {}
    last = str(loc[-1]) if loc else ""
    fields = {"value": shown(given, loc), "word": shown(last)}
    if kind == "unit":
        return str(context["key"]), "", fields
    if kind == "string_pattern_mismatch":
        pattern = str(context.get("pattern"))
        if at_key or pattern in {SLUG, NAME}:
            wrong = last if at_key else str(given)
            return "bad_slug", slug(wrong), fields | {"word": shown(wrong)}
        return _SHAPES.get(last, "one_line" if pattern == ONE_LINE else "shape"), "", fields | {"pattern": pattern}
    if at_key:
        return "bad_slug", slug(last), fields
    key = _KINDS.get(kind, "other")
    if key == "not_text" and last == "code":
        key = "code_number"
    if key == "unknown_key":
        hint = "intervals" if loc[:-1] == ("defaults",) and last in probes.names() else closest(last, known)
        return key, hint, fields | {"known": ", ".join(known)}
    if key == "not_one_of":
        expected = str(context.get("expected", "")).replace(" or ", ", ")
        return (
            key,
            closest(str(given), expected.replace("'", "").split(", ")) if isinstance(given, str) else "",
            fields | {"known": expected},
        )
    limit = next((str(context[name]) for name in ("ge", "gt", "le", "lt", "max_length", "min_length") if name in context), "")
    reason = str(item.get("msg", "")).removeprefix("Value error, ")
    return key, "", fields | {"limit": limit, "reason": reason}


def in_words(item: Any, known: Iterable[str] = ()) -> tuple[str, Mapping[str, str]]:
    """Of one error that pydantic found outside of a file: the key of its text in `inventory.json`, and its fields."""
    key, _hint, fields = _translated(item, tuple(item["loc"]), list(known), at_key=False)
    return key, fields


def fields_at(model: Any, loc: Keys) -> list[str]:
    """The keys a model takes where a location points into it, for the key that was probably meant."""
    current = model
    for part in loc[:-1]:
        current = _bare(current)
        if isinstance(current, type) and issubclass(current, BaseModel):
            found = current.model_fields.get(str(part))
            current = found.annotation if found else None
        elif get_origin(current) in {dict, list}:
            current = get_args(current)[-1]
        else:
            return []
    current = _bare(current)
    return list(current.model_fields) if isinstance(current, type) and issubclass(current, BaseModel) else []


def _bare(annotation: Any) -> Any:
    """Without Annotated and Optional."""
    while get_origin(annotation) not in {None, dict, list}:
        arguments = [argument for argument in get_args(annotation) if argument is not type(None)]
        if not arguments:
            return annotation
        annotation = arguments[0]
    return annotation
