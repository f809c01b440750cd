"""What a demo tells: incidents as they open and end, pages as they arrive, and the table of sites."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from netwatch.lang import Catalog, writing
from netwatch.model import State
from netwatch.web import words as say

if TYPE_CHECKING:
    from rich.console import RenderableType

    from netwatch.snapshot import SiteView, Snapshot

__all__ = ["Story"]

LOG_LINES_SHOWN = 10
COLORS = {State.OK: "green", State.WARN: "yellow", State.CRIT: "bold red", State.MAINTENANCE: "blue"}


@dataclass(slots=True)
class Story:
    """`tell` is given each new line, in words; the lines are kept as well."""

    words: Catalog
    tell: Callable[[str], None]
    started: float = field(default_factory=time.monotonic)
    lines: list[str] = field(default_factory=list)
    opened: set[int] = field(default_factory=set)
    closed: set[int] = field(default_factory=set)
    pages: int = 0
    restarted: int = 0

    def lasted(self) -> float:
        return time.monotonic() - self.started

    def clock(self) -> str:
        minutes, seconds = divmod(int(self.lasted()), 60)
        return f"{minutes:02}:{seconds:02}"

    def say(self, key: str, **fields: object) -> None:
        line = self.words.text(f"lab.{key}", clock=self.clock(), **fields)
        self.lines.append(line)
        self.tell(line)

    def look(self, snapshot: Snapshot) -> None:
        """Tells of incidents that have opened or ended since the last look."""
        sites = {view.site.id: view for view in snapshot.sites}
        for incident in sorted((*snapshot.incidents, *snapshot.closed), key=lambda each: each.opened):
            if incident.id not in self.opened:
                self.opened.add(incident.id)
                self.say("opened", title=say.incident_text(incident, sites, self.words))
        for incident in snapshot.closed:
            if incident.id not in self.closed:
                self.closed.add(incident.id)
                self.say("closed", title=say.incident_text(incident, sites, self.words))

    def page(self, document: dict[str, Any]) -> None:
        """A page has been delivered, as any receiver of webhooks would get it."""
        self.pages += 1
        key = f"run.page_{document.get('kind', '')}"
        self.say("page_sent", kind=self.words.text(key) if self.words.has(key) else "", title=document.get("text", {}).get("title", ""))

    def summary(self) -> str:
        return self.words.text(
            "lab.summary",
            lasted=writing.seconds(self.lasted(), self.words),
            opened=len(self.opened),
            closed=len(self.closed),
            pages=self.pages,
        )

    # --- the table

    def rows(self, snapshot: Snapshot) -> list[tuple[State, tuple[str, ...]]]:
        """Every commune site, problems first: name, state, what is wrong, round trip, loss."""
        communes = [view for view in snapshot.sites if view.site.kind == "commune"]
        return [(view.state, self._row(view)) for view in sorted(communes, key=lambda view: say.worst_first(view.state))]

    def headings(self) -> tuple[str, ...]:
        return tuple(self.words.text(f"lab.column_{name}") for name in ("site", "state", "what", "rtt", "loss"))

    def _row(self, view: SiteView) -> tuple[str, ...]:
        rtt = writing.seconds(view.rtt_seconds, self.words) if view.rtt_seconds is not None and view.up else "–"
        loss = writing.percent(view.loss_ratio, self.words) if view.loss_ratio else ""
        return view.site.name, say.state_text(view.state, self.words), say.site_text(view, self.words), rtt, loss

    def screen(self, snapshot: Snapshot) -> RenderableType:
        """One screen for a terminal: the sentence, the problems, the healthy sites in columns, the last events."""
        from rich.columns import Columns
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        problems = Table(*self.headings(), box=None, pad_edge=False)
        healthy = []
        for state, row in self.rows(snapshot):
            if state is State.OK:
                healthy.append(Text.assemble(("● ", "green"), row[0], " ", (row[3], "dim")))
            else:
                problems.add_row(*row, style=COLORS.get(state, "magenta"))
        events = [Text(line, no_wrap=True, overflow="ellipsis") for line in self.lines[-LOG_LINES_SHOWN:]]
        title = Text(f"{self.clock()}  {say.sentence(snapshot, self.words)}", style="bold")
        middle: list[RenderableType] = [problems, Text()] if problems.row_count else []
        return Group(title, Text(), *middle, Columns(healthy, padding=(0, 2)), Text(), *events)
