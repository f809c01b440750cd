"""Who is ready for a meeting, or how it was for whom, as a message. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from netwatch.conference import LEVELS, Reason
from netwatch.lang import writing
from netwatch.model import Incident
from netwatch.wording._title import LONGEST_TITLE, cut
from netwatch.wording._told import Told
from netwatch.wording.conference import do_text, reason_text

__all__ = ["PREFIX", "is_of_a_meeting", "lines", "title"]

PREFIX = "netwatch/conference/"  # of the key of what is told of a meeting
ICONS = {"info": "🟢", "warning": "🟠", "critical": "🔴"}
MOST_PLACES = 10
LONGEST_NAME = 40


def is_of_a_meeting(incident: Incident) -> bool:
    return incident.key.startswith(PREFIX)


def title(told: Told) -> str:
    """`43/45 điểm cầu sẵn sàng cho 07:30`."""
    step = "after" if told.fact("step") == "after" else "before"
    icon = ICONS.get(told.incident.severity, ICONS["info"])
    counts = {"ready": told.figure("ready"), "places": told.figure("places")}
    return cut(f"{icon} {told.text(f'meeting_title_{step}', clock=told.clock(_starts(told)), **counts)}", LONGEST_TITLE)


def lines(told: Told) -> Iterator[str]:
    yield told.text("meeting_about", name=told.fact("meeting", 80), clock=told.clock(_starts(told)), at=told.clock(told.incident.opened))
    places = list(_places(told.incident))
    for one in places[:MOST_PLACES]:
        yield from _place(told, one)
    if len(places) > MOST_PLACES:
        yield told.text("meeting_more", count=len(places) - MOST_PLACES)
    if not places:
        yield told.text("meeting_all_well")


def _starts(told: Told) -> float:
    try:
        return float(told.incident.facts.get("starts", ""))
    except ValueError:
        return told.incident.opened


def _place(told: Told, one: Mapping[str, Any]) -> Iterator[str]:
    reason = _reason(one)
    if reason is None:
        return
    name = writing.clean(str(one.get("name", "")), LONGEST_NAME)
    yield told.text("meeting_place", name=name, why=reason_text(reason, told.words, told.incident.opened, told.zone))
    if told.fact("step") != "after":
        ring = writing.clean(str(one.get("ring", "")), 80)
        yield told.text("meeting_do_ring" if ring else "meeting_do", do=do_text(reason, told.words), ring=ring)


def _places(incident: Incident) -> Iterator[Mapping[str, Any]]:
    """What was stored; what cannot be read is left out: a message can always be written."""
    try:
        found = json.loads(incident.facts.get("places_told", "[]"))
    except (ValueError, RecursionError):
        return
    for one in found if isinstance(found, list) else ():
        if isinstance(one, dict):
            yield one


def _reason(one: Mapping[str, Any]) -> Reason | None:
    level, code, fields = one.get("level"), one.get("code"), one.get("fields", {})
    if level not in LEVELS or not isinstance(code, str) or not isinstance(fields, dict):
        return None
    return Reason(level=level, code=code, whom="", fields=fields)
