"""Which profile fits a device: by sysObjectID, then by sysDescr, then by what it answers."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from typing import Final

from probes import ProbeFailed
from probes._snmp_plan import SYSTEM
from probes._snmp_profile import Profile, load, names
from probes._snmp_session import Session, Value
from probes._snmp_text import clean

__all__ = ["AUTO", "OTHER", "identify", "score_of_object_id"]

AUTO: Final = "auto"
OTHER: Final = "device"  # of a kind that nobody described
BY_OBJECT_ID = 1000


async def identify(session: Session, identity: Mapping[str, Value]) -> Profile:
    """The profile with the longest fitting prefix of sysObjectID, or else one that knows its sysDescr, or else the
    weightiest with an object there, or else the one for anything. A guess: netwatch itself is told the profile.
    Raises ProbeFailed `empty` for what says nothing at all of itself.
    """
    object_id = clean(identity.get(SYSTEM["sysObjectID"]))
    found = {name: score_of_object_id(load(name), object_id) for name in names()}
    if not any(found.values()):
        description = clean(identity.get(SYSTEM["sysDescr"]))
        found = {name: load(name).match.weight for name in names() if _described(load(name), description)}
    if not any(found.values()):
        found = {name: load(name).match.weight for name in names() if await _present(session, load(name))}
    best = max(sorted(found), key=lambda name: found[name], default="")
    if not best and not identity:
        raise ProbeFailed("empty")
    return load(best or OTHER)


def score_of_object_id(profile: Profile, object_id: str) -> int:
    """The longest prefix wins over any presence."""
    prefixes = [prefix for prefix in profile.match.object_ids if f"{object_id}.".startswith(f"{prefix}.")]
    return max((BY_OBJECT_ID + prefix.count(".") for prefix in prefixes), default=0)


def _described(profile: Profile, description: str) -> bool:
    return any(fnmatch.fnmatchcase(description.casefold(), pattern.casefold()) for pattern in profile.match.descriptions)


async def _present(session: Session, profile: Profile) -> bool:
    for oid in profile.match.present:
        if (await session.walk(oid, 1)).rows:
            return True
    told = await session.get(list(profile.match.answers)) if profile.match.answers else {}
    return any(told.get(oid) == value for oid, value in profile.match.answers.items())
