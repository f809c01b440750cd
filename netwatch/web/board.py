"""The wallboard as data: what `board.html` prints. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from netwatch.lang import Catalog, writing
from netwatch.model import Incident, State
from netwatch.snapshot import SiteView, Snapshot, TargetView
from netwatch.web import words as say
from netwatch.web.asked import incident_notes, window_texts

__all__ = ["COLUMNS", "ROWS", "Board", "Problem", "Reader", "Tile", "board_of", "problems_of", "unbroken"]

COLUMNS, ROWS = 8, 10
FRESH_SECONDS = 30 * 60
MOST_PROBLEMS = 40
MOST_ALIKE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """For whom a page is written."""

    words: Catalog
    zone: dt.tzinfo
    theme: str = ""  # light, dark, or empty: as the browser prefers


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    slug: str
    name: str
    state: str
    mark: str  # its icon: the state, or rechecking
    state_text: str
    fact: str
    story: str  # all of it in one line: for screen readers and for the tooltip
    place: str  # CSS classes of column and row; empty for a site without a cell
    acknowledged: bool
    fresh: bool
    mild: bool  # nothing that wakes anybody: a printer, a toner


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One open incident, or a site in trouble that no incident speaks of."""

    key: str
    state: str
    state_text: str
    title: str
    slug: str
    since: str
    lasted: str
    notes: tuple[str, ...]
    owner: str
    handled: bool  # somebody has it
    urgent: bool  # nobody has it, and it does not wait for the morning
    quiet: bool = False  # a matter of the morning digest
    mark: str = ""  # its icon, where that is not the state's


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    sentence: str
    moment: str
    wall: float
    revision: int
    started: float
    unhandled: int
    icon: str  # which favicon: ok, warn, crit
    problems: tuple[Problem, ...]
    quiet: tuple[Problem, ...]  # those of the morning digest, folded away
    left_out: int
    tiles: tuple[Tile, ...]
    homeless: tuple[Tile, ...]
    hubs: tuple[Tile, ...]
    banners: tuple[str, ...]
    windows: tuple[str, ...]  # silences and maintenance
    legend: tuple[tuple[str, str, int], ...]


def board_of(snapshot: Snapshot, reader: Reader) -> Board:
    words = reader.words
    problems = problems_of(snapshot, reader)
    loud = tuple(one for one in problems if not one.quiet)
    unhandled = [one for one in problems if one.urgent]
    communes, homeless, hubs = _tiles(snapshot, reader)
    worst = min((say.worst_first(State(one.state)) for one in unhandled), default=len(say.WORST_FIRST))
    counts = snapshot.counts()
    return Board(
        sentence=unbroken(say.sentence(snapshot, words)),
        moment=writing.stamp(snapshot.wall, words, reader.zone),
        wall=snapshot.wall,
        revision=snapshot.revision,
        started=snapshot.self_view.started_wall,
        unhandled=len(unhandled),
        icon="crit" if worst == 0 else "warn" if unhandled else "ok",
        problems=loud[:MOST_PROBLEMS],
        quiet=tuple(one for one in problems if one.quiet),
        left_out=max(0, len(loud) - MOST_PROBLEMS),
        tiles=communes,
        homeless=homeless,
        hubs=hubs,
        banners=_banners(snapshot, words),
        windows=window_texts(snapshot, words, reader.zone),
        legend=tuple(
            [(state.value, say.state_text(state, words), counts[state]) for state in (State.OK, *say.WORST_FIRST[:-1])]
            + [(say.RECHECKING, words.text("state.rechecking"), snapshot.rechecking())]
        ),
    )


def unbroken(sentence: str) -> str:
    """Lines break between the parts of the sentence only."""
    return " ".join(part.replace(" ", "\u00a0") for part in sentence.replace(" · ", "\u00a0·|").split("|"))


def problems_of(snapshot: Snapshot, reader: Reader) -> tuple[Problem, ...]:
    """Urgent and worst first, the newest before the older."""
    sites = {view.site.id: view for view in snapshot.sites}
    spoken_of = {slug for incident in snapshot.incidents for slug in incident.sites}
    found = [(incident.opened, _of_incident(incident, sites, snapshot.wall, reader)) for incident in snapshot.incidents]
    silent = [view for view in snapshot.sites if view.state not in {State.OK, State.MAINTENANCE} and view.site.id not in spoken_of]
    for state in (State.UNKNOWN, State.UNREACHABLE):
        alike = [view for view in silent if view.state is state]
        if len(alike) > MOST_ALIKE:
            silent = [view for view in silent if view.state is not state]
            found.append((0.0, _of_many(alike, state, reader)))
    found += [(view.since or 0.0, _of_site(view, snapshot.wall, reader)) for view in silent]
    found.sort(key=lambda pair: (not pair[1].urgent, pair[1].handled, say.worst_first(State(pair[1].state)), -pair[0], pair[1].key))
    return tuple(problem for _, problem in found)


def _of_incident(incident: Incident, sites: Mapping[str, SiteView], now: float, reader: Reader) -> Problem:
    words = reader.words
    state = State.CRIT if incident.severity == "critical" else State.WARN
    notes = []
    if incident.cause.type == "netwatch":
        notes.append(say.reason_text(incident.facts.get("code_word", ""), incident.facts.get("detail", ""), words))
    if len(incident.sites) > 1:
        notes.append(", ".join(sites[slug].site.name if slug in sites else slug for slug in incident.sites[:12]))
    if incident.hidden:
        notes.append(words.text("page.hidden", count=incident.hidden))
    office = say.office_text(incident.facts.get("office", ""))
    if office and len(incident.sites) == 1 and incident.facts.get("site_name", "") not in office:
        notes.append(words.text("page.office", office=office))
    notes += incident_notes(incident, now, words, reader.zone)
    owner = incident.acknowledgement
    return Problem(
        key=f"i{incident.id}",
        state=state.value,
        state_text=say.state_text(state, words),
        title=say.incident_text(incident, sites, words),
        slug=incident.sites[0] if len(incident.sites) == 1 and incident.sites[0] in sites else "",
        since=writing.clock(incident.opened, now, words, reader.zone),
        lasted=writing.age(now - incident.opened, words),
        notes=tuple(note for note in notes if note),
        owner=writing.clean(owner.who, 60) if owner else "",
        handled=owner is not None,
        urgent=owner is None and incident.severity != "info",
        quiet=incident.severity == "info",
    )


def _of_site(view: SiteView, now: float, reader: Reader) -> Problem:
    words = reader.words
    return Problem(
        key=f"s-{view.site.id}",
        state=view.state.value,
        state_text=say.mark_text(view, words),
        title=f"{view.site.name}: {say.site_text(view, words, marked=True)}",
        slug=view.site.id,
        since=writing.clock(view.since, now, words, reader.zone) if view.since else "",
        lasted=writing.age(now - view.since, words) if view.since else "",
        notes=(),
        owner="",
        handled=False,
        urgent=say.mark(view) in {State.CRIT.value, State.UNKNOWN.value},
        mark=say.mark(view),
    )


def _of_many(views: list[SiteView], state: State, reader: Reader) -> Problem:
    """At start, or when netwatch is blind, dozens of sites are alike: one row, not dozens."""
    named = ", ".join(view.site.name for view in views[:12]) + (" …" if len(views) > 12 else "")
    waiting = state is State.UNKNOWN and all(view.since is None for view in views)
    key = "state.count_waiting_sites" if waiting else f"state.count_{state.value}_sites"
    return Problem(
        key=f"all-{state.value}",
        state=state.value,
        state_text=say.state_text(state, reader.words),
        title=reader.words.text(key, count=len(views)),
        slug="",
        since="",
        lasted="",
        notes=(named,),
        owner="",
        handled=False,
        urgent=state is State.UNKNOWN and not waiting,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Marks:
    """What incidents say of sites."""

    acknowledged: frozenset[str]
    mild: frozenset[str]


def _tiles(snapshot: Snapshot, reader: Reader) -> tuple[tuple[Tile, ...], tuple[Tile, ...], tuple[Tile, ...]]:
    """On the cartogram, without a cell of their own, and hubs."""
    marks = _Marks(
        acknowledged=frozenset(slug for one in snapshot.incidents if one.acknowledgement for slug in one.sites),
        mild=frozenset(slug for one in snapshot.incidents if one.severity == "info" for slug in one.sites)
        - frozenset(slug for one in snapshot.incidents if one.severity != "info" for slug in one.sites),
    )
    placed, homeless, hubs = [], [], []
    taken: set[tuple[int, int]] = set()
    for view in sorted(snapshot.sites, key=lambda one: (one.site.tile or (0, 0))[::-1]):
        cell = view.site.tile
        free = cell is not None and 0 <= cell[0] < COLUMNS and 0 <= cell[1] < ROWS and cell not in taken
        if view.site.kind == "hub":
            hubs.append(_tile(view, "", snapshot.wall, reader, marks))
        elif cell is not None and free:
            taken.add(cell)
            placed.append(_tile(view, f"c{cell[0] + 1} r{cell[1] + 1}", snapshot.wall, reader, marks))
        else:
            homeless.append(_tile(view, "", snapshot.wall, reader, marks))
    return tuple(placed), tuple(homeless), tuple(hubs)


def _tile(view: SiteView, place: str, now: float, reader: Reader, marks: _Marks) -> Tile:
    words = reader.words
    since = writing.clock(view.since, now, words, reader.zone) if view.since else ""
    story = [view.site.name, say.mark_text(view, words)]
    if say.mark(view) == State.OK.value:
        story += [writing.seconds(view.rtt_seconds, words)] if view.rtt_seconds is not None else []
    else:
        story += [text for text in (say.site_text(view, words, marked=True),) if text.casefold() != story[1].casefold()]
        story += [words.text("page.since", since=since)] if since else []
    if view.site.id in marks.acknowledged:
        story.append(words.text("page.acknowledged"))
    return Tile(
        slug=view.site.id,
        name=writing.clean(view.site.name, 40),
        state=view.state.value,
        mark=say.mark(view),
        state_text=say.mark_text(view, words),
        fact=_fact(view, writing.clock_or_day(view.since, now, words, reader.zone) if view.since else "", words),
        story=", ".join(story),
        place=place,
        acknowledged=view.site.id in marks.acknowledged,
        mild=view.state is State.WARN and view.site.id in marks.mild,
        fresh=view.since is not None and view.state is not State.OK and now - view.since < FRESH_SECONDS,
    )


def _fact(view: SiteView, since: str, words: Catalog) -> str:
    """The one thing a tile has room for."""
    if say.mark(view) == say.RECHECKING:
        return words.text("page.tile_rechecking")
    if view.state is State.OK:
        return writing.seconds(view.rtt_seconds, words) if view.rtt_seconds is not None else ""
    if view.state in {State.MAINTENANCE, State.UNREACHABLE}:
        return words.text(f"page.tile_{view.state.value}")
    if view.up is False or view.state is State.UNKNOWN:
        return words.text("page.tile_since", since=since) if since else say.state_text(view.state, words)
    if view.loss_ratio:
        return words.text("page.tile_loss", loss=writing.percent(view.loss_ratio, words))
    worst = min(say.troubled_targets(view), key=say.weight, default=None)
    return _short_name(worst, words) if worst else say.state_text(view.state, words)


def _short_name(target: TargetView, words: Catalog) -> str:
    """A tile on a phone is 43 pixels wide: `UPS`, `máy in`."""
    key = f"page.tile_{'line' if target.kind == 'line' else target.role}"
    return words.text(key) if words.has(key) else say.target_name(target, words)


def _banners(snapshot: Snapshot, words: Catalog) -> tuple[str, ...]:
    """What is wrong with netwatch itself: the reader must know when not to trust the page."""
    own = snapshot.self_view
    banners = [words.text("acts.isolated")] if snapshot.isolated else []
    if not own.inventory_ok:
        banners.append(words.text("page.inventory_bad", error=writing.clean(own.inventory_errors[0]) if own.inventory_errors else ""))
    if not own.database_ok:
        banners.append(words.text("page.database_bad"))
    return tuple(banners)
