"""Everything an inventory comes to, as `path: value` texts: to be compared, or to be shown. Secrets are not in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from netwatch.model import Check, Device, Inventory, Line, LineTest, Rule, Site

__all__ = ["Change", "CheckRow", "changes", "check_rows", "flatten"]

EMPTY = '""'
_OF_CHECK = ("kind", "interval_seconds", "timeout_seconds", "retry_seconds", "attempts", "hard_after_seconds", "audience")


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One check with what it is aimed at."""

    site: str
    name: str
    target: str
    kind: Literal["line", "device"]
    address: str
    profile: str
    label: str
    check: str
    probe: str
    interval_seconds: float
    timeout_seconds: float
    parents: str


@dataclass(frozen=True, slots=True)
class Change:
    sign: Literal["+", "-", "~"]
    path: str
    old: str = ""
    new: str = ""

    def line(self) -> str:
        shown = f"{self.old or EMPTY} -> {self.new or EMPTY}" if self.sign == "~" else self.new or self.old
        return f"{self.sign} {self.path}  {shown}".rstrip()


def check_rows(inventory: Inventory) -> Iterator[CheckRow]:
    """In the order of the inventory."""
    for check in inventory.checks.values():
        site = inventory.sites[check.site]
        thing = site.lines.get(check.target) or site.devices[check.target]
        yield CheckRow(
            site=site.id,
            name=site.name,
            target=check.target,
            kind="line" if isinstance(thing, Line) else "device",
            address=check.address,
            profile="" if isinstance(thing, Line) else thing.profile,
            label=thing.label,
            check=check.name,
            probe=check.kind,
            interval_seconds=check.interval_seconds,
            timeout_seconds=check.timeout_seconds,
            parents=_groups(check.parents),
        )


def flatten(inventory: Inventory) -> dict[str, str]:
    """A site, a target and a check have a line of their own, and one for each of their values."""
    found: dict[str, str] = {}
    for site in inventory.sites.values():
        found[site.id] = site.full_name or site.name
        found.update((f"{site.id}.{name}", value) for name, value in _of_site(site))
        things: tuple[Line | Device, ...] = (*site.lines.values(), *site.devices.values())
        for thing in things:
            found[f"{site.id}/{thing.id}"] = f"{thing.address} ({'line' if isinstance(thing, Line) else thing.profile})"
            found.update((f"{site.id}/{thing.id}.{name}", value) for name, value in _values(thing))
    for check in inventory.checks.values():
        found[check.id] = f"{check.kind} {check.interval_seconds:g} s"
        found.update((f"{check.id}.{name}", value) for name, value in _of_check(check))
    return found


def changes(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[Change, ...]:
    """What is new, gone or otherwise, by path; of what is wholly new or gone only its own line."""
    found = [Change("+", path, new=new[path]) for path in new if path not in old and not _within(path, new, old)]
    found += [Change("-", path, old=old[path]) for path in old if path not in new and not _within(path, old, new)]
    found += [Change("~", path, old[path], new[path]) for path in old if path in new and old[path] != new[path]]
    return tuple(sorted(_telling(found), key=lambda one: one.path))


def _telling(found: list[Change]) -> Iterator[Change]:
    """Without the lines that only follow from others: a thing's own line, and a fingerprint whose reason is shown."""
    reasons = {one.path.partition(".")[0] for one in found if "." in one.path and not one.path.endswith(".measures")}
    targets = {one.path.partition(".")[0] for one in found if one.path.endswith(".address")}
    for one in found:
        owner, _, name = one.path.partition(".")
        if one.sign == "~" and not name:
            continue
        if name == "measures" and (owner in reasons or owner.rpartition("/")[0] in targets):
            continue
        yield one


def _within(path: str, here: Mapping[str, str], there: Mapping[str, str]) -> bool:
    """Whether something around it is itself only on this side."""
    owner = path.partition(".")[0] if "." in path else path.rpartition("/")[0]
    while owner:
        if owner in here and owner not in there:
            return True
        owner = owner.rpartition("/")[0]
    return False


def _of_site(site: Site) -> Iterator[tuple[str, str]]:
    for name in ("kind", "name", "code", "office", "priority", "note", "renamed_from"):
        yield name, str(getattr(site, name))
    yield "contact", site.contact.id if site.contact else ""
    for tag, value in site.tags.items():
        yield f"tags.{tag}", value


def _values(thing: Line | Device) -> Iterator[tuple[str, str]]:
    for field in dataclasses.fields(thing):
        if field.name != "id":
            value = getattr(thing, field.name)
            if isinstance(value, LineTest):
                yield from ((f"{field.name}.{key.name}", f"{getattr(value, key.name):g}") for key in dataclasses.fields(value))
                continue
            if value is None:
                continue
            yield field.name, _groups(value) if isinstance(value, tuple) else f"{value:g}" if isinstance(value, float) else str(value)


def _of_check(check: Check) -> Iterator[tuple[str, str]]:
    for name in _OF_CHECK:
        value = getattr(check, name)
        yield name, f"{value:g}" if isinstance(value, float) else str(value)
    for field in dataclasses.fields(check.probe):
        if field.init:
            yield field.name, str(getattr(check.probe, field.name))
    for rule in check.rules:
        yield f"rules.{rule.name}", _rule(rule)
    yield "parents", _groups(check.parents)
    yield "measures", check.fingerprint


def _rule(rule: Rule) -> str:
    parts = [rule.metric, rule.instance, rule.compare]
    parts += [f"{name} {value:g}" for name in ("warn", "crit", "clear") if (value := getattr(rule, name)) is not None]
    parts += [f"hold {rule.hold_seconds:g} s"] if rule.hold_seconds else []
    parts += [f"window {rule.window_seconds:g} s"] if rule.window_seconds else []
    return " ".join((*parts, rule.audience))


def _groups(parents: tuple[tuple[str, ...], ...]) -> str:
    """`a|b, c`: one of a and b, and c."""
    return ", ".join("|".join(group) for group in parents)
