"""The morning digest in words: what waits, then what is over; each by its title. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from netwatch.model import Incident
from netwatch.wording._sms import without_icon
from netwatch.wording._title import title
from netwatch.wording._told import Told

__all__ = ["DIGEST_PREFIX", "lines", "places"]

DIGEST_PREFIX = "netwatch/digest/"  # of the key of a digest of a day
MOST_LINES = 25  # what the shortest message that people read holds


def lines(digest: Told, about: Sequence[Incident]) -> Iterator[str]:
    waiting = [incident for incident in about if incident.closed is None]
    over = [incident for incident in about if incident.closed is not None]
    room = MOST_LINES
    for heading, incidents in (("digest_waiting", waiting), ("digest_over", over)):
        if incidents:
            yield digest.text(heading, count=len(incidents))
            yield from (_line(_as_told(digest, incident)) for incident in incidents[:room])
            if len(incidents) > room:
                yield digest.text("digest_more", count=len(incidents) - room)
            room = max(0, room - len(incidents))


def _as_told(digest: Told, incident: Incident) -> Told:
    kind = "open" if incident.closed is None else "recover"
    return Told(incident, kind, digest.words, digest.wall, digest.zone, digest.page_url)  # type: ignore[arg-type]  # one of the two


def _line(told: Told) -> str:
    """A title without its icon, and since when, where it does not say so."""
    said, clock = without_icon(title(told)), told.clock(told.incident.opened)
    is_said = told.over() or clock in said
    return told.text("digest_line", title=said) if is_said else told.text("digest_line_since", title=said, clock=clock)


def places(digest: Told, about: Iterable[Incident]) -> str:
    """The sites it tells of, each once."""
    told = (_as_told(digest, incident) for incident in about)
    return ", ".join(dict.fromkeys(one.site() for one in told if one.incident.sites))
