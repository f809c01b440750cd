"""What Pexip Infinity's management status API says, read into frozen nouns. Pure.

Fields as in the vendor's own schema, which every manager shows at /admin/platform/schema/ (v38; fields of `status/worker_vm`, `alarm`,
`licensing`, `participant`, `registration_alias`), documented at https://docs.pexip.com/api_manage/api_status.htm; `last_reported` is
what older versions call `last_updated`. Times are UTC without a zone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from probes._wire.json_values import number, text

__all__ = [
    "LEVELS",
    "LICENCES",
    "QUALITIES",
    "Alarm",
    "Licence",
    "Node",
    "Participant",
    "alarms",
    "bare",
    "licences",
    "nodes",
    "participants",
]

LARGEST = 1e9  # of the numbers there are
# call_quality is `0_unknown` to `4_terrible`.
QUALITIES = ("unknown", "good", "ok", "bad", "terrible")
LEVELS = ("error", "warning", "info")
LICENCES = ("port", "audio", "vmr", "system", "teams", "ghm", "otj", "scheduling", "telehealth")
SYNCED = "SYNCED"
PREFIXES = ("sip:", "sips:", "h323:")
Objects = Sequence[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A Conferencing Node. `reported_wall` is when the manager last heard of it; None where it does not say."""

    name: str
    location: str = ""
    version: str = ""
    sync_status: str = ""
    maintenance: bool = False
    reported_wall: float | None = None
    media_load_ratio: float | None = None
    calls: int | None = None
    most_hd_calls: int | None = None

    @property
    def is_out_of_sync(self) -> bool:
        """Outside maintenance, where it is no fault."""
        return self.sync_status not in {"", SYNCED} and not self.maintenance


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    name: str
    level: str
    details: str = ""
    node: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """`total` is more than 0."""

    name: str
    used: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """`aliases` are all by which the far end may be known, in lower case and without `sip:`; `quality` is one of QUALITIES."""

    conference: str
    quality: str
    aliases: frozenset[str] = frozenset()


def bare(alias: Any) -> str:
    """An alias as it is compared: `sip:Na-Tau@example` is `na-tau@example`."""
    word = text(alias).strip().lower()
    return next((word.removeprefix(prefix) for prefix in PREFIXES if word.startswith(prefix)), word)


def nodes(objects: Objects) -> tuple[Node, ...]:
    return tuple(
        Node(
            name=text(one.get("name")),
            location=text(one.get("system_location")),
            version=text(one.get("version")),
            sync_status=text(one.get("sync_status")).upper(),
            maintenance=one.get("maintenance_mode") is True,
            reported_wall=_wall(one.get("last_updated")) or _wall(one.get("last_reported")),
            media_load_ratio=None if (load := number(one.get("media_load"), LARGEST)) is None else load / 100,
            calls=_count(one.get("signaling_count")),
            most_hd_calls=_count(one.get("max_hd_calls")),
        )
        for one in _named(objects)
    )


def alarms(objects: Objects) -> tuple[Alarm, ...]:
    """Those that nobody acknowledged, the worst first. A level that we do not know counts as the worst."""
    found = [
        Alarm(
            name=text(one.get("name")),
            level=level if (level := text(one.get("level")).lower()) in LEVELS else LEVELS[0],
            details=text(one.get("details")),
            node=text(one.get("node")),
        )
        for one in _named(objects)
        if one.get("acknowledged") is not True
    ]
    return tuple(sorted(found, key=lambda alarm: LEVELS.index(alarm.level)))


def licences(objects: Objects) -> tuple[Licence, ...]:
    """Those there are any of."""
    found = []
    for one in objects:
        for name in LICENCES if isinstance(one, Mapping) else ():
            used, total = _count(one.get(f"{name}_count")), _count(one.get(f"{name}_total"))
            if used is not None and total:
                found.append(Licence(name=name, used=used, total=total))
    return tuple({licence.name: licence for licence in found}.values())


def participants(objects: Objects) -> tuple[Participant, ...]:
    """Without recorders and streams, which are none."""
    return tuple(
        Participant(
            conference=text(one.get("conference")),
            quality=_quality(one.get("call_quality")),
            aliases=frozenset(alias for name in _far_end(one) if (alias := bare(one.get(name)))),
        )
        for one in objects
        if isinstance(one, Mapping) and one.get("is_streaming") is not True
    )


def _far_end(one: Mapping[str, Any]) -> tuple[str, str]:
    """Where the alias of who is in the conference stands; the other of the two is the conference's own."""
    return "destination_alias" if one.get("call_direction") == "out" else "source_alias", "participant_alias"


def _quality(value: Any) -> str:
    word = text(value).partition("_")[2]
    return word if word in QUALITIES else QUALITIES[0]


def _named(objects: Objects) -> Sequence[Mapping[str, Any]]:
    return [one for one in objects if isinstance(one, Mapping) and text(one.get("name"))]


def _count(value: Any) -> int | None:
    found = number(value, LARGEST)
    return None if found is None else int(found)


def _wall(value: Any) -> float | None:
    try:
        moment = datetime.fromisoformat(text(value))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
