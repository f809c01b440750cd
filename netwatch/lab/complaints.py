"""What is wrong with a scenario or a fault, at its place, in the words of the area `lab`; and the reader that collects it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from netwatch._complaint import Complaint, Place, closest, dotted
from netwatch._yaml import Keys
from netwatch.lab.values import Reader
from netwatch.lang import catalog
from netwatch.model import Inventory

__all__ = ["LabComplaint", "Locate", "Reading", "ScenarioRefused", "nowhere"]

Locate: TypeAlias = Callable[[Keys, bool], Place]


class LabComplaint(Complaint):
    """A complaint in the words of the area `lab`."""

    def line(self, language: str) -> str:
        words = catalog(language)
        message = words.text(f"lab.{self.key}", **self.fields)
        if self.hint:
            message += "; " + words.text("lab.did_you_mean", word=self.hint)
        return ": ".join(part for part in (str(self.place), self.path, message) if part)

    def as_json(self) -> dict[str, Any]:
        return {"path": self.path, "key": self.key, "fields": dict(self.fields), "hint": self.hint}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> LabComplaint:
        return cls(place=Place(""), path=said["path"], key=said["key"], fields=said["fields"], hint=said["hint"])


class ScenarioRefused(Exception):
    """All that is wrong with a scenario or a fault, at once."""

    def __init__(self, complaints: Iterable[Complaint]) -> None:
        self.complaints = tuple(complaints)
        super().__init__("\n".join(complaint.line("en") for complaint in self.complaints))

    def lines(self, language: str) -> tuple[str, ...]:
        """Each complaint with the source it is about."""
        return tuple(complaint.block(language) for complaint in self.complaints)


def nowhere(_path: Keys, _at_key: bool) -> Place:
    return Place("")


class Reading:
    """Collects complaints while a document is read."""

    def __init__(self, inventory: Inventory | None, locate: Locate) -> None:
        self.inventory = inventory
        self.locate = locate
        self.complaints: list[LabComplaint] = []

    def complain(self, path: Keys, key: str, *, hint: str = "", at_key: bool = False, **fields: str) -> None:
        self.complaints.append(LabComplaint(place=self.locate(path, at_key), path=dotted(path), key=key, fields=fields, hint=hint))

    def mapping(self, path: Keys, value: Any, known: Iterable[str]) -> dict[str, Any]:
        """The mapping's known keys; complains of anything else."""
        if not isinstance(value, dict):
            self.complain(path, "want_mapping", choices=", ".join(known))
            return {}
        allowed = tuple(known)
        for unknown in [key for key in value if key not in allowed]:
            self.complain((*path, unknown), "unknown_key", hint=closest(str(unknown), allowed), at_key=True, choices=", ".join(allowed))
        return {key: value[key] for key in allowed if key in value}

    def sequence(self, path: Keys, value: Any) -> list[Any]:
        if isinstance(value, list):
            return value
        self.complain(path, "want_list")
        return []

    def value(self, path: Keys, value: Any, reader: Reader) -> Any:
        read = reader.read(value)
        if read is None:
            self.complain(path, f"want_{reader.kind}", found=str(value)[:40], choices=reader.choices)
        return read

    def known(self, path: Keys, what: str, found: str, there_are: Iterable[str]) -> None:
        choices = tuple(there_are)
        if found not in choices:
            self.complain(path, f"unknown_{what}", hint=closest(found, choices), name=found)
