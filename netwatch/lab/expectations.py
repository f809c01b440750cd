"""What a scenario expects, read from its `expect:`."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

from netwatch._yaml import Keys
from netwatch.lab.complaints import Reading
from netwatch.lab.faults import Expect, ExpectedDigest, ExpectedPage, Value
from netwatch.lab.values import COUNT, NAME, NUMBER_OR_TEXT, SECONDS, one_of
from netwatch.model import Cause, Incident

__all__ = ["ExpectReading"]

CAUSE_TYPES: tuple[str, ...] = get_args(get_type_hints(Cause)["type"])
SEVERITIES: tuple[str, ...] = get_args(get_type_hints(Incident)["severity"])
TIMES = ("since", "open_after", "open_before", "named_before", "recover_after", "recover_before")
COUNTS = ("updates_at_least", "updates_at_most")


class ExpectReading(Reading):
    """Reads `expect:`."""

    def expect(self, path: Keys, value: Any) -> Expect:
        entry = self.mapping(path, value, ("pages", "digest", "none_else", "most_pages"))
        pages = self.sequence((*path, "pages"), entry.get("pages", []))
        digest = self.sequence((*path, "digest"), entry.get("digest", []))
        most = self.value((*path, "most_pages"), entry["most_pages"], COUNT) if "most_pages" in entry else None
        return Expect(
            pages=tuple(self.page((*path, "pages", index), page) for index, page in enumerate(pages)),
            digest=tuple(self.later((*path, "digest", index), page) for index, page in enumerate(digest)),
            none_else=self.flag((*path, "none_else"), entry.get("none_else", True)),
            most_pages=None if most is None else int(most),
        )

    def flag(self, path: Keys, value: Any) -> bool:
        if not isinstance(value, bool):
            self.complain(path, "want_one_of", found=str(value)[:40], choices="true | false")
        return value is True

    def page(self, path: Keys, value: Any) -> ExpectedPage:
        entry = self.mapping(path, value, (*TIMES, "cause", "sites", "severity", "facts", *COUNTS))
        for missing in [key for key in ("open_before", "cause") if key not in entry]:
            self.complain(path, "missing", name=missing)
        times = {key: self.value((*path, key), entry[key], SECONDS) for key in TIMES if key in entry}
        counts = {key: self.value((*path, key), entry[key], COUNT) for key in COUNTS if key in entry}
        severity = self.value((*path, "severity"), entry["severity"], one_of(*SEVERITIES)) if "severity" in entry else ""
        most = counts.get("updates_at_most")
        return ExpectedPage(
            since_seconds=times.get("since"),
            open_after_seconds=times.get("open_after") or 0.0,
            open_before_seconds=times.get("open_before") or 0.0,
            named_before_seconds=times.get("named_before"),
            recover_after_seconds=times.get("recover_after") or 0.0,
            recover_before_seconds=times.get("recover_before"),
            cause=self.cause((*path, "cause"), entry.get("cause", {"type": "site"})),
            sites=self.sites((*path, "sites"), entry["sites"]) if "sites" in entry else None,
            severity=str(severity or ""),
            facts=self.facts((*path, "facts"), entry.get("facts", {})),
            updates_at_least=int(counts.get("updates_at_least") or 0),
            updates_at_most=None if most is None else int(most),
        )

    def later(self, path: Keys, value: Any) -> ExpectedDigest:
        entry = self.mapping(path, value, ("cause", "sites"))
        for missing in [key for key in ("cause", "sites") if key not in entry]:
            self.complain(path, "missing", name=missing)
        cause = self.cause((*path, "cause"), entry.get("cause", {"type": "site"}))
        return ExpectedDigest(cause=cause, sites=self.sites((*path, "sites"), entry.get("sites", [])))

    def cause(self, path: Keys, value: Any) -> Cause:
        entry = self.mapping(path, value, ("type", "name"))
        kind = self.value((*path, "type"), entry.get("type"), one_of(*CAUSE_TYPES))
        return Cause(kind, str(self.value((*path, "name"), entry["name"], NAME)) if "name" in entry else "")

    def sites(self, path: Keys, value: Any) -> tuple[str, ...]:
        return tuple(str(self.value((*path, index), each, NAME)) for index, each in enumerate(self.sequence(path, value)))

    def facts(self, path: Keys, value: Any) -> dict[str, Value]:
        if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
            self.complain(path, "want_mapping", choices="…")
            return {}
        return {name: self.value((*path, name), each, NUMBER_OR_TEXT) or "" for name, each in value.items()}
