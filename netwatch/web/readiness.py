"""The page of who is ready for a meeting, as data: what `conference.html` prints. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from netwatch.conference import LEVELS, Evidence, Readiness, Reason
from netwatch.lang import writing
from netwatch.rollcall import Sitting
from netwatch.snapshot import SiteView, Snapshot
from netwatch.web.board import Reader, problems_of, unbroken
from netwatch.web.known import Cell, cells_of
from netwatch.web.place import dialable
from netwatch.web.words import sentence
from netwatch.wording.conference import Ring

__all__ = ["MARKS", "Hall", "Judged", "Told", "hall_of"]

MARKS: Mapping[str, str] = {"go": "ok", "risk": "warn", "no_go": "crit"}  # the icon of a level
LONGEST_NAME = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A reason in words."""

    reason: Reason
    text: str
    do: str
    ring: Ring


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A place, what is known of it, and what that comes to."""

    view: SiteView
    evidence: Evidence
    readiness: Readiness
    told: tuple[Told, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """A reason as the page shows it; what to do and whom to ring are empty for those that can wait."""

    mark: str
    text: str
    do: str = ""
    ring_name: str = ""
    phone: str = ""
    phone_link: str = ""
    ring_about: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Places that the same is to be said of: most often one."""

    mark: str
    level_text: str
    places: tuple[tuple[str, str], ...]  # slug, name
    why: tuple[Why, ...]
    owner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One level. `only_common`: places that nothing but the common hinders."""

    level: str
    title: str
    count: int
    cards: tuple[Card, ...]
    only_common: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    slug: str
    name: str
    mark: str
    level_text: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hall:
    ready: int
    places: int
    about: str
    next: str
    next_name: str  # for a link that looks at that one; empty when it is looked at
    levels: tuple[tuple[str, str, int], ...]  # icon, word, count
    common: tuple[Why, ...]
    groups: tuple[Group, ...]
    rows: tuple[Row, ...]
    history_failed: bool
    sentence: str
    wall: float
    moment: str
    revision: int
    started: float
    unhandled: int
    icon: str


def hall_of(
    snapshot: Snapshot, sitting: Sitting, judged: Sequence[Judged], coming: Sitting | None, reader: Reader, *, planned: bool, failed: bool
) -> Hall:
    """`judged` with the worst first. `coming`: the next meeting there is. `failed`: history could not be read."""
    words = reader.words
    levels = [one.readiness.level for one in judged]
    worst = max(levels, key=LEVELS.index, default="go")
    about, following = _meeting(snapshot.wall, sitting, coming, reader, planned=planned)
    return Hall(
        ready=levels.count("go"),
        places=len(judged),
        about=about,
        next=following,
        next_name=coming.meeting.id if coming is not None and following else "",
        levels=tuple((MARKS[level], words.text(f"conference.level_{level}"), levels.count(level)) for level in reversed(LEVELS)),
        common=_common(judged),
        groups=tuple(_group(level, judged, snapshot, reader) for level in reversed(LEVELS)),
        rows=tuple(_row(one, reader) for one in judged),
        history_failed=failed,
        sentence=unbroken(sentence(snapshot, words)),
        wall=snapshot.wall,
        moment=writing.stamp(snapshot.wall, words, reader.zone),
        revision=snapshot.revision,
        started=snapshot.self_view.started_wall,
        unhandled=sum(one.urgent for one in problems_of(snapshot, reader)),
        icon=MARKS[worst],
    )


def _meeting(now: float, sitting: Sitting, coming: Sitting | None, reader: Reader, *, planned: bool) -> tuple[str, str]:
    """What is looked at, and what comes when that is no meeting."""
    words = reader.words
    if planned:
        return _when(now, sitting, reader), ""
    about = words.text("conference_page.as_if", at=writing.clock(sitting.starts, now, words, reader.zone))
    if coming is None:
        return about, words.text("conference_page.none_planned")
    return about, words.text("conference_page.next", meeting=_when(now, coming, reader))


def _when(now: float, sitting: Sitting, reader: Reader) -> str:
    words, zone = reader.words, reader.zone
    begun = sitting.starts <= now
    return words.text(
        "conference_page.on_now" if begun else "conference_page.to_come",
        name=writing.clean(sitting.meeting.id, LONGEST_NAME),
        starts=writing.clock(sitting.starts, now, words, zone),
        ends=writing.clock(sitting.ends, sitting.starts, words, zone),
        left=writing.age(sitting.ends - now if begun else sitting.starts - now, words),
    )


def _is_common(reason: Reason) -> bool:
    """The same for every place."""
    return reason.code == "blind" or reason.code.startswith("bridge_")


def _common(judged: Iterable[Judged]) -> tuple[Why, ...]:
    """Each once, though every place has it. A dark place leaves some out, so one place alone does not tell all."""
    found = {told.text: told for one in judged for told in one.told if _is_common(told.reason)}
    ordered = sorted(found.values(), key=lambda told: -LEVELS.index(told.reason.level))
    return tuple(_why(told, whole=True) for told in ordered)


def _group(level: str, judged: Iterable[Judged], snapshot: Snapshot, reader: Reader) -> Group:
    owners = {
        slug: writing.clean(one.acknowledgement.who, LONGEST_NAME)
        for one in snapshot.incidents
        if one.acknowledgement
        for slug in one.sites
    }
    together: dict[tuple[tuple[Why, ...], str], list[tuple[str, str]]] = {}
    only_common, here = [], [one for one in judged if one.readiness.level == level]
    for one in here:
        own = [told for told in one.told if not _is_common(told.reason)]
        named = (one.view.site.id, writing.clean(one.view.site.name, LONGEST_NAME))
        why = tuple(_why(told, whole=at == 0 or told.reason.level == "no_go") for at, told in enumerate(own))
        if why:
            together.setdefault((why, owners.get(one.view.site.id, "") if level == "no_go" else ""), []).append(named)
        else:
            only_common.append(named)
    word = reader.words.text(f"conference.level_{level}")
    cards = [
        Card(mark=MARKS[level], level_text=word, places=tuple(places), why=why, owner=owner) for (why, owner), places in together.items()
    ]
    title = reader.words.text(f"conference_page.group_{level}")
    return Group(level=level, title=title, count=len(here), cards=tuple(cards), only_common=tuple(only_common))


def _why(told: Told, *, whole: bool) -> Why:
    mark = MARKS[told.reason.level]
    if not whole:
        return Why(mark=mark, text=told.text)
    phone = writing.clean(told.ring.phone, LONGEST_NAME)
    return Why(
        mark=mark,
        text=told.text,
        do=told.do,
        ring_name=writing.clean(told.ring.name, LONGEST_NAME),
        phone=phone,
        phone_link=dialable(phone),
        ring_about=writing.clean(told.ring.about, LONGEST_NAME),
    )


def _row(one: Judged, reader: Reader) -> Row:
    level = one.readiness.level
    return Row(
        slug=one.view.site.id,
        name=writing.clean(one.view.site.name, LONGEST_NAME),
        mark=MARKS[level],
        level_text=reader.words.text(f"conference.level_{level}"),
        cells=cells_of(one.evidence, one.readiness, reader.words),
    )
