"""How `netwatch line` lists what lines stand at, and single records."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from netwatch import ledger
from netwatch.lang import Catalog, writing
from netwatch.ledger import Entry
from netwatch.line import Limits, Past, below_contract, judged_again, past_of, standing, wall_of
from netwatch.model import Inventory
from netwatch.web.line import between, megabytes, reason_text

__all__ = ["found_cells", "is_verdict", "judged_otherwise", "record_row", "row", "standings"]

LOOKED_BACK_SECONDS = 400 * 86_400.0
Key = tuple[str, str, str]  # site, line, direction


def is_verdict(entry: Entry) -> bool:
    """Whether it is a line's record, and not something else that a ledger may hold."""
    try:
        past_of(entry.record)
        return all(isinstance(entry.record[name], str) for name in ("site", "line", "direction"))
    except (KeyError, TypeError, ValueError):
        return False


def standings(path: Path, inventory: Inventory | None, site: str, wall: float, zone: dt.tzinfo) -> list[dict[str, Any]]:
    """Of each direction of each line of the inventory, and of what the ledger has as long as verdicts count, or 400 days where one needs them."""
    names = {one.id: one.name for one in inventory.sites.values()} if inventory else {}
    contracts: dict[Key, float] = {}
    for known in inventory.sites.values() if inventory else ():
        for line in known.lines.values() if site in {"", known.id} else ():
            for direction, contract in (("down", line.contract_down_bits_per_second), ("up", line.contract_up_bits_per_second)):
                if contract > 0:
                    contracts[known.id, line.id, direction] = contract
    limits = Limits(stale_seconds=inventory.line_tests.stale_after_seconds) if inventory else Limits()
    pasts, newest = _pasts(path, contracts if inventory else None, site, wall, limits)
    for key, record in newest.items():
        contracts.setdefault(key, float(record.get("contract_bits_per_second") or 0))
    return [
        _standing(key, names.get(key[0]) or str(newest.get(key, {}).get("site_name", "")), contract, pasts.get(key, []), wall, zone, limits)
        for key, contract in contracts.items()
    ]


def _pasts(
    path: Path, keys: Iterable[Key] | None, site: str, wall: float, limits: Limits
) -> tuple[dict[Key, list[Past]], dict[Key, Mapping[str, Any]]]:
    """Read back until nothing older can change what is told: what is stale counts only for when a line was last proved.

    `keys` are the lines there are; None: all that the ledger knows of.
    """
    pasts: dict[Key, list[Past]] = {}
    newest: dict[Key, Mapping[str, Any]] = {}
    unproved, old = set(keys or ()), False
    stale_seconds = limits.stale_seconds

    def wanted(found: str) -> bool:
        return site in {"", found} and (not old or keys is None or any(key[0] == found for key in unproved))

    for entry in ledger.newest_first(path, wanted) if path.exists() else ():
        if not is_verdict(entry):
            continue
        record = entry.record
        key = (record["site"], record["line"], record["direction"])
        age = wall - wall_of(record)
        old = old or age > stale_seconds
        if age > LOOKED_BACK_SECONDS or (old and keys is not None and not unproved):
            break
        if key not in newest:
            newest[key] = record
            unproved.add(key)
        if record["verdict"] == "proved":
            unproved.discard(key)
        pasts.setdefault(key, []).append(past_of(record))
    return pasts, newest


def _standing(key: Key, name: str, contract: float, pasts: Sequence[Past], wall: float, zone: dt.tzinfo, limits: Limits) -> dict[str, Any]:
    found = standing(pasts, wall, limits)
    return {
        "site": key[0],
        "name": name,
        "line": key[1],
        "direction": key[2],
        "contract_bits_per_second": contract,
        "verdict": found.verdict,
        "reason": found.reason,
        "at": writing.rfc3339(found.last.wall, zone) if found.last else None,
        "proved_at": writing.rfc3339(found.proved_wall, zone) if found.proved_wall is not None else None,
        "below_contract": bool(below_contract(pasts, wall, limits)),
        "number": found.last.number if found.last else None,
    }


def judged_otherwise(path: Path) -> dict[int, tuple[str, str]]:
    """Of records whose inputs make today's judge say something else: what was recorded, and what it says."""
    found = {}
    for entry in ledger.newest_first(path):
        if is_verdict(entry):
            then = str(entry.record["verdict"])
            try:
                now: str = judged_again(entry.record).verdict
            except (KeyError, TypeError, ValueError):
                now = "stale"  # of another version: it cannot be told
            if now not in {then, "stale"}:
                found[entry.number] = (then, now)
    return dict(sorted(found.items()))


def row(one: Mapping[str, Any], words: Catalog, zone: dt.tzinfo) -> Sequence[str]:
    reason = words.text("line.below") if one["below_contract"] else reason_text(one["reason"], words)
    return (
        writing.clean(one["name"]) or one["site"],
        one["line"],
        words.text(f"line.direction_{one['direction']}"),
        writing.bits_per_second(one["contract_bits_per_second"], words),
        words.text(f"line.verdict_{one['verdict']}"),
        reason,
        *(
            writing.stamp(dt.datetime.fromisoformat(one[name]).timestamp(), words, zone) if one[name] else ""
            for name in ("at", "proved_at")
        ),
    )


def found_cells(told: Mapping[str, Any], words: Catalog) -> Sequence[str]:
    """Verdict, reason, rate, bounds, cost and length of a record, or of what a test told of it."""
    value, low, high = (told.get(f"{name}_bits_per_second") for name in ("value", "low", "high"))
    return (
        words.text(f"line.verdict_{told['verdict']}"),
        reason_text(str(told["reason"]), words),
        writing.bits_per_second(value, words) if value else "",
        between(low, high, words),
        megabytes(int(told["bytes"] or 0), words),
        writing.seconds(float(told["seconds"]), words) if told["seconds"] else "",
    )


def record_row(entry: Entry, words: Catalog, zone: dt.tzinfo) -> Sequence[str]:
    record = entry.record
    how = writing.clean(str(record.get("method") or record.get("step") or ""))
    return (
        str(entry.number),
        writing.stamp(wall_of(record), words, zone),
        writing.clean(record["line"]),
        words.text(f"line.direction_{record['direction']}"),
        *found_cells(record, words),
        f"{how} · {words.text('line.step_full')}" if record.get("step") == "full" else how,
    )
