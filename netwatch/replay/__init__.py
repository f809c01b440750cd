"""Recorded history through today's decisions, or through those of another inventory: whom would it have woken?

Runs are kept for two days; before that only changes of belief are, and they are taken as they were decided.
"""

from __future__ import annotations

from netwatch.model import Inventory
from netwatch.replay._player import Player
from netwatch.replay._reading import NothingRecorded, read
from netwatch.replay._story import SHORT_SECONDS, Difference, Doubt, Report, Story, difference, doubts, unwatched_seconds, was_told
from netwatch.replay._tape import Tape

__all__ = [
    "SHORT_SECONDS",
    "Difference",
    "Doubt",
    "NothingRecorded",
    "Report",
    "Story",
    "Tape",
    "difference",
    "doubts",
    "play",
    "read",
    "unwatched_seconds",
    "was_told",
]


def play(tape: Tape, inventory: Inventory) -> Report:
    """The same tape and inventory give the same pages."""
    player = Player(inventory, tape)
    player.run()
    pages = tuple((wall, page) for wall, page in player.pages if tape.since <= wall < tape.until)
    told: dict[int, float] = {}
    for wall, page in pages:
        if page.kind == "open" and not page.about:
            told.setdefault(page.incident.id, wall)
    stories = tuple(Story(incident=player.incidents[number], told_wall=wall) for number, wall in told.items())
    return Report(pages=pages, stories=stories, transitions=player.transitions)
