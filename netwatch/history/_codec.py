"""Nouns of the model to text and back; pure. Reading ignores keys it does not know, so that a field may go."""

from __future__ import annotations

import json
import math
import re
from array import array
from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

from netwatch.model import Acknowledgement, Audience, Cause, Human, Incident, Page, Severity, Subject

__all__ = [
    "Malformed",
    "human_from",
    "human_text",
    "incident_from",
    "incident_text",
    "pack",
    "page_from",
    "page_text",
    "storable",
    "unpack",
]

CAUSE_TYPES: frozenset[str] = frozenset(get_args(get_type_hints(Cause)["type"]))
CLOSE_REASONS: frozenset[str] = frozenset(get_args(get_type_hints(Incident)["close_reason"]))
PAGE_KINDS: frozenset[str] = frozenset(get_args(get_type_hints(Page)["kind"]))
ACTIONS: frozenset[str] = frozenset(get_args(get_type_hints(Human)["action"]))
AUDIENCES: frozenset[str] = frozenset(get_args(Audience))
SEVERITIES: frozenset[str] = frozenset(get_args(Severity))
LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class Malformed(ValueError):
    """A stored text that this program did not write."""


def storable(text: str) -> str:
    """SQLite takes UTF-8 only; a lone surrogate (from a device's undecodable bytes) becomes U+FFFD."""
    return text if text.isascii() else LONE_SURROGATE.sub("\ufffd", text)


def pack(values: tuple[float, ...]) -> float | bytes | None:
    """One value as a number; none or several as float32, which is 60 ns on a second of round trip; NaN as NULL."""
    if len(values) == 1:
        return None if math.isnan(values[0]) else float(values[0])
    return array("f", values).tobytes()


def unpack(stored: float | bytes | None) -> tuple[float, ...]:
    """Raises Malformed for bytes that are no float32."""
    if stored is None:
        return (math.nan,)
    if isinstance(stored, bytes):
        if len(stored) % 4:
            raise Malformed(f"{len(stored)} bytes are no float32")
        return tuple(array("f", stored))
    return (float(stored),)


def incident_text(incident: Incident) -> str:
    return json.dumps(_incident_document(incident))


def incident_from(text: str) -> Incident:
    """Raises Malformed."""
    return _incident(_load(text))


def page_text(page: Page) -> str:
    document: dict[str, object] = {"incident": _incident_document(page.incident), "kind": page.kind, "wall": page.wall, "pager": page.pager}
    if page.about:
        document["about"] = [_incident_document(incident) for incident in page.about]
    return json.dumps(document)


def page_from(text: str) -> Page:
    """Raises Malformed."""
    document = _load(text)
    try:
        return Page(
            incident=_incident(_mapping(document["incident"])),
            kind=_one_of(document["kind"], PAGE_KINDS),
            wall=_number(document["wall"]),
            pager=_text(document["pager"]),
            about=tuple(_incident(_mapping(one)) for one in _list(document.get("about", []))),
        )
    except KeyError as missing:
        raise Malformed(f"a page without {missing}") from missing


def human_text(human: Human) -> str:
    """Without `at`, which is of a clock that ends with the process."""
    return json.dumps(
        {
            "wall": human.wall,
            "action": human.action,
            "who": human.who,
            "check": human.check,
            "incident": human.incident,
            "matcher": human.matcher,
            "note": human.note,
            "starts": human.starts,
            "until": human.until,
            "window": human.window,
            "via": human.via,
        }
    )


def human_from(text: str) -> Human:
    """Its `at` is 0. Raises Malformed."""
    document = _load(text)
    try:
        return Human(
            at=0.0,
            wall=_number(document["wall"]),
            action=_one_of(document["action"], ACTIONS),
            who=_text(document["who"]),
            check=_text(document["check"]),
            incident=_integer(document["incident"]),
            matcher=_text(document["matcher"]),
            note=_text(document["note"]),
            starts=_number_or_none(document["starts"]),
            until=_number_or_none(document["until"]),
            window=_integer(document["window"]),
            via=_text(document["via"]),
        )
    except KeyError as missing:
        raise Malformed(f"an act without {missing}") from missing


def _incident_document(incident: Incident) -> dict[str, object]:
    acknowledgement = incident.acknowledgement
    return {
        "id": incident.id,
        "key": incident.key,
        "cause": [incident.cause.type, incident.cause.name],
        "sites": list(incident.sites),
        "severity": incident.severity,
        "audience": incident.audience,
        "opened": incident.opened,
        "updated": incident.updated,
        "closed": incident.closed,
        "close_reason": incident.close_reason,
        "members": [[member.check, member.rule, member.instance] for member in incident.members],
        "hidden": incident.hidden,
        "facts": dict(incident.facts),
        "sequence": incident.sequence,
        "confidence": incident.confidence,
        "announced": incident.announced,
        "told": list(incident.told),
        "degraded": list(incident.degraded),
        "relapses": incident.relapses,
        "flapping": incident.flapping,
        "repeats": incident.repeats,
        "reminds": incident.reminds,
        "next_repeat": incident.next_repeat,
        "acknowledgement": acknowledgement
        and {"who": acknowledgement.who, "wall": acknowledgement.wall, "note": acknowledgement.note, "until": acknowledgement.until},
    }


def _incident(document: Mapping[str, Any]) -> Incident:
    try:
        cause_type, cause_name = _list(document["cause"], 2)
        return Incident(
            id=_integer(document["id"]),
            key=_text(document["key"]),
            cause=Cause(_one_of(cause_type, CAUSE_TYPES), _text(cause_name)),
            sites=tuple(_text(site) for site in _list(document["sites"])),
            severity=_one_of(document["severity"], SEVERITIES),
            audience=_one_of(document["audience"], AUDIENCES),
            opened=_number(document["opened"]),
            updated=_number(document["updated"]),
            closed=_number_or_none(document["closed"]),
            close_reason=_one_of(document["close_reason"], CLOSE_REASONS),
            members=tuple(Subject(*(_text(part) for part in _list(member, 3))) for member in _list(document["members"])),
            hidden=_integer(document["hidden"]),
            facts={name: _text(fact) for name, fact in _mapping(document["facts"]).items()},
            sequence=_integer(document["sequence"]),
            acknowledgement=_acknowledgement(document["acknowledgement"]),
            confidence=_number(document.get("confidence", 1.0)),
            announced=document.get("announced", document["sequence"] > 0) is True,
            told=tuple(_text(pager) for pager in _list(document.get("told", []))),
            degraded=tuple(_text(site) for site in _list(document.get("degraded", []))),
            relapses=_integer(document.get("relapses", 0)),
            flapping=document.get("flapping") is True,
            repeats=_integer(document.get("repeats", 0)),
            reminds=document.get("reminds") is True,
            next_repeat=_number_or_none(document.get("next_repeat")),
        )
    except KeyError as missing:
        raise Malformed(f"an incident without {missing}") from missing


def _acknowledgement(document: Any) -> Acknowledgement | None:
    if document is None:
        return None
    found = _mapping(document)
    return Acknowledgement(
        who=_text(found["who"]), wall=_number(found["wall"]), note=_text(found["note"]), until=_number_or_none(found["until"])
    )


def _load(text: str) -> Mapping[str, Any]:
    try:
        return _mapping(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not a stored document: {error}") from error


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Malformed(f"{value!r} is no mapping")
    return value


def _list(value: Any, length: int | None = None) -> list[Any]:
    if not isinstance(value, list) or (length is not None and len(value) != length):
        raise Malformed(f"{value!r} is no list of {length if length is not None else 'anything'}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Malformed(f"{value!r} is no text")
    return value


def _one_of(value: Any, allowed: frozenset[str]) -> Any:
    if not isinstance(value, str) or value not in allowed:
        raise Malformed(f"{value!r} is none of {sorted(allowed)}")
    return value


def _integer(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise Malformed(f"{value!r} is no integer")
    return value


def _number(value: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise Malformed(f"{value!r} is no number")
    try:
        return float(value)
    except OverflowError as error:
        raise Malformed("a number out of range") from error


def _number_or_none(value: Any) -> float | None:
    return None if value is None else _number(value)
