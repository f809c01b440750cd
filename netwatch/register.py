"""The register of equipment: what each device last said that it is, and when it was last there. Outlives the process.

It is told of each result and writes a file of its own, now and then: what it does not keep is a figure that may be lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netwatch.model import Check, Inventory, Outcome, Result
from netwatch.whole_file import write_whole

__all__ = ["FACTS", "FILE_NAME", "Known", "Register"]

log = logging.getLogger(__name__)

FILE_NAME = "devices.json"
WRITE_SECONDS = 300.0
FACTS = ("model", "serial", "firmware", "sysName", "sysLocation", "sysDescr", "sysObjectID")
TELLING = ("model", "serial", "firmware")  # that these change is worth remembering: another device, or another version
MOST_CHANGES = 20


@dataclass(slots=True)
class Known:
    """A device as it was last seen. Times are wall seconds; a change is (when, which fact, before, after)."""

    first_seen: float
    last_seen: float
    facts: dict[str, str] = field(default_factory=dict)
    changes: list[tuple[float, str, str, str]] = field(default_factory=list)

    def learn(self, told: Mapping[str, str], wall: float) -> None:
        """What was not told this time stays as it was: an agent may be busy."""
        for name in FACTS:
            new, old = told.get(name, ""), self.facts.get(name, "")
            if not new or new == old:
                continue
            if old and name in TELLING:
                self.changes = [*self.changes, (wall, name, old, new)][-MOST_CHANGES:]
            self.facts[name] = new


class Register:
    """By site and device. What is no longer in the inventory stays, for whoever asks what became of it."""

    def __init__(self, inventory: Callable[[], Inventory], directory: Path) -> None:
        self._inventory = inventory
        self._path = directory / FILE_NAME
        self._known = _read(self._path)
        self._changed = False

    def note(self, check: Check, result: Result) -> None:
        """Whatever a device answers, it is there; only what answered says what it is."""
        if result.outcome is not Outcome.OK:
            return
        key = f"{check.site}/{check.target}"
        known = self._known.get(key)
        if known is None:
            site = self._inventory().sites.get(check.site)
            if site is None or check.target not in site.devices:
                return
            known = self._known[key] = Known(result.wall, result.wall)
        known.last_seen = max(known.last_seen, result.wall)
        known.learn(result.facts, result.wall)
        self._changed = True

    def rows(self) -> list[dict[str, Any]]:
        """A device each: of the inventory first, then those that were in it once."""
        found = []
        for site in self._inventory().sites.values():
            for device in site.devices.values():
                known = self._known.get(f"{site.id}/{device.id}")
                own = {"role": device.role, "label": device.label, "address": device.address, "profile": device.profile}
                row = _row(site.id, site.name, device.id, known) | own | {"warranty_until": device.warranty_until, "watched": True}
                found.append(row | ({"serial": device.serial} if device.serial else {}))
        there = {(row["site"], row["device"]) for row in found}
        for key, known in sorted(self._known.items()):
            site_id, _, device_id = key.partition("/")
            if (site_id, device_id) not in there:
                found.append(_row(site_id, site_id, device_id, known) | dict.fromkeys(("role", "label", "address", "profile"), ""))
        return found

    async def run(self) -> None:
        """Writes now and then, and once more when it is cancelled."""
        try:
            while True:
                await asyncio.sleep(WRITE_SECONDS)
                await asyncio.to_thread(self.write)
        finally:
            self.write()

    def write(self) -> None:
        """A disk that refuses costs what is new, until it takes it again."""
        if not self._changed:
            return
        self._changed = False
        devices = {key: [one.first_seen, one.last_seen, dict(one.facts), list(one.changes)] for key, one in list(self._known.items())}
        try:
            write_whole(self._path, json.dumps({"schema": "netwatch/v1/register", "devices": devices}, ensure_ascii=False).encode())
        except OSError as error:
            self._changed = True
            log.warning("the register of devices was not written", extra={"why": error.strerror or str(error)})


def _row(site: str, site_name: str, device: str, known: Known | None) -> dict[str, Any]:
    facts = known.facts if known is not None else {}
    return {
        "site": site,
        "site_name": site_name,
        "device": device,
        **{name: facts.get(name, "") for name in FACTS},
        "first_seen": known.first_seen if known is not None else None,
        "last_seen": known.last_seen if known is not None else None,
        "changes": [{"wall": at, "fact": name, "old": old, "new": new} for at, name, old, new in (known.changes if known else ())],
        "warranty_until": "",
        "watched": False,
    }


def _read(path: Path) -> dict[str, Known]:
    """What was written; a file that cannot be understood is put aside under another name."""
    try:
        devices = json.loads(path.read_text("utf-8"))["devices"]
        return {
            str(key): Known(float(first), float(last), {str(name): str(fact) for name, fact in facts.items()}, _changes(changes))
            for key, (first, last, facts, changes) in devices.items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        log.warning("the register of devices cannot be read; it begins anew", extra={"why": str(error)[:200]})
        with contextlib.suppress(OSError):
            path.replace(path.with_name(f"{FILE_NAME}.damaged"))
        return {}


def _changes(written: Any) -> list[tuple[float, str, str, str]]:
    return [(float(at), str(name), str(old), str(new)) for at, name, old, new in written][-MOST_CHANGES:]
