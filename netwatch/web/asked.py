"""What people have asked for, in words: what is known of an incident that somebody has, what is silenced or worked on. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from netwatch.lang import Catalog, writing
from netwatch.model import Incident
from netwatch.snapshot import Snapshot, WindowView

__all__ = ["incident_notes", "window_texts"]

MOST_WINDOWS = 30
LONGEST_NOTE = 200


def incident_notes(incident: Incident, now: float, words: Catalog, zone: dt.tzinfo) -> Iterator[str]:
    """When it is expected to be mended, and what people wrote."""
    owner = incident.acknowledgement
    if owner is not None and owner.until is not None:
        yield words.text("acts.eta", at=writing.clock(owner.until, now, words, zone))
    if owner is not None and owner.note:
        yield writing.clean(owner.note, LONGEST_NOTE)
    note = writing.clean(incident.facts.get("note", ""), LONGEST_NOTE)
    if note:
        yield words.text("acts.noted", who=writing.clean(incident.facts.get("note_by", ""), 60), note=note)


def window_texts(snapshot: Snapshot, words: Catalog, zone: dt.tzinfo) -> tuple[str, ...]:
    """Silences and maintenance in force, and work to come within a day."""
    near = [one for one in snapshot.windows if one.starts < snapshot.wall + 86_400.0]
    return tuple(_window_text(one, snapshot.wall, words, zone) for one in near[:MOST_WINDOWS])


def _window_text(one: WindowView, now: float, words: Catalog, zone: dt.tzinfo) -> str:
    key = f"acts.shown_{one.kind}" if one.in_force(now) else f"acts.coming_{one.kind}"
    text = words.text(
        key,
        what=writing.clean(one.matcher, 80),
        starts=writing.clock(one.starts, now, words, zone),
        ends=writing.clock(one.ends, now, words, zone),
    )
    said = (writing.clean(one.who, 60) or words.text("acts.by_inventory"), writing.clean(one.note, LONGEST_NOTE))
    return " · ".join((text, *(part for part in said if part)))
