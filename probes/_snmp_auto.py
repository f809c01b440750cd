"""Which profile fits a device: by sysObjectID, then by what it answers."""

from __future__ import annotations

from collections.abc import Mapping

from probes import ProbeFailed, Reading
from probes._snmp_plan import SYSTEM
from probes._snmp_profile import Profile, load, names
from probes._snmp_session import Session, Value
from probes._snmp_text import clean

__all__ = ["AUTO", "identify", "score_of_object_id"]

AUTO = "auto"
BY_OBJECT_ID = 1000


async def identify(session: Session, identity: Mapping[str, Value]) -> Profile:
    """The profile with the longest fitting prefix of sysObjectID, or else the weightiest with an object there. A guess: netwatch itself is told the profile. Raises ProbeFailed `no_profile`."""
    object_id = clean(identity.get(SYSTEM["sysObjectID"]))
    found = {name: score_of_object_id(load(name), object_id) for name in names()}
    if not any(found.values()):
        found = {name: load(name).match.weight for name in names() if await _present(session, load(name))}
    best = max(sorted(found), key=lambda name: found[name], default="")
    if not best:
        raise ProbeFailed(
            "no_profile", reading=Reading(facts={"sysObjectID": object_id, "sysDescr": clean(identity.get(SYSTEM["sysDescr"]))})
        )
    return load(best)


def score_of_object_id(profile: Profile, object_id: str) -> int:
    """The longest prefix wins over any presence."""
    prefixes = [prefix for prefix in profile.match.object_ids if f"{object_id}.".startswith(f"{prefix}.")]
    return max((BY_OBJECT_ID + prefix.count(".") for prefix in prefixes), default=0)


async def _present(session: Session, profile: Profile) -> bool:
    for oid in profile.match.present:
        if (await session.walk(oid, 1)).rows:
            return True
    return False
