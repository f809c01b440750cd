"""One site's page as data: what `site.html` prints. Pure."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from netwatch.lang import Catalog, writing
from netwatch.model import Belief, Sample, State, Transition
from netwatch.snapshot import CheckView, LineView, SiteView, Snapshot, TargetView
from netwatch.web import standings
from netwatch.web import words as say
from netwatch.web.board import Problem, Reader, problems_of
from netwatch.web.changes import transition_text

__all__ = ["CheckRow", "Event", "Hop", "Place", "TargetRow", "dialable", "place_of"]

MOST_KEY_VALUES = 6
PATH_ROLES = ("router", "switch")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRow:
    name: str
    kind: str
    state: str
    mark: str  # its icon: the state, or rechecking
    state_text: str
    text: str
    since: str
    last: str
    every: str
    values: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingRow:
    """One direction of a line against its contract; `month` is of the sheet with its evidence."""

    mark: str
    title: str
    text: str
    month: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRow:
    id: str
    name: str
    is_line: bool
    address: str
    state: str
    mark: str  # its icon: the state, or rechecking
    state_text: str
    text: str
    since: str
    lasted: str
    about: tuple[tuple[str, str], ...]
    values: tuple[tuple[str, str], ...]
    problems: tuple[tuple[str, str], ...]  # state, text
    checks: tuple[CheckRow, ...]
    standings: tuple[StandingRow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One station of the path strip: what carries everything to its right."""

    name: str
    state: str
    mark: str  # its icon: the state, or rechecking
    state_text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    moment: str
    mark: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    slug: str
    title: str
    name: str
    state: str
    mark: str  # its icon: the state, or rechecking
    state_text: str
    text: str
    since: str
    lasted: str
    about: tuple[tuple[str, str], ...]
    contact_name: str
    phone: str
    phone_link: str
    path: tuple[tuple[Hop, ...], ...]  # stages; hops of one stage are side by side
    problems: tuple[Problem, ...]
    targets: tuple[TargetRow, ...]
    events: tuple[Event, ...]
    wall: float
    moment: str
    month: str  # of the evidence sheet that is being filled
    revision: int
    started: float
    unhandled: int
    icon: str


def place_of(snapshot: Snapshot, view: SiteView, transitions: Sequence[Transition], reader: Reader) -> Place:
    words, now = reader.words, snapshot.wall
    everything = problems_of(snapshot, reader)
    here = {f"i{one.id}" for one in snapshot.incidents if view.site.id in one.sites}
    phone = writing.clean(view.site.contact.phone, 40) if view.site.contact else ""
    return Place(
        slug=view.site.id,
        title=view.site.full_name or view.site.name,
        name=view.site.name,
        state=view.state.value,
        mark=say.mark(view),
        state_text=say.mark_text(view, words),
        text=say.site_text(view, words, marked=True),
        since=writing.clock(view.since, now, words, reader.zone) if view.since else "",
        lasted=writing.age(now - view.since, words) if view.since else "",
        about=_about(view, words),
        contact_name=writing.clean(view.site.contact.name, 80) if view.site.contact else "",
        phone=phone,
        phone_link=dialable(phone),
        path=_path(view, words),
        problems=tuple(one for one in everything if one.key in here),
        targets=tuple(_row(one, now, reader) for one in sorted(view.targets, key=_order)),
        events=tuple(_event(one, view, now, reader) for one in transitions),
        wall=now,
        moment=writing.stamp(now, words, reader.zone),
        month=f"{dt.datetime.fromtimestamp(now, reader.zone):%Y-%m}",
        revision=snapshot.revision,
        started=snapshot.self_view.started_wall,
        unhandled=sum(one.urgent for one in everything),
        icon={State.CRIT: "crit", State.OK: "ok", State.MAINTENANCE: "ok"}.get(view.state, "warn"),
    )


def dialable(phone: str) -> str:
    """For a tel: link; empty when it is no number, such as a `0215 3 xxx xxx` still to be filled in."""
    digits = phone.translate(str.maketrans("", "", " .-()"))
    return digits if re.fullmatch(r"\+?[0-9]{3,15}", digits) else ""


def _about(view: SiteView, words: Catalog) -> tuple[tuple[str, str], ...]:
    site = view.site
    place = f"{site.latitude:.4f}, {site.longitude:.4f}" if site.latitude is not None and site.longitude is not None else ""
    listed = (
        ("office_label", say.office_text(site.office)),
        ("code", site.code),
        ("district", site.district),
        ("coordinates", place),
        ("note", site.note),
    )
    tags = [(name, value) for name, value in sorted(site.tags.items()) if name != "district"]
    about = [(words.text(f"page.{key}"), writing.clean(value)) for key, value in listed if value]
    return tuple(
        about + [(words.text(f"page.tag_{key}") if words.has(f"page.tag_{key}") else key, writing.clean(value)) for key, value in tags]
    )


def _order(target: TargetView) -> tuple[int, bool, int, str]:
    return (*say.weight(target), target.id)


def _path(view: SiteView, words: Catalog) -> tuple[tuple[Hop, ...], ...]:
    """From netwatch: lines side by side, router, switch, and the rest as one hop with its worst state."""
    own = Hop(name="netwatch", state=State.OK.value, mark=State.OK.value, state_text="")
    stages: list[tuple[Hop, ...]] = [(own,), tuple(_hop(one, words) for one in view.targets if one.kind == "line")]
    stages += [tuple(_hop(one, words) for one in view.targets if one.kind == "device" and one.role == role) for role in PATH_ROLES]
    rest = [one for one in view.targets if one.kind == "device" and one.role not in PATH_ROLES]
    if rest:
        worst = min(rest, key=lambda one: (say.worst_first(one.state), not one.rechecking))
        stages.append((replace(_hop(worst, words), name=words.text("page.devices", count=len(rest))),))
    return tuple(stage for stage in stages if stage)


def _hop(target: TargetView, words: Catalog) -> Hop:
    return Hop(
        name=say.target_name(target, words), state=target.state.value, mark=say.mark(target), state_text=say.mark_text(target, words)
    )


def _row(target: TargetView, now: float, reader: Reader) -> TargetRow:
    words = reader.words
    troubled = [one for one in target.problems if one.belief is not Belief.OK]
    samples = {check.id: check.samples for check in target.checks}
    shown = say.target_text(target, words, marked=True)
    problems = [(one.belief.value, say.rule_text(one, samples.get(one.subject.check, ()), words)) for one in troubled]
    return TargetRow(
        id=target.id,
        name=say.target_name(target, words),
        is_line=target.kind == "line",
        address=writing.clean(target.address, 64),
        state=target.state.value,
        mark=say.mark(target),
        state_text=say.mark_text(target, words),
        text=shown,
        since=writing.clock(target.since, now, words, reader.zone) if target.since else "",
        lasted=writing.age(now - target.since, words) if target.since else "",
        about=_line_about(target, words),
        values=_key_values(target, words),
        problems=tuple((state, text) for state, text in problems if text != shown),
        standings=tuple(_standings(target.standings, now, reader)),
        checks=tuple(_check(one, now, reader) for one in sorted(target.checks, key=lambda one: (say.worst_first(one.state), one.name))),
    )


def _standings(found: Sequence[LineView], now: float, reader: Reader) -> Sequence[StandingRow]:
    """One of a line nobody has ever tested, in either direction."""
    rows = [_standing(one, now, reader) for one in found]
    if found and all(one.wall is None for one in found):
        down, up = found[0].contract_bits_per_second, found[-1].contract_bits_per_second
        each = " / ".join(writing.bits_per_second(one, reader.words) for one in ((down, up) if down != up else (down,)))
        return [replace(rows[0], title=reader.words.text("line.standing_both", contract=each))]
    return rows


def _standing(one: LineView, now: float, reader: Reader) -> StandingRow:
    words = reader.words
    return StandingRow(
        mark=standings.mark_of(one),
        title=words.text(f"line.standing_{one.direction}", contract=writing.bits_per_second(one.contract_bits_per_second, words)),
        text=standings.standing_text(one, now, words, reader.zone),
        month=standings.month_of(one, now, reader.zone) if one.wall is not None else "",
    )


def _line_about(target: TargetView, words: Catalog) -> tuple[tuple[str, str], ...]:
    line = target.line
    if line is None:
        return ()
    listed = (
        ("carrier", line.carrier),
        ("circuit", line.circuit),
        ("hotline", line.hotline),
    )
    return tuple((words.text(f"page.{key}"), writing.clean(value)) for key, value in listed if value)


def _key_values(target: TargetView, words: Catalog) -> tuple[tuple[str, str], ...]:
    """The few values people ask for: those that have a name in our language, at most MOST_KEY_VALUES."""
    named = [one for check in target.checks for one in check.samples if words.has(f"state.sample_{one.name}")]
    return tuple((say.sample_name(one, words), say.sample_text(one, words)) for one in named[:MOST_KEY_VALUES])


def _samples(samples: Sequence[Sample], words: Catalog) -> tuple[tuple[str, str], ...]:
    return tuple((say.sample_name(one, words), say.sample_text(one, words)) for one in samples[:200])


def _check(check: CheckView, now: float, reader: Reader) -> CheckRow:
    words = reader.words
    return CheckRow(
        name=check.name,
        kind=check.kind,
        state=check.state.value,
        mark=say.mark(check),
        state_text=say.mark_text(check, words),
        text=say.check_text(check, words, marked=True),
        since=writing.clock(check.since, now, words, reader.zone) if check.since else "",
        last=words.text("page.ago", age=writing.age(now - check.last_wall, words)) if check.last_wall else words.text("page.never"),
        every=writing.age(check.interval_seconds, words),
        values=_samples(check.samples, words),
        facts=tuple((writing.clean(name, 40), writing.clean(value)) for name, value in sorted(check.facts.items())),
    )


def _event(transition: Transition, view: SiteView, now: float, reader: Reader) -> Event:
    return Event(
        moment=writing.clock(transition.wall, now, reader.words, reader.zone),
        mark=transition.new.value if transition.hard else say.RECHECKING,
        text=transition_text(transition, view, reader.words),
    )
