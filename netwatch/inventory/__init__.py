"""inventory.yaml to Checks: every default filled in, every complaint at its line, all of them at once."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pydantic

from netwatch._complaint import Complaint, Place
from netwatch._duties import Roster
from netwatch._yaml_document import Document, Keys, YamlRefused
from netwatch.inventory import _files
from netwatch.inventory._addresses import Network, WrongAddress, site_network
from netwatch.inventory._collect import Collector
from netwatch.inventory._communes import communes
from netwatch.inventory._expand import expand
from netwatch.inventory._flat import Change, CheckRow, changes, check_rows, flatten
from netwatch.inventory._json_schema import json_schema
from netwatch.inventory._pager_entries import pager_settings
from netwatch.inventory._roster import hushed, roster_of
from netwatch.inventory._schema import File, TrapsEntry
from netwatch.inventory._sheet import Sheet, read_sheet, sites_yaml
from netwatch.inventory._sites import Builder
from netwatch.inventory._texts import read_texts
from netwatch.lang import catalog
from netwatch.model import Inventory, LineTests, PagerSettings, Secret, Settings

__all__ = [
    "DEMO_SITE_NET",
    "Change",
    "CheckRow",
    "Complaint",
    "Difference",
    "InventoryRefused",
    "Sheet",
    "changes",
    "check_rows",
    "difference",
    "examine",
    "flatten",
    "is_plan",
    "json_schema",
    "load",
    "networks",
    "read_sheet",
    "sites_yaml",
]

DEMO_SITE_NET = "127.45.{n}.0/24"
_VALUE_LOST = frozenset({"alias", "empty_value", "not_finite", "unprintable"})  # complaints that leave a null behind
_SECRETS_IN = frozenset({"defaults", "sites", "hubs", "roles", "profiles", "line_tests"})
_ROUNDS = 12  # of leaving out what is wrong, to find what else is wrong


class InventoryRefused(Exception):
    """Nothing was loaded. `errors` and `warnings` are all there are; `unreadable`: the file could not even be read."""

    def __init__(
        self, errors: tuple[Complaint, ...], warnings: tuple[Complaint, ...] = (), *, unreadable: bool = False, demo_plan: bool = False
    ) -> None:
        self.errors = errors
        self.warnings = warnings
        self.unreadable = unreadable
        self.demo_plan = demo_plan
        super().__init__("\n".join(self.lines("en")))

    def lines(self, language: str = "vi") -> tuple[str, ...]:
        """`file:line:col: key.path: what, and what to write instead`, one for each error."""
        return tuple(error.line(language) for error in self.errors)


def load(
    path: str | Path,
    *,
    environment: Mapping[str, str] | None = None,
    site_net: str | None = None,
    pagers: Mapping[str, PagerSettings] | None = None,
) -> Inventory:
    """Reads inventory.yaml and the inventory.d beside it, or a folder of such files. Raises InventoryRefused, and nothing else, when it is not sound.

    `environment` is where `${…}` is looked up, the process's own if not given. `site_net` takes the place of the plan's,
    and `pagers` of the file's: so the lab runs the shipped file on its own addresses.
    """
    return examine(path, environment=environment, site_net=site_net, pagers=pagers)[0]


def examine(
    path: str | Path,
    *,
    environment: Mapping[str, str] | None = None,
    site_net: str | None = None,
    pagers: Mapping[str, PagerSettings] | None = None,
) -> tuple[Inventory, tuple[Complaint, ...]]:
    """As `load`, with the warnings still in no language."""
    return _examined(path, environment, site_net, pagers)[:2]


def networks(path: str | Path, *, environment: Mapping[str, str] | None = None) -> Mapping[str, Network]:
    """The network of each site, by the plan or its own `net`. Raises InventoryRefused."""
    return _examined(path, environment, None, None)[2]


def _examined(
    path: str | Path, environment: Mapping[str, str] | None, site_net: str | None, pagers: Mapping[str, PagerSettings] | None
) -> tuple[Inventory, tuple[Complaint, ...], Mapping[str, Network]]:
    collector = Collector()
    try:
        document, files = _files.read(Path(path))
    except YamlRefused as refused:
        raise InventoryRefused(refused.complaints, unreadable=refused.unreadable) from refused
    if document.value in (None, {}) and not document.complaints:
        raise InventoryRefused((Complaint(place=Place(document.file), key="empty_file"),))
    blamed = [complaint.path for complaint in document.complaints if complaint.key in _VALUE_LOST]
    references = expand(document, os.environ if environment is None else environment, collector)
    collector.warnings += [
        Complaint(place=file.spot(len(file.lines) - 1, 0), key="no_newline") for file in files if not file.ends_with_newline
    ]
    texts, wrong_texts = read_texts(Path(path))
    collector.warnings += wrong_texts
    file = _validated(document, collector)
    if site_net is None and file is not None and file.plan.site_net == DEMO_SITE_NET:
        collector.warn((document, ("plan", "site_net")), "demo_plan")
    built = _build(file, document, references, site_net, collector) if file is not None else None
    errors, warnings = collector.settled()
    errors = (*document.complaints, *(error for error in errors if not _follows(error.path, blamed)))
    if errors or built is None or file is None:
        in_order = tuple(sorted(errors, key=lambda one: (one.place.file, one.place.line, one.place.column)))
        raise InventoryRefused(in_order, warnings, demo_plan=built is not None and built[0].site_net == DEMO_SITE_NET)
    builder, written_pagers, duty = built
    inventory = Inventory(
        sites=builder.sites,
        checks=builder.checks,
        pagers=written_pagers if pagers is None else pagers,
        settings=replace(_settings(file), texts=texts),
        demo_plan=builder.site_net == DEMO_SITE_NET,
        warnings=tuple(warning.line(file.language) for warning in warnings),
        primary_checks=builder.primary,
        anchors=builder.anchors,
        maintenance=builder.maintenance,
        meetings=builder.meetings,
        line_tests=LineTests(head_room=dict(file.line_tests.head_room), stale_after_seconds=file.line_tests.stale_after),
        duty=duty,
    )
    return inventory, warnings, builder.networks


def is_plan(site_net: str) -> bool:
    """Whether every commune would get a network of its own by it."""
    try:
        return bool(site_network(site_net, 1) != site_network(site_net, len(communes())))
    except WrongAddress:
        return False


def _follows(path: str, blamed: list[str]) -> bool:
    """Whether a complaint only follows from one already made about the same spot or what is around it."""
    return any(path == one or path.startswith((f"{one}.", f"{one}[")) for one in blamed if one)


def _validated(document: Document, collector: Collector) -> File | None:
    """The file as models. What is wrong is told, then left out, so that what else is wrong is found in the same run."""
    value = document.value
    told = False
    for _round in range(_ROUNDS):
        try:
            return File.model_validate(value)
        except pydantic.ValidationError as error:
            if not told:
                collector.validation(error, (document, ()), File)
                value = copy.deepcopy(value)
                told = True
            items = error.errors(include_url=False)
            if not all(_leave_out(value, tuple(item["loc"]), missing=item["type"] == "missing") for item in items):
                return None
    return None


def _within(holder: Any, part: str | int) -> bool:
    if isinstance(holder, list):
        return isinstance(part, int) and part < len(holder)
    return isinstance(holder, dict) and part in holder


def _leave_out(value: Any, loc: Keys, *, missing: bool) -> bool:
    """Takes what an error points at out of a value; what lacks a key goes whole. False when nothing would be left."""
    loc = loc[:-1] if missing or (loc and loc[-1] == "[key]") else loc
    holder: Any = None
    last: Any = None
    inner = value
    for part in loc:
        if _within(inner, part):
            holder, last, inner = inner, part, inner[part]
        else:
            break
    if holder is None:
        return bool(loc) and not missing  # gone already, with something around it
    if isinstance(holder, dict):
        del holder[last]
    else:
        holder.clear()
    return True


def _build(
    file: File, document: Document, references: frozenset[Keys], site_net: str | None, collector: Collector
) -> tuple[Builder, dict[str, PagerSettings], Roster | None]:
    builder = Builder(file, document, file.plan.site_net if site_net is None else site_net, collector)
    builder.build()
    if not document.value.get("sites") and not document.value.get("hubs"):
        collector.error((document, ()), "no_sites", name="sites")
    for path in document.marks:
        if _is_secret(path) and path not in references and path[0] in _SECRETS_IN:
            collector.warn((document, path), "secret_in_clear")
    pagers = pager_settings(file.pagers, document, file.language, references, collector)
    if file.duty is None:
        return builder, pagers, None
    builder.checks = hushed(builder.checks, file.duty.quiet, builder.sites, (document, ("duty", "quiet")), collector)
    duty = roster_of(file.duty, file.pagers, builder.sites, ZoneInfo(file.timezone), (document, ("duty",)), collector)
    return builder, pagers, duty


def _is_secret(path: Keys) -> bool:
    pairs = {("auth", "password"), ("privacy", "password"), ("test", "token"), ("test", "password"), ("control", "token")}
    of_check = path[-3:-2] == ("checks",) and path[-1] in {"password", "private_key"}
    return path[-1:] == ("community",) or path[-2:] in pairs or of_check


def _minute(clock: str) -> int:
    """Of the day, of a `07:00`."""
    return int(clock[:2]) * 60 + int(clock[3:])


def _settings(file: File) -> Settings:
    listen, _, port = file.listen.rpartition(":")
    trap_listen, _, trap_port = file.traps.listen.rpartition(":") if file.traps else ("", "", "162")
    return Settings(
        listen=listen.strip("[]"),
        port=int(port),
        language=file.language,
        timezone=file.timezone,
        page_url=file.page_url or f"http://{file.listen}",
        power_hotline=file.power_hotline,
        digest_minute=_minute(file.digest_at),
        trial_minute=None if file.delivery.trial_at == "never" else _minute(file.delivery.trial_at),
        takeover_seconds=file.delivery.takeover,
        pages_per_minute=file.delivery.pages_per_minute,
        blind_note_seconds=file.delivery.blind_note,
        dead_man_url=Secret(file.delivery.dead_man) if file.delivery.dead_man else None,
        trap_listen=trap_listen.strip("[]"),
        trap_port=int(trap_port),
        traps_per_minute=file.traps.per_minute if file.traps else TrapsEntry().per_minute,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What a reload does, as check ids."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def lines(self, language: str = "vi") -> tuple[str, ...]:
        """The count first, then one line for each line or device: `+` new, `-` gone, `~` measured otherwise than before."""
        words = catalog(language)
        first = words.text("inventory.difference", added=len(self.added), removed=len(self.removed), changed=len(self.changed))
        rows = [
            (*_target(check), sign) for sign, checks in (("+", self.added), ("-", self.removed), ("~", self.changed)) for check in checks
        ]
        grouped: dict[tuple[str, str], list[str]] = {}
        for target, name, sign in sorted(rows):
            grouped.setdefault((target, sign), []).append(name)
        return (first, *(f"{sign} {target}: {', '.join(names)}" for (target, sign), names in grouped.items()))


def _target(check: str) -> tuple[str, str]:
    target, _, name = check.rpartition("/")
    return target, name


def difference(old: Inventory, new: Inventory) -> Difference:
    """What changes from one inventory to the next. Checks that are not named keep belief and timers."""
    return Difference(
        added=tuple(check for check in new.checks if check not in old.checks),
        removed=tuple(check for check in old.checks if check not in new.checks),
        changed=tuple(
            check.id for check in new.checks.values() if check.id in old.checks and old.checks[check.id].fingerprint != check.fingerprint
        ),
    )
