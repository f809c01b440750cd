"""Kinds of option that several pagers have, and the receipt of those that answer in a thread."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import pydantic

from netwatch.model import Secret
from netwatch.pagers import Receipt

__all__ = ["Thread", "sealed"]


def sealed(pattern: str, must: str) -> pydantic.BeforeValidator:
    """A secret of a known shape. The complaint says what it must be and never what it was."""

    def check(value: object) -> Secret:
        written = value.reveal() if isinstance(value, Secret) else value
        if not isinstance(written, str) or not re.fullmatch(pattern, written, re.ASCII):
            raise ValueError(f"must be {must}")
        return Secret(written)

    return pydantic.BeforeValidator(check)


@dataclass(frozen=True, slots=True)
class Thread:
    """Where the first page of an incident stands.

    `destination` is what the inventory named then, `actual` where the service put it (a group that has moved, say).
    """

    kind: str
    destination: str
    actual: str
    message: str

    def receipt(self) -> Receipt:
        return Receipt(json.dumps([self.kind, self.destination, self.actual, self.message], ensure_ascii=True))

    @classmethod
    def read(cls, receipt: Receipt | None, kind: str, destination: str) -> Thread | None:
        """None where there is none, or it belongs to another kind of pager or to a destination that is no longer meant."""
        try:
            parts = json.loads(receipt.thread if receipt is not None else "")
        except ValueError:
            return None
        if not isinstance(parts, list) or len(parts) != 4 or not all(isinstance(part, str) for part in parts):
            return None
        found = cls(*parts)
        return found if (found.kind, found.destination) == (kind, destination) else None
