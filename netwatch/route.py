"""Who is told: which pagers get the pages of an incident. (The duty roster will be asked here.)"""

from __future__ import annotations

from netwatch.model import Incident

__all__ = ["pagers_for"]


def pagers_for(incident: Incident, pagers: tuple[str, ...]) -> tuple[str, ...]:
    """The names of the pagers to tell, of those there are; none for what can wait for the morning."""
    return pagers if incident.audience == "page" else ()
