"""What each kind of device is checked for: the shipped profiles, and what inventory.yaml lays over them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pydantic

import probes
from netwatch import _yaml
from netwatch._yaml_document import Document, YamlRefused
from netwatch.inventory._collect import Collector, Where
from netwatch.inventory._schema import ProfileEntry

__all__ = ["LINE", "Draft", "Profile", "Profiles", "overlay"]

LINE = "line"
_FOLDERS = (Path(probes.__file__).parent / "profiles", Path(__file__).parent / "data")
_OURS = frozenset(ProfileEntry.model_fields)


@dataclass(frozen=True, slots=True)
class Draft:
    """A check or a rule that is put together from several places; each key remembers where it was written."""

    values: Mapping[str, Any]
    origins: Mapping[str, Where]
    where: Where

    @classmethod
    def at(cls, where: Where, values: Mapping[str, Any]) -> Draft:
        document, path = where
        return cls(dict(values), {key: (document, (*path, key)) for key in values}, where)

    def under(self, upper: Draft) -> Draft:
        return Draft({**self.values, **upper.values}, {**self.origins, **upper.origins}, upper.where)

    def where_of(self, key: str) -> Where:
        return self.origins.get(key, self.where)


Drafts = Mapping[str, Draft]


def overlay(lower: Drafts, upper: Mapping[str, Mapping[str, Any] | None], where: Where, collector: Collector, key: str) -> Drafts:
    """Lays `upper` over `lower`: null takes one away. `key` names the complaint about taking away what is not there."""
    document, path = where
    merged = dict(lower)
    for name, values in upper.items():
        at: Where = (document, (*path, name))
        if values is None:
            if name not in lower:
                collector.unknown(at, key, name, lower)
            merged.pop(name, None)
        else:
            draft = Draft.at(at, values)
            merged[name] = merged[name].under(draft) if name in merged else draft
    return merged


def _judging(rules: Drafts, written: Mapping[str, Mapping[str, Any] | None], lower: Drafts, checks: Drafts) -> Drafts:
    """Without the rules of checks that were taken away; those that are written beside it stay, and are complained of."""
    gone = lower.keys() - checks.keys()
    return {name: rule for name, rule in rules.items() if name in written or rule.values.get("check", name) not in gone}


@dataclass(frozen=True, slots=True)
class Profile:
    """One kind of device. `measured_by` is the shipped profile whose `snmp:` part it uses."""

    name: str
    where: Where
    role: str = "device"
    label: str = ""
    audience: str = "page"
    measured_by: str = ""
    shipped: bool = False
    checks: Drafts = field(default_factory=dict)
    rules: Drafts = field(default_factory=dict)

    def changed(self, checks: Mapping[str, Any], rules: Mapping[str, Any], where: Where, collector: Collector) -> Profile:
        """With what one device has of its own."""
        if not checks and not rules:
            return self
        document, path = where
        kept = overlay(self.checks, checks, (document, (*path, "checks")), collector, "no_such_check")
        judged = overlay(self.rules, rules, (document, (*path, "rules")), collector, "no_such_rule")
        return replace(self, checks=kept, rules=_judging(judged, rules, self.checks, kept))


class Profiles:
    """Profiles by name, read when first asked for."""

    def __init__(self, written: Mapping[str, ProfileEntry], document: Document, collector: Collector, names: Iterable[str]) -> None:
        self._written = written
        self._document = document
        self._collector = collector
        self._known: dict[str, Profile | None] = {}
        self._open: set[str] = set()
        self._names = frozenset(names)  # also those that were refused already: no second complaint
        self._files = {file.stem: file for folder in _FOLDERS if folder.is_dir() for file in sorted(folder.glob("*.yaml"))}
        self.used: set[str] = set()

    def get(self, name: str, where: Where) -> Profile | None:
        """None after a complaint about the name at `where`."""
        self.used.add(name)
        if name not in self._written and name not in self._files:
            if name not in self._names:
                self._collector.unknown(where, "unknown_profile", name, {*self._written, *self._files} - {LINE})
            return None
        if name not in self._known:
            if name in self._open:
                self._collector.error(where, "profile_cycle", word=name)
                return None
            self._open.add(name)
            self._known[name] = self._make(name)
            self._open.discard(name)
        return self._known[name]

    def unused(self) -> list[str]:
        return [name for name in self._written if name not in self.used and name != LINE]

    def _make(self, name: str) -> Profile | None:
        entry = self._written.get(name)
        if entry is None:
            return self._shipped(name)
        where: Where = (self._document, ("profiles", name))
        base: Profile | None = None
        if entry.base is not None and entry.base != name:
            base = self.get(entry.base, (self._document, ("profiles", name, "base")))
            if base is None:
                return None
        elif name in self._files:
            base = self._shipped(name)
        lower = base or Profile(name, where)
        return replace(
            lower.changed(entry.checks, entry.rules, where, self._collector),
            name=name,
            where=where,
            role=entry.role or lower.role,
            label=entry.label or lower.label,
            audience=entry.audience or lower.audience,
            shipped=False,
        )

    def _shipped(self, name: str) -> Profile | None:
        file = self._files[name]
        try:
            document = _yaml.read(file, name=f"profiles/{file.name}")
        except YamlRefused as refused:
            self._collector.errors.extend(refused.complaints)
            return None
        self._collector.errors.extend(document.complaints)
        value = document.value if isinstance(document.value, dict) else {}
        ours = {key: part for key, part in value.items() if key in _OURS}
        try:
            entry = ProfileEntry.model_validate(ours)
        except pydantic.ValidationError as error:
            self._collector.validation(error, (document, ()), ProfileEntry)
            return None
        where: Where = (document, ())
        lower = self.get(entry.base, where) if entry.base is not None else Profile(name, where, role=name, measured_by=name)
        if lower is None:
            return None
        return replace(
            lower.changed(entry.checks, entry.rules, where, self._collector),
            name=name,
            where=where,
            role=entry.role or lower.role,
            label=entry.label or "",
            audience=entry.audience or lower.audience,
            shipped=True,
        )
