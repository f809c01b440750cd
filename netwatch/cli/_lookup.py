"""Finds what a person means by SITE or SITE/TARGET/CHECK, with or without diacritics."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from netwatch.cli import _output
from netwatch.cli._daemon import Daemon, Document
from netwatch.cli._output import Exit, Failed
from netwatch.lang import fold

__all__ = ["Found", "called", "find", "nearest", "slug_like"]

MOST_NAMES = 5


class Named(Protocol):
    """A site of the inventory."""

    @property
    def id(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def full_name(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Found:
    """A site, and a target or a check of it where one was named."""

    site: Document
    target: Document | None = None
    check: Document | None = None

    @property
    def subject(self) -> Document:
        return self.check or self.target or self.site

    @property
    def name(self) -> str:
        return "/".join([str(self.site["name"]), *(str(one.get("id", "")).rpartition("/")[2] for one in (self.target, self.check) if one)])


def slug_like(text: str) -> str:
    """`Nà Tấu`, `na tau` and `NA_TAU` all become `na-tau`."""
    return "-".join(fold(text).casefold().replace("_", " ").replace("-", " ").split())


def called(site: Named, wanted: str) -> bool:
    """Whether that is its id, its name or its full name; `wanted` as `slug_like` makes it."""
    return wanted in {slug_like(site.id), slug_like(site.name), slug_like(site.full_name)}


def nearest(wanted: str, known: Iterable[tuple[str, str]]) -> list[str]:
    """The ids of the names most like the wanted one; `known` gives ids with their names."""
    ids = {}
    for id_, name in known:
        ids[slug_like(id_)] = ids[slug_like(name)] = id_
    close = difflib.get_close_matches(slug_like(wanted), ids, n=MOST_NAMES, cutoff=0.5)
    starting = [key for key in ids if key.startswith(slug_like(wanted)) and slug_like(wanted)]
    return list(dict.fromkeys(ids[key] for key in (*starting, *close)))[:MOST_NAMES]


def find(daemon: Daemon, path: str) -> Found:
    """Raises Failed with the nearest names; the exit code is UNKNOWN, as a monitoring plugin's is."""
    parts = path.strip().split("/")
    if not 1 <= len(parts) <= 3 or not all(part.strip() for part in parts):
        _output.fail(Exit.UNKNOWN, _output.text("cli.bad_path", name=path))
    site = daemon.site(parts[0]) or _by_name(daemon, parts[0])
    if len(parts) == 1:
        return Found(site)
    target = _one_of(site["targets"], parts[1], site["name"])
    if len(parts) == 2:
        return Found(site, target)
    named = [{**_with_rules(check, target["problems"]), "id": check["name"], "path": check["id"]} for check in target["checks"]]
    return Found(site, target, _one_of(named, parts[2], f"{site['name']}/{target['id']}"))


def _with_rules(check: Document, problems: Sequence[Document]) -> Document:
    """A check that answers may still have measured something bad: then it is as bad as the worst of that."""
    mine = sorted((one for one in problems if one["check"] == check["id"]), key=lambda one: one["belief"] != "crit")
    if check["state"] not in {"ok", "warn"} or not mine:
        return check
    return {**check, "state": mine[0]["belief"], "text": mine[0]["text"], "since": mine[0]["since"]}


def _by_name(daemon: Daemon, wanted: str) -> Document:
    sites = daemon.summary()["sites"]
    same = [one["id"] for one in sites if slug_like(wanted) in {slug_like(one["id"]), slug_like(one["name"]), slug_like(one["full_name"])}]
    found = daemon.site(same[0]) if len(same) == 1 else None
    if found is not None:
        return found
    near = nearest(wanted, ((one["id"], one["name"]) for one in sites))
    key = "cli.no_site_near" if near else "cli.no_site"
    raise Failed(Exit.UNKNOWN, _output.text(key, name=wanted, near=", ".join(near)))


def _one_of(known: Sequence[Document], wanted: str, owner: str) -> Document:
    for one in known:
        if slug_like(wanted) == slug_like(one["id"]):
            return one
    near = nearest(wanted, ((one["id"], one["name"]) for one in known)) or [one["id"] for one in known]
    raise Failed(Exit.UNKNOWN, _output.text("cli.no_target", site=owner, name=wanted, near=", ".join(near)))
